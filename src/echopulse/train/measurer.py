"""The measurer's recipe: tell the chambers apart in pictures that are also blurred, faded, roughened and moved."""

import torch
import torch.nn.functional as F
from torch import Tensor

from echopulse.data import Bank
from echopulse.measure.learning import degrade, place_elsewhere, segmentation_loss
from echopulse.measure.segmenter import LV, Segmenter, SegmenterConfig
from echopulse.measure.volume_head import volume_loss
from echopulse.phantom.types import APICAL_VIEWS
from echopulse.train.tokenizer import strips

VIEW_WEIGHT = 0.05  # of the guess at the view: a by-product
VOLUME_WEIGHT = 1.0
STILL = 0.15  # of the clips are shown without their neighbouring frames, as a single picture comes
EXTREMES = 0.6  # of the clips are shown at their fullest and emptiest, where the EF is read; the others anywhere
LOOK_FOR_SHARDS_EVERY = 100  # steps


class MeasurerTask:
    """Two moments of each clip of a bank with what every pixel shows; of one class, the left ventricle alone."""

    name = "measurer"

    def __init__(
        self,
        config: SegmenterConfig,
        bank: Bank,
        held_out: Bank,
        *,
        batch: int = 8,
        device: str = "cpu",
        seed: int = 0,
    ):
        torch.manual_seed(seed)
        self.config = config
        self.model = Segmenter(config).to(device, memory_format=torch.channels_last)
        self.bank, self.held_out, self.batch, self.device = bank, held_out, batch, device

    def on_progress(self, progress: float, step: int) -> None:
        """Takes in shards that have arrived since."""
        if step and step % LOOK_FOR_SHARDS_EVERY == 0 and self.bank.folder is not None:
            self.bank.refresh()

    def loss(self, seed: int) -> tuple[Tensor, dict[str, float]]:
        draw = torch.Generator().manual_seed(seed)
        rows = torch.randint(len(self.bank), (self.batch,), generator=draw)
        times = self._moments(rows, draw)
        still = torch.rand(self.batch, 1, 1, generator=draw) < STILL
        around = torch.where(still, times[..., None], self._around(self.bank, times))  # [b, 2, k]
        frames = self.bank.frames[rows[:, None], around.flatten(1)].to(self.device).float() / 255
        labels = self._labels(self.bank, rows.repeat_interleave(2), times.flatten()).unflatten(0, (-1, 2))
        frames, labels, grown = place_elsewhere(frames, labels.to(self.device), draw)
        inputs = degrade(frames, draw).reshape(2 * self.batch, -1, *frames.shape[2:])
        levels = self.model.encode(inputs.contiguous(memory_format=torch.channels_last))
        features = self.model.ascend(levels)
        logits = self.model.outline(features).float()
        loss = segmentation_loss(logits, labels.flatten(0, 1))
        scalars = {"outline_loss": float(loss.detach())}
        if self.config.views:
            views = self.bank.view[rows].to(self.device).repeat_interleave(2)
            guessed = F.cross_entropy(self.model.guess_view(levels).float(), views)
            loss = loss + VIEW_WEIGHT * guessed
            scalars["view_loss"] = float(guessed.detach())
        apical = torch.nonzero(self.bank.view[rows] < len(APICAL_VIEWS))[:, 0]
        if self.config.volumes and len(apical):
            read = self.model.volume_head(levels[-1], features, logits).unflatten(0, (-1, 2))
            truth = log_pixel_volumes(self.bank, rows, times).to(self.device) + 3 * grown.log()[:, None]
            volume = volume_loss(read[apical], truth[apical])
            loss = loss + VOLUME_WEIGHT * volume
            scalars["volume_loss"] = float(volume.detach())
        return loss, scalars

    def evaluate(self, model: Segmenter) -> dict[str, float]:
        """Dice of the left ventricle on held-out frames as they are and degraded, views guessed right, error of EF."""
        scores = {}
        bank = self.held_out
        rows = torch.arange(len(bank))[:, None]
        times = torch.stack([bank.volume_ml.argmax(1), bank.volume_ml.argmin(1)], 1)
        around = self._around(bank, times)
        frames = bank.frames[rows, around.flatten(1)].float() / 255  # [n, 2 * k, h, w]
        truth = bank.masks(rows.expand(-1, 2).flatten(), times.flatten())
        draw = torch.Generator().manual_seed(0)
        for name, pictures in {"dice": frames, "dice_degraded": degrade(frames, draw)}.items():
            ventricles, views, volumes = [], [], []
            for part in pictures.reshape(2 * len(bank), -1, *frames.shape[2:]).split(32):
                levels = model.encode(part.to(self.device).contiguous(memory_format=torch.channels_last))
                features = model.ascend(levels)
                logits = model.outline(features).float()
                ventricles.append(self._ventricle(logits).cpu())
                if self.config.views:
                    views.append(model.guess_view(levels).argmax(1).cpu())
                if self.config.volumes:
                    volumes.append(model.volume_head(levels[-1], features, logits).cpu())
            scores[name] = float(dice(torch.cat(ventricles), truth).mean())
            if views and name == "dice":
                right = torch.cat(views) == bank.view.repeat_interleave(2)
                scores["views_right"] = float(right.float().mean())
            if volumes and name == "dice":
                apical = bank.view < len(APICAL_VIEWS)
                read = torch.cat(volumes).unflatten(0, (-1, 2))
                left = [(value[:, 1] - value[:, 0]).exp() for value in (read, log_pixel_volumes(bank, rows, times))]
                off = (left[0] - left[1])[apical].abs()
                scores |= {"ef_error": float(off.mean()), "ef_error_median": float(off.median())}
        return scores

    def pictures(self, model: Segmenter) -> Tensor:
        """Held-out frames, the ventricle found painted bright over the second row."""
        frames = self.held_out.frames[:4, ::8].float() / 255
        found = torch.stack([self._ventricle(model(clip.to(self.device))).cpu() for clip in frames])
        painted = torch.where(found, frames * 0.5 + 0.5, frames)
        return strips([x for pair in zip(frames, painted, strict=True) for x in pair], every=1)

    def _moments(self, rows: Tensor, draw: torch.Generator) -> Tensor:
        """Two frames of each clip, int64 [b, 2]."""
        volume = self.bank.volume_ml[rows]
        anywhere = torch.randint(volume.shape[1], (len(rows), 2), generator=draw)
        ends = torch.stack([volume.argmax(1), volume.argmin(1)], 1)
        at_ends = torch.rand(len(rows), 1, generator=draw) < EXTREMES
        return torch.where(at_ends, ends, anywhere)

    def _around(self, bank: Bank, times: Tensor) -> Tensor:
        """Frames [..., k] that those at `times` [...] are read with, within the clip."""
        if self.config.frames_at_once == 1:
            return times[..., None]
        step = round(self.config.context_s * bank.fps)
        return (times[..., None] + torch.tensor([-step, 0, step])).clamp(0, bank.frames.shape[1] - 1)

    def _labels(self, bank: Bank, rows: Tensor, times: Tensor) -> Tensor:
        return bank.masks(rows, times) if self.config.classes == 1 else bank.labels(rows, times)

    def _ventricle(self, logits: Tensor) -> Tensor:
        return logits[:, 0] > 0 if self.config.classes == 1 else logits.argmax(1) == LV


def log_pixel_volumes(bank: Bank, rows: Tensor, times: Tensor) -> Tensor:
    """Logarithms of the true volumes in cubed pixels, [b, m], of frames `times` [b, m] of clips `rows`."""
    rows = rows.reshape(-1, 1)
    return bank.volume_ml[rows, times].log() - 3 * bank.spacing_cm[rows].log()


def dice(a: Tensor, b: Tensor) -> Tensor:
    """Overlap 2|a∩b| / (|a| + |b|) of boolean masks [n, h, w]; 1 where both are empty."""
    both = (a & b).flatten(1).sum(1).float()
    sizes = (a.flatten(1).sum(1) + b.flatten(1).sum(1)).float()
    return torch.where(sizes > 0, 2 * both / sizes.clamp(min=1), torch.ones_like(both))
