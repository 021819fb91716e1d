"""Leaflets meet when closed, keep their length while they swing, and show in the planes that cut them."""

import pytest
import torch
from torch import Generator

from echopulse.phantom.anatomy.heart import draw_anatomy
from echopulse.phantom.anatomy.leaflets import aortic_sheets, mitral_sheets, tricuspid_sheets
from echopulse.phantom.anatomy.planes import cut, draw_probe
from echopulse.phantom.anatomy.shapes import aortic_annulus, mitral_annulus
from echopulse.phantom.anatomy.valves import paint_valves, prepare_valves
from echopulse.phantom.anatomy.wall import heart_shape
from echopulse.phantom.patient import draw_patients
from echopulse.phantom.types import Motion


def hearts(opening, n: int = 2, seed: int = 0):
    """Hearts that stand still at end-diastole while their valves open as told."""
    patients = draw_patients(n, Generator().manual_seed(seed), pathology="healthy")
    anatomy = draw_anatomy(patients, Generator().manual_seed(seed + 1))
    opening = torch.tensor(opening)[None].expand(n, -1)
    still, beat = torch.ones_like(opening), patients.edv_ml[:, None]
    motion = Motion(
        volume_ml=beat * still,
        mitral_opening=opening,
        aortic_opening=opening,
        tricuspid_opening=opening,
        la_volume=still,
        ra_volume=still,
        rv_fraction=still,
        twist_rad=0 * still,
        dyssynchrony=0 * still,
        edv_ml=patients.edv_ml,
        ef=patients.ef,
        ejection_onset_s=0 * beat,
        ejection_end_s=0 * beat + 0.3,
        edv_beat_ml=beat,
        esv_beat_ml=beat * (1 - patients.ef[:, None]),
    )
    return patients, anatomy, motion, heart_shape(anatomy, motion)


def traced(view: str, opening=(0.0, 0.5, 1.0)):
    patients, anatomy, motion, shape = hearts(opening)
    probe = draw_probe(anatomy, patients, Generator().manual_seed(1), "easy", view=view)
    plane = cut(anatomy, probe, torch.zeros(len(opening)))
    return prepare_valves(anatomy, shape, motion, plane, [Generator().manual_seed(i) for i in range(2)])


@pytest.mark.parametrize("sheets", [mitral_sheets, tricuspid_sheets])
def test_leaflets_meet_when_closed_and_part_when_open(sheets):
    long, short = sheets(*hearts((0.0, 1.0))[1:2], *reversed(hearts((0.0, 1.0))[2:]))[:2]
    middle = [sheet.points[:, :, sheet.points.shape[2] // 2, -3] for sheet in (long, short)]
    apart = (middle[0] - middle[1]).norm(dim=-1)
    assert (apart[:, 0] < 0.6).all() and (apart[:, 1] > apart[:, 0] + 0.8).all()


def test_a_leaflet_keeps_its_length_while_it_swings():
    _, anatomy, motion, shape = hearts((0.0, 0.3, 1.0))
    for sheet in mitral_sheets(anatomy, shape, motion)[:2]:
        length = (sheet.points[..., 1:, :] - sheet.points[..., :-1, :]).norm(dim=-1).sum(-1)
        assert torch.allclose(length[:, 0], length[:, 1], rtol=0.02)
        assert torch.allclose(length[:, 0], length[:, 2], rtol=0.02)


def test_the_anterior_leaflet_is_the_longer_one_and_opens_towards_the_septum():
    _, anatomy, motion, shape = hearts((0.0, 1.0))
    anterior, posterior = mitral_sheets(anatomy, shape, motion)[:2]
    middle = [sheet.points[:, :, sheet.points.shape[2] // 2] for sheet in (anterior, posterior)]
    reach = [(curve[..., -1, :] - curve[..., 0, :]).norm(dim=-1)[:, 1] for curve in middle]
    assert (reach[0] > 1.25 * reach[1]).all()
    ring = mitral_annulus(anatomy)
    tips = ((middle[0][:, :, -1] - ring.centre[:, None]) * ring.first[:, None]).sum(-1) / ring.first.norm(dim=-1)[
        :, None
    ]
    assert (tips[:, 1] > tips[:, 0] + 0.8).all()


def test_valves_close_without_a_jump():
    _, anatomy, motion, shape = hearts((0.0, 0.02))
    for sheet in mitral_sheets(anatomy, shape, motion) + aortic_sheets(anatomy, shape, motion):
        assert (sheet.points[:, 1] - sheet.points[:, 0]).norm(dim=-1).max() < 0.12


def test_the_aortic_cusps_leave_the_middle_free_when_open():
    _, anatomy, motion, shape = hearts((0.0, 1.0))
    ring = aortic_annulus(anatomy)
    tips = torch.cat([sheet.points[..., -1, :] for sheet in aortic_sheets(anatomy, shape, motion)], 2)
    off = tips - ring.centre[:, None, None]
    off = (off - (off * ring.normal[:, None, None]).sum(-1, keepdim=True) * ring.normal[:, None, None]).norm(dim=-1)
    radius = ring.first.norm(dim=-1)[:, None]
    assert (off[:, 0].amin(1, keepdim=True) < 0.25 * radius).all() and (off[:, 1] > 0.7 * radius).all()


@pytest.mark.parametrize("view", ["a4c", "a2c", "a3c", "plax", "psax_mitral"])
def test_the_views_that_cut_the_valves_show_them(view):
    valves = traced(view)
    x, y = torch.linspace(-4, 5, 40), torch.linspace(3, 17, 50)
    grid = torch.meshgrid(x, y, indexing="xy")
    field = paint_valves(valves, *(side.expand(2, -1, -1) for side in grid))
    assert field.shape == (2, 3, 3, 50, 40) and field.isfinite().all()
    brightest = field[:, :, 0].amax((2, 3))  # closed leaflets lie beyond a short axis that is cut a little lower
    assert (brightest[:, 1:] > 0.008).all()


def test_near_the_apex_there_are_no_leaflets():
    assert traced("psax_apical").strength.max() < 1e-3


def test_pieces_of_a_clip_are_the_clip():
    valves = traced("a4c")
    x, y = torch.meshgrid(torch.linspace(-3, 3, 9), torch.linspace(7, 14, 9), indexing="xy")
    x, y = x.expand(2, -1, -1), y.expand(2, -1, -1)
    whole = paint_valves(valves, x, y)
    pieces = [paint_valves(valves.between(slice(t, t + 1)), x, y) for t in range(3)]
    assert torch.allclose(torch.cat(pieces, 1), whole, atol=1e-6)
