"""From a volume curve to heart beats: end-diastoles, end-systoles, ejection fractions and the heart rate.

Only the curve is used, never the ECG, so that what is found here can be held against the ECG. Any unit of volume will
do; every threshold is relative. Areas work as well, but their ejection fractions are fractional area changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SMOOTHING_S = 0.2  # window of the local parabola
SHORTEST_BEAT_S = 0.25
SMALLEST_SWING = 0.08  # of the largest volume; less is a standing heart, measured with noise
SMALLEST_STROKE = 0.05  # of the largest volume
SMALLEST_BEAT = 0.2  # of the clip's whole swing; ventricular ectopic beats eject little
NOISE_FACTOR = 4.0
END_DIASTOLE_LEVEL = 0.9  # ED is the last time above this part of the fall, see `phase_times`
PLATEAU_S = 0.25  # before ED, where the end-diastolic volume is read
IRREGULAR = 0.3  # by so much of the median the longest and shortest interval differ; breathing alone hardly does that


@dataclass(frozen=True, eq=False)
class Cycles:
    """The contractions of one clip.

    `ed_frames`, `es_frames` (int [k], paired), their sub-frame times `ed_times_s`, `es_times_s` (float64 [k]) and
    `ef_per_beat` (float64 [k]) hold the contractions seen from end-diastole to end-systole. `minima_s` (float64 [m],
    m >= k) holds every end-systole, also the one whose end-diastole lies before the clip.
    """

    ed_frames: np.ndarray
    es_frames: np.ndarray
    ed_times_s: np.ndarray
    es_times_s: np.ndarray
    ef_per_beat: np.ndarray
    minima_s: np.ndarray

    @property
    def heart_rate_bpm(self) -> float:
        """60 over the usual beat-to-beat interval, see `heart_rate_from_phases`; NaN with fewer than two beats."""
        return heart_rate_from_phases(self.ed_times_s, self.minima_s)


def heart_rate_from_phases(ed_times_s: np.ndarray, es_times_s: np.ndarray) -> float:
    """60 over the mean of the usual ED-to-ED and ES-to-ES intervals, per minute; NaN if there is no interval.

    Usual are those of half to one and a half times the median, so that a beat that was missed or seen twice does not
    count. Not the median itself: between frames 40 ms apart it moves in steps of 5/min at 90/min.
    """
    intervals = np.concatenate([np.diff(ed_times_s), np.diff(es_times_s)])
    if not len(intervals):
        return float("nan")
    usual = np.median(intervals)
    return float(60.0 / np.mean(intervals[(intervals >= 0.5 * usual) & (intervals <= 1.5 * usual)]))


def is_irregular(ed_times_s: np.ndarray, es_times_s: np.ndarray) -> bool:
    """Whether the intervals from ED to ED and from ES to ES are so unlike that beats between them may be missing."""
    intervals = np.concatenate([np.diff(ed_times_s), np.diff(es_times_s)])
    return len(intervals) > 1 and bool(np.ptp(intervals) > IRREGULAR * np.median(intervals))


def smooth_curve(times_s: np.ndarray, volume: np.ndarray) -> np.ndarray:
    """Local parabolas over about 0.2 s (Savitzky and Golay 1964), at least five frames; gaps (NaN) are bridged first.

    Less flattening of ED and ES than a moving average of equal noise reduction: at 25 frames/s the weights are
    (-3, 12, 17, 12, -3) / 35.
    """
    from scipy.signal import savgol_filter

    times, volume = np.asarray(times_s, np.float64), np.asarray(volume, np.float64)
    if times.shape != volume.shape or times.ndim != 1:
        raise ValueError(f"times {times.shape} and volumes {volume.shape} must be one-dimensional and equally long")
    known = np.isfinite(volume)
    if not known.any():
        return volume.copy()
    volume = np.interp(times, times[known], volume[known])
    if len(volume) < 5:
        return volume
    window = max(5, 2 * int(round(SMOOTHING_S / np.median(np.diff(times)) / 2 - 0.25)) + 1)
    return savgol_filter(volume, min(window, len(volume) - 1 + len(volume) % 2), 2)


def ejection_fraction_overall(times_s: np.ndarray, volume: np.ndarray) -> float:
    """1 - min/max of the smoothed curve, with or without beats: near 0 for a heart that stands still."""
    curve = smooth_curve(times_s, volume)
    top = curve.max() if len(curve) else np.nan
    return float(np.clip(1 - curve.min() / top, 0, 1)) if np.isfinite(top) and top > 0 else float("nan")


def _end_systoles(times: np.ndarray, raw: np.ndarray, curve: np.ndarray) -> np.ndarray:
    """Frame indices of the minima deep enough to be heart beats."""
    from scipy.signal import find_peaks

    known = np.isfinite(raw)
    if known.sum() < max(5, len(raw) / 2):
        return np.zeros(0, int)
    low, high = np.percentile(curve, [3, 97])
    swing = high - low
    residual = raw[known] - curve[known]
    noise = 1.4826 * np.median(np.abs(residual - np.median(residual)))
    threshold = max(SMALLEST_BEAT * swing, SMALLEST_STROKE * high, NOISE_FACTOR * noise)
    if high <= 0 or swing < max(threshold, SMALLEST_SWING * high):
        return np.zeros(0, int)
    distance = max(1.0, SHORTEST_BEAT_S / float(np.median(np.diff(times))))
    # Walls at both ends: a contraction cut by the clip's edge is judged by the side that can be seen ...
    walled = np.concatenate([[high + swing], curve, [high + swing]])
    found, shape = find_peaks(-walled, prominence=threshold, distance=distance)
    found = found - 1
    # ... but then it has to reach the depth of an end-systole, for a dip in diastole at the edge has a wall too.
    climb_left = np.array([curve[: i + 1].max() - curve[i] for i in found])
    climb_right = np.array([curve[i:].max() - curve[i] for i in found])
    cut = np.minimum(climb_left, climb_right) < threshold
    deep = curve[found] <= low + 0.35 * swing
    inside = (found > 0) & (found < len(curve) - 1)
    return found[inside & (deep | ~cut)]


def _spline(times: np.ndarray, curve: np.ndarray):
    from scipy.interpolate import CubicSpline

    return CubicSpline(times, curve)


def _last_time_above(times: np.ndarray, values: np.ndarray, level: float) -> float:
    """Time at which a curve ending below `level` is at or above it for the last time, linear between samples."""
    above = np.flatnonzero(values >= level)
    i = above[-1]
    if i + 1 >= len(values):
        return float(times[i])
    part = (values[i] - level) / (values[i] - values[i + 1])
    return float(times[i] + part * (times[i + 1] - times[i]))


def _first_time_below(times: np.ndarray, values: np.ndarray, level: float, after_s: float) -> float:
    return float(times[np.flatnonzero((values <= level) & (times >= after_s))[0]])


def find_cycles(times_s: np.ndarray, volume: np.ndarray) -> Cycles:
    """The contractions in a volume curve [t] at times [t] (seconds, increasing), 40 to 200 per minute.

    An end-systole is a minimum that stands out by a fifth of the clip's swing, by 5 % of the largest volume and by four
    times the frame-to-frame noise. Its end-diastole is the last frame above 90 % of the fall that led to it, so
    that the plateau of diastasis does not blur it. The volumes of the EF are read from a slightly smoother curve:
    largest and smallest values pick out noise, and this much smoothing takes off about what they add.

    A contraction that began before the clip has no end-diastole and no EF. A premature beat that ejects before the
    ventricle has refilled leaves a step in the curve, no minimum, and merges with the beat before it.
    """
    times, raw = np.asarray(times_s, np.float64), np.asarray(volume, np.float64)
    curve = smooth_curve(times, raw)
    none = np.zeros(0)
    minima = _end_systoles(times, raw, curve) if len(curve) >= 5 else np.zeros(0, int)
    if not len(minima):
        return Cycles(none.astype(int), none.astype(int), none, none, none, none)
    spline = _spline(times, curve)
    # a narrow window: the finer minimum may not wander off along a flat trough
    minima_s = np.array([_spline_minimum(spline, times[i - 1], times[i + 1]) for i in minima])
    ed_frames, es_frames, ed_times, es_times = [], [], [], []
    previous = 0
    for es, es_time in zip(minima, minima_s, strict=True):
        window = curve[previous : es + 1]
        largest, smallest = window.max(), curve[es]
        fall = largest - smallest
        starts_falling = previous == 0 and window.argmax() == 0 and window[0] - window[1] > 0.1 * fall
        if not starts_falling and fall > 0:
            level = smallest + END_DIASTOLE_LEVEL * fall
            ed_time = _last_time_above(times[previous : es + 1], window, level)
            ed = previous + int(np.flatnonzero(window >= level)[-1])
            ed_frames.append(ed)
            es_frames.append(int(es))
            ed_times.append(ed_time)
            es_times.append(es_time)
        previous = int(es)
    phases = np.array(ed_frames, int), np.array(es_frames, int)
    return Cycles(*phases, np.array(ed_times), np.array(es_times), _fractions(times, curve, *phases, minima), minima_s)


def fractions_of(times_s: np.ndarray, volume: np.ndarray, cycles: Cycles) -> np.ndarray:
    """What part of another curve [t] leaves in each contraction, float64 [k]: 1 - smallest/largest, read as EFs are."""
    times = np.asarray(times_s, np.float64)
    return _fractions(times, smooth_curve(times, volume), cycles.ed_frames, cycles.es_frames, cycles.es_frames)


def _fractions(times: np.ndarray, curve: np.ndarray, ed_frames: np.ndarray, es_frames: np.ndarray,
               minima: np.ndarray) -> np.ndarray:
    """1 - smallest/largest of a smoothed curve per contraction; the largest lies after the minimum before it."""
    if not len(ed_frames):
        return np.zeros(0)
    steady = np.convolve(np.pad(curve, 1, mode="edge"), [0.25, 0.5, 0.25], mode="valid")
    plateau = max(1, int(round(PLATEAU_S / float(np.median(np.diff(times))))))
    fractions = []
    for ed, es in zip(ed_frames, es_frames, strict=True):
        earlier = minima[minima < es]
        begin = max(earlier[-1] if len(earlier) else 0, ed - plateau)
        fractions.append(float(np.clip(1 - steady[es - 1 : es + 2].min() / steady[begin:es].max(), 0, 1)))
    return np.array(fractions)


def _spline_minimum(spline, start_s: float, stop_s: float, rate_hz: float = 200.0) -> float:
    fine = np.linspace(start_s, stop_s, max(2, int(round((stop_s - start_s) * rate_hz)) + 1))
    return float(fine[np.argmin(spline(fine))])


def phase_times(times_s: np.ndarray, volume: np.ndarray, cycles: Sequence[tuple[float, float]],
                *, lead_s: float = 0.2, es_level: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Sub-frame ED and ES times (seconds) within given cycles; the one definition for true and generated curves.

    The smoothed curve is read through a cubic spline at 200 Hz. ES is the argmin in [start, stop). ED is the last
    time before it at which the volume is above 90 % of the fall from the largest volume to ES; the search for it
    begins `lead_s` (at most a quarter of the cycle) before the start, as far as the curve reaches back, so that a heart
    that contracts too early is seen to do so. With `es_level` above 0, ES is instead the first time after ED below that
    part of the fall (0.1: near the end of ejection), which is less at the mercy of noise in the flat trough of
    isovolumic relaxation.

    Because the windows come from outside (R peak to R peak, as a rule), errors are bounded: a curve that has nothing to
    do with the cycles gives errors at chance, not infinite ones. Cycles outside the curve's times and curves without a
    fall give NaN.

    Returns:
        ED times and ES times, float64 [len(cycles)] each.
    """
    times = np.asarray(times_s, np.float64)
    ed_times, es_times = np.full(len(cycles), np.nan), np.full(len(cycles), np.nan)
    curve = smooth_curve(times, volume)
    if len(times) < 5 or not np.isfinite(curve).all():
        return ed_times, es_times
    spline = _spline(times, curve)
    tolerance = 1e-6
    for k, (start, stop) in enumerate(cycles):
        if start < times[0] - tolerance or stop > times[-1] + tolerance or stop <= start:
            continue
        begin = max(times[0], start - min(lead_s, (stop - start) / 4))
        fine = np.arange(begin, stop, 1 / 200)
        values = spline(fine)
        cycle_from = int(np.searchsorted(fine, start - tolerance))
        lowest = cycle_from + int(np.argmin(values[cycle_from:]))
        fall = values[: lowest + 1].max() - values[lowest]
        if fall <= 1e-6 * np.abs(values).max():
            continue
        level = values[lowest] + END_DIASTOLE_LEVEL * fall
        ed_times[k] = _last_time_above(fine[: lowest + 1], values[: lowest + 1], level)
        es_times[k] = fine[lowest] if es_level <= 0 else _first_time_below(
            fine[: lowest + 1], values[: lowest + 1], values[lowest] + es_level * fall, ed_times[k])
    return ed_times, es_times
