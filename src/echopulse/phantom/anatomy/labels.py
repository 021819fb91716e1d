"""What every point of a picture shows, and how far its tissue has moved, in every view of the same heart.

Exact at single points; a picture's labels are interpolated. Of the ventricle and its wall they miss less than 1 % of
the area, of the other chambers 1 to 2 % in the middle of the heart; where a short axis just grazes one (the right
ventricle's tip, an atrium that the base draws into the plane) a tenth of it or, of a sliver, all.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from echopulse.phantom.anatomy.deformation import material_points, material_points_within, spatial_points
from echopulse.phantom.anatomy.heart import AnatomyParameters
from echopulse.phantom.anatomy.planes import Plane, heart_points
from echopulse.phantom.anatomy.shapes import chambers, fit
from echopulse.phantom.anatomy.slab import Slab, sample_planes, slab_points
from echopulse.phantom.anatomy.wall import HeartShape
from echopulse.phantom.types import LABELS, Motion

REFINEMENTS, STEP = 6, 0.7
CHAMBERS = ("rv", "ra", "la", "aorta")  # each hides those before it; the left ventricle hides them all
MAP_SIZE, MAP_PLANES = (80, 96), 9  # samples of a map of distances, which are smooth, and its planes
MAP_BEYOND_CM = 0.4  # a strong beat draws more of the base through a short axis than the painted slab holds
PICTURE_POINTS = 64  # to a side, from which a picture's labels are interpolated
MOVED_POINTS = 256  # likewise how far its tissue has moved; larger pictures would take minutes


def chamber_map(anatomy: AnatomyParameters, slab: Slab) -> Tensor:
    """float32 [b, 4, MAP_PLANES, h, w]: signed distances in cm to `CHAMBERS` in a slab, for `label_picture`."""
    return torch.stack(chambers(anatomy, *slab_points(slab.denser(MAP_PLANES, MAP_BEYOND_CM), MAP_SIZE)), 1)


def label_points(
    anatomy: AnatomyParameters, shape: HeartShape, motion: Motion, X: Tensor, Y: Tensor, Z: Tensor
) -> Tensor:
    """uint8 [b, t, ...], index into LABELS: what is now at the points [b, t or 1, ...].

    The left ventricle's cavity and wall are exact: the volume of all points labelled "lv" is the motion's. Every other
    place shows what its tissue is in the reference heart.
    """
    points, cavity, ventricle = material_points_within(anatomy, shape, motion, X, Y, Z)
    beyond = Z > fit(shape.length_cm, Z)
    inside = {name: distance < 0 for name, distance in zip(CHAMBERS, chambers(anatomy, *points), strict=True)}
    return _topmost(inside | {"myocardium": (ventricle < 0) & ~beyond, "lv": (cavity < 0) & ~beyond})


def label_picture(
    anatomy: AnatomyParameters,
    now: tuple[Motion, HeartShape, Plane],
    x_cm: Tensor,
    y_cm: Tensor,
    slab: Slab,
    distances: Tensor,
) -> Tensor:
    """uint8 [b, t, h, w]: `label_points` of a picture whose pixels lie at x_cm, y_cm [b, h, w], cheaper.

    What decides is smooth, so it is worked out on fewer points and interpolated; the chambers besides the left
    ventricle are looked up in their `chamber_map`.
    """
    motion, shape, plane = now
    size = x_cm.shape[1:]
    x, y = _coarser(x_cm, y_cm, PICTURE_POINTS)
    X, Y, Z = heart_points(plane, x, y)
    points, cavity, ventricle = material_points_within(anatomy, shape, motion, X, Y, Z)
    # Between points `pitch` apart a line lies above a parabola x^2 by pitch^2 / 6 on average; the squared distance from
    # the axis bends in one direction of a plane along the axis, in two of a plane across it.
    pitch = (x[:, 0, -1] - x[:, 0, 0]) / (x.shape[2] - 1)
    sag = ((1 + plane.normal[..., 2].square()) * (pitch * pitch / 6)[:, None])[..., None, None]
    cavity = cavity - sag * (2 * Z).clamp(0, 1)  # before the apex the squared distance itself is all there is
    before, behind, first, second = sample_planes(slab.denser(MAP_PLANES, MAP_BEYOND_CM), distances, *points)
    found = before.mul_(first[:, None]).addcmul_(behind, second[:, None])  # [b, 4, t, h, w]
    beyond = (Z - fit(shape.length_cm, Z)).expand_as(cavity)
    levels = torch.cat((found, torch.stack((ventricle, cavity, beyond), 1)), 1)
    levels = F.interpolate(levels.flatten(1, 2), size=size, mode="bilinear", align_corners=True)
    inside = levels.unflatten(1, (-1, len(motion.volume_ml[0]))) < 0
    *others, ventricle, cavity, before_annulus = inside.unbind(1)
    named = dict(zip(CHAMBERS, others, strict=True))
    return _topmost(named | {"myocardium": ventricle & before_annulus, "lv": cavity & before_annulus})


def _coarser(x_cm: Tensor, y_cm: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """The pixels' places [b, h, w] on at most so many points to a side, from corner to corner."""
    coarse = tuple(min(n, most) for n in x_cm.shape[1:])
    places = torch.stack((x_cm, y_cm), 1)
    return F.interpolate(places, size=coarse, mode="bilinear", align_corners=True).unbind(1)


def _topmost(inside: dict[str, Tensor]) -> Tensor:
    """uint8 label of the last of the named places that a point lies in."""
    first = next(iter(inside.values()))
    labels = torch.zeros(first.shape, dtype=torch.uint8, device=first.device)
    for name, where in inside.items():  # bytes that wrap around: many times faster than filling by a mask
        labels.addcmul_(where.view(torch.uint8), LABELS.index(name) - labels)
    return labels


def displacement_picture(
    anatomy: AnatomyParameters,
    now: tuple[Motion, HeartShape, Plane],
    then: tuple[Motion, HeartShape, Plane],
    x_cm: Tensor,
    y_cm: Tensor,
) -> Tensor:
    """float32 [b, t, h, w, 2]: `displacement` of a picture whose pixels lie at x_cm, y_cm [b, h, w].

    Of more than 256 pixels to a side it is interpolated, since movement is continuous: 99 % of a sector err by less
    than 0.03 mm, the largest error, where walls slide, was 0.3 mm (four views at 400 pixels).
    """
    points = heart_points(now[2], *_coarser(x_cm, y_cm, MOVED_POINTS))
    moved = displacement(anatomy, now, then, points).movedim(-1, 2)  # [b, t, 2, h, w]
    fine = F.interpolate(moved.flatten(0, 1), size=x_cm.shape[1:], mode="bilinear", align_corners=True)
    return fine.unflatten(0, moved.shape[:2]).movedim(2, -1)


def displacement(
    anatomy: AnatomyParameters,
    now: tuple[Motion, HeartShape, Plane],
    then: tuple[Motion, HeartShape, Plane],
    points: tuple[Tensor, Tensor, Tensor],
) -> Tensor:
    """float32 [b, t, h, w, 2] in cm, to the right and downwards: from where the tissue was to where it is.

    `points` [b, t, h, w] are where it is, in the heart coordinates of the plane of `now`; `then` has one time. Movement
    across the plane is left out. Beyond the left ventricle `spatial_points` finds the way only nearly, with the same
    error at both times, so the difference is taken: at `then` itself nothing has moved. What error is left shrinks with
    each step of x <- x + step (M(x0, now) - M(x, then)).
    """
    motion, shape, plane = now
    material = material_points(anatomy, shape, motion, *points)
    arrived, left = (spatial_points(anatomy, form, move, *material) for move, form in (now[:2], then[:2]))
    before = tuple(place + (b - a) for place, a, b in zip(points, arrived, left, strict=True))
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
