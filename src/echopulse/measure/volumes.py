"""From masks of the left ventricle in apical views to areas, lengths and volumes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from echopulse.echo.ventricle import area_length_volumes, find_chords


@dataclass(frozen=True, eq=False)
class Volumes:
    """Areas and volumes per frame, float64 [t]; volumes and lengths are NaN where there is no cavity."""

    areas: np.ndarray
    simpson: np.ndarray
    area_length: np.ndarray
    length: np.ndarray


def measure_volumes(masks: np.ndarray, pixel_size: float = 1.0) -> Volumes:
    """Areas and volumes of masks, bool [t, h, w], whose square pixels measure `pixel_size` (cm gives cm² and ml).

    Single-plane Simpson and area-length volumes as `echopulse.echo.ventricle` defines them.
    """
    masks = np.asarray(masks, dtype=bool)
    chords = find_chords(masks)
    areas, length = masks.sum((1, 2)) * pixel_size**2, chords.length * pixel_size
    return Volumes(areas, chords.volumes * pixel_size**3, area_length_volumes(areas, length), length)
