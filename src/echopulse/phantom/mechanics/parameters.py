"""How a heart pumps: the parameters of the mechanics and what they are drawn from, given the patient."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from echopulse.phantom.priors import apply_pins, chance, check_prior, log_normal, normal, uniform
from echopulse.phantom.types import CONDUCTIONS, PATHOLOGIES, Batch, Patients, about

NORMAL_EF = 0.62


@dataclass(frozen=True)
class MechanicsParameters(Batch):
    """How b hearts pump; every tensor is float32 [b]. The first three are the patient's own."""

    female: Tensor  # 0 or 1
    ef: Tensor  # ejection fraction of a regular beat
    edv_ml: Tensor  # volume of a fully filled left ventricle
    ivct_s: Tensor = about("isovolumic contraction: mitral closure to the start of ejection")
    ivrt_s: Tensor = about("isovolumic relaxation at 70/min: end of ejection to mitral opening")
    early_filling_s: Tensor = about("duration of the E wave at 70/min")
    atrial_share: Tensor = about("the atrial kick's share of the filling volume at 70/min")
    atrial_delay_s: Tensor = about("P onset to the start of the A wave")
    atrial_kick_s: Tensor = about("duration of the A wave")
    pre_ejection_offset_s: Tensor = about("this heart's pre-ejection period less what rate and EF predict")
    systole_offset_s: Tensor = about("this heart's time from Q to the end of ejection, less what rate predicts")
    force_gain: Tensor = about("how strongly contractility follows the ratio of the last two intervals")
    ectopic_force: Tensor = about("EF of a ventricular beat, relative to what its interval allows")
    ejection_skew: Tensor = about("course of the outflow: 0 even, 1 front-loaded")
    diastasis_opening: Tensor = about("how far the mitral valve stays open between E and A")
    la_emptying: Tensor = about("share of its largest volume that the left atrium empties")
    ra_emptying: Tensor = about("share of its largest volume that the right atrium empties")
    peak_twist_rad: Tensor = about("twist of apex against base at end-systole of a regular beat")
    septal_flash_cm: Tensor = about("how far the septum moves in before ejection in a conducted beat")
    ectopic_flash_cm: Tensor = about("how far the septum moves in before ejection in a wide beat from a ventricle")
    lateral_delay_s: Tensor = about("how late the lateral wall is where the septum flashes")


def draw_mechanics(
    patients: Patients, generator: Generator, prior: str = "clinical", **pinned: Any
) -> MechanicsParameters:
    """How these patients' hearts pump; a value given by name takes the place of the one drawn.

    Links: relaxation slows and the atrial share grows with age and with thick walls; stiff (restrictive) hearts, and
    some of the very weak, relax early and fill briefly; a weak heart twists less and is potentiated more by a pause.
    """
    check_prior(prior)
    n, ef = len(patients.ef), patients.ef
    weakness = (0.58 - ef).clamp_min(0)

    def has(*pathologies: str) -> Tensor:
        return torch.isin(patients.pathology, torch.tensor([PATHOLOGIES.index(name) for name in pathologies])).float()

    thick = has("hypertrophic") + 0.6 * has("hypertensive")
    stiff = has("restrictive") + (1 - has("restrictive")) * (chance(n, 0.4, generator) & (ef < 0.25)).float()
    decades = (patients.age_years - 50) / 10

    # IVRT 96 +- 19 ms in the Copenhagen City Heart Study; > 110 ms relaxes slowly, < 60 ms is restrictive.
    ivrt = normal(n, 0.085, 0.012, generator, 0.06, 0.12) * (1 + 0.06 * decades) + 0.02 * thick + 0.04 * weakness
    ivrt = torch.lerp(ivrt.clamp(0.05, 0.15), normal(n, 0.056, 0.006, generator, 0.042, 0.07), stiff)
    # From 12 % at 20 years to 46 % at 80.
    share = 0.12 + 0.34 * (patients.age_years - 20) / 60 + normal(n, 0, 0.05, generator, -0.1, 0.1) + 0.05 * thick
    share = torch.lerp(share.clamp(0.1, 0.5), uniform(n, 0.08, 0.18, generator), stiff)
    # 240 to 300 ms where it can be seen; the shape used here has a long faint end. A large wave lasts longer.
    early = normal(n, 0.30, 0.02, generator, 0.27, 0.35) * (1 + 0.03 * decades) + 0.03 * thick
    early = torch.lerp(early.clamp(0.265, 0.40), normal(n, 0.225, 0.012, generator, 0.2, 0.25), stiff)
    early = torch.maximum(early, 0.56 * (1 - share) * ef)

    flash, ectopic_flash = _flashes(patients, generator, prior)
    # Twist of a normal heart at end-systole 8 to 15 degrees, more with age (textbook values).
    twist = normal(n, 11.5, 1.8, generator, 8, 15) * (1 + 0.03 * decades) * (ef / NORMAL_EF) ** 1.2
    twist = twist * (1 + 0.1 * has("hypertrophic") - 0.25 * has("restrictive")) * (1 - flash.clamp_min(0))
    values = {
        "female": patients.female,
        "ef": ef,
        "edv_ml": patients.edv_ml,
        # 40 +- 10 ms in the same study; longer where the ventricle is weak or activated slowly.
        "ivct_s": normal(n, 0.040, 0.006, generator, 0.028, 0.055)
        + 0.06 * weakness
        + 0.2 * (patients.qrs_s - 0.1).clamp_min(0),
        "ivrt_s": ivrt,
        "early_filling_s": early,
        "atrial_share": share,
        "atrial_delay_s": normal(n, 0.058, 0.010, generator, 0.042, 0.078),  # 54 +- 24 ms to A' at the lateral annulus
        # A large wave lasts longer, as the E wave does.
        "atrial_kick_s": torch.maximum(normal(n, 0.135, 0.008, generator, 0.115, 0.155), 0.46 * share * ef),
        "pre_ejection_offset_s": normal(n, 0, 0.005, generator, -0.012, 0.008),
        "systole_offset_s": normal(n, 0, 0.008, generator, -0.02, 0.02),
        "force_gain": 0.22 * log_normal(n, 1.0, 0.2, generator, 0.6, 1.6) + 0.35 * (0.5 - ef).clamp_min(0),
        "ectopic_force": normal(n, 0.7, 0.1, generator, 0.4, 0.95),
        "ejection_skew": uniform(n, 0.1, 0.4, generator) + 0.1 * has("hypertrophic"),
        "diastasis_opening": uniform(n, 0.15, 0.45, generator),
        "la_emptying": normal(n, 0.55, 0.07, generator, 0.35, 0.7) * (1 - 0.3 * stiff) * (1 - 0.5 * weakness),
        "ra_emptying": normal(n, 0.50, 0.07, generator, 0.3, 0.65),
        "peak_twist_rad": twist.clamp(0.5, 19) * (math.pi / 180),
        "septal_flash_cm": flash,
        "ectopic_flash_cm": ectopic_flash,
        "lateral_delay_s": uniform(n, 0.06, 0.13, generator),
    }
    return MechanicsParameters(**apply_pins(values, pinned, "mechanics"))


def _flashes(patients: Patients, generator: Generator, prior: str) -> tuple[Tensor, Tensor]:
    """How far [cm] the septum runs ahead in conducted and in ventricular beats.

    3 to 6 mm in left bundle branch block (Cardiovasc Ultrasound 6:58), as much in pacing of the right ventricle; the
    spread of activation within the ventricle is 17 ms in normal hearts, 33 ms in right and 50 ms in left block
    (Badano et al., Europace 9:41).
    """
    n = len(patients.ef)
    by_conduction = {
        "normal": normal(n, 0.0, 0.02, generator, -0.05, 0.05) * (prior != "easy"),
        "lbbb": uniform(n, 0.3, 0.6, generator),
        "rbbb": normal(n, 0.06, 0.03, generator, -0.02, 0.12),
        "paced": uniform(n, 0.25, 0.55, generator),
    }
    each = torch.stack([by_conduction[name] for name in CONDUCTIONS])
    ectopic = uniform(n, 0.3, 0.6, generator)
    flash = each.gather(0, patients.conduction[None])[0]
    paced = patients.conduction == CONDUCTIONS.index("paced")
    return flash, torch.where(paced, flash, ectopic)
