"""How much of a heart's ejection fraction can be known from its ECG, from its picture at end-diastole, and from both.

Small networks on examinations that they have not seen, by cross-validation: what they reach is a lower bound of what
there is to know. No truth goes in but the R times, by which beats are averaged.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

LEADS = ("I", "II", "V1", "V5")
RATE_HZ = 60.0
BEFORE_S, AFTER_S = 0.26, 0.50  # of the R peak: P to the end of T
FOLDS = 3
STEPS, BATCH = 600, 64
HIDDEN = 48
FASTEST = 3e-3  # learning rate
CHANNELS = (1, 16, 32, 48, 64)


def beat_features(ecg: np.ndarray, rate_hz: float, start_s: float, r_peaks_s: np.ndarray) -> np.ndarray:
    """What a recording [l, n] shows around its R times: float32 [k].

    Per lead the shape of the mean beat, its height and how far the beats scatter about it; the rate, how irregular it
    is, and how many beats there were. Zeros where no beat lies wholly in the recording.
    """
    offsets = np.arange(-BEFORE_S, AFTER_S, 1 / RATE_HZ)
    stop_s = start_s + ecg.shape[1] / rate_hz
    inside = r_peaks_s[(r_peaks_s - BEFORE_S > start_s) & (r_peaks_s + AFTER_S < stop_s)]
    if not len(inside):
        return np.zeros(len(ecg) * (len(offsets) + 2) + 3, np.float32)
    at = (inside[:, None] + offsets[None] - start_s) * rate_hz
    samples = np.arange(ecg.shape[1])
    beats = np.stack([np.interp(at, samples, lead) for lead in ecg])  # [l, beats, offsets]
    beats = beats - np.median(beats, axis=2, keepdims=True)
    mean, scatter = np.median(beats, axis=1), beats.std(1).mean(1)
    heights = np.abs(mean).max(1) + 0.02
    intervals = np.diff(inside)
    rate = np.log(intervals.mean()) if len(intervals) else 0.0
    irregular = intervals.std() / intervals.mean() if len(intervals) > 1 else 0.0
    rest = np.concatenate([np.log(heights), np.log(scatter / heights + 0.01), [rate, irregular, len(inside)]])
    return np.concatenate([(mean / heights[:, None]).ravel(), rest]).astype(np.float32)


class _Network(nn.Module):
    """A few convolutions for the picture, one hidden layer for the ECG, whichever are there, and a linear end.

    Weights and what is dropped while learning come from `generator`, so that the same seed tells the same.
    """

    def __init__(self, features: int, pictures: bool, generator: Generator) -> None:
        super().__init__()
        self.features, self.generator = features, generator
        self.ecg = nn.Linear(features, HIDDEN) if features else None
        layers: list[nn.Module] = []
        for before, after in zip(CHANNELS[:-1], CHANNELS[1:], strict=True):
            layers += [nn.Conv2d(before, after, 3, 2, 1), nn.GroupNorm(4, after), nn.GELU()]
        self.picture = nn.Sequential(*layers) if pictures else None
        self.out = nn.Linear(HIDDEN * (features > 0) + 9 * CHANNELS[-1] * pictures, 1)
        for name, weight in self.named_parameters():
            if weight.ndim > 1:
                nn.init.kaiming_uniform_(weight, a=5**0.5, generator=generator)
            elif name.endswith("bias"):
                nn.init.zeros_(weight)

    def _drop(self, values: Tensor, share: float) -> Tensor:
        if not self.training:
            return values
        return values * (torch.rand(values.shape, generator=self.generator) >= share) / (1 - share)

    def forward(self, ecg: Tensor, picture: Tensor) -> Tensor:
        parts = []
        if self.ecg is not None:
            parts.append(self._drop(F.gelu(self.ecg(self._drop(ecg, 0.3))), 0.3))
        if self.picture is not None:
            parts.append(F.adaptive_avg_pool2d(self._drop(self.picture(picture), 0.2), 3).flatten(1))
        return self.out(torch.cat(parts, 1))[:, 0]


def predict_held_out(ef: Tensor, ecg: Tensor | None, picture: Tensor | None, fold: int, seed: int) -> Tensor:
    """EF [m] of the examinations of one fold (every third) from a network that learned from the others.

    `ecg` float [n, k] features, `picture` float [n, h, w] 0..1; either may be None.
    """
    n = len(ef)
    held_out = torch.arange(n) % FOLDS == fold
    if ecg is None:
        ecg = torch.zeros(n, 0)
    else:
        known = ecg[~held_out]
        ecg = ((ecg - known.mean(0)) / (known.std(0) + 1e-3)).clamp(-6, 6)
    pictures = torch.zeros(n, 1, 0, 0) if picture is None else picture[:, None].float().sqrt() - 0.3
    middle, scale = ef[~held_out].mean(), ef[~held_out].std()
    target = (ef - middle) / scale
    generator = Generator().manual_seed(seed)
    network = _Network(ecg.shape[1], picture is not None, generator)
    optimiser = torch.optim.AdamW(network.parameters(), FASTEST, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, FASTEST, total_steps=STEPS)
    learn = torch.nonzero(~held_out)[:, 0]
    for _ in range(STEPS):
        chosen = learn[torch.randint(len(learn), (BATCH,), generator=generator)]
        seen = pictures[chosen] if picture is None else _shifted(pictures[chosen], generator)
        loss = F.smooth_l1_loss(network(ecg[chosen], seen), target[chosen])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    network.eval()
    with torch.no_grad():
        parts = zip(ecg[held_out].split(256), pictures[held_out].split(256), strict=True)
        told = torch.cat([network(*part) for part in parts])
    return told * scale + middle


def _shifted(pictures: Tensor, generator: Generator) -> Tensor:
    """The pictures [n, 1, h, w] moved by up to four pixels and up to a fifth brighter or darker."""
    dx, dy = (int(x) for x in torch.randint(-4, 5, (2,), generator=generator))
    light = 1 + 0.2 * (2 * torch.rand(len(pictures), 1, 1, 1, generator=generator) - 1)
    return torch.roll(pictures, (dy, dx), (2, 3)) * light


def explained(truth: np.ndarray, told: np.ndarray) -> float:
    """R2: the share of the variance of `truth` that `told` explains; 0 for always telling the mean."""
    truth, told = np.asarray(truth, np.float64), np.asarray(told, np.float64)
    return float(1 - ((truth - told) ** 2).sum() / ((truth - truth.mean()) ** 2).sum())


def distance_from_even(values: np.ndarray, low: float, high: float) -> float:
    """Kolmogorov's distance between the values' distribution and an even one over [low, high]."""
    ordered = np.sort(np.asarray(values, np.float64))
    even = np.clip((ordered - low) / (high - low), 0, 1)
    steps = np.arange(len(ordered) + 1) / len(ordered)
    return float(max((steps[1:] - even).max(), (even - steps[:-1]).max()))
