"""What a painter needs to know of every point of a slab: where it lies, how the beam meets it, and random fields."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from echopulse.phantom.anatomy import shapes
from echopulse.phantom.anatomy.heart import AnatomyParameters
from echopulse.phantom.anatomy.planes import Plane
from echopulse.phantom.anatomy.shapes import smooth_minimum
from echopulse.phantom.steps import soft_step
from echopulse.phantom.texture import evens, normals
from echopulse.phantom.types import Patients

# Random fields by name: size of a grain in samples of the map (about 0.11 cm), along its height and its width.
GRAINS = {"cloud": (24, 24), "patches": (9, 9), "fibres": (4, 4.5), "rough": (3.2, 3.6), "knots": (6, 5)}
POLAR = (96, 72)  # samples in which the fields that follow the beam are drawn
LAYERS, RAYS = (22, 7), (4, 20)  # their cells along the beam and across it
REACH_CM = 22.0  # how far from the probe they extend
DRAWS = 24
RING_CM = 0.9  # from the annulus plane, within which ventricle and left atrium are dented less and less


@dataclass(frozen=True)
class Scene:
    """Points [b, k, h, w] of k parallel planes through the reference heart, and all that painting them asks for."""

    anatomy: AnatomyParameters
    patients: Patients
    x: Tensor  # heart coordinates, cm
    y: Tensor
    z: Tensor
    depth: Tensor  # z relative to the ventricle's length
    cos: Tensor  # of the angle phi around the ventricle's axis
    sin: Tensor
    reach: Tensor  # cm from the probe
    slant: Tensor  # tan of half the beam's angle from the middle of the picture; positive to the right
    beam_column: Tensor  # how far the beam runs along the map's rows and columns, per cm
    beam_row: Tensor
    pitch: tuple[Tensor, Tensor]  # cm between columns and between rows [b, 1, 1, 1]
    apical: Tensor  # [b, 1, 1, 1], 1 where the picture looks along the heart's axis, 0 where across it
    fields: dict[str, Tensor]  # unit variance, [b, k, h, w]
    draws: Tensor  # [DRAWS, b, 1, 1, 1], evenly spread over 0..1
    cavity: Tensor  # signed distances, cm, negative inside
    outer: Tensor
    right: Tensor
    left_atrium: Tensor
    right_atrium: Tensor
    aorta: Tensor
    left_heart: Tensor  # blood of ventricle, atrium and aorta, the corners at the base rounded off

    def fit(self, value: Tensor) -> Tensor:
        """A value per heart [b], ready for points."""
        return value.reshape(-1, 1, 1, 1)

    def along(self, angle_deg: float) -> Tensor:
        """cm from the ventricle's axis towards the direction phi."""
        return self.x * math.cos(math.radians(angle_deg)) + self.y * math.sin(math.radians(angle_deg))

    def towards(self, angle_deg: float) -> Tensor:
        """Cosine of the angle around the axis between a point and the direction phi."""
        return self.cos * math.cos(math.radians(angle_deg)) + self.sin * math.sin(math.radians(angle_deg))

    def facing(self, distance: Tensor) -> Tensor:
        """0..1: how squarely the beam meets the surface that this signed distance [b, k, h, w] belongs to."""
        across, down = self._slopes(distance)
        steep = (across * across + down * down).clamp_min(0.36).sqrt()
        return ((across * self.beam_column + down * self.beam_row).abs() / steep).clamp_max(1)

    def upright(self, distance: Tensor) -> Tensor:
        """0..1: how squarely the surface stands on the picture; the beam's thickness smears one that lies in it."""
        across, down = self._slopes(distance)
        return soft_step(across * across + down * down - 0.5, 0.6)

    def _slopes(self, distance: Tensor) -> tuple[Tensor, Tensor]:
        """By how much the distance grows per cm along the map's rows and columns."""
        across = F.pad(distance[..., 2:] - distance[..., :-2], (1, 1, 0, 0), mode="replicate") * (0.5 / self.pitch[0])
        down = distance[..., 2:, :] - distance[..., :-2, :]
        return across, F.pad(down, (0, 0, 1, 1), mode="replicate") * (0.5 / self.pitch[1])

    def capsule(self, start: Sequence[Tensor], stop: Sequence[Tensor], radius: Tensor | float) -> Tensor:
        """Signed distance in cm to a rod with round ends between two points, each three tensors [b] or numbers."""
        axis = [self._scalar(b) - self._scalar(a) for a, b in zip(start, stop, strict=True)]
        offset = [place - self._scalar(a) for place, a in zip((self.x, self.y, self.z), start, strict=True)]
        square = sum(a * a for a in axis).clamp_min(1e-4)
        part = (sum(a * o for a, o in zip(axis, offset, strict=True)) / square).clamp(0, 1)
        apart = sum((o - part * a).square() for a, o in zip(axis, offset, strict=True))
        return (apart + 1e-6).sqrt() - self._scalar(radius)

    def _scalar(self, value: Tensor | float) -> Tensor:
        return self.fit(value) if isinstance(value, Tensor) else self.x.new_tensor(value).reshape(1, 1, 1, 1)


def _planes(noise: Tensor, planes: int) -> Tensor:
    """[b, k, h, w]: two fields [b, 2, h, w] mixed so that they change slowly from plane to plane."""
    turn = 0.7 * (torch.arange(planes, device=noise.device, dtype=torch.float32) - (planes - 1) / 2)
    return noise[:, :1] * turn.cos()[:, None, None] + noise[:, 1:] * turn.sin()[:, None, None]


def _fields(generators: Sequence[Generator], points: Tensor, reach: Tensor, slant: Tensor) -> dict[str, Tensor]:
    planes, height, width = points.shape[1:]
    device = points.device
    fields = {}
    for name, (rows, columns) in GRAINS.items():
        cells = (max(3, round(height / rows)), max(3, round(width / columns)))
        noise = _planes(normals(generators, (2, *cells), device), planes)
        fields[name] = F.interpolate(noise, size=(height, width), mode="bicubic", align_corners=True)
    polar = [
        F.interpolate(normals(generators, (2, *cells), device), size=POLAR, mode="bicubic", align_corners=True)
        for cells in (LAYERS, RAYS)
    ]
    polar = torch.stack([_planes(noise, planes) for noise in polar], 1).flatten(0, 1)  # [b 2, k, r, theta]
    grid = torch.stack((slant * 2.2, reach * (2 / REACH_CM) - 1), -1)  # [b, k, h, w, 2]
    grid = grid[:, None].expand(-1, 2, -1, -1, -1, -1).flatten(0, 1).flatten(0, 1)
    sampled = F.grid_sample(polar.flatten(0, 1)[:, None], grid, padding_mode="border", align_corners=True)
    sampled = sampled.reshape(len(points), 2, planes, height, width)
    fields["layers"], fields["rays"] = sampled[:, 0], sampled[:, 1]
    return fields


def make_scene(
    anatomy: AnatomyParameters,
    patients: Patients,
    view: Plane,
    x: Tensor,
    y: Tensor,
    z: Tensor,
    generators: Sequence[Generator],
) -> Scene:
    """The scene of points x, y, z [b, k, h, w] as seen by the probe of `view` (at one time)."""

    def component(vector: Tensor, i: int) -> Tensor:
        return vector[:, i].reshape(-1, 1, 1, 1)

    origin, across, down = view.origin[:, 0], view.right[:, 0], view.down[:, 0]
    places = (x, y, z)
    offset = [place - component(origin, i) for i, place in enumerate(places)]
    right_cm, below_cm = (sum(offset[i] * component(vector, i) for i in range(3)) for vector in (across, down))
    reach = sum(o * o for o in offset).sqrt().clamp_min(0.3)
    middle = (x.shape[2] // 2, x.shape[3] // 2)
    column = [(p[:, :1, middle[0], middle[1]] - p[:, :1, middle[0], middle[1] - 1])[..., None, None] for p in places]
    row = [(p[:, :1, middle[0], middle[1]] - p[:, :1, middle[0] - 1, middle[1]])[..., None, None] for p in places]
    pitch = tuple(sum(step * step for step in steps).sqrt().clamp_min(1e-4) for steps in (column, row))
    beam_column, beam_row = (
        sum(o * s for o, s in zip(offset, steps, strict=True)) / (reach * length)
        for steps, length in zip((column, row), pitch, strict=True)
    )
    slant = right_cm / (reach + below_cm.clamp_min(0.1))
    u, v = shapes.round_section(anatomy, x, y, z)
    radius = (u * u + v * v).sqrt().clamp_min(1e-3)
    length = anatomy.length_cm.reshape(-1, 1, 1, 1)
    fields = _fields(generators, x, reach, slant)
    # No outline is a perfect one: all are dented by a millimetre or two, the atria's thin walls by more.
    dent = 0.10 * fields["cloud"]
    away = ((z - length).abs() * (1 / RING_CM)).clamp_max(1)  # but not where they meet, or tissue would fill the seam
    cavity = shapes.lv_cavity(anatomy, x, y, z) + away * (dent + 0.04 * fields["patches"])
    left_atrium = shapes.left_atrium(anatomy, x, y, z) + 1.6 * away * dent
    aorta = shapes.aorta(anatomy, x, y, z) + 0.5 * dent
    side = radius - shapes.base_radius_cm(anatomy).reshape(-1, 1, 1, 1)
    corner = -smooth_minimum(-cavity, torch.where(z > 0.6 * length, -side, 9.0), 1.1)
    left_heart = torch.minimum(smooth_minimum(corner, left_atrium, 0.9), smooth_minimum(corner, aorta, 0.9))
    return Scene(
        anatomy=anatomy,
        patients=patients,
        x=x,
        y=y,
        z=z,
        depth=z / length,
        cos=u / radius,
        sin=v / radius,
        reach=reach,
        slant=slant,
        beam_column=beam_column,
        beam_row=beam_row,
        pitch=pitch,
        apical=((component(down, 2) - 0.4) * 3).clamp(0, 1),
        fields=fields,
        draws=evens(generators, (DRAWS, 1, 1, 1), x.device).transpose(0, 1),
        cavity=cavity,
        outer=shapes.epicardium(anatomy, x, y, z) + dent,
        right=shapes.rv_cavity(anatomy, x, y, z) - dent,
        left_atrium=left_atrium,
        right_atrium=shapes.right_atrium(anatomy, x, y, z) + 1.6 * dent,
        aorta=aorta,
        left_heart=left_heart,
    )
