"""Clips as vectors: the measurer's frozen features, and a small network that learned to tell hearts apart.

The network is Siamese: two stretches of one clip, changed as a copy might be, have to lie closer together than those of
different hearts. Re-identification by such a network is how Dombrowski et al. 2024 and EchoNet-Synthetic (Reynaud et
al. 2024) look for copies; the loss here is that of Chen et al. 2020 (SimCLR, eq. 1).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from echopulse.evaluate.privacy.pixels import SIDE, Nearest, Small, standard

PICTURES = 4  # of each stretch
BATCH, STEPS, RATE = 32, 150, 3e-3
TEMPERATURE = 0.1
MOVED = 2  # small pixels
WIDTHS = (16, 32, 64)
EMBEDDING = 48


class Features(Protocol):
    """What `evaluate.features.EchoFeatures` offers."""

    hash: str

    def clips(self, clips: Sequence[np.ndarray], fps: float) -> np.ndarray:
        """Clips uint8 [t, h, w] -> features float32 [n, d]."""
        ...


@dataclass(frozen=True, eq=False)
class VectorSpace:
    """References [n, d], brought to the mean 0 and spread 1 of each feature; distances are Euclidean over sqrt(d)."""

    mean: np.ndarray
    spread: np.ndarray
    references: np.ndarray

    @classmethod
    def fit(cls, vectors: np.ndarray) -> VectorSpace:
        """From the references' raw vectors [n, d]."""
        vectors = np.asarray(vectors, np.float64)
        mean, spread = vectors.mean(0), np.maximum(vectors.std(0), 1e-6)
        return cls(mean, spread, (vectors - mean) / spread)

    def nearest(self, queries: np.ndarray, *, others: bool = False) -> Nearest:
        """Of every query, raw vectors [v, n, d] in v variants, the nearest reference over all variants."""
        scaled = (np.asarray(queries, np.float64) - self.mean) / self.spread
        squares = [
            (q**2).sum(1)[:, None] + (self.references**2).sum(1) - 2 * q @ self.references.T for q in scaled
        ]  # [n, m] each
        found = np.sqrt(np.maximum(np.min(squares, axis=0), 0) / scaled.shape[-1])
        if others:
            np.fill_diagonal(found, np.inf)
        return Nearest(found.min(1), found.argmin(1))


class Remembered:
    """Features of each clip worked out once, for as long as this lives: arrays are known by identity."""

    def __init__(self, features: Features):
        self.features, self.hash = features, features.hash
        self.known: dict[int, tuple[np.ndarray, np.ndarray]] = {}  # the clip too, so that its identity stays taken

    def clips(self, clips: Sequence[np.ndarray], fps: float) -> np.ndarray:
        """As `Features.clips`, all at one frame rate."""
        new = [frames for frames in {id(frames): frames for frames in clips}.values() if id(frames) not in self.known]
        if new:
            made = self.features.clips(new, fps)
            self.known |= {id(frames): (frames, vector) for frames, vector in zip(new, made, strict=True)}
        return np.stack([self.known[id(frames)][1] for frames in clips])


class Siamese(nn.Module):
    """Small pictures [b, SIDE, SIDE] -> vectors [b, EMBEDDING]; that of a clip is the mean over its pictures."""

    def __init__(self):
        super().__init__()
        inputs = (1, *WIDTHS)
        self.stages = nn.ModuleList(
            nn.Conv2d(i, o, 3, stride=2, padding=1) for i, o in zip(inputs, WIDTHS, strict=False)
        )
        side = SIDE // 2 ** len(WIDTHS)
        self.head = nn.Linear(WIDTHS[-1] * side**2, EMBEDDING)

    def forward(self, pictures: Tensor) -> Tensor:
        x = standard(pictures)[:, None]
        for stage in self.stages:
            x = F.silu(stage(x))
        return self.head(x.flatten(1))

    @torch.inference_mode()
    def variants(self, small: Small) -> np.ndarray:
        """Clips as they are and mirrored, as directions of length 1: float32 [2, n, EMBEDDING]."""
        ways = [[self(turn(p)).mean(0) for p in small.pictures] for turn in (lambda p: p, lambda p: p.flip(-1))]
        return np.stack([F.normalize(torch.stack(way), dim=1).numpy() for way in ways])


def learn_siamese(
    training: Small, *, seed: int, steps: int = STEPS, on_step: Callable[[float], None] = lambda _: None
) -> Siamese:
    """A network that tells the training clips apart by half a clip; seconds on a CPU, the same for the same seed."""
    draw = Generator().manual_seed(seed)
    network = Siamese()
    for module in (*network.stages, network.head):
        nn.init.kaiming_uniform_(module.weight, a=math.sqrt(5), generator=draw)
        nn.init.zeros_(module.bias)
    rule = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(rule, steps)
    for step in range(steps):
        chosen = torch.randperm(len(training), generator=draw)[:BATCH].tolist()
        pairs = [_stretches(training.pictures[i], draw) for i in chosen]
        views = [changed(torch.stack([pair[k] for pair in pairs]).float(), draw) for k in (0, 1)]
        vectors = network(torch.cat(views).flatten(0, 1)).unflatten(0, (-1, PICTURES)).mean(1)
        loss = contrast(vectors)
        rule.zero_grad()
        loss.backward()
        rule.step()
        schedule.step()
        on_step((step + 1) / steps)
    return network.eval()


def contrast(vectors: Tensor) -> Tensor:
    """Cross-entropy of finding each vector's partner among the others by cosine: of [2b, d], k and k + b."""
    likeness = F.normalize(vectors, dim=1) @ F.normalize(vectors, dim=1).T / TEMPERATURE
    likeness = likeness.masked_fill(torch.eye(len(vectors), dtype=torch.bool), -torch.inf)
    return F.cross_entropy(likeness, torch.arange(len(vectors)).roll(len(vectors) // 2))


def _stretches(pictures: Tensor, draw: Generator) -> tuple[Tensor, Tensor]:
    """PICTURES pictures out of the first half of a clip and as many out of the second, [q, h, w] each."""
    middle = max(len(pictures) // 2, 1)
    first = torch.randint(middle, (PICTURES,), generator=draw)
    second = torch.randint(min(middle, len(pictures) - 1), len(pictures), (PICTURES,), generator=draw)
    return pictures[first], pictures[second]


def changed(clips: Tensor, draw: Generator) -> Tensor:
    """Small clips [b, q, h, w] in 0..255 with the contrast, noise, place and side that a copy might have."""
    b = len(clips)

    def number(low: float, high: float) -> Tensor:
        return torch.rand(b, 1, 1, 1, generator=draw) * (high - low) + low

    x = 255 * (clips.clamp(0, 255) / 255) ** number(0.6, 1.6)
    x = x + number(0, 8) * torch.randn(x.shape, generator=draw)
    x = torch.where(number(0, 1) < 0.5, x.flip(-1), x)
    padded = F.pad(x, (MOVED,) * 4, mode="replicate")
    places = torch.randint(2 * MOVED + 1, (b, 2), generator=draw).tolist()
    return torch.stack([padded[i, :, y : y + SIDE, x : x + SIDE] for i, (y, x) in enumerate(places)])
