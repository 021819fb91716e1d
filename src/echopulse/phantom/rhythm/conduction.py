"""From the atria's clock to the ventricles' beats: conduction, ectopics, escapes, tachycardia, pacing."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from echopulse.phantom.rhythm.atria import Clock, drops_beats, mean_interval, rhythm_is, shortest_interval
from echopulse.phantom.rhythm.intervals import SHORTEST_RR_S, conducted_pr, peak_at
from echopulse.phantom.rhythm.parameters import PACED, RhythmParameters
from echopulse.phantom.types import ORIGINS

ORIGIN = {name: index for index, name in enumerate(ORIGINS)}
COUPLET_INTERVAL = 0.95  # of a couplet's second beat, relative to the coupling of the first
SHORTEST_COUPLING_S = 0.30
REFRACTORY_S = 0.42  # after a ventricle's own beat nothing is conducted for so long


@dataclass(frozen=True)
class Beats:
    """Beats of b hearts in any order, [b, k] each; NaN in `r_peak` where there is none."""

    r_peak: Tensor
    p_onset: Tensor
    origin: Tensor  # int64


def conducted(parameters: RhythmParameters, clock: Clock) -> Beats:
    """The beats [b, m] that the atria's slots lead to, and those that junction or ventricle put in their place."""
    p = parameters
    m = clock.time_s.shape[1]
    to_peak = (peak_at(p.conduction) * p.qrs_s)[:, None]
    without_p = rhythm_is(p, "af", "flutter")
    pr = conducted_pr(p, clock.interval_s)
    atrial_ectopic = clock.ectopic & rhythm_is(p, "pac")
    pr = pr + torch.where(atrial_ectopic, 0.03, 0.0)  # the node has not recovered

    group = p.group[:, None].clamp_min(2)
    place = (torch.arange(m, device=pr.device) + (p.phase[:, None] * 997).long()) % group
    dropping = drops_beats(p)
    dropped = dropping & (place == group - 1)
    step = torch.minimum(p.pr_step_s[:, None], 0.12 * mean_interval(p))
    grown = conducted_pr(p, mean_interval(p)) + step * (1 - 0.6**place) / 0.4  # by less every time
    pr = torch.where(dropping & rhythm_is(p, "wenckebach"), grown, pr)

    r_peak = clock.time_s + torch.where(without_p, 0.0, pr + to_peak)
    p_onset = torch.where(without_p | clock.silent, math.nan, clock.time_s)
    origin = torch.where(atrial_ectopic | without_p, ORIGIN["atrial"], ORIGIN["sinus"])
    origin = torch.where(clock.escape, ORIGIN["escape"], origin)
    ventricular_ectopic = clock.ectopic & rhythm_is(p, "pvc", "bigeminy")
    blocked = dropped | ventricular_ectopic | rhythm_is(p, "av_block_3", "asystole")
    return Beats(torch.where(blocked, math.nan, r_peak), p_onset, origin)


def premature(parameters: RhythmParameters, clock: Clock, beats: Beats, generator: Generator) -> Beats:
    """Ventricular ectopics [b, 2 m] coupled to the beats before them: single ones, then the second of couplets."""
    p = parameters
    mean = 60 / p.heart_rate_bpm[:, None]
    noise = torch.randn(clock.time_s.shape, generator=generator).to(mean)
    lots = torch.rand(clock.time_s.shape, generator=generator).to(mean)
    coupling = p.ectopic_coupling[:, None] * mean * (1 + 0.02 * noise)
    coupling = torch.maximum(coupling, (0.8 * mean).clamp_max(SHORTEST_COUPLING_S))
    previous, following = _shifted(beats.r_peak, 1), _shifted(beats.r_peak, -1)
    wanted = clock.ectopic & rhythm_is(p, "pvc", "bigeminy")
    single = torch.where(wanted, previous + coupling, math.nan)
    second = single + COUPLET_INTERVAL * coupling
    couplet = (lots < p.couplet_chance[:, None]) & (second < following - SHORTEST_RR_S) & rhythm_is(p, "pvc")
    r_peak = torch.cat([single, torch.where(couplet, second, math.nan)], 1)
    return Beats(r_peak, torch.full_like(r_peak, math.nan), torch.full_like(r_peak, ORIGIN["ventricular"]).long())


def on_their_own(parameters: RhythmParameters, start_s: float, stop_s: float, generator: Generator) -> Beats | None:
    """Beats [b, k] of ventricles that do not listen to the atria: complete block and tachycardia; None without any."""
    p = parameters
    tachycardia = rhythm_is(p, "vt")
    independent = tachycardia | rhythm_is(p, "av_block_3")
    if not bool(independent.any()):
        return None
    mean = 60 / p.heart_rate_bpm[:, None]
    lead_in = torch.where(tachycardia, torch.maximum(8 * mean, 12 * mean_interval(p)), 8 * mean)
    needed = ((lead_in + stop_s - start_s) / (0.93 * mean))[independent]
    k = math.ceil(float(needed.max())) + 5
    noise = torch.randn(len(mean), k, generator=generator).to(mean)
    interval = mean * (1 + 0.012 * noise.clamp(-3, 3))
    run = p.run_beats[:, None]
    place = (torch.arange(k, device=mean.device) + (p.phase[:, None] * 997).long()) % run.clamp_min(1)
    rests = tachycardia & (run > 0) & (place == 0)
    interval = torch.where(rests, p.rest_s[:, None], interval)
    r_peak = start_s - lead_in + (interval.cumsum(1) - p.phase[:, None] * mean)
    origin = torch.where(tachycardia, ORIGIN["ventricular"], ORIGIN["escape"]).expand(-1, k)
    r_peak = torch.where(independent, r_peak, math.nan)
    return Beats(r_peak, torch.full_like(r_peak, math.nan), origin)


def join(parameters: RhythmParameters, sinus: Beats, premature: Beats, own: Beats | None) -> Beats:
    """All beats in order, NaN last; atrial impulses that meet a ventricle which just beat by itself are blocked."""
    parts = [sinus, premature]
    if own is not None:
        times_s = own.r_peak.nan_to_num(nan=math.inf).contiguous()
        impulses = sinus.r_peak.nan_to_num(nan=-math.inf).contiguous()
        following = torch.searchsorted(times_s, impulses)
        after = times_s.gather(1, following.clamp_max(times_s.shape[1] - 1)) - impulses
        since = impulses - times_s.gather(1, (following - 1).clamp_min(0))
        met = ((after >= 0) & (after < SHORTEST_COUPLING_S)) | ((since >= 0) & (since < REFRACTORY_S))
        parts = [Beats(torch.where(met, math.nan, sinus.r_peak), sinus.p_onset, sinus.origin), premature, own]
    r_peak = torch.cat([part.r_peak for part in parts], 1)
    order = r_peak.nan_to_num(nan=math.inf).argsort(dim=1, stable=True)
    r_peak = r_peak.gather(1, order)
    p_onset = torch.cat([part.p_onset for part in parts], 1).gather(1, order)
    origin = torch.cat([part.origin for part in parts], 1).gather(1, order)
    r_peak = _apart(parameters, r_peak, origin)
    return Beats(r_peak, torch.where(torch.isfinite(r_peak), p_onset, math.nan), paced(parameters, origin))


def _apart(parameters: RhythmParameters, r_peak: Tensor, origin: Tensor) -> Tensor:
    """Beats [b, k] in order, NaN last, none of them sooner after another than node and ventricle recover.

    What would come sooner is held up: its PR is longer.
    """
    own = origin == ORIGIN["ventricular"]
    usual = torch.minimum(60 / parameters.heart_rate_bpm[:, None], mean_interval(parameters))
    least = torch.where(own, shortest_interval(usual).clamp_max(SHORTEST_COUPLING_S), shortest_interval(usual))
    room = least.cumsum(1)
    held = (r_peak.nan_to_num(nan=math.inf) - room).cummax(1).values + room
    return torch.where(held > r_peak + 1e-4, held, r_peak)  # the sums of those in time are off by rounding


def paced(parameters: RhythmParameters, origin: Tensor) -> Tensor:
    """`origin` [b, k] with every beat that a pacemaker would make made by it: all but the ventricle's own ectopics."""
    has_pacemaker = (parameters.conduction == PACED)[:, None]
    return torch.where(has_pacemaker & (origin != ORIGIN["ventricular"]), ORIGIN["paced"], origin)


def _shifted(values: Tensor, by: int) -> Tensor:
    """`values` [b, m] moved along by `by`, with NaN where nothing moved in."""
    moved = torch.roll(values, by, 1)
    moved[:, 0 if by > 0 else -1] = math.nan
    return moved
