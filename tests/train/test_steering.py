"""What steers the EF is learned from a bank's pictures and tokens, looked at once."""

import shutil

import pytest
import torch

from echopulse.errors import InputError
from echopulse.measure import Segmenter, SegmenterConfig
from echopulse.measure.steering import SteeringConfig
from echopulse.model.checkpoint import load_config, save_config
from echopulse.model.config import PRESETS
from echopulse.model.generator import Generator
from echopulse.model.tokenizer import Tokenizer
from echopulse.train import steering
from echopulse.train.recipes import train
from echopulse.train.steering import SteeringTask, look_at_moments, usual_ef

CONFIG = SegmenterConfig(size=32, channels=(8, 8, 8), groups=4, classes=7, context_s=0.08, volumes=True)


@pytest.fixture(scope="module")
def networks() -> dict[str, torch.nn.Module]:
    torch.manual_seed(0)
    tiny = PRESETS["tiny"]
    return {
        "generator": Generator(tiny["generator"]).eval(), "segmenter": Segmenter(CONFIG).eval(),
        "tokenizer": Tokenizer(tiny["tokenizer"]).eval(),
    }  # fmt: skip


@pytest.fixture(scope="module")
def task(networks, toy_bank, tmp_path_factory) -> SteeringTask:
    return SteeringTask(**networks, bank=toy_bank, held_out=toy_bank, kept=tmp_path_factory.mktemp("run"), batch=4)


def test_hearts_that_stand_still_have_an_ef_of_nothing(toy_bank):
    assert usual_ef(toy_bank).tolist() == [0.5, 0.5, 0.5, 0.0]


def test_what_is_seen_is_kept_and_what_is_heard_is_heard_anew(networks, toy_bank, tmp_path, monkeypatch):
    options = {"generator": networks["generator"], "segmenter": networks["segmenter"], "moments": 2}
    first = look_at_moments(toy_bank, tmp_path, **options)
    monkeypatch.setattr(steering, "look_at_pictures", None)  # whoever looks again fails
    again = look_at_moments(toy_bank, tmp_path, **options)
    assert torch.equal(first.features, again.features)
    torch.manual_seed(5)
    other = look_at_moments(toy_bank, tmp_path, **options | {"generator": Generator(PRESETS["tiny"]["generator"])})
    assert torch.equal(first.log_volume, other.log_volume) and not torch.equal(first.features, other.features)


def test_a_step_moves_both_readers_and_nothing_else(task, networks):
    loss, scalars = task.loss(0)
    loss.backward()
    for part in (task.model.expectation, task.model.volumes):
        assert any(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in part.parameters())
    assert all(p.grad is None for network in networks.values() for p in network.parameters())
    assert set(scalars) == {"expected", "curve"}


def test_the_volumes_read_are_of_the_frames_that_they_are_held_against(task):
    index = torch.tensor([[0, 1, 2], [0, 1, 2]])
    read, frames = task._volumes(task.model, task.tokens.ids[:2, 0, :3], index)
    assert frames[0].tolist() == list(range(9)) and read.shape == frames.shape
    later, frames = task._volumes(task.model, task.tokens.ids[:2, 0, 1:3], index[:, 1:])
    assert frames[0].tolist() == list(range(1, 9)) and later.shape == frames.shape
    mixed, frames = task._volumes(task.model, task.tokens.ids[:2, 0, :2], torch.tensor([[0, 1], [1, 2]]))
    assert frames.tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]] and mixed.shape == frames.shape


def test_held_out_errors_are_told_and_the_noises_settle(task):
    with torch.inference_mode():
        task.settle(task.model)
        scores = task.evaluate(task.model)
    assert {"expected_error", "two_pictures_r2", "tokens_error", "expected_within_sd"} <= set(scores)
    assert float(task.model.token_noise) in [pytest.approx(one) for one in steering.NOISES]


def test_steering_needs_a_model_that_it_is_to_steer(tmp_path):
    with pytest.raises(InputError, match="--from MODEL"):
        train("steering", run=tmp_path / "run")


def test_a_measurer_that_reads_no_volumes_is_refused(networks, toy_bank, tmp_path):
    plain = Segmenter(SegmenterConfig(size=32, channels=(8, 8, 8), groups=4))
    with pytest.raises(InputError, match="reads volumes"):
        SteeringTask(**networks | {"segmenter": plain}, bank=toy_bank, held_out=toy_bank, kept=tmp_path)


def test_another_tokenizer_makes_the_steering_of_a_folder_a_thing_of_the_past(tiny_model, bank_folder, quick, tmp_path):
    model = tmp_path / "model"
    shutil.copytree(tiny_model, model)
    save_config(model, steering=SteeringConfig(inputs=1, bits=1, grid=1))
    options = {"data": str(bank_folder), "preset": "tiny", "steps": 1, "run": tmp_path / "run"}
    train("tokenizer", out=model, **options)
    assert "steering" not in load_config(model) and "generator" in load_config(model)
