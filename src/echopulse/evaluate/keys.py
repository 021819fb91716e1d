"""What every figure of an evaluation means: its unit, its meaning and, for some, the bar that it has to meet.

A part that lives in a module of its own keeps its figures there, as `FIGURES`; `figures()` gathers them. The tables on
the screen, in Markdown, on the page and in docs/evaluation.md are made from it. A segment in capitals stands for any
one segment: `files.NAME.ef` is what `files.watch.ef` means.
"""

from __future__ import annotations

import math
import re
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import NamedTuple

MISSING_ALLOWED = 0.1  # a figure that leaves out more than this share of its cycles or clips meets no bar
COUNTS = ("n", "missing")
ENDS = ("low", "high")  # of an interval that a part gives itself
BESIDE = {"median": "median", "mean": "mean", "mean_abs": "mean absolute"}
MODULES = (
    "control_figures", "round_trip", "measuring", "metrics.quality", "privacy", "usefulness", "conditions", "ceiling",
    "long",
)  # fmt: skip
ORDER = (
    "speed", "tokenizer", "measurer", "timing", "controls", "quality", "privacy", "usefulness", "conditions", "ceiling",
    "long", "beats", "files",
)  # fmt: skip
ALIKE = ("controls", "measurer", "tokenizer")  # parts that say the same of every control, view or look
TABLE = "## Every figure\n\n"  # the heading in docs/evaluation.md below which the table is made


class Bar(NamedTuple):
    """At most or at least `value`."""

    sign: str  # "≤" or "≥"
    value: float

    def met(self, found: float) -> bool:
        """Whether a figure meets the bar; NaN never does."""
        return found <= self.value if self.sign == "≤" else found >= self.value

    def __str__(self) -> str:
        return f"{self.sign} {self.value:g}"


class Figure(NamedTuple):
    """Unit ("" for a bare number), meaning in a few words, and the bar if there is one."""

    unit: str
    meaning: str
    bar: Bar | None = None


def at_most(value: float) -> Bar:
    """The bar `≤ value`."""
    return Bar("≤", value)


def at_least(value: float) -> Bar:
    """The bar `≥ value`."""
    return Bar("≥", value)


CONDITIONS = {
    "real_frames": ("simulated frames (the measurer alone)", (None, None)),
    "reconstruction": ("frames after tokenizer and back", (None, None)),
    "first_image": ("from first image and ECG", (35, 45)),
    "ecg_alone": ("from the ECG alone", (60, 70)),
}


def _errors(name: str, what: str, bar: float | None = None) -> dict[str, Figure]:
    return {
        f"{name}.median_abs": Figure("ms", f"{what}: median absolute error", at_most(bar) if bar else None),
        f"{name}.mean_abs": Figure("ms", f"{what}: mean absolute error"),
        f"{name}.median": Figure("ms", f"{what}: median error, positive is late"),
        f"{name}.mean": Figure("ms", f"{what}: mean error, positive is late"),
    }


def _lags(name: str, what: str) -> dict[str, Figure]:
    return {key: Figure("ms", one.meaning.replace(" error", "")) for key, one in _errors(name, what).items()}


def _ejection(name: str, what: str) -> dict[str, Figure]:
    return {
        f"{name}_mae": Figure("", f"{what}: mean absolute error of the EF per clip (median over its beats)"),
        f"{name}_bias": Figure("", f"{what}: mean of measured minus true EF"),
        f"{name}_r": Figure("", f"{what}: correlation of measured with true EF"),
        f"{name}_mean": Figure("", f"{what}: mean measured EF"),
    }


def _condition(name: str, what: str, ed_bar: float | None, es_bar: float | None) -> dict[str, Figure]:
    return {
        **_errors(f"timing.{name}.ed_ms", f"ED against truth, {what}", ed_bar),
        **_errors(f"timing.{name}.es_ms", f"ES (10 % of the fall) against truth, {what}", es_bar),
        **_errors(f"timing.{name}.es_lowest_ms", f"ES as the lowest point against truth, {what}"),
        f"timing.{name}.r": Figure("", f"correlation of the volume curve with the true one, median over clips, {what}"),
        f"timing.{name}.rate_difference_bpm": Figure("/min", f"heart rate, video against ECG, median of clips, {what}"),
        f"timing.{name}.r_with_maximum": Figure("", f"share of R peaks with a volume maximum within 80 ms, {what}"),
        f"timing.{name}.beats_with_minimum": Figure("", f"share of RR intervals with a volume minimum, {what}"),
        f"timing.{name}.frames_without_ventricle": Figure("", f"share of frames without a ventricle found, {what}"),
        **_ejection(f"timing.{name}.ef", what),
    }


def _grouped() -> dict[str, Figure]:
    words = "from first image and ECG, hearts of one view or rhythm, or a third of them by rate or EF"
    return {
        "timing.by.KIND.WHICH.ed_ms.median_abs": Figure("ms", f"ED against truth, median absolute error, {words}"),
        "timing.by.KIND.WHICH.es_ms.median_abs": Figure("ms", f"ES against truth, median absolute error, {words}"),
        "timing.by.KIND.WHICH.r": Figure("", f"correlation of the volume curve with the true one, median, {words}"),
        "timing.by.KIND.WHICH.ef_mae": Figure("", f"EF (not given) against the true one, mean absolute error, {words}"),
    }


KEYS: dict[str, Figure] = {
    **{key: one for name, (what, bars) in CONDITIONS.items() for key, one in _condition(name, what, *bars).items()},
    **_ejection("timing.first_image.ef_given", "first image, ECG and true EF given"),
    **_grouped(),
    **_lags("timing.ed_minus_r_ms", "ED after the R peak, first image and ECG"),
    **_lags("timing.es_minus_t_end_ms", "ES after the end of the T wave, first image and ECG"),
    **_lags("timing.truth.ed_minus_r_ms", "ED after the R peak in the truth"),
    **_lags("timing.truth.es_minus_t_end_ms", "ES after the end of the T wave in the truth"),
    "timing.chance.ed_ms.median_abs": Figure("ms", "ED error of a true heart that beats to another's ECG: chance"),
    "timing.chance.es_ms.median_abs": Figure("ms", "ES error of a true heart that beats to another's ECG: chance"),
    "timing.ef_asked.0.3": Figure("", "measured EF when 0.3 is asked for, median over clips"),
    "timing.ef_asked.0.7": Figure("", "measured EF when 0.7 is asked for, median over clips"),
    "timing.ef_asked.difference": Figure("", "how far the measured EF moves when the one asked for moves by 0.4"),
    "beats.files": Figure("", "ECG files given"),
    "beats.failed": Figure("", "files from which nothing could be generated", at_most(0)),
    "beats.regular": Figure("", "files in sinus or another regular rhythm"),
    "beats.irregular": Figure("", "files in an irregular rhythm without P waves"),
    "beats.others": Figure("", "files with ectopic beats in the clip or too few beats to tell; no bar is set for them"),
    "beats.regular.rate_difference_bpm.largest": Figure(
        "/min", "heart rate, video against ECG; the worst file", at_most(3)
    ),
    "beats.regular.r_with_maximum.smallest": Figure(
        "", "share of R peaks with a volume maximum within 80 ms; the worst file", at_least(1)
    ),
    "beats.regular.beats_with_minimum.smallest": Figure(
        "", "share of RR intervals with a volume minimum; the worst file", at_least(1)
    ),
    "beats.irregular.interval_r.smallest": Figure(
        "", "correlation of the intervals between volume minima with RR; the worst file", at_least(0.8)
    ),
    "files.NAME.rhythm": Figure("", "rhythm found in the ECG around the clip; where that is ectopic, in the clip"),
    "files.NAME.seconds": Figure("s", "length of the clip; irregular rhythms get up to 10 s"),
    "files.NAME.ecg_rate_bpm": Figure("/min", "mean rate of the R peaks over the stretch that the video's beats span"),
    "files.NAME.video_rate_bpm": Figure("/min", "mean rate from first to last ED and from first to last minimum"),
    "files.NAME.rate_difference_bpm": Figure("/min", "their absolute difference"),
    "files.NAME.r_with_maximum": Figure(
        "", "share of R peaks with a volume within 2 % of the beat's largest within 80 ms, followed by a fall"
    ),
    "files.NAME.beats_with_minimum": Figure("", "share of RR intervals with a volume minimum"),
    "files.NAME.extra_minima": Figure("", "minima beyond the first in an RR interval"),
    "files.NAME.interval_r": Figure("", "correlation of the intervals between volume minima with RR"),
    "files.NAME.ef": Figure("", "measured EF, median over the beats"),
    "files.NAME.frames_without_ventricle": Figure("", "share of frames in which no ventricle was found"),
    "files.NAME.error": Figure("", "why nothing could be generated"),
    "speed.generate_s_per_s": Figure("s", "to generate 1 s of video, model loaded, median of three", at_most(1)),
    "speed.fast_s_per_s": Figure("s", "the same with half the passes (`--fast`)", at_most(0.4)),
    "speed.float32_s_per_s": Figure("s", "with all passes in float32, as on machines without bfloat16", at_most(1.25)),
    "speed.first_block_s": Figure("s", "to compute the first 33 frames of a live clip", at_most(0.5)),
    "speed.first_s_per_s": Figure("s", "the same, first call (imports included)"),
    "speed.peak_memory_gb": Figure(
        "GiB", "most memory that the process held by then: model loaded, clips generated", at_most(1.1)
    ),
    "speed.import_s": Figure("s", "to import echopulse and its pipeline after torch", at_most(2)),
    "speed.threads": Figure("", "CPU threads"),
    "speed.bfloat16": Figure("", "1 if the machine multiplies bfloat16 (else float32)"),
}


@cache
def figures() -> dict[str, Figure]:
    """Every figure that an evaluation can give, in the order of the tables; a part's own `FIGURES` replace `KEYS`."""
    own: dict[str, Figure] = {}
    for name in MODULES:
        if find_spec(f"echopulse.evaluate.{name}"):
            own |= import_module(f"echopulse.evaluate.{name}").FIGURES
    parts = {part_of(key) for key in own}
    found = {key: figure for key, figure in KEYS.items() if part_of(key) not in parts} | own
    return dict(sorted(found.items(), key=lambda item: ORDER.index(part_of(item[0]))))


@cache
def _templates() -> list[tuple[re.Pattern, Figure]]:
    """Figures whose key has a segment in capitals, as patterns."""
    found = []
    for key, figure in figures().items():
        segments = key.split(".")
        if any(segment.isupper() for segment in segments):
            pattern = r"\.".join("[^.]+" if segment.isupper() else re.escape(segment) for segment in segments)
            found.append((re.compile(pattern), figure))
    return found


def part_of(key: str) -> str:
    """The part of an evaluation that a figure belongs to: the first segment of its key."""
    return key.partition(".")[0]


def figure_of(key: str) -> Figure | None:
    """What a key of the scores means, whichever file, view or name stands in it; None for counts and unknown keys."""
    exact = figures().get(key)
    return exact or next((figure for pattern, figure in _templates() if pattern.fullmatch(key)), None)


def aside(key: str, scores: dict) -> bool:
    """Whether a table shows this figure beside another one: the mean and the signed figures beside `X.median_abs`."""
    stem, _, last = key.rpartition(".")
    return last in BESIDE and f"{stem}.median_abs" in scores


def is_count(key: str) -> bool:
    """Whether a key only belongs to another figure: how many values it has or lacks, or an end of its interval."""
    return key.rpartition(".")[2] in COUNTS + ENDS and figure_of(key) is None


def counts_for(key: str, scores: dict) -> tuple[int, int] | None:
    """(n, missing) of the figure `key`, if the scores say: `X.n` beside X, or beside X.median_abs and its like."""
    for stem in (key, key.rpartition(".")[0], re.sub(r"_(bias|r|mean)$", "_mae", key)):
        if f"{stem}.n" in scores:
            return int(scores[f"{stem}.n"]), int(scores.get(f"{stem}.missing", 0))
    return None


def verdict(key: str, scores: dict) -> bool | None:
    """Whether the figure meets its bar, None without one. NaN, or too much missing, does not."""
    figure = figure_of(key)
    if figure is None or figure.bar is None:
        return None
    n, missing = counts_for(key, scores) or (1, 0)
    return not math.isnan(scores[key]) and missing <= MISSING_ALLOWED * (n + missing) and figure.bar.met(scores[key])


def documented(page: str) -> str:
    """docs/evaluation.md with the table below its last heading made anew; what stands above is kept."""
    rows = [f"| `{key}` | {f.unit or '-'} | {f.bar or ''} | {f.meaning} |" for key, f in _told_once().items()]
    table = "\n".join(["| key | unit | bar | meaning |", "|---|---|---|---|", *rows]) + "\n"
    return page[: page.index(TABLE)] + TABLE + table


def _told_once() -> dict[str, Figure]:
    """The figures for a page: those that all controls or views have alike in one row, named by what varies."""
    alike: dict[tuple, list[str]] = {}
    for key, figure in figures().items():
        if not aside(key, figures()):
            shared = figure.meaning.partition(": ")[2] if part_of(key) in ALIKE else ""
            alike.setdefault((part_of(key), figure.unit, figure.bar, shared) if shared else (key,), []).append(key)
    found = {}
    for keys in alike.values():
        segments = [key.split(".") for key in keys]
        tail = 0
        while len({tuple(each[-tail - 1 :]) for each in segments}) == 1 and tail + 2 < min(map(len, segments)):
            tail += 1
        if len(keys) < 3 or not tail:
            found |= {key: figures()[key] for key in keys}
            continue
        first, varying = figures()[keys[0]], [".".join(each[1:-tail]) for each in segments]
        named = ", ".join(varying) if len(varying) < 20 else f"{', '.join(varying[:2])} ... {varying[-1]}"
        key = f"{part_of(keys[0])}.….{'.'.join(segments[0][-tail:])}"
        found[key] = Figure(first.unit, f"{first.meaning.partition(': ')[2]} ({named})", first.bar)
    return found
