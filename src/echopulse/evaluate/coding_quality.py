"""What of simulated clips survives the tokenizer: the picture, its texture, the ventricle's outline and the valve."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from echopulse.data import Bank
from echopulse.evaluate.known import mean_known
from echopulse.evaluate.metrics import mse, psnr, ssim
from echopulse.evaluate.phantom.image import neighbour_correlations
from echopulse.evaluate.texture import texture_of
from echopulse.evaluate.valve import openings
from echopulse.measure import Segmenter, outline_all
from echopulse.model.tokenizer import Tokenizer

LOOKED_AT = slice(None, None, 8)  # frames of which SSIM is read; neighbours tell little more
OUTLINED_S = 0.08  # between outlined frames: how far apart the measurer looks for its neighbours


@torch.inference_mode()
def clip_quality(tokenizer: Tokenizer, bank: Bank, segmenter: Segmenter, clips: int) -> Iterator[dict[str, float]]:
    """Of each of the first `clips` clips of a bank with labels what `likeness` and `appearance` say of its coding."""
    device, per = next(tokenizer.parameters()).device, tokenizer.config.frames_per_latent
    for row in range(min(clips, len(bank))):
        frames = bank.frames[row]
        frames = frames[: 1 + (len(frames) - 1) // per * per]
        coded = tokenizer.decode(tokenizer.encode(frames[None].to(device).float() / 255))[0].float().cpu()
        yield likeness(bank, row, frames, coded) | appearance(bank, row, coded, segmenter)


def likeness(bank: Bank, row: int, frames: Tensor, coded: Tensor) -> dict[str, float]:
    """How far frames uint8 [t, h, w] of a clip and what became of them, float [t, h, w] in 0..1, are apart.

    `mse`, `psnr` and `ssim` inside the sector; `valve`, how far the mitral valve opens as a share of what it does in
    the clip, NaN where none is in sight.
    """
    every, truth = torch.arange(len(frames)), frames.float() / 255
    sector = bank.sectors(torch.tensor([row]))[0]
    labels = bank.labels(torch.full_like(every, row), every).numpy()
    opened = openings(truth.numpy(), coded.numpy(), labels, bank.mitral_opening[row, : len(frames)].numpy())
    return {
        "mse": mse(coded, truth, sector),
        "psnr": psnr(coded, truth, sector),
        "ssim": ssim(coded[LOOKED_AT], truth[LOOKED_AT], sector),
        "valve": mean_known(opened),
    }


def appearance(bank: Bank, row: int, pictures: Tensor, segmenter: Segmenter) -> dict[str, float]:
    """How pictures float [t, h, w] in 0..1 of a clip look, whether they are the clip's own or what became of them.

    The texture as `texture_of` tells it; `neighbour`, the correlation of a frame with the next; and `area_error` of the
    ventricle that the segmenter outlines, relative to the true area, 1 where it finds none.
    """
    sector = bank.sectors(torch.tensor([row]))[0].numpy()
    grey = pictures.double().numpy()
    step = max(1, round(OUTLINED_S * bank.fps))
    some = np.arange(0, len(grey), step)
    found = outline_all(segmenter, np.rint(grey[some] * 255).astype(np.uint8), some / bank.fps)
    areas = found.ventricle.sum((1, 2))
    true = bank.masks(torch.full((len(some),), row), torch.from_numpy(some)).sum((1, 2)).numpy()
    return texture_of(grey, sector) | {
        "neighbour": mean_known(neighbour_correlations(grey)),
        "area_error": mean_known(np.abs(areas - true) / np.maximum(true, 1)),
    }


def mean_of(clips: list[dict[str, float]]) -> dict[str, float]:
    """Means over clips, of each figure over those that have it."""
    return {name: mean_known([clip[name] for clip in clips]) for name in clips[0]}
