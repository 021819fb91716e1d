"""Closed-form shapes that every curve of the pump is made of: 0 before u = 0, 1 after u = 1, smooth at both ends."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from echopulse.phantom.steps import smooth


def early_wave(u: Tensor) -> Tensor:
    """Beta(2, 3) distribution function: the E wave, whose flow peaks at a third of its time."""
    u = u.clamp(0, 1)
    return u * u * (6 - 8 * u + 3 * u * u)


def even(u: Tensor) -> Tensor:
    """Nearly even flow, 1 - (2u - 1)^4."""
    u = u.clamp(0, 1)
    return 1.25 * (u - ((2 * u - 1) ** 5 + 1) / 10)


def ejected(u: Tensor, skew: Tensor) -> Tensor:
    """Share of the stroke that is out at the fraction u of the ejection time; `skew` 0 even outflow, 1 front-loaded.

    At a skew of 0.4 the peak outflow is 1.45 times the mean one and comes in the first half, as in radionuclide curves
    (peak ejection rate about 3 end-diastolic volumes per second in a normal heart; textbook value).
    """
    return torch.lerp(even(u), early_wave(u), skew)


def largest_skew(peak: Tensor) -> Tensor:
    """The skew at which `ejected` nowhere rises more than about `peak` times as fast as on average; at least 0."""
    return ((peak - 1.25) / 0.5).clamp_min(0)


def passive_filling(u: Tensor, fused: Tensor) -> Tensor:
    """The E wave, the flatter the more (`fused`, 0..1) it has to share its time with the A wave."""
    return torch.lerp(early_wave(u), even(u), fused)


def bump(times_s: Tensor, start: Tensor, peak: Tensor, stop: Tensor) -> Tensor:
    """0 outside [start, stop], 1 at `peak`."""
    rising = smooth((times_s - start) / (peak - start).clamp_min(1e-3))
    return rising * (1 - smooth((times_s - peak) / (stop - peak).clamp_min(1e-3)))


def following(per_beat: Tensor, last: float = math.nan) -> Tensor:
    """The next beat's value at each beat [b, n]; behind the last beat, this beat's value plus `last`."""
    shifted = torch.cat([per_beat[:, 1:], torch.full_like(per_beat[:, :1], math.nan)], 1)
    return torch.where(torch.isfinite(shifted), shifted, per_beat + last)


def preceding(per_beat: Tensor) -> Tensor:
    """The last beat's value at each beat [b, n]; the first beat keeps its own."""
    return torch.cat([per_beat[:, :1], per_beat[:, :-1]], 1)


def latest_index(events_s: Tensor, times_s: Tensor) -> Tensor:
    """int64 [b, t]: the last event [b, n] (ascending, NaN padded) at or before each time [b, t]; 0 before the first."""
    order = events_s.nan_to_num(nan=math.inf).contiguous()
    return (torch.searchsorted(order, times_s.contiguous(), right=True) - 1).clamp(0, events_s.shape[1] - 1)
