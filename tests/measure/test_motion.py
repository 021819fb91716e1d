"""Strain and annulus of outlines whose length is known by formula."""

import numpy as np
import pytest
from scipy.special import ellipeinc

from echopulse.echo.ventricle import find_chords
from echopulse.measure.cycle import find_cycles
from echopulse.measure.motion import annulus_descent, contour_lengths, strain_per_beat

TIMES = np.arange(75) * 0.04


def half_ellipse(height: float, half_width: float, base: float = 110.0) -> np.ndarray:
    y, x = np.mgrid[:128, :128]
    return (y <= base) & (((y - base) / height) ** 2 + ((x - 64) / half_width) ** 2 <= 1)


def arc(height: float, half_width: float) -> float:
    """Half the perimeter of an ellipse by the elliptic integral of the second kind."""
    return 2 * height * ellipeinc(np.pi / 2, 1 - (half_width / height) ** 2)


@pytest.mark.parametrize(("height", "half_width"), [(90, 25), (70, 35), (60, 20)])
def test_the_contour_of_a_half_ellipse_is_as_long_as_the_elliptic_integral_says(height, half_width):
    found = contour_lengths(find_chords(half_ellipse(height, half_width)[None]))
    assert found[0] == pytest.approx(arc(height, half_width), rel=0.02)


def test_where_nothing_is_seen_there_is_no_length():
    assert np.isnan(contour_lengths(find_chords(np.zeros((1, 64, 64), bool)))).all()


def test_strain_and_descent_follow_a_ventricle_that_shortens():
    systole = (1 - np.cos(2 * np.pi * TIMES / 0.9)) / 2
    heights = 90 - 16 * systole
    masks = np.stack([half_ellipse(h, 30 - 8 * s, base=110 - 16 * s) for h, s in zip(heights, systole, strict=True)])
    chords = find_chords(masks)
    cycles = find_cycles(TIMES, chords.volumes)
    assert len(cycles.ed_frames) >= 2
    # ED is the last time above 90 % of the fall, so that a little of the shortening has happened by then
    expected = arc(74, 22) / arc(90, 30) - 1
    assert strain_per_beat(TIMES, contour_lengths(chords), cycles) == pytest.approx(expected, abs=0.025)
    assert annulus_descent(TIMES, chords, cycles) == pytest.approx(16, abs=2.5)
