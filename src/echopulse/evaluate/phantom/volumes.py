"""Volumes that a reader would measure in the pictures, from one plane or two, against the exact ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from echopulse.measure.volumes import DISCS, long_axis

STEPS_PER_DISC = 4


@dataclass(frozen=True, eq=False)
class VolumeErrors:
    """Of one heart: relative errors of the volume per frame [t], and of its EF in points (100 * EF)."""

    volume: np.ndarray
    ef_points: float


def biplane_simpson(four: np.ndarray, two: np.ndarray, four_cm: float, two_cm: float) -> np.ndarray:
    """Volume per frame [t], ml, from masks bool [t, h, w] of two apical views of one ventricle.

    Method of discs: V = pi/4 sum a_i b_i L / 20, a_i and b_i the diameters at the same height in the two views
    (Lang et al. 2015, ASE/EACVI chamber quantification). L is the mean of the two long axes, which are the same axis
    when both planes pass through the apex. Pixels measure `four_cm` and `two_cm`.
    """
    a, first = _diameters(four, four_cm)
    b, second = _diameters(two, two_cm)
    return np.pi / 4 * (a * b).mean(1) * 0.5 * (first + second)


def _diameters(masks: np.ndarray, pixel_cm: float) -> tuple[np.ndarray, np.ndarray]:
    """Diameters across the long axis [t, discs * steps] and the length of that axis that they cover [t], in cm.

    From the first pixel along the axis to the last, and one more on either end, as a mask read between its pixels
    reaches beyond their centres; corners that a slightly tilted axis leaves below its own end are counted.
    """
    axis = long_axis(masks)
    down = (axis.base - axis.apex) / np.linalg.norm(axis.base - axis.apex, axis=1, keepdims=True)
    ends = np.array([_extent(*each) for each in zip(masks, axis.apex, down, strict=True)])  # [t, 2]
    count, covered = DISCS * STEPS_PER_DISC, ends[:, 1] - ends[:, 0]
    along = ends[:, :1] + covered[:, None] * (np.arange(count) + 0.5) / count  # [t, count]
    reach = np.arange(-masks.shape[2], masks.shape[2] + 1) / 2.0  # half pixels to either side
    centre = axis.apex[:, None] + along[..., None] * down[:, None]  # [t, count, 2]
    across = np.stack([-down[:, 1], down[:, 0]], 1)
    points = centre[:, :, None] + reach[:, None] * across[:, None, None]  # [t, count, reach, 2]
    inside = np.stack([_bilinear(mask, at) for mask, at in zip(masks, points, strict=True)])
    return inside.sum(2) * 0.5 * pixel_cm, covered * pixel_cm


def _extent(mask: np.ndarray, apex: np.ndarray, down: np.ndarray) -> tuple[float, float]:
    """Where along the axis (px from the apex) a mask begins and ends, a pixel more on either side."""
    rows, columns = np.nonzero(mask)
    if not len(rows):
        return np.nan, np.nan
    along = (columns - apex[0]) * down[0] + (rows - apex[1]) * down[1]
    return along.min() - 1, along.max() + 1


def _bilinear(mask: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Values of one mask [h, w] between its pixels at points [..., 2] given as (column, row); 0 outside."""
    padded = np.pad(np.asarray(mask, np.float32), ((1, 2), (1, 2)))
    column = np.clip(np.nan_to_num(points[..., 0]) + 1, 0, mask.shape[1] + 1)
    row = np.clip(np.nan_to_num(points[..., 1]) + 1, 0, mask.shape[0] + 1)
    left, top = column.astype(int), row.astype(int)
    fx, fy = column - left, row - top
    upper = padded[top, left] * (1 - fx) + padded[top, left + 1] * fx
    lower = padded[top + 1, left] * (1 - fx) + padded[top + 1, left + 1] * fx
    return upper * (1 - fy) + lower * fy


def volume_errors(measured_ml: np.ndarray, true_ml: np.ndarray) -> VolumeErrors:
    """Errors of measured volumes [t], with the EF between the truth's largest and smallest frame."""
    measured, true = np.asarray(measured_ml, np.float64), np.asarray(true_ml, np.float64)
    high, low = int(true.argmax()), int(true.argmin())
    ef = (1 - measured[low] / measured[high]) - (1 - true[low] / true[high])
    return VolumeErrors(measured / true - 1, float(100 * ef))
