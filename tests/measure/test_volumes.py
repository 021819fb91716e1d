"""Volumes of outlines whose measures are known by formula."""

import numpy as np
import pytest

from echopulse.measure.volumes import measure_volumes


def truncated_ellipse(a: float, c: float, tau: float, tilt: float = 0.0, centre=(64.3, 60.4)):
    """Mask of half width a and half length c (pixels), apex up, cut tau * c below its centre; its volume and length."""
    y, x = np.mgrid[:128, :128].astype(float)
    dx, dy = x - centre[0], y - centre[1]
    along = dx * np.sin(tilt) + dy * np.cos(tilt)
    across = dx * np.cos(tilt) - dy * np.sin(tilt)
    mask = (along <= c * tau) & ((along / c) ** 2 + (across / a) ** 2 <= 1)
    return mask, np.pi * a * a * c * ((1 + tau) - (tau**3 + 1) / 3), c * (1 + tau)


@pytest.mark.parametrize("tilt", [-0.4, -0.13, 0.0, 0.2, 0.45])
@pytest.mark.parametrize(("a", "c", "tau"), [(14, 35, 0.35), (20, 40, 0.5), (24, 37, 0.6)])
def test_simpson_gives_the_volume_of_a_truncated_ellipsoid(a, c, tau, tilt):
    mask, volume, length = truncated_ellipse(a, c, tau, tilt)
    measured = measure_volumes(mask[None])
    assert measured.simpson[0] == pytest.approx(volume, rel=0.02)
    assert measured.length[0] == pytest.approx(length, rel=0.02)


@pytest.mark.parametrize(("a", "c"), [(14, 30), (22, 40)])
def test_both_rules_are_right_for_a_whole_ellipsoid(a, c):
    measured = measure_volumes(truncated_ellipse(a, c, 1.0)[0][None])
    volume = 4 / 3 * np.pi * a * a * c
    assert measured.areas[0] == pytest.approx(np.pi * a * c, rel=0.01)
    assert measured.simpson[0] == pytest.approx(volume, rel=0.02)
    assert measured.area_length[0] == pytest.approx(volume, rel=0.03)


def test_ejection_fraction_of_shapes_is_right_within_one_point():
    wide, diastole, _ = truncated_ellipse(20, 40, 0.45, 0.2)
    narrow, systole, _ = truncated_ellipse(13, 35, 0.45, 0.2)
    volumes = measure_volumes(np.stack([wide, narrow])).simpson
    assert 1 - volumes[1] / volumes[0] == pytest.approx(1 - systole / diastole, abs=0.01)


def test_a_still_ventricle_that_drifts_keeps_its_volume():
    masks = np.stack([truncated_ellipse(18, 38, 0.45, 0.1 + 0.01 * k, (64 + 0.3 * k, 60 - 0.2 * k))[0]
                      for k in range(20)])
    volumes = measure_volumes(masks).simpson
    assert volumes.std() / volumes.mean() < 0.01


def test_volume_scales_with_the_cube_of_the_pixel():
    mask = truncated_ellipse(18, 38, 0.45)[0][None]
    pixels, centimetres = measure_volumes(mask), measure_volumes(mask, 0.12)
    assert centimetres.simpson[0] == pytest.approx(pixels.simpson[0] * 0.12**3)
    assert centimetres.areas[0] == pytest.approx(pixels.areas[0] * 0.12**2)
    assert centimetres.area_length[0] == pytest.approx(pixels.area_length[0] * 0.12**3)


def test_frames_without_a_ventricle_have_no_volume_and_do_not_disturb_the_others():
    mask = truncated_ellipse(18, 38, 0.45)[0]
    speck = np.zeros_like(mask)
    speck[3, 3] = True
    measured = measure_volumes(np.stack([np.zeros_like(mask), mask, speck]))
    assert np.isnan(measured.simpson[[0, 2]]).all()
    assert np.isnan(measured.area_length[[0, 2]]).all()
    assert measured.simpson[1] == pytest.approx(measure_volumes(mask[None]).simpson[0])
