"""How the heart moves: where in the reference heart every point of the moving heart lies, and the way back.

Along the axis the annulus plane is the piston: apex and atrial roof stay. Across it the endocardium follows the volume
exactly, and the wall is incompressible: with sigma = dz0/dz, rho0^2 = R0^2 + (rho^2 - R^2) / sigma keeps the volume of
every piece of wall, so that it thickens as the cavity shrinks. Twist turns the whole about the axis, which changes no
volume either. Outside the heart the motion fades away.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from echopulse.phantom.anatomy.heart import AnatomyParameters
from echopulse.phantom.anatomy.shapes import (
    APICAL_PART,
    TERRITORY_APEX,
    endocardial_profile,
    epicardial_radius_squared,
    fit,
    half_width_cm,
    left_atrium_centre_cm,
    right_atrium_centre_cm,
    right_ventricle_around,
    right_ventricle_down,
    round_section,
    territory_weight,
    true_section,
)
from echopulse.phantom.types import Batch, Motion

APEX_PART = 1 / 3  # of the length, over which the apex's rest gives way to the even shortening of the rest
BASE_REST = 0.5  # by how much less than elsewhere the cavity narrows at the annulus, which is fibrous
LEAST_SQUARE = 0.55  # no part of the endocardium comes closer to the axis than this share of the mean R^2
TWIST_APEX = 0.65  # share of the twist by which the apex turns one way; the base turns the rest the other way
SEPTAL_LEAD = math.radians(195)  # middle of the wall that moves ahead in dyssynchrony
AXIAL_MARGIN_CM, AXIAL_FADE_CM = 0.4, 1.6  # how far beyond the heart it is dragged along the axis
TWIST_FADE_CM, WALL_FADE_CM, RIGHT_FADE_CM, ATRIAL_FADE_CM = 2.5, 1.2, 1.8, 3.0


def _nodes() -> tuple[Tensor, Tensor]:
    """Places v = z / L and weights of a Gauss rule on 0..1, in two panels that meet where the stretch has a kink."""
    x, w = (torch.from_numpy(part).float() for part in np.polynomial.legendre.leggauss(10))
    low, high = APEX_PART * 0.5 * (1 + x), APEX_PART + (1 - APEX_PART) * 0.5 * (1 + x)
    return torch.cat((low, high)), torch.cat((0.5 * APEX_PART * w, 0.5 * (1 - APEX_PART) * w))


NODES, WEIGHTS = _nodes()


@dataclass(frozen=True)
class HeartShape(Batch):
    """The shape of b hearts at t times.

    At a depth whose tissue lies at s = z0 / L in the reference heart, the squared radius of the cavity's round section
    is profile(s) * (A^2 - inward * m + lead * cos(phi - septum)) with m = 1 - regional * W and W the regional weight.
    """

    length_cm: Tensor  # [b, t], apex to annulus plane
    stretch: Tensor  # [b, t], sigma - 1 beyond the apical part: how much longer the reference heart is there
    inward: Tensor  # [b, t] cm^2, solved so that the volume is exact
    regional: Tensor  # [b, t], 1; less where a full regional difference would turn the cavity inside out
    lead: Tensor  # [b, t] cm^2, how far the septum is ahead, negative where ahead
    half_width_cm: Tensor  # [b], A: of the reference heart at its widest


def _reference_depth(v: Tensor, stretch: Tensor) -> Tensor:
    """(z0 - z) / L at v = z / L in 0..1."""
    low = v.clamp(0, APEX_PART)
    return stretch * (low * low * (0.5 / APEX_PART) + v - low)


def _base_rest(s: Tensor) -> Tensor:
    cube = s * s * s
    return cube * cube * BASE_REST


def heart_shape(anatomy: AnatomyParameters, motion: Motion) -> HeartShape:
    """The shape [b, t] that has exactly the volume of `motion`; the annulus descends by `shortening` in a usual beat.

    The volume is pi L (integral of the mean R^2 over the length), which is linear in `inward`.
    """
    def fit_time(value: Tensor) -> Tensor:
        return value[:, None]

    edv, stroke = fit_time(anatomy.edv_ml), fit_time((anatomy.ef * anatomy.edv_ml).clamp_min(1.0))
    ejected = ((edv - motion.volume_ml) / stroke).clamp(-0.6, 1.6)
    shrink = 1 - fit_time(anatomy.shortening) * ejected
    length = fit_time(anatomy.length_cm) * shrink
    stretch = (1 / shrink - 1) / (1 - 0.5 * APEX_PART)

    v, weights = NODES.to(length.device), WEIGHTS.to(length.device)
    s = (v + _reference_depth(v, stretch[..., None])) * shrink[..., None]  # [b, t, nodes]
    profile = endocardial_profile(s, anatomy.tau[:, None, None], anatomy.bullet[:, None, None]) * weights
    apical = (1 - s * (1 / APICAL_PART)).clamp(0, 1).square()
    fed = length.new_tensor(TERRITORY_APEX)[anatomy.territory][:, None, None]
    weight = 0.375 + apical * (fed - 0.375)  # mean of `territory_weight` around the section
    rest = _base_rest(s)
    weight = rest + (1 - rest) * (1 - anatomy.territory_motion.clamp_max(1))[:, None, None] * weight
    whole, regional_part = profile.sum(-1), (profile * weight).sum(-1)

    half_width = half_width_cm(anatomy)
    square = fit_time(half_width * half_width)
    area = motion.volume_ml / (math.pi * length)
    ejected_area = square * whole - area
    most = (square - LEAST_SQUARE * area / whole).clamp_min(1e-3)
    regional = ((whole - ejected_area / most) / regional_part).clamp(0, 1)
    inward = ejected_area / (whole - regional * regional_part)
    usual = (1 - (1 - anatomy.ef) / (1 - anatomy.shortening)).clamp_min(0.02)
    room = 0.5 * (square - inward.clamp_min(0))
    lead = torch.minimum(motion.dyssynchrony.abs() * fit_time(half_width * half_width * usual), room)
    return HeartShape(length, stretch, inward, regional, -lead * motion.dyssynchrony.sign(), half_width)


@dataclass(frozen=True)
class _Section:
    """Radii in the round section, of material at angle phi (cos, sin) and depth z0: [b, t, ...]."""

    square: Tensor  # R^2 of the cavity now
    growth: Tensor  # R0^2 / R^2
    outer: Tensor  # of the epicardium now
    outer0: Tensor  # in the reference heart
    right: Tensor  # width of the right ventricle now
    right0: Tensor
    square0: Tensor  # R0^2
    around: Tensor  # of the right ventricle, relative to its middle; 0 beside it


def _section(
    anatomy: AnatomyParameters, shape: HeartShape, squeeze: Tensor, cos: Tensor, sin: Tensor, z0: Tensor, sigma: Tensor
) -> _Section:
    s = (z0 * fit(1 / anatomy.length_cm, z0)).clamp(0, 1)
    rest = _base_rest(s)
    weaker = fit(1 - anatomy.territory_motion.clamp_max(1), z0)
    local = 1 - rest
    weight = rest + local * (territory_weight(anatomy, cos, sin, s) * weaker)
    ahead = local * (cos * math.cos(SEPTAL_LEAD) + sin * math.sin(SEPTAL_LEAD))
    reference = fit(shape.half_width_cm * shape.half_width_cm, z0)
    now = weight * fit(shape.inward * shape.regional, z0) + ahead * fit(shape.lead, z0)
    now = now + (reference - fit(shape.inward, z0))
    profile = endocardial_profile(s, fit(anatomy.tau, z0), fit(anatomy.bullet, z0))
    square, square0 = profile * now, profile * reference
    outer0 = epicardial_radius_squared(anatomy, cos, sin, z0).clamp_min(1e-4)
    outer = (square + (outer0 - square0) * sigma).clamp_min(1e-4)
    around = right_ventricle_around(cos, sin).clamp_min(0)
    right0 = around * right_ventricle_down(s) * fit(anatomy.rv_width_cm, z0)
    return _Section(square, reference / now, outer.sqrt(), outer0.sqrt(), right0 * squeeze, right0, square0, around)


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
