"""Where the waves around each R peak begin and end, on one lead.

Wavelet delineation as in NeuroKit2 was tried first and scattered T ends over 250 ms on a low T wave
(MIT-BIH record 100), so this room follows two simpler ideas that hold up in noise: the T end is where the
area under the wave, summed over a sliding window, is largest (Zhang et al. 2006, "An algorithm for robust
and efficient location of T-wave ends in electrocardiograms", IEEE Trans. Biomed. Eng.), and a recording's
own average beat says where to look in each single one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from echopulse.ecg.clean import filter_of

RATE_HZ = 250.0  # everything in this module runs at this rate

# Windows in seconds around the R peak; wide enough for PR intervals to 0.26 s and QT intervals to 0.55 s.
QRS_BEFORE, QRS_AFTER = 0.10, 0.14
P_EARLIEST = 0.30
T_EARLIEST = 0.15
T_AREA, T_LEVEL = 0.128, 0.016  # Zhang's sliding window, and the smoothing of the level at its end
P_AREA, P_RISE = 0.08, 0.11  # window of the area under a P wave, and the longest way up to its peak
P_SMALLEST_MV = 0.008
LIKE_THE_OTHERS = 0.06  # a wave is looked for again when it lies further than this from where the others have it


@dataclass(frozen=True)
class Waves:
    """Times relative to the R peak, float64 [beats], seconds, NaN where not found."""

    p_onset: np.ndarray
    q_onset: np.ndarray
    t_peak: np.ndarray
    t_end: np.ndarray
    p_clarity: float  # correlation of the single P waves with their average, 0 when there is none
    t_clarity: float  # height of the average T wave over the beat-to-beat noise
    p_mv: float = 0.0  # height of the average P wave


def delineate(row: np.ndarray, peaks: np.ndarray, ectopic: np.ndarray) -> Waves:
    """P, Q and T of every beat.

    row      [n] at 250 Hz, cleaned
    peaks    int [beats], samples of the R peaks
    ectopic  bool [beats], beats that look unlike the rest
    """
    smooth = _lowpass(row, 20.0)
    before = np.diff(peaks, prepend=2 * peaks[0] - peaks[1] if len(peaks) > 1 else peaks[0] - 250) / RATE_HZ
    before[0] = np.median(before[1:]) if len(before) > 1 else 1.0
    after = np.diff(peaks, append=peaks[-1] + round(np.median(before) * RATE_HZ)) / RATE_HZ
    q_onset = _q_onsets(_lowpass(row, 40.0), peaks, ectopic)
    t_peak, t_end, t_clarity = _t_waves(smooth, peaks, before, after, ectopic)
    p_onset, p_clarity, p_mv = _p_waves(smooth, peaks, before, q_onset, t_end, ectopic)
    return Waves(p_onset, q_onset, t_peak, t_end, p_clarity, t_clarity, p_mv)


def _lowpass(row: np.ndarray, hertz: float) -> np.ndarray:
    from scipy.signal import sosfiltfilt

    return sosfiltfilt(filter_of(2, hertz, "lowpass", RATE_HZ), row)


def windows(row: np.ndarray, peaks: np.ndarray, first_s: float, last_s: float) -> tuple[np.ndarray, np.ndarray]:
    """[beats, k] samples from `first_s` to `last_s` around each peak (NaN outside), and the k offsets in seconds."""
    offsets = np.arange(round(first_s * RATE_HZ), round(last_s * RATE_HZ) + 1)
    at = peaks[:, None] + offsets
    inside = (at >= 0) & (at < len(row))
    return np.where(inside, row[np.clip(at, 0, len(row) - 1)], np.nan), offsets / RATE_HZ


def average(beats: np.ndarray) -> np.ndarray:
    """Median over the beats that lie whole inside the recording, [k]; all of them when none does."""
    whole = beats[np.isfinite(beats).all(axis=1)]
    return np.median(whole, axis=0) if len(whole) else np.nan_to_num(np.nanmean(beats, axis=0))


def _q_onsets(row: np.ndarray, peaks: np.ndarray, ectopic: np.ndarray) -> np.ndarray:
    """Last quiet moment before the QRS: the same for all ordinary beats (of their average), its own for an ectopic."""
    beats, offsets = windows(row, peaks, -0.20, QRS_AFTER)
    usual = _quiet_before(average(beats[~ectopic]) if (~ectopic).any() else average(beats), offsets)
    onsets = np.full(len(peaks), usual)
    for i in np.flatnonzero(ectopic):
        if np.isfinite(beats[i]).all():
            onsets[i] = min(usual, _quiet_before(beats[i], offsets))
    onsets[peaks / RATE_HZ + onsets < 0] = np.nan
    return onsets


def _quiet_before(beat: np.ndarray, offsets: np.ndarray) -> float:
    """Seconds (negative) from R back to where the slope has stayed below a tenth of its largest value for 20 ms.

    Shorter rests are the turning point of a Q wave.
    """
    slope = np.abs(np.gradient(beat))
    quiet = slope < 0.1 * slope[(offsets > -QRS_BEFORE) & (offsets < 0.06)].max()
    run = np.convolve(quiet, np.ones(5), mode="full")[: len(quiet)] > 4.5  # this sample and the four before it
    earlier = np.flatnonzero(run & (offsets < -0.018))
    return float(offsets[earlier[-1]]) if len(earlier) else -0.05


def _t_waves(row, peaks, before, after, ectopic) -> tuple[np.ndarray, np.ndarray, float]:
    """T peaks and ends after R, and how clearly the average T wave stands out."""
    beats, offsets = windows(row, peaks, -0.02, 0.75)
    # QT follows the interval before the beat (Bazett's root is generous enough for a limit), and the wave must
    # be over before the next beat's QRS
    latest = np.minimum(0.46 * np.sqrt(np.clip(before, 0.3, 1.7)) + 0.04, after - 0.10)
    ordinary = ~ectopic if (~ectopic).any() else np.ones_like(ectopic)
    beat = average(beats[ordinary])
    limit = float(np.median(latest[ordinary]))
    found = _t_of(beat, offsets, T_EARLIEST, limit)
    if found is None:
        nothing = np.full(len(peaks), np.nan)
        return nothing, nothing.copy(), 0.0
    peak, end = found
    here = (offsets > T_EARLIEST) & (offsets < limit)
    noise = np.nanmedian(np.abs(beats[ordinary][:, here] - beat[here])) / 0.6745 + 1e-4
    clarity = float(np.ptp(beat[here]) / noise)
    scale = (np.clip(before, 0.4, 1.5) / np.median(np.clip(before, 0.4, 1.5))) ** (1 / 3)  # Fridericia's exponent
    peaks_s, ends_s = np.full(len(peaks), np.nan), np.full(len(peaks), np.nan)
    for i in range(len(peaks)):
        last = np.flatnonzero(np.isfinite(beats[i]))[-1]
        if ectopic[i]:
            own = _t_of(beats[i], offsets, T_EARLIEST + 0.03, min(latest[i] + 0.06, after[i] - 0.08))
        else:
            expected = end * scale[i]
            own = _t_of(beats[i], offsets, T_EARLIEST, latest[i])
            if own is None or abs(own[1] - expected) > LIKE_THE_OTHERS:
                own = _t_end_near(beats[i], offsets, expected, peak * scale[i], latest[i])
        if own is not None and own[1] + T_LEVEL < offsets[last]:
            peaks_s[i], ends_s[i] = own
    return peaks_s, ends_s, clarity


def _area(beat: np.ndarray) -> np.ndarray:
    """Zhang's indicator: at each sample, the area of the preceding 128 ms above (below) the level at that sample."""
    width, half = round(T_AREA * RATE_HZ), round(T_LEVEL * RATE_HZ)
    filled = np.nan_to_num(beat)
    total = np.cumsum(np.concatenate((np.zeros(width), filled)))
    summed = total[width:] - total[:-width]
    kernel = np.ones(2 * half + 1) / (2 * half + 1)
    level = np.convolve(np.pad(filled, half, mode="edge"), kernel, mode="valid")
    return summed - width * level


def _t_of(beat: np.ndarray, offsets: np.ndarray, earliest: float, latest: float) -> tuple[float, float] | None:
    """Peak and end of the T wave between two offsets, or None when there is no room for one."""
    here = np.flatnonzero((offsets >= earliest + 0.06) & (offsets <= latest) & np.isfinite(beat))
    if len(here) < 8:
        return None
    area = _area(beat)[here]
    up, down = int(np.argmax(area)), int(np.argmin(area))
    # a biphasic wave has two candidates of like size: the later one ends it (Zhang's rule, ratio 6)
    high, low = max(area[up], 1e-9), max(-area[down], 1e-9)
    # a true end is a turning point of the indicator, not the border of the search window
    inner = [k for k in (up, down) if 0 < k < len(here) - 1]
    if len(inner) == 1:
        end = inner[0]
    elif 1 / 6 < high / low < 6:
        end = max(up, down)
    else:
        end = up if high >= low else down
    end_at = here[end]
    start = np.searchsorted(offsets, max(earliest, offsets[end_at] - 0.24))
    wave = beat[start : end_at + 1]
    line = np.linspace(wave[0], wave[-1], len(wave))
    sign = 1.0 if area[end] > 0 else -1.0
    peak_at = start + int(np.argmax(sign * (wave - line)))
    return float(offsets[peak_at]), float(offsets[end_at])


def _t_end_near(beat, offsets, expected: float, peak: float, latest: float) -> tuple[float, float]:
    """The end within 50 ms of where the other beats have it: the strongest turning point, else the expected time."""
    here = np.flatnonzero((np.abs(offsets - expected) < 0.05) & (offsets <= latest) & np.isfinite(beat))
    if len(here) > 4:
        area = np.abs(_area(beat)[here])
        k = int(np.argmax(area))
        if 0 < k < len(here) - 1:
            return min(peak, float(offsets[here[k]]) - 0.03), float(offsets[here[k]])
    end = min(expected, latest)
    return min(peak, end - 0.03), end


def _p_waves(row, peaks, before, q_onset, t_end, ectopic) -> tuple[np.ndarray, float, float]:
    """P onsets before R, NaN for beats without the P wave of the others; how alike and how high (mV) they are."""
    nothing = np.full(len(peaks), np.nan)
    ordinary = np.flatnonzero(~ectopic)
    quiet = float(np.nanmedian(q_onset)) - 0.012 if np.isfinite(q_onset).any() else -0.06
    beats, offsets = windows(row, peaks, -P_EARLIEST, quiet)
    # nothing of the preceding T wave may be taken for a P wave
    room = before - np.concatenate(([np.nan], t_end[:-1]))
    earliest = -float(np.nanmedian(room)) if np.isfinite(room).any() else -P_EARLIEST
    begin = int(np.searchsorted(offsets, np.clip(earliest + 0.01, -P_EARLIEST, -0.17)))
    beats, offsets = beats[:, begin:], offsets[begin:]
    whole = [i for i in ordinary if np.isfinite(beats[i]).all()]
    if len(whole) < 3 or len(offsets) < 20:
        return nothing, 0.0, 0.0
    level = _level(beats)
    beat = np.median(level[whole], axis=0)
    likeness = np.array([_likeness(single, beat) for single in level])
    clarity = float(np.median(likeness[whole]))
    peak = int(np.argmax(np.abs(beat)))
    if clarity < 0.5 or np.abs(beat[peak]) < P_SMALLEST_MV or not 2 < peak < len(beat) - 2:
        return nothing, clarity, 0.0
    # Zhang's indicator run backwards: the onset is where the area after it, above its own level, is largest
    width = round(P_AREA * RATE_HZ)
    wave = np.pad(beat * np.sign(beat[peak]), (0, width), mode="edge")
    first = max(0, peak - round(P_RISE * RATE_HZ))
    areas = [wave[k : k + width].sum() - width * wave[max(0, k - 1) : k + 2].mean() for k in range(first, peak - 3)]
    onset = offsets[first + int(np.argmax(areas))] if areas else offsets[first]
    onsets = np.full(len(peaks), float(onset))
    onsets[(likeness < 0.3) | ectopic] = np.nan
    onsets[~np.isfinite(beats).all(axis=1)] = np.nan
    return onsets, clarity, float(np.abs(beat[peak]))


def _level(beats: np.ndarray) -> np.ndarray:
    """Each window minus the straight line between its two ends (means of three samples)."""
    start, stop = beats[:, :3].mean(axis=1, keepdims=True), beats[:, -3:].mean(axis=1, keepdims=True)
    return beats - start - (stop - start) * np.linspace(0, 1, beats.shape[1])


def _likeness(single: np.ndarray, beat: np.ndarray) -> float:
    """Correlation of two windows; 0 where one is constant or incomplete."""
    if not np.isfinite(single).all() or single.std() < 1e-9 or beat.std() < 1e-9:
        return 0.0
    return float(np.corrcoef(single, beat)[0, 1])
