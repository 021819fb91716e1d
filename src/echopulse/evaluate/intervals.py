"""How far a figure would move with other hearts: 95 % bootstrap intervals of figures and of differences between runs.

A figure has one where the values behind it are known and their mean or median, of the values or of their sizes, is the
figure; or where its part gives one (`X.low` and `X.high`). Cycles of one heart count as if they were independent, so
intervals over cycles are somewhat too narrow.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from echopulse.evaluate.metrics.resampling import LEVEL, RESAMPLES, interval, unpaired_difference
from echopulse.evaluate.results import Results

AT_ONCE = 4_000_000  # drawn values held in memory
FEWEST = 3  # values below which nothing is said about their spread
STATISTICS = {"mean": np.mean, "median": np.median}
SIGNED = ("median_abs", "mean_abs", "median", "mean")  # that share one column of signed values


class Span(NamedTuple):
    """The ends of an interval."""

    low: float
    high: float


def interval_of(key: str, results: Results, *, seed: int = 0) -> Span | None:
    """The 95 % interval of one figure; None where there is none, or where fewer than three values are known."""
    scores = results.scores
    if f"{key}.low" in scores and f"{key}.high" in scores:
        return Span(float(scores[f"{key}.low"]), float(scores[f"{key}.high"]))
    name = statistic_of(key, results)
    if name is None:
        return None
    values, statistic = _plain(name, column_of(key, results))
    if np.isfinite(values).sum() < FEWEST:
        return None
    found = interval(values, statistic, seed=seed)
    return Span(found.low, found.high)


def column_of(key: str, results: Results) -> np.ndarray | None:
    """The values behind a figure, float64 [n] with NaN for what is missing; None where they are not kept."""
    stem, _, last = key.rpartition(".")
    values = results.columns.get(key)
    if values is None and last in SIGNED:
        values = results.columns.get(stem)
    return None if values is None else np.asarray(values, np.float64)


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
        if paired and len(one) == len(other):
            known = np.isfinite(one) & np.isfinite(other)
            enough = known.sum() >= FEWEST
            return (_paired_span(one[known], other[known], statistic, seed), True) if enough else None
        if min(np.isfinite(one).sum(), np.isfinite(other).sum()) < FEWEST:
            return None
        found = unpaired_difference(one, other, statistic, seed=seed)
        return Span(found.low, found.high), False
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


def _paired_span(one: np.ndarray, other: np.ndarray, statistic: str, seed: int) -> Span:
    """The statistic of `other` less that of `one`, the same rows drawn from both, percentiles (Efron 1979)."""
    from scipy.stats import bootstrap

    of = STATISTICS[statistic]
    found = bootstrap(
        (one, other), lambda x, y, axis=-1: of(y, axis=axis) - of(x, axis=axis), paired=True, vectorized=True,
        method="percentile", n_resamples=RESAMPLES, batch=max(1, AT_ONCE // len(one)), confidence_level=LEVEL,
        random_state=np.random.default_rng(seed),
    ).confidence_interval  # fmt: skip
    return Span(float(found.low), float(found.high))
