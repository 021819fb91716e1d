"""Hearts of all kinds that beat like a cosine."""

import math
from collections.abc import Callable

import pytest
import torch

from echopulse.phantom.anatomy.heart import AnatomyParameters, draw_anatomy
from echopulse.phantom.patient import draw_patients
from echopulse.phantom.types import Motion, Patients

Hearts = Callable[..., tuple[AnatomyParameters, Motion, Patients]]


def cosine_motion(patients: Patients, t: int) -> Motion:
    """End-diastole at the first and last of t times, end-systole in the middle, full atria there."""
    n = len(patients.ef)
    ejected = (0.5 - 0.5 * torch.cos(2 * math.pi * torch.arange(t) / (t - 1))).expand(n, t).clone()
    volume, one = patients.edv_ml[:, None] * (1 - patients.ef[:, None] * ejected), torch.ones(n, 1)
    return Motion(
        volume_ml=volume,
        mitral_opening=1 - ejected,
        aortic_opening=ejected,
        tricuspid_opening=1 - ejected,
        la_volume=1 - 0.4 * ejected * (1 - ejected),
        ra_volume=1 - 0.4 * ejected * (1 - ejected),
        rv_fraction=1 - ejected,
        twist_rad=0.18 * ejected,
        dyssynchrony=0.3 * ejected * (1 - ejected),
        edv_ml=patients.edv_ml,
        ef=patients.ef,
        ejection_onset_s=0 * one,
        ejection_end_s=one,
        edv_beat_ml=volume[:, :1],
        esv_beat_ml=volume.amin(1, keepdim=True),
    )


@pytest.fixture
def hearts() -> Hearts:
    """`hearts(n, t, seed, prior, **pinned)`: anatomies, their motions at t times, and the patients."""

    def make(n: int = 6, t: int = 5, seed: int = 0, prior: str = "clinical", **pinned):
        generator = torch.Generator().manual_seed(seed)
        own = {"ef": torch.linspace(0.12, 0.78, n), "edv_ml": torch.linspace(340, 45, n)}
        names = {"ef", "edv_ml", "territory", "territory_motion", "scar", "pathology", "wall", "sphericity", "rhythm"}
        own |= {name: value for name, value in pinned.items() if name in names}
        patients = draw_patients(n, generator, prior, **own)
        rest = {name: value for name, value in pinned.items() if name not in names}
        return draw_anatomy(patients, generator, prior, **rest), cosine_motion(patients, t), patients

    return make
