"""Beats against an ECG on curves known by formula."""

import numpy as np
import pytest

from echopulse.evaluate.beats import beat_figures, follow_intervals, heart_rates, maxima_near
from echopulse.evaluate.files import aggregate, names_of

TIMES = np.arange(100) / 25
PEAKS = 0.1 + 0.8 * np.arange(-1, 7)


def volume(late_s: float = 0.0, swing: float = 0.6) -> np.ndarray:
    """Flat from 0.06 s before R to 0.06 s after it, then down for 0.3 s and up again."""
    phase = np.mod(TIMES - PEAKS[0] - 0.06 - late_s, 0.8)
    down = np.where(phase < 0.3, phase / 0.3, np.clip((0.68 - phase) / 0.38, 0, 1))
    return 120 * (1 - swing * np.sin(np.pi / 2 * down) ** 2)


def test_a_heart_in_time_has_every_maximum_and_minimum():
    figures = beat_figures(PEAKS, TIMES, volume())
    assert figures["r_with_maximum"] == 1 and figures["r_with_maximum.n"] >= 4
    assert figures["beats_with_minimum"] == 1 and figures["extra_minima"] == 0
    assert figures["ecg_rate_bpm"] == pytest.approx(75)
    assert figures["rate_difference_bpm"] <= 1


@pytest.mark.parametrize("late_s", [-0.25, 0.3, 0.4])
def test_a_heart_out_of_time_has_minima_but_no_maxima_at_r(late_s):
    figures = beat_figures(PEAKS, TIMES, volume(late_s))
    assert figures["r_with_maximum"] == 0
    assert figures["rate_difference_bpm"] <= 1


def test_a_standing_heart_has_neither():
    figures = beat_figures(PEAKS, TIMES, np.full(100, 90.0))
    assert figures["r_with_maximum"] == 0 and figures["beats_with_minimum"] == 0
    assert np.isnan(figures["video_rate_bpm"]) and np.isnan(figures["rate_difference_bpm"])


def test_a_plateau_counts_and_its_end_does_not_matter():
    assert maxima_near(PEAKS, TIMES, volume(0.05)).all() and maxima_near(PEAKS, TIMES, volume(-0.05)).all()


def test_a_curve_of_nothing_or_an_ecg_without_beats_gives_nothing_but_no_error():
    assert np.isnan(beat_figures(PEAKS, TIMES, np.full(100, np.nan))["video_rate_bpm"])
    figures = beat_figures(np.zeros(0), TIMES, volume())
    assert np.isnan(figures["r_with_maximum"]) and figures["interval_r.n"] == 0


def test_irregular_intervals_are_followed_whatever_the_lag():
    rr = np.random.default_rng(0).uniform(0.5, 1.2, 10)
    peaks = np.cumsum(rr)
    r, n = follow_intervals(peaks + 0.37, peaks)
    assert n == 9 and r == pytest.approx(1)
    r, _ = follow_intervals(np.arange(peaks[0], peaks[-1], rr.mean()) + 0.3, peaks)
    assert not r > 0.8


def test_the_worst_file_counts_and_nothing_is_hidden():
    good = {"rhythm": "sinus", "rate_difference_bpm": 1.0, "r_with_maximum": 1.0, "beats_with_minimum": 1.0}
    lost = {**good, "rate_difference_bpm": float("nan"), "beats_with_minimum": 0.5}
    scores = aggregate([good, lost])
    assert np.isnan(scores["beats.regular.rate_difference_bpm.largest"])
    assert scores["beats.regular.beats_with_minimum.smallest"] == 0.5
    assert "beats.irregular.interval_r.smallest" not in scores


def test_files_get_names_fit_for_keys(tmp_path):
    assert names_of([tmp_path / "a.b.csv", tmp_path / "x" / "1.csv", tmp_path / "y" / "1.hea"]) == ["a_b", "x_1", "y_1"]


def test_a_rate_is_compared_over_the_same_stretch_even_when_it_changes():
    peaks = np.cumsum([0.0, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95])
    video, ecg = heart_rates((peaks[1:5] + 0.1, peaks[1:4] + 0.4), peaks)
    assert video == pytest.approx(ecg, abs=1.5)


def test_a_heart_that_beats_twice_as_often_as_its_ecg_shows_twice_the_rate():
    peaks = np.arange(6.0)
    video, ecg = heart_rates((np.arange(0.25, 4.5, 0.5),), peaks)
    assert (video, ecg) == (pytest.approx(120), pytest.approx(60))
