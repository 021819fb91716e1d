"""Grain: whether raw speckle is Rayleigh's, and whether it moves as the tissue beneath it does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

REACH = 4  # px: the largest shift looked for between two frames
BLOCK = 13  # px: side of the blocks compared
SPACING = 5  # px between blocks
VISIBLE = 0.10  # mean grey of a block worth following
TEXTURED = 0.02  # standard deviation of such a block
STILL = 0.05  # px per frame: what the truth calls standing


def envelope_ratio(envelope: np.ndarray) -> float:
    """Mean over standard deviation of amplitudes; sqrt(pi / (4 - pi)) = 1.913 where they are Rayleigh's."""
    return float(envelope.mean() / envelope.std())


def envelope_spread_db(envelope: np.ndarray) -> float:
    """Standard deviation in decibels; 5.57 dB for Rayleigh's."""
    return float((20 * np.log10(np.maximum(envelope, 1e-9))).std())


def flow_between(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Where the tissue at each pixel goes from one frame to the next, [h, w, 2] px (right, down).

    `before` and `after` [h, w, 2] say how far the tissue seen at a pixel lies from where it was at some common time.
    The tissue at p came from p - before(p); it is now at the q with q - after(q) = p - before(p), found by iteration.
    """
    rows, columns = np.mgrid[: before.shape[0], : before.shape[1]].astype(np.float64)
    flow = np.zeros_like(before, dtype=np.float64)
    for _ in range(3):
        flow = _sample(after, columns + flow[..., 0], rows + flow[..., 1]) - before
    return flow


def _sample(field: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Values of [h, w, 2] between its pixels; beyond the border those of the border."""
    x, y = np.clip(x, 0, field.shape[1] - 1.001), np.clip(y, 0, field.shape[0] - 1.001)
    left, top = x.astype(int), y.astype(int)
    fx, fy = (x - left)[..., None], (y - top)[..., None]
    upper = field[top, left] * (1 - fx) + field[top, left + 1] * fx
    lower = field[top + 1, left] * (1 - fx) + field[top + 1, left + 1] * fx
    return upper * (1 - fy) + lower * fy


@dataclass(frozen=True, eq=False)
class Match:
    """Followed blocks: centres (row, column) int [k, 2] and their shifts (right, down) px [k, 2]."""

    centres: np.ndarray
    shifts: np.ndarray


def match_blocks(first: np.ndarray, second: np.ndarray, where: np.ndarray) -> Match:
    """Follow blocks of one frame [h, w] (0..1) into the next, where bool [h, w] holds at the block's centre.

    The shift with the largest normalised cross-correlation within 4 px, refined by a parabola each way. Blocks too
    dark or too even to be followed are left out.
    """
    from scipy.ndimage import uniform_filter

    def around(picture: np.ndarray) -> np.ndarray:
        return uniform_filter(picture, BLOCK, mode="constant")

    first, second = first.astype(np.float64), second.astype(np.float64)
    mean_a, mean_b = around(first), around(second)
    sd_a = np.sqrt(np.maximum(around(first * first) - mean_a**2, 1e-9))
    sd_b = np.sqrt(np.maximum(around(second * second) - mean_b**2, 1e-9))
    edge = BLOCK // 2 + REACH
    grid = np.zeros_like(where)
    grid[edge:-edge:SPACING, edge:-edge:SPACING] = True
    centres = np.argwhere(grid & where & (mean_a > VISIBLE) & (sd_a > TEXTURED))
    if not len(centres):
        return Match(centres, np.zeros((0, 2)))
    r, c = centres.T
    shifts = np.arange(-REACH, REACH + 1)
    scores = np.empty((len(centres), len(shifts), len(shifts)))
    for i, dy in enumerate(shifts):
        for j, dx in enumerate(shifts):
            product = around(first * np.roll(second, (-dy, -dx), (0, 1)))[r, c]
            scores[:, i, j] = (product - mean_a[r, c] * mean_b[r + dy, c + dx]) / (sd_a[r, c] * sd_b[r + dy, c + dx])
    best = scores.reshape(len(centres), -1).argmax(1)
    i, j = best // len(shifts), best % len(shifts)
    inside = (i > 0) & (i < 2 * REACH) & (j > 0) & (j < 2 * REACH)  # a best match at the rim is none
    k, i, j = np.flatnonzero(inside), i[inside], j[inside]
    down = i - REACH + _summit(scores[k, i - 1, j], scores[k, i, j], scores[k, i + 1, j])
    right = j - REACH + _summit(scores[k, i, j - 1], scores[k, i, j], scores[k, i, j + 1])
    return Match(centres[inside], np.stack([right, down], 1))


def _summit(before: np.ndarray, at: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Where between -0.5 and 0.5 the parabola through three values is highest."""
    bend = before - 2 * at + after
    return np.clip(0.5 * (before - after) / np.where(bend < -1e-9, bend, -1e-9), -0.5, 0.5)


def tracking_errors(first: np.ndarray, second: np.ndarray, tissue: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """Distances (px) [k] between the followed and the true shift of blocks of tissue."""
    match = match_blocks(first, second, tissue)
    return np.linalg.norm(match.shifts - flow[match.centres[:, 0], match.centres[:, 1]], axis=1)


def stray_motion(first: np.ndarray, second: np.ndarray, outside: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """Lengths (px) [k] of the shifts seen in blocks outside the heart that in truth stand still."""
    still = outside & (np.linalg.norm(flow, axis=-1) < STILL)
    return np.linalg.norm(match_blocks(first, second, still).shifts, axis=1)
