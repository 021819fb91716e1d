"""The pictures that a clip begins or goes on with: given ones, read and looked at, or a simulated heart's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from echopulse.ecg import Beats
from echopulse.echo import read_frame
from echopulse.errors import InputError
from echopulse.measure import Segmenter
from echopulse.model.generator import Patient
from echopulse.phantom import opening_frame
from echopulse.phantom.types import VIEWS

Picture = str | Path | np.ndarray  # a file, or uint8 [h, w]
SURE = 0.98  # of another view: a guess that is less so is left to whoever gave the picture


def read_picture(image: Picture, size: int) -> Tensor:
    """A file's first picture, or the array itself, as uint8 [h, w]; InputError for anything else than grey pictures."""
    picture = image if isinstance(image, np.ndarray) else read_frame(image, size)
    if picture.ndim != 2 or picture.dtype != np.uint8:
        raise InputError(f"image: uint8 [h, w] is expected, got {picture.dtype} {list(picture.shape)}.")
    if picture.shape != (size, size):
        raise InputError(f"image: {list(picture.shape)} pixels; this model takes {size} by {size}.")
    return torch.from_numpy(np.ascontiguousarray(picture))


@torch.inference_mode()
def check_view(picture: Tensor, view: str, name: str, segmenter: Segmenter, known: Sequence[str]) -> None:
    """InputError where a picture uint8 [h, w] surely shows another view than `view`; measurers of one view pass all.

    `known` are the views that the generator makes: no other one is advised.
    """
    if not segmenter.config.views or picture.shape != (segmenter.config.size,) * 2:
        return
    frames = picture[None].to(segmenter.head.weight.device).float() / 255
    chances = segmenter.guess_view(segmenter.encode(frames))[0].float().softmax(0)
    seen = int(chances.argmax())
    if VIEWS[seen] != view and float(chances[seen]) > SURE:
        found = f"{name}: this looks like {VIEWS[seen]} ({100 * float(chances[seen]):.0f} % sure), not {view}"
        if VIEWS[seen] in known:
            advice = f"say --view {VIEWS[seen]}, give a picture of {view}"
        else:
            advice = f"this model makes {' and '.join(known)} alone, so give a picture of {view}"
        raise InputError(f"{found}; {advice}, or say --any-image if you know better.")


def first_picture(
    image: Tensor | None, start: str, beats: Beats, begin_s: float, view: str, ef: float | None, patient: Patient,
    seed: int, size: int,
) -> tuple[Tensor | None, str, float | None, float | None]:  # fmt: skip
    """The first picture uint8 [h, w] or None, where it came from, its pixel spacing in cm or None, and the EF.

    It is the `image` that was given, or of a simulated heart in the phase in which the beats are at `begin_s`, or none
    where the generator draws it itself (`start` "generated").
    """
    if image is not None:
        return image, "image", None, ef
    if start == "generated":
        return None, "generated", None, ef
    peaks = beats.r_peaks_s - begin_s
    known = {} if patient.age_years is None else {"age_years": patient.age_years}
    known |= {} if patient.sex is None else {"female": patient.female}
    opening = opening_frame(
        peaks, view=view, ef=ef, seed=seed, size=size, fibrillating=beats.rhythm == "irregular", **known
    )
    aimed = opening.ef if len(peaks) else ef  # no label fits a heart that stands still
    return opening.frame, "phantom", opening.pixel_spacing_cm, aimed
