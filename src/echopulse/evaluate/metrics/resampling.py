"""How sure a figure is: bootstrap intervals over hearts, clips or seeds."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from echopulse.errors import InputError

LEVEL = 0.95
RESAMPLES = 2000
STATISTICS = {"mean": np.mean, "median": np.median}
LEAST_BCA, MOST_BCA = 8, 2000  # values; below, the acceleration is guesswork, beyond it changes nothing and costs n²
NUMBERS_AT_ONCE = 4_000_000  # of the resamples


@dataclass(frozen=True)
class Interval:
    """A figure and the interval that holds it with 95 % confidence; NaN at both ends where one value is all there is.

    `n` values went into it, `missing` were no numbers. `method` is "BCa", "percentile" or "none".
    """

    value: float
    low: float
    high: float
    n: int
    missing: int
    method: str


def interval(
    values: Sequence[float] | np.ndarray,
    statistic: str = "mean",
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Bootstrap interval of the mean or median of independent values [n]; NaN values are left out and counted.

    Bias-corrected and accelerated (Efron 1987, by SciPy) for means of 8 to 2000 values; percentiles for fewer, for more
    and for medians, whose jackknife is not smooth.
    """
    values = np.asarray(values, np.float64).ravel()
    if statistic not in STATISTICS:
        raise InputError(f"{statistic}: the statistics are {' and '.join(STATISTICS)}.")
    known = values[np.isfinite(values)]
    missing = len(values) - len(known)
    of = STATISTICS[statistic]
    if len(known) < 2:
        return Interval(float(known.mean()) if len(known) else np.nan, np.nan, np.nan, len(known), missing, "none")
    value = float(of(known))
    if np.ptp(known) == 0:
        return Interval(value, value, value, len(known), missing, "percentile")
    method = "BCa" if statistic == "mean" and LEAST_BCA <= len(known) <= MOST_BCA else "percentile"
    low, high = _bootstrap((known,), of, method, level, resamples, seed)
    if not np.isfinite(low + high):
        method = "percentile"
        low, high = _bootstrap((known,), of, method, level, resamples, seed)
    return Interval(value, low, high, len(known), missing, method)


def paired_difference(a: Sequence[float], b: Sequence[float], statistic: str = "mean", **options) -> Interval:
    """Mean (or median) of b - a over pairs, with its interval: heart by heart, so that what hearts share drops out.

    Pairs of which one is missing are left out. An interval that does not hold 0 is a difference beyond chance.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.shape != b.shape:
        raise InputError(f"{a.size} and {b.size} values: a paired difference needs as many on both sides.")
    return interval(b - a, statistic, **options)


def unpaired_difference(
    a: Sequence[float],
    b: Sequence[float],
    statistic: str = "mean",
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """The same of two sets of different hearts: both are resampled. `n` is that of the smaller."""
    pools = [np.asarray(pool, np.float64).ravel() for pool in (a, b)]
    known = [pool[np.isfinite(pool)] for pool in pools]
    if statistic not in STATISTICS:
        raise InputError(f"{statistic}: the statistics are {' and '.join(STATISTICS)}.")
    of, n = STATISTICS[statistic], min(len(pool) for pool in known)
    missing = sum(len(pool) for pool in pools) - sum(len(pool) for pool in known)
    if n < 2:
        value = float(of(known[1]) - of(known[0])) if n else np.nan
        return Interval(value, np.nan, np.nan, n, missing, "none")

    def difference(x: np.ndarray, y: np.ndarray, axis: int = -1) -> np.ndarray:
        return of(y, axis=axis) - of(x, axis=axis)

    low, high = _bootstrap(tuple(known), difference, "percentile", level, resamples, seed)
    return Interval(float(difference(*known)), low, high, n, missing, "percentile")


def _bootstrap(data, statistic, method: str, level: float, resamples: int, seed: int) -> tuple[float, float]:
    from scipy.stats import bootstrap

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a degenerate distribution shows in NaN ends, which the caller looks at
        found = bootstrap(
            data, statistic, vectorized=True, method=method, confidence_level=level, n_resamples=resamples,
            batch=max(1, NUMBERS_AT_ONCE // max(len(part) for part in data)), rng=np.random.default_rng(seed),
        ).confidence_interval  # fmt: skip
    return float(found.low), float(found.high)
