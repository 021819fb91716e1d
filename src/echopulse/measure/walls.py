"""Septum, cavity and posterior wall in a parasternal long axis, across the ventricle at the mitral leaflets' tips."""

from __future__ import annotations

import numpy as np

from echopulse.measure.types import Walls
from echopulse.phantom.types import LABELS

TIPS_FROM_BASE = 0.3  # of the cavity's length: where the tips of the mitral leaflets hang
LEVELS = (-0.04, -0.02, 0.0, 0.02, 0.04)  # the median of some parallel lines, in cavity lengths
STEP_PX = 0.25
SMALLEST_CAVITY_PIXELS = 25


def measure_walls(labels: np.ndarray, pixel_size: float) -> Walls:
    """Diameters in every frame from labels, uint8 [t, h, w], of a parasternal long axis; pixels of `pixel_size` cm.

    The line lies at right angles to the cavity's long axis at the tips of the mitral leaflets (Lang et al. 2015,
    ASE/EACVI chamber quantification). The tips themselves bear no label: their level is put at 0.3 of the cavity's
    length from its base. The base is the end towards left atrium and aorta; the septum the wall towards the right
    ventricle, or, where that is not seen, the upper one.
    """
    rows = np.array([_walls_of(frame) for frame in labels]).reshape(-1, 3) * pixel_size
    return Walls(septum=rows[:, 0], cavity=rows[:, 1], posterior=rows[:, 2])


def _walls_of(labels: np.ndarray) -> tuple[float, float, float]:
    """Septum, cavity and posterior wall of one frame, px; NaN where not seen."""
    nothing = (np.nan,) * 3
    cavity = _points(labels, "lv")
    beyond = np.concatenate([_points(labels, "la"), _points(labels, "aorta")])
    if len(cavity) < SMALLEST_CAVITY_PIXELS or not len(beyond):
        return nothing
    middle = cavity.mean(0)
    axis = np.linalg.eigh(np.cov((cavity - middle).T))[1][:, 1]  # of the largest spread
    axis = axis * np.sign(axis @ (beyond.mean(0) - middle) or 1.0)  # towards the base
    along = (cavity - middle) @ axis
    length = along.max() - along.min()
    across = np.array([axis[1], -axis[0]])
    other = _points(labels, "rv")
    towards = (other.mean(0) - middle) if len(other) else np.array([0.0, -1.0])
    across = across * np.sign(across @ towards or 1.0)  # towards the septum
    found = []
    for level in LEVELS:
        start = middle + (along.max() - (TIPS_FROM_BASE + level) * length) * axis
        found.append(_across(labels, start, across))
    found = np.array(found)
    seen = np.isfinite(found)
    return tuple(float(np.median(found[seen[:, i], i])) if seen[:, i].any() else np.nan for i in range(3))


def _across(labels: np.ndarray, start: np.ndarray, across: np.ndarray) -> tuple[float, float, float]:
    """Lengths of wall, cavity and wall along the line through `start`, px; the first wall lies along `across`."""
    cavity, wall = LABELS.index("lv"), LABELS.index("myocardium")
    reach = int(np.hypot(*labels.shape) / STEP_PX)
    steps = np.arange(-reach, reach + 1) * STEP_PX
    columns, rows = np.rint(start[:, None] + across[:, None] * steps).astype(int)
    inside = (columns >= 0) & (rows >= 0) & (columns < labels.shape[1]) & (rows < labels.shape[0])
    met = np.where(inside, labels[np.clip(rows, 0, len(labels) - 1), np.clip(columns, 0, labels.shape[1] - 1)], 0)
    if met[reach] != cavity:
        return (np.nan,) * 3
    up = reach + _run(met[reach:] == cavity)  # first sample beyond the cavity
    down = reach - _run(met[reach::-1] == cavity)
    first, last = _run(met[up:] == wall), _run(met[down::-1] == wall)
    return first * STEP_PX or np.nan, (up - down - 1) * STEP_PX, last * STEP_PX or np.nan


def _run(same: np.ndarray) -> int:
    """How many of the first are True."""
    return len(same) if same.all() else int(same.argmin())


def _points(labels: np.ndarray, name: str) -> np.ndarray:
    """(column, row) of every pixel of a class, float64 [n, 2]."""
    rows, columns = np.nonzero(labels == LABELS.index(name))
    return np.column_stack([columns, rows]).astype(np.float64)
