"""Where along the outline of the ventricle a picture shows what: the cavity cut along and across its long axis.

A wall that drops out does so on one side and at one height. Averages over the whole edge hide it; the edge's six
stretches and the widths of sixteen slices show it, and whether it is so in other frames of the same beat too.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from echopulse.measure.volume_head import LV, ellipse_of

STRETCHES = 3  # of the edge on either side, from base to apex
SLICES = 8  # of the cavity on either side, from base to apex
SOFT_PX = 0.75  # of two by two; how gradually one side of the long axis passes into the other


def seen_in_regions(finest: int) -> int:
    """How many numbers `what_regions_show` gives of a frame whose finest features have so many channels."""
    return 2 * STRETCHES * finest + 4 * SLICES + 5


def what_regions_show(finest: Tensor, logits: Tensor) -> Tensor:
    """Finest features [b, c, h/2, w/2] and logits [b, classes, h, w] -> [b, seen_in_regions(c)].

    Finest features averaged over six stretches of the edge; of every slice and side its share of the area and how
    unsure its edge is; where the cavity lies, how it is tilted and the logarithm of how slender it is.
    """
    with torch.autocast(logits.device.type, enabled=False):
        chance = F.avg_pool2d(logits.float().softmax(1)[:, LV : LV + 1], 2)[:, 0]  # where the finest features are
        height, width = chance.shape[1:]
        area, long, short = ellipse_of(chance)
        centre, direction = long_axis(chance, area)
        along, right = along_and_right(centre, direction, long, height, width)
        unsure = 4 * chance * (1 - chance)
        slices = _in_regions(along, right, SLICES).flatten(2)  # [b, 16, h/2 * w/2]
        both = torch.stack([chance, unsure], 1).flatten(2) @ slices.transpose(1, 2)  # [b, 2, 16]
        edges = _in_regions(along, right, STRETCHES).flatten(2) * unsure.flatten(1)[:, None]
        pooled = edges @ finest.float().flatten(2).transpose(1, 2) / edges.sum(2, keepdim=True).clamp(min=1)
        place = centre / torch.tensor([width, height], device=centre.device)
        slender = (long / short).log()[:, None]
        parts = [pooled.flatten(1), both[:, 0] / area[:, None], both[:, 1] / long[:, None], place, direction, slender]
        return torch.cat(parts, 1)


def long_axis(chance: Tensor, area: Tensor) -> tuple[Tensor, Tensor]:
    """Centre [b, 2] in pixels and direction [b, 2] of the long axis of maps [b, h, w]: x, y; it points upwards."""
    b, height, width = chance.shape
    y = torch.arange(height, device=chance.device, dtype=chance.dtype)[None, :, None]
    x = torch.arange(width, device=chance.device, dtype=chance.dtype)[None, None]

    def mean(values: Tensor) -> Tensor:
        return (chance * values).sum((1, 2)) / area

    centre = torch.stack([mean(x), mean(y)], 1)
    dx, dy = x - centre[:, 0, None, None], y - centre[:, 1, None, None]
    angle = 0.5 * torch.atan2(2 * mean(dx * dy), mean(dx.square() - dy.square()))
    direction = torch.stack([angle.cos(), angle.sin()], 1)
    return centre, torch.where(direction[:, 1:] > 0, -direction, direction)


def along_and_right(centre: Tensor, direction: Tensor, long: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Of every pixel [b, h, w]: how far along the axis, -0.5 (base) to 0.5 (apex), and how many pixels right of it."""
    y = torch.arange(height, device=centre.device, dtype=centre.dtype)[None, :, None] - centre[:, 1, None, None]
    x = torch.arange(width, device=centre.device, dtype=centre.dtype)[None, None] - centre[:, 0, None, None]
    ahead, down = direction[:, 0, None, None], direction[:, 1, None, None]
    return (x * ahead + y * down) / long[:, None, None], y * ahead - x * down


def _in_regions(along: Tensor, right: Tensor, heights: int) -> Tensor:
    """How far each pixel belongs to each of `heights` parts of the axis, left then right: [b, 2 * heights, h, w]."""
    place = ((along + 0.5) * heights - 0.5).clamp(0, heights - 1)[:, None]
    levels = torch.arange(heights, device=along.device)[None, :, None, None]
    at_level = (1 - (place - levels).abs()).clamp(min=0)
    to_the_right = torch.sigmoid(right / SOFT_PX)[:, None]
    return torch.cat([at_level * (1 - to_the_right), at_level * to_the_right], 1)
