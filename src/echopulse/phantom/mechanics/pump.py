"""What the beats do to the heart: volumes, valves, atria, right ventricle, twist and dyssynchrony over time."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from echopulse.phantom.mechanics.chambers import (
    atrial_volume,
    inlet_opening,
    look_up,
    outlet_opening,
    right_side,
    right_ventricle,
    ventricle_ml,
)
from echopulse.phantom.mechanics.cycles import find_cycles
from echopulse.phantom.mechanics.filling import fill_and_eject
from echopulse.phantom.mechanics.parameters import MechanicsParameters
from echopulse.phantom.mechanics.wall import dyssynchrony, twist
from echopulse.phantom.types import Batch, Motion, Rhythm


@dataclass(frozen=True)
class BeatTimes(Batch):
    """When the valves move in each beat, float32 [b, n] seconds, NaN padded."""

    mitral_closure_s: Tensor  # end-diastole: the ventricle is at its fullest from here to the start of ejection
    ejection_onset_s: Tensor
    ejection_end_s: Tensor  # end-systole


def valve_times(rhythm: Rhythm, parameters: MechanicsParameters) -> BeatTimes:
    """The valve events of every beat."""
    cycles, _ = find_cycles(rhythm, parameters)
    events = (cycles.closed, cycles.onset, cycles.end)
    return BeatTimes(*(torch.where(rhythm.beats, event, math.nan) for event in events))


def contract(rhythm: Rhythm, parameters: MechanicsParameters, times_s: Tensor) -> Motion:
    """The motion of b hearts at `times_s` ([t] or [b, t], seconds).

    Between the onset of one ejection and the next every curve is a sum of closed-form shapes. Volumes at the beats
    follow from each other: short diastoles fill less, a P wave fills only if the mitral valve is open when its
    squeeze comes, and the force of a beat follows the two intervals before it.
    """
    if times_s.ndim == 1:
        times_s = times_s.expand(len(rhythm.r_peak), -1)
    times_s = times_s.to(rhythm.r_peak).contiguous()
    beats = rhythm.beats
    standing = ~beats.any(1, keepdim=True)  # no beat at all
    ef, edv_ml = parameters.ef[:, None], parameters.edv_ml[:, None]

    cycles, kicks = find_cycles(rhythm, parameters)
    fillings = fill_and_eject(rhythm, parameters, cycles, kicks)
    left = look_up(times_s, cycles, kicks, fillings)
    right = look_up(times_s, *right_side(cycles, kicks), fillings)
    has_kicks = torch.isfinite(rhythm.atria_s).any(1, keepdim=True)
    volume = torch.where(standing, edv_ml, ventricle_ml(left, parameters.ejection_skew[:, None]))
    diastasis = parameters.diastasis_opening[:, None]
    atria = (
        (left, parameters.la_emptying[:, None]),
        (right, parameters.ra_emptying[:, None]),
    )
    la_volume, ra_volume = (
        torch.where(standing, 1 - 0.5 * emptying, atrial_volume(side, emptying, has_kicks)) for side, emptying in atria
    )

    def moving(curve: Tensor) -> Tensor:
        return torch.where(standing, 0.0, curve)

    def of_beats(value: Tensor) -> Tensor:
        return torch.where(beats, value, math.nan)

    return Motion(
        volume_ml=volume,
        mitral_opening=moving(inlet_opening(left, diastasis)),
        aortic_opening=moving(outlet_opening(left)),
        tricuspid_opening=moving(inlet_opening(right, diastasis)),
        la_volume=la_volume,
        ra_volume=ra_volume,
        rv_fraction=right_ventricle(volume, ef, edv_ml),
        twist_rad=moving(twist(times_s, parameters, cycles, fillings)),
        dyssynchrony=moving(dyssynchrony(times_s, parameters, cycles)),
        edv_ml=parameters.edv_ml,
        ef=parameters.ef,
        ejection_onset_s=of_beats(cycles.onset),
        ejection_end_s=of_beats(cycles.end),
        edv_beat_ml=of_beats(fillings.edv),
        esv_beat_ml=of_beats(fillings.esv),
    )
