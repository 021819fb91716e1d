"""From masks of the left ventricle to its outline, its long axis and the discs of Simpson's rule.

For apical views, apex above the base. A pixel's centre has whole coordinates, (x, y) = (column, row).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

DISCS = 20
CHORDS_PER_DISC = 4
OUTLINE_POINTS = 64
SMALLEST_CAVITY_PIXELS = 25
UPRIGHT_PREFERENCE = 1.2  # vertical spread counts this much more, so that a round cavity is not laid on its side


@dataclass(frozen=True)
class Discs:
    """The long axis of one ventricle and what lies across it, from apex to base, in pixels.

    Attributes:
        apex, base: float64 [2], the ends of the axis.
        left, right: float64 [20, 2], the ends of the chord through the middle of each disc.
        sections: float64 [20], area of each disc, of circular cross-section, px².
    """

    apex: np.ndarray
    base: np.ndarray
    left: np.ndarray
    right: np.ndarray
    sections: np.ndarray

    def volume_ml(self, pixel_cm: float) -> float:
        """Single-plane Simpson: V = sum (pi/4) d_i² L/20 (Lang et al. 2015, ASE/EACVI chamber quantification)."""
        height = np.linalg.norm(self.base - self.apex) / DISCS
        return float(self.sections.sum() * height * pixel_cm**3)


def outline(mask: np.ndarray, points: int = OUTLINE_POINTS) -> np.ndarray:
    """The outline of a mask, bool [h, w] -> float32 [points, 2], evenly spaced and closed by its first point.

    NaN where there is no cavity. The line runs between the pixels' centres, smoothed over a pixel's width.
    """
    line = _outline(mask)
    if line is None:
        return np.full((points, 2), np.nan, np.float32)
    return _evenly(line, points).astype(np.float32)


def simpson_discs(mask: np.ndarray) -> Discs | None:
    """Long axis and discs of a mask, bool [h, w]; None where there is no cavity."""
    line = _outline(mask)
    if line is None:
        return None
    axis, annulus = _long_axis(_evenly(line, 400))
    across = np.array([-axis[1], axis[0]])
    turned = (line - annulus) @ np.stack([axis, across], axis=1)  # [n, 2]: along the axis, across it
    first, last = turned[:, 0].min(), turned[:, 0].max()
    chords = DISCS * CHORDS_PER_DISC
    levels = first + (last - first) * (np.arange(chords) + 0.5) / chords
    widths = np.array([np.ptp(_crossings(turned, level)) for level in levels])
    sections = np.pi / 4 * (widths**2).reshape(DISCS, CHORDS_PER_DISC).mean(axis=1)
    middles = first + (last - first) * (np.arange(DISCS) + 0.5) / DISCS
    ends = np.array([[(cross := _crossings(turned, level)).min(), cross.max()] for level in middles])
    if across[0] < 0:
        ends = ends[:, ::-1]
    left, right = (annulus + middles[:, None] * axis + ends[:, side, None] * across for side in (0, 1))
    return Discs(annulus + first * axis, annulus + last * axis, left, right, sections)


def _outline(mask: np.ndarray) -> np.ndarray | None:
    """The longest level line of a smoothed mask, float64 [n, 2], closed; None where there is no cavity."""
    from contourpy import contour_generator

    if mask.sum() < SMALLEST_CAVITY_PIXELS:
        return None
    soft = np.pad(mask.astype(np.float64), 2)
    for axis in (0, 1):
        soft = (np.roll(soft, 1, axis) + 2 * soft + np.roll(soft, -1, axis)) / 4
    lines = contour_generator(z=soft).lines(0.5)
    return max(lines, key=len) - 2 if lines else None


def _evenly(line: np.ndarray, points: int) -> np.ndarray:
    """`points` places along a closed line [n, 2], the same distance from one another."""
    passed = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    at = np.arange(points) * passed[-1] / points
    return np.stack([np.interp(at, passed, line[:, axis]) for axis in (0, 1)], axis=1)


def _long_axis(line: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unit vector from apex to base and the middle of the annulus, each [2], of an even outline [n, 2].

    The principal axis gives a first direction; the corners of the base are then the outermost points 45 degrees to
    either side of it, the middle of the annulus lies between them, and the apex is the point farthest from it.
    """
    centre = line.mean(axis=0)
    offset = line - centre
    xx, yy = (offset**2).mean(axis=0)
    angle = 0.5 * np.arctan2(2 * (offset[:, 0] * offset[:, 1]).mean(), xx - UPRIGHT_PREFERENCE * yy)
    axis = np.array([np.cos(angle), np.sin(angle)])
    axis *= -1 if axis[1] < 0 else 1
    annulus = centre
    for _ in range(2):
        along, across = offset @ axis, offset @ np.array([-axis[1], axis[0]])
        annulus = (_farthest(line, along + across) + _farthest(line, along - across)) / 2
        distance = np.linalg.norm(line - annulus, axis=1)
        axis = annulus - _farthest(line, np.where(along < 0, distance, -np.inf))
        axis /= np.linalg.norm(axis)
    return axis, annulus


def _farthest(line: np.ndarray, score: np.ndarray, margin: float = 1.0) -> np.ndarray:
    """Mean of the points whose score is within `margin` of the largest: a blunt end has many almost equally far."""
    return line[score >= score.max() - margin].mean(axis=0)


def _crossings(turned: np.ndarray, level: float) -> np.ndarray:
    """Where a closed line [n, 2] = (along, across) crosses a level along the axis: its places across."""
    along, across = turned[:, 0] - level, turned[:, 1]
    at = np.flatnonzero((along[:-1] < 0) != (along[1:] < 0))
    share = along[at] / (along[at] - along[at + 1])
    return across[at] + share * (across[at + 1] - across[at])
