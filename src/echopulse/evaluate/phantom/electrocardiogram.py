"""ECGs: whether the leads of one heart agree on its R peaks, and whether a common detector finds them."""

from __future__ import annotations

import warnings

import numpy as np

QRS_S = 0.06  # to either side of the R time
BASELINE_S = 0.09  # before the R time, where the line is level between P and QRS
SAME_BEAT_S = 0.15  # the match window of ANSI/AAMI EC57 for beat detectors
CLOSE_S = 0.05
BORDER_S = 0.5  # a detector needs some signal before and after a beat


def peak_times(
    lead: np.ndarray, rate_hz: float, start_s: float, r_peaks_s: np.ndarray, upward: bool = True
) -> np.ndarray:
    """Where a clean lead [n] is highest within 60 ms of each R time, [k] s, read between its samples.

    That is the top of the R wave. Where another wave is larger than it (QS, deep Q, rS), the lead has no R peak to
    speak of: NaN, as where the lead does not reach around the beat. With `upward` False the largest deflection from the
    baseline is taken instead, whichever way it points.
    """
    found = np.full(len(r_peaks_s), np.nan)
    reach = round(QRS_S * rate_hz)
    for k, r in enumerate(r_peaks_s):
        if not np.isfinite(r):
            continue
        at, level = round((r - start_s) * rate_hz), round((r - start_s - BASELINE_S) * rate_hz)
        if level < 0 or at - reach < 1 or at + reach + 2 > len(lead):
            continue
        away = lead[at - reach - 1 : at + reach + 2] - lead[level]
        height = away if upward else np.abs(away)
        top = 1 + int(height[1:-1].argmax())
        if height[top] < np.abs(away).max():
            continue
        before, here, after = height[top - 1 : top + 2]
        bend = before - 2 * here + after
        between = np.clip(0.5 * (before - after) / bend, -0.5, 0.5) if bend < 0 else 0.0
        found[k] = start_s + (at - reach - 1 + top + between) / rate_hz
    return found


def peak_spread(
    leads: np.ndarray, rate_hz: float, start_s: float, r_peaks_s: np.ndarray, upward: bool = True
) -> np.ndarray:
    """How far apart (s) the leads [l, n] of one heart put its R peaks, [k]; NaN where fewer than two have one."""
    times = np.stack([peak_times(lead, rate_hz, start_s, r_peaks_s, upward) for lead in leads])
    enough = np.isfinite(times).sum(0) >= 2
    spread = np.full(len(r_peaks_s), np.nan)
    spread[enough] = np.nanmax(times[:, enough], axis=0) - np.nanmin(times[:, enough], axis=0)
    return spread


def detection(lead: np.ndarray, rate_hz: float, start_s: float, r_peaks_s: np.ndarray) -> tuple[int, int, int, int]:
    """What NeuroKit2 finds in a lead [n]: beats found, beats there, finds that are none, beats found within 50 ms.

    Its own cleaning and its own detector, as `ecg_peaks(ecg_clean(...))`. Half a second at either end does not count.
    """
    import neurokit2

    first, last = start_s + BORDER_S, start_s + len(lead) / rate_hz - BORDER_S
    true = r_peaks_s[(r_peaks_s > first) & (r_peaks_s < last)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NeuroKit2 warns of short recordings
        cleaned = neurokit2.ecg_clean(lead, sampling_rate=rate_hz)
        _, marks = neurokit2.ecg_peaks(cleaned, sampling_rate=rate_hz)
    found = start_s + np.asarray(marks["ECG_R_Peaks"], np.float64) / rate_hz
    hits, false = match_counts(found, true, first, last)
    return hits, len(true), false, match_counts(found, true, first, last, CLOSE_S)[0]


def match_counts(
    found_s: np.ndarray, true_s: np.ndarray, start_s: float, stop_s: float, window_s: float = SAME_BEAT_S
) -> tuple[int, int]:
    """How many true times have a found one within the window, and how many found ones between the borders are false."""
    inside = (found_s > start_s + window_s) & (found_s < stop_s - window_s)
    if not len(found_s) or not len(true_s):
        return 0, int(inside.sum())
    distance = np.abs(found_s[:, None] - true_s[None])
    return int((distance.min(0) <= window_s).sum()), int((inside & (distance.min(1) > window_s)).sum())
