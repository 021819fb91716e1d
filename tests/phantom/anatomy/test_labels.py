"""What a picture shows is known: areas give volumes, labels are those of the tissue, displacements lead back."""

import math

import pytest
import torch
import torch.nn.functional as F

from echopulse.phantom.anatomy.deformation import material_points
from echopulse.phantom.anatomy.labels import (
    CHAMBERS,
    chamber_map,
    displacement,
    displacement_picture,
    label_picture,
    label_points,
)
from echopulse.phantom.anatomy.planes import cut, draw_probe, heart_points, picture_depth_cm
from echopulse.phantom.anatomy.shapes import chambers, epicardium, lv_cavity
from echopulse.phantom.anatomy.slab import reference_slab
from echopulse.phantom.anatomy.wall import heart_shape
from echopulse.phantom.simulate import simulate
from echopulse.phantom.types import LABELS, VIEWS

LV, MYOCARDIUM = LABELS.index("lv"), LABELS.index("myocardium")
SIZE = 128


def picture(anatomy, patients, t: int, view: str, size: int = SIZE, prior: str = "easy", **pinned):
    """The plane at t times, the picture's points in it, its pixel spacing, and the probe."""
    probe = draw_probe(anatomy, patients, torch.Generator().manual_seed(2), prior, view=view, **pinned)
    plane, spacing = cut(anatomy, probe, torch.arange(t) / 25), picture_depth_cm(anatomy, probe) / (0.95 * size)
    place, n = torch.arange(size) + 0.5, len(spacing)
    x = ((place - 0.5 * size) * spacing[:, None])[:, None, :].expand(n, size, size)
    y = ((place - 0.03 * size) * spacing[:, None])[:, :, None].expand(n, size, size)
    return plane, heart_points(plane, x, y), spacing, probe


def discs(mask: torch.Tensor, spacing: float) -> tuple[torch.Tensor, float]:
    """Widths of 20 discs across an upright cavity, and its length, cm."""
    width = mask.sum(1).float() * spacing
    rows = torch.nonzero(width)[:, 0]
    width = width[rows[0] : rows[-1] + 1]
    edges = torch.linspace(0, len(width), 21)
    total, whole = torch.cat((torch.zeros(1), width.cumsum(0))), edges.floor().long().clamp_max(len(width) - 1)
    filled = total[whole] + (edges - whole) * width[whole]
    return filled.diff() / edges.diff(), len(width) * spacing


def test_biplane_simpson_on_the_masks_gives_the_volume_in_three_dimensions(hearts):
    n = 12
    anatomy, motion, patients = hearts(n=n, t=3, territory="none", ef=torch.linspace(0.15, 0.65, n),
                                       edv_ml=torch.linspace(240, 80, n))  # fmt: skip
    shape, seen = heart_shape(anatomy, motion), []
    for view in ("a4c", "a2c"):
        _, points, spacing, _ = picture(anatomy, patients, 3, view, tilt_rad=0.0, aim_cm=0.0)
        seen.append(label_points(anatomy, shape, motion, *points) == LV)
    errors = torch.zeros(n, 2)
    for i in range(n):
        for k in (0, 1):
            (a, first), (b, second) = (discs(mask[i, k], float(spacing[i])) for mask in seen)
            errors[i, k] = math.pi / 4 * (a * b).sum() * max(first, second) / 20 / motion.volume_ml[i, k] - 1
    assert float(errors.abs().quantile(0.9)) < 0.02 and float(errors.abs().max()) < 0.03
    assert abs(float(errors.mean())) < 0.01


def reference_labels(anatomy, points) -> torch.Tensor:
    """What lies at points of the reference heart, uint8."""
    distances = dict(zip(CHAMBERS, chambers(anatomy, *points), strict=True))
    distances |= {"myocardium": epicardium(anatomy, *points), "lv": lv_cavity(anatomy, *points)}
    labels = torch.zeros(points[0].shape, dtype=torch.uint8)
    for name, distance in distances.items():  # the later hides the earlier
        labels[distance < 0] = LABELS.index(name)
    return labels


@pytest.mark.parametrize("view", VIEWS)
def test_each_view_shows_the_chambers_it_should(hearts, view):
    anatomy, motion, patients = hearts(n=4, t=3, ef=0.6, edv_ml=120.0, pathology="healthy")
    _, points, *_ = picture(anatomy, patients, 3, view, size=64)
    labels = label_points(anatomy, heart_shape(anatomy, motion), motion, *points)[:, 0]
    share = {name: ((labels == i).flatten(1).float().mean(1)) for i, name in enumerate(LABELS)}
    here = {"a4c": "rv ra la", "a2c": "la", "a3c": "la aorta", "plax": "la aorta rv"}.get(view, "rv").split()
    gone = {"a4c": "aorta", "a2c": "rv", "plax": "ra"}.get(view, "la aorta").split()
    for name in ("lv", "myocardium", *here):
        assert bool((share[name] > 0.004).all()), name
    for name in () if view == "a3c" else gone:
        assert bool((share[name] < 0.012).all()), name


def test_labels_are_those_of_the_tissue(hearts):
    anatomy, motion, patients = hearts(n=2, t=3)
    shape = heart_shape(anatomy, motion)
    _, points, *_ = picture(anatomy, patients, 3, "a4c", size=64)
    exact = label_points(anatomy, shape, motion, *points)
    assert exact.dtype == torch.uint8
    tissue = reference_labels(anatomy, material_points(anatomy, shape, motion, *points))
    assert float((exact != tissue).float().mean()) < 2e-3


@pytest.mark.parametrize("view", ["a4c", "plax"])
def test_the_labels_of_a_picture_are_those_of_its_points(hearts, view):
    anatomy, motion, patients = hearts(n=2, t=3)
    shape = heart_shape(anatomy, motion)
    plane, points, spacing, probe = picture(anatomy, patients, 3, view)
    place = torch.arange(SIZE) + 0.5
    x = ((place - 0.5 * SIZE) * spacing[:, None])[:, None, :].expand(2, SIZE, SIZE)
    y = ((place - 0.03 * SIZE) * spacing[:, None])[:, :, None].expand(2, SIZE, SIZE)
    slab = reference_slab(anatomy, probe)
    quick = label_picture(anatomy, (motion, shape, plane), x, y, slab, chamber_map(anatomy, slab))
    exact = label_points(anatomy, shape, motion, *points)
    assert float((exact != quick).float().mean()) < 0.01
    areas = [(labels == LV).flatten(2).sum(2).float() for labels in (exact, quick)]
    assert float((areas[1] / areas[0] - 1).abs().max()) < 0.02  # a pixel or two of a small one


# What would carry tissue through a plane along the axis, and through one across it.
STAYS = {"a4c": {"bend_x_cm": 0.0, "bend_y_cm": 0.0, "ovality": 1.0}, "psax_papillary": {"shortening": 0.0}}


@pytest.mark.parametrize("view", STAYS)
def test_displacements_lead_back_to_the_same_tissue(hearts, view):
    ef = torch.tensor([0.3, 0.5, 0.7])
    anatomy, motion, patients = hearts(n=3, t=3, ef=ef, edv_ml=130.0, **STAYS[view])
    if view == "a4c":
        motion.twist_rad.zero_()
    shape = heart_shape(anatomy, motion)
    plane, points, *_ = picture(anatomy, patients, 3, view, size=48)
    first = tuple(part.between(slice(0, 1)) for part in (motion, shape, plane))
    moved = displacement(anatomy, (motion, shape, plane), first, points)
    assert moved.shape == (3, 3, 48, 48, 2) and not moved[:, 0].any()
    start = [
        place - moved[..., 0] * plane.right[..., i, None, None] - moved[..., 1] * plane.down[..., i, None, None]
        for i, place in enumerate(points)
    ]
    then = torch.stack(material_points(anatomy, first[1], first[0], *start))
    now = torch.stack(material_points(anatomy, shape, motion, *points))
    labels = label_points(anatomy, shape, motion, *points)
    error = (then - now).norm(dim=0)[(labels == LV) | (labels == MYOCARDIUM)]
    assert float(error.max()) < 0.02 and float(moved.norm(dim=-1).max()) > 0.5


@pytest.mark.parametrize(("size", "largest_cm"), [(64, 0.0), (400, 0.05)])
def test_movement_in_a_large_picture_is_interpolated_to_half_a_millimetre_and_in_a_small_one_exact(
    hearts, size, largest_cm
):
    anatomy, motion, patients = hearts(n=1, t=3, ef=torch.tensor([0.6]), edv_ml=130.0)
    shape = heart_shape(anatomy, motion)
    plane, points, spacing, _ = picture(anatomy, patients, 3, "plax", size)
    first = tuple(part.between(slice(0, 1)) for part in (motion, shape, plane))
    place = torch.arange(size) + 0.5
    x = ((place - 0.5 * size) * spacing[:, None])[:, None, :].expand(1, size, size)
    y = ((place - 0.03 * size) * spacing[:, None])[:, :, None].expand(1, size, size)
    quick = displacement_picture(anatomy, (motion, shape, plane), first, x, y)
    exact = displacement(anatomy, (motion, shape, plane), first, points)
    assert float((quick - exact).abs().max()) <= largest_cm and float(exact.abs().max()) > 0.5


@pytest.mark.parametrize(("view", "least"), [("a4c", 0.90), ("plax", 0.90), ("psax_papillary", 0.85)])
def test_a_real_clips_ventricle_goes_back_to_where_it_was_in_the_first_frame(view, least):
    """From end-diastole to end-systole; in a short axis the base also comes down through the plane."""
    size, peaks_s = 96, torch.tensor([-0.85, 0.0, 0.85])
    truth = simulate(2, seed=3, view=view, frames=3, fps=6.0, size=size, leads=1, displacement=True, ef=[0.45, 0.65],
                     r_peaks_s=peaks_s).truth  # fmt: skip
    place = torch.arange(size) + 0.5
    here = torch.stack(torch.meshgrid(place, place, indexing="xy"), -1)
    was = here - truth.displacement_cm / truth.pixel_spacing_cm[:, None, None, None, None]
    now, first = truth.lv_mask, truth.lv_mask[:, :1].expand_as(truth.lv_mask)
    carried = F.grid_sample(
        first.flatten(0, 1)[:, None].float(), was.flatten(0, 1) * (2 / size) - 1, align_corners=False
    )
    carried = carried[:, 0].unflatten(0, now.shape[:2]) > 0.5

    def overlap(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return (a & b).flatten(2).sum(2) / (a | b).flatten(2).sum(2)

    assert float(overlap(carried, now).min()) > least > 0.80 > float(overlap(first, now).amin(1).max())
