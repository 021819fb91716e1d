"""The tokenizer's own table: an oracle keeps everything, one that blurs or stops does not, figures of the hand."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from echopulse.evaluate.round_trip import FIGURES, Trip, round_trip_scores, summarize_trips, take
from echopulse.measure import measure_masks
from echopulse.model.config import PRESETS
from echopulse.model.tokenizer import Tokenizer
from echopulse.phantom import simulate

CONFIG = PRESETS["tiny"]["tokenizer"]
KINDS = SimpleNamespace(config=CONFIG)


class Coder(torch.nn.Module):
    """Stands for a tokenizer: gives back what it was given, changed by `change`."""

    def __init__(self, change=lambda pictures: pictures):
        super().__init__()
        self.config, self.change, self.held = replace(CONFIG, size=64), change, None
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def encode(self, pictures):
        self.held = pictures
        return torch.arange(pictures.shape[1] // 4 * 16).reshape(1, -1, 4, 4) % 1024

    def decode(self, ids, grain_seed=None):
        return self.change(self.held)


def blurred(pictures):
    return torch.from_numpy(gaussian_filter(pictures.numpy(), (0, 0, 2, 2)))


@pytest.fixture(scope="module")
def made():
    return simulate(
        1, seed=990_500, frames=49, size=64, view="a4c", rhythm="sinus", heart_rate_bpm=75.0, ef=0.6, displacement=True
    )


@pytest.fixture(scope="module")
def judged(made):
    """Measures by the masks of the simulated heart while the pictures are its own, else by standing ones."""
    masks, own = made.truth.lv_mask[0].numpy(), made.frames[0].numpy()

    def measure(clip):
        shown = masks if np.abs(clip.frames.astype(int) - own).max() <= 1 else np.repeat(masks[:1], len(masks), 0)
        return measure_masks(shown, clip.times_s, view=clip.view)

    return measure


def test_an_oracle_keeps_everything(made, judged):
    trip = take(Coder(), made, 0, judged)
    assert trip.errors["mse"] == 0 and trip.errors["ssim_sector"] == pytest.approx(1)
    assert set(trip.texture.values()) == {1.0} and trip.opened == pytest.approx([1.0] * len(trip.opened))
    assert len(trip.ef) >= 1 and np.abs(trip.ef).max() == 0 and trip.beats_lost == 0
    assert np.array_equal(trip.tracking, trip.tracking_before) and np.median(trip.tracking) < np.median(trip.way) / 2


def test_one_that_blurs_loses_texture_and_one_that_stops_the_heart_loses_its_beats_and_valve(made, judged):
    fog = take(Coder(blurred), made, 0, judged)
    assert fog.errors["mse"] > 0 and fog.texture["contrast"] < 0.8 and fog.texture["down"] > 1.2
    still = take(Coder(lambda pictures: pictures[:, :1].expand_as(pictures)), made, 0, judged)
    assert still.ef == [] and still.beats_lost >= 1
    assert max(still.opened) < 0.5 and np.median(still.tracking) > np.median(still.tracking_before)


def trip(**changes) -> Trip:
    values = {
        "view": "a4c", "look": dict.fromkeys(("gain_db", "dynamic_range_db", "frequency_mhz", "half_angle_rad"), 0.0),
        "errors": {"mse": 1e-3, "mae": 0.01, "psnr": 30.0, "psnr_sector": 28.0, "ssim_sector": 0.8},
        "drawn": {"mse": 2e-3}, "ids": torch.arange(8),
        "texture": {"contrast": 0.9, "down": 1.1, "across": 1.2, "lasting": 1.0},
        "tracking": np.array([0.5, 0.7]), "tracking_before": np.array([0.2]), "way": np.array([1.5]),
        "opened": [0.4, 0.9],
        "ef": [0.02, -0.04], "ed_frames": [1.0, 0.0], "es_frames": [2.0, np.nan], "beats_lost": 1,
    }  # fmt: skip
    return Trip(**{**values, **changes})


def test_the_figures_of_two_clips_are_those_of_the_hand():
    other = trip(view="plax", errors=dict.fromkeys(trip().errors, 3e-3), opened=[0.8], ef=[], ed_frames=[],
                 es_frames=[], beats_lost=0, texture=dict.fromkeys(trip().texture, np.nan),
                 look=dict.fromkeys(trip().look, 1.0))  # fmt: skip
    scores = summarize_trips([trip(), other], KINDS).scores
    assert scores["mse"] == pytest.approx(2e-3) and scores["view.plax.mse"] == 3e-3 and scores["drawn.mse"] == 2e-3
    assert scores["valve.opens"] == pytest.approx(2 / 3) and scores["valve.opens.n"] == 3
    assert scores["ef.mae"] == pytest.approx(0.03) and scores["ef.bias"] == pytest.approx(-0.01)
    assert scores["es_frames.median_abs"] == 2 and scores["es_frames.median_abs.missing"] == 1
    assert scores["beats_kept"] == pytest.approx(2 / 3)
    assert scores["texture.contrast_off"] == pytest.approx(0.1) and scores["texture.across_off"] == pytest.approx(0.2)
    assert scores["tracking_px"] == pytest.approx(0.6) and scores["look.gain_db.high.mse"] == 3e-3


def test_every_figure_is_explained_and_the_bars_are_the_projects():
    scores = summarize_trips([trip()] * 6, KINDS).under("tokenizer").scores
    bare = [key for key in scores if not key.endswith((".n", ".missing")) and key not in FIGURES]
    assert bare == []
    bars = {key.removeprefix("tokenizer."): figure.bar.value for key, figure in FIGURES.items() if figure.bar}
    assert bars == {
        "mse": 1.6e-3, "live_bits": 13, "ef.mae": 0.015, "ed_frames.median_abs": 1, "es_frames.median_abs": 1,
        "valve.opens": 0.95, "tracking_px": 1, "texture.contrast_off": 0.15, "texture.down_off": 0.15,
        "texture.across_off": 0.15, "texture.lasting_off": 0.15,
    }  # fmt: skip


def test_the_same_clips_are_judged_however_many_work_on_them():
    torch.manual_seed(0)
    coder = Tokenizer(CONFIG).eval()

    def measure(clip):
        return measure_masks(clip.frames > 60, clip.times_s, view=clip.view)

    told: list[float] = []
    one = round_trip_scores(coder, measure, clips=5, workers=1, on_step=told.append)
    two = round_trip_scores(coder, measure, clips=5, workers=2)
    assert told[-1] == 1 and one.scores["n"] == 5
    assert one.scores.keys() == two.scores.keys() and one.scores["mse"] == pytest.approx(two.scores["mse"], rel=1e-5)
