"""A dark trace in a straightened picture, followed from left to right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MOST_RUNS = 8  # dark runs of a column that are looked at, the longest ones
BRIDGE_MM, BRIDGE_PIXELS = 3.0, 30  # a gap in the trace that is bridged
MOST_MEAN_RUNS = 5.0  # of a column: more is a pattern and no trace
APART_MM = 6.0  # two traces closer than this are one that was printed badly
PULSE_S, PULSE_MILLIVOLTS = (0.1, 0.4), (0.5, 1.0, 2.0)  # a calibration pulse: how long, and as high as at 5, 10, 20 mm
BLOB_MM = 2.2  # thicker than any trace: a letter, a thumb, the table below the paper


@dataclass(frozen=True, eq=False)
class Trace:
    """heights: float64 [n], pixels from the top, one a column from the first to the last; NaN where it is not seen.

    covered  share of these columns in which it was seen
    strips   how many traces of that kind lie one below the other
    """

    heights: np.ndarray
    covered: float
    strips: int

    @property
    def width(self) -> int:
        return len(self.heights)


def follow_trace(ink: np.ndarray, threshold: float, pixels_per_mm: float) -> Trace | None:
    """The longest dark path through `ink` [h, w]; None where nothing is dark."""
    dark = _thin_only(ink > threshold, pixels_per_mm)
    columns = [_runs(dark[:, x]) for x in range(dark.shape[1])]
    if np.mean([len(runs) for runs in columns]) > MOST_MEAN_RUNS:
        return None
    path = _longest(columns, pixels_per_mm)
    if len(path) < 2:
        return None
    heights = _heights(ink, threshold, path)
    level = np.median([height for height in heights.values()])
    first, last = min(heights), max(heights)
    row = np.full(last - first + 1, np.nan)
    for x, height in heights.items():
        row[x - first] = height
    strips = 1 + _second_strip(columns, path, level, pixels_per_mm)
    covered = float(np.mean(np.isfinite(row)))
    gaps = ~np.isfinite(row)
    row[gaps] = np.interp(np.flatnonzero(gaps), np.flatnonzero(~gaps), row[~gaps])  # no wider than BRIDGE_MM
    return Trace(row, covered, strips)


def calibration_pulse(samples: np.ndarray, rate_hz: float) -> tuple[int, float] | None:
    """Where the rectangular pulse that many strips begin with ends, and how high it is (of PULSE_MILLIVOLTS); or None.

    No wave of a heart rises in a few columns, stays level for a tenth of a second and falls back to where it was.
    """
    shortest, longest = (int(seconds * rate_hz) for seconds in PULSE_S)
    rest = max(3, int(0.04 * rate_hz))
    rises = np.flatnonzero(samples[3 : int(1.2 * rate_hz)] - samples[: int(1.2 * rate_hz) - 3] > 0.35) + 3
    for begin in rises:
        before = np.median(samples[max(0, begin - 3 - rest) : begin - 2])
        level = np.median(samples[begin : begin + shortest])
        away = np.abs(samples[begin : begin + longest] - level) > 0.08 * max(level - before, 0.1)
        if not away.any() or int(np.argmax(away)) < shortest:
            continue
        end = begin + int(np.argmax(away)) + 4
        after = np.median(samples[end : end + rest]) if end + rest <= len(samples) else np.inf
        height = min(PULSE_MILLIVOLTS, key=lambda each: abs(np.log(max(level - after, 1e-3) / each)))
        if abs(level - after - height) < 0.12 * height and abs(after - before) < 0.15 * height:
            return end, height
    return None


def _thin_only(dark: np.ndarray, pixels_per_mm: float) -> np.ndarray:
    """Without blobs thicker than a trace, and without specks."""
    from scipy.ndimage import find_objects, label, maximum_filter, minimum_filter

    side = max(3, int(BLOB_MM * pixels_per_mm))
    cores = minimum_filter(dark.astype(np.uint8), side)
    if cores.any():
        dark = dark & (maximum_filter(cores, side + 4) == 0)
    parts, _ = label(dark, np.ones((3, 3), int))
    keep = [False]
    for rows, across in find_objects(parts):
        keep.append(max(rows.stop - rows.start, across.stop - across.start) >= 0.7 * pixels_per_mm)
    return np.array(keep)[parts]


def _runs(column: np.ndarray) -> list[tuple[int, int]]:
    """The dark runs (first, last) of a column, the longest ones where there are many."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], column.astype(np.int8), [0]))))
    runs = [(int(first), int(end) - 1) for first, end in zip(edges[::2], edges[1::2], strict=True)]
    return sorted(runs, key=lambda run: run[0] - run[1])[:MOST_RUNS]


def _longest(columns: list[list[tuple[int, int]]], pixels_per_mm: float) -> list[tuple[int, tuple[int, int]]]:
    """[(x, run)]: the path that sees a run in the most columns; leaps up or down and columns without it cost."""
    bridge = min(BRIDGE_PIXELS, max(2, int(BRIDGE_MM * pixels_per_mm)))
    nodes: list[tuple[float, int, int, tuple[int, int]]] = []  # score, node before, column, run
    by_column: list[list[int]] = []
    best = None
    for x, runs in enumerate(columns):
        here = []
        for first, last in runs:
            score, before = 1.0, -1
            for back in range(1, min(bridge, x) + 1):
                for other in by_column[x - back]:
                    other_score, _, _, (top, bottom) = nodes[other]
                    leap = max(0, top - last, first - bottom)
                    total = other_score + 2 - back - 1.5 * max(0, leap - 1)
                    if total > score:
                        score, before = total, other
                if before >= 0 and back >= 2:
                    break  # a nearer neighbour was found
            here.append(len(nodes))
            nodes.append((score, before, x, (first, last)))
            if best is None or score > nodes[best][0]:
                best = here[-1]
        by_column.append(here)
    path = []
    while best is not None and best >= 0:
        _, before, x, run = nodes[best]
        path.append((x, run))
        best = before
    return path[::-1]


def _heights(ink: np.ndarray, threshold: float, path: list) -> dict[int, float]:
    """Where the line's middle is in each column of the path.

    In a column the pen passes through a stretch; its middle is the value unless the pen turns round there: then it is
    the end at which it turns, less half the pen's width.
    """
    lengths = np.array([last - first + 1 for _, (first, last) in path])
    pen = float(np.percentile(lengths, 25))
    heights = {}
    for i, (x, (first, last)) in enumerate(path):
        top, bottom = _edge(ink[:, x], first, -1, threshold), _edge(ink[:, x], last, 1, threshold)
        height = (top + bottom) / 2
        if 0 < i < len(path) - 1 and last - first + 1 > 1.6 * pen:
            before, after = path[i - 1][1], path[i + 1][1]
            peak = first <= min(before[0], after[0])
            trough = last >= max(before[1], after[1])
            if peak and not trough:
                height = top + pen / 2
            elif trough and not peak:
                height = bottom - pen / 2
        heights[x] = height
    return heights


def _edge(column: np.ndarray, at: int, step: int, threshold: float) -> float:
    """Where between two pixels the ink falls below the threshold."""
    beyond = at + step
    if not 0 <= beyond < len(column):
        return float(at)
    inside, outside = float(column[at]), float(column[beyond])
    share = (inside - threshold) / max(inside - outside, 1e-6)
    return at + step * float(np.clip(share, 0, 1))


def _second_strip(columns: list, path: list, level: float, pixels_per_mm: float) -> int:
    """1 where, the path taken away, another one of more than half its width lies well above or below; else 0."""
    taken = dict(path)
    rest = []
    for x, runs in enumerate(columns):
        used = taken.get(x)
        rest.append([run for run in runs if run != used])
    other = _longest(rest, pixels_per_mm)
    if len(other) < 0.5 * len(path):
        return 0
    middle = np.median([(first + last) / 2 for _, (first, last) in other])
    return int(abs(middle - level) > APART_MM * pixels_per_mm)
