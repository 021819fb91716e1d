"""Timing figures on curves known by formula: a known shift gives that figure back."""

import numpy as np
import pytest

from echopulse.evaluate.timing import (
    curve_correlation,
    cycles_between,
    interval_correlation,
    join,
    match_beats,
    summarize,
    timing_errors,
)

TIMES = np.arange(0, 8, 0.04)
PERIOD = 0.9
R_PEAKS = np.arange(-1.8, 10, PERIOD)
CYCLES = cycles_between(R_PEAKS, 0.3, TIMES[-1])  # room to see an ED that comes too early


def heart(shift_s: float = 0.0, swing: float = 0.6) -> np.ndarray:
    """A volume that is largest at every R peak plus the shift, smallest 0.36 s later; smooth, uneven halves."""
    phase = np.mod(TIMES - R_PEAKS[0] - shift_s, PERIOD)
    systole = np.where(phase < 0.36, phase / 0.36 / 2, 0.5 + (phase - 0.36) / (PERIOD - 0.36) / 2)
    return 120 * (1 - swing * (1 - np.cos(2 * np.pi * systole)) / 2)


@pytest.mark.parametrize("shift_ms", [-120, -40, 0, 25, 60, 150])
def test_a_known_shift_is_the_error(shift_ms):
    errors = timing_errors(TIMES, heart(shift_ms / 1e3), CYCLES, truth_volume=heart())
    assert len(CYCLES) >= 7
    assert errors.ed_ms == pytest.approx(np.full(len(CYCLES), shift_ms), abs=8)
    assert errors.es_ms == pytest.approx(np.full(len(CYCLES), shift_ms), abs=8)
    figures = errors.summary()
    assert figures["es_ms.median_abs"] == pytest.approx(abs(shift_ms), abs=8)
    assert figures["es_ms.mean"] == pytest.approx(shift_ms, abs=8)
    assert figures["ed_ms.n"] == len(CYCLES) and figures["ed_ms.missing"] == 0


def test_lags_to_the_ecg_have_their_sign():
    t_ends = R_PEAKS + 0.33
    errors = timing_errors(TIMES, heart(0.02), CYCLES, t_ends_s=t_ends)
    assert np.isnan(errors.ed_ms).all() and np.isnan(errors.es_ms).all()  # no truth was given
    assert errors.es_minus_t_end_ms == pytest.approx(np.full(len(CYCLES), 50), abs=10)
    early = timing_errors(TIMES, heart(-0.02), CYCLES, t_ends_s=t_ends)
    assert errors.ed_minus_r_ms - early.ed_minus_r_ms == pytest.approx(np.full(len(CYCLES), 40), abs=8)


def test_amplitude_does_not_move_the_timing():
    errors = timing_errors(TIMES, heart(0, swing=0.2), CYCLES, truth_volume=heart(0, swing=0.7))
    assert np.abs(errors.ed_ms).max() <= 6 and np.abs(errors.es_ms).max() <= 6


def test_a_heart_that_stands_still_has_no_timing_and_says_so():
    errors = timing_errors(TIMES, np.full(len(TIMES), 100.0), CYCLES, truth_volume=heart())
    figures = errors.summary()
    assert figures["ed_ms.n"] == 0 and figures["ed_ms.missing"] == len(CYCLES)
    assert np.isnan(figures["es_ms.median_abs"])
    assert np.isnan(curve_correlation(np.full(len(TIMES), 100.0), heart()))


def test_a_curve_that_ignores_the_ecg_scores_at_chance():
    generator = np.random.default_rng(0)
    parts = [
        timing_errors(
            TIMES,
            np.convolve(generator.standard_normal(len(TIMES) + 4), np.ones(5), "valid"),
            CYCLES,
            truth_volume=heart(),
        )
        for _ in range(30)
    ]
    found = summarize(join(parts, range(len(parts))).es_ms)["median_abs"]
    assert 150 < found < 1e3 * PERIOD / 3  # a time drawn evenly from the cycle is a quarter of it off


def test_correlation_is_pearsons():
    a, b = heart(), heart(0.1)
    assert curve_correlation(a, b) == pytest.approx(np.corrcoef(a, b)[0, 1])
    assert curve_correlation(a, 5 - 2 * a) == pytest.approx(-1)
    gaps = a.copy()
    gaps[3:7] = np.nan
    assert curve_correlation(gaps, a) == pytest.approx(1)
    assert np.isnan(curve_correlation(np.full(9, np.nan), np.arange(9.0)))
    for level in (0.0, 0.1, 12.34, 1e-30):  # the mean of equal values is not always that value
        assert np.isnan(curve_correlation(np.full(50, level), a[:50])), level
        assert np.isnan(curve_correlation(a[:50], np.full(50, level))), level
    assert curve_correlation(1e-20 * a, a) == pytest.approx(1)
    with pytest.raises(ValueError, match="equally long"):
        curve_correlation(a, b[1:])


def test_beats_are_matched_one_to_one_closest_first():
    match = match_beats([0.1, 1.05, 1.12, 3.0], [0.0, 1.1, 2.0], 0.15)
    assert match.video_index.tolist() == [0, 2] and match.ecg_index.tolist() == [0, 1]
    assert match.lags_s == pytest.approx([0.1, 0.02])
    assert match.missed == 1 and match.extra == 2


def test_matching_nothing_is_nothing():
    match = match_beats([], [], 0.1)
    assert len(match.lags_s) == match.missed == match.extra == 0
    assert match_beats([], [1.0, 2.0], 0.1).missed == 2
    assert match_beats([1.0], [np.nan], 0.1).extra == 1


def test_intervals_are_compared_only_between_neighbours():
    generator = np.random.default_rng(0)
    ecg = np.cumsum(generator.uniform(0.5, 1.1, 12))
    r, n = interval_correlation(ecg + 0.02 * generator.standard_normal(12), ecg, 0.15)
    assert n == 11 and r > 0.95
    r, n = interval_correlation(np.delete(ecg, 5), ecg, 0.15)
    assert n == 9 and r == pytest.approx(1)


def test_only_whole_cycles_are_taken():
    assert cycles_between([2.0, -0.5, 0.5, np.nan, 1.2], 0.0, 1.9) == [(0.5, 1.2)]
    assert cycles_between([], 0.0, 1.0) == []


def test_summary_has_signed_and_absolute_figures():
    figures = summarize([-30.0, 10.0, np.nan, 50.0])
    assert figures == {"median": 10.0, "mean": 10.0, "median_abs": 30.0, "mean_abs": 30.0, "n": 3, "missing": 1}
