"""A minute of a heart that stays itself, of one that wears out, and of one that jerks where windows meet."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from echopulse.evaluate.long import border_frames, border_kink, examine, held_out_for_long, likeness, long_scores
from tests.evaluate.conftest import KnownHeart, read, spell

SECONDS, FPS = 30.0, 25.0
TIMES = np.arange(round(SECONDS * FPS)) / FPS


def a_heart():
    known = KnownHeart(0, 72, 0.3, 0.6)
    peaks = 0.3 + known.rr * np.arange(-3, 60)
    known.peaks = peaks
    return known, replace(known.as_heart(0), r_peaks_s=peaks)


def shown(volume: np.ndarray) -> np.ndarray:
    """Volumes as pictures that also look different with the volume: large enough for SSIM, spelled in a corner."""
    frames = np.zeros((len(volume), 16, 16), np.uint8)
    frames[:] = (np.arange(16) * volume[:, None] / 40).astype(np.uint8)[:, None]
    frames[:, :1, :2] = spell(volume)
    return frames


def test_a_heart_that_stays_itself_drifts_by_nothing():
    known, heart = a_heart()
    found = examine(shown(known.volume(TIMES)), heart, read, FPS, window=9)
    assert found["ef_drift"] < 0.01 and abs(found["ssim_fall"]) < 0.02 and found["ssim_first"] > 0.95
    assert found["rate_difference_bpm"] < 0.5 and found["border_kink"] == pytest.approx(1, abs=0.35)


def test_one_that_wears_out_and_fades_is_found_out():
    known, heart = a_heart()
    slow = np.linspace(1, 0.3, len(TIMES))
    frames = shown(120 - (120 - known.volume(TIMES)) * slow)
    faded = frames.copy()
    faded[400:, 2:] = np.random.default_rng(0).integers(0, 60, faded[400:, 2:].shape)
    found = examine(faded, heart, read, FPS, window=9)
    assert found["ef_drift"] > 0.2 and found["ssim_fall"] > 0.3


def test_a_jerk_where_windows_meet_shows_and_elsewhere_does_not():
    smooth = 10 + np.sin(TIMES)
    borders = border_frames(len(TIMES), 9)
    assert borders[:3].tolist() == [33, 53, 73] and borders.max() < len(TIMES)
    jerky = smooth.copy()
    for number, border in enumerate(borders):
        jerky[border:] += 0.2 * (-1) ** number
    assert border_kink(smooth, borders) == pytest.approx(1, abs=0.1)
    assert border_kink(jerky, borders) > 20 and np.isnan(border_kink(np.full(50, np.nan), borders))
    assert border_kink(jerky, borders[:-1] + 10) < 0.1  # elsewhere


def test_a_jerk_at_every_latent_frame_is_none_of_the_windows():
    smooth = 10 + np.sin(TIMES)
    steps = smooth + 0.2 * (np.arange(3, 3 + len(TIMES)) // 4 % 2)
    borders, latent = border_frames(len(TIMES), 9), np.arange(1, len(TIMES), 4)
    others = np.setdiff1d(latent, borders)
    assert border_kink(steps, borders) > 1.5 and border_kink(steps, borders, others) == pytest.approx(1, abs=0.1)
    assert border_kink(steps, others, latent + 2) > 20 and border_kink(smooth, others, latent + 2) < 1.3


def test_pictures_are_not_compared_with_themselves():
    pictures = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(0))
    assert np.isnan(likeness(pictures, np.array([1]), np.array([1])))
    assert np.isnan(likeness(pictures, np.array([]), np.array([0])))
    assert likeness(pictures, np.array([0]), np.array([1])) < 0.3


def test_hearts_for_a_minute_beat_and_have_their_ecg_to_the_end(obedient):
    hearts = held_out_for_long(12.0, clips=2, size=32, fps=FPS, ecg_rate_hz=200.0)
    assert len(hearts) == 2 and all(heart.moving for heart in hearts)
    for heart in hearts:
        assert heart.ecg.shape[1] / 200 + heart.ecg_start_s > 12.5 and heart.r_peaks_s.max() > 11
    known, heart = a_heart()
    bench = replace(obedient, generate=lambda ecg, begin, frames, **_: shown(known.volume(np.arange(frames) / FPS)))
    told: list[float] = []
    scores = long_scores(bench, [heart, heart], seconds=SECONDS, fps=FPS, on_step=told.append).scores
    assert scores["ef_drift"] < 0.01 and scores["n"] == 2 and "border_kink" not in scores and told[-1] == 1
