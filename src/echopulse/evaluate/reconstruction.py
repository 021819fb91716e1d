"""What is lost when a clip goes through the tokenizer and back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from echopulse.evaluate.metrics import psnr, ssim
from echopulse.evaluate.results import Results
from echopulse.model.quantizer import live_bits
from echopulse.model.tokenizer import Tokenizer

if TYPE_CHECKING:
    from echopulse.data import Bank

SSIM_EVERY = 8  # frames; neighbours tell little more


@torch.inference_mode()
def tokenizer_scores(model: Tokenizer, bank: Bank, clips: int, device: torch.device | str = "cpu") -> dict[str, float]:
    """Means over the first `clips` clips of a bank: errors of the whole picture and of the sector, and live bits."""
    rows = range(min(clips, len(bank)))
    pieces = ((bank.frames[row], bank.sectors(torch.tensor([row]))[0]) for row in rows)
    return reconstruction_scores(model, pieces, device).scores


@torch.inference_mode()
def reconstruction_scores(
    model: Tokenizer, pieces: Iterable[tuple[Tensor, Tensor]], device: torch.device | str = "cpu"
) -> Results:
    """The same of clips uint8 [t, h, w] with their sectors bool [h, w], and each clip's figures behind the means."""
    errors: dict[str, list[float]] = {"mse": [], "mae": [], "psnr": [], "psnr_sector": [], "ssim_sector": []}
    bits = []
    latent = model.config.frames_per_latent
    for clip, sector in pieces:
        span = 1 + (len(clip) - 1) // latent * latent
        frames = clip[None, :span].to(device).float() / 255
        features = model.quantizer.normalise(model.features(frames))
        again = model.decode_bits(torch.where(features > 0, 1.0, -1.0)).clamp(0, 1)
        truth, rebuilt = frames[0].float().cpu(), again[0].float().cpu()
        errors["mse"].append(float(F.mse_loss(rebuilt, truth)))
        errors["mae"].append(float(F.l1_loss(rebuilt, truth)))
        errors["psnr"].append(psnr(truth, rebuilt))
        errors["psnr_sector"].append(psnr(truth, rebuilt, sector))
        errors["ssim_sector"].append(ssim(truth[::SSIM_EVERY], rebuilt[::SSIM_EVERY], sector))
        bits.append(features.reshape(-1, features.shape[-1]))
    scores = {name: sum(values) / len(values) for name, values in errors.items()}
    return Results.of({**scores, "live_bits": float(live_bits(torch.cat(bits)))}, errors)
