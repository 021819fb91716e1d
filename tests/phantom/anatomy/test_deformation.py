"""The heart's volume is exact whatever its walls do, its muscle keeps its own, and tissue can be followed."""

import math
from dataclasses import replace

import pytest
import torch

from echopulse.phantom.anatomy.deformation import material_points, spatial_points
from echopulse.phantom.anatomy.shapes import epicardium, lv_cavity, rv_cavity, true_section
from echopulse.phantom.anatomy.wall import heart_shape, section

TROUBLE = {"territory": ["lad", "lcx", "rca", "lad", "lcx", "none"], "territory_motion": -0.5, "scar": 1.0}


def cloud(n: int, count: int, seed: int = 0) -> tuple[torch.Tensor, ...]:
    place = torch.rand(3, n, 1, count, generator=torch.Generator().manual_seed(seed))
    return 10 * place[0] - 5, 10 * place[1] - 5, 9.5 * place[2] - 1


def voxels(length: torch.Tensor, reach: float, n: int = 64) -> tuple[tuple[torch.Tensor, ...], float]:
    """Points [1, 1, n, n, n] from above the apex to the annulus plane, and the volume of each."""
    axis, z = ((torch.arange(n) + 0.5) / n * 2 - 1) * reach, (torch.arange(n) + 0.5) / n * (length + 1.5) - 1.5
    Z, Y, X = torch.meshgrid(z, axis, axis, indexing="ij")
    return (X[None, None], Y[None, None], Z[None, None]), float((2 * reach / n) ** 2 * (length + 1.5) / n)


def test_at_nominal_end_diastole_with_full_atria_nothing_is_displaced(hearts):
    anatomy, motion, _ = hearts(**TROUBLE)
    X, Y, Z = cloud(6, 3000)
    now = material_points(anatomy, heart_shape(anatomy, motion), motion, 1.6 * X, 1.6 * Y, 1.6 * Z)
    for place, found in zip((X, Y, Z), now, strict=True):
        assert torch.allclose(found[:, 0], 1.6 * place[:, 0], atol=1e-4)


def test_cavity_holds_the_motions_volume_and_the_wall_keeps_its_own(hearts):
    anatomy, motion, _ = hearts(t=3, **TROUBLE)
    shape = heart_shape(anatomy, motion)
    for i, reach in ((0, 7.2), (2, 6.2), (5, 4.6)):
        muscle = []
        own = anatomy.rows(slice(i, i + 1))
        for k in (0, 1):
            form, move = (part.rows(slice(i, i + 1)).between(slice(k, k + 1)) for part in (shape, motion))
            points, each = voxels(shape.length_cm[i, k], reach)
            place = [value[:, 0] for value in material_points(own, form, move, *points)]
            cavity = lv_cavity(own, *place) < 0
            muscle.append(float((epicardium(own, *place) < 0).sum() - cavity.sum()) * each)
            assert float(cavity.sum()) * each == pytest.approx(float(motion.volume_ml[i, k]), rel=0.008, abs=0.1)
        assert muscle[1] == pytest.approx(muscle[0], rel=0.01)


@pytest.mark.parametrize("ef", [0.1, 0.45, 0.8])
@pytest.mark.parametrize("edv_ml", [40.0, 120.0, 350.0])
def test_no_wall_turns_inside_out_however_badly_it_moves(hearts, ef, edv_ml):
    anatomy, motion, _ = hearts(ef=ef, edv_ml=edv_ml, **TROUBLE)
    motion = replace(motion, dyssynchrony=torch.tensor([0, 2.0, -2.0, 0.5, 1.0]).expand(6, 5))
    shape = heart_shape(anatomy, motion)
    angle = torch.linspace(0, 2 * math.pi, 24)[:, None].expand(6, 5, 24, 20)
    z0 = torch.linspace(0.02, 1, 20) * anatomy.length_cm[:, None, None, None]
    now = section(anatomy, shape, angle.cos(), angle.sin(), z0.expand(6, 5, 24, 20), 1 + 0 * angle)
    assert bool((now.square > 0).all()) and bool((now.outer0**2 > now.square0).all())
    for found in material_points(anatomy, shape, motion, *cloud(6, 500)):
        assert bool(torch.isfinite(found).all())


def test_tissue_of_ventricle_and_wall_is_found_again_exactly(hearts):
    anatomy, motion, _ = hearts(**TROUBLE)
    shape, points = heart_shape(anatomy, motion), cloud(6, 4000)
    there = spatial_points(anatomy, shape, motion, *points)
    back = material_points(anatomy, shape, motion, *there)
    error = sum((a - b) ** 2 for a, b in zip(back, points, strict=True)).sqrt()
    flat = [value[:, 0] for value in points]
    wall = (epicardium(anatomy, *flat) < 0)[:, None].expand_as(error)
    right = (rv_cavity(anatomy, *flat) < 0)[:, None].expand_as(error)
    assert float(error[wall].max()) < 1e-3 and float(error[right].quantile(0.98)) < 0.05


def test_a_healthy_beat_thickens_the_wall_and_brings_down_the_base_as_in_life(hearts):
    anatomy, motion, _ = hearts(n=24, t=3, ef=torch.linspace(0.55, 0.65, 24), edv_ml=120.0, pathology="healthy",
                                territory="none", wall=1.0, sphericity=1.0)  # fmt: skip
    shape = heart_shape(anatomy, motion)
    descent = shape.length_cm[:, 0] - shape.length_cm[:, 1]
    assert bool(((descent > 1.0) & (descent < 1.7)).all())
    Z0 = 0.55 * anatomy.length_cm[:, None, None]
    cos, sin = torch.tensor([1.0, 0.0])[None, None], torch.tensor([0.0, 1.0])[None, None]
    here = section(anatomy, shape, cos.expand(24, 3, 2), sin.expand(24, 3, 2), Z0.expand(24, 3, 2), _sigma(shape))
    thickness = here.outer - here.square.sqrt()
    gain = (thickness[:, 1] / thickness[:, 0] - 1).mean(1)
    assert 0.40 < float(gain.median()) < 0.56 and bool(((gain > 0.28) & (gain < 0.66)).all())


def _sigma(shape):
    return (1 + shape.stretch)[..., None].expand(-1, -1, 2)


def test_the_apex_stays_and_the_base_moves(hearts):
    anatomy, motion, _ = hearts(n=4, ef=0.65, edv_ml=130.0)
    shape = heart_shape(anatomy, motion)
    part = torch.tensor([-0.3, 0.0]).expand(4, 1, 2)
    X, Y = true_section(anatomy, 0 * part, 0 * part, part)
    apex = torch.stack(spatial_points(anatomy, shape, motion, X, Y, part), -1)
    assert float((apex - apex[:, :1]).norm(dim=-1).max()) < 0.3


def test_an_akinetic_territory_stands_still_while_the_rest_moves(hearts):
    anatomy, motion, _ = hearts(n=2, t=3, ef=0.35, edv_ml=160.0, territory="lad", territory_motion=0.0, scar=0.5)
    shape = heart_shape(anatomy, motion)
    angle = torch.tensor([112.0, 292.0]).deg2rad().expand(2, 3, 2)
    z0 = (0.5 * anatomy.length_cm)[:, None, None].expand(2, 3, 2)
    radius = section(anatomy, shape, angle.cos(), angle.sin(), z0, _sigma(shape)).square.sqrt()
    inward = 1 - radius[:, 1] / radius[:, 0]
    assert bool((inward[:, 0].abs() < 0.07).all()) and bool((inward[:, 1] > 0.15).all())


def test_the_apex_turns_counterclockwise_and_the_base_the_other_way(hearts):
    anatomy, motion, _ = hearts(n=2, t=3, bend_x_cm=0.0, bend_y_cm=0.0, ovality=1.0)
    motion = replace(motion, volume_ml=motion.volume_ml[:, :1].expand(-1, 3), dyssynchrony=0 * motion.dyssynchrony)
    shape = heart_shape(anatomy, motion)
    Z0 = torch.tensor([0.1, 0.95]) * anatomy.length_cm[:, None, None]
    _, Y, _ = spatial_points(anatomy, shape, motion, torch.ones(2, 1, 2), torch.zeros(2, 1, 2), Z0)
    assert bool((Y[:, 1, 0] > 0.05).all()) and bool((Y[:, 1, 1] < -0.03).all())
