"""Hearts whose beats are drawn, and hearts whose beats are laid out by hand."""

import math
from dataclasses import dataclass

import pytest
import torch

from echopulse.phantom.mechanics import MechanicsParameters, contract, draw_mechanics
from echopulse.phantom.patient import draw_patients
from echopulse.phantom.rhythm.timing import beat_times, draw_rhythm, systolic_intervals
from echopulse.phantom.types import Motion, Patients, Rhythm

STEADY = {"respiration_swing": 0.0, "slow_swing": 0.0, "rr_jitter": 0.0, "qt_offset_s": 0.0}


@dataclass
class Heart:
    """Everything about some hearts, and the times at which their motion was asked for."""

    patients: Patients
    beats: Rhythm
    pump: MechanicsParameters
    motion: Motion
    times: torch.Tensor

    @property
    def stroke_ml(self):
        return self.motion.edv_beat_ml - self.motion.esv_beat_ml


def stream(seed):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def heart():
    """Makes n hearts: pins of the patient by name, those of rhythm and pump as dictionaries."""

    def make(n=32, prior="clinical", seconds=3.0, step=1 / 200, steady=False, beats=None, pump=None, **pins):
        patients = draw_patients(n, stream(1), prior, **pins)
        parameters = draw_rhythm(patients, stream(2), prior, **((STEADY if steady else {}) | (beats or {})))
        rhythm = beat_times(parameters, -1.6, seconds, stream(3))
        mechanics = draw_mechanics(patients, stream(4), prior, **(pump or {}))
        times = torch.arange(0, seconds, step)
        return Heart(patients, rhythm, mechanics, contract(rhythm, mechanics, times), times)

    return make


@pytest.fixture
def by_hand():
    """One heart of EF 0.6 whose R peaks and P waves [s] come exactly when asked for."""

    def make(r_peaks, p_onsets, seconds=4.0, step=1 / 500, origin=0, qrs_s=0.09, ef=0.6, **pump):
        r_peak = torch.tensor([r_peaks])
        rr = torch.cat([r_peak[:, 1:2] - r_peak[:, :1], r_peak.diff(dim=1)], 1)
        q_onset = r_peak - 0.4 * qrs_s
        rhythm = Rhythm(
            r_peak=r_peak,
            p_onset=torch.full_like(r_peak, math.nan),
            q_onset=q_onset,
            qrs_end=q_onset + qrs_s,
            t_peak=q_onset + 0.3,
            t_end=q_onset + sum(systolic_intervals(rr)) - 0.012,
            rr_before=rr,
            origin=torch.full_like(r_peak, origin, dtype=torch.int64),
            atria_s=torch.tensor([p_onsets]) if p_onsets else torch.full((1, 1), math.nan),
        )
        patients = draw_patients(1, stream(1), "easy", ef=ef, age_years=60)
        mechanics = draw_mechanics(patients, stream(4), "easy", **pump)
        times = torch.arange(0, seconds, step)
        return Heart(patients, rhythm, mechanics, contract(rhythm, mechanics, times), times)

    return make
