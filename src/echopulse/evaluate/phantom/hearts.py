"""Hearts without pictures: drawn, set beating and measured, one sample for each question about their physics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from echopulse.evaluate.phantom import physics
from echopulse.phantom.mechanics import MechanicsParameters, contract, draw_mechanics
from echopulse.phantom.mechanics.cycles import CLOSE_TO_T_END_S, WIDE_CLOSE_TO_T_END_S
from echopulse.phantom.parameters import sort_pins
from echopulse.phantom.patient import draw_patients
from echopulse.phantom.rhythm.timing import beat_times, draw_rhythm
from echopulse.phantom.simulate import stream
from echopulse.phantom.types import CONDUCTIONS, RHYTHMS, Patients, Rhythm

Arrays = dict[str, np.ndarray]
SINUS = [RHYTHMS.index(name) for name in ("sinus", "tachycardia", "bradycardia")]
STEADY = {"respiration_swing": 0.0, "slow_swing": 0.0, "rr_jitter": 0.0}
FINE_HZ = 250.0
CLIP_S = 2.6  # 65 frames at 25/s
CALM_BPM = 100
HELD_S = 1e-5  # float32 seconds this far apart are the same time
RATES = (45, 55, 65, 75, 85, 95, 105, 115, 125, 130)  # per minute, over which ejection times are compared


@dataclass(frozen=True)
class Beating:
    """n hearts whose beats are known from `start_s` to `stop_s`."""

    patients: Patients
    rhythm: Rhythm
    mechanics: MechanicsParameters

    def volume(self, times_s: Tensor) -> np.ndarray:
        """[n, t] ml at `times_s` [t] or [n, t]."""
        return contract(self.rhythm, self.mechanics, times_s).volume_ml.double().numpy()

    @property
    def beats(self) -> Arrays:
        """Tables [n, beats]: `r`, `q`, `p`, `t_end`, `rr`, `onset`, `end` (s), `stroke`, `edv` (ml), `ectopic`."""
        motion = contract(self.rhythm, self.mechanics, torch.zeros(1))
        tables = {
            "r": self.rhythm.r_peak, "q": self.rhythm.q_onset, "p": self.rhythm.p_onset, "t_end": self.rhythm.t_end,
            "rr": self.rhythm.rr_before, "onset": motion.ejection_onset_s, "end": motion.ejection_end_s,
            "stroke": motion.edv_beat_ml - motion.esv_beat_ml, "edv": motion.edv_beat_ml,
        }  # fmt: skip
        return {name: table.double().numpy() for name, table in tables.items()} | {
            "ectopic": self.rhythm.ectopic.numpy()
        }


def beating(n: int, seed: int, stop_s: float, *, prior: str = "clinical", **pinned: Any) -> Beating:
    """Hearts drawn as `simulate` draws them, with beats from 1.6 s before time 0 to `stop_s`."""
    pins = sort_pins(pinned)
    patients = draw_patients(n, stream(seed, 8), prior, **pins["patients"])
    drawn = draw_rhythm(patients, stream(seed, 0), prior, **pins["rhythm"])
    rhythm = beat_times(drawn, -1.6, stop_s, stream(seed, 5))
    return Beating(patients, rhythm, draw_mechanics(patients, stream(seed, 2), prior, **pins["mechanics"]))


def sample_events(n: int, seed: int, seconds: float = 6.0) -> Arrays:
    """Per heart the largest `step` of V at 30 frames/s (also of slow sinus rhythm: `calm`) and at 480 frames/s relative
    to it (`jump`); per beat, flat, when ED and ES come and of what kind the beat is; `held`: whether ES would come
    earlier or later, had the end of T not held it.
    """
    hearts = beating(n, seed, seconds + 1)
    step = _steps(hearts, torch.arange(0, seconds, 1 / 30))
    calm = np.isin(hearts.patients.rhythm.numpy(), SINUS) & (hearts.patients.heart_rate_bpm.numpy() <= CALM_BPM)
    short = _steps(hearts, torch.arange(0, seconds, 1 / 480))
    jump = np.where(step > 0, short / np.maximum(step, 1e-9), np.nan)
    times = torch.arange(-1.0, seconds + 0.5, 1 / FINE_HZ)
    volumes, at = hearts.volume(times), times.double().numpy()
    table = hearts.beats
    names = ("heart", "ed_lag", "onset", "es", "es_t", "held", "sinus", "wide")
    columns: dict[str, list[Any]] = {name: [] for name in names}
    for i in range(n):
        rhythm, conduction = int(hearts.patients.rhythm[i]), int(hearts.patients.conduction[i])
        for k in np.flatnonzero((table["r"][i] > 0) & (table["r"][i] < seconds - 0.5)):
            r, onset, end = table["r"][i, k], table["onset"][i, k], table["end"][i, k]
            expected = sum(physics.systolic_intervals(60 / table["rr"][i, k], float(hearts.patients.female[i])))
            plateau = physics.plateau_before(at, volumes[i], onset)
            columns["heart"].append(i)
            columns["ed_lag"].append(physics.end_diastole_lag(plateau, r))
            columns["onset"].append(onset - r)
            columns["es"].append(end - table["q"][i, k] - expected)
            columns["es_t"].append(end - table["t_end"][i, k])
            bounds = WIDE_CLOSE_TO_T_END_S if table["ectopic"][i, k] else CLOSE_TO_T_END_S
            columns["held"].append(np.abs(end - table["t_end"][i, k] - bounds).min() < HELD_S)
            columns["sinus"].append(rhythm in SINUS)
            columns["wide"].append(conduction != CONDUCTIONS.index("normal"))
    ef = hearts.patients.ef.double().numpy()[np.array(columns["heart"], int)]
    per_heart = {"step": step, "calm": step[calm], "jump": jump}
    return {name: np.array(column) for name, column in columns.items()} | {"ef": ef} | per_heart


def _steps(hearts: Beating, times_s: Tensor) -> np.ndarray:
    """[n]: the largest change of V from one time to the next, relative to EDV."""
    edv = hearts.patients.edv_ml.double().numpy()
    return np.array([physics.largest_step(v, size) for v, size in zip(hearts.volume(times_s), edv, strict=True)])


def sample_steady(n: int, seed: int) -> Arrays:
    """`drift` from one period to the next where RR is constant."""
    hearts = beating(n, seed, 8.0, rhythm="sinus", **STEADY)
    period = 60 / hearts.patients.heart_rate_bpm[:, None]
    times = torch.arange(0, 2.5, 0.01)[None].expand(n, -1)
    now, later = hearts.volume(times), hearts.volume(times + period)
    edv = hearts.patients.edv_ml.double().numpy()
    return {"drift": np.array([physics.drift(a, b, size) for a, b, size in zip(now, later, edv, strict=True)])}


def sample_ejection(n: int, seed: int) -> Arrays:
    """Ejection time minus regression, `men` and `women` [rates, n] s: healthy hearts of normal EF in steady rhythm at
    ten rates.
    """
    found = {}
    for k, (sex, female) in enumerate((("men", 0.0), ("women", 1.0))):
        rows = []
        for rate in RATES:
            hearts = beating(n, seed + 1000 * k + rate, 3.0, rhythm="sinus", conduction="normal", pathology="healthy",
                             ef=0.62, female=female, heart_rate_bpm=float(rate), **STEADY)  # fmt: skip
            table = hearts.beats
            expected = physics.systolic_intervals(rate, female)[1]
            rows.append(np.nanmedian(table["end"] - table["onset"], axis=1) - expected)
        found[sex] = np.array(rows)
    return found


def sample_even(n: int, seed: int) -> Arrays:
    """Under the prior `uniform`, of hearts that beat: the `ef` drawn [n], and the mean of the beats `seen` in a clip of
    the usual length [n], NaN where none is seen whole.
    """
    hearts = beating(n, seed, CLIP_S + 1, prior="uniform")
    table = hearts.beats
    whole = (table["onset"] >= 0) & (table["end"] <= CLIP_S)
    count = whole.sum(1)
    total = np.where(whole, table["stroke"] / table["edv"], 0.0).sum(1)
    seen = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    beat = np.isfinite(table["r"]).any(1)
    return {"ef": hearts.patients.ef.double().numpy()[beat], "seen": seen[beat]}


def sample_kick(n: int, seed: int) -> Arrays:
    """`delay` [n] s from P onset to the atrial kick, seen in V(t) of slow sinus rhythm, one beat per heart."""
    hearts = beating(n, seed, 4.0, rhythm="sinus", conduction="normal", heart_rate_bpm=50.0, **STEADY)
    delays = np.full(n, np.nan)
    onsets = hearts.beats["p"]
    chosen = [next((p for p in row if p > 1.0), np.nan) for row in onsets]
    times = torch.tensor(chosen)[:, None] + torch.arange(-0.1, 0.25, 0.001)[None]
    volumes = hearts.volume(times.float().nan_to_num())
    for i in range(n):
        delays[i] = physics.kick_start(times[i].numpy(), volumes[i], chosen[i])
    return {"delay": delays}


def sample_waves(n: int, seed: int) -> Arrays:
    """How many filling waves the diastoles of slow sinus rhythm (`sinus`) and of fibrillation (`af`) have, per beat."""
    counts: dict[str, list[int]] = {"sinus": [], "af": []}
    for rhythm, found in counts.items():
        hearts = beating(n, seed, 5.0, rhythm=rhythm, conduction="normal", heart_rate_bpm=55.0)
        table = hearts.beats
        times = torch.arange(0, 4.5, 1 / FINE_HZ)
        at = times.double().numpy()
        for volume, end, onset, p in zip(hearts.volume(times), table["end"], table["onset"], table["p"], strict=True):
            for k in np.flatnonzero((end[:-1] > 0) & (onset[1:] < 4.4) & (onset[1:] - end[:-1] > 0.5)):
                if rhythm == "af" or np.isfinite(p[k + 1]):
                    found.append(physics.filling_waves(volume[(at >= end[k]) & (at <= onset[k + 1])]))
    return {name: np.array(found) for name, found in counts.items()}


def sample_memory(n: int, seed: int) -> Arrays:
    """Beat to beat: per fibrillating heart `r` with the interval ratio; `weak` and `strong` strokes around ectopics."""
    table = beating(n, seed, 60.0, rhythm="af").beats
    r = [physics.ratio_correlation(s, rr) for s, rr in zip(table["stroke"], table["rr"], strict=True)]
    table = beating(n, seed, 24.0, rhythm="pvc").beats
    pairs = [physics.potentiation(s, e) for s, e in zip(table["stroke"], table["ectopic"], strict=True)]
    weak, strong = (np.concatenate([pair[k] for pair in pairs]) for k in (0, 1))
    return {"r": np.array(r), "weak": weak - 1, "strong": strong - 1}
