"""What the controls do to an ECG: pure functions from samples float32 [l, n] in mV to samples of the same shape.

Where a change needs samples from beyond the recording, its outermost ones are held.
"""

from __future__ import annotations

import torch
from torch import Tensor

FLAT_NOISE_MV = 0.005  # what an amplifier leaves on a flat line


def moved_later(samples: Tensor, rate_hz: float, seconds: float) -> Tensor:
    """The same `seconds` later (earlier if negative), to the nearest sample."""
    n = samples.shape[-1]
    source = torch.arange(n) - round(seconds * rate_hz)
    return samples[..., source.clamp(0, n - 1)]


def at_rate(samples: Tensor, rate_hz: float, factor: float, still_s: float) -> Tensor:
    """Played `factor` times as fast about the moment `still_s` (seconds from the first sample), which stays in place.

    At time t stands what stood at still_s + factor · (t - still_s), linear between samples: beats come at `factor`
    times their rate, and every wave is as much shorter.
    """
    n = samples.shape[-1]
    place = (still_s + factor * (torch.arange(n, dtype=torch.float64) / rate_hz - still_s)) * rate_hz
    place = place.clamp(0, n - 1)
    low = place.floor().long().clamp(max=max(n - 2, 0))
    part = (place - low).to(samples.dtype)
    return samples[..., low] * (1 - part) + samples[..., (low + 1).clamp(max=n - 1)] * part


def flipped(samples: Tensor) -> Tensor:
    """Electrodes the wrong way round."""
    return -samples


def with_noise(samples: Tensor, snr_db: float, draw: torch.Generator) -> Tensor:
    """White noise added to each lead, `snr_db` below the lead's own power about its median (10 log10 of the ratio)."""
    level = (samples - samples.median(-1, keepdim=True).values).square().mean(-1, keepdim=True).sqrt()
    return samples + level * 10 ** (-snr_db / 20) * torch.randn(samples.shape, generator=draw)


def flat(samples: Tensor, draw: torch.Generator) -> Tensor:
    """A flat line with the faintest noise."""
    return FLAT_NOISE_MV * torch.randn(samples.shape, generator=draw)


def zero(samples: Tensor) -> Tensor:
    """Nothing but zeros."""
    return torch.zeros_like(samples)
