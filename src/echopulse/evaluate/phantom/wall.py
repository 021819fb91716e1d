"""The muscle between two moments: its volume, its thickness, its long axis and its apex.

The heart is given as a function, so that the same figures can be taken of a shell known by formula: `Wall` says which
points (x, y, z) in cm, each [b, t or 1, p, q] in the axes of `echopulse.phantom.anatomy.heart`, lie in the left
ventricle's wall at each of t moments, bool [b, t, p, q].
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

Wall = Callable[[Tensor, Tensor, Tensor], Tensor]
ANGLES = 12
SLICES = 6
CAP_CM = 2.2  # of muscle beyond the endocardial apex, at most


def wall_volume(wall: Wall, half_width_cm: float, length_cm: Tensor, step_cm: float = 0.24) -> Tensor:
    """[b, t] cm3: the wall's volume, counted in slices across the axis down to `length_cm` [b, t], and the cap above 0.

    The annulus plane cuts the wall off straight, so the slices of each moment end exactly there.
    """
    across = torch.arange(-half_width_cm, half_width_cm, step_cm) + 0.37 * step_cm
    y, x = torch.meshgrid(across, across, indexing="ij")
    slices = math.ceil(float(length_cm.max()) / step_cm)
    cap = -step_cm * (torch.arange(math.ceil(CAP_CM / step_cm)) + 0.5)
    body = (torch.arange(slices) + 0.5) / slices
    total = torch.zeros_like(length_cm)
    for places, length in ((cap, torch.ones_like(length_cm)), (body, length_cm)):
        thick = step_cm if length is not length_cm else length_cm / slices
        for some in places.split(SLICES):  # a few at a time: less memory, and what there is stays in the cache
            z = (length[..., None] * some)[..., None, None].expand(*length.shape, len(some), *x.shape)
            points = (x.expand_as(z), y.expand_as(z), z)
            total = total + wall(*(axis.flatten(2, 3) for axis in points)).sum((2, 3)) * thick
    return total * step_cm**2


def wall_thickness(wall: Wall, heights_cm: Tensor, reach_cm: float = 8.0, step_cm: float = 0.03) -> Tensor:
    """[b, t] cm: the wall's mean thickness over twelve directions, at a height of its own at each moment [b, t].

    Measured across the axis, as a reader of a short-axis picture does.
    """
    angle = torch.arange(ANGLES) * (2 * math.pi / ANGLES)
    out = torch.arange(step_cm, reach_cm, step_cm)
    x, y = torch.outer(angle.cos(), out)[None, None], torch.outer(angle.sin(), out)[None, None]
    z = heights_cm[..., None, None] + torch.zeros_like(x)
    return wall(x, y, z).float().sum(3).mean(2) * step_cm


def relative_change(values: Tensor) -> Tensor:
    """[b]: the last of [b, t] relative to the first, minus 1."""
    return values[:, -1] / values[:, 0] - 1
