"""What spoils an electrocardiogram: breathing, muscles, loose electrodes, mains, the recorder itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from echopulse.phantom.breath import inhaled

if TYPE_CHECKING:
    from echopulse.phantom.rhythm.electrocardiogram import ElectrocardiogramParameters

SLOW_HZ, RESTLESS_HZ = 0.08, 0.45  # of sweat and of fidgeting
NOISE_BANDS_HZ = ((0.05, 0.5), (1.0, 10.0), (20.0, 100.0))  # wander, moving electrodes, muscle


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


def add_noise(signal: Tensor, rate_hz: float, snr_db: float, generator: Generator) -> Tensor:
    """`signal` [..., n], sampled at `rate_hz`, with noise whose variance lies `snr_db` below its own, lead by lead.

    Wander, moving electrodes and muscle have a third of the noise's power each. A lead without signal gets none.
    """
    n = signal.shape[-1]
    hz = torch.fft.rfftfreq(n, 1 / rate_hz, device=signal.device)
    noise = torch.zeros_like(signal)
    for low, high in NOISE_BANDS_HZ:
        white = torch.randn(signal.shape, generator=generator, dtype=signal.dtype).to(signal.device)
        part = torch.fft.irfft(torch.fft.rfft(white) * ((hz >= low) & (hz <= high)), n)
        noise = noise + _of_unit_variance(part)
    level = signal.std(-1, correction=0, keepdim=True) * 10 ** (-snr_db / 20)
    return signal + level * _of_unit_variance(noise)


def _of_unit_variance(noise: Tensor) -> Tensor:
    return noise / noise.std(-1, correction=0, keepdim=True).clamp_min(1e-9)


def _wave(random: Callable[..., Tensor], times_s: Tensor, b: int, leads: int, rate_hz: float) -> Tensor:
    """A wave [b, l, n] of height 1 and nearly that rate, each lead with a phase of its own."""
    own_rate = rate_hz * (0.7 + 0.6 * random(b, 1, 1))
    return torch.sin(2 * math.pi * (own_rate * times_s + random(b, leads, 1)))


def _wander(random: Callable[..., Tensor], times_s: Tensor, b: int, leads: int, breath: Tensor) -> Tensor:
    """Slow waves of sweat, fidgeting and of the breath [b, 1, n], together [b, l, n] of order 1.

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
