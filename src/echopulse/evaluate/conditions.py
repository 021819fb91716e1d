"""What each condition buys: EFs asked for, two pictures in place of one, pauses between beats, texture and valve.

Hearts of its own, simulated as the held-out ones are. The two pictures are the heart's at end-diastole and end-systole,
given at their times beside the first one. An EF is asked for in two ways: as `generate --ef` does, which begins with
the picture of a simulated heart of that EF, and with the picture of the heart that the ECG is of. Such a picture tells
much of the EF by itself, so the first way is also tried without telling the EF.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product

import numpy as np

from echopulse.echo import Clip
from echopulse.evaluate.bench import Bench
from echopulse.evaluate.hearts import Heart, hearts_of, simulate_held_out, wide_volumes
from echopulse.evaluate.held_out import measured_ef, median_of
from echopulse.evaluate.keys import Figure, at_least, at_most
from echopulse.evaluate.known import mean_known, median_known
from echopulse.evaluate.results import Results
from echopulse.evaluate.texture import FIGURES as TEXTURE
from echopulse.evaluate.texture import texture_of
from echopulse.evaluate.timing import cycles_between, interval_correlation, match_beats
from echopulse.evaluate.together import Counted, OnStep
from echopulse.evaluate.valve import openings
from echopulse.measure import find_cycles
from echopulse.phantom import opening_frame

SEED, PAUSE_SEED = 960_000, 965_000
HEARTS, ASKED_HEARTS, PAUSE_HEARTS = 16, 8, 8
ASKED = (0.15, 0.3, 0.45, 0.6, 0.75)
WAYS = {
    "asked": "",
    "against": ", with the first picture of the heart that the ECG is of, whatever its EF",
    "untold": " in the picture alone and not told",
}
PAUSE_S = 6.0  # of an irregular rhythm
OPENING_FRAMES = 5  # that are simulated for those
LONGER = 1.2  # than the interval before: a pause
FULLER = 1.03  # than the beat before, in the truth: then it is to be so in the video too
OPENED = 0.5  # of the true change around the valve
FEWEST, LEAST_KEPT = 4, 0.7  # intervals that a correlation needs, and share of them
NEAR_S = 0.25  # a beat of the video belongs to the R peak so near
BEFORE_S, AFTER_S = 0.08, 0.12  # around an R peak, where the ventricle is fullest

FIGURES = {
    **{
        f"conditions.{name}.{ef:g}": Figure("", f"measured EF when {ef:g} is asked for, median{words}")
        for name, words in WAYS.items() for ef in ASKED
    },
    "conditions.asked.mae": Figure("", "measured EF against the one asked for, mean absolute error", at_most(0.03)),
    "conditions.asked.r2": Figure("", "share of the asked EFs' variance that measured ones explain", at_least(0.95)),
    "conditions.against.mae": Figure("", f"the same mean absolute error{WAYS['against']}", at_most(0.03)),
    "conditions.against.r2": Figure("", f"share of the asked EFs' variance explained{WAYS['against']}", at_least(0.95)),
    "conditions.untold.mae": Figure("", "the same error as `asked` where only the picture tells the EF: chance"),
    "conditions.untold.r2": Figure("", "share of the asked EFs' variance that the pictures alone explain"),
    "conditions.two_pictures.mae": Figure(
        "", "EF from ECG, first picture and those at ED and ES against the true one, mean absolute", at_most(0.025)
    ),
    "conditions.two_pictures.r2": Figure("", "share of the true EFs' variance explained by those", at_least(0.9)),
    "conditions.one_picture.mae": Figure("", "the same error from ECG and first picture alone"),
    "conditions.one_picture.r2": Figure("", "share of the true EFs' variance explained by those"),
    "conditions.pauses.fuller": Figure(
        "", "share of pauses after which the stroke is larger, of those after which the true one is", at_least(0.9)
    ),
    "conditions.pauses.rr_r": Figure(
        "", "correlation of the intervals between EDs with those of R peaks, irregular rhythms, median", at_least(0.95)
    ),
    "conditions.pauses.kept": Figure(
        "", "share of the intervals of R peaks seen in the true volume that the video shows, mean", at_least(0.8)
    ),
    **{
        f"conditions.texture.{name}_off": Figure(
            "", f"{name} of the grain, generated over simulated, median: how far from 1", at_most(0.15)
        )
        for name in TEXTURE
    },
    "conditions.valve.opens": Figure(
        "", "share of true openings of the mitral valve of which at least half is seen", at_least(0.9)
    ),
}


@dataclass(frozen=True, eq=False)
class Seen:
    """A heart and what the simulator knows of its picture: `labels` uint8 [t, h, w], `opening` of its valve [t]."""

    heart: Heart
    labels: np.ndarray
    opening: np.ndarray


@dataclass(frozen=True, eq=False)
class Paused:
    """A heart in an irregular rhythm and its true volume, ml, at `times_s` of a clip longer than its frames."""

    heart: Heart
    times_s: np.ndarray
    volume_ml: np.ndarray


def hearts_seen(count: int, seed: int = SEED, **options) -> list[Seen]:
    """Held-out hearts that beat a whole cycle within the clip."""
    found: list[Seen] = []
    while len(found) < count:
        made = simulate_held_out(4, seed, **options)
        for i, heart in enumerate(hearts_of(made, len(found))):
            if heart.cycles and np.isfinite(phases_of(heart)).all():
                truth = made.truth
                found.append(Seen(heart, truth.labels[i].cpu().numpy(), truth.mitral_opening[i].cpu().numpy()))
        seed += 1
    return found[:count]


def hearts_paused(count: int, fps: float, seed: int = PAUSE_SEED, **options) -> list[Paused]:
    """Hearts in fibrillation or with premature beats, with a long ECG."""
    times = np.arange(round(PAUSE_S * fps)) / fps
    found: list[Paused] = []
    for number, rhythm in enumerate(("af", "pvc")):
        few = count // 2 + count % 2 * (1 - number)
        if few:
            made = simulate_held_out(
                few, seed + number, frames=OPENING_FRAMES, fps=fps, ecg_after_s=PAUSE_S + 1, rhythm=rhythm, **options
            )
            hearts = hearts_of(made, len(found))
            found += [Paused(h, times, v) for h, v in zip(hearts, wide_volumes(made, times), strict=True)]
    return found


def phases_of(heart: Heart) -> tuple[float, float]:
    """Frames of ED and ES of the whole cycle whose EF is nearest the heart's; NaN where none has both."""
    found = [pair for cycle in heart.cycles if (pair := _phases_within(heart, *cycle)) is not None]
    fractions = [1 - heart.volume_ml[empty] / heart.volume_ml[full] for full, empty in found]
    if not found:
        return np.nan, np.nan
    return found[int(np.argmin(np.abs(np.array(fractions) - heart.ef)))]


def _phases_within(heart: Heart, start: float, stop: float) -> tuple[int, int] | None:
    """ED is fullest soon after the R peak, whatever the cycle ends with; ES emptiest after it."""
    early = np.flatnonzero((heart.times_s >= start) & (heart.times_s <= start + AFTER_S))
    if not len(early):
        return None
    full = int(early[np.argmax(heart.volume_ml[early])])
    after = np.flatnonzero((heart.times_s > heart.times_s[full]) & (heart.times_s < stop))
    return (full, int(after[np.argmin(heart.volume_ml[after])])) if len(after) else None


def condition_scores(
    bench: Bench, seen: Sequence[Seen], paused: Sequence[Paused], *, fps: float, size: int, ours: bool = True,
    asked: Sequence[float] = ASKED, on_step: OnStep = lambda _: None,
) -> Results:  # fmt: skip
    """All of `FIGURES`, of clips as they are shown, with grain.

    Of models that are not `ours` not those of two pictures, which not every candidate takes.
    """
    if ours:
        bench = replace(bench, generate=partial(bench.generate, grain=True))
    few = seen[:ASKED_HEARTS]
    work = Counted(on_step, len(WAYS) * len(asked) * len(few) + len(seen) * (1 + ours) + len(paused))
    wanted = [(one.heart, ef) for ef in asked for one in few]
    target, scores = np.array([ef for _, ef in wanted]), {}
    openings_of = {(one.heart.seed, ef): opened(one.heart, ef, size) for one, ef in product(few, asked)}
    for name in WAYS:

        def answer(pair: tuple[Heart, float], name: str = name) -> float:
            heart, ef = pair
            shown = heart if name == "against" else openings_of[heart.seed, ef]
            return measured_ef(bench.beat(shown, shown.ecg, ef=None if name == "untold" else ef))

        found = np.array(bench.each(answer, wanted, work))
        scores |= {f"{name}.{ef:g}": median_known(found[target == ef]) for ef in asked} | _errors(name, target, found)
    clips = bench.each(lambda one: bench.show(one.heart, one.heart.ecg), seen, work)
    true = np.array([one.heart.ef for one in seen])
    looks = [bench.look(one.heart, clip, one.heart.spacing_cm) for one, clip in zip(seen, clips, strict=True)]
    scores |= _errors("one_picture", true, np.array([measured_ef(look) for look in looks]))
    if ours:
        scores |= _errors("two_pictures", true, np.array(bench.each(lambda one: two_pictures(bench, one), seen, work)))
    scores |= _surface(seen, clips)
    followed = bench.each(lambda one: follow_pauses(bench, one, fps), paused, work)
    fuller = [one for pauses, _, _ in followed for one in pauses]
    scores |= {"pauses.fuller": mean_known(np.array(fuller, float)), "pauses.fuller.n": len(fuller)}
    kept = [share for _, _, share in followed]
    known = int(np.isfinite(kept).sum())
    scores |= {"pauses.kept": mean_known(kept), "pauses.kept.n": known, "pauses.kept.missing": len(kept) - known}
    told = [r for _, r, _ in followed if r is not None]
    return Results.of(scores | {"n": len(seen)}) | median_of("pauses.rr_r", told)


def opened(heart: Heart, ef: float, size: int) -> Heart:
    """The heart's ECG with the first picture of a simulated heart of this EF, in the phase that the ECG is in."""
    opening = opening_frame(
        heart.r_peaks_s, view=heart.view, ef=ef, seed=heart.seed, size=size, fibrillating=heart.rhythm == "af",
    )  # fmt: skip
    return replace(heart, frames=opening.frame[None], spacing_cm=opening.pixel_spacing_cm)


def two_pictures(bench: Bench, one: Seen) -> float:
    """Measured EF of a clip that also knows the heart at end-diastole and end-systole."""
    heart = one.heart
    later = [(heart.frames[frame], float(heart.times_s[frame])) for frame in phases_of(heart) if frame > 0]
    made = bench.generate(
        heart.ecg, -heart.ecg_start_s, len(heart.times_s), leads=heart.leads, first=heart.frames[0], view=heart.view,
        ef=None, seed=heart.seed, later=later,
    )  # fmt: skip
    return measured_ef(bench.look(heart, made, heart.spacing_cm))


def follow_pauses(bench: Bench, one: Paused, fps: float) -> tuple[list[bool], float | None, float]:
    """For every pause after which the true stroke is larger, whether the video's is; how well intervals follow those of
    the R peaks (NaN where few do, None where the truth shows too few to tell); and what share of them the video shows,
    of those that the true volume shows: a beat too early to eject leaves no trace in either.
    """
    heart, frames = one.heart, len(one.times_s)
    made = bench.generate(
        heart.ecg, -heart.ecg_start_s, frames, leads=heart.leads, first=heart.frames[0], view=heart.view, ef=None,
        seed=heart.seed,
    )  # fmt: skip
    seen = bench.measure(Clip(made, one.times_s, heart.view, heart.spacing_cm, synthetic=True))
    peaks = heart.r_peaks_s
    peaks = peaks[(peaks >= 0) & (peaks <= one.times_s[-1])]
    true = strokes(one.times_s, one.volume_ml, peaks)
    found = strokes(one.times_s, seen.volumes, peaks)
    intervals, fuller = np.diff(peaks), []
    for k in range(1, len(intervals) - 1):  # beats k and k + 1 have intervals k - 1 and k before them
        if intervals[k] > LONGER * intervals[k - 1] and true[k + 1] > FULLER * true[k]:
            fuller.append(bool(found[k + 1] > found[k]))
    true_beats = one.times_s[find_cycles(one.times_s, one.volume_ml).ed_frames]
    to_see, shown = (intervals_shown(beats, peaks) for beats in (true_beats, one.times_s[seen.ed_frames]))
    share = len(to_see & shown) / len(to_see) if to_see else float("nan")
    r, matched = interval_correlation(one.times_s[seen.ed_frames], peaks, NEAR_S)
    if len(to_see) < FEWEST:
        return fuller, None, share
    return fuller, r if matched >= FEWEST and share >= LEAST_KEPT else np.nan, share


def intervals_shown(beats_s: np.ndarray, r_peaks_s: np.ndarray) -> set[int]:
    """Which intervals between R peaks, by the number of the first, have beats next to each other at both ends."""
    match = match_beats(beats_s, r_peaks_s, NEAR_S)
    follow = (np.diff(match.video_index) == 1) & (np.diff(match.ecg_index) == 1)
    return set(match.ecg_index[:-1][follow].tolist())


def strokes(times_s: np.ndarray, volume: np.ndarray, r_peaks_s: np.ndarray) -> np.ndarray:
    """Stroke volume of every interval between R peaks, [k - 1]: fullest around the peak less emptiest after it."""
    found = []
    for start, stop in cycles_between(r_peaks_s, times_s[0], times_s[-1]):
        full = volume[(times_s >= start - BEFORE_S) & (times_s <= start + AFTER_S)]
        empty = volume[(times_s > start) & (times_s < stop)]
        known = np.isfinite(full).any() and np.isfinite(empty).any()
        found.append(np.nanmax(full) - np.nanmin(empty) if known else np.nan)
    return np.array(found)


def _errors(name: str, true: np.ndarray, found: np.ndarray) -> dict[str, float]:
    known = np.isfinite(found)
    off, spread = (found - true)[known], float(true[known].var()) if known.any() else 0.0
    found = {
        f"{name}.mae": mean_known(np.abs(off)),
        f"{name}.r2": 1 - mean_known(off**2) / spread if spread > 0 else float("nan"),
    }
    counts = {"n": int(known.sum()), "missing": int((~known).sum())}
    return found | {f"{key}.{count}": value for key in found for count, value in counts.items()}


def _surface(seen: Sequence[Seen], clips: Sequence[np.ndarray]) -> dict[str, float]:
    """Texture and valve of generated clips against the simulated ones of the same hearts."""
    ratios: dict[str, list[float]] = {name: [] for name in TEXTURE}
    opened: list[float] = []
    for one, clip in zip(seen, clips, strict=True):
        true, made = one.heart.frames.numpy() / 255, clip / 255
        before, after = texture_of(true, one.heart.sector), texture_of(made, one.heart.sector)
        for name in TEXTURE:
            ratios[name].append(after[name] / before[name] if before[name] else float("nan"))
        opened += openings(true, made, one.labels, one.opening)
    scores: dict[str, float] = {}
    for name, values in ratios.items():
        known = int(np.isfinite(values).sum())
        scores |= {f"texture.{name}_off": abs(median_known(values) - 1), f"texture.{name}_off.n": known,
                   f"texture.{name}_off.missing": len(values) - known}  # fmt: skip
    return scores | {"valve.opens": mean_known(np.array(opened) >= OPENED), "valve.opens.n": len(opened)}
