"""Models against simulated hearts that no training has seen, whose truth is known exactly.

Volume curves of truth and video are read by one definition (`phase_times`): ED is the last time above 90 % of the fall
to the smallest volume of the cycle, ES the first time below 10 % of it (`ES_LEVEL`). The trough itself is flat for as
long as both valves are shut, so that its lowest point is mostly noise. This ED comes a frame or so after the onset of
ejection and this ES as much before its end, in truth and video alike. ES as the lowest point is reported beside it
(`es_lowest_ms`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from echopulse.echo import Clip
from echopulse.evaluate.beats import beat_figures
from echopulse.evaluate.timing import (
    TimingErrors,
    curve_correlation,
    cycles_between,
    join,
    summarize,
    timing_errors,
)
from echopulse.measure import Measurement, ejection_fraction_overall, measure_masks
from echopulse.model.config import VIEWS
from echopulse.model.precision import mixed_precision
from echopulse.phantom import simulate

if TYPE_CHECKING:
    from echopulse.phantom.simulate import PhantomClips
    from echopulse.pipeline import EchoPulse

ES_LEVEL = 0.1
FRAMES = 65
ECG_BEFORE_S = 2.6  # a second more than the generator hears, so that the ECG can be shifted by half a slow beat
EF_ASKED = (0.3, 0.7)
HEARTS_TOLD, HEARTS_ASKED = 16, 12  # at most; each costs one more generation per EF

Scores = dict[str, float]
OnStep = Callable[[float], None]


@dataclass(frozen=True, eq=False)
class Heart:
    """One held-out clip of t frames with its truth; times in seconds from the first frame.

    `ef` is the median over the beats that lie wholly in the clip (nominal if none does); 0 for a standing heart.
    """

    frames: Tensor  # uint8 [t, h, w]
    masks: np.ndarray  # bool [t, h, w]
    times_s: np.ndarray  # float64 [t]
    volume_ml: np.ndarray  # float64 [t]
    ef: float
    r_peaks_s: np.ndarray
    t_ends_s: np.ndarray
    ecg: Tensor  # float32 [l, n] mV
    ecg_start_s: float
    view: str
    spacing_cm: float | None
    seed: int  # of whatever is generated for this heart

    @property
    def moving(self) -> bool:
        return len(self.r_peaks_s) > 0

    @property
    def cycles(self) -> list[tuple[float, float]]:
        """R-to-R intervals that lie wholly in the clip."""
        return cycles_between(self.r_peaks_s, self.times_s[0], self.times_s[-1])


def simulate_held_out(clips: int, seed: int, **options) -> PhantomClips:
    """Hearts of every EF from 0.15 to 0.75, in all rhythms of the simulator, in the views that the models know."""
    options = {"view": VIEWS} | options
    return simulate(clips, seed=seed, prior="uniform", frames=FRAMES, ecg_before_s=ECG_BEFORE_S, **options)


def hearts_of(clips: PhantomClips) -> list[Heart]:
    """Every clip of a simulated batch with what is known about it."""
    truth = clips.truth
    times = truth.times_s.double().cpu().numpy()
    return [
        Heart(
            frames=clips.frames[i].cpu(),
            masks=truth.lv_mask[i].cpu().numpy(),
            times_s=times,
            volume_ml=truth.volume_ml[i].double().cpu().numpy(),
            ef=_true_ef(truth, i, times),
            r_peaks_s=_finite(truth.r_peaks_s[i]),
            t_ends_s=_finite(truth.t_ends_s[i]),
            ecg=clips.ecg[i].cpu(),
            ecg_start_s=float(clips.ecg_times_s[0]),
            view=truth.view[i],
            spacing_cm=float(truth.pixel_spacing_cm[i]),
            seed=i,
        )
        for i in range(len(truth.view))
    ]


def _true_ef(truth, i: int, times: np.ndarray) -> float:
    fractions = truth.ef_per_beat[i].double().cpu().numpy()
    onsets, ends = truth.ed_times_s[i].double().cpu().numpy(), truth.es_times_s[i].double().cpu().numpy()
    whole = np.isfinite(fractions) & (onsets >= times[0]) & (ends <= times[-1])
    return float(np.median(fractions[whole])) if whole.any() else float(truth.ef[i])


def _finite(times: Tensor) -> np.ndarray:
    times = times.double().cpu().numpy()
    return times[np.isfinite(times)]


@dataclass(frozen=True)
class Bench:
    """The three things that are put to the test; an oracle may stand in for each.

    generate(ecg [l, n] or None, begin_s, frames, first=, view=, ef=, seed=) → uint8 [t, h, w]; reconstruct(frames) →
    the same after encoding and decoding; measure(clip) → Measurement.
    """

    generate: Callable[..., np.ndarray]
    reconstruct: Callable[[Tensor], np.ndarray]
    measure: Callable[[Clip], Measurement]

    @classmethod
    def of(cls, pulse: EchoPulse) -> Bench:
        def generate(ecg, begin_s, frames, **conditions):
            return pulse.decode(pulse.generate_ids(ecg, begin_s, frames, **conditions))[:frames]

        @torch.inference_mode()
        def reconstruct(frames):
            with mixed_precision(pulse.device):
                ids = pulse.tokenizer.encode(frames[None].to(pulse.device).float() / 255)
            return pulse.decode(ids[0])[: len(frames)]

        return cls(generate, reconstruct, pulse.measure)

    def show(self, heart: Heart, ecg: Tensor | None, *, shift_s=0.0, image: bool = True, ef=None) -> np.ndarray:
        """A clip of this heart's length that follows `ecg` (moved `shift_s` later), uint8 [t, h, w].

        With `image` it opens with the heart's own first picture.
        """
        return self.generate(
            ecg, -heart.ecg_start_s - shift_s, len(heart.times_s), first=heart.frames[0] if image else None,
            view=heart.view, ef=ef, seed=heart.seed,
        )  # fmt: skip

    def beat(self, heart: Heart, ecg: Tensor | None, *, image: bool = True, **options) -> Measurement:
        """What `show` gives, measured; in ml where the first picture sets the scale."""
        return self.look(heart, self.show(heart, ecg, image=image, **options), heart.spacing_cm if image else None)

    def look(self, heart: Heart, frames: np.ndarray, spacing_cm: float | None) -> Measurement:
        """What the measurer sees in `frames` at the heart's times."""
        return self.measure(Clip(frames, heart.times_s, heart.view, spacing_cm, synthetic=True))


def measurer_scores(hearts: Sequence[Heart], real: Sequence[Measurement]) -> Scores:
    """The measurer on the simulated clips themselves: overlap on every frame, EF and volumes against the truth."""
    overlaps = np.concatenate([dice(m.masks, h.masks) for h, m in zip(hearts, real, strict=True)])
    scores = {"dice": float(overlaps.mean()), "dice.n": len(overlaps), "dice.p5": float(np.percentile(overlaps, 5))}
    pairs = [(h, m) for h, m in zip(hearts, real, strict=True) if h.moving]
    scores |= ef_scores([h for h, _ in pairs], [m for _, m in pairs])
    exact = [measure_masks(h.masks, h.times_s) for h, _ in pairs]
    scores["ef_mae_true_outlines"] = ef_scores([h for h, _ in pairs], exact)["ef_mae"]
    off = [m.volumes - h.volume_ml for h, m in zip(hearts, real, strict=True)]
    share = np.concatenate([o / h.volume_ml for h, o in zip(hearts, off, strict=True)])
    off = np.concatenate(off)
    known = np.isfinite(off)
    scores |= {
        "volume_mae_ml": _mean(np.abs(off)), "volume_mae_ml.n": int(known.sum()),
        "volume_mae_ml.missing": int((~known).sum()), "volume_bias_ml": _mean(off),
        "volume_mae_share": _mean(np.abs(share)),
    }  # fmt: skip
    still = [ejection_fraction_overall(m.times_s, m.volumes) for h, m in zip(hearts, real, strict=True) if not h.moving]
    return scores | median_of("standing_ef", still)


def timing_scores(
    bench: Bench, hearts: Sequence[Heart], real: Sequence[Measurement], on_step: OnStep = lambda _: None
) -> Scores:
    """Generated hearts against the truth, cycle by cycle, and what the measurer and the tokenizer alone would score.

    The true EF as a condition is tried on the first 16 moving hearts, an EF of 0.3 and of 0.7 on the first 12.
    """
    moving = [(h, m) for h, m in zip(hearts, real, strict=True) if h.moving]
    hearts, real = [h for h, _ in moving], [m for _, m in moving]
    told, asked = hearts[:HEARTS_TOLD], hearts[:HEARTS_ASKED]
    work = Counted(on_step, 2 * len(hearts) + len(told) + len(EF_ASKED) * len(asked))
    rebuilt = [bench.look(h, bench.reconstruct(h.frames), h.spacing_cm) for h in hearts]
    imaged = [work(bench.beat(h, h.ecg)) for h in hearts]
    alone = [work(bench.beat(h, h.ecg, image=False)) for h in hearts]
    believed = ef_scores(told, [work(bench.beat(h, h.ecg, ef=h.ef)) for h in told])

    scores = {}
    conditions = {"real_frames": real, "reconstruction": rebuilt, "first_image": imaged, "ecg_alone": alone}
    for name, measured in conditions.items():
        scores |= _prefix(name, judge(hearts, measured) | ef_scores(hearts, measured))
    scores |= {f"first_image.{key.replace('ef_', 'ef_given_', 1)}": value for key, value in believed.items()}
    scores |= _lags("", hearts, imaged) | _lags("truth.", hearts, None)
    chance = chance_errors(hearts)
    scores |= {f"chance.{key}": chance[key] for key in ("ed_ms.median_abs", "ed_ms.n", "es_ms.median_abs", "es_ms.n")}
    for ef in EF_ASKED:
        answered = [measured_ef(work(bench.beat(h, h.ecg, ef=ef))) for h in asked]
        scores |= median_of(f"ef_asked.{ef:g}", answered)
    scores["ef_asked.difference"] = scores[f"ef_asked.{EF_ASKED[1]:g}"] - scores[f"ef_asked.{EF_ASKED[0]:g}"]
    return scores


def judge(hearts: Sequence[Heart], measured: Sequence[Measurement]) -> Scores:
    """ED and ES errors over all cycles, and the correlation of the volume curves over the clips."""
    pairs = list(zip(hearts, measured, strict=True))
    errors = join([errors_of(h, m.volumes) for h, m in pairs]).summary()
    lowest = join([errors_of(h, m.volumes, es_level=0.0) for h, m in pairs])
    scores = {key: value for key, value in errors.items() if key.startswith(("ed_ms", "es_ms"))}
    scores |= {f"es_lowest_ms.{key}": value for key, value in summarize(lowest.es_ms).items()}
    scores |= median_of("r", [curve_correlation(m.volumes, h.volume_ml) for h, m in pairs])
    scores |= beat_scores([beat_figures(h.r_peaks_s, h.times_s, m.volumes) for h, m in pairs])
    lost = np.concatenate([~np.isfinite(m.volumes) for m in measured]) if measured else np.zeros(0)
    return scores | {"frames_without_ventricle": float(lost.mean()) if len(lost) else float("nan")}


def beat_scores(figures: Sequence[Scores]) -> Scores:
    """Median difference of the heart rates over the clips; shares of R peaks and of RR intervals over all of them."""
    scores = median_of("rate_difference_bpm", [clip["rate_difference_bpm"] for clip in figures])
    for name in ("r_with_maximum", "beats_with_minimum"):
        count = sum(clip[f"{name}.n"] for clip in figures)
        hits = sum(clip[name] * clip[f"{name}.n"] for clip in figures if clip[f"{name}.n"])
        scores |= {name: hits / count if count else float("nan"), f"{name}.n": count}
    return scores


def errors_of(heart: Heart, volume: np.ndarray, *, es_level: float = ES_LEVEL) -> TimingErrors:
    """A volume curve [t] against one heart's truth and ECG."""
    return timing_errors(
        heart.times_s, volume, heart.cycles, truth_volume=heart.volume_ml, t_ends_s=heart.t_ends_s, es_level=es_level
    )  # fmt: skip


def _lags(prefix: str, hearts: Sequence[Heart], measured: Sequence[Measurement] | None) -> Scores:
    curves = [h.volume_ml for h in hearts] if measured is None else [m.volumes for m in measured]
    errors = join([errors_of(h, curve) for h, curve in zip(hearts, curves, strict=True)]).summary()
    return {prefix + key: value for key, value in errors.items() if "_minus_" in key}


def chance_errors(hearts: Sequence[Heart]) -> Scores:
    """What a heart scores that beats well but to another's ECG: the next heart's true curve in every heart's cycles."""
    return join([errors_of(h, other.volume_ml) for h, other in donors(hearts)]).summary()


def donors(hearts: Sequence[Heart]) -> list[tuple[Heart, Heart]]:
    """Each heart with the next one, the last with the first; nothing to pair below two hearts."""
    return list(zip(hearts, [*hearts[1:], hearts[0]], strict=True)) if len(hearts) > 1 else []


def measured_ef(measurement: Measurement) -> float:
    """Median over the beats; where no beat was found, 1 - min/max of the curve, so that a still heart has EF near 0."""
    if len(measurement.ef_per_beat):
        return measurement.ef
    return ejection_fraction_overall(measurement.times_s, measurement.volumes)


def ef_scores(hearts: Sequence[Heart], measured: Sequence[Measurement]) -> Scores:
    """EF per clip against the truth: mean absolute error, bias, correlation, mean and how many gave none."""
    truth = np.array([h.ef for h in hearts])
    found = np.array([measured_ef(m) for m in measured])
    known = np.isfinite(found)
    return {
        "ef_mae": _mean(np.abs(found - truth)), "ef_mae.n": int(known.sum()), "ef_mae.missing": int((~known).sum()),
        "ef_bias": _mean(found - truth), "ef_r": curve_correlation(found, truth), "ef_mean": _mean(found),
    }  # fmt: skip


def dice(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Overlap 2|a∩b| / (|a| + |b|) of masks bool [t, h, w], float64 [t]; 1 where both are empty."""
    both, sizes = (a & b).sum((1, 2)), a.sum((1, 2)) + b.sum((1, 2))
    return np.where(sizes > 0, 2 * both / np.maximum(sizes, 1), 1.0)


def median_of(name: str, values: Sequence[float]) -> Scores:
    """`name` (median of what is known), `name.n` and `name.missing`."""
    summary = summarize(np.array(values, np.float64))
    return {name: summary["median"], f"{name}.n": summary["n"], f"{name}.missing": summary["missing"]}


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def _prefix(name: str, scores: Scores) -> Scores:
    return {f"{name}.{key}": value for key, value in scores.items()}


class Counted:
    """Passes every finished piece of work through and says what share is done."""

    def __init__(self, on_step: OnStep, total: int):
        self.on_step, self.total, self.done = on_step, max(total, 1), 0

    def __call__(self, piece):
        self.done += 1
        self.on_step(self.done / self.total)
        return piece
