"""Intervals hold what they should, and only where the values behind a figure are known to be behind it."""

import math

import numpy as np
import pytest

from echopulse.evaluate.intervals import column_of, difference_span, interval_of, statistic_of
from echopulse.evaluate.results import Results


def of(**columns) -> Results:
    """Mean, median and median size of every column, which is kept under its stem."""
    scores = {}
    for name, values in columns.items():
        known = np.asarray(values)[np.isfinite(values)]
        scores |= {f"{name}.mean": float(known.mean()), f"{name}.median": float(np.median(known))}
        scores |= {f"{name}.median_abs": float(np.median(np.abs(known)))}
    return Results.of(scores, columns)


NORMAL = np.random.default_rng(3).normal(5, 10, 400)


def test_the_interval_of_a_mean_is_that_of_the_normal_distribution():
    half = 1.96 * NORMAL.std() / math.sqrt(len(NORMAL))
    low, high = interval_of("x.mean", of(x=NORMAL))
    assert (low, high) == pytest.approx((NORMAL.mean() - half, NORMAL.mean() + half), abs=0.15)


def test_the_statistic_is_the_one_that_gives_the_figure():
    results = of(x=NORMAL)
    assert [statistic_of(f"x.{name}", results) for name in ("mean", "median", "median_abs")] == [
        "mean", "median", "median_abs",
    ]  # fmt: skip
    assert statistic_of("y", Results.of({"y": 9.9}, {"y": [1.0, 2.0, 3.0]})) is None
    assert interval_of("y", Results.of({"y": 9.9}, {"y": [1.0, 2.0, 3.0]})) is None
    assert interval_of("y", Results.of({"y": 2.0})) is None and column_of("y.n", results) is None


def test_missing_values_are_left_out_and_two_values_say_nothing():
    holes = np.append(NORMAL, [math.nan] * 50)
    assert interval_of("x.mean", of(x=holes)) == interval_of("x.mean", of(x=NORMAL))
    assert interval_of("x.mean", of(x=[1.0, 2.0, math.nan])) is None


def test_cycles_are_drawn_heart_by_heart():
    hearts = np.repeat(np.arange(20), 20)
    level = 10 * np.random.default_rng(5).normal(size=20)
    cycles = of(x=level[hearts] + NORMAL / 100)
    whole = Results(cycles.scores, cycles.columns | {"x.hearts": hearts.tolist()})
    for name in ("mean", "median_abs"):
        narrow, wide = interval_of(f"x.{name}", cycles), interval_of(f"x.{name}", whole)
        assert wide.high - wide.low > 2 * (narrow.high - narrow.low)
    other = of(x=level[hearts] + 1 + NORMAL / 100)
    other.columns["x.hearts"] = hearts.tolist()
    (low, high), paired = difference_span("x.mean", whole, other, paired=True)
    assert paired and low == pytest.approx(1) and high == pytest.approx(1)
    few = Results(cycles.scores, cycles.columns | {"x.hearts": (hearts // 10).tolist()})
    assert interval_of("x.mean", few) is None  # two hearts


def test_what_a_part_says_of_its_own_figure_goes_first():
    results = Results.of({"x": 2.0, "x.low": 1.0, "x.high": 4.0}, {"x": [1.0, 2.0, 3.0]})
    assert interval_of("x", results) == (1.0, 4.0)


def test_the_same_values_give_the_same_interval():
    assert interval_of("x.median", of(x=NORMAL)) == interval_of("x.median", of(x=NORMAL))


def test_pairing_takes_the_spread_between_hearts_out_of_a_difference():
    better = NORMAL - 1
    (low, high), paired = difference_span("x.mean", of(x=NORMAL), of(x=better), paired=True)
    assert paired and low == pytest.approx(-1) and high == pytest.approx(-1)
    (low, high), paired = difference_span("x.mean", of(x=NORMAL), of(x=better), paired=False)
    assert not paired and low < -1.5 and high > -0.5


def test_hearts_of_unlike_number_are_not_paired():
    _, paired = difference_span("x.mean", of(x=NORMAL), of(x=NORMAL[:100]), paired=True)
    assert not paired


def test_intervals_alone_are_joined_as_independent_ones():
    a, b = ({"x": value, "x.low": value - 3.0, "x.high": value + 3.0} for value in (10.0, 15.0))
    b |= {"x.low": 11.0, "x.high": 19.0}
    assert difference_span("x", Results.of(a), Results.of(b), paired=True) == ((0.0, 10.0), False)
    assert difference_span("x", Results.of({"x": 1.0}), Results.of({"x": 2.0}), paired=True) is None
