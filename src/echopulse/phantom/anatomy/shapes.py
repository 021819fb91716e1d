"""What lies where in the reference heart: chambers as signed distances, valve rings as ellipses in space.

Every distance takes points X, Y, Z [b, ...] in heart coordinates (cm, see `heart`) and gives about the distance in cm
to the chamber's surface, negative inside: exact on the surface, within a tenth or so near it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from echopulse.phantom.anatomy.heart import AnatomyParameters
from echopulse.phantom.types import TERRITORIES, Batch

RV_APEX = 0.24  # where the right ventricle begins, as a fraction of the left one's length
RV_CENTRE, RV_SPAN = math.radians(188), math.radians(66)  # its middle and half-angle around the septum
OUTFLOW = math.radians(130)  # where its outflow tract runs on beyond the base
SEPTUM = math.radians(190)
BACKWARDS = math.radians(320)  # from the aorta to the mitral valve and the left atrium
SIDEWAYS = math.radians(50)
OVAL_AXIS = math.radians(15)  # so that A4C and A2C, 60 degrees apart, see together the area of an oval section
# Middle of the wall that each coronary artery feeds (none, lad, lcx, rca), and whether it feeds the apex.
TERRITORY_CENTRE = tuple(math.radians(angle) for angle in (0, 112, 340, 238))
TERRITORY_APEX = (0.0, 1.0, 0.0, 0.0)
TERRITORY_MEAN = 0.5  # of the weight around a section above the apex
APICAL_PART = 0.42  # of the length, over which the apex belongs to one artery
SCAR_THINNING = 0.45
SINUS_CM = 1.2  # above the aortic valve, where the root is widest
FUNNEL, FUNNEL_WIDER, FUNNEL_BLEND_CM = 0.9, 1.1, 1.0  # how an atrium opens behind its ring: cm out per cm up
# Mouths of four pulmonary veins and of the appendage: angle phi and elevation from the left atrium's centre, degrees.
VEINS = ((12, 48), (318, 42), (222, 52), (258, 36), (72, -8))


def smooth_minimum(a: Tensor, b: Tensor, blend: float) -> Tensor:
    """The union of two signed distances whose seam is filled over about `blend` cm (Quilez' polynomial form)."""
    seam = (blend - (a - b).abs()).clamp_min(0)
    return torch.minimum(a, b) - seam * seam * (0.25 / blend)


def fit(value: Tensor, like: Tensor) -> Tensor:
    """A value per heart [b] or per heart and time [b, t], shaped to go with points `like` [b, ...] or [b, t, ...]."""
    return value.reshape(*value.shape, *[1] * (like.ndim - value.ndim))


def endocardial_profile(s: Tensor, tau: Tensor, bullet: Tensor) -> Tensor:
    """Squared half-width of the cavity at s = z / L relative to the widest place; negative beyond the apex."""
    k = 1 + tau
    e = s * torch.addcmul(2 * k, s, -k * k)
    return e * torch.addcmul(1 + bullet, e, -bullet)


def _profile_slope(s: Tensor, tau: Tensor, bullet: Tensor) -> Tensor:
    k = 1 + tau
    e = s * (2 * k - k * k * s)
    return 2 * k * (1 - k * s) * (1 + bullet - 2 * bullet * e)


def half_width_cm(anatomy: AnatomyParameters) -> Tensor:
    """[b]: the cavity's half-width A at its widest, from V = pi A^2 L (integral of the profile, a polynomial)."""
    k = 1 + anatomy.tau
    first = k - k * k / 3
    second = k * k * (4 / 3 - k + k * k / 5)
    mean = (1 + anatomy.bullet) * first - anatomy.bullet * second
    return (anatomy.edv_ml / (math.pi * anatomy.length_cm * mean)).sqrt()


def base_radius_cm(anatomy: AnatomyParameters) -> Tensor:
    """[b]: the cavity's half-width in the plane of the mitral annulus."""
    profile = endocardial_profile(torch.ones_like(anatomy.tau), anatomy.tau, anatomy.bullet)
    return half_width_cm(anatomy) * profile.sqrt()


def _oval(anatomy: AnatomyParameters) -> tuple[Tensor, Tensor, Tensor]:
    """Entries xx, xy, yy of the area-preserving symmetric matrix [b] that makes the cross-sections round."""
    wide, narrow = anatomy.ovality.sqrt(), anatomy.ovality.rsqrt()
    c, s = math.cos(OVAL_AXIS), math.sin(OVAL_AXIS)
    return c * c * wide + s * s * narrow, c * s * (wide - narrow), s * s * wide + c * c * narrow


def _bow(anatomy: AnatomyParameters, Z: Tensor) -> Tensor:
    """s (s - 1) of s = z / L: minus a quarter at mid-length, where the bent axis is farthest from the straight one."""
    s = (Z * fit(1 / anatomy.length_cm, Z)).clamp_(0, 1)
    return torch.addcmul(-s, s, s)


def round_section(anatomy: AnatomyParameters, X: Tensor, Y: Tensor, Z: Tensor) -> tuple[Tensor, Tensor]:
    """(u, v): X and Y measured from the bent axis and squeezed so that the cavity's cross-sections are circles."""
    bow = _bow(anatomy, Z)
    x = torch.addcmul(X, bow, fit(4 * anatomy.bend_x_cm, Z))
    y = torch.addcmul(Y, bow, fit(4 * anatomy.bend_y_cm, Z))
    xx, xy, yy = (fit(value, Z) for value in _oval(anatomy))
    return (x * xx).addcmul_(y, xy), (x * xy).addcmul_(y, yy)


def true_section(anatomy: AnatomyParameters, u: Tensor, v: Tensor, Z: Tensor) -> tuple[Tensor, Tensor]:
    """(X, Y) of points given as by `round_section`."""
    xx, xy, yy = (fit(value, Z) for value in _oval(anatomy))
    bow = _bow(anatomy, Z)
    x = (bow * fit(-4 * anatomy.bend_x_cm, Z)).addcmul(u, yy).addcmul_(v, -xy)
    y = (bow * fit(-4 * anatomy.bend_y_cm, Z)).addcmul(v, xx).addcmul_(u, -xy)
    return x, y


def _around(cos: Tensor, sin: Tensor, angle: float, scale: float, bias: float) -> Tensor:
    """scale * cos(phi - angle) + bias."""
    return (cos * (scale * math.cos(angle))).add_(sin, alpha=scale * math.sin(angle)).add_(bias)


def territory_weight(anatomy: AnatomyParameters, cos: Tensor, sin: Tensor, s: Tensor) -> Tensor:
    """0..1: how far a place of the wall, at angle phi and s = z / L, belongs to the diseased artery's territory."""
    # Around the wall a cubic step of cos(phi - centre): odd harmonics only, of which the apical planes miss little.
    centre = cos.new_tensor(TERRITORY_CENTRE)[anatomy.territory]
    near = (cos * fit(centre.cos(), cos)).addcmul_(sin, fit(centre.sin(), cos))
    near = near.mul_((near * near).mul_(-0.25).add_(0.75)).add_(TERRITORY_MEAN)
    apical = (s * (-1 / APICAL_PART)).add_(1).clamp_(0, 1).square_()
    return torch.addcmul(near, apical, fit(cos.new_tensor(TERRITORY_APEX)[anatomy.territory], cos) - near)


def wall_thickness(
    anatomy: AnatomyParameters, cos: Tensor, sin: Tensor, s: Tensor, territory: Tensor | None = None
) -> Tensor:
    """cm, of the wall at angle phi and s = z / L: the septum may be thicker, a scar is thinner.

    `territory` may be given where the weights of `territory_weight` are known.
    """
    if territory is None:
        territory = territory_weight(anatomy, cos, sin, s)
    septal = _around(cos, sin, SEPTUM, 0.5, 0.5).square_().mul_((2 * s).clamp_(0, 1))
    absent = (anatomy.territory == TERRITORIES.index("none")).float()
    scar = fit(-SCAR_THINNING * anatomy.wall_cm * anatomy.scar * (1 - absent), cos)
    extra = fit(anatomy.wall_cm * (anatomy.septal_ratio - 1), cos)
    return septal.mul_(extra).addcmul_(territory, scar).add_(fit(anatomy.wall_cm, cos))


def epicardial_radius_squared(
    anatomy: AnatomyParameters, cos: Tensor, sin: Tensor, Z: Tensor, territory: Tensor | None = None
) -> Tensor:
    """cm^2 in the round section: the ventricle's outer surface; negative beyond its apex, constant beyond its base."""
    length, bullet = anatomy.length_cm, fit(anatomy.bullet, Z)
    centre = length / (1 + anatomy.tau)
    deep = torch.minimum(Z, fit(length, Z))
    outer = wall_thickness(anatomy, cos, sin, deep * fit(1 / length, Z), territory)
    outer = outer.add_(fit(half_width_cm(anatomy), Z)).square_()
    along = deep.sub_(fit(centre, Z)).mul_(fit(1 / (centre + anatomy.apical_wall_cm), Z))
    e = along.square_().neg_().add_(1).clamp_min_(-2)
    return outer.mul_(e).mul_(torch.addcmul(1 + bullet, e, -bullet))


def right_ventricle_around(cos: Tensor, sin: Tensor) -> Tensor:
    """Width of the right ventricle at angle phi relative to its middle, as two arcs leave it; negative beyond."""
    edge = math.cos(RV_SPAN)
    return _around(cos, sin, RV_CENTRE, 1 / (1 - edge), -edge / (1 - edge))


def right_ventricle_down(s: Tensor) -> Tensor:
    """Its width at s = z / L relative to that at the base: a triangle whose tip is round."""
    down = (s * (1 / (1 - RV_APEX))).add_(-RV_APEX / (1 - RV_APEX)).clamp_(0, 1)
    return down.mul_((down * -0.1).add_(1.1)).sqrt_()


def _polar(u: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Radius, cos phi and sin phi."""
    radius = (u * u + v * v).sqrt().clamp_min(1e-4)
    return radius, u / radius, v / radius


def lv_cavity(anatomy: AnatomyParameters, X: Tensor, Y: Tensor, Z: Tensor) -> Tensor:
    """The left ventricle's cavity, from apex to annulus plane."""
    u, v = round_section(anatomy, X, Y, Z)
    square = u * u + v * v
    tau, bullet, widest = fit(anatomy.tau, Z), fit(anatomy.bullet, Z), fit(half_width_cm(anatomy).square(), Z)
    s = (Z * fit(1 / anatomy.length_cm, Z)).clamp(-0.5, 1)
    wall = widest * endocardial_profile(s, tau, bullet)
    slope = widest * _profile_slope(s, tau, bullet) * fit(1 / anatomy.length_cm, Z)
    across = square.sqrt() + wall.clamp_min(0).sqrt()
    distance = (square - wall) / (across * across + slope * slope + 1e-6).sqrt()
    return torch.maximum(distance, Z - fit(anatomy.length_cm, Z))


def epicardium(anatomy: AnatomyParameters, X: Tensor, Y: Tensor, Z: Tensor) -> Tensor:
    """The left ventricle with its wall, from apex to annulus plane."""
    u, v = round_section(anatomy, X, Y, Z)
    radius, cos, sin = _polar(u, v)
    outer = epicardial_radius_squared(anatomy, cos, sin, Z)
    step = 0.05
    slope = (epicardial_radius_squared(anatomy, cos, sin, Z + step) - outer) / step
    across = radius + outer.clamp_min(0).sqrt()
    distance = (radius * radius - outer) / (across * across + slope * slope + 1e-6).sqrt()
    return torch.maximum(distance, Z - fit(anatomy.length_cm, Z))


def rv_base_cm(anatomy: AnatomyParameters) -> Tensor:
    """[b]: z of the tricuspid annulus plane, a little nearer to the apex than the mitral one."""
    return anatomy.length_cm - 0.35


def rv_cavity(anatomy: AnatomyParameters, X: Tensor, Y: Tensor, Z: Tensor) -> Tensor:
    """The right ventricle's cavity: a crescent around the septum with an outflow tract in front of the aorta."""
    u, v = round_section(anatomy, X, Y, Z)
    radius, cos, sin = _polar(u, v)
    s = Z * fit(1 / anatomy.length_cm, Z)
    septum = epicardial_radius_squared(anatomy, cos, sin, Z).clamp_min(0).sqrt()
    around = right_ventricle_around(cos, sin)
    width = (around.clamp_min(0) * right_ventricle_down(s) + around.clamp_max(0)) * fit(anatomy.rv_width_cm, Z)
    width = width - (RV_APEX - s).clamp_min(0) * fit(anatomy.length_cm, Z)
    outflow = (math.cos(OUTFLOW) * cos + math.sin(OUTFLOW) * sin - 0.5).clamp_min(0) * 7.0
    beyond = Z - fit(rv_base_cm(anatomy), Z)
    width = width * (1 - 0.7 * (beyond.clamp_min(0) / (outflow + 0.3)).square().clamp_max(1))
    across = torch.maximum(radius - septum - width, septum - radius) * 0.93
    return torch.maximum(across, beyond - outflow)


def _axes(angle: float) -> tuple[float, float]:
    return math.cos(angle), math.sin(angle)


def left_atrium_centre_cm(anatomy: AnatomyParameters) -> Tensor:
    """[b, 3] in heart coordinates."""
    back = 0.5 * anatomy.la_depth_cm - 0.64 * base_radius_cm(anatomy)
    side = -0.03 * anatomy.la_width_cm
    (bx, by), (sx, sy) = _axes(BACKWARDS), _axes(SIDEWAYS)
    z = anatomy.length_cm + 0.42 * anatomy.la_height_cm
    return torch.stack((back * bx + side * sx, back * by + side * sy, z), -1)


def right_atrium_centre_cm(anatomy: AnatomyParameters) -> Tensor:
    """[b, 3]: beyond the atrial septum, towards phi = 210 degrees."""
    tx, ty = _axes(math.radians(210))
    out = base_radius_cm(anatomy) + 0.2 + 0.5 * anatomy.ra_width_cm
    z = rv_base_cm(anatomy) + 0.40 * anatomy.ra_height_cm
    return torch.stack((out * tx, out * ty, z), -1)


def _box(
    centre: Tensor, along: float, halves: tuple[Tensor, Tensor, Tensor], wobble: Tensor, X: Tensor, Y: Tensor, Z: Tensor
) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor], Tensor]:
    """Level of a rounded box (1 on its surface), its own coordinates p, q, r, and how fast the level rises per cm."""
    c, s = _axes(along)
    dx, dy, dz = (place - fit(centre[:, i], Z) for i, place in enumerate((X, Y, Z)))
    p = (dx * c + dy * s) / fit(halves[0], Z)
    q = (dy * c - dx * s) / fit(halves[1], Z)
    r = dz / fit(halves[2], Z)
    square = [value * value for value in (p, q, r)]
    total = square[0] + square[1] + square[2] + 1e-6
    level = sum(value * (value + 1e-9).sqrt().sqrt() for value in square).pow(0.4)  # exponent 2.5
    gentle = 1 / (1 + total)  # so that the wobble stays bounded far away
    bent = (p * r * fit(wobble[:, 0], Z) + q * r * fit(wobble[:, 1], Z) + p * q * fit(wobble[:, 2], Z)) * gentle
    level = level * (1 + 0.22 * bent)
    steep = sum(value / fit(half * half, Z) for value, half in zip(square, halves, strict=True))
    return level, (p, q, r), (steep / total).sqrt().clamp_min(0.05)


def _behind(ring: Annulus, box: Tensor, X: Tensor, Y: Tensor, Z: Tensor) -> Tensor:
    """An atrium's `box` [b, ...] made to open from its valve's ring, beside which it would else stand out square.

    It opens as a funnel: an ellipse a little wider than the ring that grows with the distance from the valve. Where
    funnel and box meet, the surface is rounded.
    """
    offset = [place - fit(ring.centre[:, i], Z) for i, place in enumerate((X, Y, Z))]
    square, slope = 0, 0
    for axis in (ring.first, ring.second):
        half = axis.norm(dim=-1) * FUNNEL_WIDER
        part = sum(o * fit(axis[:, i] * (FUNNEL_WIDER / half.square()), Z) for i, o in enumerate(offset))
        square = square + part.square()
        slope = slope + (part / fit(half, Z)).square()
    level = (square + 1e-6).sqrt()
    beside = (level - 1) * level * (slope + 1e-6).rsqrt()  # cm outside the ellipse
    funnel = (beside - FUNNEL * offset[2].clamp_min(0)) * (1 + FUNNEL * FUNNEL) ** -0.5
    return -smooth_minimum(-box, -funnel, FUNNEL_BLEND_CM)


def left_atrium(anatomy: AnatomyParameters, X: Tensor, Y: Tensor, Z: Tensor, aortic: Tensor | None = None) -> Tensor:
    """The left atrium behind the mitral annulus, with the mouths of its veins and of its appendage.

    `aortic` may be given where the distances to the aorta are known.
    """
    halves = (0.5 * anatomy.la_depth_cm, 0.5 * anatomy.la_width_cm, 0.60 * anatomy.la_height_cm)
    centre = left_atrium_centre_cm(anatomy)
    level, (p, q, r), steep = _box(centre, BACKWARDS, halves, anatomy.atrial_wobble[:, :3], X, Y, Z)
    size = (p * p + q * q + r * r + 1e-6).sqrt()
    for angle, elevation in VEINS:
        turn, up = math.radians(angle) - BACKWARDS, math.radians(elevation)
        toward = (p * (math.cos(turn) * math.cos(up)) + q * (math.sin(turn) * math.cos(up)) + r * math.sin(up)) / size
        mouth = ((toward - 0.945) * (1 / 0.055)).clamp_min(0)
        level = level - mouth * fit(0.26 * anatomy.veins, Z)
    distance = _behind(mitral_annulus(anatomy), (level - 1) / steep, X, Y, Z)
    distance = torch.maximum(distance, fit(anatomy.length_cm, Z) - Z)
    aortic = aorta(anatomy, X, Y, Z) if aortic is None else aortic
    return torch.maximum(distance, 0.25 - aortic)  # the aorta lies in front and dents it


def right_atrium(anatomy: AnatomyParameters, X: Tensor, Y: Tensor, Z: Tensor, left: Tensor | None = None) -> Tensor:
    """The right atrium behind the tricuspid annulus; the atrial septum is all that parts it from the left one.

    `left` may be given where the distances to the left atrium are known.
    """
    inward = 0.6  # how far its box would reach into the left atrium
    half = 0.5 * (anatomy.ra_width_cm + inward)
    halves = (half, 0.55 * anatomy.ra_width_cm, 0.62 * anatomy.ra_height_cm)
    centre = right_atrium_centre_cm(anatomy)
    tx, ty = _axes(math.radians(210))
    centre = centre - 0.5 * inward * centre.new_tensor((tx, ty, 0.0))
    level, _, steep = _box(centre, math.radians(210), halves, anatomy.atrial_wobble[:, 3:], X, Y, Z)
    distance = _behind(tricuspid_annulus(anatomy), (level - 1) / steep, X, Y, Z)
    distance = torch.maximum(distance, fit(rv_base_cm(anatomy), Z) - Z)
    left = left_atrium(anatomy, X, Y, Z) if left is None else left
    return torch.maximum(distance, fit(anatomy.atrial_septum_cm, Z) - left)


def aorta(anatomy: AnatomyParameters, X: Tensor, Y: Tensor, Z: Tensor) -> Tensor:
    """The aortic root: from the valve through its sinuses upwards, leaning towards the breastbone."""
    ring = aortic_annulus(anatomy)
    dx, dy, dz = (place - fit(ring.centre[:, i], Z) for i, place in enumerate((X, Y, Z)))
    up = sum(d * fit(ring.normal[:, i], Z) for i, d in enumerate((dx, dy, dz)))
    off = (dx * dx + dy * dy + dz * dz - up * up).clamp_min(1e-6).sqrt()
    radius = fit(anatomy.aorta_cm, Z) * _root_radius(up)
    return torch.maximum(off - radius, fit(anatomy.length_cm, Z) - Z)


def _root_radius(up: Tensor) -> Tensor:
    """Radius of the aortic root `up` cm above its valve, relative to its diameter."""
    bulge = (1 - ((up - SINUS_CM) * (1 / 1.25)).square()).clamp_min(0)
    return 0.37 + 0.06 * (up * 0.5).clamp(0, 1) + 0.09 * bulge


def aortic_sinus(anatomy: AnatomyParameters) -> tuple[Tensor, Tensor]:
    """Middle [b, 3] and radius [b] of the aortic root where it is widest."""
    ring = aortic_annulus(anatomy)
    up = torch.full_like(anatomy.aorta_cm, SINUS_CM)
    return ring.centre + SINUS_CM * ring.normal, anatomy.aorta_cm * _root_radius(up)


def chambers(anatomy: AnatomyParameters, X: Tensor, Y: Tensor, Z: Tensor) -> tuple[Tensor, ...]:
    """Distances to right ventricle, right atrium, left atrium and aorta."""
    aortic = aorta(anatomy, X, Y, Z)
    left = left_atrium(anatomy, X, Y, Z, aortic)
    return rv_cavity(anatomy, X, Y, Z), right_atrium(anatomy, X, Y, Z, left), left, aortic


@dataclass(frozen=True)
class Annulus(Batch):
    """A valve's ring in the reference heart, an ellipse in space; every tensor is [b, 3] in cm.

    Points of the ring are `centre + cos(a) * first + sin(a) * second`.
    """

    centre: Tensor
    first: Tensor  # half-axis
    second: Tensor  # half-axis
    normal: Tensor  # unit vector, where the blood goes


def _ring(centre: Tensor, first: Tensor, second: Tensor) -> Annulus:
    normal = torch.linalg.cross(first, second)
    return Annulus(centre, first, second, normal / normal.norm(dim=-1, keepdim=True))


def _vector(angle: float, length: Tensor, z: Tensor) -> Tensor:
    """[b, 3]: `length` [b] towards phi = `angle`, at height z [b]."""
    return torch.stack((length * math.cos(angle), length * math.sin(angle), z.expand_as(length)), -1)


def mitral_annulus(anatomy: AnatomyParameters) -> Annulus:
    """`first` points from its middle to the hinge of the anterior leaflet, which it shares with the aorta."""
    base = base_radius_cm(anatomy)
    centre = _vector(BACKWARDS, 0.26 * base, anatomy.length_cm) - _vector(SIDEWAYS, 0.04 * base, 0 * base)
    return _ring(centre, _vector(BACKWARDS, -0.68 * base, 0 * base), _vector(SIDEWAYS, 0.92 * base, 0 * base))


def aortic_annulus(anatomy: AnatomyParameters) -> Annulus:
    """Its `first` points towards the breastbone; beside the hinge of the anterior mitral leaflet."""
    radius, lean = 0.37 * anatomy.aorta_cm, anatomy.aorta_lean_rad
    forward = BACKWARDS + math.pi
    away = 0.42 * base_radius_cm(anatomy) + 0.06 + radius
    centre = _vector(forward, away, anatomy.length_cm + 0.1)
    first = _vector(forward, radius * lean.cos(), -radius * lean.sin())
    return _ring(centre, first, -_vector(SIDEWAYS, radius, torch.zeros_like(radius)))


def tricuspid_annulus(anatomy: AnatomyParameters) -> Annulus:
    """Its `first` points from its middle to the right ventricle's free wall."""
    angle, length = math.radians(206), rv_base_cm(anatomy)
    cos, sin = (torch.full_like(length, value) for value in _axes(angle))
    septum = epicardial_radius_squared(anatomy, cos, sin, length).sqrt()
    half = 0.5 * anatomy.rv_width_cm * right_ventricle_around(cos, sin)
    first, second = _vector(angle, half, 0 * half), _vector(angle + 0.5 * math.pi, 1.15 * half, 0 * half)
    return _ring(_vector(angle, septum + half, length), first, -second)
