"""Paints the valves: their sheets as rows of small blobs, in whatever plane the picture cuts them.

The beam is about half a centimetre thick across the picture; every blob counts by a Gaussian of its distance from the
plane. Leaflets are smooth and thin: they shine where the beam meets them squarely and nearly vanish along it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from echopulse.phantom.anatomy.heart import AnatomyParameters
from echopulse.phantom.anatomy.leaflets import Sheet, aortic_sheets, mitral_sheets, tricuspid_sheets
from echopulse.phantom.anatomy.planes import Plane
from echopulse.phantom.anatomy.wall import HeartShape
from echopulse.phantom.texture import evens, normals
from echopulse.phantom.types import Batch, Motion, over_time

PATCH_SIZE = (72, 104)  # samples down and across
KEPT = 352  # points at most that are drawn, those nearest to the plane
ELEVATION_CM = 0.26  # standard deviation of the beam's thickness across the picture
LEVEL = 1.65  # of a leaflet that the beam meets squarely, relative to what `leaflet_db` says of its thin middle
MARGIN_CM = 0.35  # of the patch around the outermost points
NARROWEST_CM = 0.10  # of a blob, so that the lattice does not show


@dataclass(frozen=True)
class Valves(Batch):
    """Points of all leaflets that the picture can show; picture coordinates are cm right of and below the probe."""

    x_cm: Tensor = over_time()  # [b, t, p]
    y_cm: Tensor = over_time()  # [b, t, p]
    strength: Tensor = over_time()  # [b, t, p]
    phase: Tensor  # [b, p, 2], cos and sin
    blob_cm: Tensor  # [b]
    box: Tensor  # [b, 4], left, right, top, bottom of the patch that holds them, cm


def _texture(generators: Sequence[Generator], sheets: list[Sheet]) -> tuple[Tensor, Tensor]:
    """Strength [b, p] along the leaflets, uneven, and phase [b, p] in radians, in step within a leaflet."""
    device = sheets[0].points.device
    strengths, phases = [], []
    for sheet in sheets:
        size = sheet.points.shape[2:4]
        noise = normals(generators, (2, max(2, size[0] // 6), max(2, size[1] // 3)), device)
        noise = F.interpolate(noise, size=size, mode="bicubic", align_corners=True)
        strengths.append((1 + 0.38 * noise[:, 0]).clamp(0.25, 2).flatten(1))
        phases.append((0.5 * noise[:, 1] + 6.2832 * evens(generators, (1, 1), device)).flatten(1))
    return torch.cat(strengths, 1), torch.cat(phases, 1)


def _shining(points: Tensor, plane: Plane) -> Tensor:
    """[b, t, columns, rows]: how squarely the beam meets a sheet [b, t, columns, rows, 3], 0..1."""
    along = points[..., 1:, :] - points[..., :-1, :]
    along = torch.cat((along, along[..., -1:, :]), 3)
    across = points[:, :, 1:] - points[:, :, :-1]
    across = torch.cat((across, across[:, :, -1:]), 2)
    normal = torch.linalg.cross(along, across)
    beam = points - plane.origin[:, :, None, None]
    square = (normal * normal).sum(-1) * (beam * beam).sum(-1)
    return (normal * beam).sum(-1).square() / square.clamp_min(1e-9)


def prepare_valves(
    anatomy: AnatomyParameters, shape: HeartShape, motion: Motion, plane: Plane, generators: Sequence[Generator]
) -> Valves:
    """Where the leaflets of the whole clip are in the picture; `plane` has the clip's t times (or one for all).

    Points that never come near the plane are left out.
    """
    sheets = [valve(anatomy, shape, motion) for valve in (mitral_sheets, tricuspid_sheets, aortic_sheets)]
    sheets = [sheet for valve in sheets for sheet in valve]
    textures, phase = _texture(generators, sheets)
    points = torch.cat([sheet.points.flatten(2, 3) for sheet in sheets], 2)
    thick = []
    blob = anatomy.leaflet_cm[:, None, None, None]
    for sheet in sheets:
        # A sheet across the picture is a curve of even brightness however densely it is sampled.
        density = sheet.spread / (blob * (3.1416**0.5 * ELEVATION_CM * 2.5066)) * (sheet.level * sheet.thick)
        shine = sheet.dull + (1 - sheet.dull) * _shining(sheet.points, plane)
        thick.append((density * shine).flatten(2))
    offset = points - plane.origin[:, :, None]
    normal = torch.linalg.cross(plane.right, plane.down)
    x, y, away = ((offset * axis[:, :, None]).sum(-1) for axis in (plane.right, plane.down, normal))
    level = LEVEL * 10 ** (anatomy.leaflet_db / 20)
    near = torch.exp(-0.5 * (away * (1 / ELEVATION_CM)).square()) * (away.abs() < 3 * ELEVATION_CM)
    strength = torch.cat(thick, 2) * near * textures[:, None] * level[:, None, None]

    kept = min(KEPT, max(16, int((near.amax(1) > 0.03).sum(1).max())))
    chosen = near.amax(1).topk(kept, dim=1).indices
    x, y, strength = (torch.take_along_dim(value, chosen[:, None], 2) for value in (x, y, strength))
    phase = torch.take_along_dim(phase, chosen, 1)
    seen = torch.take_along_dim(near, chosen[:, None], 2) > 0.03
    box = []
    for value in (x, y):
        low = torch.where(seen, value, torch.inf).amin((1, 2))
        high = torch.where(seen, value, -torch.inf).amax((1, 2))
        none = ~torch.isfinite(low)
        box += [torch.where(none, -1.0, low - MARGIN_CM), torch.where(none, 1.0, high + MARGIN_CM)]
    return Valves(
        x_cm=x,
        y_cm=y,
        strength=strength,
        phase=torch.stack((phase.cos(), phase.sin()), -1),
        blob_cm=anatomy.leaflet_cm,
        box=torch.stack(box, -1),
    )


def paint_valves(valves: Valves, x_cm: Tensor, y_cm: Tensor) -> Tensor:
    """float32 [b, t, 3, h, w]: clean, real and imaginary amplitude at picture points x_cm, y_cm [b, h, w]."""
    left, right, top, bottom = (edge[:, None, None] for edge in valves.box.unbind(-1))
    grid = torch.stack(((x_cm - left) * (2 / (right - left)) - 1, (y_cm - top) * (2 / (bottom - top)) - 1), -1)
    patch = paint_patch(valves)
    shown = F.grid_sample(patch.flatten(1, 2), grid, mode="bilinear", padding_mode="zeros", align_corners=True)
    return shown.unflatten(1, patch.shape[1:3])


def paint_patch(valves: Valves) -> Tensor:
    """float32 [b, t, 3, h, w]: clean, real and imaginary amplitude of the leaflets on their patch.

    Blobs are separable, so that a whole frame of them is one small matrix product.
    """
    left, right, top, bottom = valves.box.unbind(-1)
    rows = _bumps(valves.y_cm, top, bottom, PATCH_SIZE[0], valves.blob_cm)  # [b, t, h, p]
    columns = _bumps(valves.x_cm, left, right, PATCH_SIZE[1], valves.blob_cm)
    coherent = 0.4 * valves.phase  # neighbours in phase add up in the blur, speckle does not
    channels = torch.cat((torch.ones_like(coherent[..., :1]), coherent), -1).transpose(1, 2)  # [b, 3, p]
    weight = valves.strength[:, :, None] * channels[:, None]  # [b, t, 3, p]
    weighted = (rows[:, :, None] * weight[:, :, :, None]).flatten(2, 3)
    patch = torch.bmm(weighted.flatten(0, 1), columns.flatten(0, 1).transpose(1, 2))
    return patch.reshape(*rows.shape[:2], 3, *PATCH_SIZE)


def _bumps(place: Tensor, low: Tensor, high: Tensor, count: int, blob_cm: Tensor) -> Tensor:
    """[b, t, count, p]: a bump around each place [b, t, p] on `count` samples from `low` to `high` [b].

    (1 - d^2/4)^4 is nearly exp(-d^2) and ends, which an exponential does in slow denormal numbers.
    """
    pitch = (high - low) / (count - 1)
    at = low[:, None] + pitch[:, None] * torch.arange(count, device=place.device)
    width = torch.maximum(0.75 * blob_cm, 0.9 * pitch).clamp_min(NARROWEST_CM)
    half = (0.5 / width)[:, None, None]
    bump = torch.sub((at * half[..., 0])[:, None, :, None], (place * half)[:, :, None])
    bump.mul_(bump).neg_().add_(1).clamp_min_(0)
    return bump.mul_(bump).mul_(bump).mul_((0.75 * blob_cm / width)[:, None, None, None])
