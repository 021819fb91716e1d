"""The measurer's recipe: find the left ventricle in pictures that are also blurred, faded and roughened."""

import torch
from torch import Tensor

from echopulse.data import Bank
from echopulse.measure.learning import degrade, segmentation_loss
from echopulse.measure.segmenter import Segmenter, SegmenterConfig
from echopulse.train.tokenizer import strips


class MeasurerTask:
    """Single frames of a bank with their true masks."""

    name = "measurer"

    def __init__(
        self,
        config: SegmenterConfig,
        bank: Bank,
        held_out: Bank,
        *,
        batch: int = 24,
        device: str = "cpu",
        seed: int = 0,
    ):
        torch.manual_seed(seed)
        self.model = Segmenter(config).to(device)
        self.bank, self.held_out, self.batch, self.device = bank, held_out, batch, device

    def on_progress(self, progress: float, step: int) -> None:
        """Nothing changes on the way."""

    def loss(self, seed: int) -> tuple[Tensor, dict[str, float]]:
        draw = torch.Generator().manual_seed(seed)
        rows = torch.randint(len(self.bank), (self.batch,), generator=draw)
        times = torch.randint(self.bank.frames.shape[1], (self.batch,), generator=draw)
        frames = degrade(self.bank.frames[rows, times].to(self.device), draw)
        masks = self.bank.masks(rows, times).to(self.device)
        return segmentation_loss(self.model(frames).float(), masks), {}

    def evaluate(self, model: Segmenter) -> dict[str, float]:
        """Dice on held-out frames as they are and degraded."""
        scores = {}
        rows = torch.arange(len(self.held_out)).repeat_interleave(4)
        times = (torch.arange(len(rows)) * 7) % self.held_out.frames.shape[1]
        truth = self.held_out.masks(rows, times)
        frames = self.held_out.frames[rows, times]
        draw = torch.Generator().manual_seed(0)
        for name, pictures in {"dice": frames.float() / 255, "dice_degraded": degrade(frames, draw)}.items():
            found = torch.cat([model(part.to(self.device)).cpu() > 0 for part in pictures.split(64)])
            scores[name] = float(dice(found, truth).mean())
        return scores

    def pictures(self, model: Segmenter) -> Tensor:
        """Held-out frames, the outline found painted bright over the second row."""
        frames = self.held_out.frames[:4, ::8].float() / 255
        found = torch.stack([model(clip.to(self.device)).cpu() > 0 for clip in frames])
        painted = torch.where(found, frames * 0.5 + 0.5, frames)
        return strips([x for pair in zip(frames, painted, strict=True) for x in pair], every=1)


def dice(a: Tensor, b: Tensor) -> Tensor:
    """Overlap 2|a∩b| / (|a| + |b|) of boolean masks [n, h, w]; 1 where both are empty."""
    both = (a & b).flatten(1).sum(1).float()
    sizes = (a.flatten(1).sum(1) + b.flatten(1).sum(1)).float()
    return torch.where(sizes > 0, 2 * both / sizes.clamp(min=1), torch.ones_like(both))
