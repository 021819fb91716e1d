"""Soft switches from 0 to 1, which curves in time and edges in space are made of."""

from __future__ import annotations

from torch import Tensor


def smooth(u: Tensor) -> Tensor:
    """0 up to u = 0, 1 from u = 1, between them the Beta(2, 2) distribution function: a cubic, level at both ends."""
    u = u.clamp(0, 1)
    return u * u * (3 - 2 * u)


def soft_step(distance: Tensor, width: float | Tensor) -> Tensor:
    """0 below -width/2, 1 above width/2, `smooth` between."""
    return smooth(distance / width + 0.5)
