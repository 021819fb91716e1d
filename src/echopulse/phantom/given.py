"""Beats that a recording gives, for hearts that follow them instead of beats of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from echopulse.errors import InputError
from echopulse.phantom.parameters import PhantomParameters
from echopulse.phantom.rhythm.timing import WARM_UP_BEATS, beats_at
from echopulse.phantom.types import ORIGINS, Rhythm

USUAL_RR_S = 0.8


def following(
    r_peaks_s: Any, p_onsets_s: Any, origins: Any, pinned: dict[str, Any]
) -> tuple[tuple[Any, ...] | None, dict[str, Any]]:
    """The beats to follow as `given_beats` takes them, if there are any, and the pins that then hold."""
    if r_peaks_s is not None:
        return (r_peaks_s, p_onsets_s, origins), {"rhythm": "sinus"} | pinned  # what beats does not stand still
    if p_onsets_s is not None or origins is not None:
        raise InputError("P onsets and origins say something about given beats; give their r_peaks_s too.")
    return None, pinned


def given_beats(parameters: PhantomParameters, r_peaks_s: Any, p_onsets_s: Any = None, origins: Any = None) -> Rhythm:
    """The rhythm of hearts that follow R peaks [k] or [b, k] in seconds, with beats before the first one.

    Before the first known beat the usual interval and the most frequent origin of this recording are assumed, so that
    the ventricle has been filled before. Beats without P onset (NaN) have no atrial kick; where none are given,
    `beats_at` places them. `origins` are k names out of ORIGINS, or indices [k] or [b, k]; where none are given, all
    beats come from where the rhythm has them begin. InputError: times that do not rise, other numbers of P onsets or
    origins than of beats, an unknown origin.
    """
    b = len(parameters.patients.ef)
    peaks = torch.as_tensor(r_peaks_s, dtype=torch.float32)
    peaks = peaks.expand(b, -1) if peaks.ndim == 1 else peaks
    if peaks.shape[1] < 1 or not bool(peaks.isfinite().all()) or bool((peaks.diff(dim=1) <= 0).any()):
        raise InputError("the R peaks to follow must be one or more rising times in seconds.")
    interval = peaks.diff(dim=1).median(1).values if peaks.shape[1] > 1 else torch.full((b,), USUAL_RR_S)
    n = WARM_UP_BEATS + max(int(float((peaks[:, 0].clamp_min(0) / interval).max())) + 1, 1)
    back = torch.arange(n, 0, -1)
    onsets = origin = None
    if p_onsets_s is not None:
        given = _of_each_beat(torch.as_tensor(p_onsets_s, dtype=torch.float32), peaks, "P onsets")
        lead = (peaks - given).nanmedian(1, keepdim=True).values  # usual distance from P onset to R
        onsets = torch.cat([peaks[:, :1] - interval[:, None] * back - lead, given], 1)
    if origins is not None:
        known = _of_each_beat(_origin_indices(origins), peaks, "origins")
        origin = torch.cat([known.mode(1, keepdim=True).values.expand(b, n), known], 1)
    peaks = torch.cat([peaks[:, :1] - interval[:, None] * back, peaks], 1)
    return beats_at(parameters.rhythm, peaks, p_onset=onsets, origin=origin)


def _origin_indices(origins: Sequence[str] | Tensor) -> Tensor:
    """int64 [k] or [b, k], from names or indices."""
    if not isinstance(origins, Tensor):
        if strange := [name for name in origins if name not in ORIGINS]:
            raise InputError(f"origin {strange[0]!r} is unknown; choose out of {', '.join(ORIGINS)}.")
        return torch.tensor([ORIGINS.index(name) for name in origins])
    if origins.is_floating_point() or not bool(((origins >= 0) & (origins < len(ORIGINS))).all()):
        raise InputError(f"origins are whole numbers from 0 to {len(ORIGINS) - 1}, indices into ORIGINS.")
    return origins.long().cpu()


def _of_each_beat(values: Tensor, peaks: Tensor, what: str) -> Tensor:
    """`values` [k] or [b, k] as [b, k], the shape of `peaks`."""
    if values.shape not in (peaks.shape, peaks.shape[1:]):
        raise InputError(f"{what} of shape {list(values.shape)} for beats {list(peaks.shape)}: give one for each beat.")
    return values.expand(peaks.shape)
