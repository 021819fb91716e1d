"""How far a figure would move with other hearts: 95 % bootstrap intervals of figures and of differences between runs.

A figure has one where the values behind it are known and their mean or median, of the values or of their sizes, is the
figure; or where its part gives one (`X.low` and `X.high`). Where one heart gave several values, the column `X.hearts`
says whose each is, and whole hearts are drawn.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from echopulse.evaluate.metrics.resampling import Interval, difference, interval
from echopulse.evaluate.results import Results

STATISTICS = {"mean": np.mean, "median": np.median}
SIGNED = ("median_abs", "mean_abs", "median", "mean")  # that share one column of signed values


class Span(NamedTuple):
    """The ends of an interval."""

    low: float
    high: float


def interval_of(key: str, results: Results, *, seed: int = 0) -> Span | None:
    """The 95 % interval of one figure; None where there is none, or with fewer than three hearts."""
    scores = results.scores
    if f"{key}.low" in scores and f"{key}.high" in scores:
        return Span(float(scores[f"{key}.low"]), float(scores[f"{key}.high"]))
    name = statistic_of(key, results)
    if name is None:
        return None
    values, statistic = _plain(name, column_of(key, results))
    return _span(interval(values, statistic, hearts=hearts_of(key, results), seed=seed))


def column_of(key: str, results: Results) -> np.ndarray | None:
    """The values behind a figure, float64 [n] with NaN for what is missing; None where they are not kept."""
    values = results.columns.get(_name_of_column(key, results))
    return None if values is None else np.asarray(values, np.float64)


def hearts_of(key: str, results: Results) -> np.ndarray | None:
    """Whose each of these values is, [n]; None where every value is a heart's only one."""
    hearts = results.columns.get(f"{_name_of_column(key, results)}.hearts")
    return None if hearts is None else np.asarray(hearts)


def _name_of_column(key: str, results: Results) -> str:
    """The figure's own column, or that of signed values which it shares with others."""
    stem, _, last = key.rpartition(".")
    return stem if key not in results.columns and last in SIGNED else key


def statistic_of(key: str, results: Results) -> str | None:
    """Which of `SIGNED` of its column a figure is; None where it is none of them (a correlation, say)."""
    column, value = column_of(key, results), results.scores.get(key)
    if column is None or value is None or isinstance(value, str) or not math.isfinite(value):
        return None
    known = column[np.isfinite(column)]
    if not len(known):
        return None
    for name in sorted(SIGNED, key=lambda name: name != key.rpartition(".")[2]):
        values, statistic = _plain(name, known)
        if math.isclose(STATISTICS[statistic](values), value, rel_tol=1e-5, abs_tol=1e-6):
            return name
    return None


def difference_span(key: str, a: Results, b: Results, *, paired: bool, seed: int = 0) -> tuple[Span, bool] | None:
    """The interval of figure `key` of `b` minus that of `a`, and whether it is paired; None where none can be had.

    Paired: the same hearts are drawn for both, which takes the spread between hearts out of the difference. Where a
    part gave only intervals, they are joined as those of independent estimates (Zou & Donner 2008, eq. 5).
    """
    name = statistic_of(key, a)
    if name is not None and name == statistic_of(key, b):
        (one, statistic), (other, _) = (_plain(name, column_of(key, run)) for run in (a, b))
        hearts = hearts_of(key, a), hearts_of(key, b)
        named = [of is not None for of in hearts]
        paired = paired and (all(named) or not any(named) and len(one) == len(other))
        span = _span(difference(one, other, statistic, hearts=hearts, paired=paired, seed=seed))
        return span and (span, paired)
    spans, values = (interval_of(key, a), interval_of(key, b)), (a.scores[key], b.scores[key])
    if None in spans or any(isinstance(value, str) or not math.isfinite(value) for value in values):
        return None
    (low_a, high_a), (low_b, high_b) = spans
    down, up = math.hypot(values[1] - low_b, high_a - values[0]), math.hypot(high_b - values[1], values[0] - low_a)
    found = values[1] - values[0]
    return Span(found - down, found + up), False


def _plain(name: str, column: np.ndarray) -> tuple[np.ndarray, str]:
    """The values, or their sizes, of which a figure is the mean or the median, and which of the two."""
    return (np.abs(column) if name.endswith("_abs") else column), name.removesuffix("_abs")


def _span(found: Interval) -> Span | None:
    return Span(found.low, found.high) if math.isfinite(found.low + found.high) else None
