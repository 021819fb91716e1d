"""The ventricle's volume read off the picture, as simulated hearts taught it.

Simpson's rule in one plane takes every slice for a circle, the plane for the middle of the heart and the outline for
the wall. Where one of these is wrong it errs. This reading starts from the area-length volume of the network's own
outline and corrects it by what the picture shows around it: shape, wall, other chambers, gain and haze. It is a
statement about the simulator's hearts: on real clips it is to be read beside Simpson's rule, not in its place.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from echopulse.phantom.types import LABELS

HIDDEN = 128
LARGEST = 0.9  # of the logarithm of the correction: a factor of 2.5 either way
SMALLEST_AREA = 20.0  # pixels; less is no ventricle, and a logarithm has to stay finite
LV, WALL = LABELS.index("lv"), LABELS.index("myocardium")


class VolumeHead(nn.Module):
    """Coarsest features [b, d, ...], finest features [b, c, h/2, w/2], logits [b, classes, h, w] -> log volume [b].

    The volume is in cubed pixels. Finest features are averaged over the cavity, its edge and the wall.
    """

    def __init__(self, finest: int, coarsest: int, classes: int):
        super().__init__()
        inputs = seen_in_a_frame(finest, coarsest, classes)
        self.layers = nn.Sequential(
            nn.LayerNorm(inputs), nn.Linear(inputs, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, HIDDEN), nn.SiLU(),
            nn.Linear(HIDDEN, 1))  # fmt: skip
        nn.init.zeros_(self.layers[-1].weight)
        nn.init.zeros_(self.layers[-1].bias)

    def forward(self, coarsest: Tensor, finest: Tensor, logits: Tensor) -> Tensor:
        return self.read(*what_is_seen(coarsest, finest, logits))

    def read(self, seen: Tensor, area_length: Tensor) -> Tensor:
        """Log volume [b] from what `what_is_seen` gives."""
        with torch.autocast(seen.device.type, enabled=False):
            change = self.layers(seen.to(self.layers[1].weight.dtype))[:, 0].float()
            return area_length + LARGEST * torch.tanh(change / LARGEST)


def what_is_seen(coarsest: Tensor, finest: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
    """What a volume is read from [b, seen_in_a_frame(...)], and the logarithm of the area-length volume [b]."""
    with torch.autocast(logits.device.type, enabled=False):
        chance = logits.float().softmax(1)
        area, long, short = ellipse_of(chance[:, LV])
        coarse = F.avg_pool2d(chance, 2)
        cavity, wall = coarse[:, LV], coarse[:, WALL]
        fine = finest.float()
        pooled = [_average(fine, weight) for weight in (cavity, 4 * cavity * (1 - cavity), wall)]
        deepest = coarsest.float().flatten(2)
        areas = chance.sum((2, 3))[:, 1:] / area[:, None]
        shape = torch.stack([area.log(), long.log(), short.log()], 1)
        seen = torch.cat([*pooled, deepest.mean(2), deepest.amax(2), shape, areas.clamp(max=10)], 1)
        return seen, 2 * area.log() - long.log() + math.log(8 / (3 * math.pi))


def seen_in_a_frame(finest: int, coarsest: int, classes: int) -> int:
    """How many numbers `what_is_seen` gives of a frame, from the widths of what it is given."""
    return 3 * finest + 2 * coarsest + 3 + classes - 1


def ellipse_of(chance: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Area [b] in pixels and the axes [b] of the ellipse with the second moments of maps [b, h, w] in 0..1."""
    b, height, width = chance.shape
    y = torch.arange(height, device=chance.device, dtype=chance.dtype)[None, :, None]
    x = torch.arange(width, device=chance.device, dtype=chance.dtype)[None, None]
    area = chance.sum((1, 2)).clamp(min=SMALLEST_AREA)

    def mean(values: Tensor) -> Tensor:
        return (chance * values).sum((1, 2)) / area

    cy, cx = mean(y)[:, None, None], mean(x)[:, None, None]
    yy, xx, xy = mean((y - cy).square()), mean((x - cx).square()), mean((y - cy) * (x - cx))
    middle, apart = (yy + xx) / 2, (((yy - xx) / 2).square() + xy.square() + 1e-6).sqrt()
    long, short = ((middle + sign * apart).clamp(min=0.25).sqrt() * 4 for sign in (1, -1))
    return area, long, short


def _average(features: Tensor, weight: Tensor) -> Tensor:
    """Features [b, c, h, w] averaged by weights [b, h, w]: [b, c]."""
    return torch.einsum("bchw,bhw->bc", features, weight) / weight.sum((1, 2)).clamp(min=1)[:, None]


def volume_loss(log_volume: Tensor, truth_log: Tensor) -> Tensor:
    """How far log volumes [b, 2] of two moments of a beat are off, a scalar: each, and the share that is left.

    The share, exp of the difference, is one minus an ejection fraction where the first moment is the fuller one.
    """
    each = F.smooth_l1_loss(log_volume, truth_log, beta=0.1)
    left, truth = ((value[:, 1] - value[:, 0]).clamp(-2, 2).exp() for value in (log_volume, truth_log))
    return each + 2 * F.smooth_l1_loss(left, truth, beta=0.03)
