"""How the heart moves: where in the reference heart every point of the moving heart lies, and the way back.

Along the axis the annulus plane is the piston: apex and atrial roof stay. Across it the endocardium follows the volume
exactly, and the wall is incompressible: with sigma = dz0/dz, rho0^2 = R0^2 + (rho^2 - R^2) / sigma keeps the volume of
every piece of wall, so that it thickens as the cavity shrinks. Twist turns the whole about the axis, which changes no
volume either. Outside the heart the motion fades away.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from echopulse.phantom.anatomy.heart import AnatomyParameters
from echopulse.phantom.anatomy.shapes import (
    fit,
    left_atrium_centre_cm,
    right_atrium_centre_cm,
    right_ventricle_around,
    round_section,
    true_section,
)
from echopulse.phantom.anatomy.wall import APEX_PART, HeartShape, reference_depth, section
from echopulse.phantom.types import Motion

TWIST_APEX = 0.65  # share of the twist by which the apex turns one way; the base turns the rest the other way
AXIAL_MARGIN_CM, AXIAL_FADE_CM = 0.4, 1.6  # how far beyond the heart it is dragged along the axis
TWIST_FADE_CM, WALL_FADE_CM, RIGHT_FADE_CM, ATRIAL_FADE_CM = 2.5, 1.2, 1.8, 3.0


def _right_squeeze(anatomy: AnatomyParameters, motion: Motion, like: Tensor) -> Tensor:
    return fit(1 - anatomy.rv_shortening[:, None] * (1 - motion.rv_fraction), like)


def _outermost(anatomy: AnatomyParameters, shape: HeartShape) -> Tensor:
    """[b]: radius within which all of the left ventricle's wall lies."""
    return shape.half_width_cm + anatomy.wall_cm * anatomy.septal_ratio.clamp_min(1)


def _atrial_depth(anatomy: AnatomyParameters) -> Tensor:
    """[b]: how far beyond the reference annulus the tissue that it drags along reaches."""
    return torch.maximum(anatomy.la_height_cm, anatomy.ra_height_cm) + 1.0


def _turn(cos: Tensor, sin: Tensor, tangent: Tensor) -> tuple[Tensor, Tensor]:
    """cos and sin of an angle minus that whose half has the given tangent."""
    square = tangent * tangent
    scale = 1 / (1 + square)
    c, s = (1 - square) * scale, 2 * tangent * scale
    return cos * c + sin * s, sin * c - cos * s


def _half_turn(anatomy: AnatomyParameters, shape: HeartShape, motion: Motion, radius: Tensor, z0: Tensor) -> Tensor:
    """tan of half the twist of tissue now at `radius` whose depth in the reference heart is z0."""
    share = TWIST_APEX - (z0 * fit(1 / anatomy.length_cm, z0)).clamp(0, 1)
    beyond = (z0 - fit(anatomy.length_cm, z0)).clamp_min(0) * (1 / TWIST_FADE_CM)
    outside = (radius - fit(_outermost(anatomy, shape), z0)).clamp_min(0) * (1 / TWIST_FADE_CM)
    return fit(0.5 * motion.twist_rad, z0) * share * (1 - beyond - outside).clamp_min(0)


def _atrial_pull(anatomy: AnatomyParameters, motion: Motion, x: Tensor, y: Tensor, above: Tensor) -> tuple[Tensor, ...]:
    """How far (x, y) in cm the walls of the half-empty atria have come in; `above` is the distance from the annulus."""
    pulls = (torch.zeros_like(x), torch.zeros_like(y))
    la_half = 0.25 * (anatomy.la_width_cm + anatomy.la_depth_cm)
    for centre, height, half, volume in (
        (left_atrium_centre_cm(anatomy), anatomy.la_height_cm, la_half, motion.la_volume),
        (right_atrium_centre_cm(anatomy), anatomy.ra_height_cm, 0.5 * anatomy.ra_width_cm, motion.ra_volume),
    ):
        part = (above * fit(1 / height, above)).clamp(0, 1)
        dx, dy = x - fit(centre[:, 0], x), y - fit(centre[:, 1], y)
        near = (1.5 - (dx * dx + dy * dy) * fit(0.5 / (half * half), x)).clamp(0, 1)
        pull = part * (1 - part) * near * fit(8 * anatomy.la_squeeze[:, None] * (1 - volume), above)
        pulls = (pulls[0] + dx * pull, pulls[1] + dy * pull)
    return pulls


def material_points(
    anatomy: AnatomyParameters, shape: HeartShape, motion: Motion, X: Tensor, Y: Tensor, Z: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Where in the reference heart the tissue now at (X, Y, Z) [b, t or 1, ...] lies; three tensors [b, t, ...], cm.

    The identity at nominal end-diastole with full atria.
    """
    length, length0 = fit(shape.length_cm, Z), fit(anatomy.length_cm, Z)
    u, v = round_section(anatomy, X, Y, Z)
    square = (u * u + v * v).clamp_min(1e-6)
    radius = square.sqrt()
    inverse = 1 / radius
    cos, sin = u * inverse, v * inverse

    # Along the axis.
    depth = fit(_atrial_depth(anatomy), Z)
    above = (Z - length).clamp_min(0)
    part = (Z / length).clamp(0, 1)
    stretch = fit(shape.stretch, Z)
    shift = _reference_depth(part, stretch) * length
    shift = shift - torch.minimum(above, length0 + depth - length) * ((length0 - length) / (length0 + depth - length))
    reach = fit(_outermost(anatomy, shape) + AXIAL_MARGIN_CM, Z)
    side = radius - reach - right_ventricle_around(cos, sin).clamp_min(0) * fit(anatomy.rv_width_cm, Z)
    z0 = Z + shift * (1 - side * (1 / AXIAL_FADE_CM)).clamp(0, 1)
    sigma = 1 + stretch * (part * (1 / APEX_PART)).clamp_max(1)

    # Around it, then across it.
    cos, sin = _turn(cos, sin, _half_turn(anatomy, shape, motion, radius, z0))
    squeeze = _right_squeeze(anatomy, motion, Z)
    now = _section(anatomy, shape, squeeze, cos, sin, z0, sigma)
    clear = radius - now.outer
    wall = (now.square0 + (square - now.square) / sigma).clamp_min(0).sqrt()
    fade = 1 - (clear - now.right).clamp_min(0) / (now.around * RIGHT_FADE_CM + _wall_fade(anatomy, shape, Z))
    outside = radius + (now.outer0 - now.outer + now.right0 - now.right) * fade.clamp_min(0)
    across = torch.where(clear < now.right, now.outer0 + clear / squeeze, outside)
    across = torch.where(clear < 0, wall, across)
    across = torch.where(square < now.square, radius * now.growth.sqrt(), across)
    across = across + (radius - across) * (above * (1 / ATRIAL_FADE_CM)).clamp_max(1)

    pull_x, pull_y = _atrial_pull(anatomy, motion, X, Y, above)
    x0, y0 = true_section(anatomy, across * cos, across * sin, z0)
    return x0 + pull_x, y0 + pull_y, z0


def _wall_fade(anatomy: AnatomyParameters, shape: HeartShape, like: Tensor) -> Tensor:
    """[b, t, ...] cm over which the movement of the epicardium dies away: long enough that nothing folds over."""
    outer0 = _outermost(anatomy, shape)[:, None]
    outer = (outer0 * outer0 - shape.inward).clamp_min(0.01).sqrt()
    return fit(WALL_FADE_CM + 1.5 * (outer0 - outer).clamp_min(0), like)


def spatial_points(
    anatomy: AnatomyParameters, shape: HeartShape, motion: Motion, X0: Tensor, Y0: Tensor, Z0: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Where the tissue of the reference heart at (X0, Y0, Z0) [b, t or 1, ...] is now: `material_points` turned round.

    Exact in the left ventricle, its wall and its annulus plane, nearly so elsewhere.
    """
    length, length0 = fit(shape.length_cm, Z0), fit(anatomy.length_cm, Z0)
    u, v = round_section(anatomy, X0, Y0, Z0)
    square0 = (u * u + v * v).clamp_min(1e-6)
    radius0 = square0.sqrt()
    cos, sin = u / radius0, v / radius0

    stretch = fit(shape.stretch, Z0)
    y = (Z0 / length).clamp_min(0)
    knee = APEX_PART * (1 + 0.5 * stretch)
    low = torch.minimum(y, knee)
    part = 2 * low / (1 + (1 + low * stretch * (2 / APEX_PART)).sqrt()) + (y - low) / (1 + stretch)
    part = part.clamp_max(1)
    sigma = 1 + stretch * (part * (1 / APEX_PART)).clamp_max(1)
    depth = fit(_atrial_depth(anatomy), Z0)
    above = (Z0 - length0).clamp_min(0)
    far = (above - depth).clamp_min(0)
    inside = part * length + Z0.clamp_max(0) + (above - far) * ((length0 + depth - length) / depth) + far
    reach = fit(_outermost(anatomy, shape) + AXIAL_MARGIN_CM, Z0)
    side = radius0 - reach - right_ventricle_around(cos, sin).clamp_min(0) * fit(anatomy.rv_width_cm, Z0)
    z = Z0 + (inside - Z0) * (1 - side * (1 / AXIAL_FADE_CM)).clamp(0, 1)

    squeeze = _right_squeeze(anatomy, motion, Z0)
    now = _section(anatomy, shape, squeeze, cos, sin, Z0, sigma)
    clear = radius0 - now.outer0
    wall = (now.square + (square0 - now.square0) * sigma).clamp_min(0).sqrt()
    gone = now.outer0 - now.outer + now.right0 - now.right
    fade = now.around * RIGHT_FADE_CM + _wall_fade(anatomy, shape, Z0)
    outside = radius0 - gone * (1 - (clear - now.right0) / (fade - gone)).clamp_min(0)
    across = torch.where(clear < now.right0, now.outer + clear * squeeze, outside)
    across = torch.where(clear < 0, wall, across)
    across = torch.where(square0 < now.square0, radius0 / now.growth.sqrt(), across)
    risen = (z - length).clamp_min(0)
    across = across + (radius0 - across) * (risen * (1 / ATRIAL_FADE_CM)).clamp_max(1)
    cos, sin = _turn(cos, sin, -_half_turn(anatomy, shape, motion, across, Z0))
    x, y = true_section(anatomy, across * cos, across * sin, z)
    pull_x, pull_y = _atrial_pull(anatomy, motion, x, y, risen)
    return x - pull_x, y - pull_y, z
