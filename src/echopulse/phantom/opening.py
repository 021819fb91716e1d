"""The first picture for a given ECG: a simulated heart in the phase that the beats say it is in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from echopulse.phantom.mechanics import contract
from echopulse.phantom.rhythm.timing import beat_times
from echopulse.phantom.scan import scan
from echopulse.phantom.simulate import draw_phantom, given_beats, stream

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
    **known: float,
) -> Opening:
    """The picture at time 0 of a heart whose R peaks are at `r_peaks_s` (seconds, [n]; none: it stands still).

    `known` are other parameters of the phantom that are to hold, as age_years.

    Without an atrial kick if `fibrillating`. Beats before the first known one are assumed at the usual interval, so
    that the ventricle has been filled before.
    """
    pins: dict[str, Any] = {"gain_db": GAIN_DB} | ({} if ef is None else {"ef": ef}) | known
    rhythm = "asystole" if not len(r_peaks_s) else "af" if fibrillating else "sinus"
    drawn = draw_phantom(1, seed, prior, view=view, rhythm=rhythm, **pins)
    if len(r_peaks_s):
        beats = given_beats(drawn, np.asarray(r_peaks_s, dtype=np.float32))
    else:
        beats = beat_times(drawn.rhythm, 0.0, 1.0, stream(seed, 5))
    motion = contract(beats, drawn.mechanics, torch.zeros(1))
    picture = scan(drawn, motion, torch.zeros(1), size=size, generator=stream(seed, 7))
    return Opening(picture.frames[0, 0], float(picture.pixel_spacing_cm[0]), float(motion.ef[0]))
