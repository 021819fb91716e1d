"""The slab of reference heart that a picture cuts out of: a few parallel planes, painted once and then sampled.

Tissue that moves through the picture's plane passes from one painted plane to the next, so its speckle changes over
about the planes' distance, as it does over a beam's thickness.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from echopulse.phantom.anatomy.heart import AnatomyParameters
from echopulse.phantom.anatomy.planes import SHORT, ProbeParameters, is_kind, picture_depth_cm, reference_cut
from echopulse.phantom.types import Batch

MAP_SIZE = (160, 192)  # samples down and across
PLANES = 3
HALF_WIDTH = 0.73  # of the map, relative to the picture's depth: a sector of 45 degrees to either side just fits
MARGIN_CM = 1.0
APART_CM = 0.5  # between planes, where little tissue passes through


@dataclass(frozen=True)
class Slab(Batch):
    """Where k parallel planes lie in the reference heart; every tensor is [b, ...], in cm and heart coordinates."""

    origin: Tensor  # [b, 3], the probe
    right: Tensor  # [b, 3], unit vector along the rows of the map
    down: Tensor  # [b, 3], along its columns
    normal: Tensor  # [b, 3]
    half_width_cm: Tensor  # [b], the map reaches as far to either side of the probe
    top_cm: Tensor  # [b], first row, below the probe
    height_cm: Tensor  # [b], from first to last row
    offsets_cm: Tensor  # [b, k], of the planes along the normal, rising evenly

    def denser(self, planes: int, beyond_cm: float) -> Slab:
        """The same slab with another number of planes, from so far before its first to so far behind its last."""
        share = torch.linspace(0, 1, planes, device=self.offsets_cm.device)
        first, last = self.offsets_cm[:, :1] - beyond_cm, self.offsets_cm[:, -1:] + beyond_cm
        return replace(self, offsets_cm=first + (last - first) * share)


def reference_slab(anatomy: AnatomyParameters, probe: ProbeParameters) -> Slab:
    """The planes around the reference cut.

    In a short axis the base's descent brings tissue from further up into the picture, so the planes reach that way.
    """
    plane = reference_cut(anatomy, probe)
    depth = picture_depth_cm(anatomy, probe)
    normal = plane.normal[:, 0]
    passing = 1.15 * anatomy.shortening * probe.level.clamp(0, 1) * anatomy.length_cm / (1 - anatomy.shortening)
    passing = passing * is_kind(probe.view, SHORT) * normal[:, 2].sign()
    apart = (0.5 * passing.abs() + 0.15).clamp(APART_CM, 0.9)
    steps = torch.linspace(-1, 1, PLANES, device=depth.device) * (0.5 * (PLANES - 1))
    return Slab(
        origin=plane.origin[:, 0],
        right=plane.right[:, 0],
        down=plane.down[:, 0],
        normal=normal,
        half_width_cm=HALF_WIDTH * depth + MARGIN_CM,
        top_cm=torch.full_like(depth, -MARGIN_CM),
        height_cm=depth + 2 * MARGIN_CM,
        offsets_cm=0.5 * passing[:, None] + apart[:, None] * steps,
    )


def slab_points(slab: Slab, size: tuple[int, int] = MAP_SIZE) -> tuple[Tensor, Tensor, Tensor]:
    """Heart coordinates [b, k, h, w] of all samples of a map of h by w samples."""
    device = slab.origin.device
    rows, columns = (torch.linspace(0, 1, n, device=device) for n in size)
    x = (2 * columns - 1) * slab.half_width_cm[:, None]
    y = rows * slab.height_cm[:, None] + slab.top_cm[:, None]
    points = []
    for axis in range(3):
        origin, right, down, normal = (
            value[:, axis, None, None, None] for value in (slab.origin, slab.right, slab.down, slab.normal)
        )
        across = x[:, None, None, :] * right + slab.offsets_cm[:, :, None, None] * normal
        points.append(origin + across + y[:, None, :, None] * down)
    return points[0], points[1], points[2]


def _along(direction: Tensor, scale: Tensor, bias: Tensor, points: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """(direction . point) * scale + bias for points [b, ...], with direction [b, 3], scale and bias [b]."""
    weights = direction * scale[:, None]
    shape = (-1, *[1] * (points[0].ndim - 1))
    x, y, z = (weights[:, axis].reshape(shape) for axis in range(3))
    return torch.addcmul(torch.addcmul(torch.addcmul(bias.reshape(shape), points[0], x), points[1], y), points[2], z)


def slab_grid(slab: Slab, X0: Tensor, Y0: Tensor, Z0: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Column and row (-1..1 over the map) and plane (0..k-1) of reference points [b, ...], fractional."""
    points = (X0, Y0, Z0)

    def axis(direction: Tensor, scale: Tensor, start: Tensor) -> Tensor:
        shift = (direction * slab.origin).sum(-1)
        return _along(direction, scale, -(shift + start) * scale, points)

    column = axis(slab.right, 1 / slab.half_width_cm, torch.zeros_like(slab.top_cm))
    row = axis(slab.down, 2 / slab.height_cm, slab.top_cm + 0.5 * slab.height_cm)
    apart = slab.offsets_cm[:, 1] - slab.offsets_cm[:, 0]
    return column, row, axis(slab.normal, 1 / apart, slab.offsets_cm[:, 0])


def sample_planes(
    slab: Slab, painted: Tensor, X0: Tensor, Y0: Tensor, Z0: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """What maps [b, c, k, h', w'] hold at reference points [b, t, h, w], in the planes before and behind them.

    Two tensors [b, c, t, h, w], and the weight of each [b, t, h, w]. The planes are sampled as one tall picture, twice:
    faster than sampling a volume, or all planes as channels.
    """
    b, t, h, w = X0.shape
    channels, k, rows, columns = painted.shape[1:]
    column, row, plane = slab_grid(slab, X0, Y0, Z0)
    tall = painted.reshape(b, channels, k * rows, columns)
    plane = plane.clamp_(0, k - 1)
    first = plane.floor().clamp_(max=k - 2)
    second_weight = plane.sub_(first)
    per_row = 2 / (k * rows - 1)
    middle = 0.5 * (rows - 1)
    row = row.clamp_(-1, 1).mul_(middle * per_row).add_(first, alpha=rows * per_row).add_(middle * per_row - 1)
    grid = torch.stack((column, row), -1).reshape(b, t * h, w, 2)
    before = _look_up(tall, grid).reshape(b, channels, t, h, w)
    grid[..., 1] += rows * per_row
    behind = _look_up(tall, grid).reshape(b, channels, t, h, w)
    return before, behind, 1 - second_weight, second_weight


def _look_up(painted: Tensor, grid: Tensor) -> Tensor:
    return F.grid_sample(painted, grid, mode="bilinear", padding_mode="border", align_corners=True)


def sample_slab(slab: Slab, painted: Tensor, X0: Tensor, Y0: Tensor, Z0: Tensor) -> Tensor:
    """[b, t, 3, h, w]: clean, real and imaginary amplitude of a map [b, 3, k, h', w'] at reference points [b, t, h, w].

    Between planes the clean amplitude is interpolated; speckle is mixed so that its power stays the same.
    """
    before, behind, first, second = sample_planes(slab, painted, X0, Y0, Z0)
    field = before.mul_(first[:, None]).addcmul_(behind, second[:, None])
    field[:, 1:] *= torch.rsqrt((first * first).addcmul_(second, second))[:, None]
    return field.transpose(1, 2)
