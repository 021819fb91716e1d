"""The reference heart's chambers are where anatomy has them, and their distances are distances."""

import math

import pytest
import torch

from echopulse.phantom.anatomy import shapes


def points(n: int, count: int = 4000, seed: int = 0) -> tuple[torch.Tensor, ...]:
    place = torch.rand(3, n, count, generator=torch.Generator().manual_seed(seed))
    return 14 * place[0] - 7, 14 * place[1] - 7, 17 * place[2] - 2


def test_the_round_section_is_turned_back_exactly(hearts):
    anatomy, *_ = hearts()
    X, Y, Z = points(6)
    back = shapes.true_section(anatomy, *shapes.round_section(anatomy, X, Y, Z), Z)
    assert torch.allclose(back[0], X, atol=1e-5) and torch.allclose(back[1], Y, atol=1e-5)


def test_the_reference_cavity_holds_the_end_diastolic_volume(hearts):
    anatomy, *_ = hearts(n=3)
    axis, z = (torch.arange(70) + 0.5) / 70 * 11 - 5.5, (torch.arange(60) + 0.5) / 60
    Z, Y, X = torch.meshgrid(z, axis, axis, indexing="ij")
    Z = Z * anatomy.length_cm[:, None, None, None]
    inside = shapes.lv_cavity(anatomy, X.expand_as(Z), Y.expand_as(Z), Z) < 0
    volume = inside.flatten(1).sum(1) * (11 / 70) ** 2 * anatomy.length_cm / 60
    assert torch.allclose(volume, anatomy.edv_ml, rtol=5e-3)


@pytest.mark.parametrize("name", ["lv_cavity", "epicardium", "rv_cavity", "left_atrium", "right_atrium", "aorta"])
def test_distances_rise_by_about_a_centimetre_per_centimetre_near_the_surface(hearts, name):
    anatomy, *_ = hearts(n=3, seed=2)
    X, Y, Z = points(3, 60000)
    distance, step = getattr(shapes, name), 0.02
    here = distance(anatomy, X, Y, Z)
    moves = ((step, 0, 0), (0, step, 0), (0, 0, step))
    rise = [(distance(anatomy, X + dx, Y + dy, Z + dz) - here) / step for dx, dy, dz in moves]
    steepness = torch.stack(rise).norm(dim=0)[here.abs() < 0.15]
    assert len(steepness) > 200 and 0.8 < float(steepness.median()) < 1.2


def test_chambers_lie_where_they_belong(hearts):
    anatomy, *_ = hearts(n=8, ef=0.6, edv_ml=120.0, pathology="healthy")

    def at(chamber, angle: float, radius: float, z) -> torch.Tensor:
        Z = (z * anatomy.length_cm + 0 * anatomy.tau)[:, None]
        X, Y = torch.full_like(Z, radius * math.cos(angle)), torch.full_like(Z, radius * math.sin(angle))
        return (chamber(anatomy, X, Y, Z) < 0)[:, 0]

    septal, lateral = math.radians(200), math.radians(20)
    wall = shapes.half_width_cm(anatomy) + anatomy.wall_cm * anatomy.septal_ratio
    assert at(shapes.rv_cavity, septal, float(wall.max()) + 0.8, 0.7).all()
    assert not at(shapes.rv_cavity, lateral, float(wall.max()) + 0.8, 0.7).any()
    assert at(shapes.left_atrium, 0.0, 0.0, 1.22).all() and at(shapes.right_atrium, math.radians(210), 4.0, 1.15).all()
    aortic = shapes.aortic_annulus(anatomy)
    above = (aortic.centre + 1.0 * aortic.normal).unbind(-1)
    assert (shapes.aorta(anatomy, *above) < 0).all() and (shapes.left_atrium(anatomy, *above) > 0).all()


def test_atria_share_a_septum_and_do_not_overlap(hearts):
    anatomy, *_ = hearts()
    X, Y, Z = points(6, 20000)
    ventricle, right, left, aorta = shapes.chambers(anatomy, X, Y, Z)
    assert not ((right < 0) & (left < 0)).any() and not ((left < 0) & (aorta < 0)).any()
    in_ventricle = shapes.epicardium(anatomy, X, Y, Z) < 0
    assert not (in_ventricle & (left < 0)).any() and not (in_ventricle & (ventricle < 0)).any()


@pytest.mark.parametrize("side", ["left", "right"])
def test_an_atrium_opens_from_the_ring_of_its_valve_and_stands_out_beside_it_no_more(hearts, side):
    anatomy, *_ = hearts(n=8)
    atrium = getattr(shapes, f"{side}_atrium")
    ring = shapes.mitral_annulus(anatomy) if side == "left" else shapes.tricuspid_annulus(anatomy)
    turn = torch.linspace(0, 6.2, 24)[:, None]
    reach = torch.linspace(0, 3, 61)

    def farthest(above_cm: float) -> torch.Tensor:
        """How far the atrium goes to each side of the ring's middle, [hearts, sides], relative to the ring."""
        way = turn.cos() * ring.first[:, None] + turn.sin() * ring.second[:, None]
        places = ring.centre[:, None, None] + reach[:, None] * way[:, :, None]
        x, y, z = places.unbind(-1)
        return ((atrium(anatomy, x, y, z + above_cm) < 0) * reach).amax(2)

    near, far = farthest(0.4), farthest(2.0)
    assert float(near.max()) < 1.45 and float((far.amax(1) - near.amax(1)).min()) > 0.1


def test_rings_lie_in_the_base_and_look_where_the_blood_goes(hearts):
    anatomy, *_ = hearts()
    for name, direction in (("mitral", -1), ("tricuspid", -1), ("aortic", 1)):
        ring = getattr(shapes, f"{name}_annulus")(anatomy)
        assert (direction * ring.normal[:, 2] > 0.7).all()
        assert torch.allclose((ring.first * ring.second).sum(-1), torch.zeros(6), atol=1e-4)
        assert ((ring.centre[:, 2] - anatomy.length_cm).abs() < 0.5).all()
    mitral = shapes.mitral_annulus(anatomy)
    for turn in torch.linspace(0, 6, 12):
        rim = (mitral.centre + turn.cos() * mitral.first + turn.sin() * mitral.second)[..., :2].norm(dim=-1)
        assert (rim < 1.06 * shapes.base_radius_cm(anatomy)).all()


def test_a_scar_thins_the_wall_of_its_own_territory_only(hearts):
    scarred, *_ = hearts(territory="lad", scar=1.0, septal_ratio=1.0, seed=3)
    sound, *_ = hearts(territory="lad", scar=0.0, septal_ratio=1.0, seed=3)
    s = torch.full((6, 1), 0.6)
    for angle, low, high in ((112, 0.5, 0.62), (292, 0.97, 1.01)):
        cos, sin = (torch.full((6, 1), f(math.radians(angle))) for f in (math.cos, math.sin))
        ratio = shapes.wall_thickness(scarred, cos, sin, s) / shapes.wall_thickness(sound, cos, sin, s)
        assert ((ratio > low) & (ratio < high)).all()
