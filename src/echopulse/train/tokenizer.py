"""The tokenizer's recipe: say the picture again, most of all where it moves."""

from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor

from echopulse.evaluate.reconstruction import reconstruction_scores
from echopulse.model.config import TokenizerConfig
from echopulse.model.grain import measure_beams
from echopulse.model.quantizer import codebook_use, live_bits
from echopulse.model.tokenizer import Tokenizer
from echopulse.model.types import ids_to_bits
from echopulse.train.grain import WEIGHTS as GRAIN_WEIGHTS
from echopulse.train.grain import grain_losses
from echopulse.train.motion import WEIGHTS as MOTION_WEIGHTS
from echopulse.train.motion import motion_losses

WEIGHTS = {"l1": 1.0, "mse": 2.0}
QUANTIZER_WEIGHTS = {"lfq": {"commitment": 0.01, "entropy": 0.01}, "fsq": {}, "vq": {"commitment": 0.25}}


class Clips(Protocol):
    """Where batches come from: a bank of simulated clips, or anybody's videos."""

    def draw(self, count: int, frames: int, generator: torch.Generator) -> Tensor:
        """uint8 [count, frames, h, w], of the tokenizer's size and drawn by the generator alone."""

    def first(self, count: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The same clips every time, at most `count`: uint8 [t, h, w], each with the part that counts, bool [h, w]."""

    def refresh(self) -> int:
        """Takes in what has arrived since; returns how many clips came."""


class TokenizerTask:
    """Stretches of `frames` pictures; the error weighs up to three times as much where the picture moves.

    `model` is a tokenizer that has learned already, of the same configuration; without it one begins by chance.
    """

    name = "tokenizer"

    def __init__(
        self,
        config: TokenizerConfig,
        bank: Clips,
        held_out: Clips,
        *,
        batch: int = 6,
        frames: int = 13,
        device: str = "cpu",
        seed: int = 0,
        model: Tokenizer | None = None,
    ):
        torch.manual_seed(seed)
        self.config = config
        self.model = (model or Tokenizer(config)).to(device)
        self.bank, self.held_out = bank, held_out
        self.batch, self.frames, self.device = batch, frames, device
        if config.grain:
            self.beams = measure_beams(config.size)
            self.model.grain_head.spreads.copy_(self.beams.spreads)

    def on_progress(self, progress: float, step: int) -> None:
        """Takes in new clips now and then; holds the quantizer's statistics still for the last tenth."""
        if step % 200 == 199:
            self.bank.refresh()
        if progress > 0.9:
            self.model.quantizer.eval()

    def pictures_of(self, seed: int) -> tuple[Tensor, Tensor | None]:
        """float [batch, frames, h, w] in 0..1: the batch that `seed` names, each clip with a gain of its own.

        And the motion of the tissue in it, float [batch, frames, g, g, 2], where the tokenizer learns grain or motion.
        """
        draw = torch.Generator().manual_seed(seed)
        motion = None
        if self.config.needs_motion:
            frames, motion = self.bank.draw_moving(self.batch, self.frames, draw)
            motion = motion.to(self.device).float()
        else:
            frames = self.bank.draw(self.batch, self.frames, draw)
        frames = frames.to(self.device).float() / 255
        gain = 0.85 + 0.3 * torch.rand(self.batch, 1, 1, 1, generator=draw)
        return (frames * gain.to(self.device)).clamp(0, 1), motion

    def loss(self, seed: int) -> tuple[Tensor, dict[str, float]]:
        pictures, motion = self.pictures_of(seed)
        quantized = self.model.quantize(pictures)
        features, _ = self.model.ascend(quantized.codes)
        again = self.model.picture(features, quantized.codes.shape[1])
        error = again - pictures
        moving = (pictures - pictures.mean(1, keepdim=True)).abs()
        weight = 1 + 2 * (moving / 0.15).clamp(max=1)
        terms = {
            "l1": (error.abs() * weight).mean(),
            "mse": (error.square() * weight).mean(),
            **quantized.losses,
        }
        weights = WEIGHTS | QUANTIZER_WEIGHTS[self.config.quantizer]
        if self.config.decoder == "motion":
            displacement = self.model.decoder_motion.displacement(features, quantized.codes.shape[1])
            terms |= motion_losses(displacement, pictures, motion)
            weights |= MOTION_WEIGHTS
        if self.config.grain:
            grain = self.model.grain_head(features, quantized.codes.shape[1])
            terms |= grain_losses(grain, pictures, again, motion, self.beams)
            weights |= GRAIN_WEIGHTS
        scalars = {name: float(value.detach()) for name, value in terms.items()}
        scalars["live_bits"] = float(live_bits(ids_to_bits(quantized.ids, self.config.id_bits)))
        scalars["perplexity"] = codebook_use(quantized.ids, self.config.codebook_size).perplexity
        return sum(weights[name] * value for name, value in terms.items()), scalars

    def evaluate(self, model: Tokenizer, clips: int = 16) -> dict[str, float]:
        return reconstruction_scores(model, self.held_out.first(clips), self.device).scores

    def pictures(self, model: Tokenizer) -> Tensor:
        """Three held-out clips, each above what became of it, every fourth frame; below that, if known, with grain."""
        rows = []
        for clip, _ in self.held_out.first(3):
            span = 1 + (len(clip) - 1) // self.config.frames_per_latent * self.config.frames_per_latent
            frames = clip[:span].to(self.device).float() / 255
            ids = model.encode(frames[None])
            rows += [frames, model.decode(ids)[0]] + ([model.decode(ids, 0)[0]] if self.config.grain else [])
        return strips(rows)


def strips(clips: list[Tensor], every: int = 4, most: int = 10) -> Tensor:
    """Clips float [t, h, w] in 0..1 as rows of every `every`-th frame: one sheet uint8 [h, w]."""
    rows = [torch.cat(list(clip[::every][:most].float().cpu()), 1) for clip in clips]
    return (torch.cat(rows, 0).clamp(0, 1) * 255).round().to(torch.uint8)
