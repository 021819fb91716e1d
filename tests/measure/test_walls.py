"""Diameters across a painted parasternal long axis."""

import numpy as np
import pytest

from echopulse.measure.walls import measure_walls
from echopulse.phantom.types import LABELS

CLASS = {name: index for index, name in enumerate(LABELS)}


def long_axis(septum: float = 6, cavity: float = 30, posterior: float = 8) -> np.ndarray:
    """A ventricle that lies flat, its base to the right, the right ventricle above it: uint8 [128, 128]."""
    y, x = np.mgrid[:128, :128]
    middle = 64.0
    labels = np.zeros((128, 128), np.uint8)
    flat = (x >= 15) & (x < 85)
    labels[flat & (y >= middle - cavity / 2 - septum) & (y < middle - cavity / 2)] = CLASS["myocardium"]
    labels[flat & (y >= middle + cavity / 2) & (y < middle + cavity / 2 + posterior)] = CLASS["myocardium"]
    labels[flat & (np.abs(y - middle + 0.5) < cavity / 2)] = CLASS["lv"]
    labels[flat & (y < middle - cavity / 2 - septum) & (y > 20)] = CLASS["rv"]
    labels[(x >= 85) & (x < 110) & (y >= 64) & (y < 80)] = CLASS["la"]
    labels[(x >= 85) & (x < 110) & (y >= 48) & (y < 64)] = CLASS["aorta"]
    return labels


def test_three_diameters_come_back_in_cm():
    found = measure_walls(long_axis()[None], 0.1)
    assert [found.septum[0], found.cavity[0], found.posterior[0]] == pytest.approx([0.6, 3.0, 0.8], abs=0.06)


def test_the_septum_is_the_wall_towards_the_right_ventricle():
    found = measure_walls(long_axis()[None, ::-1], 0.1)
    assert [found.septum[0], found.posterior[0]] == pytest.approx([0.6, 0.8], abs=0.06)


def test_without_a_ventricle_or_a_base_nothing_is_measured():
    alone = np.where(long_axis() == CLASS["lv"], CLASS["lv"], 0).astype(np.uint8)
    found = measure_walls(np.stack([alone, np.zeros_like(alone)]), 0.1)
    assert np.isnan([found.septum, found.cavity, found.posterior]).all()
    bare = np.where(long_axis() == CLASS["myocardium"], 0, long_axis()).astype(np.uint8)
    found = measure_walls(bare[None], 0.1)
    assert np.isnan(found.septum[0]) and np.isnan(found.posterior[0]) and found.cavity[0] == pytest.approx(3, abs=0.06)
