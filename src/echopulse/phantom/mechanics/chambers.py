"""The left ventricle's volume, the valves, the atria and the right ventricle at any time."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from echopulse.phantom.mechanics.curves import (
    bump,
    ejected,
    largest_skew,
    latest_index,
    passive_filling,
    preceding,
)
from echopulse.phantom.mechanics.cycles import Cycles, Kicks
from echopulse.phantom.mechanics.filling import Fillings
from echopulse.phantom.steps import smooth
from echopulse.phantom.types import Batch

TRICUSPID_EARLIER_S = 0.025  # the right ventricle relaxes first and shuts last (textbook values)
TRICUSPID_LATER_S = 0.012
RIGHT_ATRIUM_EARLIER_S = 0.015  # the sinus node lies in it
CANNON = 0.12  # of its largest volume that an atrium squeezes back into the veins against a closed valve
FIBRILLATING_EMPTYING = 0.6  # of the usual: only the flow through it empties it
UNFOLDING_S = 0.035  # how long the leaflets of the inlet valves take to open
OPENING_S, SHUTTING_S = 0.035, 0.045  # of the aortic valve
FASTEST_EJECTION = 3.45  # end-diastolic volumes per second at its peak; about 3 in a normal heart (textbook value)
WIDE_OPEN_ML = 30.0  # a stroke that opens the aortic valve fully; a smaller one opens it less


@dataclass(frozen=True)
class Moments(Batch):
    """What belongs to each of the t times asked for, [b, t]: its cycle's, and its last atrial kick's."""

    times_s: Tensor
    onset: Tensor
    end: Tensor
    early_start: Tensor
    early_duration: Tensor
    fused: Tensor
    next_closed: Tensor
    edv: Tensor
    esv: Tensor
    early_ml: Tensor
    kicks_ml: Tensor  # by all kicks of this cycle
    fraction: Tensor
    fraction_before: Tensor
    kick_start: Tensor
    kick_duration: Tensor
    kick_ml: Tensor  # 0 where the last kick came before this cycle or was blocked
    kicked_ml: Tensor  # by the kicks of this cycle so far
    blocked: Tensor  # float, 1 where the last kick met a closed valve

    @property
    def ejection(self) -> Tensor:
        return (self.times_s - self.onset) / (self.end - self.onset)

    @property
    def early(self) -> Tensor:
        return (self.times_s - self.early_start) / self.early_duration

    @property
    def kick(self) -> Tensor:
        return ((self.times_s - self.kick_start) / self.kick_duration).nan_to_num(0.0)


def look_up(times_s: Tensor, cycles: Cycles, kicks: Kicks, fillings: Fillings) -> Moments:
    """The cycle and the kick of each time [b, t]."""
    now = latest_index(cycles.onset, times_s)
    kick = latest_index(kicks.start, times_s)
    here = (kicks.cycle.gather(1, kick) == now) & (kicks.start.gather(1, kick) <= times_s)
    ml = torch.where(kicks.start.gather(1, kick) <= times_s, fillings.kick_ml.gather(1, kick), 0.0)
    progress = ((times_s - kicks.start.gather(1, kick)) / kicks.duration.gather(1, kick)).nan_to_num(0.0)
    until = (fillings.kick_ml.cumsum(1) - fillings.kick_ml).gather(1, kick)
    earlier = (fillings.kicks_ml.cumsum(1) - fillings.kicks_ml).gather(1, now)  # in the cycles before

    def of_beat(per_beat: Tensor) -> Tensor:
        return per_beat.gather(1, now)

    def of_kick(per_kick: Tensor) -> Tensor:
        return per_kick.gather(1, kick)

    return Moments(
        times_s=times_s,
        onset=of_beat(cycles.onset),
        end=of_beat(cycles.end),
        early_start=of_beat(cycles.early_start),
        early_duration=of_beat(cycles.early_duration),
        fused=of_beat(cycles.fused),
        next_closed=of_beat(cycles.next_closed),
        edv=of_beat(fillings.edv),
        esv=of_beat(fillings.esv),
        early_ml=of_beat(fillings.early_ml),
        kicks_ml=of_beat(fillings.kicks_ml),
        fraction=of_beat(fillings.fraction),
        fraction_before=of_beat(preceding(fillings.fraction)),
        kick_start=of_kick(kicks.start),
        kick_duration=of_kick(kicks.duration),
        kick_ml=torch.where(here, of_kick(fillings.kick_ml), 0.0),
        kicked_ml=(until - earlier + ml * smooth(progress)).clamp_min(0),
        blocked=of_kick(kicks.blocked.float()),
    )


def right_side(cycles: Cycles, kicks: Kicks) -> tuple[Cycles, Kicks]:
    """The same beats as the right heart times them."""
    early_start = torch.maximum(cycles.early_start - TRICUSPID_EARLIER_S, cycles.end)
    next_closed = torch.minimum(cycles.next_closed + TRICUSPID_LATER_S, cycles.latest)
    return (
        replace(
            cycles,
            early_start=early_start,
            next_closed=torch.maximum(next_closed, cycles.next_closed),
            early_duration=cycles.early_duration + (cycles.early_start - early_start),
        ),
        replace(kicks, start=kicks.start - RIGHT_ATRIUM_EARLIER_S),
    )


def ventricle_ml(at: Moments, skew: Tensor) -> Tensor:
    """Left-ventricular volume [b, t]: EDV - SV G(u) + E + A, in closed form from one ejection to the next."""
    early = at.early_ml * passive_filling(at.early, at.fused)
    mean = (at.edv - at.esv).clamp_min(1e-3) / (at.edv * (at.end - at.onset))  # end-diastolic volumes per second
    skew = torch.minimum(skew, largest_skew(FASTEST_EJECTION / mean))
    return at.edv - (at.edv - at.esv) * ejected(at.ejection, skew) + early + at.kicked_ml


def inlet_opening(at: Moments, diastasis: Tensor) -> Tensor:
    """Mitral or tricuspid opening [b, t]: opens with E, drifts half shut, opens again with A, shuts at closure."""
    early = at.early.clamp(0, 1)
    flow = 6.75 * early * (1 - early).square()
    wave = (
        flow.clamp_min(0).sqrt()
        * smooth((at.times_s - at.early_start) / UNFOLDING_S)
        * smooth(at.early_duration / 0.08)
    )
    hold = smooth(at.early * 3) * smooth((at.next_closed - at.times_s) / 0.07) * diastasis
    kick = at.kick.clamp(0, 1)
    size = (2.2 * at.kick_ml / (at.kick_ml + at.early_ml).clamp_min(1e-3)).clamp(0.45, 0.95) * (at.kick_ml > 1e-3)
    opening = 1 - (1 - 0.97 * wave) * (1 - hold) * (1 - 4 * size * kick * (1 - kick))
    return torch.where((at.times_s >= at.early_start) & (at.times_s <= at.next_closed), opening, 0.0)


def outlet_opening(at: Moments) -> Tensor:
    """Aortic opening [b, t]: fast open, drifting a little towards shut as the flow ebbs, fast shut."""
    width = ((at.edv - at.esv) / WIDE_OPEN_ML).clamp(0, 1).sqrt()
    drift = 1 - 0.15 * smooth((at.ejection - 0.4) / 0.6)
    opens = smooth((at.times_s - at.onset) / OPENING_S)
    return width * drift * opens * smooth((at.end - at.times_s) / SHUTTING_S)


def atrial_volume(at: Moments, emptying: Tensor, has_kicks: Tensor) -> Tensor:
    """Volume of an atrium relative to its largest [b, t]: fills while its valve is shut, empties by E and A.

    `emptying` [b, 1] is the fraction emptied by a full filling of the ventricle, `has_kicks` [b, 1] whether it beats.
    """
    emptying = emptying * torch.where(has_kicks, 1.0, FIBRILLATING_EMPTYING)
    low_before, low = 1 - emptying * at.fraction_before, 1 - emptying * at.fraction
    reservoir = smooth((at.times_s - at.onset) / (at.early_start - at.onset).clamp_min(0.05))
    filled = low_before + (1 - low_before) * reservoir
    all_ml = (at.early_ml + at.kicks_ml).clamp_min(1e-3)
    emptied = (at.early_ml * passive_filling(at.early, at.fused) + at.kicked_ml) / all_ml
    cannon = bump(at.times_s, at.kick_start, at.kick_start + 0.09, at.kick_start + 0.25).nan_to_num(0.0)
    return filled - (1 - low) * emptied - CANNON * at.blocked * cannon


def right_ventricle(volume_ml: Tensor, ef: Tensor, edv_ml: Tensor) -> Tensor:
    """Fraction of its stroke that the right ventricle holds [b, t]: both ventricles throw out the same."""
    return ((volume_ml - edv_ml * (1 - ef)) / (edv_ml * ef).clamp_min(1e-3)).clamp(0, 1)
