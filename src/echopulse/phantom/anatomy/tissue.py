"""Paints the reference heart: how strongly each point of the tissue scatters, in heart coordinates.

It is painted once per clip and carried along by `anatomy.material_coordinates`, speckle included.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from echopulse.phantom.anatomy.heart import (
    RV_APEX,
    RV_BASE,
    AnatomyParameters,
    epicardial_half_width_squared,
    reference_half_width,
    right_ventricle_width,
)
from echopulse.phantom.texture import evens, smooth_field, soft_step, speckle_field

W_RANGE = (-13.5, 12.5)  # cm that the map covers across the axis
Z_RANGE = (-4.0, 17.0)  # cm along it
MAP_SIZE = (192, 224)


def map_grid(w: Tensor, z: Tensor) -> Tensor:
    """Points (w, z) [...] as the coordinates [..., 2] in which `grid_sample` reads a map of this room."""
    u = (w - W_RANGE[0]) * (2 / (W_RANGE[1] - W_RANGE[0])) - 1
    v = (z - Z_RANGE[0]) * (2 / (Z_RANGE[1] - Z_RANGE[0])) - 1
    return torch.stack((u, v), -1)


def map_points(device: torch.device | str = "cpu") -> tuple[Tensor, Tensor]:
    """(w, z) in cm of every sample of the map, [1, h, w] each."""
    z = torch.linspace(*Z_RANGE, MAP_SIZE[0], device=device)
    w = torch.linspace(*W_RANGE, MAP_SIZE[1], device=device)
    return w[None, None, :].expand(1, *MAP_SIZE), z[None, :, None].expand(1, *MAP_SIZE)


def _slope(distance: Tensor) -> tuple[Tensor, Tensor]:
    """Derivatives of a field [b, h, w] along w and z, per cm."""
    dz, dw = torch.gradient(distance, dim=(1, 2))
    return dw * (MAP_SIZE[1] / (W_RANGE[1] - W_RANGE[0])), dz * (MAP_SIZE[0] / (Z_RANGE[1] - Z_RANGE[0]))


def _ellipse_distance(w: Tensor, z: Tensor, centre: tuple[Tensor, Tensor], axes: tuple[Tensor, Tensor], power: float):
    """About the distance in cm to a super-ellipse, negative inside."""
    u, v = ((w - centre[0]) / axes[0]).abs(), ((z - centre[1]) / axes[1]).abs()
    level = (u**power + v**power + 1e-9) ** (1 / power)
    steepness = ((u / axes[0]) ** 2 + (v / axes[1]) ** 2).sqrt() / (u * u + v * v + 1e-9).sqrt()
    return (level - 1) / steepness.clamp_min(1e-3)


def paint_tissue(anatomy: AnatomyParameters, generators: Sequence[Generator]) -> Tensor:
    """float32 [b, 3, h, w]: amplitude of the tissue without speckle, and with it (real, imaginary part).

    Amplitudes are linear, 1 = white (0 dB). The myocardium lies some 25 dB below white, its borders and the
    pericardium are brighter, blood is 30 to 40 dB darker; tuned by eye and by the grey statistics of clinical clips.
    """
    device = anatomy.view.device
    grains = ((9, 11), (26, 28), (70, 46), (44, 52))
    cloud, patches, fibres, rough = (smooth_field(generators, cells, MAP_SIZE, device) for cells in grains)
    draws = evens(generators, (8, 1, 1), device).transpose(0, 1)
    speckle = speckle_field(generators, MAP_SIZE, device)

    def fit(value: Tensor) -> Tensor:
        return value[:, None, None]

    w, z = map_points(device)
    four = fit(anatomy.view == 0)
    length, tau = fit(anatomy.length_cm), fit(anatomy.tau)
    half_width, wall, cap = fit(reference_half_width(anatomy)), fit(anatomy.wall_cm), fit(anatomy.apical_wall_cm)
    centre = length / (1 + tau)
    base = half_width * (1 - tau * tau).sqrt()
    muscle = fit(anatomy.myocardium_db)
    blood = fit(anatomy.blood_db) + 1.5 * patches
    wobble = fit(anatomy.trabeculation_cm) * rough

    # Signed distances, negative inside.
    cavity = _ellipse_distance(w, z, (w * 0, centre), (half_width, centre), 2.0)
    inlet = (w.abs() - base).clamp_min(-9)
    cavity = torch.where(z > length, torch.maximum(inlet, z - length), cavity)
    outer = _ellipse_distance(w, z, (w * 0, centre), (half_width + wall, centre + cap), 2.0)
    ventricle = torch.maximum(outer, z - length - 0.25)
    part = (z / length).clamp(RV_APEX, RV_BASE)
    epicardium = epicardial_half_width_squared(z.clamp_max(length), half_width, centre, wall, cap).clamp_min(0).sqrt()
    right = right_ventricle_width(part, fit(anatomy.rv_width_cm))
    right_cavity = torch.maximum((-w - epicardium - right) * 0.9, w + epicardium)
    right_cavity = torch.maximum(right_cavity, torch.maximum(z - RV_BASE * length, (RV_APEX * length - z) * 0.8))
    la_height, ra_height = fit(anatomy.la_height_cm), fit(anatomy.ra_height_cm)
    la_half = base * 1.22 * fit(anatomy.la_width)
    left_atrium = _ellipse_distance(
        w, z, (0.12 * base, length + 0.40 * la_height), (la_half, 0.60 * la_height), 2.3
    )
    left_atrium = torch.maximum(left_atrium, length - 0.05 - z) + 1.2 * wobble
    ra_half = 0.5 * fit(anatomy.rv_width_cm) * fit(anatomy.ra_width) + 0.45
    ra_centre = 0.12 * base - la_half - fit(anatomy.septum_gap_cm) - ra_half
    right_atrium = _ellipse_distance(w, z, (ra_centre, length + 0.36 * ra_height), (ra_half, 0.62 * ra_height), 2.2)
    right_atrium = torch.maximum(right_atrium, RV_BASE * length - 0.1 - z) + 1.2 * wobble
    absent = torch.full_like(cavity, 9.0)
    right_cavity, right_atrium = (torch.where(four, side, absent) for side in (right_cavity, right_atrium))
    heart = torch.minimum(
        torch.minimum(ventricle, right_cavity - fit(anatomy.rv_wall_cm)),
        torch.minimum(left_atrium, right_atrium) - 0.25,
    )

    # How squarely the beam meets each surface: such surfaces shine.
    tilt_w, tilt_z = fit(anatomy.tilt_rad.sin() * anatomy.apex_depth_cm), fit(anatomy.apex_depth_cm)
    beam_w, beam_z = w + fit(anatomy.apex_x_cm) - tilt_w, z + tilt_z
    beam = (beam_w * beam_w + beam_z * beam_z).sqrt().clamp_min(0.3)

    def facing(distance: Tensor) -> Tensor:
        dw, dz = _slope(distance)
        return ((dw * beam_w + dz * beam_z) / (beam * (dw * dw + dz * dz).sqrt().clamp_min(0.2))).abs().clamp(0, 1)

    depth = z / length
    # Outside the heart: dim, uneven, darker with distance; bright beneath the atria.
    far = heart.clamp_min(0)
    level = fit(anatomy.outside_db) + 5.5 * cloud + 2 * patches - 1.3 * far.clamp_max(6)
    face = facing(heart)
    roof = fit(anatomy.roof_cm)
    beneath = soft_step(z - length - 0.30 * la_height - 0.10 * la_height * w.sign(), 2.5)
    glow = (1 - (far - 0.1 * roof) / (roof * 1.3)).clamp(0, 1) * beneath * (0.35 + 0.65 * face)
    level = level + glow * (muscle + 7 + 3.5 * cloud + 2.5 * patches - level).clamp_min(0)
    sheath = (1 - (far - 0.12).abs() / 0.28).clamp(0, 1) * soft_step(depth - 0.15, 0.5)
    sheath = sheath * (0.30 + 0.70 * face) * (1 - 0.55 * (w < 0) * four * (depth < 1))
    bright = fit(anatomy.pericardium_db) * (1 + 0.12 * cloud)
    level = level + sheath * (muscle + bright * (0.55 + 0.45 * beneath) - level).clamp_min(0)

    # The heart's own tissue: fat and fibrous body first, then right wall, myocardium, cavities.
    within = soft_step(-heart, 0.25)
    level = level + within * (muscle - 4 + 2.5 * patches - level)
    septum = soft_step(-w, 0.8) * soft_step(depth - 0.12, 0.3)
    lateral = soft_step(w, 1.0)
    texture = 1.6 * fibres + 1.8 * patches + 1.2 * cloud
    shade = muscle + texture + septum * (1 + 4 * draws[0]) - lateral * 6.5 * draws[1] + 2 * (depth - 0.6)
    level = level + soft_step(-ventricle, 0.25) * (shade - level)
    edge = (1 - (cavity + wobble - 0.12).abs() / 0.22).clamp(0, 1) * (z < length) * soft_step(z, 1.0)
    level = level + edge * (1.0 + 5.5 * facing(cavity))
    edge = (1 - (outer + 0.1).abs() / 0.2).clamp(0, 1) * septum * (z < length) * four
    level = level + edge * 4 * draws[2]
    level = level + soft_step(-right_cavity - wobble, 0.3) * (blood + 3 - level)
    band_w, band_z = -epicardium - 0.55 * right, (0.50 + 0.1 * draws[3]) * length
    band = (1 - ((z - band_z) * 0.8 + (w - band_w) * (0.5 * draws[4])).abs() / 0.3).clamp(0, 1)
    level = level + band * soft_step(-right_cavity - 0.1, 0.3) * (draws[3] > 0.4) * (muscle - 7 - level)
    level = level + soft_step(-right_atrium, 0.25) * (blood + 1 - level)
    level = level + soft_step(-left_atrium, 0.25) * (blood - level)
    level = level + soft_step(-(cavity + wobble), 0.22) * (blood - level)

    # The papillary muscle, inside the cavity's outline as it is by convention.
    place_w = half_width * (0.70 + 0.15 * draws[5])
    place_z = length * (0.50 + 0.12 * draws[6])
    papilla = _ellipse_distance(w, z, (place_w, place_z), (0.16 * half_width, 0.13 * length), 2.0)
    strength = soft_step(-papilla, 0.4) * fit(anatomy.papillary) * 0.8
    level = level + strength * (muscle - 6 + texture - level).clamp_min(0)

    # Fibrous ring: the crux and the lateral annulus shine.
    crux = (1 - (((w + base + 0.42 * wall) / 0.55) ** 2 + ((z - length - 0.05) / 0.75) ** 2)).clamp_min(0)
    corner = (1 - (((w - base - 0.35) / 0.5) ** 2 + ((z - length) / 0.5) ** 2)).clamp_min(0)
    level = level + crux * (muscle + 10 + 2 * patches - level) * (0.5 + 0.5 * draws[7])
    level = level + corner * (muscle + 7 + 2 * patches - level) * (0.4 + 0.6 * draws[2])

    amplitude = torch.exp(level.clamp(-75, 0) * 0.1151293)
    return torch.cat((amplitude[:, None], amplitude[:, None] * speckle), 1)
