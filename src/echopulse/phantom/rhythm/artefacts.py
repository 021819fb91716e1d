"""What spoils an electrocardiogram: breathing, muscles, loose electrodes, mains, the recorder itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from echopulse.errors import InputError
from echopulse.phantom.breath import inhaled

if TYPE_CHECKING:
    from echopulse.phantom.rhythm.electrocardiogram import ElectrocardiogramParameters

SLOW_HZ, BREATH_HZ, RESTLESS_HZ = 0.08, 0.25, 0.45  # of sweat, breathing and fidgeting
NOISES = ("wander", "muscle", "electrode")


def spoil(signal: Tensor, parameters: ElectrocardiogramParameters, times_s: Tensor, generator: Generator) -> Tensor:
    """`signal` [b, l, n] mV with the faults that `parameters` call for, [b, l, n] mV.

    The kinds are those of the MIT-BIH Noise Stress Test Database: baseline wander, muscle, electrode motion.
    """
    b, leads, n = signal.shape
    device = signal.device

    def random(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator).to(device)

    connected = parameters.connected[..., None]
    signal = torch.where(connected, signal, 0.0)
    turn = 2 * math.pi
    breath = inhaled(parameters.breath_hz, parameters.breath_phase, times_s)[:, None]
    signal = signal + parameters.wander_mv[..., None] * _wander(random, times_s, b, leads, breath)

    rough = _muscle(torch.randn(b, leads, n, generator=generator).to(device))
    burst = 0.6 + 0.8 * torch.sin(turn * (0.4 * random(b, leads, 1) * times_s + random(b, leads, 1))).clamp_min(0)
    signal = signal + parameters.muscle_mv[..., None] * burst * rough
    signal = signal + parameters.tremor_mv[..., None] * _tremor(times_s, b, leads, generator)

    signal = signal + parameters.electrode_mv[..., None] * _electrode_motion(random, times_s, b, leads)

    hum = torch.sin(turn * (parameters.mains_hz[:, None, None] * times_s + random(b, leads, 1)))
    third = torch.sin(turn * (3 * parameters.mains_hz[:, None, None] * times_s + random(b, leads, 1)))
    signal = signal + parameters.mains_mv[..., None] * (hum + 0.2 * third)

    limit = parameters.clip_at[..., None] * signal.abs().amax(-1, keepdim=True)
    signal = torch.maximum(torch.minimum(signal, limit), -limit)
    step = parameters.step_mv[:, None, None]
    return torch.where(step > 0, (signal / step.clamp_min(1e-6)).round() * step, signal)


def add_noise(signal: Tensor, snr_db: float, generator: Generator, rate_hz: float, kind: str = "mixed") -> Tensor:
    """`signal` [b, l, n] with noise whose power lies `snr_db` below that of the signal, lead by lead.

    The kinds are "wander", "muscle", "electrode", and "mixed", equal parts of the three. Power is the variance over
    the recording; a lead without signal gets none.
    """
    if kind not in (*NOISES, "mixed"):
        raise InputError(f"noise {kind!r} is unknown; choose one of mixed, {', '.join(NOISES)}.")
    b, leads, n = signal.shape
    times_s = torch.arange(n, device=signal.device) / rate_hz
    chosen = NOISES if kind == "mixed" else (kind,)
    noise = torch.zeros_like(signal)
    for name in chosen:
        part = _noise(name, times_s, b, leads, generator)
        part = part - part.mean(-1, keepdim=True)
        noise += part / part.square().mean(-1, keepdim=True).sqrt().clamp_min(1e-9)
    noise = noise / noise.square().mean(-1, keepdim=True).sqrt().clamp_min(1e-9)
    return signal + signal.std(-1, correction=0, keepdim=True) * 10 ** (-snr_db / 20) * noise


def _noise(kind: str, times_s: Tensor, b: int, leads: int, generator: Generator) -> Tensor:
    """One kind of noise [b, l, n] of any height."""
    device = times_s.device

    def random(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator).to(device)

    if kind == "wander":
        breath = _wave(random, times_s, b, leads, BREATH_HZ)
        return _wander(random, times_s, b, leads, breath)
    if kind == "electrode":
        total = torch.zeros(b, leads, len(times_s), device=device)
        for _ in range(max(round(float(times_s[-1]) / 3), 1)):
            total += _electrode_motion(random, times_s, b, leads)
        return total
    return _muscle(torch.randn(b, leads, len(times_s), generator=generator).to(device))


def _wave(random: Callable[..., Tensor], times_s: Tensor, b: int, leads: int, rate_hz: float) -> Tensor:
    """A wave [b, l, n] of height 1 and nearly that rate, each lead with a phase of its own."""
    own_rate = rate_hz * (0.7 + 0.6 * random(b, 1, 1))
    return torch.sin(2 * math.pi * (own_rate * times_s + random(b, leads, 1)))


def _wander(random: Callable[..., Tensor], times_s: Tensor, b: int, leads: int, breath: Tensor) -> Tensor:
    """Slow waves of sweat, fidgeting and of the breath [b, l or 1, n], together [b, l, n] of order 1.

    The breath moves the baseline of some leads upwards, of others downwards.
    """
    total = (2 * random(b, leads, 1) - 1) * breath
    for rate in (SLOW_HZ, RESTLESS_HZ):
        total = total + random(b, leads, 1) * _wave(random, times_s, b, leads, rate)
    return total


def _muscle(white: Tensor) -> Tensor:
    """White noise [b, l, n] made to rise with frequency, as that of muscles does, of the same variance."""
    return (white - 0.5 * torch.roll(white, 1, -1)) / 1.12


def _tremor(times_s: Tensor, b: int, leads: int, generator: Generator) -> Tensor:
    """Noise of unit variance whose power lies below 20 Hz, [b, l, n]."""
    seconds = float(times_s[-1] - times_s[0])
    coarse = torch.randn(b, leads, max(int(40 * seconds), 4), generator=generator).to(times_s.device)
    return 1.4 * F.interpolate(coarse, size=len(times_s), mode="linear", align_corners=True)


def _electrode_motion(random: Callable[..., Tensor], times_s: Tensor, b: int, leads: int) -> Tensor:
    """Bumps of 50 to 300 ms and one step that decays, [b, l, n], of order 1."""
    start, span = times_s[0], (times_s[-1] - times_s[0]).clamp_min(1e-3)
    total = torch.zeros(b, leads, len(times_s), device=times_s.device)
    for _ in range(3):
        centre = start + span * random(b, leads, 1)
        width = 0.05 + 0.25 * random(b, leads, 1)
        total += (2 * random(b, leads, 1) - 1) * torch.exp(-0.5 * ((times_s - centre) / width).square().clamp_max(60))
    since = times_s - start - span * random(b, leads, 1)
    step = torch.exp(-since.clamp_min(0) / (0.15 + random(b, leads, 1))) * (since > 0)
    return total + (2 * random(b, leads, 1) - 1) * step
