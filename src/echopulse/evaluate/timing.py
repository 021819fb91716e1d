"""Does the heart in the video do what it should, when it should? Curves held against the truth and the ECG.

Pure functions on times in seconds and volume curves in any unit. Signed errors are video minus truth: positive is late.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from echopulse.measure.cycle import phase_times

STILL = 1e-9  # of its largest value; a curve that varies less varies by rounding alone


def curve_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's r of two curves [t] over the frames where both are finite; NaN if either does not vary."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.shape != b.shape:
        raise ValueError(f"curves must be equally long, got {a.shape} and {b.shape}")
    known = np.isfinite(a) & np.isfinite(b)
    a, b = a[known], b[known]
    if len(a) < 3 or any(np.ptp(curve) <= STILL * np.abs(curve).max() for curve in (a, b)):
        return float("nan")
    a, b = ((curve - curve.mean()) / np.ptp(curve) for curve in (a, b))
    return float(np.clip(a @ b / np.sqrt((a @ a) * (b @ b)), -1, 1))


@dataclass(frozen=True, eq=False)
class BeatMatch:
    """Beats of the video and of the ECG (or the truth) that belong together, at most one to one.

    `video_index`, `ecg_index` int [k]; `lags_s` float64 [k], video minus ECG; counts of what found no partner.
    """

    video_index: np.ndarray
    ecg_index: np.ndarray
    lags_s: np.ndarray
    missed: int
    extra: int


def match_beats(video_times: np.ndarray, ecg_times: np.ndarray, tolerance_s: float) -> BeatMatch:
    """Pair beat times (seconds) that lie within `tolerance_s` of each other, the closest pairs first."""
    video, ecg = np.asarray(video_times, np.float64), np.asarray(ecg_times, np.float64)
    distance = np.abs(video[:, None] - ecg[None, :])
    pairs: list[tuple[int, int]] = []
    free_video, free_ecg = np.ones(len(video), bool), np.ones(len(ecg), bool)
    for flat in np.argsort(distance, axis=None, kind="stable"):
        i, j = divmod(int(flat), len(ecg))
        if not distance[i, j] <= tolerance_s:
            break
        if free_video[i] and free_ecg[j]:
            pairs.append((i, j))
            free_video[i] = free_ecg[j] = False
    pairs.sort()
    i = np.array([pair[0] for pair in pairs], int)
    j = np.array([pair[1] for pair in pairs], int)
    return BeatMatch(i, j, video[i] - ecg[j], int(free_ecg.sum()), int(free_video.sum()))


def cycles_between(r_peaks_s: np.ndarray, start_s: float, stop_s: float) -> list[tuple[float, float]]:
    """The R-to-R intervals that lie wholly between two times."""
    peaks = np.sort(np.asarray(r_peaks_s, np.float64))
    peaks = peaks[np.isfinite(peaks)]
    return [(float(a), float(b)) for a, b in zip(peaks[:-1], peaks[1:], strict=True) if a >= start_s and b <= stop_s]


@dataclass(frozen=True, eq=False)
class TimingErrors:
    """Signed times in milliseconds per cycle, float64 [cycles]; NaN where a curve or an ECG mark gave none.

    `ed_ms`, `es_ms`: video minus truth. `ed_minus_r_ms`: ED of the video minus the R peak that opens the cycle.
    `es_minus_t_end_ms`: ES of the video minus the end of the T wave in the cycle. `hearts`: whose each cycle is, where
    they are of several.
    """

    ed_ms: np.ndarray
    es_ms: np.ndarray
    ed_minus_r_ms: np.ndarray
    es_minus_t_end_ms: np.ndarray
    hearts: np.ndarray | None = None

    def summary(self) -> dict[str, float]:
        """Flat figures `ed_ms.median_abs`, `ed_ms.mean`, ... for each of the four, see `summarize`."""
        columns = {
            "ed_ms": self.ed_ms,
            "es_ms": self.es_ms,
            "ed_minus_r_ms": self.ed_minus_r_ms,
            "es_minus_t_end_ms": self.es_minus_t_end_ms,
        }
        return {f"{name}.{key}": value for name, column in columns.items() for key, value in summarize(column).items()}


def timing_errors(
    times_s: np.ndarray,
    volume: np.ndarray,
    cycles: Sequence[tuple[float, float]],
    *,
    truth_volume: np.ndarray | None = None,
    t_ends_s: np.ndarray | None = None,
    es_level: float = 0.0,
) -> TimingErrors:
    """Hold a video's volume curve [t] at times [t] against the true curve and the ECG, cycle by cycle.

    Both curves are read by `phase_times` in the same windows and with the same `es_level`. Cycles run from R peak to R
    peak; their starts are the R peaks. A curve that moves but ignores the ECG scores at chance; one that does not move
    at all has no ED and ES and gives NaN, which `summarize` counts as missing rather than leaving it out of sight.
    """
    ed, es = phase_times(times_s, volume, cycles, es_level=es_level)
    r_peaks = np.array([start for start, _ in cycles], np.float64)
    t_ends = np.array([_first_within(t_ends_s, start, stop) for start, stop in cycles], np.float64)
    true_ed = true_es = np.full(len(cycles), np.nan)
    if truth_volume is not None:
        true_ed, true_es = phase_times(times_s, truth_volume, cycles, es_level=es_level)
    return TimingErrors(1e3 * (ed - true_ed), 1e3 * (es - true_es), 1e3 * (ed - r_peaks), 1e3 * (es - t_ends))


def summarize(errors: np.ndarray) -> dict[str, float]:
    """`median`, `mean` (signed), `median_abs`, `mean_abs`, `n` and `missing` (NaN); NaN figures when n is 0."""
    errors = np.asarray(errors, np.float64).ravel()
    known = errors[np.isfinite(errors)]
    some = len(known) > 0
    return {
        "median": float(np.median(known)) if some else float("nan"),
        "mean": float(known.mean()) if some else float("nan"),
        "median_abs": float(np.median(np.abs(known))) if some else float("nan"),
        "mean_abs": float(np.abs(known).mean()) if some else float("nan"),
        "n": len(known),
        "missing": len(errors) - len(known),
    }


def join(parts: Sequence[TimingErrors], hearts: Sequence[int]) -> TimingErrors:
    """The cycles of many clips in one, and whose each is, by the number of each clip's heart."""

    def together(name: str) -> np.ndarray:
        return np.concatenate([getattr(part, name) for part in parts]) if parts else np.zeros(0)

    columns = (together(name) for name in ("ed_ms", "es_ms", "ed_minus_r_ms", "es_minus_t_end_ms"))
    return TimingErrors(*columns, np.repeat(np.array(hearts, int), [len(part.ed_ms) for part in parts]))


def interval_correlation(video_times: np.ndarray, ecg_times: np.ndarray, tolerance_s: float) -> tuple[float, int]:
    """Pearson's r between the video's beat-to-beat intervals and the ECG's, and their number.

    Only intervals between beats that follow each other in both and are matched within `tolerance_s` count. Give
    times of the same event, or of events a fixed lag apart with the lag taken off first.
    """
    match = match_beats(video_times, ecg_times, tolerance_s)
    neighbours = (np.diff(match.video_index) == 1) & (np.diff(match.ecg_index) == 1)
    video = np.diff(np.asarray(video_times, np.float64)[match.video_index])[neighbours]
    ecg = np.diff(np.asarray(ecg_times, np.float64)[match.ecg_index])[neighbours]
    return curve_correlation(video, ecg), len(video)


def _first_within(times: np.ndarray | None, start: float, stop: float) -> float:
    if times is None:
        return float("nan")
    times = np.asarray(times, np.float64)
    inside = times[(times > start) & (times < stop)]
    return float(inside.min()) if len(inside) else float("nan")
