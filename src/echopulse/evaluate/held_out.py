"""Models against simulated hearts that no training has seen, whose truth is known exactly.

Volume curves of truth and video are read by one definition (`phase_times`): ED is the last time above 90 % of the fall
to the smallest volume of the cycle, ES the first time below 10 % of it (`ES_LEVEL`). The trough itself is flat for as
long as both valves are shut, so that its lowest point is mostly noise. This ED comes a frame or so after the onset of
ejection and this ES as much before its end, in truth and video alike. ES as the lowest point is reported beside it
(`es_lowest_ms`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from echopulse.evaluate.beats import beat_figures
from echopulse.evaluate.bench import Bench
from echopulse.evaluate.hearts import Heart, donors, hearts_of, simulate_held_out
from echopulse.evaluate.known import mean_known
from echopulse.evaluate.results import Results
from echopulse.evaluate.thirds import by_thirds
from echopulse.evaluate.timing import TimingErrors, curve_correlation, join, summarize, timing_errors
from echopulse.evaluate.together import Counted, OnStep
from echopulse.measure import Measurement, ejection_fraction_overall

__all__ = ["Bench", "Heart", "hearts_of", "simulate_held_out", "timing_scores"]

ES_LEVEL = 0.1
EF_ASKED = (0.3, 0.7)
HEARTS_TOLD, HEARTS_ASKED = 12, 8  # at most; each costs one more generation per EF
CURVES = 4  # sample volume curves that are kept for the page

Scores = dict[str, float]


def timing_scores(
    bench: Bench,
    hearts: Sequence[Heart],
    real: Sequence[Measurement],
    on_step: OnStep = lambda _: None,
    *,
    imaged: Mapping[int, np.ndarray] | None = None,
    alone: Mapping[int, np.ndarray] | None = None,
    first_alone: int | None = None,
) -> Results:
    """Generated hearts against the truth, cycle by cycle, and what the measurer and the tokenizer alone would score.

    `real` are the simulated frames measured, of the first hearts at least. The true EF as a condition is tried on the
    first 12 moving hearts, an EF of 0.3 and of 0.7 on the first 8, the ECG without a picture and the tokenizer on the
    first `first_alone` (None: all). `imaged` and `alone` are clips uint8
    [t, h, w] by the heart's seed that there are already, from first picture and ECG and from the ECG alone.
    """
    seen = [(h, m) for h, m in zip(hearts, real, strict=False) if h.moving]
    hearts = [h for h in hearts if h.moving]
    few, told, asked = hearts[:first_alone], hearts[:HEARTS_TOLD], hearts[:HEARTS_ASKED]
    rebuilding = few if bench.reconstruct else []
    work = Counted(on_step, len(hearts) + len(few) + len(rebuilding) + len(told) + len(EF_ASKED) * len(asked))

    def rebuild(heart: Heart) -> Measurement:
        return bench.look(heart, bench.reconstruct(heart.frames), heart.spacing_cm)

    def from_image(heart: Heart) -> Measurement:
        if imaged is None or heart.seed not in imaged:
            return bench.beat(heart, heart.ecg)
        return bench.look(heart, imaged[heart.seed], heart.spacing_cm)

    def from_ecg(heart: Heart) -> Measurement:
        if alone is None or heart.seed not in alone:
            return bench.beat(heart, heart.ecg, image=False)
        return bench.look(heart, alone[heart.seed], None)

    measured = {
        "real_frames": ([h for h, _ in seen], [m for _, m in seen]),
        "reconstruction": (rebuilding, bench.each(rebuild, rebuilding, work)),
        "first_image": (hearts, bench.each(from_image, hearts, work)),
        "ecg_alone": (few, bench.each(from_ecg, few, work)),
    }
    results = by_group(hearts, measured["first_image"][1])
    for name, (of, found) in measured.items():
        if of or name != "reconstruction":
            results |= (judge(of, found) | ejection(of, found)).under(name)
    believed = ejection(told, bench.each(lambda h: bench.beat(h, h.ecg, ef=h.ef), told, work))
    results |= Results(
        {f"first_image.{key.replace('ef_', 'ef_given_', 1)}": value for key, value in believed.scores.items()},
        {f"first_image.{key.replace('ef_', 'ef_given_', 1)}": column for key, column in believed.columns.items()},
    )
    results |= _lags(hearts, measured["first_image"][1]) | _lags(hearts, None).under("truth")
    chance = chance_errors(hearts)
    results |= Results.of({f"chance.{key}": chance[key] for key in CHANCE})
    for ef in EF_ASKED:
        answered = bench.each(lambda h, ef=ef: bench.beat(h, h.ecg, ef=ef), asked, work)
        results |= median_of(f"ef_asked.{ef:g}", [measured_ef(m) for m in answered])
    low, high = (results.columns[f"ef_asked.{ef:g}"] for ef in EF_ASKED)
    medians = [results.scores[f"ef_asked.{ef:g}"] for ef in EF_ASKED]
    results |= Results.of({"ef_asked.difference": medians[1] - medians[0]})
    results.columns["ef_asked.each_difference"] = [b - a for a, b in zip(low, high, strict=True)]
    return results | _curves(hearts[:CURVES], measured["first_image"][1])


GROUPED = ("ed_ms.median_abs", "es_ms.median_abs", "r", "ef_mae")  # of each kind of heart


def by_group(hearts: Sequence[Heart], measured: Sequence[Measurement]) -> Results:
    """The figures of `GROUPED` for every view and rhythm, and for thirds of the hearts by rate and by EF."""
    pairs = list(zip(hearts, measured, strict=True))
    groups = {f"view.{name}": [p for p in pairs if p[0].view == name] for name in sorted({h.view for h in hearts})}
    rhythms = sorted({h.rhythm for h in hearts if h.rhythm})
    groups |= {f"rhythm.{name}": [p for p in pairs if p[0].rhythm == name] for name in rhythms}
    rated = [(60 / np.median(np.diff(p[0].r_peaks_s)), p) for p in pairs if len(p[0].r_peaks_s) > 1]
    for name, of in (("rate", rated), ("ef", [(p[0].ef, p) for p in pairs])):
        thirds = by_thirds([p for _, p in of], [value for value, _ in of])
        groups |= {f"{name}.{word}": some for word, some in thirds}
    scores: Scores = {}
    for name, some in groups.items():
        if some:
            of, found = (list(side) for side in zip(*some, strict=True))
            every = judge(of, found).scores | ef_scores(of, found)
            scores |= {f"by.{name}.{key}": every[key] for key in GROUPED} | {f"by.{name}.n": len(some)}
    return Results.of(scores)


CHANCE = ("ed_ms.median_abs", "ed_ms.n", "es_ms.median_abs", "es_ms.n")


def judge(hearts: Sequence[Heart], measured: Sequence[Measurement]) -> Results:
    """ED and ES errors over all cycles, and the correlation of the volume curves over the clips."""
    pairs = list(zip(hearts, measured, strict=True))
    results = phases(errors_of_all(hearts, [m.volumes for m in measured]))
    lowest = errors_of_all(hearts, [m.volumes for m in measured], es_level=0.0)
    results |= errors_figure("es_lowest_ms", lowest.es_ms, lowest.hearts)
    results |= median_of("r", [curve_correlation(m.volumes, h.volume_ml) for h, m in pairs])
    results |= beat_scores([beat_figures(h.r_peaks_s, h.times_s, m.volumes) for h, m in pairs])
    lost = [float(np.mean(~np.isfinite(m.volumes))) for m in measured]
    return results | Results.of({"frames_without_ventricle": mean_known(lost)}, {"frames_without_ventricle": lost})


def phases(errors: TimingErrors) -> Results:
    """ED and ES errors: their figures, and the errors themselves in milliseconds, one per cycle."""
    ed, es = (errors_figure(name, getattr(errors, name), errors.hearts) for name in ("ed_ms", "es_ms"))
    return ed | es


def errors_figure(name: str, errors: np.ndarray, hearts: np.ndarray) -> Results:
    """`name.median_abs`, `name.mean`, ... of signed errors, which stand behind them as the column `name`.

    The column `name.hearts` says whose each error is.
    """
    scores = {f"{name}.{key}": value for key, value in summarize(errors).items()}
    return Results.of(scores, {name: errors, f"{name}.hearts": hearts})


def beat_scores(figures: Sequence[Scores]) -> Results:
    """Median difference of the heart rates over the clips; shares of R peaks and of RR intervals over all of them."""
    results = median_of("rate_difference_bpm", [clip["rate_difference_bpm"] for clip in figures])
    for name in ("r_with_maximum", "beats_with_minimum"):
        count = sum(clip[f"{name}.n"] for clip in figures)
        hits = sum(clip[name] * clip[f"{name}.n"] for clip in figures if clip[f"{name}.n"])
        results |= Results.of({name: hits / count if count else float("nan"), f"{name}.n": count})
    return results


def errors_of(heart: Heart, volume: np.ndarray, *, es_level: float = ES_LEVEL) -> TimingErrors:
    """A volume curve [t] against one heart's truth and ECG."""
    return timing_errors(
        heart.times_s, volume, heart.cycles, truth_volume=heart.volume_ml, t_ends_s=heart.t_ends_s, es_level=es_level
    )  # fmt: skip


def errors_of_all(hearts: Sequence[Heart], curves: Sequence[np.ndarray], **options: float) -> TimingErrors:
    """The same of one curve for every heart, in one."""
    parts = [errors_of(heart, curve, **options) for heart, curve in zip(hearts, curves, strict=True)]
    return join(parts, [heart.seed for heart in hearts])


def _lags(hearts: Sequence[Heart], measured: Sequence[Measurement] | None) -> Results:
    curves = [h.volume_ml for h in hearts] if measured is None else [m.volumes for m in measured]
    errors = errors_of_all(hearts, curves)
    behind_r = errors_figure("ed_minus_r_ms", errors.ed_minus_r_ms, errors.hearts)
    return behind_r | errors_figure("es_minus_t_end_ms", errors.es_minus_t_end_ms, errors.hearts)


def _curves(hearts: Sequence[Heart], measured: Sequence[Measurement]) -> Results:
    """True and measured volumes of the first few hearts, in columns for a plot; no figures."""
    columns = {}
    for number, (heart, found) in enumerate(zip(hearts, measured[: len(hearts)], strict=True)):
        curves = {"times_s": heart.times_s, "true_ml": heart.volume_ml, "measured_ml": found.volumes}
        columns |= {f"curve.{number}.{name}": curve for name, curve in curves.items()}
    return Results.of({}, columns)


def chance_errors(hearts: Sequence[Heart]) -> Scores:
    """What a heart scores that beats well but to another's ECG: the next heart's true curve in every heart's cycles."""
    return errors_of_all([h for h, _ in donors(hearts)], [other.volume_ml for _, other in donors(hearts)]).summary()


def measured_ef(measurement: Measurement) -> float:
    """Median over the beats; where no beat was found, 1 - min/max of the curve, so that a still heart has EF near 0."""
    if len(measurement.ef_per_beat):
        return measurement.ef
    return ejection_fraction_overall(measurement.times_s, measurement.volumes)


def ejection(hearts: Sequence[Heart], measured: Sequence[Measurement]) -> Results:
    """What `ef_scores` says, with the EFs of every clip behind it."""
    truth, found = np.array([h.ef for h in hearts]), np.array([measured_ef(m) for m in measured])
    columns = {"ef_mae": found - truth, "ef_bias": found - truth, "ef_mean": found}
    return Results.of(ef_scores(hearts, measured), columns | {"ef_true": truth, "ef_found": found})


def ef_scores(hearts: Sequence[Heart], measured: Sequence[Measurement]) -> Scores:
    """EF per clip against the truth: mean absolute error, bias, correlation, mean and how many gave none."""
    truth = np.array([h.ef for h in hearts])
    found = np.array([measured_ef(m) for m in measured])
    known = np.isfinite(found)
    return {
        "ef_mae": mean_known(np.abs(found - truth)),
        "ef_mae.n": int(known.sum()), "ef_mae.missing": int((~known).sum()),
        "ef_bias": mean_known(found - truth), "ef_r": curve_correlation(found, truth), "ef_mean": mean_known(found),
    }  # fmt: skip


def median_of(name: str, values: Sequence[float]) -> Results:
    """`name` (median of what is known), `name.n` and `name.missing`, with the values behind it."""
    summary = summarize(np.array(values, np.float64))
    scores = {name: summary["median"], f"{name}.n": summary["n"], f"{name}.missing": summary["missing"]}
    return Results.of(scores, {name: values})
