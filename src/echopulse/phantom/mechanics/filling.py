"""How full the ventricle gets and how much it throws out, beat after beat."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from echopulse.phantom.mechanics.curves import early_wave, preceding
from echopulse.phantom.mechanics.cycles import Cycles, Kicks
from echopulse.phantom.mechanics.parameters import MechanicsParameters
from echopulse.phantom.steps import smooth
from echopulse.phantom.types import ORIGINS, Batch, Rhythm

HIGHEST_BEAT_EF = 0.86
EMPTY = 0.12  # of the full volume: nothing is ejected below this
WELL_FILLED = 0.6  # of the full volume: above this a beat ejects its full fraction
LATER_KICKS = 0.6  # of the blood that the kick before it moved in the same diastole
PASSIVE_MAKEUP = 0.5  # of a missing kick's share flows in by itself in a long diastole
FASTEST_FILLING = 2.55  # full volumes per second, averaged over the filling time; its peak is 2.5 to 4 (textbook)
QUICKER = 0.19  # faster by this share for every 10/min above 110/min: what drives the heart relaxes it too
CARRIED = 0.3  # of a beat's potentiation is left in the next (fading of potentiation, textbook)
PAUSE = 1.25  # an interval so much longer than the one before potentiates


@dataclass(frozen=True)
class Fillings(Batch):
    """Volumes in ml and fractions, per beat [b, n] and per atrial kick [b, m]; float32."""

    edv: Tensor
    esv: Tensor
    early_ml: Tensor  # by the E wave after this beat
    kick_ml: Tensor  # [b, m]
    kicks_ml: Tensor  # [b, n], by all kicks after this beat
    fraction: Tensor  # [b, n], of the room left by this beat that is filled before the next


def fill_and_eject(rhythm: Rhythm, parameters: MechanicsParameters, cycles: Cycles, kicks: Kicks) -> Fillings:
    """The volumes of every beat and of every filling wave."""
    # The atrial share of filling rises by 5.5 % per 10/min (Heart 68:608); without atrial beats there is none.
    share = (parameters.atrial_share[:, None] * (1 + 0.055 * cycles.rate)).clamp(0.05, 0.48)
    share = share * (1 - cycles.fused)  # fused, the waves are one: all of it flows evenly
    share = torch.where(torch.isfinite(kicks.start).any(1, keepdim=True), share, 0.0)
    power = _per_cycle(kicks.power, kicks, cycles).clamp_max(1)
    full_early = parameters.early_filling_s[:, None] * (1 - 0.03 * cycles.rate).clamp(0.55, 1.1)
    available = (cycles.next_closed - cycles.early_start).clamp_min(0)
    early = (1 - share) * early_wave(available / (0.9 * full_early))
    slow = smooth((available - full_early) / 0.5)
    early = early + PASSIVE_MAKEUP * share * (1 - power) * slow
    kicked = share * power
    fastest = FASTEST_FILLING * (1 + QUICKER * (cycles.rate - 4).clamp_min(0))
    wish = parameters.ef[:, None] * (early + kicked) / available.clamp_min(1e-3) / fastest
    limit = (1 + wish**8) ** -0.125  # 1 at rest; what makes the stroke fall with the rate
    early, kicked = limit * early, limit * kicked
    edv, esv = _beat_volumes(rhythm, parameters, early + kicked)
    room = parameters.edv_ml[:, None] - esv

    weight = kicks.power * LATER_KICKS ** _place_in_cycle(kicks)
    total = _per_cycle(weight, kicks, cycles)
    kick_ml = weight / total.gather(1, kicks.cycle).clamp_min(1e-6) * (kicked * room).gather(1, kicks.cycle)
    kick_ml = kick_ml.nan_to_num(0.0)
    return Fillings(
        edv=edv,
        esv=esv,
        early_ml=early * room,
        kick_ml=kick_ml,
        kicks_ml=(kicked * room).nan_to_num(0.0),
        fraction=(early + kicked).clamp(0, 1),
    )


def _per_cycle(per_kick: Tensor, kicks: Kicks, cycles: Cycles) -> Tensor:
    """Sum over the kicks of each cycle, [b, n]; not by scattering, whose order of adding varies on a GPU."""
    of_cycle = kicks.cycle[:, None] == torch.arange(cycles.rate.shape[1], device=per_kick.device)[:, None]
    return (of_cycle * per_kick.nan_to_num(0.0)[:, None]).sum(2)


def _place_in_cycle(kicks: Kicks) -> Tensor:
    """0 for the first kick of a cycle, 1 for the second, ..., [b, m]; blocked ones do not count."""
    counted = (kicks.power > 0).long()
    until = counted.cumsum(1) - counted
    first = torch.searchsorted(kicks.cycle.contiguous(), kicks.cycle.contiguous())
    return until - until.gather(1, first)


def _beat_volumes(rhythm: Rhythm, parameters: MechanicsParameters, fraction: Tensor) -> tuple[Tensor, Tensor]:
    """Volume at the start and the end of each ejection [b, n] ml, from beat to beat."""
    beat_ef = _beat_ef(rhythm, parameters)
    full = parameters.edv_ml
    edv, esv = [full], []
    for k in range(fraction.shape[1]):
        preload = ((edv[k] / full - EMPTY) / (WELL_FILLED - EMPTY)).clamp(0, 1)  # an empty heart ejects little
        esv.append(edv[k] * (1 - beat_ef[:, k] * preload))
        edv.append(esv[k] + (full - esv[k]) * fraction[:, k].clamp(0, 1))
    return torch.stack(edv[:-1], 1), torch.stack(esv, 1)


def _beat_ef(rhythm: Rhythm, parameters: MechanicsParameters) -> Tensor:
    """Ejection fraction [b, n] that each beat's force allows.

    Force follows the ratio of the last two intervals, as in atrial fibrillation (in dogs Am J Physiol 281:H573; in
    people textbook) and after an ectopic's pause, the more the weaker the ventricle is.
    """
    rr = rhythm.rr_before
    ratio = rr / preceding(rr)
    # Potentiation fades, it does not turn round: where atria lead, the beat after a potentiated one is a usual one.
    led = torch.isfinite(rhythm.p_onset).any(1, keepdim=True)
    faded = (preceding(ratio) > PAUSE) & led & (ratio < 1)
    faded[:, 0] = False
    ratio = torch.where(faded, 1.0, ratio)
    potentiation = torch.tanh(1.3 * (ratio - 1))
    potentiation = potentiation + CARRIED * preceding(potentiation)
    beat_ef = parameters.ef[:, None] * (1 + parameters.force_gain[:, None] * potentiation)
    ventricular = rhythm.origin == ORIGINS.index("ventricular")
    run = ventricular & preceding(ventricular.float()).bool()  # a heart that beats so all the time makes do
    run[:, 0] = ventricular[:, 0]
    force = parameters.ectopic_force[:, None]
    force = torch.where(run, 0.5 + 0.5 * force, force)
    escape = rhythm.origin == ORIGINS.index("escape")
    single_escape = escape & ~preceding(escape.float()).bool()
    beat_ef = beat_ef * torch.where(ventricular, force, 1.0) * torch.where(single_escape, 0.95, 1.0)
    return beat_ef.clamp(0.03, HIGHEST_BEAT_EF)
