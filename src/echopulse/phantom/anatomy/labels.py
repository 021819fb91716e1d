"""What every point of a picture shows, and how far its tissue has moved: exact, and the same in every view."""

from __future__ import annotations

import torch
from torch import Tensor

from echopulse.phantom.anatomy.deformation import HeartShape, material_points, spatial_points
from echopulse.phantom.anatomy.heart import AnatomyParameters
from echopulse.phantom.anatomy.planes import Plane
from echopulse.phantom.anatomy.shapes import aorta, epicardium, left_atrium, lv_cavity, right_atrium, rv_cavity
from echopulse.phantom.types import LABELS, Motion

# What lies in front hides what comes before it in this list.
CHAMBERS = (("rv", rv_cavity), ("ra", right_atrium), ("la", left_atrium), ("aorta", aorta))
REFINEMENTS, STEP = 6, 0.7


def reference_labels(anatomy: AnatomyParameters, X0: Tensor, Y0: Tensor, Z0: Tensor) -> Tensor:
    """uint8 [b, ...], index into LABELS: what lies at points of the reference heart."""
    labels = torch.zeros(torch.broadcast_shapes(X0.shape, Y0.shape, Z0.shape), dtype=torch.uint8, device=X0.device)
    for name, distance in (*CHAMBERS, ("myocardium", epicardium), ("lv", lv_cavity)):
        labels.masked_fill_(distance(anatomy, X0, Y0, Z0) < 0, LABELS.index(name))
    return labels


def label_points(
    anatomy: AnatomyParameters, shape: HeartShape, motion: Motion, X: Tensor, Y: Tensor, Z: Tensor
) -> Tensor:
    """uint8 [b, t, ...], index into LABELS: what is now at the points [b, t or 1, ...].

    A place shows what its tissue is in the reference heart; the cavity's border is mapped exactly, so the volume of
    all points labelled "lv" is the motion's.
    """
    return reference_labels(anatomy, *material_points(anatomy, shape, motion, X, Y, Z))


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
