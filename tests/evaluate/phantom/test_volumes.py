"""Biplane Simpson on ventricles known by formula."""

import numpy as np
import pytest

from echopulse.evaluate.phantom.volumes import biplane_simpson, volume_errors


def truncated(a: float, c: float, tau: float = 0.45, size: int = 128) -> np.ndarray:
    """Mask of a truncated ellipse, half width a and half length c px, apex up."""
    y, x = np.mgrid[:size, :size].astype(float)
    down = y - 60
    return ((down <= c * tau) & ((down / c) ** 2 + ((x - 64) / a) ** 2 <= 1))[None]


def exact(a: float, b: float, c: float, tau: float = 0.45) -> float:
    return np.pi * a * b * c * ((1 + tau) - (tau**3 + 1) / 3)


@pytest.mark.parametrize(("a", "b", "c"), [(22, 22, 42), (24, 20, 40), (17, 21, 38)])
def test_two_planes_give_the_volume_of_an_oval_ventricle(a, b, c):
    volume = biplane_simpson(truncated(a, c), truncated(b, c), 0.1, 0.1)
    assert volume[0] == pytest.approx(exact(a, b, c) / 1000, rel=0.02)


def test_each_picture_has_its_own_pixels():
    volume = biplane_simpson(truncated(24, 42), truncated(12, 21), 0.1, 0.2)
    assert volume[0] == pytest.approx(exact(24, 24, 42) / 1000, rel=0.03)


def test_errors_of_volumes_and_ejection_fraction():
    found = volume_errors(np.array([102.0, 70, 44]), np.array([100.0, 70, 40]))
    assert found.volume == pytest.approx([0.02, 0, 0.1])
    assert found.ef_points == pytest.approx(100 * ((1 - 44 / 102) - 0.6))
