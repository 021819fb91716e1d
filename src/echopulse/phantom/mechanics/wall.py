"""How the wall moves beyond getting smaller: twist of the apex against the base, and septum against lateral wall."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from echopulse.phantom.mechanics.curves import bump, latest_index
from echopulse.phantom.mechanics.cycles import Cycles
from echopulse.phantom.mechanics.filling import Fillings
from echopulse.phantom.mechanics.parameters import MechanicsParameters
from echopulse.phantom.steps import smooth

RECOIL = 0.07  # of the twist, the other way round, while pressure builds up
UNTWIST_ISOVOLUMIC = 0.5  # of the untwisting is over when the mitral valve opens (textbook value: 40 to 60 %)
POST_SYSTOLIC = 0.45  # of the flash: how far the late lateral wall then runs ahead of the relaxing septum
WIDEST_FLASH = 0.85  # of the squared half width: the septum never comes closer to the axis than this lets it


def twist(times_s: Tensor, parameters: MechanicsParameters, cycles: Cycles, fillings: Fillings) -> Tensor:
    """Rotation of the apex against the base [b, t] rad, about 0 at end-diastole, highest at end-systole.

    Half of it is undone before the mitral valve opens and the rest early in filling, as in tagged and speckle-tracked
    hearts (Rademakers et al. 1992; Notomi et al. 2006).
    """
    stroke = (fillings.edv - fillings.esv) / (parameters.edv_ml * parameters.ef).clamp_min(1e-3)[:, None]
    peak = parameters.peak_twist_rad[:, None] * stroke.clamp(0, 1.5) * (1 - 0.4 * cycles.wide)

    def of_one(beat: Tensor) -> Tensor:
        closed, onset, end, opening, filling = (
            x.gather(1, beat)
            for x in (cycles.closed, cycles.onset, cycles.end, cycles.early_start, cycles.early_duration)
        )
        winding = smooth((times_s - onset) / (0.97 * (end - onset)))
        recoil = RECOIL * bump(times_s, closed, onset, onset + 0.25 * (end - onset))
        first = smooth((times_s - end + 0.01) / (opening - end + 0.02).clamp_min(0.03))
        rest = smooth((times_s - opening + 0.01) / (0.05 + 0.6 * filling))
        left = 1 - UNTWIST_ISOVOLUMIC * first - (1 - UNTWIST_ISOVOLUMIC) * rest
        return peak.gather(1, beat) * (winding * left - recoil)

    return _with_beat_before(of_one, latest_index(cycles.closed, times_s))


def dyssynchrony(times_s: Tensor, parameters: MechanicsParameters, cycles: Cycles) -> Tensor:
    """How far the septum is ahead of the lateral wall [b, t], as a share of the regular stroke's change of R^2.

    Septal flash: the septum moves in while pressure builds up and rebounds as the lateral wall, 60 to 130 ms late,
    contracts; that wall is still contracting when the septum relaxes. In a normal heart nearly 0.
    """
    flash = parameters.septal_flash_cm[:, None] * cycles.conducted
    flash = _share_of_stroke(flash + parameters.ectopic_flash_cm[:, None] * cycles.wide, parameters)
    delay = parameters.lateral_delay_s[:, None]

    def of_one(beat: Tensor) -> Tensor:
        q, onset, end = (x.gather(1, beat) for x in (cycles.q_onset, cycles.onset, cycles.end))
        ahead = bump(times_s, q + 0.015, onset - 0.01, onset + 0.03 + delay)
        behind = bump(times_s, 0.5 * (onset + end), end + 0.01, end + 0.06 + delay)
        return flash.gather(1, beat) * (ahead - POST_SYSTOLIC * behind)

    return _with_beat_before(of_one, latest_index(cycles.q_onset, times_s))


def _with_beat_before(of_one: Callable[[Tensor], Tensor], now: Tensor) -> Tensor:
    """What the current beat [b, t] does plus what is left of the beat before it."""
    return of_one(now) + torch.where(now > 0, of_one((now - 1).clamp_min(0)), 0.0)


def _share_of_stroke(flash_cm: Tensor, parameters: MechanicsParameters) -> Tensor:
    """A movement of the wall [b, t] in cm as a share of how much R^2 changes in a regular stroke.

    R is the half width of a usual heart of that volume; the ventricle shortens as the anatomy lets it.
    """
    half_width = 0.5 * parameters.edv_ml[:, None] ** (1 / 3)
    shortening = (0.17 + 0.28 * (parameters.ef[:, None] - 0.6)).clamp_min(0.02)
    stroke = half_width.square() * (1 - (1 - parameters.ef[:, None]) / (1 - shortening)).clamp_min(0.04)
    moved = (2 * half_width * flash_cm - flash_cm.square()).clamp(max=WIDEST_FLASH * half_width.square())
    return moved / stroke
