"""Outlines and discs of shapes whose volumes are known by formula."""

import numpy as np
import pytest

from echopulse.data.outlines import DISCS, outline, simpson_discs


def truncated_ellipse(a, c, tau=0.45, tilt=0.0, size=128):
    """Mask of half width a and half length c (pixels), apex up, cut at tau c below its centre; volume and length."""
    y, x = np.mgrid[:size, :size].astype(float)
    along = (x - 64) * np.sin(tilt) + (y - 60) * np.cos(tilt)
    across = (x - 64) * np.cos(tilt) - (y - 60) * np.sin(tilt)
    mask = (along <= c * tau) & ((along / c) ** 2 + (across / a) ** 2 <= 1)
    return mask, np.pi * a * a * c * ((1 + tau) - (tau**3 + 1) / 3), c * (1 + tau)


@pytest.mark.parametrize(("a", "c", "tilt"), [(18, 36, 0.0), (22, 33, 0.25), (14, 30, -0.3)])
def test_simpson_finds_the_volume_and_length_of_a_truncated_ellipsoid(a, c, tilt):
    mask, volume, length = truncated_ellipse(a, c, tilt=tilt)
    discs = simpson_discs(mask)
    assert discs.volume_ml(1.0) == pytest.approx(volume, rel=0.02)
    assert discs.volume_ml(0.1) == pytest.approx(volume / 1000, rel=0.02)
    assert np.linalg.norm(discs.base - discs.apex) == pytest.approx(length, rel=0.02)


def test_chords_run_from_left_to_right_and_from_apex_to_base():
    discs = simpson_discs(truncated_ellipse(18, 36, tilt=0.2)[0])
    assert discs.left.shape == discs.right.shape == (DISCS, 2)
    assert (discs.left[:, 0] < discs.right[:, 0]).all() and discs.apex[1] < discs.base[1]
    axis = discs.base - discs.apex
    places = (discs.left - discs.apex) @ axis / (axis @ axis)
    assert np.allclose(places, (np.arange(DISCS) + 0.5) / DISCS, atol=1e-6)


def test_the_outline_encloses_the_mask_area():
    mask = truncated_ellipse(18, 36)[0]
    x, y = outline(mask).T.astype(float)
    area = 0.5 * abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))
    assert area == pytest.approx(mask.sum(), rel=0.01) and outline(mask).dtype == np.float32


def test_where_there_is_no_cavity_there_is_no_outline():
    speck = np.zeros((32, 32), bool)
    speck[4:8, 4:8] = True
    assert simpson_discs(speck) is None and np.isnan(outline(speck)).all()
