"""Where each beat of a recording began, as far as its shape and its timing tell.

This follows the rules of thumb of the textbooks, not a diagnosis: early and wide is ventricular, early and narrow is
atrial, late and unlike the rest is an escape; a fast rhythm of wide complexes counts as ventricular, and wide
complexes at any other rate as those of a bundle branch block. A pacemaker is not told from a left bundle branch block,
a supraventricular beat that happens to be conducted widely counts as ventricular, and a right bundle branch block that
the recorded leads do not show counts as normal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from echopulse.ecg.clean import clean_ecg
from echopulse.ecg.types import ECG, Beats, fill_gaps
from echopulse.ecg.waves import RATE_HZ, average, windows

EARLY, LATE = 0.85, 1.15  # interval before a beat over the usual one around it
RESUMED = 1.15  # interval after an early beat over the one before it: breathing shortens several in a row
WIDE_S = 0.13  # as `qrs_width_s` measures it: narrow complexes stay below 0.12, blocked ones above 0.135
WIDER = 1.4  # area over height of an ectopic QRS, relative to the ordinary ones
FAST_BPM = 120.0
USUAL, USUAL_SHARE = 0.04, 0.5  # this share of the intervals lies that near to their median: no fibrillation does so
QUIET_SHARE, QUIET_SAMPLES = 0.15, 5  # of the largest slope, for 20 ms: what ends a QRS
LATERAL = ("V6", "V5", "I", "aVL")


@dataclass(frozen=True)
class Origins:
    """Names out of the phantom's ORIGINS, RHYTHMS and CONDUCTIONS; `conduction` None where the leads do not tell."""

    beats: tuple[str, ...]  # one for each beat
    rhythm: str
    conduction: str | None


def judge_origins(ecg: ECG, beats: Beats) -> Origins:
    """Where the beats that `find_beats` found in this ECG began, and the phantom's nearest rhythm and conduction."""
    odd = np.isin([f"{time:.2f}" for time in beats.r_peaks_s], beats.provenance.get("ectopic", "none").split())
    if not len(odd):
        return Origins((), "asystole", None)
    clean = clean_ecg(ecg).resampled(RATE_HZ)
    samples = fill_gaps(clean.samples)  # no beat lies in a gap
    peaks = np.rint((beats.r_peaks_s - clean.start_s) * RATE_HZ).astype(int)
    ordinary = ~odd if not odd.all() else odd
    width = qrs_width_s(samples, peaks[ordinary])
    if width >= WIDE_S and beats.heart_rate_bpm >= FAST_BPM:
        return Origins(tuple("sinus" if other else "ventricular" for other in odd), "vt", None)
    conduction = _block(clean.leads, samples, peaks[ordinary]) if width >= WIDE_S else "normal"
    if beats.rhythm == "irregular" and not _has_a_usual_interval(beats):
        wide = odd & (_relative_width(samples, peaks, ordinary) > WIDER)
        return Origins(tuple("ventricular" if own else "atrial" for own in wide), "af", conduction)
    # where all are wide, an ectopic need not be wider
    wide = odd & ((width >= WIDE_S) | (_relative_width(samples, peaks, ordinary) > WIDER))
    names = _by_time(beats, odd, wide)
    return Origins(names, _rhythm(names), conduction)


def qrs_width_s(samples: np.ndarray, peaks: np.ndarray) -> float:
    """How long the average QRS at `peaks` lasts in all leads together, in seconds; infinite where it does not end.

    samples: cleaned, float64 [leads, n] at 250 Hz. From the first to the last moment at which the slope exceeds a
    share of the largest one, with 20 ms of quiet on either side.
    """
    beats, offsets = zip(*(windows(_lowpass(row), peaks, -0.20, 0.26) for row in samples), strict=True)
    slope = np.sqrt(sum(np.gradient(average(beat)) ** 2 for beat in beats))
    at = offsets[0]
    quiet = slope < QUIET_SHARE * slope[np.abs(at) < 0.1].max()
    runs = np.flatnonzero(np.convolve(quiet, np.ones(QUIET_SAMPLES), "valid") > QUIET_SAMPLES - 0.5)  # first samples
    before = runs[at[runs + QUIET_SAMPLES - 1] < -0.02]
    after = runs[at[runs] > 0.02]
    if not len(before) or not len(after):
        return float("inf")
    return float(at[after[0]] - at[before[-1] + QUIET_SAMPLES - 1])


def _lowpass(row: np.ndarray) -> np.ndarray:
    from scipy.signal import butter, sosfiltfilt

    return sosfiltfilt(butter(2, 40.0, fs=RATE_HZ, output="sos"), row)


def _relative_width(samples: np.ndarray, peaks: np.ndarray, ordinary: np.ndarray) -> np.ndarray:
    """Area over height of each QRS relative to the ordinary ones, the middle one of the leads. [beats]"""
    ratios = []
    for row in samples:
        beats = windows(row, peaks, -0.12, 0.16)[0]
        beats = np.abs(beats - np.nanmedian(beats, axis=1, keepdims=True))
        width = np.nansum(beats, axis=1) / (np.nanmax(beats, axis=1) + 1e-9)
        ratios.append(width / np.median(width[ordinary]))
    return np.median(ratios, axis=0)


def _has_a_usual_interval(beats: Beats) -> bool:
    """Whether a steady rhythm is only broken by early beats, however often."""
    near = np.abs(beats.rr_s / np.median(beats.rr_s) - 1) < USUAL
    return bool(near.mean() >= USUAL_SHARE)


def _by_time(beats: Beats, odd: np.ndarray, wide: np.ndarray) -> tuple[str, ...]:
    """The origin of each beat in a rhythm that is otherwise the sinus node's."""
    rr = beats.rr_s
    names = []
    for k in range(len(odd)):
        first = max(0, min(k - 4, len(rr) - 7))
        near = rr[first : first + 7]
        usual = float(np.median(near)) if len(near) else 1.0
        before = rr[k - 1] / usual if k else 1.0
        resumed = k == len(rr) or k > 0 and rr[k] > RESUMED * rr[k - 1]
        if odd[k] and before > LATE:
            names.append("escape")
        elif wide[k]:
            names.append("ventricular")
        elif before < EARLY and (odd[k] or resumed):
            names.append("atrial")
        else:
            names.append("sinus")
    return tuple(names)


def _rhythm(names: tuple[str, ...]) -> str:
    """The phantom's name for a rhythm whose beats begin there."""
    own = [name == "ventricular" for name in names]
    turns = sum(first != second for first, second in zip(own, own[1:], strict=False))
    if sum(own) >= 3 and turns >= 0.8 * (len(own) - 1):
        return "bigeminy"
    return "pvc" if any(own) else "pac" if "atrial" in names else "sinus"


def _block(leads: tuple[str, ...], samples: np.ndarray, peaks: np.ndarray) -> str | None:
    """Which bundle branch fails, by where the end of the wide QRS points: to the right with V1, away from the left."""
    for name in ("V1", *LATERAL):
        if name in leads:
            beat, at = windows(_lowpass(samples[leads.index(name)]), peaks, -0.2, 0.2)
            beat = average(beat)
            beat -= beat[at < -0.12].mean()
            end = beat[(at > 0.03) & (at < 0.09)].mean() / np.abs(beat).max()
            right = end > 0 if name == "V1" else end < -0.05
            return "rbbb" if right else "lbbb"
    return None
