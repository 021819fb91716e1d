"""The clock of the atria: sinus rhythm and its variation, premature atrial beats, sinus arrest.

Time runs in slots, one for every atrial depolarisation (or, without any, for every beat that the atrioventricular node
lets through).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from echopulse.phantom.breath import inhaled
from echopulse.phantom.rhythm.intervals import SHORTEST_RR_S
from echopulse.phantom.rhythm.parameters import PACED, R, RhythmParameters

FASTEST_PP_S = 0.27  # no sinus node is quicker
SLOTS_BEFORE = 12  # of the start of the recording: enough for four conducted beats, however many are dropped


@dataclass(frozen=True)
class Clock:
    """Slots of b hearts, [b, m] each."""

    time_s: Tensor  # P onset, or the beat itself where there are no P waves
    interval_s: Tensor  # since the slot before
    ectopic: Tensor  # bool, a premature beat takes this slot's turn: atrial or ventricular, as the rhythm has it
    silent: Tensor  # bool, no coordinated atrial depolarisation
    escape: Tensor  # bool, the junction fires because the sinus node does not


def rhythm_is(parameters: RhythmParameters, *names: str) -> Tensor:
    """bool [b, 1]: hearts in one of the rhythms."""
    wanted = torch.tensor([R[name] for name in names], device=parameters.rhythm.device)
    return torch.isin(parameters.rhythm, wanted)[:, None]


def drops_beats(parameters: RhythmParameters) -> Tensor:
    """bool [b, 1]: the second degree of block, unless a pacemaker makes up for it."""
    return rhythm_is(parameters, "wenckebach", "mobitz_2") & (parameters.conduction != PACED)[:, None]


def mean_interval(parameters: RhythmParameters) -> Tensor:
    """Mean interval [b, 1] of the slots in seconds."""
    mean = 60 / parameters.heart_rate_bpm[:, None]
    group = parameters.group[:, None].clamp_min(2)
    faster = (mean * (group - 1) / group).clamp_min(FASTEST_PP_S)
    mean = torch.where(drops_beats(parameters), faster, mean)
    return torch.where(rhythm_is(parameters, "av_block_3", "vt"), 60 / parameters.sinus_bpm[:, None], mean)


def slots_needed(parameters: RhythmParameters, span_s: float) -> int:
    """How many slots cover `span_s` seconds of recording and what comes before and after it."""
    shortest = float(mean_interval(parameters).min()) * 0.7
    return SLOTS_BEFORE + math.ceil(span_s / shortest) + 6


def tick(parameters: RhythmParameters, start_s: float, stop_s: float, generator: Generator) -> Clock:
    """The slots of every heart, from `SLOTS_BEFORE` before `start_s` on."""
    device = parameters.rhythm.device
    m = slots_needed(parameters, stop_s - start_s)
    mean = mean_interval(parameters)
    noise = torch.randn(len(mean), m, generator=generator).to(device)
    lots = torch.rand(len(mean), m, generator=generator).to(device)

    ectopic = _ectopics(parameters, lots)
    first = start_s - (SLOTS_BEFORE - parameters.phase[:, None]) * mean
    time_s = first + mean * torch.arange(1, m + 1, device=device)
    for _ in range(2):  # when a slot comes depends on where in the breath it comes; the second time round it agrees
        interval = _varied(parameters, mean, noise, time_s - 0.5 * mean)
        interval = torch.where(rhythm_is(parameters, "flutter"), _flutter(parameters, lots), interval)
        interval = _around_ectopics(parameters, mean, noise, interval, ectopic)
        arrested = _arrests(parameters, first + interval.cumsum(1) - start_s, stop_s - start_s)
        interval = torch.where(arrested, parameters.pause_s[:, None], interval)
        time_s = first + interval.cumsum(1)
    escape = arrested & (parameters.pause_escape > 0)[:, None]
    # A ventricular ectopic that resets the sinus node has depolarised the atria backwards.
    reset = ectopic & rhythm_is(parameters, "pvc", "bigeminy") & (parameters.ectopic_pause < 1.999)[:, None]
    silent = escape | reset | rhythm_is(parameters, "af", "flutter", "asystole")
    return Clock(time_s, interval, ectopic, silent, escape)


def _varied(parameters: RhythmParameters, mean: Tensor, noise: Tensor, middle_s: Tensor) -> Tensor:
    """Intervals [b, m] with their respiratory, slow and random variation; irregularly irregular in fibrillation.

    `middle_s` [b, m] says when they are: breathed in, they are short.
    """
    breath = inhaled(parameters.breath_hz, parameters.breath_phase, middle_s)
    slow = torch.sin(2 * math.pi * 0.1 * middle_s + parameters.slow_phase[:, None])
    swing = parameters.slow_swing[:, None] * slow - parameters.respiration_swing[:, None] * breath
    jitter = parameters.rr_jitter[:, None]
    regular = mean * (1 + swing + jitter * noise.clamp(-3, 3))
    irregular = mean * torch.exp(jitter * noise - 0.5 * jitter * jitter)
    interval = torch.where(rhythm_is(parameters, "af"), irregular, regular)
    return torch.maximum(interval, shortest_interval(mean))


def shortest_interval(mean: Tensor) -> Tensor:
    """How soon after one beat the node lets the next through, seconds; sooner only in hearts that beat faster."""
    return (0.8 * mean).clamp_max(SHORTEST_RR_S)


def _flutter(parameters: RhythmParameters, lots: Tensor) -> Tensor:
    """Intervals [b, m] that are whole numbers of flutter waves."""
    rate = parameters.flutter_hz[:, None]
    usual = (rate * 60 / parameters.heart_rate_bpm[:, None]).round().clamp_min(1)
    variety = parameters.flutter_variety[:, None] * (usual > 2)  # faster than 2:1 is rare
    change = torch.where(lots < 0.5 * variety, -1.0, 0.0) + torch.where(lots > 1 - 0.5 * variety, 1.0, 0.0)
    return (usual + change) / rate


def _ectopics(parameters: RhythmParameters, lots: Tensor) -> Tensor:
    """bool [b, m]: which slots a premature beat takes; never two in a row, and not the first."""
    m = lots.shape[1]
    number = torch.arange(m, device=lots.device)
    period = parameters.ectopic_period[:, None]
    regular = (number + (lots[:, :1] * 60).long()) % period.clamp_min(2) == 0
    wanted = torch.where(period > 0, regular, lots < parameters.ectopic_chance[:, None])
    wanted = wanted & rhythm_is(parameters, "pvc", "bigeminy", "pac")
    taken = [torch.zeros_like(wanted[:, 0])]
    for k in range(1, m):
        taken.append(wanted[:, k] & ~taken[-1])
    return torch.stack(taken, 1)


def _around_ectopics(
    parameters: RhythmParameters, mean: Tensor, noise: Tensor, interval: Tensor, ectopic: Tensor
) -> Tensor:
    """Intervals [b, m] of the atria where premature beats disturb them.

    An early atrial beat resets the sinus node; a ventricular one leaves it alone, so that a full pause follows, or
    resets it through the atria, so that the pause is shorter. What follows comes after the premature beat, however
    late that is and however short its pause.
    """
    follows = torch.cat([torch.zeros_like(ectopic[:, :1]), ectopic[:, :-1]], 1)
    early = parameters.ectopic_coupling[:, None] * (1 + 0.02 * noise)
    early_before = torch.cat([early[:, :1], early[:, :-1]], 1)
    both = torch.maximum(parameters.ectopic_pause[:, None], early_before + shortest_interval(mean) / mean)
    atrial = rhythm_is(parameters, "pac")
    own = torch.where(atrial, (early * mean).clamp_min(0.3), mean)
    after = torch.where(atrial, (both - early_before) * mean, (both - 1) * mean)
    return torch.where(ectopic, own, torch.where(follows, after, interval))


def _arrests(parameters: RhythmParameters, since_start: Tensor, span_s: float) -> Tensor:
    """bool [b, m]: slots before which the sinus node stands still, given their undisturbed times."""
    every = parameters.pause_every_s[:, None]
    first = parameters.pause_at[:, None] * every.clamp_max(span_s)
    turn = torch.div(since_start - first, every, rounding_mode="floor").clamp_min(-1)
    return rhythm_is(parameters, "pause") & (torch.diff(turn, dim=1, prepend=turn[:, :1]) > 0)
