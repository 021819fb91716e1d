"""Beats that a recording gives, for hearts that follow them instead of beats of their own."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from echopulse.errors import InputError
from echopulse.phantom.parameters import PhantomParameters
from echopulse.phantom.priors import index_of
from echopulse.phantom.rhythm.timing import BEATS_AFTER, WARM_UP_BEATS, beats_at
from echopulse.phantom.types import RHYTHMS, Rhythm

USUAL_RR_S = 0.8
SHORTEST_GIVEN_RR_S = 0.1  # no ventricle follows faster


def following(
    r_peaks_s: Any, p_onsets_s: Any, origins: Any, pinned: dict[str, Any]
) -> tuple[tuple[Any, ...] | None, dict[str, Any]]:
    """The beats to follow as `given_beats` takes them, if there are any, and the pins that then hold."""
    if r_peaks_s is not None:
        return (r_peaks_s, p_onsets_s, origins), {"rhythm": "sinus"} | pinned  # what beats does not stand still
    if p_onsets_s is not None or origins is not None:
        raise InputError("P onsets and origins say something about given beats; give their r_peaks_s too.")
    return None, pinned


def given_beats(
    parameters: PhantomParameters,
    r_peaks_s: Any,
    p_onsets_s: Any = None,
    origins: Any = None,
    *,
    start_s: float = 0.0,
    stop_s: float = 0.0,
) -> Rhythm:
    """The rhythm of hearts that follow R peaks [k] or [b, k] in seconds, seen from `start_s` to `stop_s`.

    From four beats before `start_s` to the first known beat the usual interval and the most frequent origin of this
    recording are assumed, so that the ventricle has been filled before. Beats without P onset (NaN) have no atrial
    kick; where none are given, `beats_at` places them. `origins` [k] or [b, k] are names out of ORIGINS or their
    indices; where none are given, beats come from where the rhythm has them begin. InputError: times that do not rise
    or lie less than 0.1 s apart, a P onset that is not before its R peak, other numbers of P onsets or origins than of
    beats or of rows than of hearts, an unknown origin, a heart in asystole.
    """
    if bool((parameters.patients.rhythm == RHYTHMS.index("asystole")).any()):
        raise InputError("a heart in asystole has no beats to follow; leave out r_peaks_s or pin another rhythm.")
    peaks = _peaks(r_peaks_s, len(parameters.patients.ef))
    b = len(peaks)
    interval = peaks.diff(dim=1).median(1).values if peaks.shape[1] > 1 else torch.full((b,), USUAL_RR_S)
    first = peaks[:, 0]
    # beats before the first known one that come after all that is seen are left out
    skipped = (((first - stop_s) / interval).floor() - BEATS_AFTER).clamp_min(0)
    n = WARM_UP_BEATS + max(int((((first - start_s) / interval).ceil() - skipped).max()), 1)
    before = first[:, None] - interval[:, None] * (skipped[:, None] + torch.arange(n, 0, -1))
    onsets = origin = None
    if p_onsets_s is not None:
        given = _of_each_beat(_times(p_onsets_s, "P onsets"), peaks, "P onsets")
        if bool((given >= peaks).any()) or bool(given.isinf().any()):
            raise InputError("a P onset lies before the R peak of its beat, or is NaN where the beat has no P wave.")
        lead = (peaks - given).nanmedian(1, keepdim=True).values  # usual distance from P onset to R
        onsets = torch.cat([before - lead, given], 1)
    if origins is not None:
        known = _of_each_beat(_origin_indices(origins), peaks, "origins")
        origin = torch.cat([known.mode(1, keepdim=True).values.expand(b, n), known], 1)
    return beats_at(parameters.rhythm, torch.cat([before, peaks], 1), p_onset=onsets, origin=origin)


def _times(values: Any, what: str) -> Tensor:
    """float32 on the CPU, any shape."""
    try:
        return torch.as_tensor(values, dtype=torch.float32, device="cpu")
    except (TypeError, ValueError, RuntimeError) as error:
        hint = "give a row of numbers for all hearts, or one for each"
        raise InputError(f"the {what} to follow are times in seconds; {hint}.") from error


def _peaks(r_peaks_s: Any, b: int) -> Tensor:
    """R peaks [b, k] from [k] or [b, k]."""
    peaks = _times(r_peaks_s, "R peaks")
    if peaks.ndim not in (1, 2) or not peaks.numel() or not bool(peaks.isfinite().all()):
        raise InputError("the R peaks to follow must be one or more rising times in seconds.")
    if peaks.ndim == 2 and len(peaks) not in (1, b):
        hearts = "heart" if b == 1 else "hearts"
        raise InputError(f"R peaks of shape {list(peaks.shape)} for {b} {hearts}; give one row, or one for each.")
    if bool((peaks.diff(dim=-1) < SHORTEST_GIVEN_RR_S).any()):
        raise InputError(
            f"the R peaks to follow must be rising times in seconds, at least {SHORTEST_GIVEN_RR_S:g} s apart."
        )
    return peaks.expand(b, -1)


def _origin_indices(origins: Any) -> Tensor:
    """int64 [k] or [b, k], from names or indices."""
    rows = origins.tolist() if hasattr(origins, "tolist") else origins
    rows = list(rows) if isinstance(rows, (list, tuple)) else [rows]
    if not all(isinstance(row, (list, tuple)) for row in rows):
        return index_of("origin", rows)
    if len({len(row) for row in rows}) != 1:
        raise InputError(f"origins for {' and '.join(str(len(row)) for row in rows)} beats; give each heart as many.")
    return torch.stack([index_of("origin", row) for row in rows])


def _of_each_beat(values: Tensor, peaks: Tensor, what: str) -> Tensor:
    """`values` [k] or [b, k] as [b, k], the shape of `peaks`."""
    if values.shape not in (peaks.shape, peaks.shape[1:]):
        raise InputError(f"{what} of shape {list(values.shape)} for beats {list(peaks.shape)}: give one for each beat.")
    return values.expand(peaks.shape)
