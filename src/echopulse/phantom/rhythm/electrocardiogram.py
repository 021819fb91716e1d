"""What electrodes see of a rhythm: wave shapes of any lead, and everything that spoils a recording.

Each beat is a sum of Gaussian bumps in time around its events (after McSharry et al. 2003, "A dynamical model for
generating synthetic electrocardiogram signals"), evaluated in closed form. Shapes are drawn far apart on purpose: limb
and chest leads, watches and Holters are all meant to look familiar to a network that learned from these.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from echopulse.phantom.priors import apply_pins, chance, check_prior, choice, log_normal, log_uniform, normal, uniform
from echopulse.phantom.rhythm.artefacts import spoil
from echopulse.phantom.rhythm.timing import AF
from echopulse.phantom.types import Rhythm


@dataclass(frozen=True)
class ElectrocardiogramParameters:
    """Shapes per clip and lead [b, l] and faults per clip [b] or lead [b, l]; mV, seconds, Hz."""

    p_mv: Tensor  # [b, l]
    p_second: Tensor  # [b, l] height of the left atrium's hump relative to the right's; negative = biphasic P
    q_mv: Tensor  # [b, l] negative deflection before R
    r_mv: Tensor  # [b, l]
    r_shift_s: Tensor  # [b, l] of R against the beat's common fiducial
    r_width: Tensor  # [b, l] standard deviation relative to the QRS duration
    s_mv: Tensor  # [b, l]
    s_width: Tensor  # [b, l] relative to the QRS duration
    late_r_mv: Tensor  # [b, l] second R, or a notch
    st_mv: Tensor  # [b, l]
    t_mv: Tensor  # [b, l]
    t_second: Tensor  # [b, l] early T component relative to T, of opposite sign in biphasic T
    t_rise: Tensor  # [b] length of T's upstroke relative to its downstroke
    u_mv: Tensor  # [b, l]
    ectopic_mv: Tensor  # [b, l] main deflection of ventricular ectopics
    ectopic_tail: Tensor  # [b, l] second deflection relative to the main one
    ectopic_t: Tensor  # [b, l] T of an ectopic relative to minus its main deflection
    fibrillation_mv: Tensor  # [b, l] f waves
    fibrillation_hz: Tensor  # [b]
    breathing: Tensor  # [b] relative swing of the QRS height with respiration
    recorder_gain: Tensor  # [b, l]; its sign is the polarity
    wander_mv: Tensor  # [b, l]
    muscle_mv: Tensor  # [b, l] noise that rises with frequency
    tremor_mv: Tensor  # [b, l] noise of 5 to 20 Hz, where P and T waves live
    electrode_mv: Tensor  # [b, l] bumps and steps of a moving electrode
    mains_mv: Tensor  # [b, l]
    mains_hz: Tensor  # [b]
    step_mv: Tensor  # [b] of the digitiser
    clip_at: Tensor  # [b, l] fraction of the largest value at which the amplifier saturates
    connected: Tensor  # [b, l] bool, False where an electrode is off

    def to(self, device: torch.device | str) -> ElectrocardiogramParameters:
        return ElectrocardiogramParameters(**{name: value.to(device) for name, value in vars(self).items()})


def draw_electrocardiogram(
    n: int,
    generator: Generator,
    prior: str = "clinical",
    *,
    leads: int = 2,
    kind: Tensor | None = None,
    **pinned: Any,
) -> ElectrocardiogramParameters:
    """Parameters of n recordings of `leads` leads each; `kind` [n] holds the rhythms (f waves appear in fibrillation).

    A third of the leads resemble I, II or V5 of a healthy heart; the rest are rS, QS, RS, qR and low-voltage shapes.
    """
    check_prior(prior)
    easy = prior == "easy"
    shape = (n, leads)
    kind = torch.zeros(n, dtype=torch.int64) if kind is None else kind.cpu()
    waves = _draw_waves(shape, generator, easy)
    tallest = torch.maximum(waves["r_mv"], torch.maximum(-waves["s_mv"], -waves["q_mv"]))
    f_waves = torch.minimum(log_normal(shape, 0.045, 0.6, generator, 0.008, 0.2), 0.25 * tallest)
    values = waves | {
        "t_rise": uniform(n, 1.2, 2.2, generator),
        "fibrillation_mv": torch.where((kind == AF)[:, None], f_waves, 0.0),
        "fibrillation_hz": normal(n, 6.0, 1.0, generator, 4, 9),
        "breathing": uniform(n, 0.0, 0.1, generator),
    }
    flipped = chance(shape, 0.0 if easy else 0.12, generator)
    both = log_uniform((n, 1), 0.6, 1.6, generator)
    gain = (both * log_uniform(shape, 0.85, 1.2, generator)).clamp(0.5, 2.0)

    def in_some(probability: float, amount: Tensor) -> Tensor:
        return torch.where(chance(shape, probability, generator), amount, 0.0)

    recording = {
        "recorder_gain": torch.where(flipped, -1.0, 1.0) * (torch.ones(shape) if easy else gain),
        "wander_mv": log_normal(shape, 0.07, 0.9, generator, 0.005, 0.6),
        "muscle_mv": torch.minimum(log_normal(shape, 0.010, 0.8, generator, 0.001, 0.07), 0.2 * tallest),
        "tremor_mv": torch.minimum(log_normal(shape, 0.006, 0.9, generator, 0.0005, 0.05), 0.12 * tallest),
        "electrode_mv": in_some(0.2, log_normal(shape, 0.2, 0.7, generator, 0.03, 1.0)),
        "mains_mv": in_some(0.25, log_uniform(shape, 0.003, 0.05, generator)),
        "mains_hz": torch.where(chance(n, 0.6, generator), 50.0, 60.0),
        "step_mv": torch.tensor([0.0, 0.001, 0.005, 0.0125])[choice(n, (0.3, 0.3, 0.3, 0.1), generator)],
        "clip_at": torch.where(chance(shape, 0.03, generator), uniform(shape, 0.5, 0.9, generator), 10.0),
        "connected": ~(chance(shape, 0.04, generator) & (torch.arange(leads) > 0)),
    }
    if easy:
        for name in ("wander_mv", "muscle_mv", "tremor_mv", "electrode_mv", "mains_mv"):
            recording[name] = recording[name] * (0.0 if name in ("electrode_mv", "mains_mv") else 0.2)
        recording["clip_at"] = torch.full(shape, 10.0)
        recording["connected"] = torch.ones(shape, dtype=torch.bool)
    return ElectrocardiogramParameters(**apply_pins(values | recording, pinned, "electrocardiogram"))


# Low and high of each amplitude in mV for the shapes a QRS takes; signs as drawn on paper.
#            weight   Q              R             S              T              P
_SHAPES = {
    "qRs": (0.40, (-0.15, 0.0), (0.45, 2.2), (-0.45, 0.0), (0.08, 0.60), (0.05, 0.22)),  # I, II, V5, V6, MLII
    "rS": (0.16, (0.0, 0.0), (0.05, 0.5), (-1.8, -0.4), (-0.25, 0.90), (0.03, 0.12)),  # V1, V2, III
    "QS": (0.08, (-1.5, -0.4), (0.0, 0.0), (-0.1, 0.0), (-0.40, 0.50), (-0.12, 0.08)),  # aVR, old infarction
    "RS": (0.12, (-0.1, 0.0), (0.4, 1.4), (-1.3, -0.4), (0.0, 0.80), (0.04, 0.15)),  # V3, V4
    "qR": (0.12, (-0.5, -0.05), (0.3, 1.4), (-0.1, 0.0), (0.02, 0.45), (0.03, 0.18)),  # III, aVF, aVL
    "low": (0.12, (-0.06, 0.0), (0.15, 0.45), (-0.15, 0.0), (0.02, 0.18), (0.03, 0.09)),  # a watch, emphysema
}


def _draw_waves(shape: tuple[int, int], generator: Generator, easy: bool) -> dict[str, Tensor]:
    """Amplitudes and widths of the waves, [b, l]."""
    weights = [row[0] for row in _SHAPES.values()]
    which = choice(shape, (1, 0, 0, 0, 0, 0) if easy else weights, generator)
    ranges = torch.tensor([row[1:] for row in _SHAPES.values()])[which]  # [b, l, wave, low or high]
    level = torch.rand((*shape, 5), generator=generator)
    q, r, s, t, p = (ranges[..., 0] + (ranges[..., 1] - ranges[..., 0]) * level).unbind(-1)

    def in_some(probability: float, amount: Tensor, otherwise: Tensor | float = 0.0) -> Tensor:
        return torch.where(chance(shape, 0.0 if easy else probability, generator), amount, otherwise)

    t = in_some(0.10, -0.7 * t, t)
    shallow_s = torch.rand(shape, generator=generator) ** 2
    s = torch.where(which == 0, s * shallow_s, s)
    main = torch.maximum(r, torch.maximum(-s, -q))
    return {
        "p_mv": p,
        "p_second": in_some(0.12, uniform(shape, -0.9, -0.2, generator), uniform(shape, 0.5, 1.2, generator)),
        "q_mv": q,
        "r_mv": r,
        "r_shift_s": normal(shape, 0, 0.004, generator, -0.01, 0.01) - torch.where(which == 1, 0.012, 0.0),
        "r_width": uniform(shape, 0.10, 0.15, generator),
        "s_mv": s,
        "s_width": uniform(shape, 0.10, 0.16, generator),
        "late_r_mv": in_some(0.12, uniform(shape, 0.05, 0.35, generator) * main),
        "st_mv": normal(shape, 0.0, 0.03, generator, -0.1, 0.1)
        + in_some(0.08, normal(shape, 0.0, 0.12, generator, -0.3, 0.3)),
        "t_mv": t,
        "t_second": in_some(0.10, uniform(shape, -0.7, 0.5, generator)),
        "u_mv": in_some(0.2, uniform(shape, 0.02, 0.08, generator)),
        "ectopic_mv": torch.where(chance(shape, 0.6, generator), 1.0, -1.0)
        * (0.5 * main + uniform(shape, 0.3, 1.4, generator)),
        "ectopic_tail": uniform(shape, -0.7, 0.4, generator),
        "ectopic_t": uniform(shape, 0.2, 0.55, generator),
    }


def synthesize_ecg(
    rhythm: Rhythm,
    parameters: ElectrocardiogramParameters,
    times_s: Tensor,
    generator: Generator,
    *,
    clean: bool = False,
) -> Tensor:
    """The recording in mV, float32 [b, l, n], at `times_s` [n], evenly spaced; `clean` leaves out all faults.

    A clean recording keeps its lead's gain and polarity. Without beats only the faults remain.
    """
    times_s = times_s.to(rhythm.r_peak)
    b, leads = parameters.p_mv.shape
    signal = rhythm.r_peak.new_zeros(b, leads, len(times_s))
    phases = torch.rand(b, 2, generator=generator).to(times_s.device)
    tall = 1 + parameters.breathing[:, None] * torch.sin(
        2 * math.pi * (0.25 * rhythm.r_peak.nan_to_num() + phases[:, :1])
    )  # [b, n]
    for k in range(rhythm.r_peak.shape[1]):
        signal += tall[:, k, None, None] * _beat(rhythm, k, parameters, times_s)
    signal += _fibrillation(parameters, times_s, phases[:, 1])
    signal *= parameters.recorder_gain[..., None]
    if clean:
        return signal
    return spoil(signal, parameters, times_s, generator)


def _bump(times_s: Tensor, centre: Tensor, width: Tensor, width_after: Tensor | None = None) -> Tensor:
    """Gaussian of height 1, [b, l, n], with another width behind its peak where one is given; 0 where centre is NaN."""
    distance = times_s - centre[..., None]
    width = width[..., None]
    if width_after is not None:
        width = torch.where(distance < 0, width, width_after[..., None])
    bump = torch.exp(-0.5 * (distance / width).square().clamp_max(60))
    return torch.where(torch.isfinite(centre)[..., None], bump, 0.0)


def _smooth(u: Tensor) -> Tensor:
    u = u.clamp(0, 1)
    return u * u * (3 - 2 * u)


def _beat(rhythm: Rhythm, k: int, parameters: ElectrocardiogramParameters, times_s: Tensor) -> Tensor:
    """Beat number k of every heart, [b, l, n] mV."""
    p = parameters
    present, ectopic = rhythm.beats[:, k], rhythm.ectopic[:, k]
    total = torch.zeros((*p.p_mv.shape, len(times_s)), dtype=times_s.dtype, device=times_s.device)
    if not present.any():
        return total

    def event(name: str) -> Tensor:
        return getattr(rhythm, name)[:, k, None]  # [b, 1]

    def add(height: Tensor, centre: Tensor, width: Tensor, width_after: Tensor | None = None) -> None:
        nonlocal total
        centre = centre.expand_as(p.p_mv)
        after = None if width_after is None else width_after.expand_as(p.p_mv)
        total = total + height[..., None] * _bump(times_s, centre, width.expand_as(p.p_mv), after)

    normal_beat = torch.where(ectopic, 0.0, 1.0)[:, None]
    ectopic_beat = 1 - normal_beat
    r, q_onset, qrs_end, t_peak, t_end = (event(x) for x in ("r_peak", "q_onset", "qrs_end", "t_peak", "t_end"))
    qrs = qrs_end - q_onset

    duration = 0.095 * (event("rr_before") / 0.85).sqrt().clamp(0.8, 1.1)
    add(p.p_mv, event("p_onset") + 0.34 * duration, 0.17 * duration)
    add(p.p_mv * p.p_second, event("p_onset") + 0.64 * duration, 0.17 * duration)

    has_r = p.r_mv > 0.02  # else the Q wave is the whole complex
    add(p.q_mv * normal_beat, torch.where(has_r, r - 0.24 * qrs, r), torch.where(has_r, 0.08, 0.16) * qrs)
    add(p.r_mv * normal_beat, r + p.r_shift_s, p.r_width * qrs)
    add(p.s_mv * normal_beat, r + p.r_shift_s + 0.30 * qrs, p.s_width * qrs)
    add(p.late_r_mv * normal_beat, r + 0.48 * qrs, 0.09 * qrs)
    add(p.ectopic_mv * ectopic_beat, r, 0.17 * qrs)
    add(p.ectopic_mv * p.ectopic_tail * ectopic_beat, r + 0.36 * qrs, 0.15 * qrs)

    fall = (t_end - t_peak) / 2.1
    rise = torch.minimum(p.t_rise[:, None] * fall, (t_peak - qrs_end).clamp_min(0.06) / 2.2)
    t_height = p.t_mv * normal_beat - p.ectopic_mv * p.ectopic_t * ectopic_beat
    add(t_height, t_peak, rise, fall)
    add(t_height * p.t_second, t_peak - 1.3 * rise, 0.8 * rise)
    add(p.u_mv * normal_beat, t_end + 0.1 * (event("rr_before") / 0.85).clamp(0.5, 1.2), torch.full_like(fall, 0.025))

    plateau = _smooth((times_s - qrs_end[..., None] + 0.02) / 0.04) * _smooth(
        ((t_end - fall)[..., None] - times_s) / 0.1
    )
    plateau = torch.where(present[:, None, None], plateau, 0.0)
    return total + (p.st_mv * normal_beat)[..., None] * plateau


def _fibrillation(parameters: ElectrocardiogramParameters, times_s: Tensor, phase: Tensor) -> Tensor:
    """f waves of drifting rate and height, [b, l, n] mV."""
    rate = parameters.fibrillation_hz[:, None, None]
    phase = 2 * math.pi * phase[:, None, None]
    lead = torch.arange(parameters.p_mv.shape[1], device=times_s.device)[None, :, None]
    angle = 2 * math.pi * rate * times_s + phase + 0.7 * lead + 0.9 * torch.sin(2 * math.pi * 0.7 * times_s + 3 * phase)
    height = 1 + 0.45 * torch.sin(2 * math.pi * 0.37 * times_s + 5 * phase + lead)
    saw = torch.sin(angle) + 0.4 * torch.sin(2 * angle + 0.6) + 0.15 * torch.sin(3.1 * angle)
    return parameters.fibrillation_mv[..., None] * height * saw
