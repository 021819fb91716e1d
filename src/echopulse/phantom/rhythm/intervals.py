"""How long the parts of a beat last, and where its waves lie around the R peak."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from echopulse.phantom.types import CONDUCTIONS, ORIGINS, RHYTHMS, Patients, Rhythm

if TYPE_CHECKING:
    from echopulse.phantom.rhythm.parameters import RhythmParameters

SHORTEST_RR_S = 0.36  # the atrioventricular node lets nothing through sooner; textbook value
T_END_BEFORE_ES_S = 0.012  # QS2 - QT is 12 to 29 ms at rest (regressions of Chest 1981, n = 200)
# The part of the QRS that has passed when the limb leads peak: by conduction, and in a beat of the ventricle's own.
R_PEAK_AT = {"normal": 0.40, "lbbb": 0.42, "rbbb": 0.28, "paced": 0.42}
ECTOPIC_PEAK_AT = 0.42
VENTRICULAR_ESCAPE_BPM = 38  # below it an escape rhythm comes from the ventricles, above from the junction (textbook)
_RHYTHM = {name: index for index, name in enumerate(RHYTHMS)}
_ORIGIN = {name: index for index, name in enumerate(ORIGINS)}


def systolic_intervals(rr_s: Tensor, female: Tensor | float = 0.0) -> tuple[Tensor, Tensor]:
    """Pre-ejection period and left-ventricular ejection time in seconds for an RR interval in seconds.

    Weissler, Harris and Schoenfeld 1968 (textbook values), for men (0) and women (1); above 110/min the ejection time
    falls less steeply, as measured in exercise.
    """
    rate = (60 / rr_s).clamp(30, 200)
    slope = 1.7 - 0.1 * female
    ejection = 413 + 5 * female - slope * rate.clamp_max(110) - 1.2 * (rate - 110).clamp_min(0)
    return (131 + 2 * female - 0.4 * rate).clamp_min(50) / 1000, ejection.clamp(160, 370) / 1000


def remembered_rr(rr_before: Tensor) -> Tensor:
    """RR [b, n] that sets the length of systole: mostly the last interval, partly the one before it."""
    earlier = torch.cat([rr_before[:, :1], rr_before[:, :-1]], 1)
    return 0.6 * rr_before + 0.4 * earlier


def escapes_are_wide(patients: Patients | RhythmParameters) -> Tensor:
    """bool [b]: escape beats of these hearts begin in a ventricle; those of the junction are conducted as usual."""
    blocked = patients.rhythm == _RHYTHM["av_block_3"]
    return blocked & (patients.heart_rate_bpm < VENTRICULAR_ESCAPE_BPM)


def flutter_rate_hz(heart_rate_bpm: Tensor) -> Tensor:
    """Atrial rate of flutter in 1/s [b]: the multiple of the ventricular rate that comes closest to 300/min."""
    ratio = (300 / heart_rate_bpm).round().clamp_min(1)
    return ratio * heart_rate_bpm / 60


def peak_at(conduction: Tensor) -> Tensor:
    """Float [b] or any shape: the part of the QRS before its R peak for indices into CONDUCTIONS."""
    return torch.tensor([R_PEAK_AT[name] for name in CONDUCTIONS], device=conduction.device)[conduction]


def wide_beats(parameters: RhythmParameters, origin: Tensor) -> Tensor:
    """bool [b, n]: beats that spread from a ventricle of their own accord, whatever the conduction system can do."""
    escape = (origin == _ORIGIN["escape"]) & escapes_are_wide(parameters)[:, None]
    return (origin == _ORIGIN["ventricular"]) | escape


def conducted_pr(parameters: RhythmParameters, rr: Tensor) -> Tensor:
    """PR [b, n] in seconds at intervals `rr`: 3 to 4 ms shorter for every 10/min more (textbook value)."""
    longest = (0.62 * rr).clamp_min(0.10)  # a longer one would put P onto the QRS before
    return torch.minimum((parameters.pr_s[:, None] - 0.00035 * (60 / rr - 70)).clamp_min(0.10), longest)


def place_waves(
    parameters: RhythmParameters, r_peak: Tensor, rr: Tensor, origin: Tensor, p_onset: Tensor, atria_s: Tensor
) -> Rhythm:
    """QRS and T around each R peak [b, n], which is NaN where there is no beat."""
    present = torch.isfinite(r_peak)
    wide = wide_beats(parameters, origin)
    qrs = torch.where(wide, parameters.ectopic_qrs_s[:, None], parameters.qrs_s[:, None])
    before_peak = torch.where(wide, ECTOPIC_PEAK_AT, peak_at(parameters.conduction)[:, None])
    q_onset = r_peak - before_peak * qrs

    memory = remembered_rr(rr)
    pre_ejection, ejection = systolic_intervals(memory, parameters.female[:, None])
    t_end = q_onset + pre_ejection + ejection - T_END_BEFORE_ES_S + parameters.qt_offset_s[:, None]
    t_end = t_end + torch.where(wide, 0.05, 0.5 * (qrs - 0.1).clamp_min(0))
    t_end = torch.maximum(t_end, q_onset + qrs + 0.07)
    tail = parameters.t_peak_to_end_s[:, None] * (memory / 0.8).sqrt().clamp(0.75, 1.1)
    tail = torch.minimum(tail, (t_end - q_onset - qrs - 0.03).clamp_min(0.03))
    times = {
        "r_peak": r_peak,
        "p_onset": p_onset,
        "q_onset": q_onset,
        "qrs_end": q_onset + qrs,
        "t_peak": t_end - tail,
        "t_end": t_end,
        "rr_before": rr,
    }
    placed = {name: torch.where(present, value, math.nan) for name, value in times.items()}
    return Rhythm(origin=torch.where(present, origin, 0), atria_s=atria_s, **placed)
