"""The measurer's recipe: tell the chambers apart in pictures that are also blurred, faded, roughened and moved."""

from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from echopulse.data import Bank
from echopulse.echo.ventricle import find_chords
from echopulse.measure.calibration import learn_correction, shape_features
from echopulse.measure.learning import degrade, place_elsewhere, segmentation_loss
from echopulse.measure.segmenter import LV, Segmenter, SegmenterConfig, outline_all
from echopulse.phantom.types import APICAL_VIEWS
from echopulse.phantom.types import VIEWS as ALL_VIEWS
from echopulse.train.tokenizer import strips

VIEW_WEIGHT = 0.05  # of the guess at the view: a by-product
LOOK_FOR_SHARDS_EVERY = 100  # steps


class MeasurerTask:
    """Single frames of a bank with what every pixel shows, or of one class with the left ventricle."""

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
        times = torch.randint(self.bank.frames.shape[1], (self.batch,), generator=draw)
        frames = self.bank.frames[rows, times].to(self.device).float() / 255
        labels = self._labels(self.bank, rows, times).to(self.device)
        frames, labels = place_elsewhere(frames, labels, draw)
        levels = self.model.encode(degrade(frames, draw))
        loss = segmentation_loss(self.model.decode(levels).float(), labels)
        if not self.config.views:
            return loss, {}
        guessed = F.cross_entropy(self.model.guess_view(levels).float(), self.bank.view[rows].to(self.device))
        return loss + VIEW_WEIGHT * guessed, {"view_loss": float(guessed.detach())}

    def evaluate(self, model: Segmenter) -> dict[str, float]:
        """Dice of the left ventricle on held-out frames as they are and degraded, and the views guessed right."""
        scores = {}
        rows = torch.arange(len(self.held_out)).repeat_interleave(4)
        times = (torch.arange(len(rows)) * 7) % self.held_out.frames.shape[1]
        truth = self.held_out.masks(rows, times)
        frames = self.held_out.frames[rows, times]
        draw = torch.Generator().manual_seed(0)
        for name, pictures in {"dice": frames.float() / 255, "dice_degraded": degrade(frames, draw)}.items():
            levels = [model.encode(part.to(self.device)) for part in pictures.split(32)]
            found = torch.cat([self._ventricle(model.decode(part)).cpu() for part in levels])
            scores[name] = float(dice(found, truth).mean())
            if self.config.views and name == "dice":
                guessed = torch.cat([model.guess_view(part).argmax(1).cpu() for part in levels])
                scores["views_right"] = float((guessed == self.held_out.view[rows]).float().mean())
        return scores

    def pictures(self, model: Segmenter) -> Tensor:
        """Held-out frames, the ventricle found painted bright over the second row."""
        frames = self.held_out.frames[:4, ::8].float() / 255
        found = torch.stack([self._ventricle(model(clip.to(self.device))).cpu() for clip in frames])
        painted = torch.where(found, frames * 0.5 + 0.5, frames)
        return strips([x for pair in zip(frames, painted, strict=True) for x in pair], every=1)

    def _labels(self, bank: Bank, rows: Tensor, times: Tensor) -> Tensor:
        return bank.masks(rows, times) if self.config.classes == 1 else bank.labels(rows, times)

    def _ventricle(self, logits: Tensor) -> Tensor:
        return logits[:, 0] > 0 if self.config.classes == 1 else logits.argmax(1) == LV


def learn_volumes(model: Segmenter, bank: Bank, *, seed: int = 0, clips: int | None = None) -> Segmenter:
    """A copy of a trained segmenter with a correction of single-plane volumes, learned on a bank's apical clips.

    Outlines are the network's own, as they will be when it is used; the volumes are the simulator's. Of at most `clips`
    of them. A clip in which the network loses the ventricle now and then teaches with its other frames.
    """
    features, plain, truth = [], [], []
    apical = [row for row in range(len(bank)) if ALL_VIEWS[int(bank.view[row])] in APICAL_VIEWS][:clips]
    for row in apical:
        labels = outline_all(model, bank.frames[row].numpy()).labels
        chords = find_chords(labels == LV)
        volumes = chords.volumes * float(bank.spacing_cm[row]) ** 3
        if np.isfinite(volumes).any():
            features.append(shape_features(labels, chords, ALL_VIEWS[int(bank.view[row])]))
            plain.append(volumes)
            truth.append(bank.volume_ml[row].numpy())
    correction = learn_correction(features, plain, truth, generator=torch.Generator().manual_seed(seed))
    calibrated = Segmenter(replace(model.config, calibrated=True))
    learned = {f"volume.{name}": value for name, value in correction.state_dict().items()}
    calibrated.load_state_dict(model.cpu().state_dict() | learned)
    return calibrated.eval()


def dice(a: Tensor, b: Tensor) -> Tensor:
    """Overlap 2|a∩b| / (|a| + |b|) of boolean masks [n, h, w]; 1 where both are empty."""
    both = (a & b).flatten(1).sum(1).float()
    sizes = (a.flatten(1).sum(1) + b.flatten(1).sum(1)).float()
    return torch.where(sizes > 0, 2 * both / sizes.clamp(min=1), torch.ones_like(both))
