"""The rate study on toys: what it compares, that it goes on where it stopped, and the figures that it is made of."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from echopulse.data import Bank
from echopulse.data.bank import clips_to_tensors
from echopulse.errors import InputError
from echopulse.evaluate.coding_quality import appearance, clip_quality, likeness, mean_of
from echopulse.evaluate.coding_speed import one_thread_decoding
from echopulse.measure import Segmenter, SegmenterConfig
from echopulse.model.config import PRESETS
from echopulse.model.tokenizer import Tokenizer
from echopulse.phantom import simulate
from echopulse.train import rate_study as study

CONFIG = PRESETS["tiny"]["tokenizer"]
TOY = {"config": CONFIG, "clips": 2, "held_out": 2, "steps": 2, "batch": 1}


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    torch.manual_seed(0)
    return Segmenter(SegmenterConfig(size=32, channels=(8, 8, 8), groups=4)).eval()


@pytest.fixture(scope="module")
def bank() -> Bank:
    made = simulate(1, seed=2, frames=5, size=64, view="a4c", leads=1)
    return Bank(clips_to_tensors(made, labels=True), 25.0, 200.0, 0.0)


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(study, "usable_cores", lambda: 1)
    monkeypatch.setattr(study, "FRAMES", 13)


def test_one_cell_is_trained_judged_kept_and_not_done_again(segmenter, tmp_path, monkeypatch):
    told: list[tuple] = []
    one = {"patches": [8], "bits": [18], "decoders": ["motion"]} | TOY
    rows = study.rate_study(tmp_path, segmenter, **one, on_progress=lambda *news: told.append(news))
    clips, row = rows
    assert (row.decoder, row.tokens, row.bits) == ("motion", 16, 18) and row.rate == 16 * 18 * 25 / 4
    assert row.parameters == sum(p.numel() for p in Tokenizer(study.Cell(8, 18, "motion").of(CONFIG)).parameters())
    assert row.decode_s > 0 and row.train_s > 0 and set(row.scores) == set(study.COLUMNS)
    assert 0 < row.scores["mse"] < 1 and row.scores["psnr"] == pytest.approx(-10 * np.log10(row.scores["mse"]), abs=1)
    assert clips.tokens is None and "mse" not in clips.scores and clips.scores["neighbour"] > 0.5
    assert told[-1] == (1.0, "patch-8-bits-18-motion") and [share for share, *_ in told] == [0.5, 1.0, 1.0]

    monkeypatch.setattr(study, "TokenizerTask", None)  # nothing is trained any more
    again = study.rate_study(tmp_path, segmenter, **one)
    assert again == rows
    table = study.to_table(again).splitlines()
    assert (
        len(table) == 4 and table[2].startswith("| the clips |") and table[3].startswith("| motion | 16 | 18 | 1800 |")
    )


def test_a_killed_study_goes_on_from_its_checkpoint_and_may_grow_by_further_tokenizers(segmenter, tmp_path):
    one = {"patches": [16], "bits": [14], "decoders": ["plain"]} | TOY
    first = study.rate_study(tmp_path, segmenter, **one)
    (tmp_path / "patch-16-bits-14-plain.json").unlink()  # killed after the training, before it was judged
    seen: list[tuple] = []
    again = study.rate_study(tmp_path, segmenter, **one, on_progress=lambda *news: seen.append(news))
    assert again[1].scores == first[1].scores and again[1].train_s == first[1].train_s
    assert seen == [(1.0, "patch-16-bits-14-plain")]  # no step was done
    more = study.rate_study(tmp_path, segmenter, **one | {"decoders": ["plain", "motion"]})
    assert more[:2] == again and more[2].decoder == "motion"
    assert json.loads((tmp_path / "patch-16-bits-14-motion.json").read_text())["tokens"] == 4


def test_another_study_in_the_folder_and_shards_without_motion_are_refused(segmenter, tmp_path):
    study.claim(tmp_path / "a", {"steps": 2, "seed": 0})
    with pytest.raises(InputError, match="a holds a study with steps 2, not 3; name another folder"):
        study.claim(tmp_path / "a", {"steps": 3, "seed": 0})
    one = {"patches": [16], "bits": [14], "decoders": ["motion"]} | TOY
    study.fill_bank(tmp_path / "still", 1, seed=0, shard=1, size=32, frames=13)
    with pytest.raises(InputError, match="still: these shards do not say how tissue moves"):
        study.rate_study(tmp_path / "b", segmenter, data=tmp_path / "still", **one)
    study.fill_bank(tmp_path / "short", 1, seed=0, shard=1, size=32, frames=5, motion=True)
    with pytest.raises(InputError, match="at least 13 frames"):
        study.rate_study(tmp_path / "b", segmenter, data=tmp_path / "short", **one)
    with pytest.raises(InputError, match="patch 12"):
        study.rate_study(tmp_path / "b", segmenter, **one | {"patches": [12]})
    assert not (tmp_path / "b").exists()


# --- figures ---


def test_a_clip_that_comes_back_unchanged_has_no_error_and_one_that_is_off_by_a_tenth_has_it_everywhere(bank):
    frames = bank.frames[0]
    same = likeness(bank, 0, frames, frames.float() / 255)
    assert same["mse"] == 0 and same["ssim"] == pytest.approx(1)
    off = likeness(bank, 0, frames, frames.float() / 255 + 0.1)
    assert off["mse"] == pytest.approx(0.01, rel=1e-3) and off["psnr"] == pytest.approx(20, abs=0.01)


def test_a_valve_that_is_frozen_in_the_coded_picture_does_not_open(bank):
    made = simulate(1, seed=5, frames=26, fps=25.0, size=64, view="a4c", leads=1)
    moving = Bank(clips_to_tensors(made, labels=True), 25.0, 200.0, 0.0)
    frames = moving.frames[0].float() / 255
    assert likeness(moving, 0, moving.frames[0], frames)["valve"] == pytest.approx(1)
    assert likeness(moving, 0, moving.frames[0], frames[:1].expand_as(frames))["valve"] < 0.5


def test_areas_are_held_against_the_true_ones(bank, segmenter, monkeypatch):
    from echopulse.evaluate import coding_quality

    class Seen:
        def __init__(self, labels):
            self.ventricle = labels

    asked = []

    def outline(network, frames, times_s):
        asked.append((frames.shape, times_s.tolist()))
        true = bank.masks(torch.tensor([0, 0, 0]), torch.tensor([0, 2, 4])).numpy()
        return Seen(true if len(asked) == 1 else np.zeros_like(true))

    monkeypatch.setattr(coding_quality, "outline_all", outline)
    pictures = bank.frames[0].float() / 255
    assert appearance(bank, 0, pictures, segmenter)["area_error"] == 0
    assert appearance(bank, 0, pictures, segmenter)["area_error"] == 1  # found nowhere
    assert asked[0] == ((3, 64, 64), [0.0, 0.08, 0.16])


def test_blur_widens_the_texture_and_takes_its_contrast(bank, segmenter):
    sharp = bank.frames[0].float() / 255
    soft = torch.nn.functional.avg_pool2d(sharp, 5, 1, 2)
    one, two = (appearance(bank, 0, pictures, segmenter) for pictures in (sharp, soft))
    assert two["contrast"] < one["contrast"] and two["down"] > one["down"] and two["across"] > one["across"]
    assert two["neighbour"] > one["neighbour"]


def test_every_clip_is_coded_and_figures_that_are_missing_are_left_out_of_the_mean(bank, segmenter):
    tokenizer = Tokenizer(replace(CONFIG, size=64)).eval()
    found = list(clip_quality(tokenizer, bank, segmenter, clips=9))
    assert len(found) == 1 and set(found[0]) == set(study.COLUMNS)
    assert mean_of([{"a": 1.0, "b": float("nan")}, {"a": 3.0, "b": 5.0}]) == {"a": 2.0, "b": 5.0}
    assert np.isnan(mean_of([{"a": float("nan")}])["a"])


def test_decoding_is_timed_on_one_thread_and_the_threads_come_back(monkeypatch):
    tokenizer, used = Tokenizer(CONFIG).eval(), []
    decode = tokenizer.decode
    monkeypatch.setattr(tokenizer, "decode", lambda ids: used.append(torch.get_num_threads()) or decode(ids))
    before = torch.get_num_threads()
    assert 0 < one_thread_decoding(tokenizer) < 5
    assert set(used) == {1} and torch.get_num_threads() == before
