"""When the heart beats: sinus rhythm, atrial fibrillation, ventricular ectopics, standstill."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from echopulse.errors import InputError
from echopulse.phantom.priors import apply_pins, chance, check_prior, choice, log_normal, log_uniform, normal, uniform
from echopulse.phantom.types import Rhythm

KINDS = ("sinus", "af", "pvc", "asystole")
SINUS, AF, PVC, ASYSTOLE = range(4)
WARM_UP_BEATS = 4
SHORTEST_RR_S = 0.36  # the atrioventricular node lets nothing through sooner; textbook value
T_END_BEFORE_ES_S = 0.012  # QS2 - QT is 12 to 29 ms at rest (regressions of Chest 1981, n = 200)


@dataclass(frozen=True)
class RhythmParameters:
    """How b hearts beat; every tensor is [b], float32 unless said."""

    kind: Tensor  # int64, index into KINDS
    heart_rate_bpm: Tensor  # mean ventricular rate
    respiration_hz: Tensor
    respiration_phase: Tensor  # rad
    respiration_swing: Tensor  # relative RR amplitude of respiratory sinus arrhythmia
    slow_swing: Tensor  # relative RR amplitude of the 0.1 Hz wave
    slow_phase: Tensor  # rad
    rr_jitter: Tensor  # relative beat-to-beat standard deviation; in fibrillation the coefficient of variation
    phase: Tensor  # 0..1, where in a cycle the recording starts
    pr_s: Tensor  # at 70/min
    qrs_s: Tensor
    qt_offset_s: Tensor  # this heart's QT minus what its rate predicts
    t_peak_to_end_s: Tensor
    ectopic_period: Tensor  # int64, every how many beats an ectopic comes; 0 = at random
    ectopic_chance: Tensor  # per beat, where they come at random
    ectopic_coupling: Tensor  # interval before the ectopic, relative to the mean RR
    ectopic_pause: Tensor  # interval before plus after the ectopic, relative to the mean RR; 2 = fully compensatory
    ectopic_qrs_s: Tensor

    def to(self, device: torch.device | str) -> RhythmParameters:
        return RhythmParameters(**{name: value.to(device) for name, value in vars(self).items()})

    @property
    def kind_names(self) -> tuple[str, ...]:
        return tuple(KINDS[index] for index in self.kind.tolist())


def kind_index(kind: str | Sequence[str] | Tensor | int) -> Tensor:
    """int64 scalar or [b] from the name of a rhythm, names, or indices."""
    if isinstance(kind, Tensor | int):
        return torch.as_tensor(kind, dtype=torch.int64)
    names = [kind] if isinstance(kind, str) else list(kind)
    for name in names:
        if name not in KINDS:
            raise InputError(f"rhythm {name!r} is unknown; choose one of {', '.join(KINDS)}.")
    index = torch.tensor([KINDS.index(name) for name in names])
    return index[0] if isinstance(kind, str) else index


def draw_rhythm(n: int, generator: Generator, prior: str = "clinical", **pinned: Any) -> RhythmParameters:
    """Parameters of n rhythms; a value given by name takes the place of the one drawn (`kind` also by name)."""
    check_prior(prior)
    if "kind" in pinned:
        pinned = {**pinned, "kind": kind_index(pinned["kind"])}
    easy = prior == "easy"
    kind = choice(n, (1, 0, 0, 0) if easy else (0.62, 0.20, 0.14, 0.04), generator)
    if "kind" in pinned:  # other values depend on the rhythm
        kind = apply_pins({"kind": kind}, {"kind": pinned["kind"]}, "rhythm")["kind"]

    sinus_rate = log_normal(n, 74, 0.30, generator, 40, 150)
    if prior == "uniform":
        sinus_rate = torch.where(chance(n, 0.5, generator), sinus_rate, log_uniform(n, 42, 150, generator))
    if easy:
        sinus_rate = uniform(n, 50, 100, generator)
    rates = (sinus_rate, log_normal(n, 88, 0.25, generator, 50, 150), log_normal(n, 72, 0.2, generator, 45, 110))
    rate = torch.stack([*rates, sinus_rate]).gather(0, kind[None])[0]
    if "heart_rate_bpm" in pinned:
        rate = apply_pins({"heart_rate_bpm": rate}, {"heart_rate_bpm": pinned["heart_rate_bpm"]}, "rhythm")[
            "heart_rate_bpm"
        ]

    calm = 0.0 if easy else 1.0
    vagal = ((130 - rate) / 60).clamp(0.1, 1.2)  # sinus arrhythmia fades as the rate rises
    jitter = log_normal(n, 0.012, 0.6, generator, 0.002, 0.05) * calm
    irregular = normal(n, 0.24, 0.05, generator, 0.14, 0.36)
    values = {
        "kind": kind,
        "heart_rate_bpm": rate,
        "respiration_hz": normal(n, 0.25, 0.06, generator, 0.12, 0.42),
        "respiration_phase": uniform(n, 0, 2 * math.pi, generator),
        "respiration_swing": log_normal(n, 0.035, 0.7, generator, 0.005, 0.14) * vagal * calm,
        "slow_swing": log_normal(n, 0.02, 0.6, generator, 0.003, 0.08) * vagal * calm,
        "slow_phase": uniform(n, 0, 2 * math.pi, generator),
        "rr_jitter": torch.where(kind == AF, irregular, jitter),
        "phase": uniform(n, 0, 1, generator),
        "pr_s": torch.where(
            chance(n, 0.05 * calm, generator),
            uniform(n, 0.20, 0.28, generator),
            normal(n, 0.155, 0.02, generator, 0.115, 0.2),
        ),
        "qrs_s": torch.where(
            chance(n, 0.06 * calm, generator),  # bundle branch block
            uniform(n, 0.12, 0.16, generator),
            normal(n, 0.092, 0.013, generator, 0.070, 0.120),
        ),
        "qt_offset_s": normal(n, 0.0, 0.013, generator, -0.03, 0.035),
        "t_peak_to_end_s": normal(n, 0.087, 0.008, generator, 0.065, 0.110),
        "ectopic_period": torch.tensor([0, 2, 3, 4])[choice(n, (0.4, 0.2, 0.2, 0.2), generator)],
        "ectopic_chance": uniform(n, 0.15, 0.35, generator),
        "ectopic_coupling": uniform(n, 0.45, 0.72, generator),
        "ectopic_pause": torch.where(chance(n, 0.75, generator), torch.tensor(2.0), uniform(n, 1.7, 2.0, generator)),
        "ectopic_qrs_s": uniform(n, 0.12, 0.18, generator),
    }
    return RhythmParameters(**apply_pins(values, pinned, "rhythm"))


def systolic_intervals(rr_s: Tensor) -> tuple[Tensor, Tensor]:
    """Pre-ejection period and left-ventricular ejection time in seconds for an RR interval in seconds.

    Weissler, Harris and Schoenfeld 1968 (men; women's lie within 5 ms); above 110/min the ejection time falls
    less steeply, as measured in exercise.
    """
    rate = (60 / rr_s).clamp(30, 200)
    ejection = 413 - 1.7 * rate.clamp_max(110) - 1.2 * (rate - 110).clamp_min(0)
    return (131 - 0.4 * rate).clamp_min(50) / 1000, ejection.clamp(160, 360) / 1000


def remembered_rr(rr_before: Tensor) -> Tensor:
    """RR [b, n] that sets the length of systole: mostly the last interval, partly the one before it."""
    earlier = torch.cat([rr_before[:, :1], rr_before[:, :-1]], 1)
    return 0.6 * rr_before + 0.4 * earlier


def beat_times(parameters: RhythmParameters, start_s: float, stop_s: float, generator: Generator) -> Rhythm:
    """The beats of b hearts from four before `start_s` to at least one after `stop_s`.

    A heart in asystole has none. Times are relative to the clip's start, which may lie inside the span.
    """
    b = len(parameters.kind)
    device = parameters.kind.device
    mean_rr = 60 / parameters.heart_rate_bpm
    shortest = (mean_rr.min() * 0.55).clamp_min(SHORTEST_RR_S).item()
    n = WARM_UP_BEATS + math.ceil((stop_s - start_s) / shortest) + 3
    noise = torch.randn(b, n, generator=generator).to(device)
    lots = torch.rand(b, n, generator=generator).to(device)

    rr, ectopic = _intervals(parameters, mean_rr, noise, lots)
    elapsed = rr.cumsum(1)
    anchor = elapsed[:, WARM_UP_BEATS] - parameters.phase * rr[:, WARM_UP_BEATS]
    r_peak = elapsed - anchor[:, None] + start_s  # beat WARM_UP_BEATS is the first one at or after start_s

    # Beats long after the end are dropped; two stay, because the next beat's atria fill the last diastole shown.
    after = (r_peak > stop_s).cumsum(1)
    present = (after <= 2) & (parameters.kind != ASYSTOLE)[:, None]
    n_kept = max(int(present.sum(1).max()), 1)
    r_peak, rr, ectopic, present = (x[:, :n_kept] for x in (r_peak, rr, ectopic, present))
    return _place_waves(parameters, r_peak, rr, ectopic & present, present)


def beats_at(parameters: RhythmParameters, r_peak: Tensor) -> Rhythm:
    """The rhythm of hearts whose R peaks [b, n] are known, in seconds; the waves around them follow the parameters."""
    before = torch.diff(r_peak, dim=1)
    rr = torch.cat([before[:, :1] if r_peak.shape[1] > 1 else torch.full_like(r_peak, 0.8), before], 1)
    rr = rr.clamp_min(SHORTEST_RR_S)
    present = torch.ones_like(r_peak, dtype=torch.bool)
    return _place_waves(parameters, r_peak, rr, torch.zeros_like(present), present)


def _intervals(parameters: RhythmParameters, mean_rr: Tensor, noise: Tensor, lots: Tensor) -> tuple[Tensor, Tensor]:
    """RR before each beat [b, n] in seconds, and which beats are ectopic."""
    n = noise.shape[1]
    number = torch.arange(n, device=noise.device)
    mean_rr = mean_rr[:, None]
    clock = mean_rr * number  # respiration only needs the time to a beat or so
    swing = parameters.respiration_swing[:, None] * torch.sin(
        2 * math.pi * parameters.respiration_hz[:, None] * clock + parameters.respiration_phase[:, None]
    )
    swing = swing + parameters.slow_swing[:, None] * torch.sin(
        2 * math.pi * 0.1 * clock + parameters.slow_phase[:, None]
    )
    jitter = parameters.rr_jitter[:, None]
    rr = mean_rr * (1 + swing + jitter * noise.clamp(-3, 3))
    fibrillating = (parameters.kind == AF)[:, None]
    rr = torch.where(fibrillating, mean_rr * torch.exp(jitter * noise - 0.5 * jitter * jitter), rr)
    rr = rr.clamp_min(SHORTEST_RR_S)

    period = parameters.ectopic_period[:, None]
    regular = (period > 0) & ((number + (lots[:, :1] * 12).long()) % period.clamp_min(1) == 0)
    wanted = torch.where(period > 0, regular, lots < parameters.ectopic_chance[:, None])
    wanted = wanted & (parameters.kind == PVC)[:, None]
    ectopic = torch.zeros_like(wanted)
    for k in range(1, n):  # never two in a row
        ectopic[:, k] = wanted[:, k] & ~ectopic[:, k - 1]
    coupling = (parameters.ectopic_coupling[:, None] * mean_rr * (1 + 0.02 * noise)).clamp_min(SHORTEST_RR_S)
    pause = (parameters.ectopic_pause[:, None] * mean_rr - coupling).clamp_min(SHORTEST_RR_S)
    follows = torch.cat([torch.zeros_like(ectopic[:, :1]), ectopic[:, :-1]], 1)
    pause_here = torch.cat([pause[:, :1], pause[:, :-1]], 1)
    return torch.where(ectopic, coupling, torch.where(follows, pause_here, rr)), ectopic


def _place_waves(parameters: RhythmParameters, r_peak: Tensor, rr: Tensor, ectopic: Tensor, present: Tensor) -> Rhythm:
    """P, QRS and T around each R peak; all [b, n]."""
    nan = torch.full_like(r_peak, math.nan)
    qrs = torch.where(ectopic, parameters.ectopic_qrs_s[:, None], parameters.qrs_s[:, None])
    q_onset = r_peak - 0.4 * qrs
    # PR shortens by 3 to 4 ms for every 10/min (textbook value).
    pr = (parameters.pr_s[:, None] - 0.00035 * (60 / rr - 70)).clamp_min(0.10)
    atria = present & ~ectopic & (parameters.kind != AF)[:, None]

    memory = remembered_rr(rr)
    pre_ejection, ejection = systolic_intervals(memory)
    t_end = q_onset + pre_ejection + ejection - T_END_BEFORE_ES_S + parameters.qt_offset_s[:, None]
    t_end = t_end + torch.where(ectopic, 0.05, 0.5 * (qrs - 0.1).clamp_min(0))
    tail = parameters.t_peak_to_end_s[:, None] * (memory / 0.8).sqrt().clamp(0.75, 1.1)
    tail = torch.minimum(tail, t_end - q_onset - qrs - 0.03)
    times = {
        "r_peak": r_peak,
        "q_onset": q_onset,
        "qrs_end": q_onset + qrs,
        "t_peak": t_end - tail,
        "t_end": t_end,
        "rr_before": rr,
    }
    placed = {name: torch.where(present, value, nan) for name, value in times.items()}
    return Rhythm(p_onset=torch.where(atria, q_onset - pr, nan), ectopic=ectopic, **placed)
