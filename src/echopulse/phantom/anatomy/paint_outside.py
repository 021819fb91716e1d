"""Paints what lies around the heart: chest wall, lung, diaphragm and liver, mediastinum, pericardium, descending aorta.

Levels are in dB. Every painter takes the level so far and gives the new one. Real surroundings are no even cloud: they
lie in layers across the beam, end at hard edges, and shine where a smooth surface meets the beam squarely.
"""

from __future__ import annotations

import torch
from torch import Tensor

from echopulse.phantom.anatomy.paint_scene import Scene
from echopulse.phantom.anatomy.shapes import half_width_cm, smooth_minimum
from echopulse.phantom.steps import soft_step

LUNGS = ((18.0, 0.85), (72.0, 0.5), (188.0, 0.45))  # direction phi in degrees, and how often a lung is in the picture


def line(distance: Tensor, half_width: float | Tensor) -> Tensor:
    """1 on a surface, falling to 0 at `half_width` cm on both sides."""
    return (1 - distance.abs() / half_width).clamp_min(0)


def raise_to(level: Tensor, target: Tensor, weight: Tensor | float = 1.0) -> Tensor:
    """`level` where it is the brighter one, else towards `target`, by `weight`."""
    return level + (target - level).clamp_min(0) * weight


def blend(level: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """`level` replaced by `target` where `weight` is 1."""
    return level + (target - level) * weight


def heart_hull(scene: Scene) -> Tensor:
    """Signed distance in cm to the pericardial sac: all chambers with their walls, the clefts between them filled."""
    fit, anatomy = scene.fit, scene.anatomy
    ventricles = torch.minimum(scene.outer, scene.right - fit(anatomy.rv_wall_cm))
    atria = smooth_minimum(scene.left_atrium, scene.right_atrium, 2.6) - 0.22
    return smooth_minimum(ventricles, atria, 1.2)


def paint_surroundings(scene: Scene, hull: Tensor) -> Tensor:
    """dB [b, k, h, w] around the heart: dim and layered, brighter towards the probe, with lungs and liver in it."""
    fit, anatomy, fields, draws = scene.fit, scene.anatomy, scene.fields, scene.draws
    muscle, dim = fit(anatomy.myocardium_db), fit(anatomy.outside_db)
    far = hull.clamp_min(0)
    grain = 4.5 * fields["cloud"] + 3.0 * fields["layers"] + 2.2 * fields["rays"] + 1.2 * fields["patches"]
    level = dim + grain - 1.1 * far.clamp_max(7)

    # Chest wall: fat and muscle in layers; its haze thins out with the distance from the probe.
    thick = 2.6 + 2.2 * draws[0]
    chest = muscle - 3 - 4 * draws[1] - 2.6 * (scene.reach - thick).clamp_min(0)
    level = raise_to(level, chest + 2.6 * fields["layers"] + 1.6 * fields["patches"])

    level = _paint_diaphragm(scene, level, hull, muscle)
    for number, (angle, often) in enumerate(LUNGS):
        level = _paint_lung(scene, level, hull, muscle, angle, often, number)
    return level


def _paint_lung(
    scene: Scene, level: Tensor, hull: Tensor, muscle: Tensor, angle: float, often: float, number: int
) -> Tensor:
    """A lung's edge: a bright line where it faces the beam, behind it darkness or a streaky haze that fades."""
    draws, fields = scene.draws, scene.fields
    base = scene.fit(half_width_cm(scene.anatomy) + scene.anatomy.wall_cm)
    if angle > 90:
        base = base + scene.fit(scene.anatomy.rv_width_cm)
    present = (draws[2 + number] < often).float()
    bow = 0.05 * (scene.z - 0.45 * scene.fit(scene.anatomy.length_cm)).square()
    border = scene.along(angle) + bow - base - 0.1 - 1.5 * draws[5 + number] + 0.35 * fields["cloud"]
    inside = soft_step(torch.minimum(border, hull - 0.05), 0.3) * present
    hazy = (draws[8 + number] > 0.55).float()
    dark = scene.fit(scene.anatomy.outside_db) - 16
    haze = muscle - 9 - 3.2 * border.clamp(0, 6) + 4 * fields["rays"] + 2 * fields["layers"]
    level = blend(level, dark + (haze - dark) * hazy + 1.5 * fields["cloud"], inside)
    edge = line(border - 0.1, 0.22) * present * soft_step(hull - 0.1, 0.2)
    shine = scene.facing(border).square() * (0.3 + 0.7 * fields["cloud"] + 0.5 * fields["rays"]).clamp(0, 1)
    return raise_to(level, muscle + 5 + 2 * fields["patches"], edge * (0.08 + 0.92 * shine * draws[11]))


def _paint_diaphragm(scene: Scene, level: Tensor, hull: Tensor, muscle: Tensor) -> Tensor:
    """Below the inferior wall: a smooth bright arc, and the liver's even grain behind it."""
    anatomy, draws, fields = scene.anatomy, scene.draws, scene.fields
    present = (draws[12] < 0.7).float()
    base = scene.fit(half_width_cm(anatomy) + anatomy.wall_cm)
    drop = scene.along(262) + 0.04 * scene.along(352).square() - base - 0.25 - 0.9 * draws[13]
    drop = drop + 0.15 * (scene.z - scene.fit(anatomy.length_cm)).clamp_min(0) * (scene.towards(262) > 0)
    inside = soft_step(torch.minimum(drop, hull), 0.2) * present
    liver = muscle - 6 - 6 * draws[14] + 1.2 * fields["patches"] + 2 * fields["cloud"] - 0.8 * drop.clamp(0, 8)
    level = blend(level, liver, inside)
    arc = line(drop, 0.2) * present * soft_step(hull, 0.2)
    shine = scene.facing(drop)
    return raise_to(level, muscle + 8 + 3 * fields["knots"], arc * shine.square())


def paint_pericardium(scene: Scene, level: Tensor, hull: Tensor) -> Tensor:
    """The thin bright sheath of the heart and the glow of the mediastinum behind the atria."""
    fit, anatomy, fields, draws = scene.fit, scene.anatomy, scene.fields, scene.draws
    muscle, bright = fit(anatomy.myocardium_db), fit(anatomy.pericardium_db)
    face = scene.facing(hull)
    face = face * face
    behind = soft_step(scene.reach - _hidden_from(scene), 3.0)  # the far side: sound has come through blood
    away = hull.clamp_min(0)

    # Mediastinum behind: brightest at the sheath, in arcs, gone after a few centimetres, and patchy.
    roof = fit(anatomy.roof_cm)
    patchy = (0.62 + 0.35 * fields["cloud"] + 0.15 * fields["rays"]).clamp(0, 1)
    glow = muscle + 5 - 7.0 * away / roof + 2.5 * fields["layers"] + 2 * fields["patches"]
    level = raise_to(level, glow, behind * (0.25 + 0.75 * face) * patchy * (hull > -0.3))

    # The sheath itself: a line that breaks where it turns away from the beam.
    place = hull - 0.22 - 0.10 * fields["cloud"]
    broken = (0.45 + 0.55 * fields["knots"] + 0.3 * fields["cloud"]).clamp(0, 1)
    near = muscle - 3 + 4 * face + 2 * fields["patches"]
    sheath = near + behind * (3 + bright * face)
    level = raise_to(level, sheath, line(place, 0.3) * (0.15 + 0.85 * face * (0.4 + 0.6 * behind)) * broken)
    hot = line(place, 0.17) * face.square() * behind * (0.3 + 0.7 * broken)
    return raise_to(level, muscle + 4 + bright + 2 * draws[15], hot)


def _hidden_from(scene: Scene) -> Tensor:
    """cm from the probe to about the middle of the heart's far half: [b, 1, 1, 1]."""
    length = scene.fit(scene.anatomy.length_cm)
    across = scene.fit(2.0 * half_width_cm(scene.anatomy) + scene.anatomy.wall_cm) + 2.2
    return scene.apical * (1.28 * length + 1) + (1 - scene.apical) * across


def paint_descending_aorta(scene: Scene, level: Tensor) -> Tensor:
    """A round vessel behind the groove between ventricle and left atrium; PLAX cuts it across."""
    anatomy = scene.anatomy
    place = half_width_cm(anatomy) + anatomy.wall_cm + 1.75
    across = scene.along(330) - scene.fit(place)
    above = scene.z - scene.fit(anatomy.length_cm + 0.8)
    radius = 0.95 + 0.35 * scene.draws[16]
    distance = (across * across + above * above + 1e-4).sqrt() - radius
    clear = (1 - 0.75 * scene.apical) * (scene.draws[3] > 0.2)
    wall = line(distance - 0.08, 0.2) * (0.25 + 0.75 * scene.facing(distance).square()) * clear
    level = blend(level, scene.fit(anatomy.blood_db) + 8, soft_step(-distance, 0.4) * clear)
    return raise_to(level, scene.fit(anatomy.myocardium_db) + 2, wall)
