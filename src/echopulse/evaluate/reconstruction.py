"""What is lost when a clip goes through the tokenizer and back."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from echopulse.evaluate.metrics import psnr, ssim
from echopulse.evaluate.results import Results
from echopulse.model.quantizer import codebook_use, live_bits
from echopulse.model.tokenizer import Tokenizer
from echopulse.model.types import ids_to_bits

SSIM_EVERY = 8  # frames; neighbours tell little more


@torch.inference_mode()
def reconstruction_scores(
    model: Tokenizer, pieces: Iterable[tuple[Tensor, Tensor]], device: torch.device | str = "cpu"
) -> Results:
    """Errors of clips uint8 [t, h, w], of the whole picture and of their sectors bool [h, w]: means and each clip's.

    `perplexity`: as many codes, all equally frequent, would have the entropy of those that the clips were made of.
    """
    errors: dict[str, list[float]] = {}
    tokens = []
    latent = model.config.frames_per_latent
    for clip, sector in pieces:
        span = 1 + (len(clip) - 1) // latent * latent
        frames = clip[None, :span].to(device).float() / 255
        ids = model.encode(frames)
        again = model.decode(ids)
        truth, rebuilt = frames[0].float().cpu(), again[0].float().cpu()
        for name, value in picture_errors(truth, rebuilt, sector).items():
            errors.setdefault(name, []).append(value)
        tokens.append(ids.flatten())
    scores = {name: sum(values) / len(values) for name, values in errors.items()}
    return Results.of(scores | code_use(torch.cat(tokens), model), errors)


def picture_errors(truth: Tensor, rebuilt: Tensor, sector: Tensor) -> dict[str, float]:
    """Of one clip, float [t, h, w] in 0..1 and its sector bool [h, w]; SSIM of every eighth frame."""
    return {
        "mse": float(F.mse_loss(rebuilt, truth)),
        "mae": float(F.l1_loss(rebuilt, truth)),
        "psnr": psnr(truth, rebuilt),
        "psnr_sector": psnr(truth, rebuilt, sector),
        "ssim_sector": ssim(truth[::SSIM_EVERY], rebuilt[::SSIM_EVERY], sector),
    }


def code_use(ids: Tensor, model: Tokenizer) -> dict[str, float]:
    """How many bits of the ids (int64, any shape) live, and their perplexity."""
    return {
        "live_bits": float(live_bits(ids_to_bits(ids, model.config.id_bits))),
        "perplexity": codebook_use(ids, model.config.codebook_size).perplexity,
    }
