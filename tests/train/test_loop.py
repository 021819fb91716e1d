"""The one training loop, run for real on a toy task: it learns, it logs, and a kill costs nothing but time."""

import json
import math
from dataclasses import replace

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from echopulse.errors import InputError
from echopulse.train.loop import (
    Average,
    Diverged,
    Run,
    Settings,
    decay_groups,
    draw_curve,
    learning_rate_at,
    read_log,
)
from echopulse.train.state import standing_still

QUICK = Settings(steps=40, warmup=4, learning_rate=2e-2, evaluate_every=20, checkpoint_every_s=1e9, seed=3)


class Toy:
    """A line to be learned from noisy points; batches follow from their seed alone."""

    name = "toy"

    def __init__(self, fails_at: int | None = None):
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.Linear(8, 1))
        self.fails_at, self.seeds, self.progress = fails_at, [], []

    def on_progress(self, progress: float, step: int) -> None:
        self.progress.append(progress)

    def loss(self, seed: int):
        self.seeds.append(seed)
        x = torch.randn(64, 2, generator=torch.Generator().manual_seed(seed))
        loss = (self.model(x)[:, 0] - x[:, 0] + 2 * x[:, 1]).square().mean()
        if self.fails_at is not None and len(self.seeds) > self.fails_at:
            loss = loss * math.nan
        return loss, {"points": 64.0}

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        assert not model.training
        return {"bias": float(model[2].bias)}

    def pictures(self, model: nn.Module):
        return torch.zeros(4, 4, dtype=torch.uint8)


class Killed(Exception):
    """What `kill -9` looks like from inside."""


def killed_at(step: int):
    def on_step(now: int, progress: float, scalars: dict[str, float]) -> None:
        if now == step:
            raise Killed

    return on_step


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    run = Run(Toy(), QUICK, folder)
    return folder, run, run.train()


def test_training_learns(finished):
    losses = [row["loss"] for row in read_log(finished[0]) if "loss" in row]
    assert len(losses) == 4 and losses[-1] < 0.7 * losses[0]


def test_the_log_says_loss_learning_rate_gradient_and_the_tasks_own_scalars(finished):
    row = read_log(finished[0])[0]
    assert row["step"] == 10 and {"loss", "learning_rate", "gradient_norm", "elapsed_s", "points"} <= set(row)


def test_evaluations_samples_and_curve_are_written_while_it_runs(finished):
    folder, _, scores = finished
    evaluations = [row for row in read_log(folder) if "evaluation" in row]
    assert [row["step"] for row in evaluations] == [20, 40] and evaluations[-1]["evaluation"] == scores
    assert sorted(path.name for path in (folder / "samples").iterdir()) == ["step-000020.png", "step-000040.png"]
    assert (folder / "curve.png").stat().st_size > 1000
    assert not list(folder.glob("*.partial"))


def test_the_averaged_model_is_neither_the_first_nor_the_last(finished):
    run = Run(Toy(), QUICK, finished[0], resume=True)
    last = {name: value.clone() for name, value in run.task.model.state_dict().items()}
    averaged = run.averaged_model()
    assert not averaged.training
    assert not torch.equal(averaged[0].weight, last["0.weight"])
    assert not torch.equal(averaged[0].weight, Toy().model[0].weight)


def test_a_killed_run_goes_on_to_bit_identical_weights(tmp_path):
    settings = Settings(**{**vars(QUICK), "checkpoint_every_s": -1.0})  # after every step
    whole = Run(Toy(), settings, tmp_path / "whole")
    whole.train()
    with pytest.raises(Killed):
        Run(Toy(), settings, tmp_path / "killed").train(killed_at(27))
    resumed = Run(Toy(), settings, tmp_path / "killed", resume=True)
    assert resumed.step == 26  # the step under way when it was killed is done again
    resumed.train()
    for name, value in whole.task.model.state_dict().items():
        assert torch.equal(value, resumed.task.model.state_dict()[name]), name
        assert torch.equal(whole.average.state[name], resumed.average.state[name]), name


def test_a_resumed_run_sees_the_same_batches_as_an_uninterrupted_one(tmp_path):
    settings = Settings(**{**vars(QUICK), "checkpoint_every_s": -1.0})
    with pytest.raises(Killed):
        Run(Toy(), settings, tmp_path).train(killed_at(10))
    again = Toy()
    Run(again, settings, tmp_path, resume=True).train()
    assert again.seeds == [settings.seed * 1_000_003 + step for step in range(9, 40)]


def test_killed_while_writing_the_checkpoint_the_one_before_is_whole(tmp_path, monkeypatch):
    settings = Settings(**{**vars(QUICK), "checkpoint_every_s": -1.0})
    with pytest.raises(Killed):
        Run(Toy(), settings, tmp_path).train(killed_at(6))

    def dies(tensors, path, metadata):
        path.write_bytes(b"half a checkpoint")
        raise Killed

    monkeypatch.setattr("echopulse.train.loop.save_file", dies)
    with pytest.raises(Killed):
        Run(Toy(), settings, tmp_path, resume=True).train()
    assert Run(Toy(), settings, tmp_path, resume=True).step == 5


class Held(nn.Sequential):
    GIVEN = ("0",)


def still(seed: int = 0) -> Toy:
    """A toy whose first layer is given and stands still."""
    task = Toy()
    task.model = Held(*task.model)
    torch.manual_seed(seed)
    nn.init.normal_(task.model[0].weight)
    task.model[0].requires_grad_(False)
    return task


def test_what_stands_still_is_not_in_checkpoints_and_the_run_goes_on_to_the_same_bits(tmp_path):
    whole = Run(still(), QUICK, tmp_path / "whole")
    whole.train()
    with pytest.raises(Killed):
        settings = replace(QUICK, checkpoint_every_s=-1.0)
        Run(still(), settings, tmp_path / "killed").train(killed_at(27))
    names = load_file(tmp_path / "killed" / "checkpoint.safetensors").keys()
    assert not [name for name in names if name.startswith(("model.0.", "average.0."))]
    assert "model.1.running_mean" in names and "average.2.weight" in names
    resumed = Run(still(), QUICK, tmp_path / "killed", resume=True)
    assert resumed.step == 26
    resumed.train()
    found, known = (run.averaged_model().state_dict() for run in (resumed, whole))
    assert all(torch.equal(found[name], known[name]) for name in known)
    assert torch.equal(known["0.weight"], still().model[0].weight)


def test_what_stands_still_has_to_be_what_the_run_began_with(tmp_path):
    Run(still(), replace(QUICK, steps=2), tmp_path).train()
    with pytest.raises(InputError, match=r"those at hand are others \(0.weight differs\); give the --ecg"):
        Run(still(seed=1), QUICK, tmp_path, resume=True)
    other = still()
    other.model = nn.Sequential(*list(other.model)[1:])
    with pytest.raises(InputError, match="another network .* began with, --ecg-encoder or --from among them"):
        Run(other, QUICK, tmp_path, resume=True)


def test_a_part_that_stands_still_and_is_not_given_stays_in_the_checkpoint(tmp_path):
    task = Toy()
    task.model[0].requires_grad_(False)
    run = Run(task, replace(QUICK, steps=2), tmp_path)
    run.train()
    assert {"model.0.weight", "average.0.weight"} <= load_file(run.checkpoint).keys()
    assert standing_still(task.model) == {} and standing_still(still().model).keys() == {"0.weight", "0.bias"}


def test_a_checkpoint_of_before_that_holds_what_stands_still_brings_it_along(tmp_path):
    run = Run(still(), replace(QUICK, steps=4), tmp_path)
    run.train()
    with safe_open(run.checkpoint, "pt") as file:
        about = json.loads(file.metadata()["run"])
    held = load_file(run.checkpoint)
    for name, value in standing_still(run.task.model).items():
        held |= {f"model.{name}": value.clone(), f"average.{name}": value.clone()}
    del about["still"]
    save_file(held, run.checkpoint, metadata={"run": json.dumps(about)})
    resumed = Run(still(seed=1), replace(QUICK, steps=8), tmp_path, resume=True)
    assert resumed.step == 4 and torch.equal(resumed.task.model[0].weight, still().model[0].weight)
    resumed.train()
    assert Run(still(), QUICK, tmp_path, resume=True).step == 8  # from now on it is not in there either
    with pytest.raises(InputError, match="those at hand are others"):
        Run(still(seed=1), QUICK, tmp_path, resume=True)


def test_resuming_a_finished_run_does_nothing(finished):
    task = Toy()
    assert Run(task, QUICK, finished[0], resume=True).train() == {} and task.seeds == []


def test_a_run_that_exists_is_not_overwritten(finished):
    with pytest.raises(InputError, match="holds a run already; go on with --resume"):
        Run(Toy(), QUICK, finished[0])


def test_another_tasks_run_is_not_resumed(finished):
    other = Toy()
    other.name = "other"
    with pytest.raises(InputError, match="is a run of toy, not of other"):
        Run(other, QUICK, finished[0], resume=True)


def test_a_run_of_another_network_is_not_resumed(finished):
    wider = Toy()
    wider.model = nn.Sequential(nn.Linear(1, 3), *wider.model[1:])
    with pytest.raises(InputError, match="another network than the one asked for .0.weight differs.*began with"):
        Run(wider, QUICK, finished[0], resume=True)


def test_a_loss_that_is_no_number_stops_the_run_with_step_and_seed(tmp_path):
    with pytest.raises(Diverged, match=rf"toy: the loss is nan at step 7, batch seed {3 * 1_000_003 + 7}"):
        Run(Toy(fails_at=7), QUICK, tmp_path).train()
    assert not (tmp_path / "checkpoint.safetensors").exists()


def test_the_task_is_told_how_far_the_run_is(tmp_path):
    task = Toy()
    Run(task, QUICK, tmp_path).train()
    assert task.progress == pytest.approx([step / 40 for step in range(40)])


def test_the_clock_ends_a_run_that_was_given_minutes(tmp_path):
    settings = Settings(**{**vars(QUICK), "steps": 10**6, "minutes": 0.05 / 60, "evaluate_every": 10**9})
    run = Run(Toy(), settings, tmp_path)
    run.train()
    assert 0 < run.step < 10**5 and run.elapsed_s >= 0.05


def test_the_learning_rate_warms_up_stays_flat_and_falls_to_its_end():
    settings = Settings(learning_rate=1.0, warmup=10, flat=0.3, final=0.04)
    assert [learning_rate_at(0.0, step, settings) for step in (0, 4, 9)] == pytest.approx([0.1, 0.5, 1.0])
    assert learning_rate_at(0.3, 500, settings) == pytest.approx(1.0)
    late = [learning_rate_at(0.3 + 0.07 * i, 500, settings) for i in range(11)]
    assert late == sorted(late, reverse=True) and late[-1] == pytest.approx(0.04)
    assert learning_rate_at(0.65, 500, settings) == pytest.approx(0.52)  # half way down


def test_matrices_decay_and_vectors_do_not():
    decayed, free = decay_groups(Toy().model, 0.1)
    assert [p.ndim for p in decayed["params"]] == [2, 2] and decayed["weight_decay"] == 0.1
    assert all(p.ndim == 1 for p in free["params"]) and free["weight_decay"] == 0.0


def test_the_average_follows_at_once_at_first_and_slowly_later():
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    early, late = Average(model, 0.99), Average(model, 0.99)
    nn.init.ones_(model.weight)
    early.update(model, 0)
    late.update(model, 10_000)
    assert float(early.state["weight"]) == pytest.approx(0.9) and float(late.state["weight"]) == pytest.approx(0.01)


def test_half_a_row_left_by_a_kill_does_not_spoil_the_log_or_the_curve(tmp_path):
    rows = [{"step": 10, "loss": 1.0}, {"step": 20, "loss": 0.5}]
    (tmp_path / "log.jsonl").write_text("\n".join(map(json.dumps, rows)) + '\n{"step": 30, "lo')
    assert read_log(tmp_path) == rows
    draw_curve(tmp_path)
    assert (tmp_path / "curve.png").exists()
