"""Two planes of one ellipsoid with three axes have its volume."""

from dataclasses import replace

import numpy as np
import pytest

from echopulse.errors import InputError
from echopulse.measure import measure_biplane, measure_masks

TIMES = np.arange(60) * 0.04


def plane(half_width: float, height: float = 80, rate: float = 70, ef: float = 0.5):
    """A measured clip of a half ellipse whose width alone shrinks, so that a biplane volume has the given fraction."""
    y, x = np.mgrid[:128, :128]
    systole = (1 - np.cos(2 * np.pi * rate / 60 * (TIMES - 0.1))) / 2
    widths = half_width * np.sqrt(1 - ef * systole)
    masks = np.stack([(y <= 110) & (((y - 110) / height) ** 2 + ((x - 64) / a) ** 2 <= 1) for a in widths])
    return measure_masks(masks, TIMES, pixel_spacing_cm=0.1)


def test_the_volume_of_half_an_ellipsoid_comes_back_from_views_of_other_rates():
    found = measure_biplane(plane(30, rate=70), plane(22, rate=80))
    assert found.unit == "ml" and len(found.edv) >= 2 and not found.foreshortened
    # ED is read at the last frame above 90 % of the fall, so at 90 to 100 % of the largest volume's stroke
    full = 2 / 3 * np.pi * 3.0 * 2.2 * 8.0
    assert 0.93 * full < np.median(found.edv) < 1.02 * full
    assert found.ef == pytest.approx(0.5, abs=0.04)


def test_a_foreshortened_view_is_told():
    assert measure_biplane(plane(30), plane(22, height=55)).foreshortened


def test_views_scales_and_hearts_that_stand_still_are_refused():
    a, b = plane(30), plane(22)
    with pytest.raises(InputError, match="view plax where a2c"):
        measure_biplane(a, replace(b, view="plax"))
    with pytest.raises(InputError, match="one scale"):
        measure_biplane(a, replace(b, volume_unit="relative"))
    none = np.zeros(0, int)
    with pytest.raises(InputError, match="no whole heartbeat in the a4c"):
        measure_biplane(replace(a, ed_frames=none, es_frames=none), b)
