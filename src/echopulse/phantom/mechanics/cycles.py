"""When things happen in each beat: closure of the mitral valve, ejection, relaxation, E wave and atrial kicks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from echopulse.phantom.mechanics.curves import following, latest_index
from echopulse.phantom.mechanics.parameters import NORMAL_EF, MechanicsParameters
from echopulse.phantom.rhythm.timing import remembered_rr, systolic_intervals
from echopulse.phantom.steps import smooth
from echopulse.phantom.types import Batch, Rhythm

CONTRACTION_LEAD_S = 0.022  # filling is over at least this long before ejection starts
STANDSTILL_S = 30.0  # after the last known beat
SHORTEST_EJECTION_S = 0.08
SHORTEST_CYCLE_S = 0.15
SHORTEST_KICK_S = 0.03
CLOSE_TO_T_END_S = (-0.030, 0.036)  # how far ejection ends from the end of T: 15 ms after it at rest (textbook)
WIDE_CLOSE_TO_T_END_S = (-0.120, 0.036)  # a wide beat repolarises long after it has ejected


@dataclass(frozen=True)
class Cycles(Batch):
    """Per beat, float32 [b, n] seconds: its systole and the diastole after it; NaN padded."""

    q_onset: Tensor
    closed: Tensor  # the mitral valve shuts: end-diastole
    onset: Tensor  # ejection starts
    end: Tensor  # ejection ends: end-systole
    early_start: Tensor  # the mitral valve opens
    early_duration: Tensor
    fused: Tensor  # 0..1, how much of its time the E wave shares with a kick
    latest: Tensor  # until when the ventricle may fill
    next_closed: Tensor  # closure before the next beat
    rate: Tensor  # 10/min above 70/min, from the interval before
    conducted: Tensor  # 1 for a beat that came through the bundles, 0 for one of the ventricle's own
    wide: Tensor  # 0..1, how much of the ventricle such a beat of its own reaches late; 0 for conducted beats


@dataclass(frozen=True)
class Kicks(Batch):
    """Per atrial depolarisation [b, m]: the squeeze that follows it; NaN padded."""

    start: Tensor  # float32 s
    duration: Tensor  # float32 s
    cycle: Tensor  # int64, the beat in whose cycle it falls
    power: Tensor  # 0..1, how much of a full atrial contraction fills; 0 against a closed valve
    blocked: Tensor  # bool, it squeezes against a closed mitral valve


def find_cycles(rhythm: Rhythm, parameters: MechanicsParameters) -> tuple[Cycles, Kicks]:
    """The times of every beat and of every atrial kick."""
    onset, end = ejection_times(rhythm, parameters)
    rate = (60 / rhythm.rr_before - 70).clamp(-40, 110) / 10
    # Per 10/min more: relaxation -2.5 %, deceleration -1.8 % (Heart 68:608); the E wave as a whole about -3 %.
    early_start = end + parameters.ivrt_s[:, None] * (1 - 0.025 * rate).clamp_min(0.55)
    duration = parameters.early_filling_s[:, None] * (1 - 0.03 * rate).clamp(0.55, 1.1)

    next_onset = following(onset, STANDSTILL_S)
    latest = next_onset - CONTRACTION_LEAD_S
    early_start = torch.minimum(early_start, latest - 0.01)
    kicks = _find_kicks(rhythm, parameters, onset, early_start, latest)

    ivct = torch.minimum(parameters.ivct_s[:, None], 0.6 * (onset - rhythm.q_onset)).clamp_min(CONTRACTION_LEAD_S)
    last_kick = latest_index(kicks.start, (onset - CONTRACTION_LEAD_S).nan_to_num(0.0))
    kick_stop = torch.where(kicks.power > 0, kicks.start + kicks.duration, -math.inf).gather(1, last_kick)
    closed = onset - ivct
    closed = torch.where(kick_stop < onset, torch.maximum(closed, kick_stop), closed)
    closed = torch.cat([closed[:, :1], torch.maximum(closed[:, 1:], end[:, :-1] + 0.02)], 1)
    next_closed = following(closed, STANDSTILL_S)
    early_duration = torch.minimum(duration, next_closed - early_start).clamp_min(1e-3)
    width = rhythm.qrs_end - rhythm.q_onset
    own = rhythm.origin >= 2  # ventricular, escape, paced
    cycles = Cycles(
        q_onset=rhythm.q_onset,
        closed=closed,
        onset=onset,
        end=end,
        early_start=early_start,
        early_duration=early_duration,
        fused=_fusion(early_start, early_duration, kicks),
        latest=latest,
        next_closed=next_closed,
        rate=rate,
        conducted=(~own).float(),
        wide=torch.where(own, ((width - 0.105) / 0.025).clamp(0, 1), 0.0),
    )
    return cycles, kicks


def ejection_times(rhythm: Rhythm, parameters: MechanicsParameters) -> tuple[Tensor, Tensor]:
    """When each beat's ejection starts and ends, [b, n] seconds.

    A weak ventricle needs longer to open the aortic valve and ejects for a shorter time, while their sum stays what
    the rate dictates (Garrard, Weissler and Dodge 1970). The slope is gentler than theirs: it joins the mean ratios
    reported for normal hearts (0.32) and for heart failure (0.46).
    """
    pre_normal, ejection_normal = systolic_intervals(
        remembered_rr(rhythm.rr_before), parameters.female[:, None]
    )
    ratio = pre_normal / ejection_normal + 0.36 * (NORMAL_EF - parameters.ef[:, None])
    ratio = ratio.clamp(0.24, 0.75)
    late = 0.5 * (rhythm.qrs_end - rhythm.q_onset - 0.1)  # a wide QRS delays the left ventricle
    late = late.clamp(-0.01, 0.04)
    systole = pre_normal + ejection_normal + parameters.systole_offset_s[:, None]
    onset = rhythm.q_onset + systole * ratio / (1 + ratio) + parameters.pre_ejection_offset_s[:, None] + late
    end = rhythm.q_onset + systole + 0.6 * late.clamp_min(0)
    end = end - torch.where(rhythm.ectopic, 0.12 * ejection_normal, 0.0)  # little filled, soon out
    low, high = (
        torch.where(rhythm.ectopic, wide, usual)
        for usual, wide in zip(CLOSE_TO_T_END_S, WIDE_CLOSE_TO_T_END_S, strict=True)
    )
    end = rhythm.t_end + torch.minimum(torch.maximum(end - rhythm.t_end, low), high)

    steps = SHORTEST_CYCLE_S * torch.arange(onset.shape[1], device=onset.device)
    onset = (onset - steps).cummax(1).values + steps  # beats of a real recording may come very early
    end = torch.minimum(end, following(onset, STANDSTILL_S) - 0.06)
    return onset, torch.maximum(end, onset + SHORTEST_EJECTION_S)


def _fusion(early_start: Tensor, early_duration: Tensor, kicks: Kicks) -> Tensor:
    """0..1 [b, n]: 0 where every kick comes after the E wave, 1 where one shares half of its time."""
    shared = 1 - (kicks.start - early_start.gather(1, kicks.cycle)) / early_duration.gather(1, kicks.cycle)
    shared = torch.where(kicks.power > 0.2, shared, 0.0).nan_to_num(0.0)
    most = torch.zeros_like(early_start).scatter_reduce(1, kicks.cycle, shared, "amax")
    return smooth(most / 0.5)


def _find_kicks(
    rhythm: Rhythm, parameters: MechanicsParameters, onset: Tensor, early_start: Tensor, latest: Tensor
) -> Kicks:
    """Each P wave's squeeze, placed in the diastole it falls into; one that falls into systole fills nothing."""
    atria = rhythm.atria_s
    if atria.shape[1] == 0:  # nobody's atria beat
        atria = torch.full_like(onset[:, :1], math.nan)
    atria = atria.nan_to_num(nan=math.inf).sort(1).values
    atria = torch.where(torch.isfinite(atria), atria, math.nan)
    full = parameters.atrial_kick_s[:, None]
    begin = atria + parameters.atrial_delay_s[:, None]
    # The kick belongs to the cycle in which it ends: it may begin before the valve opens and still fill a little.
    cycle = latest_index(onset, (begin + 0.5 * full).nan_to_num(nan=math.inf))
    start = torch.maximum(begin, early_start.gather(1, cycle))
    stop = torch.minimum(begin + full, latest.gather(1, cycle))
    fills = stop - start >= SHORTEST_KICK_S
    interval = torch.cat([torch.full_like(atria[:, :1], 1.0), atria.diff(dim=1)], 1)
    strength = smooth((interval - 0.12) / 0.38)  # fluttering atria hardly squeeze
    duration = torch.where(fills, stop - start, full)
    return Kicks(
        start=torch.where(fills, start, begin).cummax(1).values,
        duration=duration,
        cycle=cycle,
        power=torch.where(fills, strength * (duration / full).clamp(0, 1), 0.0),
        blocked=~fills & (begin + 0.5 * full >= onset[:, :1]),  # before the first known beat nobody knows
    )
