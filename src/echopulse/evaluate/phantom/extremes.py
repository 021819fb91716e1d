"""Hearts at the ends of what can be asked for: does anything that comes with them cease to be a number?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from itertools import product

import torch
from torch import Tensor

from echopulse.evaluate.phantom.hearts import Arrays
from echopulse.phantom.definitions import reconciled
from echopulse.phantom.limits import LIMITS
from echopulse.phantom.mechanics import contract
from echopulse.phantom.rhythm.electrocardiogram import synthesize_ecg
from echopulse.phantom.rhythm.timing import beat_times
from echopulse.phantom.scan import scan
from echopulse.phantom.simulate import draw_phantom, stream
from echopulse.phantom.truth import exact_truth
from echopulse.phantom.types import APICAL_VIEWS, Truth

FRAMES, FPS, SIZE = 6, 5.0, 64
ECG_HZ, BEFORE_S = 200.0, 1.6
PROMISED = {"ef": (0.1, 0.8), "heart_rate_bpm": (30, 200), "edv_ml": (40, 350)}  # where everything must be a number
ENDS = (PROMISED, {name: LIMITS[name] for name in PROMISED})
CORNERS = [corner for ends in ENDS for corner in product(*ends.values())]  # 16: every low end with every high one


def sample_extremes(rhythm: str, seed: int, corners: Sequence[tuple[float, ...]] = CORNERS) -> Arrays:
    """Of hearts in that rhythm, one with each EF, rate per minute (or the nearest that the rhythm can have) and volume
    in ml: `finite` [n], whether their pictures before rounding, their ECG and all their truth are numbers.
    """
    pins = {name: torch.tensor(values) for name, values in zip(PROMISED, zip(*corners, strict=True), strict=True)}
    parameters = draw_phantom(len(corners), seed, **reconciled({"rhythm": rhythm, **pins}))
    beats = beat_times(parameters.rhythm, -BEFORE_S, FRAMES / FPS, stream(seed, 5))
    recorded_s = torch.arange(round((BEFORE_S + FRAMES / FPS) * ECG_HZ)) / ECG_HZ - BEFORE_S
    ecg = synthesize_ecg(beats, parameters.electrocardiogram, recorded_s, stream(seed, 6))
    times_s = torch.arange(FRAMES) / FPS
    motion = contract(beats, parameters.mechanics, times_s)
    seen = scan(
        parameters, motion, times_s, size=SIZE, displacement=True, rounded=False, generator=stream(seed, 7)
    )  # fmt: skip
    truth = exact_truth(parameters, beats, motion, times_s, seen)
    return {"finite": (all_finite(seen.frames) & all_finite(ecg) & truth_finite(truth)).numpy()}


def truth_finite(truth: Truth) -> Tensor:
    """bool [b]: whether all that is known about each clip is a number; of beats, where there is a beat.

    Strain has no number in a short axis, P onsets and the list of atrial depolarisations none where the atria do not
    lead: these may be NaN, yet not infinite.
    """
    beats = truth.r_peaks_s.isfinite()
    along = torch.tensor([view in APICAL_VIEWS for view in truth.view], device=beats.device)
    sound = torch.ones_like(along)
    for field in fields(truth):
        values = getattr(truth, field.name)
        if not isinstance(values, Tensor) or field.name == "times_s":
            continue
        if field.name in ("p_onsets_s", "atria_s"):
            values = values.nan_to_num(nan=0.0, posinf=torch.inf, neginf=-torch.inf)
        elif values.shape == beats.shape and field.name.endswith(("_per_beat", "_s")):
            needed = beats & along[:, None] if field.name == "gls_per_beat" else beats
            values = values.masked_fill(~needed, 0.0)
        sound &= all_finite(values)
    return sound


def all_finite(values: Tensor) -> Tensor:
    """bool [b]: whether all of each row are numbers."""
    return values.isfinite().flatten(1).all(1) if values.ndim > 1 else values.isfinite()
