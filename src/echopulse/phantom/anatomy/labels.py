"""What every point of a picture shows, and how far its tissue has moved: exact, and the same in every view."""

from __future__ import annotations

import torch
from torch import Tensor

from echopulse.phantom.anatomy.deformation import material_points, material_points_within, spatial_points
from echopulse.phantom.anatomy.heart import AnatomyParameters
from echopulse.phantom.anatomy.planes import Plane
from echopulse.phantom.anatomy.shapes import chambers, epicardium, lv_cavity
from echopulse.phantom.anatomy.slab import Slab, sample_planes, slab_points
from echopulse.phantom.anatomy.wall import HeartShape
from echopulse.phantom.types import LABELS, Motion

REFINEMENTS, STEP = 6, 0.7
CHAMBERS = ("rv", "ra", "la", "aorta")  # each hides those before it; the left ventricle hides them all
MAP_SIZE = (96, 112)  # samples of a map of distances, which are smooth


def chamber_map(anatomy: AnatomyParameters, slab: Slab) -> Tensor:
    """float32 [b, 4, k, h, w]: signed distances in cm to `CHAMBERS` at the points of a slab, for `label_points`."""
    return torch.stack(chambers(anatomy, *slab_points(slab, MAP_SIZE)), 1)


def reference_labels(anatomy: AnatomyParameters, X0: Tensor, Y0: Tensor, Z0: Tensor) -> Tensor:
    """uint8 [b, ...], index into LABELS: what lies at points of the reference heart."""
    distances = dict(zip(CHAMBERS, chambers(anatomy, X0, Y0, Z0), strict=True))
    distances |= {"myocardium": epicardium(anatomy, X0, Y0, Z0), "lv": lv_cavity(anatomy, X0, Y0, Z0)}
    return _topmost({name: distance < 0 for name, distance in distances.items()})


def label_points(
    anatomy: AnatomyParameters,
    shape: HeartShape,
    motion: Motion,
    X: Tensor,
    Y: Tensor,
    Z: Tensor,
    slab: Slab | None = None,
    distances: Tensor | None = None,
) -> Tensor:
    """uint8 [b, t, ...], index into LABELS: what is now at the points [b, t or 1, ...].

    The left ventricle's cavity and wall are exact: the volume of all points labelled "lv" is the motion's. Every other
    place shows what its tissue is in the reference heart; with a `slab` that they lie in and its `chamber_map` that is
    looked up, to within a fraction of a millimetre.
    """
    points, cavity, ventricle = material_points_within(anatomy, shape, motion, X, Y, Z)
    if slab is None or distances is None:
        found = chambers(anatomy, *points)
    else:
        b, t = points[0].shape[:2]
        flat = (value.reshape(b, t, -1, 1).transpose(2, 3) for value in points)
        before, behind, first, second = sample_planes(slab, distances, *flat)
        found = before.mul_(first[:, None]).addcmul_(behind, second[:, None]).reshape(b, -1, *points[0].shape[1:])
        found = found.unbind(1)
    inside = {name: distance < 0 for name, distance in zip(CHAMBERS, found, strict=True)}
    return _topmost(inside | {"myocardium": ventricle, "lv": cavity})


def _topmost(inside: dict[str, Tensor]) -> Tensor:
    """uint8 label of the last of the named places that a point lies in."""
    first = next(iter(inside.values()))
    labels = torch.zeros(first.shape, dtype=torch.uint8, device=first.device)
    for name, where in inside.items():
        labels.masked_fill_(where, LABELS.index(name))
    return labels


def displacement(
    anatomy: AnatomyParameters,
    now: tuple[Motion, HeartShape, Plane],
    then: tuple[Motion, HeartShape, Plane],
    points: tuple[Tensor, Tensor, Tensor],
) -> Tensor:
    """float32 [b, t, h, w, 2] in cm, to the right and downwards: from where the tissue was to where it is.

    `points` [b, t, h, w] are where it is, in the heart coordinates of the plane of `now`; `then` has one time. Movement
    across the plane is left out. Right inside the heart at once, elsewhere after a few steps of
    x <- x + step (M(x0, now) - M(x, then)).
    """
    motion, shape, plane = now
    material = material_points(anatomy, shape, motion, *points)
    before = spatial_points(anatomy, then[1], then[0], *material)
    for _ in range(REFINEMENTS):
        guessed = material_points(anatomy, then[1], then[0], *before)
        before = tuple(
            place + STEP * (wanted - got) for place, wanted, got in zip(before, material, guessed, strict=True)
        )
    moved = []
    for side in ("right", "down"):
        here, there = (
            sum(
                (place - frame.origin[..., axis, None, None]) * getattr(frame, side)[..., axis, None, None]
                for axis, place in enumerate(places)
            )
            for frame, places in ((plane, points), (then[2], before))
        )
        moved.append(here - there)
    return torch.stack(moved, -1)
