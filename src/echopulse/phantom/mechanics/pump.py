"""What the beats do to the chambers: left-ventricular volume, valves, atrium and right ventricle over time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from echopulse.phantom.priors import apply_pins, chance, check_prior, choice, log_normal, normal, uniform
from echopulse.phantom.rhythm.timing import remembered_rr, systolic_intervals
from echopulse.phantom.types import Motion, Rhythm

NORMAL_EF = 0.62
HIGHEST_BEAT_EF = 0.86
EMPTY = 0.12  # of the full volume: nothing is ejected below this
CONTRACTION_LEAD_S = 0.025  # the mitral valve is shut at least this long before ejection starts
EARLIEST_CLOSURE_S = 0.045  # without an A wave it shuts this long before ejection starts


@dataclass(frozen=True)
class MechanicsParameters:
    """How b hearts pump; every tensor is float32 [b]."""

    ef: Tensor  # ejection fraction of a regular beat
    edv_ml: Tensor  # volume of a fully filled left ventricle
    age_years: Tensor
    female: Tensor  # 0 or 1
    ivrt_s: Tensor  # isovolumic relaxation time at 70/min
    early_filling_s: Tensor  # duration of the E wave at 70/min
    atrial_share: Tensor  # of the filling volume, at 70/min
    atrial_delay_s: Tensor  # P onset to the start of the A wave
    atrial_kick_s: Tensor  # duration of the A wave
    pre_ejection_offset_s: Tensor  # this heart's pre-ejection period minus what rate and EF predict
    es_after_t_end_s: Tensor  # end of ejection relative to the end of T
    force_gain: Tensor  # how strongly contractility follows the ratio of the last two intervals
    ectopic_force: Tensor  # EF of an ectopic beat relative to what its interval allows
    ejection_skew: Tensor  # 0 even outflow, 1 front-loaded
    diastasis_opening: Tensor  # of the mitral valve between E and A
    la_emptying: Tensor  # fraction of its largest volume that the left atrium empties

    def to(self, device: torch.device | str) -> MechanicsParameters:
        return MechanicsParameters(**{name: value.to(device) for name, value in vars(self).items()})


def draw_mechanics(n: int, generator: Generator, prior: str = "clinical", **pinned: Any) -> MechanicsParameters:
    """Parameters of n pumps; a value given by name takes the place of the one drawn.

    Links: a low EF comes with a large ventricle, old age with slow relaxation and more atrial filling.
    """
    check_prior(prior)
    healthy = normal(n, NORMAL_EF, 0.06, generator, 0.45, 0.80)
    groups = torch.stack(
        [healthy, normal(n, 0.46, 0.06, generator, 0.3, 0.6), normal(n, 0.28, 0.08, generator, 0.12, 0.45)]
    )
    ef = groups.gather(0, choice(n, (0.65, 0.2, 0.15), generator)[None])[0]
    if prior == "easy":
        ef = healthy
    if prior == "uniform":
        ef = uniform(n, 0.12, 0.78, generator)
    female = chance(n, 0.5, generator).float()
    age = normal(n, 55, 18, generator, 18, 92)
    pins = {name: pinned[name] for name in ("ef", "female", "age_years") if name in pinned}
    ef, female, age = apply_pins({"ef": ef, "female": female, "age_years": age}, pins, "mechanics").values()

    spread = log_normal(n, 1.0, 0.20, generator, 0.5, 1.8)
    size = torch.where(female > 0, 82.0, 108.0)
    decades = (age - 50) / 10
    values = {
        "ef": ef,
        "edv_ml": (size * spread * (1 + 1.3 * (0.58 - ef).clamp_min(0))).clamp(40, 350),
        "age_years": age,
        "female": female,
        "ivrt_s": (normal(n, 0.085, 0.013, generator, 0.05, 0.13) * (1 + 0.06 * decades)).clamp(0.05, 0.14),
        # 240 to 300 ms where it can be seen; the shape used here has a long faint end.
        "early_filling_s": (normal(n, 0.30, 0.02, generator, 0.27, 0.35) * (1 + 0.03 * decades)).clamp_min(0.265),
        # From 12 % at 20 years to 46 % at 80.
        "atrial_share": (0.12 + 0.34 * (age - 20) / 60 + normal(n, 0, 0.05, generator, -0.1, 0.1)).clamp(0.1, 0.5),
        "atrial_delay_s": normal(n, 0.058, 0.012, generator, 0.04, 0.08),
        "atrial_kick_s": normal(n, 0.135, 0.008, generator, 0.115, 0.155),
        "pre_ejection_offset_s": normal(n, 0, 0.007, generator, -0.018, 0.018),
        "es_after_t_end_s": normal(n, 0.011, 0.010, generator, -0.015, 0.032),
        "force_gain": 0.22 * log_normal(n, 1.0, 0.2, generator, 0.6, 1.6) + 0.35 * (0.5 - ef).clamp_min(0),
        "ectopic_force": normal(n, 0.7, 0.1, generator, 0.4, 0.95),
        "ejection_skew": uniform(n, 0.3, 0.7, generator),
        "diastasis_opening": uniform(n, 0.15, 0.45, generator),
        "la_emptying": normal(n, 0.55, 0.07, generator, 0.35, 0.7),
    }
    return MechanicsParameters(**apply_pins(values, pinned, "mechanics"))


@dataclass(frozen=True)
class _Cycles:
    """Per beat [b, n], in seconds and ml: its ejection and the filling that follows it."""

    onset: Tensor  # ejection starts
    end: Tensor  # ejection ends
    edv: Tensor
    esv: Tensor
    early_start: Tensor
    early_duration: Tensor
    early_ml: Tensor
    kick_start: Tensor
    kick_duration: Tensor
    kick_ml: Tensor
    closure: Tensor  # mitral closure before the next beat
    atrium_low: Tensor  # left-atrial volume at that closure, relative to its largest
    atrium_low_before: Tensor  # and at the closure before this beat
    kick_part: Tensor  # of the atrium's emptying, by the kick


def contract(rhythm: Rhythm, parameters: MechanicsParameters, times_s: Tensor) -> Motion:
    """The motion of b hearts at `times_s` ([t] or [b, t], seconds).

    Between the onset of one ejection and the next, V(t) = EDV - SV G(u) + E + A with closed-form shapes. Volumes at
    the beats follow from each other: short diastoles fill less, and the force of a beat follows the ratio of
    the two intervals before it (Brookes et al. 1999 and the canine data of Am J Physiol 281:H573).
    """
    b, n = rhythm.r_peak.shape
    if times_s.ndim == 1:
        times_s = times_s.expand(b, -1)
    times_s = times_s.to(rhythm.r_peak).contiguous()
    beats = rhythm.beats
    cycles = _cycles(rhythm, parameters)

    order = cycles.onset.nan_to_num(nan=math.inf).contiguous()
    current = (torch.searchsorted(order, times_s, right=True) - 1).clamp(0, n - 1)  # [b, t]
    at = _Cycles(**{name: value.gather(1, current) for name, value in vars(cycles).items()})
    standing = ~beats.any(1, keepdim=True)  # asystole

    def column(name: str) -> Tensor:
        return getattr(parameters, name)[:, None]

    ejected = _ejection((times_s - at.onset) / (at.end - at.onset), column("ejection_skew"))
    early = (times_s - at.early_start) / at.early_duration
    kick = (times_s - at.kick_start) / at.kick_duration
    volume = at.edv - (at.edv - at.esv) * ejected + at.early_ml * _early_filling(early) + at.kick_ml * _smooth(kick)
    volume = torch.where(standing, column("edv_ml"), volume)

    kicks = (at.kick_ml > 0).float()
    mitral = _mitral_opening(times_s, at, early, kick, kicks, column("diastasis_opening"))
    aortic = _smooth((times_s - at.onset) / 0.04) * _smooth((at.end - times_s) / 0.05)
    atrium = _left_atrium(times_s, at, early, kick)
    stroke = (column("edv_ml") * column("ef")).clamp_min(1e-3)
    right = ((volume - column("edv_ml") * (1 - column("ef"))) / stroke).clamp(0, 1)
    nan = torch.full_like(cycles.onset, math.nan)
    return Motion(
        volume_ml=volume,
        mitral_opening=torch.where(standing, 0.0, mitral),
        aortic_opening=torch.where(standing, 0.0, aortic),
        la_volume=torch.where(standing, 1 - 0.5 * column("la_emptying"), atrium),
        rv_fraction=torch.where(standing, 1.0, right),
        edv_ml=parameters.edv_ml,
        ef=parameters.ef,
        ejection_onset_s=torch.where(beats, cycles.onset, nan),
        ejection_end_s=torch.where(beats, cycles.end, nan),
        edv_beat_ml=torch.where(beats, cycles.edv, nan),
        esv_beat_ml=torch.where(beats, cycles.esv, nan),
    )


def _cycles(rhythm: Rhythm, parameters: MechanicsParameters) -> _Cycles:
    onset, end = _ejection_times(rhythm, parameters)
    next_onset = _shift_back(onset, 2.0)
    next_p = _shift_back(rhythm.p_onset, math.nan)
    rate_over_70 = (60 / rhythm.rr_before - 70).clamp(-40, 100) / 10
    # Per 10/min more: relaxation -2.5 %, atrial filling +5.5 % (Heart 68:608); the E wave as a whole about -3 %.
    relaxation = parameters.ivrt_s[:, None] * (1 - 0.025 * rate_over_70).clamp_min(0.6)
    full_early = parameters.early_filling_s[:, None] * (1 - 0.03 * rate_over_70).clamp(0.6, 1.1)
    share = (parameters.atrial_share[:, None] * (1 + 0.055 * rate_over_70)).clamp(0.05, 0.55)
    has_kick = torch.isfinite(next_p)
    share = torch.where(torch.isfinite(rhythm.p_onset).any(1, keepdim=True), share, 0.0)

    early_start = end + relaxation
    latest = next_onset - CONTRACTION_LEAD_S
    kick_start = torch.maximum(next_p + parameters.atrial_delay_s[:, None], early_start + 0.02)
    kick_duration = torch.minimum(parameters.atrial_kick_s[:, None], latest - kick_start).clamp_min(0.03)
    closure = torch.where(has_kick, kick_start + kick_duration, next_onset - EARLIEST_CLOSURE_S)
    available = (closure - early_start).clamp_min(0)
    early_fraction = (1 - share) * _early_filling(available / (0.9 * full_early))
    squeezed = (kick_duration / parameters.atrial_kick_s[:, None]).nan_to_num(0.0).clamp(0, 1)
    kick_fraction = share * squeezed * (has_kick & (closure <= latest + 1e-4))
    early_duration = torch.minimum(full_early, available).clamp_min(0.04)

    edv, esv = _beat_volumes(rhythm, parameters, early_fraction + kick_fraction)
    room = parameters.edv_ml[:, None] - esv
    filling = (early_fraction + kick_fraction).clamp(0, 1)
    atrium_low = 1 - parameters.la_emptying[:, None] * filling * torch.where(share > 0, 1.0, 0.6)
    kick_part = kick_fraction / filling.clamp_min(1e-3)
    return _Cycles(
        onset=onset,
        end=end,
        edv=edv,
        esv=esv,
        early_start=early_start,
        early_duration=early_duration,
        early_ml=early_fraction * room,
        kick_start=kick_start.nan_to_num(nan=1e6),
        kick_duration=kick_duration.nan_to_num(nan=0.1),
        kick_ml=kick_fraction * room,
        closure=closure,
        atrium_low=atrium_low,
        atrium_low_before=torch.cat([atrium_low[:, :1], atrium_low[:, :-1]], 1),
        kick_part=kick_part,
    )


def _ejection_times(rhythm: Rhythm, parameters: MechanicsParameters) -> tuple[Tensor, Tensor]:
    """When each beat's ejection starts and ends, [b, n] seconds.

    A weak ventricle needs longer to open the aortic valve and ejects for a shorter time, while their sum stays what
    the rate dictates (Garrard, Weissler and Dodge 1970). The slope is gentler than theirs: it joins the mean ratios
    reported for normal hearts (0.32) and for heart failure (0.46).
    """
    pre_normal, ejection_normal = systolic_intervals(remembered_rr(rhythm.rr_before))
    ratio = pre_normal / ejection_normal + 0.45 * (NORMAL_EF - parameters.ef[:, None])
    ratio = ratio.clamp(0.24, 0.75)
    end = rhythm.t_end + parameters.es_after_t_end_s[:, None]
    end = end - torch.where(rhythm.ectopic, 0.07, 0.0)
    systole = end - rhythm.q_onset
    onset = rhythm.q_onset + systole * ratio / (1 + ratio) + parameters.pre_ejection_offset_s[:, None]
    late = 0.5 * (rhythm.qrs_end - rhythm.q_onset - 0.1).clamp_min(0)  # a wide QRS delays the left ventricle
    onset = onset + torch.where(rhythm.ectopic, 0.03, late)
    end = torch.minimum(end, _shift_back(onset, 2.0) - 0.05)  # the next beat may come very early
    return onset, torch.maximum(end, onset + 0.08)


def _beat_volumes(rhythm: Rhythm, parameters: MechanicsParameters, filling: Tensor) -> tuple[Tensor, Tensor]:
    """Volume at the start and the end of each ejection [b, n] ml, from beat to beat."""
    rr, ectopic = rhythm.rr_before, rhythm.ectopic
    ratio = rr[:, 1:] / rr[:, :-1]
    after_pause = torch.cat([torch.zeros_like(ectopic[:, :1]), ectopic[:, :-2]], 1)[:, : ratio.shape[1]]
    ratio = torch.where(after_pause & (ratio < 1), 1.0, ratio)  # potentiation fades, it does not turn round
    ratio = torch.cat([torch.ones_like(rr[:, :1]), ratio], 1)
    beat_ef = parameters.ef[:, None] * (1 + parameters.force_gain[:, None] * torch.tanh(1.3 * (ratio - 1)))
    beat_ef = beat_ef * torch.where(ectopic, parameters.ectopic_force[:, None], 1.0)
    beat_ef = beat_ef.clamp(0.03, HIGHEST_BEAT_EF)

    edv, esv = [parameters.edv_ml], []
    for k in range(rr.shape[1]):
        preload = ((edv[k] / parameters.edv_ml - EMPTY) / (0.7 - EMPTY)).clamp(0, 1)  # an empty heart ejects little
        esv.append(edv[k] * (1 - beat_ef[:, k] * preload))
        edv.append(esv[k] + (parameters.edv_ml - esv[k]) * filling[:, k])
    return torch.stack(edv[:-1], 1), torch.stack(esv, 1)


def _mitral_opening(
    times_s: Tensor, at: _Cycles, early: Tensor, kick: Tensor, kicks: Tensor, diastasis: Tensor
) -> Tensor:
    """0 closed to 1 wide open, [b, t]: opens with E, drifts half shut, opens again with A and shuts with its end."""
    flow = 6.75 * early.clamp(0, 1) * (1 - early.clamp(0, 1)).square()
    wave = flow.clamp_min(0).sqrt() * (at.early_ml > 0)
    hold = _smooth(early * 3) * _smooth((at.closure - times_s) / 0.07) * diastasis
    kick_flow = 4 * kick.clamp(0, 1) * (1 - kick.clamp(0, 1)) * kicks
    size = (at.kick_ml / (at.kick_ml + at.early_ml).clamp_min(1e-3) * 2.2).clamp(0.45, 0.95)
    opening = 1 - (1 - 0.97 * wave) * (1 - hold) * (1 - size * kick_flow)
    return torch.where(times_s >= at.early_start, opening, 0.0)


def _left_atrium(times_s: Tensor, at: _Cycles, early: Tensor, kick: Tensor) -> Tensor:
    """Left-atrial volume relative to its largest, [b, t]: fills while the mitral valve is shut, empties by E and A."""
    reservoir = _smooth((times_s - at.onset) / (at.early_start - at.onset).clamp_min(0.05))
    filled = at.atrium_low_before + (1 - at.atrium_low_before) * reservoir
    emptied = (1 - at.kick_part) * _early_filling(early) + at.kick_part * _smooth(kick)
    return filled - (1 - at.atrium_low) * emptied


def _ejection(u: Tensor, skew: Tensor) -> Tensor:
    """Share of the stroke ejected at the fraction u of the ejection time: steep at first, then nearly even."""
    u = u.clamp(0, 1)
    even = u - 0.6 * torch.sin(2 * math.pi * u) / (2 * math.pi)
    return skew * _early_filling(u) + (1 - skew) * even


def _early_filling(u: Tensor) -> Tensor:
    """Beta(2, 3) distribution function: the E wave, whose flow peaks at a third of its time."""
    u = u.clamp(0, 1)
    return u * u * (6 - 8 * u + 3 * u * u)


def _smooth(u: Tensor) -> Tensor:
    """Beta(2, 2) distribution function: the A wave, and every soft switch from 0 to 1."""
    u = u.clamp(0, 1)
    return u * u * (3 - 2 * u)


def _shift_back(per_beat: Tensor, last_after: float) -> Tensor:
    """The next beat's value at each beat [b, n]; behind the last beat, this beat's value plus `last_after`."""
    following = torch.cat([per_beat[:, 1:], torch.full_like(per_beat[:, :1], math.nan)], 1)
    if math.isnan(last_after):
        return following
    return torch.where(torch.isfinite(following), following, per_beat + last_after)
