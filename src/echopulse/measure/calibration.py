"""From single-plane volumes towards the volume in three dimensions: a correction learned on simulated hearts.

Simpson's rule in one plane takes every slice for a circle and the plane for the middle of the heart. Where neither
holds it errs, in simulated hearts by about 0.02 of the EF. A small network that sees the outline's proportions, how
they changed since the clip's largest volume, and the wall beside the cavity tells part of that error. It is a statement
about the simulator's hearts, nothing else: on real clips it is to be read beside Simpson's rule, not in its place.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from echopulse.echo.ventricle import CHORDS_PER_DISC, DISCS, Chords
from echopulse.phantom.types import APICAL_VIEWS, LABELS

HIDDEN = 32
FEATURES = 2 * DISCS + 7 + len(APICAL_VIEWS)
LARGEST = 0.7  # of the logarithm of the correction: a factor of two either way
LEAST_EXAMPLES = 64  # clips to learn from


class VolumeCorrection(nn.Module):
    """Features [t, 50] (`shape_features`) -> logarithm [t] of the true over the single-plane volume."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(FEATURES))
        self.register_buffer("spread", torch.ones(FEATURES))
        self.layers = nn.Sequential(
            nn.Linear(FEATURES, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, 1)
        )

    def forward(self, features: Tensor) -> Tensor:
        scaled = ((features - self.mean) / self.spread).clamp(-4, 4)
        return LARGEST * torch.tanh(self.layers(scaled)[..., 0] / LARGEST)


def shape_features(labels: np.ndarray, chords: Chords, view: str) -> np.ndarray:
    """What tells single-plane volumes of an apical clip from true ones, float32 [t, 50], free of any unit of length.

    Of labels [t, h, w] and the chords of their ventricle: disc diameters over length, now and at the clip's largest
    volume; logarithms of volume and length relative to those; length over width; areas of wall, left atrium and right
    ventricle over the cavity's, now, and of the cavity relative to the largest; the view. Zeros where no cavity is.
    """
    volumes = chords.volumes
    found = np.zeros((len(labels), FEATURES), np.float32)
    seen = np.isfinite(volumes)
    if not seen.any():
        return found
    full = int(np.nanargmax(volumes))
    diameters = chords.diameters.reshape(len(labels), DISCS, CHORDS_PER_DISC).mean(2) / chords.height[:, None]
    areas = {name: (labels == LABELS.index(name)).sum((1, 2)) for name in ("lv", "myocardium", "la", "rv")}
    cavity = np.maximum(areas["lv"], 1)
    columns = [
        np.log(volumes / volumes[full]), np.log(chords.height / chords.height[full]), np.log(cavity / cavity[full]),
        diameters.max(1), *(areas[name] / cavity for name in ("myocardium", "la", "rv")),
    ]  # fmt: skip
    shown = [np.full(len(labels), float(view == name)) for name in APICAL_VIEWS]
    opened = np.broadcast_to(diameters[full], diameters.shape)
    found[seen] = np.column_stack([diameters, opened, *columns, *shown])[seen]
    return found


@torch.inference_mode()
def corrected_volumes(correction: VolumeCorrection, features: np.ndarray, volumes: np.ndarray) -> np.ndarray:
    """Single-plane volumes [t], corrected; NaN stays NaN."""
    weight = correction.mean
    change = correction.float()(torch.from_numpy(features).to(weight.device)).double().cpu().numpy()
    return volumes * np.exp(change)


def learn_correction(
    features: Sequence[np.ndarray], found: Sequence[np.ndarray], true_ml: Sequence[np.ndarray],
    *, generator: torch.Generator, steps: int = 600, rate: float = 3e-3,
) -> VolumeCorrection:  # fmt: skip
    """A correction from clips: features [t, 50], single-plane volumes [t] and true ones [t] of each, ml, t the same.

    What is minimised is the squared error of the logarithm of the volume plus, four times, that of the volume as a
    share of the clip's largest, on which the EF hangs.
    """
    if len(features) < LEAST_EXAMPLES:
        raise ValueError(f"{len(features)} clips to learn a correction from; at least {LEAST_EXAMPLES} are needed")
    x = torch.from_numpy(np.stack(features))  # [n, t, FEATURES]
    plain = torch.from_numpy(np.stack(found)).float()
    truth = torch.from_numpy(np.stack(true_ml)).float()
    seen = plain.isfinite()
    plain = torch.where(seen, plain, truth)
    correction = VolumeCorrection()
    with torch.no_grad():
        correction.mean.copy_(x[seen].mean(0))
        correction.spread.copy_(x[seen].std(0).clamp_min(1e-3))
        for layer in correction.layers:
            if isinstance(layer, nn.Linear):
                drawn = torch.randn(layer.weight.shape, generator=generator)
                layer.weight.copy_(drawn / layer.weight.shape[1] ** 0.5)
                layer.bias.zero_()
        correction.layers[-1].weight.mul_(0.1)
    optimizer = torch.optim.AdamW(correction.parameters(), lr=rate, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    fullest = truth.argmax(1, keepdim=True)
    share = truth / truth.gather(1, fullest)
    for _ in range(steps):
        rows = torch.randint(len(x), (min(256, len(x)),), generator=generator)
        volumes = plain[rows] * correction(x[rows]).exp()
        absolute = (volumes / truth[rows]).log()
        relative = volumes / volumes.gather(1, fullest[rows]) - share[rows]
        loss = ((absolute.square() + 4 * relative.square()) * seen[rows]).sum() / seen[rows].sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return correction.eval()
