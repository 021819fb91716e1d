"""Where the examiner holds the probe: the plane through the heart that a picture shows, and how it sways with breath.

A picture's x runs to its right and y downwards, in cm from the probe. Apical planes hold the long axis, the probe lies
beyond the apex, and x points towards the angle phi of the view (see `heart`); the parasternal long axis is the plane
of A3C seen from the breastbone, with the base to the right; short axes lie across, with the front on top.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from echopulse.phantom.anatomy.heart import AnatomyParameters
from echopulse.phantom.anatomy.shapes import (
    aortic_sinus,
    half_width_cm,
    left_atrium_centre_cm,
    right_ventricle_around,
)
from echopulse.phantom.breath import inhaled
from echopulse.phantom.limits import LIMITS
from echopulse.phantom.priors import apply_pins, chance, check_prior, choice, normal, uniform
from echopulse.phantom.types import VIEWS, Batch, Patients, about, over_time

APICAL, LONG, SHORT = "apical", "long", "short"
VIEW_KINDS = {"a4c": APICAL, "a2c": APICAL, "a3c": APICAL, "plax": LONG} | {
    name: SHORT for name in ("psax_mitral", "psax_papillary", "psax_apical")
}
# Angle phi towards which the plane runs: to the right of an apical picture, upwards in PLAX; none in a short axis.
VIEW_ANGLES: dict[str, float | None] = {
    "a4c": math.radians(30), "a2c": math.radians(90), "a3c": math.radians(150), "plax": math.radians(150),
    "psax_mitral": None, "psax_papillary": None, "psax_apical": None,
}  # fmt: skip
LEVELS = {"plax": 0.86, "psax_mitral": 0.85, "psax_papillary": 0.58, "psax_apical": 0.25}  # z / L beneath the probe
AIMS = {"a4c": 0.7, "a3c": -0.3, "psax_mitral": 0.6, "psax_papillary": 0.5, "psax_apical": 0.3}  # cm to the right
TILTS = {"a4c": 0.05, "plax": -0.10}
FROM_AORTA_CM = 0.6  # what a four-chamber plane keeps at least: wall, breath and hand come out of it


@dataclass(frozen=True)
class ProbeParameters(Batch):
    """How the probe is held over b hearts; every tensor is [b], float32 unless said."""

    view: Tensor = about("the view")  # int64, index into VIEWS
    foreshortening: Tensor = about("by how much of its length the plane misses the apex; 0 holds the whole long axis")
    off_axis: Tensor = about("0 the standard plane, 1 turned by rotation_rad and shifted by aside_cm")
    rotation_rad: Tensor = about("turn of the plane about the beam")
    aside_cm: Tensor = about("shift of the plane, to its front or back")
    tilt_rad: Tensor = about("tilt of the heart in the picture; above 0 what lies deep lies further to the right")
    aim_cm: Tensor = about("how far to the right of the probe the apex (or the axis) lies")
    gap_cm: Tensor = about("from the probe to the heart: chest wall and fat")
    level: Tensor = about("parasternal views: place on the long axis beneath the probe, 0 apex, 1 annulus")
    roll_rad: Tensor = about("short axes: how far to the patient's right of the front the probe stands")
    depth_cm: Tensor = about("depth of the picture")
    drift_cm: Tensor = about("how far the hand wanders")
    drift_s: Tensor = about("over how long the hand wanders")
    drift_phase: Tensor = about("where in its wandering the hand begins, in radians")
    breath_cm: Tensor = about("how far the heart moves with every breath")
    breath_rad: Tensor = about("how far the heart turns in the picture with every breath")
    breath_hz: Tensor  # the patient's own
    breath_phase: Tensor  # rad


def _per_view(view: Tensor, values: dict[str, float]) -> Tensor:
    return torch.tensor([values.get(name, 0.0) for name in VIEWS], device=view.device)[view]


def is_kind(view: Tensor, kind: str) -> Tensor:
    """bool [b]: whether the views [b] are of that kind."""
    return torch.tensor([VIEW_KINDS[name] == kind for name in VIEWS], device=view.device)[view]


def draw_probe(
    anatomy: AnatomyParameters, patients: Patients, generator: Generator, prior: str = "clinical", **pinned: Any
) -> ProbeParameters:
    """How the examiner holds the probe over these hearts; "easy" is a perfect and steady hand on a held breath.

    Foreshortening is common in apical views, more so in large ventricles, whose apex lies far to the side.
    """
    check_prior(prior)
    anatomy, n = anatomy.to("cpu"), len(patients.ef)
    any_view = choice(n, [1.0] * len(VIEWS), generator)
    view = apply_pins({"view": any_view}, {k: v for k, v in pinned.items() if k == "view"}, "probe")["view"]
    apical, long, short = (is_kind(view, kind).float() for kind in (APICAL, LONG, SHORT))
    # The annulus comes down through a plane too near to it, and the picture would show the atria.
    level = torch.where(short > 0, 1.0 - 1.35 * anatomy.shortening, 1.0).minimum(_per_view(view, LEVELS))
    missed = normal(n, 0.0, 0.09, generator, -0.25, 0.25).abs() * chance(n, 0.7, generator)
    held = 1 - 0.8 * chance(n, 0.3, generator).float()  # the breath
    values = {
        "view": view,
        "foreshortening": missed * (0.25 + 0.75 * apical),
        "off_axis": uniform(n, 0.0, 1.0, generator),
        "rotation_rad": normal(n, 0.0, 0.14, generator, -0.35, 0.35) * (0.5 + 0.5 * apical),
        "aside_cm": normal(n, 0.0, 0.28, generator, -0.7, 0.7),
        "tilt_rad": _per_view(view, TILTS) + normal(n, 0.0, 0.09, generator, -0.22, 0.22),
        "aim_cm": _per_view(view, AIMS) + normal(n, 0.0, 0.35, generator, -0.8, 0.8),
        "gap_cm": uniform(n, 0.5, 1.7, generator) + 0.4 * long + 1.2 * short,
        "level": (level + normal(n, 0.0, 0.02, generator, -0.05, 0.04)).clamp_min(0.05),
        "roll_rad": normal(n, 0.26, 0.14, generator, -0.1, 0.6),
        "depth_cm": uniform(n, 0.4, 1.9, generator) + (1 - apical) * uniform(n, 0.6, 2.6, generator),  # spare
        "drift_cm": uniform(n, 0.0, 0.16, generator),
        "drift_s": uniform(n, 2.4, 6.5, generator),
        "drift_phase": uniform(n, 0, 2 * math.pi, generator),
        "breath_cm": uniform(n, 0.05, 0.32, generator) * held,
        "breath_rad": normal(n, 0.0, 0.012, generator, -0.03, 0.03) * held,
        "breath_hz": patients.breath_hz.cpu(),
        "breath_phase": patients.breath_phase.cpu(),
    }
    if prior == "easy":
        flat = torch.zeros(n)
        still = ("foreshortening", "off_axis", "drift_cm", "breath_cm", "breath_rad")
        values |= {name: flat for name in still}
        values |= {"level": level.clamp_min(0.05)}
    values = apply_pins(values, pinned, "probe")
    if "aside_cm" not in pinned:
        values["aside_cm"] = _without_aorta(anatomy, values)
    if "depth_cm" not in pinned:
        values["depth_cm"] = values["depth_cm"] + _depth_of_heart_cm(anatomy, values)
    return ProbeParameters(**values)


def _without_aorta(anatomy: AnatomyParameters, probe: dict[str, Tensor]) -> Tensor:
    """`aside_cm`, but where a four-chamber plane would graze the aortic root, held further back: with it in the picture
    the view would be another.
    """
    off_axis = probe["off_axis"]
    front = _towards(VIEW_ANGLES["a4c"] + 0.5 * math.pi + off_axis * probe["rotation_rad"])
    middle, radius = aortic_sinus(anatomy)
    room = (middle * front).sum(-1) - radius - FROM_AORTA_CM
    furthest = (room / off_axis.clamp_min(0.05)).clamp_min(LIMITS["aside_cm"][0])
    four_chambers = probe["view"] == VIEWS.index("a4c")
    return torch.where(four_chambers, torch.minimum(probe["aside_cm"], furthest), probe["aside_cm"])


@dataclass(frozen=True)
class Plane(Batch):
    """A picture's plane at t times, in heart coordinates (cm); `right` and `down` are unit vectors."""

    origin: Tensor = over_time()  # [b, t, 3], where the probe stands
    right: Tensor = over_time()  # [b, t, 3]
    down: Tensor = over_time()  # [b, t, 3]

    @property
    def normal(self) -> Tensor:
        """Unit vector [b, t, 3] across the plane."""
        return torch.linalg.cross(self.right, self.down)


def _outer_radius_cm(anatomy: AnatomyParameters) -> Tensor:
    return half_width_cm(anatomy) + anatomy.wall_cm


def _in_front_cm(anatomy: AnatomyParameters) -> Tensor:
    """[b]: from the long axis to the right ventricle's free wall, where the parasternal long axis crosses it."""
    angle = torch.full_like(anatomy.length_cm, VIEW_ANGLES["plax"])
    width = right_ventricle_around(angle.cos(), angle.sin()).clamp_min(0) * anatomy.rv_width_cm
    return half_width_cm(anatomy) + anatomy.wall_cm * anatomy.septal_ratio + width + anatomy.rv_wall_cm


def _short_axis_radius_cm(anatomy: AnatomyParameters, level: Tensor) -> Tensor:
    """[b]: of the heart at z = `level` L, roughly."""
    return _outer_radius_cm(anatomy) * (0.72 + 0.28 * (2 * level).clamp(0, 1))


def _depth_of_heart_cm(anatomy: AnatomyParameters, probe: dict[str, Tensor]) -> Tensor:
    """[b]: from the probe to the atrial roof, or to the back of the heart."""
    apical, long = is_kind(probe["view"], APICAL), is_kind(probe["view"], LONG)
    roof = anatomy.length_cm + 1.02 * anatomy.la_height_cm
    along = anatomy.apical_wall_cm + roof * probe["tilt_rad"].cos()
    behind = left_atrium_centre_cm(anatomy)[:, :2].norm(dim=-1) + 0.5 * anatomy.la_depth_cm
    across = _in_front_cm(anatomy) + torch.maximum(_outer_radius_cm(anatomy), behind)
    short = _short_axis_radius_cm(anatomy, probe["level"]) + _outer_radius_cm(anatomy) + 0.6
    return probe["gap_cm"] + torch.where(apical, along, torch.where(long, across, short))


def picture_depth_cm(anatomy: AnatomyParameters, probe: ProbeParameters) -> Tensor:
    """[b]: how deep the picture reaches; as drawn, just beyond the atrial roof, or some way behind the heart."""
    return probe.depth_cm.to(anatomy.length_cm)


def _towards(angle: Tensor) -> Tensor:
    """[b, 3]: unit vector across the heart."""
    return torch.stack((angle.cos(), angle.sin(), torch.zeros_like(angle)), -1)


def _turned(first: Tensor, second: Tensor, angle: Tensor) -> tuple[Tensor, Tensor]:
    """Two perpendicular unit vectors turned by `angle`, from the first towards the second."""
    cos, sin = angle.cos()[..., None], angle.sin()[..., None]
    return cos * first + sin * second, cos * second - sin * first


def reference_cut(anatomy: AnatomyParameters, probe: ProbeParameters) -> Plane:
    """The plane without drift or breath; tensors are [b, 1, 3]."""
    apical, long = (is_kind(probe.view, kind)[:, None] for kind in (APICAL, LONG))
    axis = torch.zeros_like(anatomy.length_cm)[:, None] + anatomy.length_cm.new_tensor((0.0, 0.0, 1.0))
    angle = _per_view(probe.view, {name: value or 0.0 for name, value in VIEW_ANGLES.items()})
    front = _towards(0.5 * math.pi + probe.roll_rad)  # where the probe stands in short axes
    aside = _towards(torch.where(angle > 1.0, angle - 0.5 * math.pi, angle + 0.5 * math.pi))  # in front or to the left
    sideways = _towards(0.5 * math.pi + probe.roll_rad - 0.5 * math.pi)
    right = torch.where(apical, _towards(angle), torch.where(long, axis, sideways))
    down = torch.where(apical, axis, torch.where(long, -_towards(angle), -front))
    normal = torch.where(apical | long, aside, axis)

    down, normal = _turned(down, normal, -probe.foreshortening.atan())
    right, across = _turned(right, normal, probe.off_axis * probe.rotation_rad)
    length = anatomy.length_cm[:, None]
    place = torch.where(apical, (axis - down) * length, axis * length * probe.level[:, None])
    right, down = _turned(right, down, probe.tilt_rad)
    depth = torch.where(
        apical[:, 0],
        anatomy.apical_wall_cm,
        torch.where(long[:, 0], _in_front_cm(anatomy), _short_axis_radius_cm(anatomy, probe.level)),
    )
    origin = place - right * probe.aim_cm[:, None] - down * (depth + probe.gap_cm)[:, None]
    origin = origin + across * (probe.off_axis * probe.aside_cm)[:, None]
    return Plane(origin[:, None], right[:, None], down[:, None])


def cut(anatomy: AnatomyParameters, probe: ProbeParameters, times_s: Tensor) -> Plane:
    """The plane at the times [t] in seconds, as hand and breath move it.

    A breath pushes the heart down, so towards an apical probe and, in other views, to the left or across the picture;
    a probe on the breastbone it lifts off the heart.
    """
    still = reference_cut(anatomy, probe)
    times_s = times_s.to(probe.drift_s)[None]
    turn = 2 * math.pi * times_s / probe.drift_s[:, None] + probe.drift_phase[:, None]
    breath = inhaled(probe.breath_hz, probe.breath_phase, times_s)
    drift, breathing = probe.drift_cm[:, None], probe.breath_cm[:, None] * breath
    deeper = torch.where(is_kind(probe.view, APICAL), 0.8, -0.8)[:, None]
    aside = torch.where(is_kind(probe.view, SHORT), -0.4, 0.4)[:, None]  # the normal of a short axis is to the apex
    right, down = _turned(still.right, still.down, probe.breath_rad[:, None] * breath)
    shift_right = drift * turn.sin() + 0.3 * breathing
    shift_down = 0.6 * drift * (1.31 * turn + 1).cos() + deeper * breathing
    shift_across = 0.4 * drift * (0.77 * turn + 2).sin() + aside * breathing
    origin = still.origin + still.right * shift_right[..., None] + still.down * shift_down[..., None]
    return Plane(origin + still.normal * shift_across[..., None], right, down)


def heart_points(plane: Plane, x_cm: Tensor, y_cm: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Heart coordinates [b, t, h, w] of picture points [b, h, w] given as cm to the right of and below the probe."""
    x, y = x_cm[:, None], y_cm[:, None]
    points = []
    for axis in range(3):
        origin, right, down = (value[..., axis, None, None] for value in (plane.origin, plane.right, plane.down))
        points.append(torch.addcmul(torch.addcmul(origin, x, right), y, down))
    return points[0], points[1], points[2]
