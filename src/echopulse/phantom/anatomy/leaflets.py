"""Shapes of the leaflets in space: thin sheets hinged on the valve rings, and the chords that hold the mitral ones.

A sheet is a lattice of points, columns along the ring and rows from hinge to tip. Leaflets keep their length: they turn
about the hinge, and what they are longer than the gap is where they lie against each other when closed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from echopulse.phantom.anatomy.deformation import spatial_points
from echopulse.phantom.anatomy.heart import AnatomyParameters
from echopulse.phantom.anatomy.paint_heart import ANTEROLATERAL, POSTEROMEDIAL, papillary_tip
from echopulse.phantom.anatomy.shapes import Annulus, aortic_annulus, mitral_annulus, tricuspid_annulus
from echopulse.phantom.anatomy.wall import HeartShape
from echopulse.phantom.steps import soft_step
from echopulse.phantom.types import Motion

# Columns and rows of the lattices: some 2 mm apart, which the beam's blur hides along and across the heart.
MITRAL_ANTERIOR, MITRAL_POSTERIOR = (24, 14), (34, 9)
TRICUSPID_LONG, TRICUSPID_SHORT = (18, 13), (14, 9)
CUSP = (7, 9)  # of each of the aortic valve's three
CHORDS, CHORD_POINTS = 12, 12
COMMISSURE = math.radians(66)  # of the mitral valve: the anterior leaflet's hinge covers a third of the ring
RIGHT_COMMISSURE = math.radians(98)
SKEW = 0.45  # rad by which the mitral line of closure is turned against the ring's long axis
MEETING, END = 0.86, -0.02  # half the length of the line of closure and where it ends, in half-axes of the ring


@dataclass(frozen=True)
class Sheet:
    """Points of one leaflet."""

    points: Tensor  # [b, t, columns, rows, 3] heart coordinates, cm
    thick: Tensor  # [columns or 1, rows], relative brightness: thin belly, thick tips
    spread: Tensor  # [b, 1, columns, 1] cm between columns times cm between rows
    level: float  # relative brightness of this leaflet
    dull: float  # brightness where the beam runs along it, relative to where it meets it squarely


def carry(anatomy: AnatomyParameters, shape: HeartShape, motion: Motion, points: Tensor) -> Tensor:
    """Where points [b, p, 3] of the reference heart are at each time: [b, t, p, 3]."""
    moved = spatial_points(anatomy, shape, motion, *points[:, None].unbind(-1))
    return torch.stack(moved, -1)


def _on_disk(ring: Annulus, v: Tensor, u: Tensor) -> Tensor:
    """Points [b, p, 3] of a ring's plane: v [p] along its first half-axis, u [p] along its second."""
    return ring.centre[:, None] + v[:, None] * ring.first[:, None] + u[:, None] * ring.second[:, None]


def _septal_hinge(ring: Annulus, angle: Tensor) -> Tensor:
    """How far the mitral hinge lies outside an ellipse: towards the crux the ring is the letter D's corner; [p]."""
    off = (angle + math.radians(45)) / math.radians(38)
    return 1 + 0.32 * (1 - off * off).clamp_min(0)


def _turn(
    hinge: Tensor,
    target: Tensor,
    normal: Tensor,
    body: Tensor,
    length: Tensor,
    opening: Tensor,
    wide: Tensor,
    rows: int,
) -> Tensor:
    """[b, t, columns, rows, 3]: leaflets from `hinge` that close against `target` (both [b, t, columns, 3]).

    Of their `length` [b, columns], `body` reaches to the line of closure, the rest hangs down along it. `normal`
    [b, 3] is where the blood goes, `opening` [b, t] 0..1, `wide` [b] the angle of the wide-open leaflet.
    """
    gap = target - hinge
    gap = gap - (gap * normal[:, None, None]).sum(-1, keepdim=True) * normal[:, None, None]
    distance = gap.norm(dim=-1).clamp_min(1e-3)
    inward = gap / distance[..., None]
    closed = torch.acos((distance / body[:, None].clamp_min(1e-3)).clamp(0.05, 0.985))
    s = (torch.arange(rows, device=hinge.device, dtype=torch.float32) + 0.5) / rows
    meeting = (body / length.clamp_min(1e-3))[:, None, :, None]  # share of the length at which they touch
    closed, m, wide = closed[..., None], opening[:, :, None, None], wide[:, None, None, None]
    shut = closed + 0.10 - 0.42 * (1 - 2 * s / meeting).clamp(-1, 1)  # billows towards the atrium
    shut = shut + (1.35 - shut) * soft_step(s - meeting, 0.16)
    bow = 0.55 * (1 - 2 * s)
    open_ = wide + bow * 0.45
    angle = shut + (open_ - shut) * m + (1.2 * m * (1 - m)) * bow  # the tip lags on the way
    step = (length / rows)[:, None, :, None]
    along, forth = (angle.cos() * step).cumsum(-1), (angle.sin() * step).cumsum(-1)
    raised = forth[..., None] * normal[:, None, None, None]
    return hinge[..., None, :] + along[..., None] * inward[..., None, :] + raised


def _two_leaflets(
    anatomy: AnatomyParameters,
    shape: HeartShape,
    motion: Motion,
    ring: Annulus,
    opening: Tensor,
    commissure: float,
    middle: float,
    sizes: tuple[tuple[int, int], tuple[int, int]],
    wide: tuple[Tensor, Tensor],
    tenting: Tensor,
    septal: bool,
) -> list[Sheet]:
    """A valve of a long leaflet (around the ring's `first` axis) and a short one, meeting along a curve.

    The long leaflet's hinge runs from -`commissure` to +`commissure`. The curve bends away from it, to -`middle` of
    `first`; columns converge on it, so that every part of a leaflet swings towards the middle of the ring.
    """
    device, sheets = opening.device, []
    for long, (columns, rows) in zip((True, False), sizes, strict=True):
        part = (torch.arange(columns, device=device, dtype=torch.float32) + 0.5) / columns * 2 - 1
        angle = part * commissure if long else math.pi + part * (math.pi - commissure)
        tip = MEETING * (angle.sin() / math.sin(commissure) if long else -part)
        bent = END - (middle + END) * (1 - (tip / MEETING).square())
        if septal:  # the medial end of both lies further back
            bent, tip = bent * math.cos(SKEW) + tip * math.sin(SKEW), tip * math.cos(SKEW) - bent * math.sin(SKEW)
            angle = angle - 0.6 * SKEW
        out = _septal_hinge(ring, angle) if septal else torch.ones_like(angle)
        ends = _on_disk(ring, torch.cat((angle.cos() * out, bent)), torch.cat((angle.sin() * out, tip)))
        gap = (ends[:, columns:] - ends[:, :columns]).norm(dim=-1).clamp_min(0.15)
        body = (gap * gap + ((0.15 + tenting[:, None]) * (1 - part.square())).square()).sqrt()
        overlap = 0.16 + 0.30 * (1 - part.square())
        moved = carry(anatomy, shape, motion, ends)
        hinge, target = moved[:, :, :columns], moved[:, :, columns:]
        length = body + overlap * ring.first.norm(dim=-1)[:, None] * 0.8
        angle_open = wide[0] if long else wide[1]
        points = _turn(hinge, target, ring.normal, body, length, opening, angle_open, rows)
        s = (torch.arange(rows, device=device) + 0.5) / rows
        thick = 0.75 + 0.55 * soft_step(s - 0.85, 0.3) + 0.35 * (1 - s / 0.2).clamp_min(0)
        hinge_step = (hinge[:, :1, 1:] - hinge[:, :1, :-1]).norm(dim=-1).mean(-1)
        spread = hinge_step[..., None, None] * (length / rows)[:, None, :, None]
        sheets.append(Sheet(points, thick[None], spread, 1.0 if long else 0.8, 0.5))
    return sheets


def mitral_sheets(anatomy: AnatomyParameters, shape: HeartShape, motion: Motion) -> list[Sheet]:
    """The anterior leaflet, long and swinging to the septum, the posterior one, short and wide, and their chords."""
    opening = motion.mitral_opening.clamp(0, 1)
    wide = (anatomy.opening_rad + 0.22, anatomy.opening_rad + 0.08)
    sizes = (MITRAL_ANTERIOR, MITRAL_POSTERIOR)
    ring = mitral_annulus(anatomy)
    sheets = _two_leaflets(
        anatomy, shape, motion, ring, opening, COMMISSURE, 0.30, sizes, wide, anatomy.tenting_cm, True
    )
    return [*sheets, _chords(anatomy, shape, motion, sheets)]


def _chords(anatomy: AnatomyParameters, shape: HeartShape, motion: Motion, sheets: list[Sheet]) -> Sheet:
    """Chords from the tips of both mitral leaflets to the nearer papillary muscle."""
    tips = torch.cat([sheet.points[..., -1, :] for sheet in sheets], 2)
    count = tips.shape[2]
    chosen = torch.linspace(1, count - 2, CHORDS, device=tips.device).round().long()
    split = sheets[0].points.shape[2]
    # The first columns of the long leaflet and the last of the short one lie on the posteromedial side.
    medial = torch.where(chosen < split, chosen < split // 2, chosen >= split + (count - split) // 2)
    roots = torch.stack([torch.stack(papillary_tip(anatomy, a), -1) for a in (ANTEROLATERAL, POSTEROMEDIAL)], 1)
    roots = carry(anatomy, shape, motion, roots)[:, :, medial.long()]
    s = (torch.arange(CHORD_POINTS, device=tips.device) + 0.5) / CHORD_POINTS
    start = tips[:, :, chosen]
    points = start[..., None, :] + (roots - start)[..., None, :] * s[:, None]
    apart = (roots - start)[:, :1].norm(dim=-1) / CHORD_POINTS
    spread = apart[..., None] * (0.05 * anatomy.papillary[:, None, None, None])
    return Sheet(points, (1 - 0.6 * s)[None], spread, 0.4, 1.0)


def tricuspid_sheets(anatomy: AnatomyParameters, shape: HeartShape, motion: Motion) -> list[Sheet]:
    """The long anterior leaflet from the free wall and the short septal one."""
    opening = motion.tricuspid_opening.clamp(0, 1)
    wide = (0.92 * anatomy.opening_rad, 0.85 * anatomy.opening_rad)
    ring = tricuspid_annulus(anatomy)
    sizes = (TRICUSPID_LONG, TRICUSPID_SHORT)
    tenting = 0.25 + 0.5 * anatomy.tenting_cm
    return _two_leaflets(anatomy, shape, motion, ring, opening, RIGHT_COMMISSURE, 0.28, sizes, wide, tenting, False)


def aortic_sheets(anatomy: AnatomyParameters, shape: HeartShape, motion: Motion) -> list[Sheet]:
    """Three cusps: closed they meet along three spokes, open they lie along the root's wall."""
    ring = aortic_annulus(anatomy)
    centre = carry(anatomy, shape, motion, ring.centre[:, None])[:, :, 0]  # [b, t, 3]
    radius = ring.first.norm(dim=-1)[:, None, None, None]
    first, second = ring.first / radius[..., 0, 0], ring.second / ring.second.norm(dim=-1, keepdim=True)
    opening = motion.aortic_opening.clamp(0, 1)[:, :, None, None]
    columns, rows = CUSP
    device, sheets = opening.device, []
    part = ((torch.arange(columns, device=device, dtype=torch.float32) + 0.5) / columns * 2 - 1)[:, None]
    s = (torch.arange(rows, device=device, dtype=torch.float32) + 0.5) / rows
    for middle in (0.12, 0.12 + 2 * math.pi / 3, 0.12 - 2 * math.pi / 3):
        # Where the free edge lies, closed along the spokes and open near the wall; x, y in units of the radius.
        spoke = middle + part.sign() * math.pi / 3
        wall = middle + part * (math.pi / 3)
        edge = [
            (1 - opening) * part.abs() * side(spoke) + opening * (0.86 - 0.06 * (1 - part.square())) * side(wall)
            for side in (torch.cos, torch.sin)
        ]
        hinge = [side(wall) * 0.98 for side in (torch.cos, torch.sin)]
        low = 0.85 * part.square()
        over, beyond = (s / 0.6).clamp_max(1), (s / 0.6 - 1).clamp_min(0)  # across the lumen, then along the axis
        belly = 4 * over * (1 - over) * (1 - part.square())
        shut = low + (0.28 + 0.4 * part.abs() - low) * over - 0.25 * belly + 0.75 * beyond
        up = shut + (low + (1.0 - low) * s - shut) * opening
        reach = over + (s - over) * opening
        flat = [h + (e - h) * reach for h, e in zip(hinge, edge, strict=True)]
        axes = [axis[:, None, None, None] for axis in (first, second, ring.normal)]
        offset = sum(value[..., None] * axis for value, axis in zip((*flat, up), axes, strict=True))
        points = centre[:, :, None, None] + offset * radius[..., None]
        thick = 0.7 + 0.9 * soft_step(s - 0.65, 0.3)
        spread = radius * radius * (math.pi * 2 / 3 / columns) * (0.95 / rows)
        sheets.append(Sheet(points, thick[None], spread.expand(-1, 1, columns, 1), 0.8, 0.2))
    return sheets
