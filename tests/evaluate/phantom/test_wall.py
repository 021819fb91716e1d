"""A shell that is known by formula has the volume and the thickness of that shell."""

import math

import pytest
import torch

from echopulse.evaluate.phantom.wall import relative_change, wall_thickness, wall_volume


def shell(inner, outer, length=7.0):
    """Tubes along z from -1 to `length`, one per moment, of inner and outer radii [t]."""
    inner, outer = (torch.tensor(value)[None, :, None, None] for value in (inner, outer))

    def wall(x, y, z):
        radius = (x * x + y * y).sqrt()
        return (radius >= inner) & (radius < outer) & (z >= -1) & (z < length)

    return wall


def test_volume_of_a_shell_that_keeps_it_and_of_one_that_does_not():
    kept = shell([2.5, 1.5], [3.5, (3.5**2 - 2.5**2 + 1.5**2) ** 0.5])
    length = torch.full((1, 2), 7.0)
    volume = wall_volume(kept, 4.0, length)
    assert volume[0, 0] == pytest.approx(math.pi * 6 * 8, rel=0.02)
    assert abs(relative_change(volume)[0]) < 0.02
    lost = wall_volume(shell([2.5, 1.5], [3.5, 2.5]), 4.0, length)
    assert relative_change(lost)[0] < -0.2


def test_thickness_is_measured_across_the_axis():
    thickness = wall_thickness(shell([2.5, 1.5], [3.5, 2.9]), torch.tensor([[3.0, 2.0]]))
    assert thickness[0].tolist() == pytest.approx([1.0, 1.4], abs=0.03)
    assert relative_change(thickness)[0] == pytest.approx(0.4, abs=0.05)
