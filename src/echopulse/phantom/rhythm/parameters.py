"""What is drawn about a heart's rhythm."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from echopulse.phantom.priors import apply_pins, chance, check_prior, choice, log_normal, normal, uniform
from echopulse.phantom.rhythm.intervals import flutter_rate_hz
from echopulse.phantom.types import CONDUCTIONS, RHYTHMS, Batch, Patients, about

R = {name: index for index, name in enumerate(RHYTHMS)}
PACED = CONDUCTIONS.index("paced")


@dataclass(frozen=True)
class RhythmParameters(Batch):
    """How b hearts beat; every tensor is [b], float32 unless said.

    The first seven are the patient's own.
    """

    female: Tensor  # 0 or 1
    rhythm: Tensor  # int64, index into RHYTHMS
    conduction: Tensor  # int64, index into CONDUCTIONS
    heart_rate_bpm: Tensor  # mean ventricular rate outside pauses; in ventricular tachycardia that of its runs
    qrs_s: Tensor  # of a conducted beat
    breath_hz: Tensor
    breath_phase: Tensor  # rad
    sinus_bpm: Tensor = about("rate of the atria where the ventricles beat on their own")
    respiration_swing: Tensor = about("respiratory sinus arrhythmia: amplitude relative to the mean RR interval")
    slow_swing: Tensor = about("the slow wave of the RR intervals (0.1 Hz): amplitude relative to their mean")
    slow_phase: Tensor = about("phase of the slow wave of the RR intervals, in radians")
    rr_jitter: Tensor = about("standard deviation of the RR intervals from beat to beat, relative to their mean")
    phase: Tensor = about("where in a cycle the recording starts")
    pr_s: Tensor = about("PR interval at 70/min; in a Wenckebach group that of its first beat")
    pr_step_s: Tensor = about("by how much the second PR of a Wenckebach group is longer than the first")
    group: Tensor = about("P waves from one dropped beat to the next (Wenckebach, Mobitz)")  # int64
    qt_offset_s: Tensor = about("this heart's QT less what its rate predicts")
    t_peak_to_end_s: Tensor = about("from the peak of the T wave to its end")
    ectopic_period: Tensor = about("an ectopic every so many beats; 0 at random")  # int64
    ectopic_chance: Tensor = about("chance of an ectopic per beat, where they come at random")
    ectopic_coupling: Tensor = about("interval before an ectopic, relative to the mean RR")
    ectopic_pause: Tensor = about("intervals before and after an ectopic together, in mean RRs; 2 fully compensates")
    ectopic_qrs_s: Tensor = about("QRS duration of beats that spread from a ventricle")
    couplet_chance: Tensor = about("chance that a second ventricular ectopic follows the first")
    flutter_hz: Tensor = about("flutter: rate of the atria")
    flutter_variety: Tensor = about("flutter: chance that a beat's conduction ratio is one more or less than usual")
    run_beats: Tensor = about("beats in a run of ventricular tachycardia; 0 does not end")  # int64
    rest_s: Tensor = about("time between two runs of ventricular tachycardia")
    pause_s: Tensor = about("length of a sinus arrest, from the last P wave to the first after it")
    pause_at: Tensor = about("where a sinus arrest begins, as a share of the time from one to the next")
    pause_every_s: Tensor = about("time from one sinus arrest to the next")
    pause_escape: Tensor = about("1 a junctional escape beat ends a sinus arrest, 0 the sinus node does")


def draw_rhythm(patients: Patients, generator: Generator, prior: str = "clinical", **pinned: Any) -> RhythmParameters:
    """The rhythm parameters of b patients; a value given by name takes the place of the one drawn."""
    check_prior(prior)
    n, easy = len(patients.ef), prior == "easy"
    shared = ("female", "rhythm", "conduction", "heart_rate_bpm", "qrs_s", "breath_hz", "breath_phase")
    own = {name: getattr(patients, name).cpu() for name in shared}
    first = {name: pinned[name] for name in own if name in pinned}
    own = apply_pins(own, first, "rhythm")  # other values depend on these
    rhythm, rate = own["rhythm"], own["heart_rate_bpm"]
    paced = own["conduction"] == PACED

    def among(*names: str) -> Tensor:
        return torch.isin(rhythm, torch.tensor([R[name] for name in names]))

    calm = 0.0 if easy else 1.0
    vagal = ((130 - rate) / 60).clamp(0.1, 1.2)  # sinus arrhythmia fades as the rate rises
    jitter = log_normal(n, 0.012, 0.6, generator, 0.002, 0.05) * calm
    irregular = normal(n, 0.24, 0.05, generator, 0.14, 0.36)
    irregular = torch.where(paced, 0.02 * irregular, irregular)  # a pacemaker keeps time whatever the atria do
    usual_pr = normal(n, 0.155, 0.02, generator, 0.115, 0.2)
    long_pr = log_normal(n, 0.245, 0.16, generator, 0.21, 0.38)
    period = torch.tensor([0, 3, 4, 5])[choice(n, (0.5, 0.2, 0.2, 0.1), generator)]
    atrial_coupling, coupling = uniform(n, 0.52, 0.78, generator), uniform(n, 0.49, 0.74, generator)
    atrial_pause = atrial_coupling + uniform(n, 0.98, 1.14, generator)  # the early beat resets the sinus node
    wenckebach_group = 3 + choice(n, (0.3, 0.35, 0.25, 0.1), generator)
    mobitz_group = 2 + choice(n, (0.3, 0.4, 0.3), generator)
    values = own | {
        "sinus_bpm": torch.where(
            among("av_block_3"), uniform(n, 62, 105, generator), log_normal(n, 84, 0.18, generator, 55, 125)
        ),
        "respiration_swing": log_normal(n, 0.035, 0.7, generator, 0.005, 0.14) * vagal * calm,
        "slow_swing": log_normal(n, 0.02, 0.6, generator, 0.003, 0.08) * vagal * calm,
        "slow_phase": uniform(n, 0, 2 * math.pi, generator),
        "rr_jitter": torch.where(among("af"), irregular, jitter),
        "phase": uniform(n, 0, 1, generator),
        "pr_s": torch.where(among("av_block_1"), long_pr, usual_pr + 0.03 * among("wenckebach")),
        "pr_step_s": uniform(n, 0.05, 0.10, generator),
        "group": torch.where(among("mobitz_2"), mobitz_group, wenckebach_group),
        "qt_offset_s": normal(n, 0.0, 0.013, generator, -0.03, 0.035),
        "t_peak_to_end_s": normal(n, 0.087, 0.008, generator, 0.065, 0.110),
        "ectopic_period": torch.where(among("bigeminy"), 2, period),
        "ectopic_chance": uniform(n, 0.15, 0.35, generator),
        "ectopic_coupling": torch.where(among("pac"), atrial_coupling, coupling),
        "ectopic_pause": torch.where(
            among("pac"),
            atrial_pause,
            torch.where(
                chance(n, 0.8, generator) | among("bigeminy"), torch.tensor(2.0), uniform(n, 1.75, 2.0, generator)
            ),
        ),
        "ectopic_qrs_s": uniform(n, 0.12, 0.18, generator),
        "couplet_chance": torch.where(chance(n, 0.15, generator), uniform(n, 0.1, 0.5, generator), 0.0) * calm,
        "flutter_hz": flutter_rate_hz(rate),
        "flutter_variety": torch.where(chance(n, 0.35, generator), uniform(n, 0.2, 0.8, generator), 0.0) * calm,
        "run_beats": torch.where(chance(n, 0.5, generator), 0, (uniform(n, 5, 30, generator)).long()),
        "rest_s": uniform(n, 1.5, 5.0, generator),
        "pause_s": uniform(n, 2.0, 3.5, generator),
        "pause_at": uniform(n, 0.05, 0.75, generator),
        "pause_every_s": uniform(n, 8, 20, generator),
        "pause_escape": chance(n, 0.4, generator).float(),
    }
    return RhythmParameters(**apply_pins(values, {k: v for k, v in pinned.items() if k not in own}, "rhythm"))
