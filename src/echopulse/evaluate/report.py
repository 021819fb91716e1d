"""The whole evaluation and its tables."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from echopulse.data.bank import bank_from_clips
from echopulse.ecg import list_ecg_files
from echopulse.errors import InputError
from echopulse.evaluate.controls import control_scores
from echopulse.evaluate.files import file_scores
from echopulse.evaluate.held_out import Bench, hearts_of, measurer_scores, simulate_held_out, timing_scores
from echopulse.evaluate.intervals import interval_of
from echopulse.evaluate.keys import BESIDE, aside, counts_for, figure_of, is_count, part_of, verdict
from echopulse.evaluate.reconstruction import tokenizer_scores
from echopulse.evaluate.results import Results
from echopulse.evaluate.speed import speed_scores

if TYPE_CHECKING:
    from echopulse.pipeline import EchoPulse

PARTS = ("speed", "tokenizer", "measurer", "timing", "controls", "files")  # speed first: it reads the peak memory
SHARES = {"speed": 2, "simulate": 3, "tokenizer": 2, "measurer": 2, "timing": 14, "controls": 12, "files": 3}
NOTICE = "Simulated hearts and synthetic clips; the figures are proxies for obedience to the ECG. Not for diagnosis."
FORMAT = "echopulse evaluation 1"
Scores = dict[str, float | str]


def evaluate(
    pulse: EchoPulse,
    *,
    clips: int = 48,
    seed: int = 990_000,
    ecg_files: Sequence[Path] = (),
    parts: Sequence[str] = PARTS,
    start: str = "phantom",
    on_step: Callable[[float], None] | None = None,
) -> Scores:
    """Every figure of the chosen parts under flat keys, see `KEYS`.

    `clips` held-out hearts are simulated from `seed`. Files among `ecg_files` may be folders; `start` is how clips from
    files open. `on_step` is called with the share done, 0..1.
    """
    paths = [found for path in ecg_files for found in (list_ecg_files(path) if path.is_dir() else [path])]
    parts = [part for part in PARTS if part in parts and (part != "files" or paths)]
    simulated = [part for part in parts if part not in ("speed", "files")]
    steps = _Steps(on_step or (lambda _: None), [*parts, *(["simulate"] if simulated else [])])
    scores: Scores = {}
    if "speed" in parts:
        scores |= _under("speed", speed_scores(pulse, start=start, on_step=steps.of("speed")))
    if simulated:
        tokenizer, ecg = pulse.tokenizer.config, pulse.generator.config.ecg
        made = simulate_held_out(clips, seed, fps=tokenizer.fps, size=tokenizer.size, ecg_rate_hz=ecg.rate_hz)
        steps.of("simulate")(1.0)
        hearts, bench = hearts_of(made), Bench.of(pulse)
        if "tokenizer" in parts:
            bank = bank_from_clips(made)
            scores |= _under("tokenizer", tokenizer_scores(pulse.tokenizer, bank, clips, pulse.device))
            scores["tokenizer.n"] = len(bank)
            steps.of("tokenizer")(1.0)
        real = []
        if {"measurer", "timing"} & set(parts):
            real = [bench.look(heart, heart.frames.numpy(), heart.spacing_cm) for heart in hearts]
        if "measurer" in parts:
            scores |= _under("measurer", measurer_scores(hearts, real))
            steps.of("measurer")(1.0)
        if "timing" in parts:
            scores |= _under("timing", timing_scores(bench, hearts, real, steps.of("timing")))
        if "controls" in parts:
            scores |= _under("controls", control_scores(bench, hearts, steps.of("controls")))
    if "files" in parts:
        scores |= file_scores(pulse, paths, start=start, on_step=steps.of("files"))
    return scores


@dataclass(frozen=True)
class Row:
    """One figure as a table shows it; empty words where there is nothing to say.

    Attributes:
        key: the figure's.
        value: with its unit.
        interval: 95 %, "low to high".
        beside: signed figures, number of values and how many are missing.
        bar: "≤ 35".
        met: None without a bar.
        meaning: from the figures' table.
    """

    key: str
    value: str
    interval: str
    beside: str
    bar: str
    met: bool | None
    meaning: str


def tables(results: Results) -> dict[str, list[Row]]:
    """The rows of every part, in the order of the scores; each file has a table of its own."""
    scores = results.scores
    found: dict[str, list[Row]] = {}
    for key in scores:
        if not is_count(key) and not aside(key, scores):
            part = ".".join(key.split(".")[:2]) if key.startswith("files.") else part_of(key)
            found.setdefault(part, []).append(_row(key, results))
    return found


def summary(rows: Iterable[Row]) -> str:
    """How many bars are met, and which are not."""
    barred = [row for row in rows if row.met is not None]
    missed = [row.key for row in barred if not row.met]
    named = f" Missed: {', '.join(missed)}." if missed else ""
    return f"{len(barred) - len(missed)} of {len(barred)} bars met.{named}"


def to_markdown(results: Results) -> str:
    """One table per part: figure, value with what stands beside it, interval, bar, met or not, meaning; then how."""
    found = tables(results)
    lines = [summary(row for rows in found.values() for row in rows), ""]
    for part, rows in found.items():
        lines += [f"### {part}", "", "| figure | value | 95 % interval | bar | | what it says |"]
        lines.append("|---|---|---|---|---|---|")
        lines += [_line(row) for row in rows]
        lines.append("")
    if results.about:
        lines += ["### how", "", "| what | |", "|---|---|"]
        lines += [f"| {name} | {_cell(value)} |" for name, value in flattened(results.about).items()]
        lines.append("")
    return "\n".join([*lines, NOTICE])


def to_json(results: Results) -> str:
    """Scores, columns and settings as a JSON text, what is not a finite number as null; a column takes one line."""
    parts = {"format": FORMAT, "about": _plain(results.about), "scores": _plain(results.scores)}
    text = json.dumps(parts, indent=2, ensure_ascii=False, allow_nan=False).removesuffix("\n}")
    columns = [f"    {json.dumps(key)}: {json.dumps(_plain(column))}" for key, column in results.columns.items()]
    return text + ',\n  "columns": {' + ("\n" + ",\n".join(columns) + "\n  " if columns else "") + "}\n}\n"


def read_results(path: Path) -> Results:
    """What `to_json` wrote, null as NaN; sample loops stand on the page only. Other files are refused."""
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file.") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path}: no JSON in it ({error}); give what `echopulse evaluate --json` wrote.") from None
    if not isinstance(held, dict) or held.get("format") != FORMAT:
        found = held.get("format", "no format") if isinstance(held, dict) else "a list or a value"
        raise InputError(f"{path}: {found}, expected {FORMAT!r}; give what `echopulse evaluate --json` wrote.")
    scores = {key: math.nan if value is None else value for key, value in held["scores"].items()}
    columns = {key: [math.nan if value is None else value for value in row] for key, row in held["columns"].items()}
    return Results(scores, columns, held["about"])


def flattened(about: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Nested settings as one table: `data.hash` for what stands under `hash` in `data`."""
    found: dict[str, Any] = {}
    for name, value in about.items():
        found |= flattened(value, f"{before}{name}.") if isinstance(value, Mapping) else {f"{before}{name}": value}
    return found


def number(value: float) -> str:
    """Three figures; whole numbers whole; a word for what is no number."""
    if not math.isfinite(value):
        return "none" if math.isnan(value) else "infinite"
    if isinstance(value, int) or float(value).is_integer():
        return str(int(value))
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def _row(key: str, results: Results) -> Row:
    scores, figure = results.scores, figure_of(key)
    value, span = scores[key], interval_of(key, results)
    said = value if isinstance(value, str) else number(value)
    if figure and figure.unit and not isinstance(value, str):
        said += f" {figure.unit}"
    beside = []
    if key.endswith(".median_abs"):
        columns = {word: f"{key.removesuffix('median_abs')}{last}" for last, word in BESIDE.items()}
        columns = {word: scores[column] for word, column in columns.items() if column in scores}
        beside = [f"{word} {number(found)}" for word, found in columns.items() if math.isfinite(found)]
    if counts := counts_for(key, scores):
        beside.append(f"n {counts[0]}{f', {counts[1]} missing' if counts[1] else ''}")
    return Row(
        key, said, f"{number(span.low)} to {number(span.high)}" if span else "", "; ".join(beside),
        str(figure.bar) if figure and figure.bar else "", verdict(key, scores), figure.meaning if figure else "",
    )  # fmt: skip


def _line(row: Row) -> str:
    said = f"{row.value} ({row.beside})" if row.beside else row.value
    mark = {None: "", True: "met", False: "**missed**"}[row.met]
    return f"| `{row.key}` | {_cell(said)} | {row.interval} | {row.bar} | {mark} | {row.meaning} |"


def _cell(value: Any) -> str:
    said = number(value) if isinstance(value, float) else str(value)
    return " ".join(said.replace("|", "/").split())


def _plain(value: Any) -> Any:
    """JSON types; numbers to seven figures, since some lie far below one; what is not finite becomes None."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return float(f"{value:.7g}") if math.isfinite(value) else None
    return value if isinstance(value, bool | int | str | None) else str(value)


def _under(part: str, scores: dict) -> Scores:
    return {f"{part}.{key}": value for key, value in scores.items()}


class _Steps:
    """Shares of the whole for every part."""

    def __init__(self, on_step: Callable[[float], None], parts: Sequence[str]):
        self.on_step = on_step
        total = sum(SHARES[part] for part in parts)
        self.spans, done = {}, 0.0
        for part in sorted(parts, key=list(SHARES).index):
            self.spans[part] = (done / total, SHARES[part] / total)
            done += SHARES[part]

    def of(self, part: str) -> Callable[[float], None]:
        before, share = self.spans[part]
        return lambda done: self.on_step(before + share * done)
