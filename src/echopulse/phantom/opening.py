"""The first picture for a given ECG: a simulated heart in the phase that the beats say it is in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from echopulse.phantom.mechanics.pump import contract
from echopulse.phantom.rhythm.timing import WARM_UP_BEATS, beat_times, beats_at
from echopulse.phantom.scanner.scan import scan
from echopulse.phantom.simulate import draw_phantom, stream

USUAL_RR_S = 0.8
GAIN_DB = 7.0  # as a sonographer would set it: the prior also draws pictures that are too dark to show anybody


@dataclass(frozen=True)
class Opening:
    """One simulated picture: frame uint8 [h, w], its pixel spacing in cm, and the heart's nominal EF."""

    frame: Tensor
    pixel_spacing_cm: float
    ef: float


def opening_frame(
    r_peaks_s: np.ndarray,
    *,
    view: str = "a4c",
    ef: float | None = None,
    seed: int = 0,
    size: int = 128,
    fibrillating: bool = False,
    prior: str = "clinical",
) -> Opening:
    """The picture at time 0 of a heart whose R peaks are at `r_peaks_s` (seconds, [n]; none: it stands still).

    Without an atrial kick if `fibrillating`. Beats before the first known one are assumed at the usual interval, so
    that the ventricle has been filled before.
    """
    pins: dict[str, Any] = {"gain_db": GAIN_DB} | ({} if ef is None else {"ef": ef})
    kind = "asystole" if not len(r_peaks_s) else "af" if fibrillating else "sinus"
    drawn = draw_phantom(1, seed, prior, view=view, kind=kind, **pins)
    peaks = torch.from_numpy(_with_warm_up(np.asarray(r_peaks_s, dtype=np.float64))).float()[None]
    beats = beats_at(drawn.rhythm, peaks) if peaks.numel() else beat_times(drawn.rhythm, 0.0, 1.0, stream(seed, 5))
    motion = contract(beats, drawn.mechanics, torch.zeros(1))
    picture = scan(drawn.anatomy, drawn.scanner, motion, size=size, generator=stream(seed, 7))
    return Opening(picture.frames[0, 0], float(picture.pixel_spacing_cm[0]), float(motion.ef[0]))


def _with_warm_up(peaks: np.ndarray) -> np.ndarray:
    if not len(peaks):
        return np.zeros(0)
    interval = float(np.median(np.diff(peaks))) if len(peaks) > 1 else USUAL_RR_S
    before = min(peaks[0], 0.0) - interval * np.arange(WARM_UP_BEATS, 0, -1)
    if peaks[0] > 0:  # the beats between the warm-up and the first known one keep its rhythm
        before = peaks[0] - interval * np.arange(WARM_UP_BEATS + int(peaks[0] / interval) + 1, 0, -1)
    return np.concatenate([before, peaks])
