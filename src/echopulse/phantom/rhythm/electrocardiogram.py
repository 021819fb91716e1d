"""What is drawn about a recording: the heart's dipole, where the electrodes are, and the recorder's faults."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from echopulse.phantom.priors import apply_pins, chance, check_prior, choice, log_normal, log_uniform, normal, uniform
from echopulse.phantom.rhythm.intervals import escapes_are_wide, flutter_rate_hz
from echopulse.phantom.rhythm.leads import LEADS, draw_lead_vectors, draw_leads
from echopulse.phantom.rhythm.synthesis import synthesize_ecg
from echopulse.phantom.rhythm.waves import draw_ectopic, draw_p, draw_qrs, draw_repolarisation
from echopulse.phantom.types import CONDUCTIONS, RHYTHMS, Batch, Patients, about

__all__ = ["LEADS", "ElectrocardiogramParameters", "draw_electrocardiogram", "synthesize_ecg"]

PACED = CONDUCTIONS.index("paced")
AF, FLUTTER = RHYTHMS.index("af"), RHYTHMS.index("flutter")


@dataclass(frozen=True)
class ElectrocardiogramParameters(Batch):
    """The dipole of b hearts and what l leads make of it.

    Dipole vectors point left, to the feet and to the back, in mV; a QRS has g bumps, timed in parts of its duration.
    """

    lead: Tensor  # int64 [b, l], index into LEADS
    lead_vectors: Tensor = about("what each lead sees of the dipole's three axes")  # [b, l, 3]
    qrs_at: Tensor = about("when the bumps of a conducted QRS come, in parts of its duration")  # [b, g]
    qrs_width: Tensor = about("widths (standard deviations) of the bumps of a conducted QRS")  # [b, g]
    qrs_mv: Tensor = about("dipole of the bumps of a conducted QRS")  # [b, g, 3]
    ectopic_at: Tensor = about("when the bumps of a QRS from a ventricle come, in parts of its duration")  # [b, g]
    ectopic_width: Tensor = about("widths of the bumps of a QRS from a ventricle")  # [b, g]
    ectopic_mv: Tensor = about("dipole of the bumps of a QRS from a ventricle")  # [b, g, 3]
    st_mv: Tensor = about("dipole of the ST segment")  # [b, 3]
    t_mv: Tensor = about("dipole of the T wave")  # [b, 3]
    t_early_mv: Tensor = about("dipole of an earlier T component; of opposite sign in a biphasic T")  # [b, 3]
    t_rise: Tensor = about("length of T's upstroke relative to its downstroke")  # [b]
    u_mv: Tensor = about("dipole of the U wave")  # [b, 3]
    ectopic_t: Tensor = about("T of a ventricular ectopic, relative to its main deflection turned round")  # [b]
    p_right_mv: Tensor = about("dipole of the first half of P, the right atrium's")  # [b, 3]
    p_left_mv: Tensor = about("dipole of the second half of P, the left atrium's")  # [b, 3]
    p_other_mv: Tensor = about("dipole of the P of premature atrial beats")  # [b, 3]
    p_s: Tensor = about("duration of P at 70/min")  # [b]
    fibrillation_mv: Tensor = about("size of the f waves along each axis")  # [b, 3], not coordinated between the axes
    fibrillation_hz: Tensor = about("rate of the f waves")  # [b]
    flutter_mv: Tensor = about("dipole of the F waves")  # [b, 3]
    flutter_hz: Tensor  # [b]
    spike_mv: Tensor = about("dipole of a pacemaker's spike")  # [b, 3]
    escape_wide: Tensor = about("1 escape beats are as wide as ectopics, 0 narrow")  # [b] bool
    breathing: Tensor = about("by how much of itself the QRS is smaller breathed in, and larger breathed out")  # [b]
    breath_hz: Tensor  # [b] the patient's own
    breath_phase: Tensor  # [b] rad
    recorder_gain: Tensor = about("gain of the recorder for each lead; a minus turns the lead round")  # [b, l]
    wander_mv: Tensor = about("wandering of the baseline")  # [b, l]
    muscle_mv: Tensor = about("noise of muscles, which rises with frequency")  # [b, l]
    tremor_mv: Tensor = about("noise below 20 Hz, where P and T waves live")  # [b, l]
    electrode_mv: Tensor = about("bumps and steps of a moving electrode")  # [b, l]
    mains_mv: Tensor = about("hum of the mains")  # [b, l]
    mains_hz: Tensor = about("frequency of the mains")  # [b]
    step_mv: Tensor = about("step of the digitiser")  # [b]
    clip_at: Tensor = about("share of the largest value at which the amplifier saturates")  # [b, l]
    connected: Tensor = about("1 the electrode is on, 0 off")  # [b, l] bool

    @property
    def lead_names(self) -> tuple[tuple[str, ...], ...]:
        """b times l names out of `LEADS`."""
        return tuple(tuple(LEADS[index] for index in row) for row in self.lead.tolist())


def draw_electrocardiogram(
    patients: Patients,
    generator: Generator,
    prior: str = "clinical",
    *,
    leads: int | Sequence[str] = 2,
    **pinned: Any,
) -> ElectrocardiogramParameters:
    """Parameters of the recordings of b patients: of `leads` leads drawn for each, or of the leads named.

    Heart, electrodes and faults of all twelve leads are drawn whichever are asked for, so that a lead looks the same
    alone and among others.
    """
    check_prior(prior)
    patients = patients.to("cpu")
    n, easy = len(patients.ef), prior == "easy"
    lead = draw_leads(n, leads, generator, prior)
    vectors = draw_lead_vectors(n, generator, prior)
    waves = _draw_waves(patients, vectors, generator, easy)
    recording, per_lead = _draw_recording(n, generator, easy)
    per_lead["lead_vectors"] = vectors
    chosen = {name: _of_leads(value, lead) for name, value in per_lead.items()}
    connected = chosen["connected"]
    connected[:, 0] |= ~connected.any(1)  # nobody records nothing: where all would be off, the first is on
    values = apply_pins(waves | recording | chosen, pinned, "electrocardiogram")
    return ElectrocardiogramParameters(lead=lead, **values)


def _of_leads(values: Tensor, lead: Tensor) -> Tensor:
    """[b, l, ...] out of [b, 12, ...]."""
    return values[torch.arange(len(lead))[:, None], lead]


def _draw_waves(patients: Patients, vectors: Tensor, generator: Generator, easy: bool) -> dict[str, Tensor]:
    n = len(patients.ef)
    at, width, qrs = draw_qrs(patients, vectors, generator, easy)
    ectopic_at, ectopic_width, ectopic = draw_ectopic(patients, vectors, generator)
    st, t, early = draw_repolarisation(patients, qrs, width, generator, easy)
    right, left, other = draw_p(qrs, generator, easy)
    u_waves = chance((n, 1), 0.0 if easy else 0.2, generator) * uniform((n, 1), 0.03, 0.12, generator)
    coarse = torch.minimum(log_normal(n, 0.05, 0.55, generator, 0.012, 0.16), 0.14 * patients.voltage)
    f_axes = torch.tensor([0.5, 0.9, 1.0]) * log_normal((n, 3), 1.0, 0.3, generator, 0.4, 2.0)
    f_waves = coarse[:, None] * f_axes
    flutter_axes = torch.tensor([0.15, 1.0, 0.55]) * log_normal((n, 3), 1.0, 0.25, generator, 0.4, 2.0)
    backwards = torch.where(chance((n, 1), 0.15, generator), -1.0, 1.0)  # clockwise flutter
    f_large = log_normal((n, 1), 0.10, 0.4, generator, 0.03, 0.25) * backwards * flutter_axes
    unipolar = chance((n, 1), 0.35, generator)
    spike = torch.where(unipolar, uniform((n, 1), 0.6, 2.5, generator), uniform((n, 1), 0.08, 0.5, generator))
    spike_axis = torch.tensor([0.5, -0.9, -0.5]) * torch.where(chance((n, 1), 0.5, generator), 1.0, -1.0)
    spike_axis = spike_axis + 0.3 * torch.randn((n, 3), generator=generator)
    rhythm, paced = patients.rhythm[:, None], (patients.conduction == PACED)[:, None]
    return {
        "qrs_at": at,
        "qrs_width": width,
        "qrs_mv": qrs,
        "ectopic_at": ectopic_at,
        "ectopic_width": ectopic_width,
        "ectopic_mv": ectopic,
        "st_mv": st,
        "t_mv": t,
        "t_early_mv": early,
        "t_rise": uniform(n, 1.2, 2.2, generator),
        "u_mv": u_waves * t,
        "ectopic_t": uniform(n, 0.2, 0.5, generator),
        "p_right_mv": right,
        "p_left_mv": left,
        "p_other_mv": other,
        "p_s": normal(n, 0.108, 0.010, generator, 0.088, 0.135),
        "fibrillation_mv": torch.where(rhythm == AF, f_waves, 0.0),
        "fibrillation_hz": normal(n, 6.0, 1.0, generator, 4, 9),
        "flutter_mv": torch.where(rhythm == FLUTTER, f_large, 0.0),
        "flutter_hz": flutter_rate_hz(patients.heart_rate_bpm),
        "spike_mv": torch.where(paced, spike * spike_axis, 0.0),
        "escape_wide": escapes_are_wide(patients),
        "breathing": uniform(n, 0.0, 0.1, generator),
        "breath_hz": patients.breath_hz,
        "breath_phase": patients.breath_phase,
    }


def _draw_recording(n: int, generator: Generator, easy: bool) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The recorder's faults, per heart and for each of the twelve leads; kinds as in the MIT-BIH Noise Stress Test."""
    shape = (n, len(LEADS))
    flipped = chance(shape, 0.0 if easy else 0.12, generator)
    gain = log_uniform((n, 1), 0.6, 1.6, generator)
    gain = torch.ones_like(gain) if easy else gain

    def in_some(probability: float, amount: Tensor) -> Tensor:
        return torch.where(chance(shape, probability, generator), amount, 0.0)

    device = {
        "mains_hz": torch.where(chance(n, 0.6, generator), 50.0, 60.0),
        "step_mv": torch.tensor([0.0, 0.001, 0.005, 0.0125])[choice(n, (0.3, 0.3, 0.3, 0.1), generator)],
    }
    restless = log_normal((n, 1), 1.0, 0.5, generator, 0.3, 4)  # one body, one state of the skin
    leads = {
        "recorder_gain": torch.where(flipped, -gain, gain),
        "wander_mv": (restless * log_normal(shape, 0.06, 0.75, generator, 0.005, 0.5)).clamp_max(0.6),
        "muscle_mv": (restless * log_normal(shape, 0.009, 0.65, generator, 0.001, 0.06)).clamp_max(0.07),
        "tremor_mv": (restless * log_normal(shape, 0.005, 0.75, generator, 0.0005, 0.04)).clamp_max(0.05),
        "electrode_mv": in_some(0.2, log_normal(shape, 0.2, 0.7, generator, 0.03, 1.0)),
        "mains_mv": in_some(0.25, log_uniform(shape, 0.003, 0.05, generator)),
        "clip_at": torch.where(chance(shape, 0.03, generator), uniform(shape, 0.5, 0.9, generator), 10.0),
        "connected": ~chance(shape, 0.0 if easy else 0.04, generator),
    }
    if easy:
        for name in ("wander_mv", "muscle_mv", "tremor_mv", "electrode_mv", "mains_mv"):
            leads[name] = leads[name] * (0.0 if name in ("electrode_mv", "mains_mv") else 0.2)
        leads["clip_at"] = torch.full(shape, 10.0)
    return device, leads
