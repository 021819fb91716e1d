"""A dark trace in a straightened picture, followed from left to right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MOST_RUNS = 8  # dark runs of a column that are looked at, the longest ones
BRIDGE_MM, BRIDGE_PIXELS = 3.0, 30  # a gap in the trace that is bridged
MOST_MEAN_RUNS = 5.0  # of a column: more is a pattern and no trace
APART_MM = 6.0  # two traces closer than this are one that was printed badly
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


def _thin_only(dark: np.ndarray, pixels_per_mm: float) -> np.ndarray:
    """Without blobs thicker than a trace, and without specks."""
    from scipy.ndimage import binary_dilation, binary_opening, find_objects, label

    side = max(3, int(BLOB_MM * pixels_per_mm))
    blobs = binary_opening(dark, np.ones((side, side), bool))
    if blobs.any():
        dark = dark & ~binary_dilation(blobs, np.ones((3, 3), bool), iterations=2)
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
