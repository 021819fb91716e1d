"""The measurer on many simulated hearts that no training has seen: every view, every look of the scanner.

Clips are simulated batch by batch and forgotten, so that their number costs time only. EF is compared beat by beat:
each of the truth's beats that lies wholly in the clip with the measured one whose end-diastole is nearest in time, at
most half a cycle away. Medians of whatever beats each side found are given beside it (`unmatched`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from echopulse.evaluate.keys import Bar, Figure
from echopulse.evaluate.known import finite, mean_known, median_known
from echopulse.evaluate.results import Results
from echopulse.evaluate.thirds import THIRDS, by_thirds
from echopulse.evaluate.timing import cycles_between, match_beats, timing_errors
from echopulse.jobs import run_jobs
from echopulse.measure.segmenter import LV
from echopulse.phantom import simulate
from echopulse.phantom.types import APICAL_VIEWS, LABELS, VIEWS

if TYPE_CHECKING:
    from echopulse.echo import Clip
    from echopulse.measure import Measurement
    from echopulse.phantom.simulate import PhantomClips

CLIPS, SEED = 500, 990_000
AT_ONCE = 10  # clips of one batch
FRAMES, FPS = 50, 25.0
ES_LEVEL = 0.1  # as in held_out: ES is the first time below this part of the fall
LOOKS = ("gain_db", "dynamic_range_db", "frequency_mhz", "noise_db", "haze_db", "half_angle_rad")  # split in thirds
HARMONIC = ("fundamental", "harmonic")
SURE = (0.0, 0.85, 0.92, 0.96, 1.0)  # edges of the confidences that are held against the overlap
OnStep = Callable[[float], None]
Measure = Callable[["Clip"], "Measurement"]


@dataclass(frozen=True, eq=False)
class Examination:
    """What one clip gave; lists hold one value per frame or per matched beat.

    Attributes:
        view, guessed: the true view, and the one guessed without being told ("" where the measurer does not guess).
        look: scanner parameters by name.
        dice: class name -> overlap in every frame that shows it.
        confidence: of every frame.
        ef_true, ef_found, ef_calibrated: of matched beats.
        beats_missed: beats of the truth without a partner.
        medians: true, measured and calibrated EF as medians of what each side found by itself; NaN where none.
        ed_frames, es_frames: errors in frames, positive is late.
    """

    view: str
    guessed: str
    look: dict[str, float]
    dice: dict[str, list[float]]
    confidence: list[float]
    ef_true: list[float] = field(default_factory=list)
    ef_found: list[float] = field(default_factory=list)
    ef_calibrated: list[float] = field(default_factory=list)
    beats_missed: int = 0
    medians: tuple[float, float, float] = (np.nan,) * 3
    ed_frames: list[float] = field(default_factory=list)
    es_frames: list[float] = field(default_factory=list)


def measuring_scores(
    measure: Measure, *, clips: int = CLIPS, seed: int = SEED, workers: int = 1, on_step: OnStep = lambda _: None
) -> Results:
    """Overlap, EF, ED and ES of `measure(clip)` on clinical clips in all views, and by view and look.

    `measure` is told the view of each clip; of each clip's first frames it is also asked without being told. With more
    than one worker it has to be picklable. The same `clips` and `seed` give the same hearts whatever the workers.
    """
    batches = [(seed + first // AT_ONCE, min(AT_ONCE, clips - first)) for first in range(0, clips, AT_ONCE)]
    done = []

    def count(piece: tuple[int, int]) -> None:
        done.append(piece)
        on_step(len(done) / len(batches))

    found = run_jobs(_Examiner(measure), batches, workers=workers, on_done=count)
    return summarize_examinations([one for batch in found for one in batch])


@dataclass(frozen=True)
class _Examiner:
    """Simulates and measures one batch; a class, so that processes can be sent it."""

    measure: Measure

    @torch.inference_mode()
    def __call__(self, batch: tuple[int, int]) -> list[Examination]:
        seed, count = batch
        simulated = simulate(count, seed=seed, prior="clinical", frames=FRAMES, fps=FPS, leads=1, ecg_before_s=0.4)
        return [examine(simulated, i, self.measure) for i in range(count)]


def examine(simulated: PhantomClips, i: int, measure: Measure) -> Examination:
    """Clip number i of a simulated batch, measured and held against its truth."""
    truth, clip = simulated.truth, simulated.clip(i)
    view = truth.view[i]
    found = measure(clip)
    unseen = measure(replace(clip, view=None, frames=clip.frames[:1], times_s=clip.times_s[:1]))
    labels = truth.labels[i].cpu().numpy()
    seen = found.labels if found.labels is not None else np.where(found.masks, LV, 0)
    names = LABELS[1:] if found.labels is not None else ("lv",)
    settings = simulated.parameters.scanner
    begun = Examination(
        view=view,
        guessed=unseen.view or "",
        look={name: float(getattr(settings, name)[i]) for name in (*LOOKS, "harmonic")},
        dice={name: _overlaps(seen == LABELS.index(name), labels == LABELS.index(name)) for name in names},
        confidence=[float(value) for value in found.confidence],
    )
    if view not in APICAL_VIEWS:
        return begun
    times = truth.times_s.double().cpu().numpy()
    r_peaks = finite(truth.r_peaks_s[i])
    volume = truth.volume_ml[i].double().cpu().numpy()
    errors = timing_errors(
        times, found.volumes, cycles_between(r_peaks, times[0], times[-1]), truth_volume=volume,
        t_ends_s=finite(truth.t_ends_s[i]), es_level=ES_LEVEL,
    )  # fmt: skip
    in_frames = FPS / 1000
    return replace(
        begun, **_beats(simulated, i, found),
        ed_frames=[float(value) for value in errors.ed_ms * in_frames],
        es_frames=[float(value) for value in errors.es_ms * in_frames],
    )  # fmt: skip


def _beats(simulated: PhantomClips, i: int, found: Measurement) -> dict:
    """Matched EFs of one apical clip, the beats that found no partner, and medians of either side."""
    truth = simulated.truth
    ef = truth.ef_per_beat[i].double().cpu().numpy()
    ed, es = (times[i].double().cpu().numpy() for times in (truth.ed_times_s, truth.es_times_s))
    last = float(truth.times_s[-1])
    whole = np.isfinite(ef) & (ed >= 0) & (es <= last)
    calibrated = found.ef_per_beat_calibrated
    calibrated = np.full(len(found.ef_per_beat), np.nan) if calibrated is None else calibrated
    match = match_beats(found.times_s[found.ed_frames], ed[whole], _half_cycle(finite(truth.r_peaks_s[i])))
    mine, theirs = match.ecg_index, match.video_index
    return {
        "ef_true": ef[whole][mine].tolist(), "ef_found": found.ef_per_beat[theirs].tolist(),
        "ef_calibrated": calibrated[theirs].tolist(), "beats_missed": match.missed,
        "medians": tuple(median_known(values) for values in (ef[whole], found.ef_per_beat, calibrated)),
    }  # fmt: skip


def summarize_examinations(found: list[Examination]) -> Results:
    """Scores of all clips together, then by view and by look."""
    scores, columns = _scores(found)
    for view in VIEWS:
        scores |= _beneath(f"view.{view}", _scores([one for one in found if one.view == view])[0])
    for name in LOOKS:
        for word, some in by_thirds(found, [one.look[name] for one in found]):
            scores |= _beneath(f"look.{name}.{word}", _scores(some)[0])
    for number, word in enumerate(HARMONIC):
        some = [one for one in found if round(one.look["harmonic"]) == number]
        scores |= _beneath(f"look.beam.{word}", _scores(some)[0])
    return Results.of(scores | _calibration(found), columns)


def _scores(found: list[Examination]) -> tuple[dict[str, float], dict[str, Sequence[float]]]:
    """Figures of some clips, and the values behind them."""
    scores, columns = {}, {}
    for name in LABELS[1:]:
        overlaps = [value for one in found for value in one.dice.get(name, [])]
        if name == "lv" or overlaps:
            scores |= {f"dice.{name}": mean_known(overlaps), f"dice.{name}.n": int(np.isfinite(overlaps).sum())}
    columns["dice.lv"] = [mean_known(one.dice["lv"]) for one in found]
    lv = [value for one in found for value in one.dice["lv"]]
    scores["dice.lv.p5"] = float(np.nanpercentile(lv, 5)) if np.isfinite(lv).any() else float("nan")
    guesses = [one for one in found if one.guessed]
    if guesses:
        scores |= {"views_right": mean_known([float(one.guessed == one.view) for one in guesses]),
                   "views_right.n": len(guesses)}  # fmt: skip
    beating = [one for one in found if one.ef_true or one.beats_missed]
    if not beating:
        return scores, columns
    truth = [median_known(one.ef_true) for one in beating]
    for name in ("ef_found", "ef_calibrated"):
        measured = [median_known(getattr(one, name)) for one in beating]
        title = {"ef_found": "ef_simpson", "ef_calibrated": "ef"}[name]
        if not np.isfinite(measured).any():
            continue
        figures, errors = _agreement(np.array(truth), np.array(measured))
        scores |= {f"{title}.{key}": value for key, value in figures.items()}
        columns[f"{title}.mae"] = errors
    unmatched = [(one.medians[0], one.medians[1]) for one in beating]
    figures, _ = _agreement(*np.array(unmatched).T)
    scores |= {f"ef_simpson.unmatched_{key}": figures[key] for key in ("mae", "bias")}
    missed = sum(one.beats_missed for one in beating)
    scores["beats_found"] = 1 - missed / max(1, missed + sum(len(one.ef_true) for one in beating))
    for phase in ("ed_frames", "es_frames"):
        each = [getattr(one, phase) for one in found]
        errors = np.array([value for values in each for value in values])
        missing = int(np.isnan(errors).sum())
        scores |= {f"{phase}.median_abs": median_known(np.abs(errors)), f"{phase}.n": len(errors) - missing,
                   f"{phase}.missing": missing, f"{phase}.median": median_known(errors)}  # fmt: skip
        columns |= {phase: errors, f"{phase}.hearts": np.repeat(np.arange(len(found)), list(map(len, each)))}
    return scores, columns


def _agreement(truth: np.ndarray, found: np.ndarray) -> tuple[dict[str, float], list[float]]:
    """Mean absolute error, bias, SD of the errors, R² (of the line y = x) and SD of the truth over clips."""
    known = np.isfinite(truth) & np.isfinite(found)
    error = (found - truth)[known]
    spread = truth[known].var() if known.any() else 0.0
    figures = {
        "mae": mean_known(np.abs(error)), "mae.n": int(known.sum()), "mae.missing": int((~known).sum()),
        "bias": mean_known(error), "error_sd": float(error.std()) if len(error) else float("nan"),
        "r2": float(1 - np.square(error).mean() / spread) if spread > 0 else float("nan"),
        "true_sd": float(np.sqrt(spread)),
    }  # fmt: skip
    return figures, np.abs(error).tolist()


def _calibration(found: list[Examination]) -> dict[str, float]:
    """Whether the confidence of a frame is its overlap: their mean difference, and the overlap by confidence."""
    sure = np.array([value for one in found for value in one.confidence])
    true = np.array([value for one in found for value in one.dice["lv"]])
    sure, true = sure[np.isfinite(true)], true[np.isfinite(true)]
    scores = {"confidence.error": mean_known(np.abs(sure - true)), "confidence.bias": mean_known(sure - true)}
    for low, high in zip(SURE[:-1], SURE[1:], strict=True):
        inside = (sure >= low) & ((sure < high) | (high == SURE[-1]))
        scores |= {f"confidence.dice_{round(100 * low)}": mean_known(true[inside]),
                   f"confidence.dice_{round(100 * low)}.n": int(inside.sum())}  # fmt: skip
    return scores


def _overlaps(a: np.ndarray, b: np.ndarray) -> list[float]:
    """Dice per frame; NaN where neither shows the class."""
    both, sizes = (a & b).sum((1, 2)), a.sum((1, 2)) + b.sum((1, 2))
    return np.where(sizes > 0, 2 * both / np.maximum(sizes, 1), np.nan).tolist()


def _half_cycle(r_peaks_s: np.ndarray) -> float:
    return float(np.median(np.diff(r_peaks_s))) / 2 if len(r_peaks_s) > 1 else 0.5


def _beneath(prefix: str, scores: dict[str, float]) -> dict[str, float]:
    return {f"{prefix}.{key}": value for key, value in scores.items()}


def _figures() -> dict[str, Figure]:
    most, least = (lambda value: Bar("≤", value)), (lambda value: Bar("≥", value))
    ef = {"ef": "calibrated volumes", "ef_simpson": "Simpson's rule in one plane"}
    whole = {
        **{f"dice.{name}": Figure("", f"overlap of found and true {name}, mean over frames that show it")
           for name in LABELS[1:]},
        "dice.lv.p5": Figure("", "overlap of the left ventricle, fifth percentile of the frames"),
        "views_right": Figure("", "share of clips whose view is guessed right from one frame"),
        "beats_found": Figure("", "share of the truth's whole beats with a measured one within half a cycle"),
    }  # fmt: skip
    for name, how in ef.items():
        whole |= {
            f"{name}.mae": Figure("", f"EF by {how}, matched beats, median per clip: mean absolute error"),
            f"{name}.bias": Figure("", f"EF by {how}: mean of measured minus true"),
            f"{name}.error_sd": Figure("", f"EF by {how}: SD of the errors"),
            f"{name}.r2": Figure("", f"EF by {how}: R² about the line measured = true"),
            f"{name}.true_sd": Figure("", f"EF by {how}: SD of the true values"),
        }
    whole |= {
        "ef_simpson.unmatched_mae": Figure("", "EF by Simpson's rule, median of all beats on either side: mean error"),
        "ef_simpson.unmatched_bias": Figure("", "the same: mean of measured minus true"),
    }
    for phase, name in (("ed_frames", "ED"), ("es_frames", "ES (10 % of the fall)")):
        whole |= {
            f"{phase}.median_abs": Figure("frames", f"{name} against truth at 25 frames/s: median absolute error"),
            f"{phase}.median": Figure("frames", f"{name} against truth at 25 frames/s: median, positive is late"),
        }
    figures = {f"measurer.{key}": figure for key, figure in whole.items()}
    for place, word in (*((f"view.{view}", f"view {view}") for view in VIEWS),
                        *((f"look.{name}.{third}", f"{third} third of the scanner's {name}")
                          for name in LOOKS for third in THIRDS),
                        *((f"look.beam.{beam}", f"{beam} imaging") for beam in HARMONIC)):  # fmt: skip
        for key, figure in whole.items():
            figures[f"measurer.{place}.{key}"] = Figure(figure.unit, f"{word}: {figure.meaning}")
    bars = {"dice.lv": least(0.94), "ef.mae": most(0.02), "ef.r2": least(0.96), "ed_frames.median_abs": most(1),
            "es_frames.median_abs": most(1)}  # fmt: skip
    for key, bar in bars.items():
        figures[f"measurer.{key}"] = whole[key]._replace(bar=bar)
    figures |= {
        "measurer.confidence.error": Figure("", "difference of a frame's confidence and its overlap, mean absolute"),
        "measurer.confidence.bias": Figure("", "mean of confidence minus overlap; positive is too sure"),
    }
    for low, high in zip(SURE[:-1], SURE[1:], strict=True):
        figures[f"measurer.confidence.dice_{round(100 * low)}"] = Figure(
            "", f"overlap of frames with a confidence from {low:g} to {high:g}"
        )
    return figures


FIGURES = _figures()
