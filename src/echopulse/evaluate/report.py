"""What an evaluation found as text: tables in Markdown, and JSON that can be read back."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from echopulse.errors import InputError
from echopulse.evaluate.intervals import interval_of
from echopulse.evaluate.keys import BESIDE, aside, counts_for, figure_of, is_count, part_of, verdict
from echopulse.evaluate.results import Results
from echopulse.files import read_text, seven_figures
from echopulse.files import to_json as plain_json

NOTICE = "Simulated hearts and synthetic clips; the figures are proxies for obedience to the ECG. Not for diagnosis."
FORMAT = "echopulse evaluation 1"
WRITTEN = "what `echopulse evaluate --json` wrote"


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
        off: by what share of the bar it is missed; infinite where nothing, or too little, was found, 0 if not missed.
        meaning: from the figures' table.
    """

    key: str
    value: str
    interval: str
    beside: str
    bar: str
    met: bool | None
    off: float
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
    """How many bars are met, which one is missed by most, and the others that are."""
    barred = [row for row in rows if row.met is not None]
    missed = [row for row in barred if not row.met]
    found = f"{len(barred) - len(missed)} of {len(barred)} bars met" if barred else "No figure here has a bar"
    if not missed:
        return f"{found}."
    worst = max(missed, key=lambda row: row.off)
    others = [row.key for row in missed if row is not worst]
    named = f" Also missed: {', '.join(others)}." if others else ""
    return f"{found}; worst: {worst.key} ({worst.value}, bar {worst.bar}).{named}"


def headline(results: Results) -> str:
    """The overall result in one line."""
    return summary(row for rows in tables(results).values() for row in rows)


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
    parts = plain_json({"format": FORMAT, "about": results.about, "scores": results.scores}, seven_figures)
    text = json.dumps(parts, indent=2, ensure_ascii=False, allow_nan=False, default=str).removesuffix("\n}")
    held = plain_json(results.columns, seven_figures)
    columns = [f"    {json.dumps(key)}: {json.dumps(column)}" for key, column in held.items()]
    return text + ',\n  "columns": {' + ("\n" + ",\n".join(columns) + "\n  " if columns else "") + "}\n}\n"


def read_results(path: Path) -> Results:
    """What `to_json` wrote, null as NaN; sample loops stand on the page only. Other files are refused."""
    text = read_text(path, WRITTEN)
    try:
        held = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: no JSON in it ({error}); give {WRITTEN}.") from None
    if not isinstance(held, dict) or held.get("format") != FORMAT:
        found = held.get("format", "no format") if isinstance(held, dict) else "a list or a value"
        raise InputError(f"{path}: {found}, expected {FORMAT!r}; give {WRITTEN}.")
    try:
        scores = {key: _read(value, str) for key, value in held["scores"].items()}
        columns = {key: [_read(value) for value in row] for key, row in held["columns"].items()}
        return Results(scores, columns, dict(held["about"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{path}: scores, columns and about are not those of an evaluation; give {WRITTEN}, as it was written."
        ) from error


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


def _read(value: Any, *kinds: type) -> Any:
    """A number, null as NaN, or one of `kinds`; TypeError for anything else."""
    if value is None:
        return math.nan
    if not isinstance(value, (int, float, *kinds)):
        raise TypeError(f"{value!r} is no number")
    return value


def _row(key: str, results: Results) -> Row:
    scores, figure = results.scores, figure_of(key)
    value, span = scores[key], interval_of(key, results)
    shown = value if isinstance(value, str) else number(value)
    if figure and figure.unit and not isinstance(value, str):
        shown += f" {figure.unit}"
    beside = []
    if key.endswith(".median_abs"):
        columns = {word: f"{key.removesuffix('median_abs')}{last}" for last, word in BESIDE.items()}
        columns = {word: scores[column] for word, column in columns.items() if column in scores}
        beside = [f"{word} {number(found)}" for word, found in columns.items() if math.isfinite(found)]
    if counts := counts_for(key, scores):
        beside.append(f"n {counts[0]}{f', {counts[1]} missing' if counts[1] else ''}")
    return Row(
        key, shown, f"{number(span.low)} to {number(span.high)}" if span else "", "; ".join(beside),
        str(figure.bar) if figure and figure.bar else "", verdict(key, scores), _off(key, scores),
        figure.meaning if figure else "",
    )  # fmt: skip


def _off(key: str, scores: Mapping[str, Any]) -> float:
    if verdict(key, scores) is not False:
        return 0.0
    value, bar = scores[key], figure_of(key).bar
    if math.isnan(value) or bar.met(value):  # met, but by too few
        return math.inf
    return abs(value - bar.value) / (abs(bar.value) or 1.0)


def _line(row: Row) -> str:
    value = f"{row.value} ({row.beside})" if row.beside else row.value
    mark = {None: "", True: "met", False: "**missed**"}[row.met]
    return f"| `{row.key}` | {_cell(value)} | {row.interval} | {row.bar} | {mark} | {row.meaning} |"


def said(value: Any) -> str:
    """A setting in words."""
    if isinstance(value, list | tuple):
        return ", ".join(map(said, value))
    return number(value) if isinstance(value, float) else str(value)


def _cell(value: Any) -> str:
    return " ".join(said(value).replace("|", "/").split())
