"""What the tokenizer learns about grain: its strength, its beam, how long it lasts and how the tissue moves."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from echopulse.model.grain import LEAST_SIGMA, Beams, Grain, above_background, beam_of, grain_products

SHOWN = 0.06  # grey value 0..1 of the background above which grain is judged
CELL = 9  # pixels over which its strength is averaged
WEIGHTS = {"motion": 0.05, "strength": 0.05, "beam": 0.02, "keep": 0.02}


def grain_losses(grain: Grain, pictures: Tensor, mean: Tensor, motion: Tensor, beams: Beams) -> dict[str, Tensor]:
    """How far what the decoder says of the grain is from what the pictures show; scalars.

    Of pictures and of their reconstructions `mean`, float [b, t, h, w] in 0..1, and true motion [b, t, g, g, 2] in
    picture heights per frame. What is to be drawn is what the pictures have and the reconstruction lacks: energies and
    products with neighbours in space and time add up where grain is drawn independently of the picture.
    """
    pictures, mean = pictures.float(), mean.detach().float()
    true, kept = above_background(pictures), above_background(mean)
    shown = (pictures - true) > SHOWN
    cells = grain.strength.shape[-1]
    lacking = (true.square() - kept.square()).flatten(0, 1)[:, None]
    lacking = F.avg_pool2d(lacking, CELL, 1, CELL // 2, count_include_pad=False)
    strength = F.adaptive_avg_pool2d(lacking, cells)[:, 0].unflatten(0, pictures.shape[:2]).clamp(min=0).sqrt()
    weight = F.adaptive_avg_pool2d(shown.float(), cells)

    every = slice(None, None, 4)  # pictures; neighbours tell little more
    energy, along, across = (
        of_true - of_kept
        for of_true, of_kept in zip(
            grain_products(true[:, every], shown[:, every]), grain_products(kept[:, every], shown[:, every]),
            strict=True)
    )  # fmt: skip
    lasting = _carried(true, motion, shown) - _carried(kept, motion, shown)
    energy = energy.clamp(min=1e-6)
    beam = beam_of((along / energy).clamp(0, 0.98), (across / energy).clamp(0, 0.98), beams)
    keep = (lasting / energy).clamp(0.01, 0.998).sqrt()

    pixels = pictures.shape[-1]
    truth = motion.to(grain.motion) * pixels
    off = F.smooth_l1_loss(grain.motion * pixels, truth, beta=0.25, reduction="none").mean(-1)
    rough = F.smooth_l1_loss(grain.strength / 0.02, strength / 0.02, beta=0.5, reduction="none")
    return {
        "motion": (off * weight).sum() / weight.sum().clamp(min=1),
        "strength": (rough * (0.1 + weight)).sum() / (0.1 + weight).sum(),
        "beam": F.smooth_l1_loss((grain.beam / LEAST_SIGMA).log(), (beam / LEAST_SIGMA).log(), beta=0.2),
        "keep": F.smooth_l1_loss(grain.keep, keep, beta=0.05),
    }


def carry(pictures: Tensor, motion: Tensor) -> Tensor:
    """Pictures [b, t, h, w] one frame on, [b, t - 1, h, w]: each moved as the next frame's `motion` says."""
    b, t, height, width = pictures.shape
    way = F.interpolate(
        motion[:, 1:].flatten(0, 1).permute(0, 3, 1, 2).to(pictures), size=(height, width), mode="bilinear"
    ).permute(0, 2, 3, 1)
    row, column = ((torch.arange(n, device=way.device) + 0.5) / n * 2 - 1 for n in (height, width))
    own = torch.stack(torch.meshgrid(column, row, indexing="xy"), -1)
    moved = F.grid_sample(
        pictures[:, :-1].flatten(0, 1)[:, None], own - 2 * way, mode="bicubic", align_corners=False,
        padding_mode="border")  # fmt: skip
    return moved[:, 0].unflatten(0, (b, t - 1))


def _carried(grain: Tensor, motion: Tensor, shown: Tensor) -> Tensor:
    """Mean product [b] of each frame's grain with that of the frame before, carried along by the tissue."""
    both = shown[:, 1:] & shown[:, :-1]
    products = carry(grain, motion) * grain[:, 1:] * both
    return products.flatten(1).sum(1) / both.flatten(1).sum(1).clamp(min=1)
