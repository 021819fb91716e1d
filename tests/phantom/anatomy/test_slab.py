"""A slab is read where it was painted, and speckle keeps its power between its planes."""

import pytest
import torch

from echopulse.phantom.anatomy.planes import draw_probe
from echopulse.phantom.anatomy.slab import (
    PLANES,
    reference_slab,
    sample_planes,
    sample_slab,
    slab_grid,
    slab_points,
)
from echopulse.phantom.types import VIEWS


@pytest.fixture
def slab(hearts):
    anatomy, _, patients = hearts(n=len(VIEWS), ef=0.5, edv_ml=120.0)
    return reference_slab(anatomy, draw_probe(anatomy, patients, torch.Generator().manual_seed(0), view=VIEWS))


def test_the_grid_finds_every_painted_sample(slab):
    size = (7, 9)
    column, row, plane = slab_grid(slab, *slab_points(slab, size))
    assert column.shape == (len(VIEWS), PLANES, *size)
    assert torch.allclose(column, torch.linspace(-1, 1, 9).expand_as(column), atol=1e-4)
    assert torch.allclose(row, torch.linspace(-1, 1, 7)[:, None].expand_as(row), atol=1e-4)
    assert torch.allclose(plane, torch.arange(PLANES)[:, None, None].float().expand_as(plane), atol=1e-4)


def test_a_smooth_field_is_read_exactly_anywhere_in_the_slab(slab):
    X, Y, Z = slab_points(slab, (24, 28))
    painted = torch.stack((X, Y, Z), 1)
    inner = [value[:, :2, 3:20, 4:24] * 0.5 + value[:, 1:, 4:21, 5:25] * 0.5 for value in (X, Y, Z)]
    before, behind, first, second = sample_planes(slab, painted, *inner)
    found = before * first[:, None] + behind * second[:, None]
    assert torch.allclose(found, torch.stack(inner, 1), atol=1e-3)


def test_speckle_keeps_its_power_between_planes_and_loses_its_likeness_with_distance(slab):
    generator = torch.Generator().manual_seed(0)
    slab = slab.rows(slice(0, 1))
    painted = torch.cat((torch.ones(1, 1, PLANES, 48, 56), torch.randn(1, 2, PLANES, 48, 56, generator=generator)), 1)
    X, Y, Z = (value[:, :1] for value in slab_points(slab, (48, 56)))
    apart = float(slab.offsets_cm[0, 1] - slab.offsets_cm[0, 0])
    fields = []
    for shift in (0.0, 0.25, 0.5, 1.0):
        moved = [place + shift * apart * slab.normal[0, i] for i, place in enumerate((X, Y, Z))]
        fields.append(sample_slab(slab, painted, *moved)[0, 0])
    for field in fields:
        assert torch.allclose(field[0], torch.ones_like(field[0]), atol=1e-4)
        assert float(field[1:].square().mean()) == pytest.approx(1, rel=0.06)
    likeness = [float((field[1:] * fields[0][1:]).mean()) for field in fields]
    assert likeness[0] > 0.95 > likeness[1] > 0.7 > likeness[3] and abs(likeness[3]) < 0.1


def test_a_slab_does_not_depend_on_what_else_is_in_its_batch(slab):
    alone = slab.rows(slice(4, 5))
    assert slab.offsets_cm.shape == (len(VIEWS), PLANES)
    for mine, all_of_them in zip(slab_points(alone, (5, 6)), slab_points(slab, (5, 6)), strict=True):
        assert torch.equal(mine[0], all_of_them[4])
