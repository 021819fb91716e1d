"""Does the heart beat because of its ECG? The same hearts with the ECG taken away, flattened, moved, hurried, swapped.

Every clip is held against what the ECG that was *given* asks for, never against the unchanged one (see `obedience`).
All controls but the moved ECGs keep the heart's own first picture, so that only the ECG differs; a picture of another
phase would contradict an ECG that was moved. Hearts are those that beat with a whole cycle in the clip, the first 16.
To spare time every heart goes through five changes of its ECG and each change through a quarter of the hearts, other
rates and another's ECG through half of them; see `plan`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from echopulse.errors import InputError
from echopulse.evaluate import ecg_changes as change
from echopulse.evaluate.beats import beat_figures
from echopulse.evaluate.bench import Bench
from echopulse.evaluate.control_figures import FIGURES, verdicts
from echopulse.evaluate.hearts import Heart, donors
from echopulse.evaluate.held_out import ES_LEVEL, chance_errors, median_of, phases
from echopulse.evaluate.known import finite, mean_known
from echopulse.evaluate.metrics.resampling import over_hearts
from echopulse.evaluate.obedience import (
    Given,
    best_lag,
    explained,
    found_shift,
    locking,
    obedience,
    usual_phase,
)
from echopulse.evaluate.results import Results
from echopulse.evaluate.timing import TimingErrors, curve_correlation, join, match_beats
from echopulse.evaluate.together import Counted, OnStep
from echopulse.measure import Measurement, ejection_fraction_overall, find_cycles

__all__ = ["FIGURES", "HEARTS", "control_scores", "plan"]

HEARTS = 16
ECG_RATE_HZ = 200.0
SHIFTS_S = {"earlier_400": -0.4, "earlier_200": -0.2, "earlier_100": -0.1,
            "later_100": 0.1, "later_200": 0.2, "later_400": 0.4}  # fmt: skip
RATES = {"slower": 0.7, "faster": 1.4}
NOISE_DB = {"noise_24": 24.0, "noise_12": 12.0, "noise_6": 6.0, "noise_0": 0.0}
STILL = ("flat", "zero")
SAME_BEAT_S = 0.2
_TURNS = (
    ("slower", "earlier_400", "later_200", "noise_24", "flat"),
    ("faster", "donor", "earlier_200", "noise_12", "flipped"),
    ("slower", "earlier_100", "later_400", "noise_6", "zero"),
    ("faster", "donor", "later_100", "noise_0", "other_lead"),
)


@dataclass(frozen=True, eq=False)
class Answer:
    """One clip that was made for a heart from a given ECG, and what the measurer saw in it."""

    heart: Heart
    given: Given
    measured: Measurement

    @property
    def area(self) -> np.ndarray:
        return areas(self.measured)

    @property
    def explained(self) -> float:
        return explained(self.area, self.given.volume(self.heart.times_s))


def plan(number: int) -> tuple[str, ...]:
    """The controls that heart `number` goes through, besides its own ECG and none."""
    return _TURNS[number % len(_TURNS)]


def given_to(heart: Heart, other: Heart, control: str, rate_hz: float = ECG_RATE_HZ) -> Given:
    """The ECG of one control, and what it asks for; `other` is whose ECG the control "donor" takes."""
    leads = other.leads if control == "donor" else heart.leads
    if control == "other_lead" and leads is not None:
        leads = leads[:1] if heart.other_lead is None else (heart.other_lead_name,)
    return replace(_changed(heart, other, control, rate_hz), leads=leads)


def _changed(heart: Heart, other: Heart, control: str, rate_hz: float) -> Given:
    draw = torch.Generator().manual_seed(heart.seed)
    if control in SHIFTS_S:
        shift_s = round(SHIFTS_S[control] * rate_hz) / rate_hz
        return Given(change.moved_later(heart.ecg, rate_hz, shift_s), heart, shift_s=shift_s)
    if control in RATES:
        hurried = change.at_rate(heart.ecg, rate_hz, RATES[control], -heart.ecg_start_s)
        return Given(hurried, heart, factor=RATES[control])
    if control in NOISE_DB:
        return Given(change.with_noise(heart.ecg, NOISE_DB[control], draw), heart)
    made: dict[str, Callable[[], Given]] = {
        "same": lambda: Given(heart.ecg, heart),
        "unmoved": lambda: Given(heart.ecg, heart),
        "donor": lambda: Given(other.ecg, other),
        "flipped": lambda: Given(change.flipped(heart.ecg), heart),
        "other_lead": lambda: Given(heart.ecg[:1] if heart.other_lead is None else heart.other_lead, heart),
        "flat": lambda: Given(change.flat(heart.ecg, draw), None),
        "zero": lambda: Given(change.zero(heart.ecg), None),
        "none": lambda: Given(None, None),
    }
    return made[control]()


def with_image(control: str) -> bool:
    """Whether the clip opens with the heart's own first picture."""
    return control != "unmoved" and control not in SHIFTS_S


def chosen_hearts(hearts: Sequence[Heart], most: int = HEARTS) -> list[Heart]:
    """The first hearts that beat with a whole cycle in the clip."""
    return [heart for heart in hearts if heart.cycles][:most]


def control_scores(
    bench: Bench,
    hearts: Sequence[Heart],
    on_step: OnStep = lambda _: None,
    *,
    most: int = HEARTS,
    rate_hz: float = ECG_RATE_HZ,
    same: Mapping[int, np.ndarray] | None = None,
    unmoved: Mapping[int, np.ndarray] | None = None,
) -> Results:
    """All controls; `FIGURES` says what each figure means. At least four hearts with a whole cycle are needed.

    `same` and `unmoved` are clips uint8 [t, h, w] by the heart's seed that there are already: from first picture and
    own ECG, and from the own ECG alone.
    """
    chosen = chosen_hearts(hearts, most)
    if len(chosen) < len(_TURNS):
        raise InputError(
            f"{len(chosen)} of {len(hearts)} hearts beat with a whole cycle in the clip; the controls need four "
            "or more, so ask for more clips or longer ones."
        )
    ready = {"same": same or {}, "unmoved": unmoved or {}}
    pieces = [
        (heart, other, control)
        for number, (heart, other) in enumerate(donors(chosen))
        for control in ("same", "none", "unmoved", *plan(number))
    ]
    work = Counted(on_step, len(pieces) + 1)

    def answer(piece: tuple[Heart, Heart, str]) -> Answer | None:
        heart, other, control = piece
        given, image = given_to(heart, other, control, rate_hz), with_image(control)
        frames = ready.get(control, {}).get(heart.seed)
        try:
            frames = bench.show(heart, given.ecg, leads=given.leads, image=image) if frames is None else frames
        except InputError:
            if control in STILL:  # to refuse a dead line is an answer, and counted as one
                return None
            raise
        return Answer(heart, given, bench.look(heart, frames, heart.spacing_cm if image else None))

    answers: dict[str, dict[int, Answer | None]] = {}
    for (heart, _, control), found in zip(pieces, bench.each(answer, pieces, work), strict=True):
        answers.setdefault(control, {})[heart.seed] = found
    twice = [bench.show(chosen[0], chosen[0].ecg) for _ in range(2)]
    results = Results.of({"same.identical": float(np.array_equal(*work(twice)))})
    return judged(chosen, answers, results)


def judged(hearts: Sequence[Heart], answers: dict[str, dict[int, Answer | None]], results: Results) -> Results:
    """The figures of all controls from their answers by control and the heart's seed."""
    none = answers["none"]
    results |= _own(list(answers["same"].values())) | _without(hearts, list(none.values()))
    for control in STILL:
        results |= _still(control, list(answers.get(control, {}).values()))
    moving = [control for control in answers if control not in (*STILL, "none", "unmoved")]
    table = {name: np.full((len(hearts), len(moving)), np.nan) for name in ("given", "without", "phase")}
    for column, control in enumerate(moving):
        for row, heart in enumerate(hearts):
            found = answers[control].get(heart.seed)
            if found is not None:
                table["given"][row, column] = found.explained
                bare = replace(none[heart.seed], given=found.given)
                table["without"][row, column] = bare.explained
                lag = best_lag(found.area, heart.times_s, found.given)
                table["phase"][row, column] = lag / found.given.rr_s
        one = {name: values[:, [column]] for name, values in table.items()}
        results |= _followed(list(answers[control].values()), one).under(control)
    results |= _donor(hearts, answers["donor"]) | _moved(hearts, answers)
    results |= _interval("obeys", obedience, table["given"], table["without"])
    results |= _interval("locking", locking, table["phase"])
    results |= Results.of({"usual_phase": usual_phase(table["phase"])})
    return results | Results.of(verdicts(results.scores))


def _followed(found: Sequence[Answer], table: Mapping[str, np.ndarray]) -> Results:
    """One control's beats, lags, rate, EF and share explained against the ECG that was given."""
    results = phases(_errors(found, [a.given for a in found]))
    counts = np.array([_beats(a) for a in found])  # found, missed, extra
    there = counts[:, :2].sum()
    share = (lambda n: float(n / there)) if there else (lambda _: float("nan"))
    beats = {"beats_found": share(counts[:, 0].sum()), "beats_found.n": int(there)}
    results |= Results.of(beats | {"beats_extra": share(counts[:, 2].sum())})
    rates = [beat_figures(a.given.r_peaks_s, a.heart.times_s, a.measured.volumes) for a in found]
    results |= median_of("rate_difference_bpm", [clip["rate_difference_bpm"] for clip in rates])
    results |= median_of("ef", [overall(a.measured) for a in found])
    results |= median_of("r", [curve_correlation(a.area, a.given.volume(a.heart.times_s)) for a in found])
    given, without = table["given"][:, 0], table["without"][:, 0]
    results |= _mean_of("explained", given) | _mean_of("explained_without", without)
    return results | _mean_of("gained", given - without)


def _errors(found: Sequence[Answer], given: Sequence[Given]) -> TimingErrors:
    """ED and ES of every clip against what a given ECG asks for, cycle by cycle."""
    pairs = zip(found, given, strict=True)
    parts = [one.errors(a.heart.times_s, a.measured.volumes, ES_LEVEL) for a, one in pairs]
    return join(parts, [a.heart.seed for a in found])


def _beats(found: Answer) -> tuple[int, int, int]:
    """Contractions of the truth found in the video within 0.2 s, missed, and the video's that the truth lacks."""
    times = found.heart.times_s
    truth = found.given.volume(times)
    known = np.isfinite(truth)
    if known.sum() < 5:
        return 0, 0, 0
    true, seen = find_cycles(times[known], truth[known]).minima_s, find_cycles(times, found.measured.volumes).minima_s
    seen = seen[(seen >= times[known][0]) & (seen <= times[known][-1])]
    match = match_beats(seen, true, SAME_BEAT_S)
    return len(match.lags_s), match.missed, match.extra


def _own(found: Sequence[Answer]) -> Results:
    return median_of("same.ef", [overall(a.measured) for a in found])


def _without(hearts: Sequence[Heart], found: Sequence[Answer]) -> Results:
    """No ECG at all: what beats, beats at will, so its lags to the own truth should be those of chance."""
    results = phases(_errors(found, [Given(None, a.heart) for a in found]))
    results |= median_of("ef", [overall(a.measured) for a in found])
    results |= median_of("r", [curve_correlation(a.area, a.heart.volume_ml) for a in found])
    chance = chance_errors(hearts)
    for phase in ("ed", "es"):
        by_chance, lag = chance[f"{phase}_ms.median_abs"], results.scores[f"{phase}_ms.median_abs"]
        results |= Results.of({f"{phase}_over_chance": lag / by_chance if by_chance else float("nan")})
    return results.under("none")


def _still(control: str, found: Sequence[Answer | None]) -> Results:
    """A line without beats: the heart stands still, or the ECG is refused."""
    seen = [overall(a.measured) for a in found if a is not None]
    results = Results.of({"refused": len(found) - len(seen)})
    if seen:
        results |= median_of("ef", seen) | Results.of({"ef.largest": max(finite(seen), default=float("nan"))})
    return results.under(control) if found else Results()


def _donor(hearts: Sequence[Heart], found: Mapping[int, Answer]) -> Results:
    """Another's ECG: the correlation with its owner's truth, with the own, and of the two."""
    owners = [(heart, found[heart.seed]) for heart in hearts if heart.seed in found]
    r_donor = [curve_correlation(a.area, a.given.volume(h.times_s)) for h, a in owners]
    between = [curve_correlation(h.volume_ml, a.given.volume(h.times_s)) for h, a in owners]
    results = median_of("r_donor", r_donor)
    results |= median_of("r_own", [curve_correlation(a.area, h.volume_ml) for h, a in owners])
    return (results | median_of("r_between_truths", between)).under("donor")


def _moved(hearts: Sequence[Heart], answers: Mapping[str, Mapping[int, Answer]]) -> Results:
    """All moved ECGs together: lags, and by how much the video moved for every second that the ECG was moved."""
    every = [a for control in SHIFTS_S for a in answers.get(control, {}).values()]
    results = phases(_errors(every, [a.given for a in every]))
    results |= phases(_errors(every, [Given(None, a.heart) for a in every])).under("unshifted")
    slopes = [_slope(heart, answers) for heart in hearts]
    off = [abs(slope - 1) for slope in slopes]
    return (results | median_of("slope", slopes) | median_of("slope_error", off)).under("shifted")


def _slope(heart: Heart, answers: Mapping[str, Mapping[int, Answer]]) -> float:
    """Seconds that one heart's video moved per second that its ECG was moved: a line through the origin."""
    own = Given(None, heart)
    before = best_lag(answers["unmoved"][heart.seed].area, heart.times_s, own)
    pairs = []
    for control in SHIFTS_S:
        if found := answers.get(control, {}).get(heart.seed):
            lag, shift_s = best_lag(found.area, heart.times_s, own), found.given.shift_s
            pairs.append((shift_s, found_shift(lag, before, shift_s, own.rr_s)))
    asked, moved = np.array(pairs).T if pairs else (np.zeros(0), np.zeros(0))
    known = np.isfinite(moved)
    return float(asked[known] @ moved[known] / (asked[known] @ asked[known])) if known.any() else float("nan")


def _interval(name: str, statistic: Callable[..., float], *tables: np.ndarray) -> Results:
    low, high = over_hearts(statistic, *tables)
    return Results.of({name: statistic(*tables), f"{name}.low": low, f"{name}.high": high, f"{name}.n": len(tables[0])})


def _mean_of(name: str, values: np.ndarray) -> Results:
    known = np.isfinite(values)
    return Results.of({name: mean_known(values), f"{name}.n": int(known.sum())}, {name: values})


def overall(measurement: Measurement) -> float:
    """1 - min/max of the volume curve, with or without beats."""
    return ejection_fraction_overall(measurement.times_s, measurement.volumes)


def areas(measurement: Measurement) -> np.ndarray:
    """The area curve, NaN where no ventricle was found."""
    return np.where(np.isfinite(measurement.volumes), measurement.areas_cm2, np.nan)
