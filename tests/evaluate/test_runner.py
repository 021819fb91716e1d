"""The whole evaluation runs on any candidate, keeps what is finished, and says what it was made of."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from echopulse.errors import InputError
from echopulse.evaluate import runner
from echopulse.evaluate.candidates import Called, load_candidate
from echopulse.evaluate.hearts import Heart
from echopulse.evaluate.keys import figure_of, figures
from echopulse.evaluate.results import Results
from echopulse.evaluate.runner import PARTS, Steps, evaluate, parts_for
from echopulse.evaluate.tasks import FolderCandidate
from echopulse.pipeline import EchoPulse, Sampling


class Hasty(EchoPulse):
    """A model that fills in all tokens at once and without guidance, and notes for which seeds."""

    def generate_ids(self, *arguments, **conditions):
        self.__dict__.setdefault("asked", []).append(conditions["seed"])
        return super().generate_ids(*arguments, **conditions, sampling=Sampling(steps=1, guidance=1.0))


@pytest.fixture(scope="module")
def tiny(tiny_model) -> Hasty:
    whole = EchoPulse.from_pretrained(tiny_model)
    return Hasty(whole.tokenizer, whole.generator, whole.segmenter, name=whole.name)


FRAMES = 50


def few_hearts(traced: list[Heart], seed: int) -> list[Heart]:
    """Four hearts known by formula, with pictures of noise that the seed decides."""
    noise = torch.randint(0, 256, (4, FRAMES, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))
    disc = torch.hypot(*torch.meshgrid(*[torch.arange(32) - 15.5] * 2, indexing="ij")).numpy() < 12
    return [
        replace(heart, frames=frames, masks=np.broadcast_to(disc, frames.shape), times_s=heart.times_s[:FRAMES],
                volume_ml=heart.volume_ml[:FRAMES], sector=np.ones((32, 32), bool))
        for heart, frames in zip(traced, noise, strict=False)
    ]  # fmt: skip


@pytest.fixture(autouse=True)
def small_world(monkeypatch, tiny, traced_hearts):
    """Four hearts per seed in pictures of 32 pixels, and a tiny measurer for others' candidates."""
    tiny.asked = []

    def simulate(clips, *, seed, on_step=lambda _: None, **_):
        on_step(1.0)
        return few_hearts(traced_hearts, seed)[:clips]

    monkeypatch.setattr(runner, "held_out_hearts", simulate)
    monkeypatch.setattr(runner, "SIZE", 32)
    monkeypatch.setattr(EchoPulse, "from_pretrained", lambda *_: tiny)


def still(ecg, *, seconds, fps, image, view, ef, seed, at_s):
    return np.full((round(seconds * fps), 32, 32), 90, np.uint8)


def test_timing_and_controls_of_an_untrained_model(tiny, tmp_path):
    steps = []
    options = {"parts": ("tokenizer", "timing", "controls"), "clips": 4, "control_hearts": 4, "workers": 2}
    found = evaluate(tiny, **options, work=tmp_path, on_step=steps.append)
    assert not [
        key for key in found.scores
        if figure_of(key) is None and key.rpartition(".")[2] not in ("n", "missing", "low", "high")
    ]  # fmt: skip
    barred = [key for key, figure in figures().items() if figure.bar and key.startswith(options["parts"])]
    assert len(barred) > 20 and not [key for key in barred if key not in found.scores]
    assert {key.partition(".")[0] for key in found.scores} == {"tokenizer", "timing", "controls"}
    assert steps == sorted(steps) and steps[-1] == pytest.approx(1)
    assert found.about["data"]["clips"] == 4 and len(found.about["data"]["hash"]) == 16
    assert found.about["model"]["name"] == "tiny" and len(found.about["model"]["hash"]) == 16
    assert set(found.about["seconds"]) == {"hearts", "clips", "tokenizer", "timing", "controls"}
    assert set(found.about["includes"]) == set(found.about["seconds"])
    assert found.loops and found.loops[0].frames.dtype == np.uint8
    assert len(found.columns["curve.0.times_s"]) == 50

    assert tiny.asked
    tiny.asked.clear()
    again = evaluate(tiny, **options, work=tmp_path)
    assert tiny.asked == [] and again.scores == pytest.approx(found.scores, nan_ok=True)
    assert again.about["data"] == found.about["data"]


def test_a_stopped_run_goes_on_with_the_clips_that_are_there(tiny, tmp_path, monkeypatch):
    options = {"parts": ("timing",), "clips": 4, "work": tmp_path, "workers": 1}
    whole = evaluate(tiny, **options | {"work": None})

    def stop(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("echopulse.evaluate.parts.timing_scores", stop)
        with pytest.raises(KeyboardInterrupt):
            evaluate(tiny, **options)
    kept = sorted(path.name for path in tmp_path.iterdir())
    assert [name[:6] for name in kept] == ["alone-", "imaged"]
    tiny.asked.clear()
    resumed = evaluate(tiny, **options)
    assert resumed.scores == pytest.approx(whole.scores, nan_ok=True)
    assert sorted(tiny.asked) == sorted([0, 1, 2, 3] * 3)  # the true EF, 0.3 and 0.7 only


def test_other_settings_start_entries_of_their_own(tmp_path):
    candidate = Called(still, "still")
    evaluate(candidate, parts=("timing",), clips=2, work=tmp_path)
    before = {path.name for path in tmp_path.iterdir()}
    other = evaluate(candidate, parts=("timing",), clips=2, seed=990_500, work=tmp_path)
    after = {path.name for path in tmp_path.iterdir()}
    assert before < after and other.about["settings"]["seed"] == 990_500


def test_a_function_that_stands_still_is_judged_without_our_model():
    found = evaluate(load_candidate(still), parts=("timing",), clips=3)
    assert found.about["model"]["kind"] == "Called"
    assert found.scores["timing.first_image.ef_mae.n"] + found.scores["timing.first_image.ef_mae.missing"] >= 1
    assert "timing.reconstruction.r" not in found.scores  # it has no tokenizer


def test_parts_are_chosen_by_what_the_candidate_is(tiny):
    assert parts_for(tiny, ("controls", "tokenizer")) == ("tokenizer", "controls")
    assert set(PARTS) == set(runner.RUN)
    with pytest.raises(InputError, match="--only speed: needs a model folder of ours"):
        parts_for(Called(still, "still"), ("speed",))
    with pytest.raises(InputError, match="--only usefulness: asks for clips of other hearts"):
        parts_for(FolderCandidate(Path("clips"), {}), ("timing", "usefulness"))
    with pytest.raises(InputError, match="--only nothing: expected some of speed"):
        parts_for(tiny, ("nothing",))
    with pytest.raises(InputError, match="no ECG file is given"):
        parts_for(tiny, ("files",))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"parts": ("timing", "privacy"), "clips": 12}, "--clips 12: the part privacy needs 40 or more"),
        ({"parts": ("timing",), "clips": 0}, "--clips 0: at least one"),
        ({"parts": ("timing",), "start": "yesterday"}, "--start yesterday: expected phantom or generated"),
        ({"parts": ("files",), "ecg_files": [Path("nowhere.csv")]}, "nowhere.csv: there is no such file"),
        ({"parts": ("quality",), "features": {"i3d": Path(__file__)}}, "no TorchScript"),
        ({"parts": ("quality",), "reject_copies": Path("nowhere")}, "nowhere: no copy filter"),
        ({"parts": ("privacy",), "train_data": Path("nowhere")}, "nowhere: no folder"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_made(tiny, options, says):
    with pytest.raises(InputError, match=says):
        evaluate(tiny, **{"clips": 64} | options)
    assert not tiny.asked


def test_ecg_files_are_refused_where_they_would_be_left_out():
    with pytest.raises(InputError, match="ECG files: only a model folder of ours"):
        evaluate(Called(still, "still"), ecg_files=[Path(__file__)])


def test_a_part_hangs_only_on_what_it_looks_at(tiny, tmp_path):
    options = {"parts": ("tokenizer",), "clips": 2, "work": tmp_path}
    evaluate(tiny, **options)
    evaluate(tiny, **options, train_data=tmp_path, as_published=True)
    assert len(list(tmp_path.glob("tokenizer-*.json"))) == 1
    evaluate(tiny, **options | {"clips": 3})
    assert len(list(tmp_path.glob("tokenizer-*.json"))) == 2


def test_loops_on_the_page_do_not_have_a_clip_made_of_every_heart(tiny, traced_hearts, monkeypatch):
    def simulate(clips, *, seed, on_step=lambda _: None, **_):
        return [replace(heart, seed=number) for number, heart in enumerate(5 * few_hearts(traced_hearts, seed))][:clips]

    monkeypatch.setattr(runner, "held_out_hearts", simulate)
    monkeypatch.setitem(runner.RUN, "privacy", lambda job, on_step: Results({"n": len(job.shared.hearts)}))
    monkeypatch.setitem(runner.LEAST, "privacy", 1)
    found = evaluate(tiny, parts=("privacy",), clips=20)
    assert found.scores["n"] == 20 and len(found.loops) == 6 and sorted(set(tiny.asked)) == list(range(16))
    assert "clips" in found.about["seconds"]


def test_the_memory_told_includes_the_workers(tiny, monkeypatch):
    monkeypatch.setattr(runner, "peak_memory_gb", lambda: 1.5)
    monkeypatch.setattr(runner, "workers_peak_gb", lambda: 0.75)
    peak = evaluate(tiny, parts=("tokenizer",), clips=1).about["peak_memory_gb"]
    assert peak == {"together_at_most": 2.25, "this_process": 1.5, "worker_processes": 0.75}


def test_a_file_of_the_store_that_is_broken_is_named(tmp_path):
    candidate = Called(still, "still")
    evaluate(candidate, parts=("timing",), clips=2, work=tmp_path)
    next(tmp_path.glob("timing-*.json")).write_text("{")
    with pytest.raises(InputError, match="delete this file"):
        evaluate(candidate, parts=("timing",), clips=2, work=tmp_path)


def test_the_bar_never_goes_back_and_ends_at_one():
    seen = []
    steps = Steps(seen.append, ["timing"])
    for name, share in (("hearts", 1.0), ("clips", 0.5), ("clips", 0.2), ("timing", 1.0), ("clips", 1.0)):
        steps.of(name)(share)
    assert seen == sorted(seen) and seen[-1] == 1.0
