"""The whole evaluation and its tables."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from echopulse.data.bank import bank_from_clips
from echopulse.ecg import list_ecg_files
from echopulse.evaluate.controls import control_scores
from echopulse.evaluate.files import file_scores
from echopulse.evaluate.held_out import Bench, hearts_of, measurer_scores, simulate_held_out, timing_scores
from echopulse.evaluate.keys import BESIDE, aside, counts_for, figure_of, is_count, verdict
from echopulse.evaluate.reconstruction import tokenizer_scores
from echopulse.evaluate.speed import speed_scores
from echopulse.files import write_json, write_text

if TYPE_CHECKING:
    from echopulse.pipeline import EchoPulse

PARTS = ("speed", "tokenizer", "measurer", "timing", "controls", "files")  # speed first: it reads the peak memory
SHARES = {"speed": 2, "simulate": 3, "tokenizer": 2, "measurer": 2, "timing": 14, "controls": 12, "files": 3}
NOTICE = "Simulated hearts and synthetic clips; the figures are proxies for obedience to the ECG. Not for diagnosis."
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


def to_markdown(scores: Scores) -> str:
    """One table per part: figure, value with the number of cycles or clips behind it, bar, met or not, meaning."""
    lines = []
    shown = [key for key in scores if not is_count(key) and not aside(key, scores)]
    met = [verdict(key, scores) for key in shown]
    for part, keys in groupby(shown, lambda key: ".".join(key.split(".")[: 2 if key.startswith("files.") else 1])):
        lines += [f"### {part}", "", "| figure | value | bar | | what it says |", "|---|---|---|---|---|"]
        lines += [_row(key, scores) for key in keys]
        lines.append("")
    barred = [passed for passed in met if passed is not None]
    missed = [key for key, passed in zip(shown, met, strict=True) if passed is False]
    lines.append(f"{len(barred) - len(missed)} of {len(barred)} bars met.")
    if missed:
        lines[-1] += f" Missed: {', '.join(missed)}."
    return "\n".join([*lines, "", NOTICE])


def write_scores(scores: Scores, markdown_path: Path | None, json_path: Path | None) -> None:
    """The table as Markdown and the flat keys as JSON (what is not a number as null), each file whole or not at all."""
    if markdown_path:
        write_text(to_markdown(scores) + "\n", markdown_path)
    if json_path:
        write_json(scores, json_path)


def _row(key: str, scores: Scores) -> str:
    figure, value, passed = figure_of(key), scores[key], verdict(key, scores)
    said = value if isinstance(value, str) else _number(value)
    if figure and figure.unit and not isinstance(value, str):
        said += f" {figure.unit}"
    beside = []
    if key.endswith(".median_abs"):
        columns = {word: f"{key.removesuffix('median_abs')}{last}" for last, word in BESIDE.items()}
        columns = {word: scores[column] for word, column in columns.items() if column in scores}
        beside = [f"{word} {_number(found)}" for word, found in columns.items() if math.isfinite(found)]
    if counts := counts_for(key, scores):
        beside.append(f"n {counts[0]}{f', {counts[1]} missing' if counts[1] else ''}")
    if beside:
        said += f" ({'; '.join(beside)})"
    mark = {None: "", True: "met", False: "**missed**"}[passed]
    bar = str(figure.bar) if figure and figure.bar else ""
    return f"| `{key}` | {said.replace('|', '/')} | {bar} | {mark} | {figure.meaning if figure else ''} |"


def _number(value: float) -> str:
    if not math.isfinite(value):
        return "none" if math.isnan(value) else "infinite"
    if isinstance(value, int) or float(value).is_integer():
        return str(int(value))
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


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
