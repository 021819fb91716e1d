"""The ventricle's wall at every time: a cavity of exactly the volume asked for within a wall that keeps its own."""

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
    TERRITORY_MEAN,
    endocardial_profile,
    epicardial_radius_squared,
    fit,
    half_width_cm,
    right_ventricle_around,
    right_ventricle_down,
    territory_weight,
)
from echopulse.phantom.types import Batch, Motion, over_time

APEX_PART = 1 / 3  # of the length, over which the apex's rest gives way to the even shortening of the rest
BASE_REST = 0.3  # by how much less than elsewhere the cavity narrows at the annulus, which is fibrous
LEAST_SQUARE = 0.55  # no part of the endocardium comes closer to the axis than this share of the mean R^2
SEPTAL_LEAD = math.radians(195)  # middle of the wall that moves ahead in dyssynchrony


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

    length_cm: Tensor = over_time()  # [b, t], apex to annulus plane
    stretch: Tensor = over_time()  # [b, t], sigma - 1 beyond the apical part: by how much the reference is longer
    inward: Tensor = over_time()  # [b, t] cm^2, solved so that the volume is exact
    regional: Tensor = over_time()  # [b, t], 1; less where all of the difference would turn the cavity inside out
    lead: Tensor = over_time()  # [b, t] cm^2, how far the septum is ahead, negative where ahead
    half_width_cm: Tensor  # [b], A: of the reference heart at its widest


def reference_depth(v: Tensor, stretch: Tensor) -> Tensor:
    """(z0 - z) / L at v = z / L in 0..1."""
    low = v.clamp_max(APEX_PART)
    return (low * (0.5 / APEX_PART)).sub_(1).mul_(low).add_(v) * stretch


def _base_rest(s: Tensor) -> Tensor:
    return (s * s).mul_(s).square_().mul_(BASE_REST)


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
    s = (v + reference_depth(v, stretch[..., None])) * shrink[..., None]  # [b, t, nodes]
    profile = endocardial_profile(s, anatomy.tau[:, None, None], anatomy.bullet[:, None, None]) * weights
    apical = (1 - s * (1 / APICAL_PART)).clamp(0, 1).square()
    fed = length.new_tensor(TERRITORY_APEX)[anatomy.territory][:, None, None]
    weight = TERRITORY_MEAN + apical * (fed - TERRITORY_MEAN)  # mean of `territory_weight` around the section
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
class Section:
    """Radii in the round section, in cm, of material at angle phi (cos, sin) and depth z0; tensors are [b, t, ...]."""

    square: Tensor  # R^2 of the cavity now
    square0: Tensor  # R0^2, in the reference heart
    growth: Tensor  # R0^2 / R^2
    outer: Tensor  # of the epicardium now
    outer0: Tensor
    right0: Tensor  # width of the right ventricle in the reference heart
    around: Tensor  # of the right ventricle, relative to its middle; 0 beside it


def section(
    anatomy: AnatomyParameters, shape: HeartShape, cos: Tensor, sin: Tensor, z0: Tensor, sigma: Tensor
) -> Section:
    """The radii of tissue at angle phi and depth z0 of the reference heart; `sigma` is dz0/dz there."""
    s = (z0 * fit(1 / anatomy.length_cm, z0)).clamp_(0, 1)
    territory = territory_weight(anatomy, cos, sin, s)
    local = _base_rest(s).neg_().add_(1)
    weaker = fit(1 - anatomy.territory_motion.clamp_max(1), z0)
    weight = (territory * weaker).sub_(1).mul_(local)  # the regional weight minus 1
    ahead = (cos * math.cos(SEPTAL_LEAD)).add_(sin, alpha=math.sin(SEPTAL_LEAD)).mul_(local)
    reference = fit(shape.half_width_cm * shape.half_width_cm, z0)
    held = shape.inward * shape.regional
    now = torch.addcmul(reference + fit(held - shape.inward, z0), weight, fit(held, z0))
    now = now.addcmul_(ahead, fit(shape.lead, z0))
    profile = endocardial_profile(s, fit(anatomy.tau, z0), fit(anatomy.bullet, z0))
    square, square0 = profile * now, profile * reference
    outer0 = epicardial_radius_squared(anatomy, cos, sin, z0, territory).clamp_min_(1e-4)
    outer = torch.addcmul(square, outer0 - square0, sigma).clamp_min_(1e-4)
    around = right_ventricle_around(cos, sin).clamp_min_(0)
    right0 = right_ventricle_down(s).mul_(around).mul_(fit(anatomy.rv_width_cm, z0))
    return Section(square, square0, reference / now, outer.sqrt_(), outer0.sqrt_(), right0, around)
