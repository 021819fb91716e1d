"""When the heart beats: all rhythms, drawn or following given R peaks."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from echopulse.errors import InputError
from echopulse.phantom.rhythm.atria import rhythm_is, tick
from echopulse.phantom.rhythm.conduction import Beats, conducted, join, on_their_own, paced, premature
from echopulse.phantom.rhythm.intervals import (
    SHORTEST_RR_S,
    T_END_BEFORE_ES_S,
    conducted_pr,
    peak_at,
    place_waves,
    remembered_rr,
    systolic_intervals,
)
from echopulse.phantom.rhythm.parameters import RhythmParameters, draw_rhythm
from echopulse.phantom.types import ORIGINS, Rhythm

__all__ = [
    "SHORTEST_RR_S",
    "T_END_BEFORE_ES_S",
    "WARM_UP_BEATS",
    "RhythmParameters",
    "beat_times",
    "beats_at",
    "draw_rhythm",
    "remembered_rr",
    "systolic_intervals",
]

WARM_UP_BEATS = 4
BEATS_AFTER = 2  # because the next beat's atria fill the last diastole shown
NO_P_WAVE = ("af", "flutter", "asystole")
DISSOCIATED = ("av_block_3", "vt")
BEGINS_IN = {"atrial": ("af", "flutter"), "ventricular": ("vt",), "escape": ("av_block_3",)}


def beat_times(parameters: RhythmParameters, start_s: float, stop_s: float, generator: Generator) -> Rhythm:
    """The beats of b hearts from four before `start_s` to two after `stop_s`, seconds on the clip's clock.

    A heart in asystole has none, and no atrial activity either. `Rhythm.atria_s` holds every P wave, conducted or
    not, from the first beat on; neither fibrillation nor flutter is in it, because neither empties the atria.
    """
    if not math.isfinite(stop_s - start_s) or stop_s < start_s:
        raise InputError(f"a rhythm from {start_s:g} s to {stop_s:g} s was asked for; give a start before the end.")
    clock = tick(parameters, start_s, stop_s, generator)
    sinus = conducted(parameters, clock)
    early = premature(parameters, clock, sinus, generator)
    own = on_their_own(parameters, start_s, stop_s, generator)
    beats, rr = _within(join(parameters, sinus, early, own), parameters, start_s, stop_s)
    atria_s = _atria(clock.time_s.masked_fill(clock.silent, math.nan), beats.r_peak)
    return place_waves(parameters, beats.r_peak, rr, beats.origin, beats.p_onset, atria_s)


def beats_at(
    parameters: RhythmParameters, r_peak: Tensor, *, p_onset: Tensor | None = None, origin: Tensor | None = None
) -> Rhythm:
    """The rhythm of hearts whose R peaks [b, n] are known, in seconds; NaN pads at the end.

    `p_onset` [b, n] holds the onset of each beat's P wave, NaN where it has none; left out, P waves come where the
    rhythm has them. `origin` [b, n], indices into `ORIGINS`, says where each beat begins; left out, all begin in the
    sinus node, in the atria where those fibrillate or flutter, in a ventricle in ventricular tachycardia, and where
    escapes do in third-degree block. The other waves follow the parameters; of atria that beat on their own nothing
    is known.
    """
    r_peak = r_peak.to(parameters.pr_s)
    usual = (60 / parameters.heart_rate_bpm)[:, None]
    before = torch.diff(r_peak, dim=1)
    first = before[:, :1] if r_peak.shape[1] > 1 else usual
    rr = torch.cat([torch.where(torch.isfinite(first), first, usual), before], 1).clamp_min(0.2)
    without_p = rhythm_is(parameters, *NO_P_WAVE, *DISSOCIATED)
    if origin is None:
        origin = torch.full_like(r_peak, ORIGINS.index("sinus"), dtype=torch.int64)
        for name, rhythms in BEGINS_IN.items():
            origin = torch.where(rhythm_is(parameters, *rhythms), ORIGINS.index(name), origin)
    origin = paced(parameters, origin.to(r_peak.device))
    if p_onset is None:
        own = (origin == ORIGINS.index("ventricular")) | (origin == ORIGINS.index("escape"))
        to_peak = (peak_at(parameters.conduction) * parameters.qrs_s)[:, None]
        p_onset = r_peak - to_peak - conducted_pr(parameters, rr.nan_to_num(1.0))
        p_onset = torch.where(without_p | own, math.nan, p_onset)
    p_onset = torch.where(torch.isfinite(r_peak), p_onset.to(r_peak), math.nan)
    return place_waves(parameters, r_peak, rr, origin, p_onset, _sorted(p_onset))


def _within(beats: Beats, parameters: RhythmParameters, start_s: float, stop_s: float) -> tuple[Beats, Tensor]:
    """Beats from `WARM_UP_BEATS` before `start_s` to `BEATS_AFTER` after `stop_s`, and the RR before each [b, n]."""
    r_peak = beats.r_peak.masked_fill(rhythm_is(parameters, "asystole"), math.nan)
    first = ((r_peak < start_s).sum(1) - WARM_UP_BEATS).clamp_min(0)[:, None]
    length = ((r_peak <= stop_s).sum(1, keepdim=True) - first + BEATS_AFTER).clamp(0, r_peak.shape[1])
    n = max(int(length.max()), 1)
    wanted = torch.arange(n, device=r_peak.device)
    index = (first + wanted).clamp_max(r_peak.shape[1] - 1)
    outside = (wanted >= length) | (first + wanted >= r_peak.shape[1])
    usual = 60 / parameters.heart_rate_bpm[:, None]
    rr = torch.cat([torch.where(torch.isfinite(r_peak[:, :1]), usual, math.nan), torch.diff(r_peak, dim=1)], 1)
    kept = r_peak.gather(1, index).masked_fill(outside, math.nan)
    p_onset = beats.p_onset.gather(1, index).masked_fill(outside | ~torch.isfinite(kept), math.nan)
    return Beats(kept, p_onset, beats.origin.gather(1, index)), rr.gather(1, index).masked_fill(outside, math.nan)


def _atria(p_onset: Tensor, r_peak: Tensor) -> Tensor:
    """P onsets [b, m] around the beats kept, in order, NaN last, no wider than needed."""
    low = r_peak[:, :1] - 1.0
    high = r_peak.nan_to_num(nan=-math.inf).amax(1, keepdim=True)
    return _sorted(torch.where((p_onset >= low) & (p_onset <= high), p_onset, math.nan))


def _sorted(times_s: Tensor) -> Tensor:
    """Times [b, m] in order, NaN last, without columns that are NaN throughout (at least one column stays)."""
    ordered = times_s.nan_to_num(nan=math.inf).sort(dim=1).values
    count = max(int(torch.isfinite(ordered).sum(1).max()), 1)
    ordered = ordered[:, :count]
    return torch.where(torch.isfinite(ordered), ordered, math.nan)
