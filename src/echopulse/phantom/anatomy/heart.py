"""The shape of a simulated heart: a left ventricle whose volume is exact, and how everything around it moves.

Heart coordinates are centimetres in the plane of the picture: z runs along the ventricle's long axis from the
endocardial apex (z = 0) to the mitral annulus (z = L) and on through the atrium; w runs across it, to the right
in the picture. The *reference* heart is the one at nominal end-diastole; `material_coordinates` says for every
point of the moving heart where it lies in the reference heart, so tissue is painted once and then carried along.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from echopulse.errors import InputError
from echopulse.phantom.priors import apply_pins, chance, check_prior, normal, uniform
from echopulse.phantom.types import Motion

VIEWS = ("a4c", "a2c")
RV_APEX, RV_BASE = 0.22, 1.02  # where the right ventricle begins and ends, as fractions of the left one's length
WALL_FADE_CM = 1.2  # outside the epicardium motion fades over this distance
RIGHT_FADE_CM = 2.0


@dataclass(frozen=True)
class AnatomyParameters:
    """The hearts of b clips; every tensor is [b], float32 unless said, lengths in cm at nominal end-diastole."""

    view: Tensor  # int64, index into VIEWS
    edv_ml: Tensor
    ef: Tensor
    length_cm: Tensor  # left ventricle, apex to annulus plane
    tau: Tensor  # how far the ellipsoid runs on beyond its widest place, as a fraction of that place's depth
    shortening: Tensor  # fraction by which the long axis shortens in a nominal beat
    wall_cm: Tensor  # free wall and septum
    apical_wall_cm: Tensor
    bend_cm: Tensor  # sideways bow of the long axis
    apex_x_cm: Tensor  # endocardial apex, to the right of the probe
    apex_depth_cm: Tensor  # endocardial apex, below the probe
    tilt_rad: Tensor  # of the long axis; positive: the base lies to the right
    rv_width_cm: Tensor  # right ventricle at its base
    rv_wall_cm: Tensor
    rv_shortening: Tensor  # fraction by which its width shrinks
    la_height_cm: Tensor
    la_width: Tensor  # relative to the annulus
    la_squeeze: Tensor  # how far the side walls of the atrium follow its volume
    ra_height_cm: Tensor
    ra_width: Tensor  # relative to the right ventricle's base
    septum_gap_cm: Tensor  # between the atria
    roof_cm: Tensor  # thickness of the bright tissue beneath the atria
    trabeculation_cm: Tensor  # roughness of the endocardium
    papillary: Tensor  # 0..1, how visible
    leaflet_cm: Tensor  # thickness of the valves' leaflets
    leaflet_db: Tensor
    leaflet_reach: Tensor  # length of the anterior leaflet relative to the annulus radius
    tenting_cm: Tensor  # how far the closed leaflets meet below the annulus plane, towards the apex
    opening_rad: Tensor  # angle of the wide-open anterior leaflet
    myocardium_db: Tensor
    pericardium_db: Tensor  # above the myocardium
    outside_db: Tensor
    blood_db: Tensor

    def to(self, device: torch.device | str) -> AnatomyParameters:
        return AnatomyParameters(**{name: value.to(device) for name, value in vars(self).items()})

    def rows(self, which: slice | Tensor) -> AnatomyParameters:
        """The anatomy of some of the hearts."""
        return AnatomyParameters(**{name: value[which] for name, value in vars(self).items()})

    @property
    def view_names(self) -> tuple[str, ...]:
        return tuple(VIEWS[index] for index in self.view.tolist())


def view_index(view: str | list[str] | tuple[str, ...] | Tensor | int) -> Tensor:
    """int64 scalar or [b] from a view's name, names, or indices."""
    if isinstance(view, Tensor | int):
        return torch.as_tensor(view, dtype=torch.int64)
    names = [view] if isinstance(view, str) else list(view)
    for name in names:
        if name not in VIEWS:
            raise InputError(f"view {name!r} cannot be simulated; choose one of {', '.join(VIEWS)}.")
    indices = torch.tensor([VIEWS.index(name) for name in names])
    return indices[0] if isinstance(view, str) else indices


def draw_anatomy(
    n: int, generator: Generator, edv_ml: Tensor, ef: Tensor, prior: str = "clinical", **pinned: Any
) -> AnatomyParameters:
    """Hearts of n clips with the given nominal end-diastolic volumes [n] in ml and ejection fractions [n].

    Normal sizes are those of the ASE/EACVI 2015 recommendations for chamber quantification (Lang et al.);
    the ranges are wider, as disease is.
    """
    check_prior(prior)
    if "view" in pinned:
        pinned = {**pinned, "view": view_index(pinned["view"])}
    edv_ml, ef = edv_ml.detach().cpu().float(), ef.detach().cpu().float()
    view = {"view": chance(n, 0.4, generator).long()}
    view = apply_pins(view, {name: value for name, value in pinned.items() if name == "view"}, "anatomy")["view"]
    four = (view == 0).float()
    size = (edv_ml / 120) ** 0.28
    values = {
        "view": view,
        "edv_ml": edv_ml,
        "ef": ef,
        "length_cm": 8.5 * size * normal(n, 1.0, 0.05, generator, 0.87, 1.13),
        "tau": uniform(n, 0.35, 0.60, generator),
        "shortening": (0.17 + 0.28 * (ef - 0.6) + normal(n, 0, 0.015, generator, -0.03, 0.03)).clamp(0.03, 0.26),
        "wall_cm": normal(n, 0.95, 0.17, generator, 0.6, 1.6),
        "apical_wall_cm": normal(n, 0.8, 0.15, generator, 0.45, 1.2),
        "bend_cm": normal(n, 0.0, 0.22, generator, -0.5, 0.5),
        "apex_x_cm": normal(n, 0.0, 0.35, generator, -0.9, 0.9) + 0.55 * four,
        "apex_depth_cm": uniform(n, 1.5, 3.0, generator),
        "tilt_rad": normal(n, 0.0, 0.10, generator, -0.24, 0.24) + 0.05 * four,
        "rv_width_cm": normal(n, 3.2, 0.5, generator, 2.2, 4.8),
        "rv_wall_cm": uniform(n, 0.3, 0.6, generator),
        "rv_shortening": normal(n, 0.28, 0.07, generator, 0.10, 0.42),
        "la_height_cm": normal(n, 4.3, 0.7, generator, 2.8, 6.4),
        "la_width": normal(n, 1.0, 0.1, generator, 0.8, 1.3),
        "la_squeeze": uniform(n, 0.04, 0.14, generator),
        "ra_height_cm": normal(n, 4.1, 0.6, generator, 2.8, 6.0),
        "ra_width": normal(n, 1.02, 0.1, generator, 0.8, 1.25),
        "septum_gap_cm": uniform(n, 0.25, 0.6, generator),
        "roof_cm": uniform(n, 0.6, 1.9, generator),
        "trabeculation_cm": uniform(n, 0.02, 0.14, generator),
        "papillary": uniform(n, 0.0, 1.0, generator),
        "leaflet_cm": uniform(n, 0.09, 0.15, generator),
        "leaflet_db": uniform(n, -32, -22, generator),
        "leaflet_reach": uniform(n, 1.1, 1.3, generator),
        "tenting_cm": uniform(n, 0.2, 0.8, generator),
        "opening_rad": uniform(n, 1.05, 1.4, generator),
        "myocardium_db": normal(n, -25.5, 2.5, generator, -31, -20),
        "pericardium_db": uniform(n, 6, 12, generator),
        "outside_db": normal(n, -41.5, 5, generator, -53, -32),
        "blood_db": uniform(n, -66, -53, generator),
    }
    if prior == "easy":
        flat = torch.zeros(n)
        values |= {"bend_cm": flat, "trabeculation_cm": flat + 0.03, "blood_db": flat - 66, "papillary": flat}
        values |= {"myocardium_db": flat - 22, "outside_db": flat - 40}
    return AnatomyParameters(**apply_pins(values, pinned, "anatomy"))


@dataclass(frozen=True)
class LVShape:
    """The left ventricle at t times: a truncated ellipsoid of revolution with exactly the volume asked for.

    Its half-width at depth z is `half_width_cm * sqrt(1 - (z/c - 1)**2)` with c = length / (1 + tau), 0 <= z <= length.
    """

    length_cm: Tensor  # [b, t], apex to annulus plane
    half_width_cm: Tensor  # [b, t], at the widest place


def _ellipsoid_factor(tau: Tensor) -> Tensor:
    """k in V = pi a^2 c k, the volume of an ellipsoid cut off at z = c (1 + tau)."""
    return (1 + tau) - (tau * tau * tau + 1) / 3


def _half_width(volume_ml: Tensor, length_cm: Tensor, tau: Tensor) -> Tensor:
    return (volume_ml * (1 + tau) / (math.pi * length_cm * _ellipsoid_factor(tau))).sqrt()


def lv_shape(anatomy: AnatomyParameters, motion: Motion) -> LVShape:
    """Length and half-width [b, t] from the volume: the annulus comes down by `shortening` in a nominal ejection."""
    edv, stroke = anatomy.edv_ml[:, None], (anatomy.ef * anatomy.edv_ml).clamp_min(1.0)[:, None]
    ejected = (edv - motion.volume_ml) / stroke
    descent = 1 - anatomy.shortening[:, None] * ejected.clamp(-0.6, 1.6)
    length = anatomy.length_cm[:, None] * descent
    return LVShape(length, _half_width(motion.volume_ml, length, anatomy.tau[:, None]))


def reference_half_width(anatomy: AnatomyParameters) -> Tensor:
    """[b], cm: the ventricle's half-width at nominal end-diastole."""
    return _half_width(anatomy.edv_ml, anatomy.length_cm, anatomy.tau)


def heart_coordinates(anatomy: AnatomyParameters, x_cm: Tensor, y_cm: Tensor) -> tuple[Tensor, Tensor]:
    """(w, z) [b, ...] of points [b, ...] given as cm to the right of and below the probe."""
    def fit(value: Tensor) -> Tensor:
        return value.reshape(-1, *[1] * (x_cm.ndim - 1))

    dx, dy = x_cm - fit(anatomy.apex_x_cm), y_cm - fit(anatomy.apex_depth_cm)
    cos, sin = fit(anatomy.tilt_rad.cos()), fit(anatomy.tilt_rad.sin())
    w, z = dx * cos - dy * sin, dx * sin + dy * cos
    part = (z / fit(anatomy.length_cm)).clamp(0, 1)
    return w - 4 * fit(anatomy.bend_cm) * part * (1 - part), z


def inside_ventricle(anatomy: AnatomyParameters, shape: LVShape, w: Tensor, z: Tensor) -> Tensor:
    """bool [b, t, ...]: whether points (w, z) [b, t or 1, ...] lie in the left-ventricular cavity."""
    def fit(value: Tensor) -> Tensor:
        return value.reshape(*value.shape, *[1] * (w.ndim - 2))

    length, half_width = fit(shape.length_cm), fit(shape.half_width_cm)
    along = z * (fit(1 + anatomy.tau[:, None]) / length)
    return (w * w < half_width * half_width * along * (2 - along)) & (z < length)


def endocardial_profile(part: Tensor, tau: Tensor) -> Tensor:
    """Squared half-width relative to the widest place, at `part` = z / L; constant beyond the annulus, 0 above."""
    along = part.clamp(0, 1) * (1 + tau)
    return along * (2 - along)


def epicardial_half_width_squared(z: Tensor, half_width: Tensor, centre: Tensor, wall: Tensor, cap: Tensor) -> Tensor:
    """cm^2, squared half-width of the reference epicardium, an ellipse around the endocardial one; negative outside."""
    along = (z - centre) / (centre + cap)
    outer = half_width + wall
    return outer * outer * (1 - along * along)


def right_ventricle_width(part: Tensor, width: Tensor) -> Tensor:
    """cm between septum and right-ventricular free wall at `part` = z / L of the reference heart."""
    down = ((part - RV_APEX) / (RV_BASE - RV_APEX)).clamp(0, 1)
    return width * (down * (2 - down)).clamp_min(0).sqrt() * (1 - 0.12 * down * down)


def material_coordinates(
    anatomy: AnatomyParameters, shape: LVShape, motion: Motion, w: Tensor, z: Tensor
) -> tuple[Tensor, Tensor]:
    """Where in the reference heart the tissue now at (w, z) [b, t or 1, h, w'] comes from; two tensors [b, t, h, w'].

    The wall is incompressible: with lam = L(t) / L_ED, w0^2 = R_ED^2 + (w^2 - R(t)^2) lam keeps every ring's volume,
    so the wall thickens as the cavity shrinks. Outside the epicardium the motion fades away.
    """
    def fit(value: Tensor) -> Tensor:  # [b] -> [b, 1, 1, 1]; [b, t] -> [b, t, 1, 1]
        return value.reshape(value.shape[0], -1, 1, 1)

    tau, length0, length = fit(anatomy.tau), fit(anatomy.length_cm), fit(shape.length_cm)
    half_width0, half_width = fit(reference_half_width(anatomy)), fit(shape.half_width_cm)
    wall, cap, centre = fit(anatomy.wall_cm), fit(anatomy.apical_wall_cm), length0 / (1 + tau)
    four = fit((anatomy.view == 0).float())
    right_width = fit(anatomy.rv_width_cm) * four

    # Along the axis: the annulus is the piston, apex and atrial roof stay.
    lam = length / length0
    depth = fit(torch.maximum(anatomy.la_height_cm, anatomy.ra_height_cm)) + 1.0
    beyond = depth / (length0 + depth - length)
    z0 = torch.where(z < length, z.clamp_min(0) / lam + z.clamp_max(0), length0 + (z - length) * beyond)
    side = (w.abs() - (half_width0 + wall) - (right_width + 0.4) * (w < 0)) / 2.5
    z0 = z + (z0 - z) * (1 - side.clamp(0, 1))
    z0 = torch.where(z > length0 + depth, z, z0)

    # Across it.
    part = z0 / length0
    profile = endocardial_profile(part, tau)
    local = 1 + (lam - 1) * (part * 3).clamp(0, 1)  # the apical cap does not stretch
    shift = profile * (half_width0 * half_width0 - local * half_width * half_width)
    square = w * w
    in_cavity = square < profile * (half_width * half_width)
    outer0_square = epicardial_half_width_squared(z0.clamp_max(length0), half_width0, centre, wall, cap).clamp_min(1e-4)
    outer = ((outer0_square - shift).clamp_min(1e-4) / local).sqrt()
    outer0 = outer0_square.sqrt()
    distance = w.abs()
    clear = distance - outer  # outside the epicardium where positive
    squeeze = 1 / (1 - fit(anatomy.rv_shortening) * (1 - fit(motion.rv_fraction)))
    left0 = right_ventricle_width(part, right_width) * (w < 0)
    left = left0 / squeeze
    inside_wall = (square * local + shift).clamp_min(0).sqrt()
    fade = (1 - (clear - left).clamp_min(0) / (WALL_FADE_CM + RIGHT_FADE_CM * four * (w < 0))).clamp_min(0)
    outside = distance + (outer0 - outer + left0 - left) * fade
    in_right = outer0 + clear * squeeze
    across = torch.where(clear < 0, inside_wall, torch.where(clear < left, in_right, outside))
    across = torch.where(in_cavity, distance * (half_width0 / half_width), across)

    # Below the annulus the ventricle's motion fades and the atrium's own begins.
    below = ((z - length) / 3.0).clamp(0, 1)
    squeeze_la = fit(anatomy.la_squeeze) * (1 - fit(motion.la_volume))
    bump = 4 * (below * (1 - 0.5 * below)) * (1 - (distance / (2 * half_width0) - 0.5).clamp(0, 1))
    across = across + (distance * (1 + 0.5 * squeeze_la * bump) - across) * below
    return across * w.sign(), z0
