"""The tokenizer's recipe: say the picture again, most of all where it moves."""

import torch
from torch import Tensor

from echopulse.data import Bank
from echopulse.evaluate.reconstruction import tokenizer_scores
from echopulse.model.config import TokenizerConfig
from echopulse.model.grain import measure_beams
from echopulse.model.quantizer import live_bits
from echopulse.model.tokenizer import Tokenizer
from echopulse.train.grain import WEIGHTS as GRAIN_WEIGHTS
from echopulse.train.grain import grain_losses

WEIGHTS = {"l1": 1.0, "mse": 2.0, "commitment": 0.01, "entropy": 0.01}


class TokenizerTask:
    """Crops of `frames` pictures from a bank; the error weighs up to three times as much where the picture moves.

    `model` is a tokenizer that has learned already, of the same configuration; without it one begins by chance.
    """

    name = "tokenizer"

    def __init__(
        self,
        config: TokenizerConfig,
        bank: Bank,
        held_out: Bank,
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
            beams = measure_beams(config.size)
            self.beams = beams
            self.model.grain_head.spreads.copy_(beams.spreads)

    def on_progress(self, progress: float, step: int) -> None:
        """Takes in new shards now and then; holds the quantizer's statistics still for the last tenth."""
        if self.bank.folder and step % 200 == 199:
            self.bank.refresh()
        if progress > 0.9:
            self.model.quantizer.norm.eval()

    def pictures_of(self, seed: int) -> tuple[Tensor, Tensor | None]:
        """float [batch, frames, h, w] in 0..1: the batch that `seed` names, each clip with a gain of its own.

        And the motion of the tissue in it, float [batch, frames, g, g, 2], where the tokenizer is to know grain.
        """
        draw = torch.Generator().manual_seed(seed)
        rows = torch.randint(len(self.bank), (self.batch,), generator=draw)
        starts = torch.randint(self.bank.frames.shape[1] - self.frames + 1, (self.batch,), generator=draw)
        index = starts[:, None] + torch.arange(self.frames)
        gain = 0.85 + 0.3 * torch.rand(self.batch, 1, 1, 1, generator=draw)
        frames = self.bank.frames[rows[:, None], index].to(self.device).float() / 255
        motion = self.bank.motion[rows[:, None], index].to(self.device).float() if self.config.grain else None
        return (frames * gain.to(self.device)).clamp(0, 1), motion

    def loss(self, seed: int) -> tuple[Tensor, dict[str, float]]:
        pictures, motion = self.pictures_of(seed)
        quantized = self.model.quantize(pictures)
        features = self.model.ascend(quantized.bits)
        again = self.model.picture(features, quantized.bits.shape[1])
        error = again - pictures
        moving = (pictures - pictures.mean(1, keepdim=True)).abs()
        weight = 1 + 2 * (moving / 0.15).clamp(max=1)
        terms = {
            "l1": (error.abs() * weight).mean(),
            "mse": (error.square() * weight).mean(),
            "commitment": quantized.commitment,
            "entropy": quantized.entropy,
        }
        if motion is not None:
            grain = self.model.grain(features, quantized.bits.shape[1])
            terms |= grain_losses(grain, pictures, again, motion, self.beams)
        scalars = {name: float(value.detach()) for name, value in terms.items()}
        scalars["live_bits"] = float(live_bits(quantized.bits.detach()))
        return sum((WEIGHTS | GRAIN_WEIGHTS)[name] * value for name, value in terms.items()), scalars

    def evaluate(self, model: Tokenizer, clips: int = 16) -> dict[str, float]:
        return tokenizer_scores(model, self.held_out, clips, self.device)

    def pictures(self, model: Tokenizer) -> Tensor:
        """Three held-out clips, each above what became of it, every fourth frame; below that, if known, with grain."""
        rows = min(3, len(self.held_out))
        frames = self.held_out.frames[:rows, : self._span()].to(self.device).float() / 255
        ids = model.encode(frames)
        shown = [frames, model.decode(ids)] + ([model.decode(ids, grain_seed=0)] if self.config.grain else [])
        return strips([x for same in zip(*shown, strict=True) for x in same])

    def _span(self) -> int:
        return 1 + (self.held_out.frames.shape[1] - 1) // 4 * 4


def strips(clips: list[Tensor], every: int = 4, most: int = 10) -> Tensor:
    """Clips float [t, h, w] in 0..1 as rows of every `every`-th frame: one sheet uint8 [h, w]."""
    rows = [torch.cat(list(clip[::every][:most].float().cpu()), 1) for clip in clips]
    return (torch.cat(rows, 0).clamp(0, 1) * 255).round().to(torch.uint8)
