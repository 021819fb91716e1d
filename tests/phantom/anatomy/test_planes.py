"""Every view cuts the same heart where an examiner would, off axis only as far as asked for."""

import math
from dataclasses import replace

import pytest
import torch

from echopulse.errors import InputError
from echopulse.phantom.anatomy.planes import VIEW_ANGLES, cut, draw_probe, heart_points, picture_depth_cm, reference_cut
from echopulse.phantom.anatomy.shapes import aorta, epicardium, lv_cavity, rv_cavity
from echopulse.phantom.types import VIEWS

TRUE = {"foreshortening": 0.0, "off_axis": 0.0}


@pytest.fixture
def probes(hearts):
    def make(prior: str = "clinical", n: int = 6, **pinned):
        anatomy, _, patients = hearts(n=n)
        return anatomy, draw_probe(anatomy, patients, torch.Generator().manual_seed(1), prior, **pinned)

    return make


def test_views_are_pinned_by_name_names_or_index(probes):
    _, probe = probes(view="psax")
    assert probe.view.tolist() == [VIEWS.index("psax_papillary")] * 6
    _, probe = probes(view=["a4c", "a2c", "a3c", "plax", "psax_mitral", "psax_apical"])
    assert [VIEWS[i] for i in probe.view.tolist()] == ["a4c", "a2c", "a3c", "plax", "psax_mitral", "psax_apical"]
    with pytest.raises(InputError, match="plax"):
        probes(view="selfie")
    with pytest.raises(InputError, match="depth_cm lies between 6 and 30"):
        probes(depth_cm=2)


def test_without_a_pin_all_views_turn_up(probes):
    _, probe = probes(n=120)
    assert set(probe.view.tolist()) == set(range(len(VIEWS)))


@pytest.mark.parametrize("view", ["a4c", "a2c", "a3c", "plax"])
def test_a_true_long_axis_plane_holds_the_whole_axis(probes, view):
    anatomy, probe = probes(view=view, **TRUE)
    plane = reference_cut(anatomy, probe)
    for part in (0.0, 0.5, 1.0):
        point = torch.zeros(6, 3) + torch.tensor([0.0, 0.0, 1.0]) * (part * anatomy.length_cm)[:, None]
        off = ((point - plane.origin[:, 0]) * plane.normal[:, 0]).sum(-1)
        assert torch.allclose(off, torch.zeros(6), atol=1e-4)


@pytest.mark.parametrize("view", VIEWS)
def test_right_and_down_are_perpendicular_and_point_where_the_view_has_them(probes, view):
    anatomy, probe = probes(view=view, prior="easy", tilt_rad=0.0, roll_rad=0.0)
    plane = reference_cut(anatomy, probe)
    right, down = plane.right[0, 0], plane.down[0, 0]
    assert float((right * down).sum()) == pytest.approx(0, abs=1e-5) and float(right.norm()) == pytest.approx(1)
    angle = VIEW_ANGLES[view]
    if angle is None:
        wanted = ((1.0, 0.0, 0.0), (0.0, -1.0, 0.0))
    elif view == "plax":
        wanted = ((0.0, 0.0, 1.0), (-math.cos(angle), -math.sin(angle), 0.0))
    else:
        wanted = ((math.cos(angle), math.sin(angle), 0.0), (0.0, 0.0, 1.0))
    assert torch.allclose(right, torch.tensor(wanted[0]), atol=1e-5)
    assert torch.allclose(down, torch.tensor(wanted[1]), atol=1e-5)


def test_a_foreshortened_ventricle_looks_shorter(probes):
    anatomy, true = probes(view="a4c", prior="easy")
    short = replace(true, foreshortening=torch.full((6,), 0.2))
    column = torch.linspace(0, 20, 800)[None, :, None].expand(6, -1, 41)
    row = torch.linspace(-3, 3, 41)[None, None, :].expand(6, 800, -1)
    extent = []
    for probe in (true, short):
        points = heart_points(reference_cut(anatomy, probe), row, column)
        extent.append((lv_cavity(anatomy, *(value[:, 0] for value in points)) < 0).any(2).sum(1) * 20 / 800)
    apparent = extent[1] / extent[0]
    assert bool((apparent < 0.98).all()) and 0.8 < float(apparent.mean()) < 0.94


@pytest.mark.parametrize("view", VIEWS)
def test_the_probe_stands_outside_the_heart_and_sees_the_ventricle_within_its_depth(probes, view):
    anatomy, probe = probes(view=view, **TRUE)
    plane, depth = reference_cut(anatomy, probe), picture_depth_cm(anatomy, probe)
    skin = [value[:, :, None] for value in plane.origin.unbind(-1)]
    skin = [value[:, 0] for value in skin]
    assert bool((epicardium(anatomy, *skin) > 0).all()) and bool((rv_cavity(anatomy, *skin) > 0).all())
    part = torch.linspace(0, 1, 60)
    y = part[None, :, None] * depth[:, None, None] + torch.zeros(6, 60, 40)
    x = y * torch.linspace(-0.7, 0.7, 40)
    seen = lv_cavity(anatomy, *(value[:, 0] for value in heart_points(plane, x, y))) < 0
    assert bool((seen.flatten(1).float().mean(1) > 0.02).all()) and not bool(seen[:, -1].any())


def test_a_four_chamber_plane_keeps_clear_of_the_aorta_unless_it_is_pinned_where_it_is(probes):
    nearest = {}
    for name, pins in {"drawn": {}, "pinned": {"aside_cm": 0.7, "off_axis": 1.0}}.items():
        anatomy, probe = probes(n=60, view="a4c", **pins)
        y = torch.linspace(0, 16, 60)[None, :, None].expand(60, -1, 50)
        x = torch.linspace(-6, 6, 50)[None, None].expand(60, 60, -1)
        points = [place[:, 0] for place in heart_points(reference_cut(anatomy, probe), x, y)]
        root = points[2] < anatomy.length_cm[:, None, None] + 2.5
        nearest[name] = aorta(anatomy, *points).masked_fill(~root, 9).flatten(1).amin(1)
    assert float(nearest["drawn"].min()) > 0.15 and float(nearest["pinned"].min()) < 0
    assert probes(view="a4c", aside_cm=0.7)[1].aside_cm.eq(0.7).all()


def test_easy_hands_are_steady_and_clinical_ones_sway_a_little(probes):
    times = torch.linspace(0, 6, 30)
    anatomy, steady = probes(prior="easy", view="a4c")
    origin = cut(anatomy, steady, times).origin
    assert torch.allclose(origin, origin[:, :1].expand_as(origin))
    anatomy, swaying = probes(n=30, view="a4c")
    moved = (cut(anatomy, swaying, times).origin - reference_cut(anatomy, swaying).origin).norm(dim=-1)
    assert 0.05 < float(moved.amax(1).median()) < 0.5 and float(moved.max()) < 0.9


def test_a_points_place_in_the_picture_is_found_again(probes):
    anatomy, probe = probes(view="a4c")
    plane = cut(anatomy, probe, torch.arange(3) / 25)
    x, y = torch.full((6, 1, 1), 1.5), torch.full((6, 1, 1), 7.0)
    place = torch.stack(heart_points(plane, x, y), -1)[:, :, 0, 0] - plane.origin
    assert torch.allclose((place * plane.right).sum(-1), torch.full((6, 3), 1.5), atol=1e-4)
    assert torch.allclose((place * plane.down).sum(-1), torch.full((6, 3), 7.0), atol=1e-4)
