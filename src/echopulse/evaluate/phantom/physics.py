"""Beats, volume curves and intervals held against physiology. Pure functions; seconds, millilitres, per minute.

Curves are float [t] at times [t]; beat tables are float [n], in order, NaN where there is no beat.
"""

from __future__ import annotations

import numpy as np

PLATEAU = 0.01  # of the beat's largest volume: what a reader of the picture calls equally large
WAVE = 0.05  # of the fastest filling: a smaller bump of the filling rate is no wave
KICK = 0.04  # of the kick's largest slope: where it is said to begin


def systolic_intervals(rate_bpm: np.ndarray, female: np.ndarray | float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Pre-ejection period and left-ventricular ejection time (s) that go with a heart rate.

    Regressions of Weissler, Harris and Schoenfeld 1968 (textbook values): men PEP 131 - 0.4 HR, LVET 413 - 1.7 HR;
    women 133 - 0.4 HR, 418 - 1.6 HR. Above 110/min the ejection time falls by 1.2 ms per beat, as measured in exercise.
    """
    rate, female = np.asarray(rate_bpm, np.float64), np.asarray(female, np.float64)
    slope = 1.7 - 0.1 * female
    ejection = 413 + 5 * female - slope * np.minimum(rate, 110) - 1.2 * np.maximum(rate - 110, 0)
    return (131 + 2 * female - 0.4 * rate) / 1e3, ejection / 1e3


def largest_step(volume: np.ndarray, edv_ml: float) -> float:
    """The largest change from one frame to the next, relative to the end-diastolic volume."""
    return float(np.abs(np.diff(volume)).max(initial=0.0) / edv_ml)


def drift(volume: np.ndarray, one_period_later: np.ndarray, edv_ml: float) -> float:
    """How far two curves [t] that should be the same lie apart, relative to the end-diastolic volume."""
    return float(np.abs(np.asarray(volume) - one_period_later).max() / edv_ml)


def plateau_before(times_s: np.ndarray, volume: np.ndarray, onset_s: float) -> tuple[float, float]:
    """When the ventricle is at its largest before it ejects: first and last time within `PLATEAU` of V(onset).

    The volume stands still from the closure of the mitral valve to the opening of the aortic valve, so end-diastole is
    a stretch of time and not a moment. NaN where the curve does not reach from before to after the onset.
    """
    if not times_s[0] < onset_s < times_s[-1]:
        return float("nan"), float("nan")
    large = volume >= (1 - PLATEAU) * np.interp(onset_s, times_s, volume)
    at = int(np.searchsorted(times_s, onset_s)) - 1
    first = at
    while first > 0 and large[first - 1]:
        first -= 1
    last = at
    while last < len(times_s) - 1 and large[last + 1]:
        last += 1
    return float(times_s[first]), float(times_s[last])


def end_diastole_lag(plateau: tuple[float, float], r_peak_s: float, late_s: float = 0.05) -> float:
    """How far (s) the end-diastolic plateau stays from the window R .. R + `late_s`; 0 where they meet, early < 0."""
    start, stop = plateau
    if stop < r_peak_s:
        return stop - r_peak_s
    return max(start - (r_peak_s + late_s), 0.0) if np.isfinite(start) else float("nan")


def filling_waves(volume: np.ndarray) -> int:
    """How many waves of inflow a diastole has: peaks of dV/dt [t] with a clear dip between them."""
    rate = np.diff(np.asarray(volume, np.float64))
    top = rate.max(initial=0.0)
    if top <= 0:
        return 0
    waves, lowest, highest, rising = 0, 0.0, 0.0, True
    for value in rate / top:
        if rising:
            highest = max(highest, value)
            if value < highest - WAVE:
                waves, rising, lowest = waves + 1, False, value
        else:
            lowest = min(lowest, value)
            if value > lowest + WAVE:
                rising, highest = True, value
    return waves + int(rising and highest > WAVE)


def kick_start(times_s: np.ndarray, volume: np.ndarray, p_onset_s: float, before_s: float = 0.02,
               after_s: float = 0.16) -> float:
    """Seconds from P onset to the moment when the atrial kick speeds up the filling; NaN where it cannot be seen.

    The filling rate must be low and even before the kick (diastasis), so that the early wave does not hide its start.
    """
    near = (times_s >= p_onset_s - before_s) & (times_s <= p_onset_s + after_s)
    if near.sum() < 8 or times_s[-1] < p_onset_s + after_s:
        return float("nan")
    slope = np.gradient(volume[near], times_s[near])
    calm = slope[times_s[near] <= p_onset_s + before_s]
    rise = slope - np.median(calm)
    if rise.max() <= 0 or np.ptp(calm) > 0.1 * rise.max():
        return float("nan")
    first = int(np.argmax(rise > KICK * rise.max()))
    return float(times_s[near][first] - p_onset_s)


def ratio_correlation(stroke: np.ndarray, rr_before: np.ndarray) -> float:
    """Pearson's r between a beat's stroke volume and the ratio of the last two intervals before it, RR-1 / RR-2."""
    stroke, rr = np.asarray(stroke, np.float64)[1:], np.asarray(rr_before, np.float64)
    ratio = rr[1:] / rr[:-1]
    known = np.isfinite(stroke) & np.isfinite(ratio)
    if known.sum() < 8:
        return float("nan")
    return float(np.corrcoef(stroke[known], ratio[known])[0, 1])


def potentiation(stroke: np.ndarray, ectopic: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Stroke volumes of single ventricular ectopics and of the beats after them, relative to the beat before them.

    Only where the beat before is a usual one: itself and the one before it not ectopic. Two arrays [k].
    """
    stroke, ectopic = np.asarray(stroke, np.float64), np.asarray(ectopic, bool)
    chosen = [
        k for k in range(2, len(stroke) - 1)
        if ectopic[k] and not (ectopic[k - 1] or ectopic[k - 2] or ectopic[k + 1]) and np.isfinite(stroke[k + 1])
    ]  # fmt: skip
    usual = stroke[[k - 1 for k in chosen]] if chosen else np.zeros(0)
    return stroke[chosen] / usual, stroke[[k + 1 for k in chosen]] / usual
