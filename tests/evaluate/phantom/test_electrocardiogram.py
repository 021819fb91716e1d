"""R peaks of made-up leads: in time, late, missing and among noise."""

import numpy as np
import pytest

from echopulse.evaluate.phantom.electrocardiogram import detection, match_counts, peak_spread, peak_times

RATE, START = 500.0, -1.0
TIMES = START + np.arange(5000) / RATE
PEAKS = np.arange(-0.4, 8.9, 0.85)


def lead(late: float = 0.0, height: float = 1.0) -> np.ndarray:
    """P, QRS and T around every peak, with the QRS `late` seconds late."""
    wave = np.zeros(len(TIMES))
    for r in PEAKS:
        t = TIMES - r
        wave += 0.1 * np.exp(-0.5 * ((t + 0.16) / 0.02) ** 2) + 0.25 * np.exp(-0.5 * ((t - 0.28) / 0.045) ** 2)
        wave += height * np.exp(-0.5 * ((t - late) / 0.011) ** 2)
    return wave


def test_peaks_are_found_between_samples():
    found = peak_times(lead(0.0033), RATE, START, PEAKS)
    assert np.nanmax(np.abs(found - PEAKS - 0.0033)) < 5e-4
    assert np.isnan(peak_times(lead(), RATE, START, np.array([-0.99, np.nan]))).all()


def test_a_lead_without_an_r_wave_has_no_r_peak_but_a_largest_deflection():
    assert np.isnan(peak_times(lead(0.0, -0.8), RATE, START, PEAKS)).all()
    found = peak_times(lead(0.0033, -0.8), RATE, START, PEAKS, upward=False)
    assert np.nanmax(np.abs(found - PEAKS - 0.0033)) < 5e-4


def test_leads_that_disagree_are_found_out():
    together = peak_spread(np.stack([lead(), lead(0.004), lead(0.03, -0.5)]), RATE, START, PEAKS)
    apart = peak_spread(np.stack([lead(), lead(0.02), lead()]), RATE, START, PEAKS)
    assert np.nanmax(together) == pytest.approx(0.004, abs=5e-4)
    assert np.nanmin(apart) > 0.015
    assert np.isnan(peak_spread(np.stack([lead(), lead(0.03, -0.5)]), RATE, START, PEAKS)).all()


def test_a_detector_finds_the_beats_that_are_there():
    found, there, false, close = detection(lead(), RATE, START, PEAKS)
    assert there >= 9 and found == there == close and false == 0
    found, there, *_ = detection(lead(), RATE, START, PEAKS + 0.4)  # the truth of another heart
    assert found == 0 and there >= 9


def test_counts_of_missed_and_false_beats():
    found, true = np.array([1.01, 2.2, 3.1]), np.array([1.0, 2.0, 3.0])
    assert match_counts(found, true, 0, 4) == (2, 1)
    assert match_counts(found, true, 0, 4, window_s=0.05) == (1, 2)
    assert match_counts(np.zeros(0), np.array([1.0]), 0, 4) == (0, 0)
