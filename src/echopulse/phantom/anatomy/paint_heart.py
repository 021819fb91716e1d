"""Paints the heart itself: muscle with its double outline, papillary muscles, bands, atria, great vessels, valve rings.

Levels are in dB. Muscle that the beam runs along is dim and hazy, surfaces that it meets squarely shine; the tables of
echocardiography textbooks say which walls drop out in which view, and here that follows from the angle alone.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from echopulse.phantom.anatomy import shapes
from echopulse.phantom.anatomy.heart import AnatomyParameters
from echopulse.phantom.anatomy.paint_outside import blend, line, raise_to
from echopulse.phantom.anatomy.paint_scene import Scene
from echopulse.phantom.steps import soft_step
from echopulse.phantom.types import PATHOLOGIES

ANTEROLATERAL, POSTEROMEDIAL = math.radians(-20), math.radians(235)
PAPILLARY_ROOT, PAPILLARY_TIP = 0.36, 0.66  # z of the papillary muscles' ends, relative to the ventricle's length


def papillary_tip(anatomy: AnatomyParameters, angle: float) -> tuple[Tensor, Tensor, Tensor]:
    """(X, Y, Z) [b] of a papillary muscle's tip in the reference heart, where its chords begin."""
    s = torch.full_like(anatomy.tau, PAPILLARY_TIP)
    radius = 0.60 * shapes.half_width_cm(anatomy) * shapes.endocardial_profile(s, anatomy.tau, anatomy.bullet).sqrt()
    z = s * anatomy.length_cm
    return *shapes.true_section(anatomy, radius * math.cos(angle), radius * math.sin(angle), z), z


def _papillary_root(anatomy: AnatomyParameters, angle: float) -> tuple[Tensor, Tensor, Tensor]:
    s = torch.full_like(anatomy.tau, PAPILLARY_ROOT)
    radius = 0.92 * shapes.half_width_cm(anatomy) * shapes.endocardial_profile(s, anatomy.tau, anatomy.bullet).sqrt()
    z = s * anatomy.length_cm
    return *shapes.true_section(anatomy, radius * math.cos(angle), radius * math.sin(angle), z), z


def _has(scene: Scene, *pathologies: str) -> Tensor:
    indices = torch.tensor([PATHOLOGIES.index(name) for name in pathologies], device=scene.x.device)
    return scene.fit(torch.isin(scene.patients.pathology, indices).float())


def paint_fat(scene: Scene, level: Tensor, hull: Tensor) -> Tensor:
    """Fat and fibrous tissue between the chambers, under which the muscle is painted."""
    fields = scene.fields
    body = scene.fit(scene.anatomy.myocardium_db) - 5 + 2.5 * fields["patches"] + 1.5 * fields["knots"]
    return blend(level, body, soft_step(-hull - 0.05, 0.3))


def paint_muscle(scene: Scene, level: Tensor) -> Tensor:
    """The left ventricle's wall."""
    fit, anatomy, fields, draws = scene.fit, scene.anatomy, scene.fields, scene.draws
    muscle = fit(anatomy.myocardium_db)
    face = scene.facing(scene.outer)
    along_beam = 1 - face * face
    septal = soft_step(scene.towards(200) - 0.35, 0.8)
    lateral = soft_step(scene.towards(25) - 0.1, 0.9)

    # Grain: fibres and patches; strong and knotty in the septum of an apical picture, faint in the lateral wall.
    knots = fields["knots"] + 0.6 * fields["fibres"]
    shade = muscle + 1.5 * fields["fibres"] + 1.5 * fields["patches"] + 1.2 * fields["cloud"] + 1.5 * face * face
    column = septal * scene.apical * soft_step(scene.depth - 0.30 + 0.06 * fields["cloud"], 0.35)
    shade = shade + column * (1.5 + 4.5 * draws[17] + 2.6 * knots)
    shade = shade - lateral * along_beam * (2 + 7 * draws[18])
    shade = shade - along_beam * (1 - scene.apical) * (3 + 6 * draws[18])
    shade = shade - (1 - soft_step(scene.depth - 0.18, 0.3)) * scene.apical * (1 + 4 * draws[19])
    shade = shade + _has(scene, "hypertrophic") * septal * (2 + 1.2 * knots)
    shade = shade + _has(scene, "restrictive") * (1.5 + 4.5 * (fields["rough"] - 0.8).clamp(0, 1.5))  # sparkling
    ill = shapes.territory_weight(anatomy, scene.cos, scene.sin, scene.depth) * (scene.fit(anatomy.territory) > 0)
    scar = ill * fit(anatomy.scar)
    shade = shade + scar * (5.5 - 1.0 * fields["fibres"])

    # The outer edge is sharp where it faces the beam and melts into the lung where it does not.
    melt = 0.15 + 0.75 * along_beam * lateral * scene.apical
    level = blend(level, shade, soft_step(-scene.outer + 0.2 * melt, melt))

    # Double outline: endocardium, and the epicardium on the right ventricle's side.
    rim = scene.cavity + _trabeculae(scene)
    uneven = (0.6 + 0.5 * fields["knots"]).clamp(0, 1.4)
    shine = face * face * uneven
    level = level + line(rim - 0.13, 0.17) * (0.8 + 6.5 * shine + 1.5 * uneven * septal) * (scene.z > 0.2)
    border = line(scene.outer + 0.07, 0.15) * soft_step(scene.depth - 0.2, 0.2)
    return level + border * septal * (1.0 + 5.5 * shine + 2.0 * uneven * draws[20])


def _trabeculae(scene: Scene) -> Tensor:
    """cm by which the endocardium is rough: coarse towards the apex, smooth under the valves and on the septum."""
    rough = 0.6 * scene.fields["rough"] + 0.8 * scene.fields["knots"] + 0.5 * scene.fields["patches"]
    coarse = 1.15 - 0.8 * soft_step(scene.depth - 0.5, 0.6)
    return scene.fit(scene.anatomy.trabeculation_cm) * rough * coarse


def paint_left_cavity(scene: Scene, level: Tensor, blood: Tensor) -> Tensor:
    """Blood, rough edges, papillary muscles and now and then a false tendon."""
    fit, anatomy, fields, draws = scene.fit, scene.anatomy, scene.fields, scene.draws
    muscle = fit(anatomy.myocardium_db)
    inside = scene.left_heart + _trabeculae(scene) * (scene.depth < 1.1)
    level = blend(level, blood, soft_step(-inside, 0.2))

    knots = (fields["rough"] - 1.1).clamp(0, 1) * line(scene.cavity + 0.25, 0.45)
    knots = knots * (1 - soft_step(scene.depth - 0.5, 0.4))
    level = raise_to(level, muscle - 4, knots * soft_step(fit(anatomy.trabeculation_cm) - 0.03, 0.05))
    width = fit(shapes.half_width_cm(anatomy))
    for angle in (ANTEROLATERAL, POSTEROMEDIAL):
        root, tip = _papillary_root(anatomy, angle), papillary_tip(anatomy, angle)
        rod = scene.capsule(root, tip, 0.24 * width[:, 0, 0, 0]) + 0.10 * fields["rough"]
        face = scene.facing(rod)
        body = muscle - 6 + 2.0 * fields["fibres"] + 1.5 * fields["knots"] + 6 * face * face * line(rod + 0.1, 0.2)
        level = raise_to(level, body, soft_step(-rod, 0.3) * fit(anatomy.papillary))
    tendon_z = anatomy.length_cm * (0.28 + 0.25 * draws[21, :, 0, 0, 0])
    reach = shapes.half_width_cm(anatomy)
    start = (-0.8 * reach, -0.2 * reach, tendon_z)
    stop = (0.75 * reach, 0.3 * reach, tendon_z * (1.3 - 0.8 * draws[22, :, 0, 0, 0]))
    tendon = scene.capsule(start, stop, 0.02)
    present = (draws[21] > 0.72) * (scene.cavity < 0)
    return raise_to(level, muscle - 9 + 3 * fields["knots"], line(tendon, 0.13) * present)


def paint_right_ventricle(scene: Scene, level: Tensor, blood: Tensor) -> Tensor:
    """Its free wall with both outlines, its coarse inside and the moderator band."""
    fit, anatomy, fields, draws = scene.fit, scene.anatomy, scene.fields, scene.draws
    muscle, thick = fit(anatomy.myocardium_db), fit(anatomy.rv_wall_cm)
    face = scene.facing(scene.right)
    shine = face * face
    wall = soft_step(thick - scene.right, 0.15) * soft_step(scene.outer - 0.02, 0.1)
    shade = muscle - 2.5 - 3 * draws[17] * (1 - shine) + 2 * fields["patches"] + 1.5 * fields["fibres"]
    level = blend(level, shade, wall)
    free = soft_step(scene.outer - 0.25, 0.3)
    uneven = (0.6 + 0.5 * fields["knots"]).clamp(0, 1.3)
    level = level + line(scene.right - thick, 0.16) * free * (1.5 + 6 * shine) * uneven
    level = level + line(scene.right - 0.05, 0.14) * free * (0.8 + 4 * shine) * uneven
    rough = scene.right + fit(anatomy.trabeculation_cm) * 1.6 * fields["rough"] * free
    level = blend(level, blood + 2.5 + 1.5 * fields["cloud"], soft_step(-rough, 0.25))

    # Moderator band: from the septum to the foot of the free wall, nearer to the apex.
    length, width = anatomy.length_cm, shapes.half_width_cm(anatomy) + anatomy.wall_cm
    angle, out = math.radians(205), anatomy.rv_width_cm
    share = 0.50 + 0.12 * draws[23, :, 0, 0, 0]
    start = (0.95 * width * math.cos(angle), 0.95 * width * math.sin(angle), share * length)
    stop = (
        (width + 0.75 * out) * math.cos(angle),
        (width + 0.75 * out) * math.sin(angle),
        (share - 0.06) * length,
    )
    band = scene.capsule(start, stop, 0.12) + 0.08 * fields["rough"]
    level = raise_to(level, muscle - 6 + 2 * fields["fibres"], soft_step(-band, 0.2) * (scene.right < 0.1))
    lumps = (fields["knots"] - 1.0).clamp(0, 1) * line(scene.right + 0.3, 0.5) * free
    return raise_to(level, muscle - 7, lumps)


def paint_atria(scene: Scene, level: Tensor, blood: Tensor) -> Tensor:
    """Thin walls that break where the beam runs along them, and the septum between with its window, the fossa."""
    fit, anatomy, fields, draws = scene.fit, scene.anatomy, scene.fields, scene.draws
    muscle = fit(anatomy.myocardium_db)
    for distance in (scene.left_atrium, scene.right_atrium):
        face = scene.facing(distance)
        wall = muscle - 10 + 12 * face * face + 2.5 * fields["patches"] + 2 * fields["cloud"]
        level = blend(level, wall, line(distance - 0.1, 0.24) * (scene.outer > 0) * (scene.right > 0))
    ragged = 0.10 * fields["rough"] + 0.10 * fields["knots"]
    level = blend(level, blood + 1, soft_step(-scene.right_atrium - ragged, 0.25))
    level = blend(level, blood, soft_step(-scene.left_atrium - ragged, 0.25))

    between = (scene.left_atrium - scene.right_atrium).abs()
    near = torch.maximum(scene.left_atrium, scene.right_atrium)
    up = (scene.z - fit(anatomy.length_cm)) / fit(anatomy.la_height_cm)
    fossa = (1 - ((up - 0.52 - 0.06 * fields["cloud"]) / 0.26).square()).clamp_min(0)
    shade = muscle - 2 - 12 * (0.5 + 0.5 * draws[18]) * fossa + 3 * fields["patches"]
    shade = shade - 5 * (1 - scene.facing(scene.left_atrium - scene.right_atrium).square())
    septum = soft_step(0.26 - between, 0.24) * soft_step(0.45 - near, 0.3) * soft_step(up - 0.02, 0.1)
    return blend(level, shade, septum)


def paint_aortic_root(scene: Scene, level: Tensor, blood: Tensor) -> Tensor:
    """Two parallel bright lines with blood between; after a few centimetres the vessel leaves the picture's plane.

    A picture that only grazes the root shows nothing of it: a ring in the left atrium of a four-chamber view is not
    seen in life.
    """
    fields = scene.fields
    face = scene.facing(scene.aorta)
    uneven = (0.75 + 0.35 * fields["knots"]).clamp(0, 1.2)
    up = scene.z - scene.fit(scene.anatomy.length_cm)
    here = soft_step(up - 0.1, 0.3) * (1 - soft_step(up - 4.2 - 0.8 * fields["cloud"], 2.0))
    here = here * scene.upright(scene.aorta)
    shade = scene.fit(scene.anatomy.myocardium_db) - 4 + (11 * face * face + 1) * uneven + 1.5 * fields["patches"]
    level = blend(level, shade, line(scene.aorta - 0.1, 0.22) * here * (scene.left_heart > -0.05))
    return blend(level, blood + 2, soft_step(-scene.aorta, 0.2) * here)


def paint_rings(scene: Scene, level: Tensor) -> Tensor:
    """The fibrous valve rings, and the crux where both septa and both rings meet: bright and irregular."""
    fit, anatomy, fields, draws = scene.fit, scene.anatomy, scene.fields, scene.draws
    muscle = fit(anatomy.myocardium_db)
    ring = shapes.mitral_annulus(anatomy)
    offset = [place - fit(ring.centre[:, i]) for i, place in enumerate((scene.x, scene.y, scene.z))]
    parts, sizes = [], []
    for axis in (ring.first, ring.second):
        size = axis.norm(dim=-1)
        parts.append(sum(o * fit(axis[:, i] / size**2) for i, o in enumerate(offset)))
        sizes.append(fit(size))
    height = sum(o * fit(ring.normal[:, i]) for i, o in enumerate(offset))
    radial = ((parts[0].square() + parts[1].square() + 1e-6).sqrt() - 1) * 0.5 * (sizes[0] + sizes[1])
    tube = ((radial - 0.12).square() + (height - 0.05).square() + 1e-6).sqrt()
    blob = (1 - (tube + 0.06 * fields["rough"]) / (0.32 + 0.12 * draws[19])).clamp(0, 1)
    shade = muscle + 1 + 5 * draws[20] + 2.5 * fields["knots"]
    level = raise_to(level, shade, blob.sqrt() * (0.55 + 0.45 * soft_step(scene.towards(190), 1.0)))

    # The crux: from the end of the ventricular septum a centimetre down into the atrial one, in lumps.
    angle = math.radians(208)
    out = shapes.base_radius_cm(anatomy) + 0.35 * anatomy.wall_cm
    place = (out * math.cos(angle), out * math.sin(angle))
    start = (*place, anatomy.length_cm - 0.35)
    stop = (0.86 * place[0], 0.86 * place[1], anatomy.length_cm + 0.55 + 0.7 * draws[22, :, 0, 0, 0])
    crux = scene.capsule(start, stop, 0.34) + 0.13 * fields["rough"] + 0.10 * fields["knots"]
    shade = muscle + 6 + 4 * draws[20] + 2 * fields["patches"] + 1.5 * fields["fibres"]
    return raise_to(level, shade, soft_step(-crux, 0.3))
