"""Paints the reference heart and what lies around it: how strongly each point scatters, for a plane of any view.

Everything is a function of the place in three dimensions and of the angle at which the beam arrives; a slab of planes
is painted once per clip and carried along by `deformation`, speckle included.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from echopulse.phantom.anatomy.heart import AnatomyParameters
from echopulse.phantom.anatomy.paint_heart import (
    paint_aortic_root,
    paint_atria,
    paint_fat,
    paint_left_cavity,
    paint_muscle,
    paint_right_ventricle,
    paint_rings,
)
from echopulse.phantom.anatomy.paint_outside import (
    heart_hull,
    paint_descending_aorta,
    paint_pericardium,
    paint_surroundings,
)
from echopulse.phantom.anatomy.paint_scene import Scene, make_scene
from echopulse.phantom.anatomy.planes import Plane
from echopulse.phantom.texture import normals
from echopulse.phantom.types import Patients

DB = 8.685889638065035  # decibels per natural logarithm of amplitude
FAINTEST_DB = -75.0


def paint_levels(scene: Scene) -> Tensor:
    """dB [b, k, h, w] below white of every point of the scene.

    The myocardium lies some 25 dB below white, its borders and the pericardium are brighter, blood is 30 to 40 dB
    darker; tuned by eye and by the grey statistics of clinical clips.
    """
    hull = heart_hull(scene)
    blood = scene.fit(scene.anatomy.blood_db) + 1.5 * scene.fields["patches"] + scene.fields["cloud"]
    level = paint_surroundings(scene, hull)
    level = paint_descending_aorta(scene, level)
    level = paint_pericardium(scene, level, hull)
    level = paint_fat(scene, level, hull)
    level = paint_right_ventricle(scene, level, blood)
    level = paint_muscle(scene, level)
    level = paint_atria(scene, level, blood)
    level = paint_left_cavity(scene, level, blood)
    level = paint_aortic_root(scene, level, blood)
    return paint_rings(scene, level)


def paint_tissue(
    anatomy: AnatomyParameters,
    patients: Patients,
    view: Plane,
    x: Tensor,
    y: Tensor,
    z: Tensor,
    generators: Sequence[Generator],
) -> Tensor:
    """float32 [b, 3, k, h, w]: amplitude of the tissue without speckle, and with it (real, imaginary part).

    x, y, z [b, k, h, w] are the points of k parallel planes in the reference heart (cm), seen from the probe of `view`
    (at one time). Amplitudes are linear, 1 = white.
    """
    scene = make_scene(anatomy, patients, view, x, y, z, generators)
    amplitude = torch.exp(paint_levels(scene).clamp(FAINTEST_DB, 0) * (1 / DB))[:, None]
    speckle = normals(generators, (2, *x.shape[1:]), x.device) * 0.5**0.5
    return torch.cat((amplitude, amplitude * speckle), 1)
