"""How much of a heart's motion is explained by the ECG that it was given.

A given ECG says what the true heart would do: its own curve at the time that the change of the ECG maps each moment to.
**Explained** is the share of the variance of the measured curve that a straight line on that truth explains, r², and 0
where r is negative: a heart that does the opposite obeys nothing. **Gained** is that share less the share that the same
heart's clip made without any ECG explains of the same truth: what the ECG brought, not what picture, view and habit
bring. **Obedience** over many clips is (E - E0) / (1 - E0), with E the mean share explained and E0 that without an ECG:
1 when all that was left to explain is explained, 0 when the ECG brought nothing (a skill score, Murphy 1988).
**Locking** is the length of the mean of exp(2 pi i · lag / RR) over clips (Mardia 1972): 1 if every clip keeps the same
distance to its ECG, near 0 if it keeps none; the angle of that mean is the usual lag in beats.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from echopulse.evaluate.hearts import Heart
from echopulse.evaluate.timing import TimingErrors, curve_correlation, cycles_between, timing_errors

LAG_STEP_S = 0.02
USUAL_RR_S = 0.8
KNOWN_SHARE = 0.5  # of the frames, below which a curve says nothing


@dataclass(frozen=True, eq=False)
class Given:
    """An ECG that is given to a heart, and what a heart that obeys it does.

    `leader` is whose truth counts, None where nothing should beat. At time t it does what the leader does at
    factor · (t - shift_s), seconds from the first frame.
    """

    ecg: Tensor | None  # float32 [l, n] mV; None: no ECG at all
    leader: Heart | None
    factor: float = 1.0
    shift_s: float = 0.0
    leads: tuple[str, ...] | None = None  # their names, where they are known

    def volume(self, times_s: np.ndarray) -> np.ndarray:
        """The true volume at the clip's times [t], ml; NaN where it is not known."""
        return self.leader.true_volume(self.factor * (times_s - self.shift_s))

    @property
    def r_peaks_s(self) -> np.ndarray:
        return self.leader.r_peaks_s / self.factor + self.shift_s

    @property
    def rr_s(self) -> float:
        """Median RR interval of the given ECG, seconds."""
        peaks = np.sort(self.r_peaks_s)
        return float(np.median(np.diff(peaks))) if len(peaks) > 1 else USUAL_RR_S

    def errors(self, times_s: np.ndarray, volume: np.ndarray, es_level: float) -> TimingErrors:
        """A volume curve [t] against this truth, in the cycles for which the truth is known throughout."""
        truth = self.volume(times_s)
        known = times_s[np.isfinite(truth)]
        cycles = cycles_between(self.r_peaks_s, known[0], known[-1]) if len(known) else []
        t_ends = self.leader.t_ends_s / self.factor + self.shift_s
        return timing_errors(times_s, volume, cycles, truth_volume=truth, t_ends_s=t_ends, es_level=es_level)


def explained(curve: np.ndarray, truth: np.ndarray) -> float:
    """Share of a curve's variance [t] that a truth [t] explains, 0..1; 0 for a heart that stands still.

    NaN where fewer than half of the frames are known in both.
    """
    known = np.isfinite(curve) & np.isfinite(truth)
    if known.mean() < KNOWN_SHARE:
        return float("nan")
    r = curve_correlation(curve, truth)
    return max(r, 0.0) ** 2 if np.isfinite(r) else 0.0


def best_lag(curve: np.ndarray, times_s: np.ndarray, given: Given) -> float:
    """How much later than a given truth the curve is, seconds within half a beat; NaN where nothing moves.

    The lag at which the two correlate best, over at least half of the frames.
    """
    half = 0.5 * given.rr_s
    lags = np.arange(-half + LAG_STEP_S / 2, half, LAG_STEP_S)
    found = []
    for lag in lags:
        truth = given.volume(times_s - lag)
        enough = (np.isfinite(curve) & np.isfinite(truth)).mean() >= KNOWN_SHARE
        found.append(curve_correlation(curve, truth) if enough else np.nan)
    if not np.isfinite(found).any() or np.nanmax(found) <= 0:
        return float("nan")
    return float(lags[int(np.nanargmax(found))])


def found_shift(lag_s: float, lag_unmoved_s: float, shift_s: float, rr_s: float) -> float:
    """By how much a clip moved when its ECG was moved by `shift_s`, both lags against the unmoved truth.

    A heart that repeats itself tells a lag up to whole beats only; the one nearest to half of the shift is taken, which
    is as far from "moved along" as from "did not move".
    """
    moved = lag_s - lag_unmoved_s - 0.5 * shift_s
    return 0.5 * shift_s + (moved + 0.5 * rr_s) % rr_s - 0.5 * rr_s


def obedience(given: np.ndarray, without: np.ndarray) -> float:
    """(E - E0) / (1 - E0) of shares explained with and without an ECG, any shape; NaN is left out of both."""
    known = np.isfinite(given) & np.isfinite(without)
    if not known.any():
        return float("nan")
    e, e0 = float(given[known].mean()), float(without[known].mean())
    return (e - e0) / (1 - e0) if e0 < 1 else float("nan")


def locking(phases: np.ndarray) -> float:
    """Mean resultant length of lags in beats, any shape, 0..1; NaN is left out."""
    return float(abs(_resultant(phases)))


def usual_phase(phases: np.ndarray) -> float:
    """Circular mean of lags in beats, -0.5..0.5; positive is late."""
    return float(np.angle(_resultant(phases)) / (2 * np.pi))


def _resultant(phases: np.ndarray) -> complex:
    known = phases[np.isfinite(phases)]
    return np.exp(2j * np.pi * known).mean() if len(known) else complex(np.nan, np.nan)
