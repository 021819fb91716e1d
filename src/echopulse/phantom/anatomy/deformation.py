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


def _right_squeeze(anatomy: AnatomyParameters, motion: Motion) -> Tensor:
    """[b, t]: width of the right ventricle relative to that in the reference heart."""
    return 1 - anatomy.rv_shortening[:, None] * (1 - motion.rv_fraction)


def _outermost(anatomy: AnatomyParameters, shape: HeartShape) -> Tensor:
    """[b]: radius within which all of the left ventricle's wall lies."""
    return shape.half_width_cm + anatomy.wall_cm * anatomy.septal_ratio.clamp_min(1)


def _atrial_depth(anatomy: AnatomyParameters) -> Tensor:
    """[b]: how far beyond the reference annulus the tissue that it drags along reaches."""
    return torch.maximum(anatomy.la_height_cm, anatomy.ra_height_cm) + 1.0


def _dragged(anatomy: AnatomyParameters, cos: Tensor, sin: Tensor, outside: Tensor) -> Tensor:
    """0..1: how far tissue `outside` cm beyond the left ventricle follows along the axis; the right heart does."""
    side = right_ventricle_around(cos, sin).clamp_min_(0).mul_(fit(anatomy.rv_width_cm, cos)).sub_(outside)
    return side.mul_(1 / AXIAL_FADE_CM).add_(1 + AXIAL_MARGIN_CM / AXIAL_FADE_CM).clamp_(0, 1)


def _turn(cos: Tensor, sin: Tensor, tangent: Tensor) -> tuple[Tensor, Tensor]:
    """cos and sin of an angle minus that whose half has the given tangent."""
    scale = tangent.square().add_(1).reciprocal_()
    s = (tangent * scale).mul_(2)
    c = scale.mul_(2).sub_(1)
    return (c * cos).addcmul_(s, sin), torch.addcmul(c * sin, s, cos, value=-1)


def _half_turn(anatomy: AnatomyParameters, motion: Motion, outside: Tensor, z0: Tensor) -> Tensor:
    """tan of half the twist of tissue now `outside` cm beyond the left ventricle, whose reference depth is z0."""
    share = (z0 * fit(1 / anatomy.length_cm, z0)).clamp_(0, 1).neg_().add_(TWIST_APEX)
    away = outside.clamp_min(0) + (z0 - fit(anatomy.length_cm, z0)).clamp_min_(0)
    near = away.mul_(-1 / TWIST_FADE_CM).add_(1).clamp_min_(0)
    return near.mul_(share).mul_(fit(0.5 * motion.twist_rad, z0))


def _atrial_pull(
    anatomy: AnatomyParameters, motion: Motion, x: Tensor, y: Tensor, above: Tensor
) -> tuple[Tensor, Tensor]:
    """How far (x, y) in cm the walls of the half-empty atria have come in; `above` is the distance from the annulus."""
    la, ra = left_atrium_centre_cm(anatomy), right_atrium_centre_cm(anatomy)
    part = (above * fit(1 / torch.maximum(anatomy.la_height_cm, anatomy.ra_height_cm), above)).clamp_(0, 1)
    bump = torch.addcmul(part, part, part, value=-1).mul_(fit(8 * anatomy.la_squeeze, above))
    la_half = 0.25 * (anatomy.la_width_cm + anatomy.la_depth_cm)
    pulls = []
    for centre, half, volume in ((la, la_half, motion.la_volume), (ra, 0.5 * anatomy.ra_width_cm, motion.ra_volume)):
        dx, dy = x - fit(centre[:, 0], x), y - fit(centre[:, 1], y)
        square = (dx * dx).addcmul_(dy, dy)
        near = square.mul_(fit(-0.5 / (half * half), x)).add_(1.5).clamp_(0, 1)
        pull = (near * bump).mul_(fit(1 - volume, above))
        pulls.append((pull * dx, pull * dy))
    return pulls[0][0] + pulls[1][0], pulls[0][1] + pulls[1][1]


def _wall_fade(anatomy: AnatomyParameters, shape: HeartShape, like: Tensor) -> Tensor:
    """[b, t, ...] cm over which the movement of the epicardium dies away: long enough that nothing folds over."""
    outer0 = _outermost(anatomy, shape)[:, None]
    outer = (outer0 * outer0 - shape.inward).clamp_min(0.01).sqrt()
    return fit(WALL_FADE_CM + 1.5 * (outer0 - outer).clamp_min(0), like)


@dataclass(frozen=True)
class _Traced:
    """Where the tissue now at b times t times p points comes from, in the round section of the reference heart."""

    across: Tensor  # radius there
    cos: Tensor  # of its angle phi
    sin: Tensor
    z0: Tensor
    above: Tensor  # cm beyond the annulus plane, now; 0 before it
    cavity_cm2: Tensor  # squared radius less that of the left ventricle's cavity, now; it goes on behind the annulus
    ventricle_cm: Tensor  # radius less that of its outer surface


def _trace(
    anatomy: AnatomyParameters, shape: HeartShape, motion: Motion, X: Tensor, Y: Tensor, Z: Tensor
) -> _Traced:
    length, length0 = fit(shape.length_cm, Z), fit(anatomy.length_cm, Z)
    u, v = round_section(anatomy, X, Y, Z)
    square = (u * u).addcmul_(v, v).clamp_min_(1e-6)
    inverse = square.rsqrt()
    cos, sin, radius = u.mul_(inverse), v.mul_(inverse), inverse.mul_(square)
    outside = radius - fit(_outermost(anatomy, shape), Z)

    # Along the axis.
    room = fit(_atrial_depth(anatomy), Z) + length0 - length
    above = (Z - length).clamp_min_(0)
    part = (Z * (1 / length)).clamp_(0, 1)
    stretch = fit(shape.stretch, Z)
    shift = reference_depth(part, stretch * length)
    shift = shift.addcmul_(torch.minimum(above, room), (length - length0) / room)
    z0 = shift.mul_(_dragged(anatomy, cos, sin, outside)).add_(Z)
    sigma = part.clamp_max_(APEX_PART).mul(stretch * (1 / APEX_PART)).add_(1)

    # Around it, then across it.
    cos, sin = _turn(cos, sin, _half_turn(anatomy, motion, outside, z0))
    squeeze = fit(_right_squeeze(anatomy, motion), Z)
    now = section(anatomy, shape, cos, sin, z0, sigma)
    clear = radius - now.outer
    wall = (square - now.square).div_(sigma).add_(now.square0).clamp_min_(0).sqrt_()
    right = now.right0 * squeeze
    fade = (right - clear).clamp_max_(0).div_((now.around * RIGHT_FADE_CM).add_(_wall_fade(anatomy, shape, Z)))
    gone = (now.outer0 - now.outer).add_(now.right0).sub_(right)
    moved = torch.addcmul(radius, gone, fade.add_(1).clamp_min_(0))
    cavity = square - now.square
    across = torch.where(clear < right, torch.addcmul(now.outer0, clear, 1 / squeeze), moved)
    across = torch.where(clear < 0, wall, across)
    across = torch.where(cavity < 0, now.growth.sqrt_().mul_(radius), across)
    across = torch.lerp(across, radius.expand_as(across), (above * (1 / ATRIAL_FADE_CM)).clamp_max_(1))
    return _Traced(across, cos, sin, z0, above, cavity, clear)


def material_points(
    anatomy: AnatomyParameters, shape: HeartShape, motion: Motion, X: Tensor, Y: Tensor, Z: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Where in the reference heart the tissue now at (X, Y, Z) [b, t or 1, ...] lies; three tensors [b, t, ...], cm.

    The identity at nominal end-diastole with full atria.
    """
    return _places(anatomy, motion, X, Y, _trace(anatomy, shape, motion, X, Y, Z))


def material_points_within(
    anatomy: AnatomyParameters, shape: HeartShape, motion: Motion, X: Tensor, Y: Tensor, Z: Tensor
) -> tuple[tuple[Tensor, Tensor, Tensor], Tensor, Tensor]:
    """`material_points`, and how far from the left ventricle they lie now: negative inside, smooth, [b, t, ...].

    First from its cavity (cm^2: squared radii are compared), then from its outer surface (cm). Both go on behind the
    annulus plane as if the ventricle did.
    """
    traced = _trace(anatomy, shape, motion, X, Y, Z)
    return _places(anatomy, motion, X, Y, traced), traced.cavity_cm2, traced.ventricle_cm


def _places(
    anatomy: AnatomyParameters, motion: Motion, X: Tensor, Y: Tensor, traced: _Traced
) -> tuple[Tensor, Tensor, Tensor]:
    pull_x, pull_y = _atrial_pull(anatomy, motion, X, Y, traced.above)
    x0, y0 = true_section(anatomy, traced.across * traced.cos, traced.across * traced.sin, traced.z0)
    return x0.add_(pull_x), y0.add_(pull_y), traced.z0


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
    outermost = fit(_outermost(anatomy, shape), Z0)
    z = Z0 + (inside - Z0) * _dragged(anatomy, cos, sin, radius0 - outermost)

    squeeze = fit(_right_squeeze(anatomy, motion), Z0)
    now = section(anatomy, shape, cos, sin, Z0, sigma)
    right = now.right0 * squeeze
    clear = radius0 - now.outer0
    wall = (now.square + (square0 - now.square0) * sigma).clamp_min(0).sqrt()
    gone = now.outer0 - now.outer + now.right0 - right
    fade = now.around * RIGHT_FADE_CM + _wall_fade(anatomy, shape, Z0)
    outside = radius0 - gone * (1 - (clear - now.right0) / (fade - gone)).clamp_min(0)
    across = torch.where(clear < now.right0, now.outer + clear * squeeze, outside)
    across = torch.where(clear < 0, wall, across)
    across = torch.where(square0 < now.square0, radius0 / now.growth.sqrt(), across)
    risen = (z - length).clamp_min(0)
    across = across + (radius0 - across) * (risen * (1 / ATRIAL_FADE_CM)).clamp_max(1)
    cos, sin = _turn(cos, sin, -_half_turn(anatomy, motion, across - outermost, Z0))
    x, y = true_section(anatomy, across * cos, across * sin, z)
    pull_x, pull_y = _atrial_pull(anatomy, motion, x, y, risen)
    return x - pull_x, y - pull_y, z
