"""Bootstrap intervals: as wide as they should be, of the mean over seeds and never of the best."""

import math

import numpy as np
import pytest
from scipy import stats

from echopulse.errors import InputError
from echopulse.evaluate.metrics.resampling import interval, paired_difference, unpaired_difference


def test_the_interval_of_a_normal_mean_is_about_students():
    values = np.random.default_rng(0).normal(5, 2, 60)
    found = interval(values)
    low, high = stats.t.interval(0.95, 59, values.mean(), values.std(ddof=1) / np.sqrt(60))
    assert found.value == pytest.approx(values.mean()) and found.method == "BCa" and found.n == 60
    assert (found.low, found.high) == (pytest.approx(low, abs=0.1), pytest.approx(high, abs=0.1))
    assert interval(values) == found  # the same seed


def test_intervals_hold_the_truth_as_often_as_they_say():
    draw = np.random.default_rng(1)
    held = [(i := interval(draw.exponential(1, 40), resamples=400)).low <= 1 <= i.high for _ in range(60)]
    assert np.mean(held) > 0.83  # 95 % but for chance and the skewness


def test_a_median_and_few_values_take_percentiles():
    values = [1, 2, 3, 4, 5, 6, 7, 8, 100]
    found = interval(values, "median")
    assert (found.value, found.method) == (5, "percentile") and 1 <= found.low < 5 < found.high <= 8
    assert interval([1, 2, 4]).method == "percentile"


def test_missing_values_are_counted_and_one_value_has_no_interval():
    found = interval([1, np.nan, 3])
    assert (found.value, found.n, found.missing) == (2, 2, 1)
    alone = interval([2.5])
    assert alone.value == 2.5 and math.isnan(alone.low) and alone.method == "none"
    assert math.isnan(interval([]).value)
    same = interval([3.0] * 10)
    assert (same.low, same.high) == (3, 3)


def test_a_paired_difference_sees_what_an_unpaired_one_cannot():
    draw = np.random.default_rng(2)
    hearts = draw.normal(0, 10, 30)
    a, b = hearts + draw.normal(0, 0.1, 30), hearts + 0.5 + draw.normal(0, 0.1, 30)
    paired, apart = paired_difference(a, b), unpaired_difference(a, b)
    assert 0.4 < paired.low < paired.value < paired.high < 0.6
    assert apart.low < 0 < apart.high and apart.value == pytest.approx(paired.value)
    assert math.isnan(unpaired_difference([1.0], b).low)
    with pytest.raises(InputError, match="as many on both sides"):
        paired_difference(a, b[:3])
    with pytest.raises(InputError, match="mean and median"):
        interval(a, "mode")
