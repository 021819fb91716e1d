"""Volumes that a reader would measure in the pictures against the exact ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class VolumeErrors:
    """Of one heart: relative errors of the volume per frame [t], and of its EF in points (100 * EF)."""

    volume: np.ndarray
    ef_points: float


def volume_errors(measured_ml: np.ndarray, true_ml: np.ndarray) -> VolumeErrors:
    """Errors of measured volumes [t], with the EF between the truth's largest and smallest frame."""
    measured, true = np.asarray(measured_ml, np.float64), np.asarray(true_ml, np.float64)
    high, low = int(true.argmax()), int(true.argmin())
    ef = (1 - measured[low] / measured[high]) - (1 - true[low] / true[high])
    return VolumeErrors(measured / true - 1, float(100 * ef))
