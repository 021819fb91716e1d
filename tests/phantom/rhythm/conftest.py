"""Patients by hand, so that the rhythm's tests need no other stage."""

import pytest
import torch

from echopulse.phantom.types import CONDUCTIONS, PATHOLOGIES, RHYTHMS, TERRITORIES, Patients

RATES = {
    "tachycardia": 120, "bradycardia": 50, "av_block_3": 38, "mobitz_2": 50, "wenckebach": 62, "vt": 160,
    "flutter": 100,
}  # fmt: skip


def build_patients(
    n=8,
    rhythm="sinus",
    conduction="normal",
    pathology="healthy",
    territory="none",
    heart_rate_bpm=None,
    qrs_s=None,
    voltage=1.0,
    scar=0.0,
):
    """n patients alike in all that is named."""

    def column(value):
        return torch.as_tensor(value, dtype=torch.float32).expand(n).clone()

    return Patients(
        age_years=column(60),
        female=column(0),
        pathology=torch.full((n,), PATHOLOGIES.index(pathology)),
        ef=column(0.6),
        edv_ml=column(110),
        wall=column(1),
        sphericity=column(1),
        territory=torch.full((n,), TERRITORIES.index(territory)),
        territory_motion=column(1),
        scar=column(scar),
        rhythm=torch.full((n,), RHYTHMS.index(rhythm)),
        conduction=torch.full((n,), CONDUCTIONS.index(conduction)),
        heart_rate_bpm=column(RATES.get(rhythm, 72) if heart_rate_bpm is None else heart_rate_bpm),
        qrs_s=column(qrs_s or (0.092 if conduction == "normal" else 0.145)),
        voltage=column(voltage),
        breath_hz=column(0.25),
        breath_phase=column(0),
    )


@pytest.fixture
def patients():
    """A maker of patients."""
    return build_patients
