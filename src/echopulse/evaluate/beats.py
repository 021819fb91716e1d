"""Beats of a volume curve against the beats of an ECG, where there is no true curve to compare with.

A volume maximum within 80 ms of R: the volume stays flat from the closure of the mitral valve to the onset of
ejection, so there is a plateau rather than a peak, and every moment within 2 % of the beat's largest volume counts as
maximum. The beat runs from halfway through the RR interval before to 0.3 s after R (at most half of the interval
after); the volume has to fall by at least 5 % after it, or a heart that stands still would pass.
"""

from __future__ import annotations

import numpy as np

from echopulse.evaluate.timing import interval_correlation
from echopulse.measure.cycle import SMALLEST_STROKE, find_cycles, smooth_curve

NEAR_S = 0.08
PLATEAU = 0.02
SYSTOLE_S = 0.3
SAME_BEAT_S = 0.2
RATE_HZ = 200.0


def beat_figures(r_peaks_s: np.ndarray, times_s: np.ndarray, volume: np.ndarray) -> dict[str, float]:
    """A volume curve [t] at times [t] against R peaks, all on the ECG's clock in seconds."""
    cycles = find_cycles(times_s, volume)
    peaks = np.sort(r_peaks_s)
    inside = peaks[(peaks >= times_s[0]) & (peaks <= times_s[-1])]
    video_rate, ecg_rate = heart_rates((cycles.ed_times_s, cycles.minima_s), peaks)
    hits = maxima_near(peaks, times_s, volume)
    intervals = zip(inside[:-1], inside[1:], strict=True)
    counts = np.array([np.sum((cycles.minima_s >= a) & (cycles.minima_s < b)) for a, b in intervals])
    r, compared = follow_intervals(cycles.minima_s, peaks)
    return {
        "ecg_rate_bpm": ecg_rate,
        "video_rate_bpm": video_rate,
        "rate_difference_bpm": abs(video_rate - ecg_rate),
        "r_with_maximum": float(hits.mean()) if len(hits) else float("nan"),
        "r_with_maximum.n": len(hits),
        "beats_with_minimum": float((counts > 0).mean()) if len(counts) else float("nan"),
        "beats_with_minimum.n": len(counts),
        "extra_minima": int(np.maximum(counts - 1, 0).sum()),
        "interval_r": r,
        "interval_r.n": compared,
    }


def heart_rates(events: tuple[np.ndarray, ...], peaks: np.ndarray) -> tuple[float, float]:
    """Mean heart rate of the video and of the ECG over the same stretches of time, per minute; NaN without two events.

    Each of `events` (all EDs, all volume minima; seconds) spans a stretch from its first to its last; the video's rate
    is the intervals in the stretches over their length, the ECG's the RR intervals that pass in the same
    stretches, parts of an interval included. A missed or an extra beat of the video changes its rate and not the ECG's.
    """
    events = tuple(times for times in events if len(times) > 1)
    if not events or len(peaks) < 2:
        return float("nan"), float("nan")
    spans = sum(times[-1] - times[0] for times in events)
    beats = sum(len(times) - 1 for times in events)
    passed = sum(beats_until(times[-1], peaks) - beats_until(times[0], peaks) for times in events)
    return 60 * beats / spans, float(60 * passed / spans)


def beats_until(time_s: float, peaks: np.ndarray) -> float:
    """RR intervals passed since the first peak, parts included; beyond the ends the outermost interval goes on."""
    rr = np.diff(peaks)
    index = int(np.clip(np.searchsorted(peaks, time_s, side="right") - 1, 0, len(rr) - 1))
    return index + (time_s - peaks[index]) / rr[index]


def maxima_near(peaks: np.ndarray, times_s: np.ndarray, volume: np.ndarray) -> np.ndarray:
    """For every R peak whose beat the curve covers: is there a volume maximum within 80 ms? bool [k]; see above."""
    fine = np.arange(times_s[0], times_s[-1], 1 / RATE_HZ)
    curve = np.interp(fine, times_s, smooth_curve(times_s, volume))
    usual = float(np.median(np.diff(peaks))) if len(peaks) > 1 else 2 * SYSTOLE_S
    before = np.diff(peaks, prepend=peaks[:1] - usual) / 2
    after = np.minimum(np.diff(peaks, append=peaks[-1:] + usual) / 2, SYSTOLE_S)
    hits = []
    for peak, back, ahead in zip(peaks, before, after, strict=True):
        if peak - NEAR_S < times_s[0] or peak + ahead > times_s[-1]:
            continue
        beat = curve[(fine >= peak - back) & (fine <= peak + ahead)]
        near = curve[np.abs(fine - peak) <= NEAR_S]
        falls = curve[(fine >= peak) & (fine <= peak + 2 * SYSTOLE_S)].min() <= (1 - SMALLEST_STROKE) * beat.max()
        hits.append(bool(near.max() >= (1 - PLATEAU) * beat.max() and falls))
    return np.array(hits, bool)


def follow_intervals(minima_s: np.ndarray, peaks: np.ndarray) -> tuple[float, int]:
    """Correlation of the intervals between volume minima with the RR intervals, and how many were compared.

    The usual lag of a minimum behind its R peak is taken off first; what then lies within 0.2 s belongs together.
    """
    lags = [minimum - peaks[peaks <= minimum][-1] for minimum in minima_s if (peaks <= minimum).any()]
    if not lags:
        return float("nan"), 0
    return interval_correlation(minima_s - np.median(lags), peaks, SAME_BEAT_S)
