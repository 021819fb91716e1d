"""The simulated heart's shape is exact and its tissue moves as tissue does."""

import math
from dataclasses import replace

import pytest
import torch

from echopulse.errors import InputError
from echopulse.phantom.anatomy.heart import (
    draw_anatomy,
    epicardial_half_width_squared,
    inside_ventricle,
    lv_shape,
    material_coordinates,
    reference_half_width,
)
from echopulse.phantom.types import Motion


def beating(edv: torch.Tensor, ef: torch.Tensor, t: int = 9) -> Motion:
    """A cosine of a heart: end-diastole at the first frame, end-systole in the middle."""
    ejected = 0.5 - 0.5 * torch.cos(2 * math.pi * torch.arange(t) / (t - 1))
    spread = ejected.expand(len(edv), t).clone()
    volume, one = edv[:, None] * (1 - ef[:, None] * spread), torch.ones(len(edv), 1)
    return Motion(volume, 1 - spread, spread, spread, 1 - spread, edv, ef, 0 * one, one, edv[:, None], volume[:, -1:])


def hearts(n: int = 6, seed: int = 0, **pinned):
    generator = torch.Generator().manual_seed(seed)
    edv, ef = torch.linspace(45, 330, n), torch.linspace(0.75, 0.12, n)
    return draw_anatomy(n, generator, edv, ef, **pinned), beating(edv, ef)


def test_the_ellipsoid_holds_exactly_the_volume_asked_for():
    anatomy, motion = hearts()
    shape = lv_shape(anatomy, motion)
    part = (torch.arange(400) + 0.5) / 400
    along = part * (1 + anatomy.tau[:, None, None])
    radius_squared = shape.half_width_cm[..., None] ** 2 * along * (2 - along)
    volume = math.pi * (radius_squared * shape.length_cm[..., None] / 400).sum(-1)
    assert torch.allclose(volume, motion.volume_ml, rtol=2e-3)


def test_at_nominal_end_diastole_with_a_full_atrium_nothing_is_displaced():
    anatomy, motion = hearts()
    motion = replace(motion, la_volume=torch.ones_like(motion.la_volume))
    shape = lv_shape(anatomy, motion)
    w, z = torch.meshgrid(torch.linspace(-8, 8, 23), torch.linspace(-3, 14, 25), indexing="xy")
    w, z = w.expand(6, 1, -1, -1), z.expand(6, 1, -1, -1)
    w0, z0 = material_coordinates(anatomy, shape, motion, w, z)
    assert torch.allclose(w0[:, 0], w[:, 0], atol=1e-3) and torch.allclose(z0[:, 0], z[:, 0], atol=1e-3)


def test_cavity_stays_cavity_and_wall_stays_wall():
    anatomy, motion = hearts()
    shape = lv_shape(anatomy, motion)
    w, z = torch.meshgrid(torch.linspace(-5, 5, 60), torch.linspace(0.05, 8, 60), indexing="xy")
    w, z = w.expand(6, 9, -1, -1), z.expand(6, 9, -1, -1)
    w0, z0 = material_coordinates(anatomy, shape, motion, w, z)
    reference = type(shape)(shape.length_cm[:, :1].expand(6, 9), shape.half_width_cm[:, :1].expand(6, 9))
    now, then = inside_ventricle(anatomy, shape, w, z), inside_ventricle(anatomy, reference, w0, z0)
    assert (now == then).float().mean() > 0.999


def test_the_wall_thickens_in_systole_by_what_its_volume_demands():
    edv, ef = torch.tensor([120.0]), torch.tensor([0.62])
    anatomy = draw_anatomy(1, torch.Generator().manual_seed(1), edv, ef, wall_cm=0.95, shortening=0.17)
    motion = beating(edv, ef)
    shape = lv_shape(anatomy, motion)
    middle = shape.length_cm[0, 4] * 0.6
    w = torch.linspace(0, 6, 6001).expand(1, 9, 1, -1)
    w0, z0 = material_coordinates(anatomy, shape, motion, w, middle.expand(1, 9, 1, 6001))
    centre = anatomy.length_cm / (1 + anatomy.tau)
    outer = epicardial_half_width_squared(
        z0, reference_half_width(anatomy), centre, anatomy.wall_cm, anatomy.apical_wall_cm
    )
    systole = 4
    epicardium = w[0, systole, 0][w0[0, systole, 0] ** 2 <= outer[0, systole, 0]].max()
    along = middle / shape.length_cm[0, systole] * (1 + anatomy.tau[0])
    endocardium = shape.half_width_cm[0, systole] * (along * (2 - along)).sqrt()
    thickening = (epicardium - endocardium) / 0.95 - 1
    assert 0.25 < thickening < 0.65


def test_pinned_parameters_are_obeyed_and_unknown_ones_named():
    anatomy, _ = hearts(view="a2c", tilt_rad=0.1)
    assert anatomy.view_names == ("a2c",) * 6 and torch.all(anatomy.tilt_rad == 0.1)
    with pytest.raises(InputError, match="wall_cm"):
        hearts(walls=1.0)
    with pytest.raises(InputError, match="a4c, a2c"):
        hearts(view="plax")
