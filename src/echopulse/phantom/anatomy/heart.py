"""Whose heart it is: the sizes of a three-dimensional heart at nominal end-diastole.

Heart coordinates are centimetres. z runs along the left ventricle's long axis: 0 at the endocardial apex, L at the
plane of the mitral annulus, and on through the atria. Across it, as seen from the apex, x points to the patient's left
(the lateral wall) and y forwards (the anterior wall); the angle phi runs from x towards y: lateral 0, anterior 90,
septum 180, inferior 270 degrees. The *reference heart* is the one at nominal end-diastole: tissue is painted in it
once (`shapes` says where what lies), and `deformation` says where every point of the moving heart lies in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from echopulse.phantom.priors import apply_pins, chance, check_prior, log_normal, normal, uniform
from echopulse.phantom.types import PATHOLOGIES, RHYTHMS, Batch, Patients, about

AF = RHYTHMS.index("af")


@dataclass(frozen=True)
class AnatomyParameters(Batch):
    """The hearts of b clips; every tensor is [b], float32 unless said, lengths in cm at nominal end-diastole."""

    edv_ml: Tensor
    ef: Tensor
    length_cm: Tensor = about("length of the left ventricle, apex to annulus plane")
    tau: Tensor = about("how far its ellipsoid runs on beyond its widest place, as a share of that place's depth")
    bullet: Tensor = about("0 an ellipsoid; above 0 straighter sides and a blunter apex, below 0 a pointed one")
    ovality: Tensor = about("cross-sections: antero-posterior over transverse diameter")
    bend_x_cm: Tensor = about("bow of the long axis to the patient's left")
    bend_y_cm: Tensor = about("bow of the long axis forwards")
    shortening: Tensor = about("share by which the long axis shortens in a nominal beat")
    wall_cm: Tensor = about("thickness of the left ventricle's free wall")
    septal_ratio: Tensor = about("thickness of the septum, relative to the free wall")
    apical_wall_cm: Tensor = about("thickness of the wall at the apex")
    territory: Tensor  # int64, index into TERRITORIES
    territory_motion: Tensor  # of that wall relative to the rest: 1 as the rest, 0 akinetic, below 0 dyskinetic
    scar: Tensor  # 0..1, how much of that wall is scar, hence thin
    rv_width_cm: Tensor = about("right ventricle, septum to free wall at the middle of its base")
    rv_wall_cm: Tensor = about("thickness of the right ventricle's free wall")
    rv_shortening: Tensor = about("share by which the right ventricle's width shrinks in a nominal beat")
    la_height_cm: Tensor = about("left atrium, annulus plane to roof")
    la_width_cm: Tensor = about("left atrium, across the heart")
    la_depth_cm: Tensor = about("left atrium, from beside the aorta backwards")
    la_squeeze: Tensor = about("by how much of themselves the atria's walls come in when they are half empty")
    ra_height_cm: Tensor = about("right atrium, annulus plane to roof")
    ra_width_cm: Tensor = about("right atrium, atrial septum to free wall")
    atrial_septum_cm: Tensor = about("thickness of the atrial septum")
    atrial_wobble: Tensor = about("six numbers: how the atria's outlines depart from a rounded box")  # [b, 6]
    veins: Tensor = about("how wide the mouths of the pulmonary veins and of the appendage stand open")
    aorta_cm: Tensor = about("diameter of the aortic root")
    aorta_lean_rad: Tensor = about("lean of the root away from the long axis, towards the breastbone")
    roof_cm: Tensor = about("thickness of the bright tissue beneath the atria")
    trabeculation_cm: Tensor = about("roughness of the endocardium")
    papillary: Tensor = about("how visible the papillary muscles are")
    leaflet_cm: Tensor = about("thickness of the valves' leaflets")
    leaflet_db: Tensor = about("brightness of the leaflets, below white")
    leaflet_reach: Tensor = about("length of the anterior mitral leaflet, relative to the annulus radius")
    tenting_cm: Tensor = about("how far below the annulus plane, towards the apex, the closed leaflets meet")
    opening_rad: Tensor = about("angle of the wide-open anterior leaflet")
    myocardium_db: Tensor = about("brightness of the myocardium, below white")
    pericardium_db: Tensor = about("brightness of the pericardium above the myocardium")
    outside_db: Tensor = about("brightness of what lies around the heart, below white")
    blood_db: Tensor = about("brightness of blood, below white")


def _by_pathology(patients: Patients, **means: float) -> Tensor:
    """float32 [b]: the value given for each heart's pathology, 1 for those not named."""
    return torch.tensor([means.get(name, 1.0) for name in PATHOLOGIES])[patients.pathology]


def draw_anatomy(patients: Patients, generator: Generator, prior: str = "clinical", **pinned: Any) -> AnatomyParameters:
    """The hearts of these patients, seen from nowhere in particular: the view belongs to the probe.

    Normal sizes are those of the ASE/EACVI recommendations for chamber quantification (Lang et al. 2015) and textbook
    values; the ranges are wider, as disease is. Long axes follow the volume's power 0.28, atria grow with stiff
    ventricles, with atrial fibrillation and with age; how much is plausible rather than measured.
    """
    check_prior(prior)
    patients = patients.to("cpu")
    n, edv, ef = len(patients.ef), patients.edv_ml.float(), patients.ef.float()
    size = (edv / 120) ** (1 / 3)
    body = 1 - 0.08 * patients.female
    decades = (patients.age_years - 50) / 10
    fibrillating = 1 + 0.16 * (patients.rhythm == AF)
    atria = _by_pathology(patients, hypertensive=1.08, hypertrophic=1.12, restrictive=1.28, dilated=1.06)
    atria = atria * fibrillating * (1 + 0.012 * decades) * (1 - 0.4 * (ef - 0.6).clamp(-0.4, 0.1))
    small = size.clamp(0.75, 1.35).sqrt()
    length = 8.6 * size**0.84 * normal(n, 1.0, 0.035, generator, 0.9, 1.1)
    length = (length * patients.sphericity.clamp(0.75, 1.45) ** (-2 / 3)).clamp(5.2, 12.5)
    shortening = (0.17 + 0.28 * (ef - 0.6) + normal(n, 0, 0.010, generator, -0.02, 0.02)) * (8.5 / length).sqrt()
    wall = 0.97 * body * size**0.3 * patients.wall * normal(n, 1.0, 0.05, generator, 0.88, 1.14)
    thick = _by_pathology(patients, hypertrophic=2.0)  # the septum's share of hypertrophy
    asymmetry = normal(n, 1.04, 0.06, generator, 0.9, 1.2) + (thick - 1) * uniform(n, 0.0, 0.6, generator)
    rv_strain = _by_pathology(patients, dilated=1.12, restrictive=1.08)
    values = {
        "edv_ml": edv,
        "ef": ef,
        "length_cm": length,
        "tau": uniform(n, 0.36, 0.55, generator),
        "bullet": normal(n, 0.12, 0.14, generator, -0.2, 0.45),
        "ovality": normal(n, 1.0, 0.035, generator, 0.92, 1.09),
        "bend_x_cm": normal(n, 0.06, 0.06, generator, -0.1, 0.2) * small,
        "bend_y_cm": normal(n, 0.02, 0.06, generator, -0.12, 0.18) * small,
        "shortening": shortening.clamp(0.02, 0.26),
        "wall_cm": wall.clamp(0.5, 2.2),
        "septal_ratio": asymmetry,
        "apical_wall_cm": (wall * uniform(n, 0.65, 0.9, generator)).clamp(0.4, 1.3),
        "territory": patients.territory,
        "territory_motion": patients.territory_motion.float(),
        "scar": patients.scar.float(),
        "rv_width_cm": normal(n, 3.1, 0.35, generator, 2.2, 4.4) * small * rv_strain,
        "rv_wall_cm": uniform(n, 0.3, 0.5, generator),
        "rv_shortening": (0.30 + 0.2 * (ef - 0.6) + normal(n, 0, 0.05, generator, -0.1, 0.1)).clamp(0.08, 0.42),
        "la_height_cm": normal(n, 4.4, 0.4, generator, 3.4, 5.6) * small * atria,
        "la_width_cm": normal(n, 4.6, 0.35, generator, 3.7, 5.6) * small * atria,
        "la_depth_cm": normal(n, 4.2, 0.3, generator, 3.4, 5.2) * small * atria,
        "la_squeeze": uniform(n, 0.10, 0.22, generator),
        "ra_height_cm": normal(n, 4.4, 0.4, generator, 3.2, 5.6) * small * atria.sqrt(),
        "ra_width_cm": normal(n, 3.5, 0.35, generator, 2.6, 4.6) * small * atria,
        "atrial_septum_cm": uniform(n, 0.25, 0.5, generator),
        "atrial_wobble": normal((n, 6), 0.0, 0.5, generator, -1, 1),
        "veins": uniform(n, 0.3, 1.0, generator),
        "aorta_cm": 2.9 * body * (1 + 0.012 * decades) * log_normal(n, 1.0, 0.08, generator, 0.8, 1.3),
        "aorta_lean_rad": normal(n, 0.30, 0.08, generator, 0.12, 0.5),
        "roof_cm": uniform(n, 0.6, 1.9, generator),
        "trabeculation_cm": uniform(n, 0.02, 0.14, generator),
        "papillary": 0.15 + 0.85 * chance(n, 0.8, generator) * uniform(n, 0.4, 1.0, generator),
        "leaflet_cm": uniform(n, 0.09, 0.15, generator),
        "leaflet_db": uniform(n, -32, -22, generator),
        "leaflet_reach": uniform(n, 1.1, 1.3, generator),
        "tenting_cm": (uniform(n, 0.2, 0.6, generator) + 1.2 * (0.5 - ef).clamp_min(0)).clamp(0.2, 1.1),
        "opening_rad": uniform(n, 1.05, 1.4, generator),
        "myocardium_db": normal(n, -25.5, 2.5, generator, -31, -20),
        "pericardium_db": uniform(n, 6, 12, generator),
        "outside_db": normal(n, -41.5, 5, generator, -53, -32),
        "blood_db": uniform(n, -66, -53, generator),
    }
    if prior == "easy":
        flat = torch.zeros(n)
        values |= {"bend_x_cm": flat, "bend_y_cm": flat, "trabeculation_cm": flat + 0.03, "papillary": flat}
        values |= {"blood_db": flat - 66, "myocardium_db": flat - 22, "outside_db": flat - 40}
        values |= {"atrial_wobble": torch.zeros(n, 6), "veins": flat + 0.3}
    return AnatomyParameters(**apply_pins(values, pinned, "anatomy"))


