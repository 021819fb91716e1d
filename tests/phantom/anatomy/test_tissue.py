"""The painted heart: dark blood, bright walls where the beam meets them squarely, the same paint for the same seed."""

import math

import pytest
import torch
from torch import Generator, Tensor

from echopulse.phantom.anatomy import shapes
from echopulse.phantom.anatomy.heart import draw_anatomy
from echopulse.phantom.anatomy.planes import draw_probe, picture_depth_cm, reference_cut
from echopulse.phantom.anatomy.tissue import paint_tissue
from echopulse.phantom.patient import draw_patients
from echopulse.phantom.types import VIEWS

SIZE = (48, 56)


def painted(
    view: str, n: int = 1, seed: int = 0, rows: slice = slice(None), planes: int = 1, apart_cm: float = 0.5, **pinned
):
    """Decibels of the tissue, its map, and the points that were painted."""
    generator = Generator().manual_seed(seed)
    patients = draw_patients(n, generator, "clinical", **pinned)
    anatomy = draw_anatomy(patients, generator)
    probe = draw_probe(anatomy, patients, generator, "easy", view=view).rows(rows)
    patients, anatomy = patients.rows(rows), anatomy.rows(rows)
    plane, depth = reference_cut(anatomy, probe), picture_depth_cm(anatomy, probe)
    y = torch.linspace(0, 1, SIZE[0]) * depth[:, None]
    x = torch.linspace(-0.7, 0.7, SIZE[1]) * depth[:, None]
    offsets = apart_cm * torch.arange(planes)[:, None, None, None]
    points = plane.origin[:, :, None, None] + x[:, None, None, :, None] * plane.right[:, :, None, None]
    points = points + y[:, None, :, None, None] * plane.down[:, :, None, None]
    points = (points + offsets * plane.normal[:, :, None, None]).unbind(-1)
    generators = [Generator().manual_seed(100 + i) for i in range(n)][rows]
    paint = paint_tissue(anatomy, patients, plane, *points, generators)
    return 8.6859 * paint[:, 0].log(), paint, anatomy, points


def in_wall(anatomy, points, margin: float = 0.25) -> Tensor:
    middle = torch.maximum(shapes.epicardium(anatomy, *points), -shapes.lv_cavity(anatomy, *points))
    return (middle < -margin) & (points[2] < 0.9 * anatomy.length_cm[:, None, None, None])


@pytest.mark.parametrize("view", VIEWS)
def test_blood_is_dark_and_muscle_bright_in_every_view(view):
    level, paint, anatomy, points = painted(view, planes=2, pathology="healthy")
    assert paint.shape == (1, 3, 2, *SIZE) and paint.isfinite().all()
    cavity = shapes.lv_cavity(anatomy, *points) < -0.6
    assert level[in_wall(anatomy, points)].median() > level[cavity].median() + 15


def test_speckle_has_the_power_of_the_clean_amplitude():
    _, paint, *_ = painted("a4c")
    clean, real, imaginary = paint[0]
    power = (real**2 + imaginary**2) / clean**2
    assert 0.9 < power.mean() < 1.1


def test_walls_that_the_beam_runs_along_are_dimmer_than_those_it_meets_squarely():
    across, along = [], []
    for seed in range(4):
        level, _, anatomy, points = painted("psax_papillary", seed=seed, pathology="healthy")
        u, v = shapes.round_section(anatomy, *points)
        wall, steep = in_wall(anatomy, points), v.abs() / (u.abs() + v.abs())
        across.append(level[wall & (steep > 0.75)].mean())
        along.append(level[wall & (steep < 0.25)].mean())
    assert torch.stack(across).mean() > torch.stack(along).mean() + 1


def test_no_tissue_closes_the_mitral_orifice():
    patients = draw_patients(40, Generator().manual_seed(3))
    anatomy = draw_anatomy(patients, Generator().manual_seed(4))
    probe = draw_probe(anatomy, patients, Generator().manual_seed(5), "easy", view="a3c")
    plane = reference_cut(anatomy, probe)
    ring = shapes.mitral_annulus(anatomy)
    rise = torch.linspace(-0.5, 0.5, 11)[:, None] * torch.ones(5)
    points = [ring.centre[:, i, None, None, None] + rise * float(i == 2) for i in range(3)]
    spread = torch.linspace(-0.4, 0.4, 5)
    points = [p + spread * ring.first[:, i, None, None, None] for i, p in enumerate(points)]
    grains = [Generator().manual_seed(100 + i) for i in range(40)]
    level = 8.6859 * paint_tissue(anatomy, patients, plane, *points, grains)[:, 0].log()
    assert (level < anatomy.myocardium_db[:, None, None, None] - 12).all()


def test_a_plane_that_grazes_the_aortic_root_shows_no_ring_in_the_left_atrium():
    levels = []
    for seed in range(6):
        level, _, anatomy, points = painted("a4c", seed=seed, planes=2, apart_cm=-0.6, pathology="healthy")
        aortic, up = shapes.aorta(anatomy, *points)[:, 1], points[2][:, 1] - anatomy.length_cm
        levels.append(level[:, 1][(aortic < 0.3) & (up > 0.6) & (up < 2.5)] - anatomy.myocardium_db)
    assert len(torch.cat(levels)) > 20 and float(torch.cat(levels).quantile(0.9)) < -15


def test_a_scar_is_brighter_than_the_muscle_it_replaces():
    pins = {"pathology": "ischaemic", "territory": "lad", "territory_motion": 0.0}
    change = []
    for scar in (0.0, 0.9):
        level, _, anatomy, points = painted("psax_papillary", scar=scar, **pins)
        u, v = shapes.round_section(anatomy, *points)
        radius = (u * u + v * v).sqrt()
        angle = math.radians(112)
        front = (u * math.cos(angle) + v * math.sin(angle)) / radius > 0.8
        change.append(level[in_wall(anatomy, points, 0.12) & front].mean())
    assert change[1] > change[0] + 2


def test_same_generator_same_paint_whatever_the_batch():
    _, both, *_ = painted("a2c", n=2)
    _, second, *_ = painted("a2c", n=2, rows=slice(1, 2))
    assert torch.equal(both[1:], second)
    generators = [painted("a2c", seed=seed)[1] for seed in (0, 1)]
    assert not torch.equal(*generators)


def test_extreme_hearts_are_painted_without_a_gap():
    for ef, edv in ((0.08, 420.0), (0.82, 40.0)):
        for view in ("a4c", "plax", "psax_apical"):
            _, paint, *_ = painted(view, ef=ef, edv_ml=edv)
            assert paint.isfinite().all() and paint[:, 0].amax() <= 1
