"""From beats and a dipole to the voltages of a recording, in closed form."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Generator, Tensor

from echopulse.phantom.breath import inhaled
from echopulse.phantom.rhythm.artefacts import spoil
from echopulse.phantom.steps import soft_step
from echopulse.phantom.types import ORIGINS, Rhythm

if TYPE_CHECKING:
    from echopulse.phantom.rhythm.electrocardiogram import ElectrocardiogramParameters

BEFORE_QRS_S = 0.045  # from here on a sample belongs to the coming beat
BEFORE_P_S = 0.03
FAR_S = -1e4  # where missing events are put
SPIKE_BEFORE_QRS_S = 0.004
SPIKE_S = 0.0012  # a spike of half a millisecond as an electrocardiograph's filter widens it
ATRIAL, VENTRICULAR, ESCAPE, PACED = (ORIGINS.index(name) for name in ("atrial", "ventricular", "escape", "paced"))


def synthesize_ecg(
    rhythm: Rhythm,
    parameters: ElectrocardiogramParameters,
    times_s: Tensor,
    generator: Generator,
    clean: bool = False,
) -> Tensor:
    """The recording in mV, float32 [b, l, n], at `times_s` [n], evenly spaced.

    `clean` leaves out all faults but the recorder's gain and polarity. Without beats only the faults remain.
    """
    times_s = times_s.to(rhythm.r_peak)
    phase = torch.rand(len(rhythm.r_peak), 1, generator=generator).to(times_s.device)
    dipole = _beats(rhythm, parameters, times_s) + _p_waves(rhythm, parameters, times_s)
    if bool((parameters.fibrillation_mv != 0).any()):
        dipole = dipole + _fibrillation(parameters, times_s, phase)
    if bool((parameters.flutter_mv != 0).any()):
        dipole = dipole + _flutter(rhythm, parameters, times_s)
    signal = torch.einsum("bld,bdn->bln", parameters.lead_vectors, dipole)
    signal = signal * parameters.recorder_gain[..., None]
    return signal if clean else spoil(signal, parameters, times_s, generator)


def _current(onsets: Tensor, times_s: Tensor) -> Tensor:
    """int64 [b, n]: the last of the events [b, k] (in order, NaN last) before each sample, -1 where there is none."""
    ordered = onsets.nan_to_num(nan=math.inf).contiguous()
    samples = times_s.expand(len(ordered), -1).contiguous()
    return torch.searchsorted(ordered, samples, right=True) - 1


def _bump(distance: Tensor, width: Tensor) -> Tensor:
    """Gaussian of height 1."""
    ratio = distance / width
    return torch.exp(-0.5 * (ratio * ratio).clamp_max(60))


def _beats(rhythm: Rhythm, parameters: ElectrocardiogramParameters, times_s: Tensor) -> Tensor:
    """QRS, ST, T, U and pacing spikes as a dipole [b, 3, n].

    Every sample sees the beat it lies in and the end of the one before.
    """
    p = parameters
    wide = (rhythm.origin == VENTRICULAR) | ((rhythm.origin == ESCAPE) & p.escape_wide[:, None])
    breath = inhaled(p.breath_hz, p.breath_phase, rhythm.r_peak.nan_to_num())
    events = torch.stack(
        [
            rhythm.q_onset.nan_to_num(nan=FAR_S),
            (rhythm.qrs_end - rhythm.q_onset).nan_to_num(nan=0.1),
            rhythm.t_peak.nan_to_num(nan=FAR_S),
            rhythm.t_end.nan_to_num(nan=FAR_S + 0.1),
            rhythm.rr_before.nan_to_num(nan=0.8),
            1 - p.breathing[:, None] * breath,  # air conducts badly
            wide.float(),
            (rhythm.origin == PACED).float(),
        ],
        1,
    )  # [b, 8, k]
    now = _current(rhythm.q_onset - BEFORE_QRS_S, times_s)
    dipole = times_s.new_zeros(len(now), 3, len(times_s))
    for back in (0, 1):
        index = now - back
        at = events.gather(2, index.clamp_min(0)[:, None].expand(-1, events.shape[1], -1)).unbind(1)
        there = (index >= 0).to(times_s)
        height = at[5] * there
        if back == 0:
            dipole += _qrs(p, times_s, at[0], at[1], at[6] > 0.5, height, at[7] * there)
        dipole += _recovery(p, times_s, at, height)
    return dipole


def _qrs(
    p: ElectrocardiogramParameters,
    times_s: Tensor,
    onset: Tensor,
    duration: Tensor,
    wide: Tensor,
    height: Tensor,
    spiked: Tensor,
) -> Tensor:
    """QRS complexes [b, 3, n] from what each sample's beat is, [b, n] each."""
    u = (times_s - onset) / duration
    near = height * (u.abs() < 4)
    total = times_s.new_zeros(len(u), 3, len(times_s))
    some_wide = bool(wide.any())
    for g in range(p.qrs_at.shape[1]):
        centre, width, mv = p.qrs_at[:, g, None], p.qrs_width[:, g, None], p.qrs_mv[:, g, :, None]
        if some_wide:
            centre = torch.where(wide, p.ectopic_at[:, g, None], centre)
            width = torch.where(wide, p.ectopic_width[:, g, None], width)
            mv = torch.where(wide[:, None], p.ectopic_mv[:, g, :, None], mv)
        total += mv * (near * _bump(u - centre, width))[:, None]
    if bool((p.spike_mv != 0).any()) and len(times_s) > 1:
        step = float(times_s[-1] - times_s[0]) / (len(times_s) - 1)
        wider = math.hypot(SPIKE_S, 0.4 * step)  # what is sampled has passed a filter that suits the rate
        spike = spiked * _bump(times_s - onset + SPIKE_BEFORE_QRS_S, times_s.new_tensor(wider))
        total += (SPIKE_S / wider) ** 0.5 * p.spike_mv[..., None] * spike[:, None]
    return total


def _recovery(p: ElectrocardiogramParameters, times_s: Tensor, at: tuple[Tensor, ...], height: Tensor) -> Tensor:
    """ST segments, T and U waves [b, 3, n]."""
    onset, duration, t_peak, t_end, rr, _, wide, _ = at
    qrs_end = onset + duration
    fall = (t_end - t_peak) / 2.1
    rise = torch.minimum(p.t_rise[:, None] * fall, (t_peak - qrs_end).clamp_min(0.06) / 2.2)
    distance = times_s - t_peak
    t_wave = _bump(distance, torch.where(distance < 0, rise, fall))
    early = _bump(distance + 1.3 * rise, 0.8 * rise)
    plateau = soft_step(times_s - qrs_end, 0.04) * soft_step(t_end - fall - 0.05 - times_s, 0.1)
    u_wave = _bump(times_s - t_end - 0.1 * (rr / 0.85).clamp(0.5, 1.2), times_s.new_tensor(0.025))
    own = height * (1 - wide)
    terms = [(p.t_mv, t_wave * own), (p.t_early_mv, early * own), (p.st_mv, plateau * own), (p.u_mv, u_wave * own)]
    if bool((wide > 0).any()):
        against = -p.ectopic_t[:, None] * p.ectopic_mv[:, :3].sum(1)
        terms += [(against, t_wave * height * wide), (0.15 * against, plateau * height * wide)]
    return torch.stack([mv for mv, _ in terms], 2) @ torch.stack([shape for _, shape in terms], 1)


def _p_waves(rhythm: Rhythm, parameters: ElectrocardiogramParameters, times_s: Tensor) -> Tensor:
    """P waves [b, 3, n]: one for every coordinated atrial depolarisation, of another shape where it is premature."""
    p = parameters
    total = times_s.new_zeros(len(p.p_s), 3, len(times_s))
    onsets = rhythm.atria_s
    if not bool(torch.isfinite(onsets).any()):
        return total
    other = torch.where(rhythm.origin == ATRIAL, rhythm.p_onset, math.nan)  # [b, k]
    premature = torch.zeros_like(onsets)
    if bool(torch.isfinite(other).any()):
        premature = ((onsets[:, :, None] - other[:, None, :]).abs() < 1e-3).any(2).float()  # [b, m]
    interval = torch.diff(onsets, dim=1, prepend=onsets[:, :1] - 0.85).nan_to_num(nan=0.85)
    duration = p.p_s[:, None] * (interval / 0.85).sqrt().clamp(0.8, 1.1)
    events = torch.stack([onsets.nan_to_num(nan=FAR_S), duration, premature], 1)
    now = _current(onsets - BEFORE_P_S, times_s)
    onset, length, premature = events.gather(2, now.clamp_min(0)[:, None].expand(-1, 3, -1)).unbind(1)
    since = times_s - onset
    there = (now >= 0).to(times_s)
    first = there * _bump(since - 0.35 * length, 0.19 * length)
    second = there * _bump(since - 0.65 * length, 0.19 * length)
    usual, early = 1 - premature, premature
    shapes = torch.stack([first * usual, second * usual, (first + 0.7 * second) * early], 1)
    return total + torch.stack([p.p_right_mv, p.p_left_mv, p.p_other_mv], 2) @ shapes


def _fibrillation(p: ElectrocardiogramParameters, times_s: Tensor, phase: Tensor) -> Tensor:
    """f waves of drifting rate and height [b, 3, n], each axis out of step with the others."""
    rate = p.fibrillation_hz[:, None, None]
    phase = 2 * math.pi * phase[..., None]
    axis = torch.arange(3, device=times_s.device)[None, :, None]
    turn = 2 * math.pi * times_s
    angle = rate * turn + phase + 2.1 * axis + 0.9 * torch.sin(0.7 * turn + 3 * phase + axis)
    height = 1 + 0.45 * torch.sin(0.37 * turn + 5 * phase + axis)
    saw = torch.sin(angle) + 0.4 * torch.sin(2 * angle + 0.6) + 0.15 * torch.sin(3.1 * angle)
    return p.fibrillation_mv[..., None] * height * saw


def _flutter(rhythm: Rhythm, p: ElectrocardiogramParameters, times_s: Tensor) -> Tensor:
    """F waves [b, 3, n]: a whole number of them from one beat to the next, as a beat follows its wave at once.

    Along y a saw falls slowly and rises fast, as leads II, III and aVF show it; V1 sees small humps.
    """
    r_peak = rhythm.r_peak
    rate = p.flutter_hz[:, None]
    following = torch.cat([torch.diff(r_peak, dim=1), torch.full_like(r_peak[:, :1], math.nan)], 1)
    waves = (following * rate).round().clamp_min(1)
    own_rate = torch.where(torch.isfinite(following), waves / following, rate)  # [b, k]
    events = torch.stack([r_peak.nan_to_num(), own_rate], 1)
    now = _current(r_peak, times_s).clamp_min(0)
    start, own_rate = events.gather(2, now[:, None].expand(-1, 2, -1)).unbind(1)
    angle = 2 * math.pi * ((times_s - start) * own_rate + 0.45)
    saw = -(torch.sin(angle) + 0.5 * torch.sin(2 * angle) + 0.28 * torch.sin(3 * angle) + 0.14 * torch.sin(4 * angle))
    hump = torch.cos(angle + 0.5) + 0.5 * torch.cos(2 * angle + 1.0)
    return p.flutter_mv[..., None] * torch.stack([saw, -saw, hump], 1)
