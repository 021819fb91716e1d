"""Pictures that somebody gives to begin or to go on with: read, and looked at before anything is computed from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from echopulse.echo import read_frame
from echopulse.errors import InputError
from echopulse.measure import Segmenter
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
def check_view(picture: Tensor, view: str, name: str, segmenter: Segmenter) -> None:
    """InputError where a picture uint8 [h, w] surely shows another view than `view`; measurers of one view pass all."""
    if not segmenter.config.views or picture.shape != (segmenter.config.size,) * 2:
        return
    frames = picture[None].to(segmenter.head.weight.device).float() / 255
    chances = segmenter.guess_view(segmenter.encode(frames))[0].float().softmax(0)
    seen = int(chances.argmax())
    if VIEWS[seen] != view and float(chances[seen]) > SURE:
        raise InputError(
            f"{name}: this looks like {VIEWS[seen]} ({100 * float(chances[seen]):.0f} % sure), not {view}; say --view "
            f"{VIEWS[seen]}, give a picture of that view, or say --any-image if you know better."
        )
