"""Mitral and tricuspid leaflets: thin curved sheets that hang from the annulus and swing with the flow."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from echopulse.phantom.anatomy.heart import (
    RV_BASE,
    AnatomyParameters,
    LVShape,
    epicardial_half_width_squared,
    reference_half_width,
    right_ventricle_width,
)
from echopulse.phantom.texture import evens, normals
from echopulse.phantom.types import Motion

PATCH_SIZE = (72, 112)  # samples along z and w
PATCH_W = (-7.6, 4.0)  # cm across the axis
PATCH_ABOVE, PATCH_BELOW = 5.2, 1.2  # cm before and beyond the annulus at end-diastole
POINTS = 26  # per leaflet
CHORD_POINTS = 14


def patch_grid(anatomy: AnatomyParameters, w: Tensor, z: Tensor) -> Tensor:
    """Points (w, z) [b, h, w'] as `grid_sample` coordinates [b, h, w', 2] in the patch that holds the leaflets."""
    top = (anatomy.length_cm - PATCH_ABOVE)[:, None, None]
    u = (w - PATCH_W[0]) * (2 / (PATCH_W[1] - PATCH_W[0])) - 1
    v = (z - top) * (2 / (PATCH_ABOVE + PATCH_BELOW)) - 1
    return torch.stack((u, v), -1)


def _leaflet(hinge: Tensor, reach: Tensor, angle: Tensor, belly: Tensor, side: float, points: int) -> Tensor:
    """[b, t, points, 2]: a curve from `hinge` [b, t, 2], `reach` long, raised by `angle` [b, t] towards the apex.

    `side` is +1 where the leaflet points to the right; `belly` [b, t] bows it towards the apex, relative to its reach.
    """
    s = torch.linspace(0, 1, points, device=hinge.device)
    cos, sin = angle.cos()[..., None], angle.sin()[..., None]
    along = reach[..., None] * s
    across = reach[..., None] * belly[..., None] * 4 * s * (1 - s)
    w = hinge[..., 0:1] + side * (along * cos - across * sin)
    z = hinge[..., 1:2] - (along * sin + across * cos)
    return torch.stack((w, z), -1)


def _closed_angle(gap: Tensor, rise: Tensor) -> tuple[Tensor, Tensor]:
    """Reach and angle of a leaflet whose tip lies `gap` across and `rise` towards the apex from its hinge."""
    return (gap * gap + rise * rise).sqrt(), torch.atan2(rise, gap)


def leaflet_points(anatomy: AnatomyParameters, shape: LVShape, motion: Motion) -> tuple[Tensor, Tensor]:
    """Points [b, t, p, 2] as (w, z) in cm along all leaflets and chords, and the strength of each [b, t or 1, p]."""
    def fit(value: Tensor) -> Tensor:
        return value[:, None]

    opening = motion.mitral_opening.clamp(0, 1)
    tau, length = fit(anatomy.tau), shape.length_cm
    ring = shape.half_width_cm * (1 - tau * tau).sqrt()
    tenting = fit(anatomy.tenting_cm)
    wide = fit(anatomy.opening_rad)

    # Mitral: the anterior leaflet hangs from the left (septal) side and covers more than half of the orifice.
    share = 0.58
    curves = []
    for side, part, reach_open, angle_open in (
        (1.0, share, fit(anatomy.leaflet_reach), wide),
        (-1.0, 1 - share, 0.75 * fit(anatomy.leaflet_reach), wide * 1.05),
    ):
        hinge = torch.stack((-side * ring, length), -1)
        closed_reach, closed_angle = _closed_angle(2 * ring * part, tenting.expand_as(ring))
        reach = closed_reach + opening * (reach_open * ring.amax(1, keepdim=True) - closed_reach)
        angle = closed_angle + opening * (angle_open - closed_angle)
        belly = -0.07 + 0.21 * opening * (1 - 0.4 * opening)
        curves.append(_leaflet(hinge, reach, angle, belly, side, POINTS))

    # Chords from both tips to where the papillary muscles sit.
    tie = torch.linspace(0, 1, CHORD_POINTS, device=length.device)[:, None]
    for curve, root in ((curves[0], 0.30), (curves[1], 0.72)):
        anchor = torch.stack((root * shape.half_width_cm, 0.56 * length), -1)[:, :, None]
        curves.append(curve[:, :, -1:] * (1 - tie) + anchor * tie)

    # Tricuspid: between the septum, a little nearer to the apex, and the right free wall.
    centre = anatomy.length_cm / (1 + anatomy.tau)
    half0 = reference_half_width(anatomy)
    septum = epicardial_half_width_squared(
        anatomy.length_cm, half0, centre, anatomy.wall_cm, anatomy.apical_wall_cm
    ).clamp_min(0.5).sqrt()
    width = right_ventricle_width(torch.ones_like(half0) * RV_BASE, anatomy.rv_width_cm)
    width = fit(width) * (1 - 0.5 * fit(anatomy.rv_shortening) * (1 - motion.rv_fraction))
    inner = fit(-septum) + (ring.amax(1, keepdim=True) - ring) * 0.4
    plane = length - 0.35
    for side, part in ((-1.0, 0.45), (1.0, 0.55)):
        hinge = torch.stack((inner if side < 0 else inner - width, plane + (0.35 if side > 0 else 0.0)), -1)
        closed_reach, closed_angle = _closed_angle(width * part, 0.8 * tenting.expand_as(ring))
        reach = closed_reach * (1 + 0.05 * opening)
        angle = closed_angle + opening * (wide * 0.9 - closed_angle)
        curves.append(_leaflet(hinge, reach, angle, -0.06 + 0.16 * opening, side, POINTS))
    points = torch.cat(curves, 2)

    strength = torch.ones(len(half0), 1, points.shape[2], device=length.device)
    chord = slice(2 * POINTS, 2 * POINTS + 2 * CHORD_POINTS)
    strength[:, :, chord] = 0.16 * anatomy.papillary[:, None, None]
    strength[:, :, chord.stop :] = 0.6 * (anatomy.view == 0).float()[:, None, None]
    return points, strength


def leaflet_texture(generators: Sequence[Generator], device: torch.device | str) -> Tensor:
    """float32 [b, 3, p]: strength, and real and imaginary part of the scatter of each point along the leaflets."""
    rough = normals(generators, (2, 4 * POINTS + 2 * CHORD_POINTS), device)
    rough = (rough + rough.roll(1, 2) + rough.roll(-1, 2)) / 3**0.5
    strength = 1 + 0.25 * rough[:, 0].clamp(-2, 2)
    for start in (0, POINTS, 2 * POINTS + 2 * CHORD_POINTS, 3 * POINTS + 2 * CHORD_POINTS):
        strength[:, start + POINTS - 9 : start + POINTS] *= 1.3  # thicker where they meet
    phase = 0.5 * rough[:, 1] + evens(generators, (1,), device) * 6.2832
    coherent = 0.4 * strength  # neighbours in phase add up in the blur, speckle does not
    return torch.stack((strength, coherent * phase.cos(), coherent * phase.sin()), 1)


def paint_leaflets(
    anatomy: AnatomyParameters, shape: LVShape, motion: Motion, texture: Tensor, shift: Tensor
) -> Tensor:
    """float32 [b, t, 3, h, w]: clean, real and imaginary amplitude of the leaflets on their patch.

    Each curve is a row of Gaussian blobs; being separable, a whole frame of them is one small matrix product.
    `shift` [b, t, 2] in cm is where the probe has drifted to.
    """
    points, strength = leaflet_points(anatomy, shape, motion)
    points = points + shift[:, :, None]
    device = points.device
    z = torch.linspace(-PATCH_ABOVE, PATCH_BELOW, PATCH_SIZE[0], device=device) + anatomy.length_cm[:, None]
    w = torch.linspace(*PATCH_W, PATCH_SIZE[1], device=device)
    narrow = (0.8 / anatomy.leaflet_cm)[:, None, None, None]
    dz = (z[:, None, None, :] - points[..., 1:2]) * narrow
    dw = (w - points[..., 0:1]) * narrow
    rows, columns = ((torch.exp(-d * d) - 1e-5).clamp_min(0) for d in (dz, dw))  # [b, t, p, h], [b, t, p, w]
    spacing = (points[:, :, 1 : 2 * POINTS] - points[:, :, : 2 * POINTS - 1]).norm(dim=-1).median(2).values
    level = 10 ** (anatomy.leaflet_db / 20)
    scale = level[:, None] * spacing / (anatomy.leaflet_cm[:, None] * 2.2)
    weight = strength[:, :, None] * texture[:, None] * scale[:, :, None, None]  # [b, t, 3, p]
    return (rows.transpose(-1, -2)[:, :, None] * weight[:, :, :, None]) @ columns[:, :, None]
