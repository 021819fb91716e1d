"""From outlines of the left ventricle to areas, long axes and volumes.

Apical views, apex above the base. Pure functions on stacks of masks; a mask's pixel covers the unit square around
its centre, so lengths are in pixels until a spacing is given.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

DISCS = 20
CHORDS_PER_DISC = 4
SMALLEST_CAVITY_PIXELS = 25
UPRIGHT_PREFERENCE = 1.2  # vertical spread counts this much more, so that a round cavity is not laid on its side


@dataclass(frozen=True, eq=False)
class LongAxis:
    """The line from the middle of the annulus to the apex, per frame, as (x, y) = (column, row) in pixels.

    Attributes:
        apex, base: float64 [t, 2], where the axis leaves the cavity; NaN where there is none.
        length: float64 [t], chord of the cavity along the axis, pixels.
    """

    apex: np.ndarray
    base: np.ndarray
    length: np.ndarray


@dataclass(frozen=True, eq=False)
class Volumes:
    """Areas and volumes per frame, float64 [t]; volumes are NaN where there is no cavity."""

    areas: np.ndarray
    simpson: np.ndarray
    area_length: np.ndarray
    length: np.ndarray


class _Pixels:
    """The set pixels of a stack of non-empty masks [t, h, w], grouped by frame."""

    def __init__(self, masks: np.ndarray):
        self.frame, rows, columns = np.nonzero(masks)
        self.points = np.stack([columns, rows], axis=1).astype(np.float64)  # [p, 2], (x, y)
        self.starts = np.searchsorted(self.frame, np.arange(len(masks)))

    def total(self, values: np.ndarray) -> np.ndarray:
        """Sum over each frame's pixels: [p, ...] -> [t, ...]."""
        return np.add.reduceat(values, self.starts, axis=0)

    def farthest(self, score: np.ndarray, margin: float = 1.5) -> np.ndarray:
        """Mean position [t, 2] of each frame's pixels whose score [p] is within `margin` of the frame's largest.

        A blunt end has many almost equally far pixels; their mean does not jump from frame to frame.
        """
        chosen = score >= np.maximum.reduceat(score, self.starts)[self.frame] - margin
        return self.total(self.points * chosen[:, None]) / self.total(chosen.astype(np.float64))[:, None]


def _directions(pixels: _Pixels) -> np.ndarray:
    """Unit vectors [t, 2] from apex to base.

    The principal axis gives a first direction; the corners of the base are then the outermost pixels 45 degrees to
    either side of it (true for any base cut across an ellipse, and insensitive to the first direction), the
    middle of the annulus lies between them, and the apex is the point farthest from it.
    """
    counts = pixels.total(np.ones(len(pixels.points)))
    centre = pixels.total(pixels.points) / counts[:, None]
    offset = pixels.points - centre[pixels.frame]
    xx, yy, xy = (pixels.total(a * b) / counts for a, b in
                  ((offset[:, 0], offset[:, 0]), (offset[:, 1], offset[:, 1]), (offset[:, 0], offset[:, 1])))
    angle = 0.5 * np.arctan2(2 * xy, xx - UPRIGHT_PREFERENCE * yy)
    axis = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    axis *= np.where(axis[:, 1:] < 0, -1.0, 1.0)
    for _ in range(2):
        across = np.stack([-axis[:, 1], axis[:, 0]], axis=1)
        along_score = np.einsum("pd,pd->p", offset, axis[pixels.frame])
        across_score = np.einsum("pd,pd->p", offset, across[pixels.frame])
        annulus = 0.5 * (pixels.farthest((along_score + across_score) / np.sqrt(2))
                         + pixels.farthest((along_score - across_score) / np.sqrt(2)))
        distance = np.linalg.norm(pixels.points - annulus[pixels.frame], axis=1)
        # only the half of the cavity away from the base can hold the apex
        apex = pixels.farthest(np.where(along_score < 0, distance, -np.inf))
        axis = annulus - apex
        axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    return axis


def _sample(masks: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Bilinear values of masks [t, h, w] at x, y [t, ...] pixels; zero outside the picture."""
    height, width = masks.shape[1:]
    padded = np.pad(masks, ((0, 0), (1, 2), (1, 2))).astype(np.float32).reshape(-1)
    x = np.clip(x + 1, 0, width + 1).astype(np.float32)
    y = np.clip(y + 1, 0, height + 1).astype(np.float32)
    left, top = x.astype(np.int64), y.astype(np.int64)
    fx, fy = x - left, y - top
    frame = np.arange(len(masks)).reshape(-1, *[1] * (x.ndim - 1))
    corner = (frame * (height + 3) + top) * (width + 3) + left
    below = corner + width + 3
    upper = padded[corner] * (1 - fx) + padded[corner + 1] * fx
    lower = padded[below] * (1 - fx) + padded[below + 1] * fx
    return upper * (1 - fy) + lower * fy


def _present(masks: np.ndarray) -> np.ndarray:
    return np.flatnonzero(masks.reshape(len(masks), -1).sum(1) >= SMALLEST_CAVITY_PIXELS)


def _frames_of_reference(masks: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, float]:
    """Axis [t, 2], centre [t, 2], extent along the axis from the centre (first, last) [t] and half breadth (pixels)."""
    pixels = _Pixels(masks)
    axis = _directions(pixels)
    centre = pixels.total(pixels.points) / pixels.total(np.ones(len(pixels.points)))[:, None]
    offset = pixels.points - centre[pixels.frame]
    along = np.einsum("pd,pd->p", offset, axis[pixels.frame])
    across = offset[:, 1] * axis[pixels.frame, 0] - offset[:, 0] * axis[pixels.frame, 1]
    first = np.minimum.reduceat(along, pixels.starts) - 1  # a bilinear mask reaches one pixel beyond its centres
    last = np.maximum.reduceat(along, pixels.starts) + 1
    return axis, centre, first, last, float(np.abs(across).max()) + 1


def _axis_chord(masks: np.ndarray, axis: np.ndarray, centre: np.ndarray, first: np.ndarray, last: np.ndarray):
    """Length of the cavity along the axis and the distances from the centre where it begins and ends, each [t]."""
    steps = 4 * int(np.ceil((last - first).max()))
    spacing = (last - first) / steps
    s = first[:, None] + spacing[:, None] * (np.arange(steps) + 0.5)
    inside = _sample(masks, centre[:, :1] + s * axis[:, :1], centre[:, 1:] + s * axis[:, 1:])
    length = inside.sum(1) * spacing
    middle = (inside * s).sum(1) / np.maximum(inside.sum(1), 1e-6)
    return length, middle - length / 2, middle + length / 2


def long_axis(masks: np.ndarray) -> LongAxis:
    """The long axis of each mask, bool [t, h, w]."""
    masks = np.asarray(masks, dtype=bool)
    apex, base = np.full((len(masks), 2), np.nan), np.full((len(masks), 2), np.nan)
    length = np.full(len(masks), np.nan)
    present = _present(masks)
    if len(present):
        axis, centre, first, last, _ = _frames_of_reference(masks[present])
        length[present], start, stop = _axis_chord(masks[present], axis, centre, first, last)
        apex[present] = centre + start[:, None] * axis
        base[present] = centre + stop[:, None] * axis
    return LongAxis(apex, base, length)


def measure_volumes(masks: np.ndarray, pixel_size: float = 1.0) -> Volumes:
    """Areas and volumes of masks, bool [t, h, w], whose square pixels measure `pixel_size` (cm gives cm² and ml).

    Simpson's rule with 20 discs of circular cross-section, single plane: V = sum (pi/4) d_i² L/20 (Lang et al. 2015,
    ASE/EACVI chamber quantification). Each disc's cross-section is the mean over four chords, measured on the
    bilinearly interpolated mask, so that pixel steps do not show in the volume curve. Area-length:
    V = 8 A² / (3 pi L), exact for an ellipsoid of revolution (same source).
    """
    masks = np.asarray(masks, dtype=bool)
    areas = masks.reshape(len(masks), -1).sum(1) * pixel_size**2
    simpson, length = np.full(len(masks), np.nan), np.full(len(masks), np.nan)
    present = _present(masks)
    if len(present):
        chosen = masks[present]
        axis, centre, first, last, half_breadth = _frames_of_reference(chosen)
        chords = DISCS * CHORDS_PER_DISC
        s = first[:, None] + (last - first)[:, None] * (np.arange(chords) + 0.5) / chords  # [t, chords]
        w = np.arange(-np.ceil(half_breadth), np.ceil(half_breadth) + 1)  # one sample per pixel along each chord
        x = centre[:, 0, None, None] + s[:, :, None] * axis[:, 0, None, None] - w * axis[:, 1, None, None]
        y = centre[:, 1, None, None] + s[:, :, None] * axis[:, 1, None, None] + w * axis[:, 0, None, None]
        diameters = _sample(chosen, x, y).sum(2)  # [t, chords]
        sections = np.pi / 4 * (diameters.astype(np.float64) ** 2).reshape(-1, DISCS, CHORDS_PER_DISC).mean(2)
        simpson[present] = sections.sum(1) * (last - first) / DISCS * pixel_size**3
        length[present] = _axis_chord(chosen, axis, centre, first, last)[0] * pixel_size
    with np.errstate(invalid="ignore", divide="ignore"):
        area_length = 8 * areas**2 / (3 * np.pi * length)
    return Volumes(areas, simpson, area_length, length)
