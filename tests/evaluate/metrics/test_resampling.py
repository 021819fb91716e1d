"""Bootstrap intervals: as wide as they should be, whoever is drawn."""

import math
from itertools import product

import numpy as np
import pytest
from scipy import stats

from echopulse.errors import InputError
from echopulse.evaluate.metrics.resampling import difference, interval, over_hearts, raised


def test_the_interval_of_a_normal_mean_is_about_students():
    values = np.random.default_rng(0).normal(5, 2, 60)
    found = interval(values)
    low, high = stats.t.interval(0.95, 59, values.mean(), values.std(ddof=1) / np.sqrt(60))
    assert found.value == pytest.approx(values.mean()) and found.method == "BCa" and found.n == 60
    assert (found.low, found.high) == (pytest.approx(low, abs=0.1), pytest.approx(high, abs=0.1))
    assert interval(values) == found  # the same seed


@pytest.mark.parametrize(("n", "statistic", "at_least"), [(4, "mean", 0.85), (8, "mean", 0.9), (40, "median", 0.9)])
def test_intervals_hold_the_truth_as_often_as_they_say(n, statistic, at_least):
    draw = np.random.default_rng(1)
    held = [(i := interval(draw.normal(1, 2, n), statistic)).low <= 1 <= i.high for _ in range(100)]
    assert np.mean(held) >= at_least  # 0.9, 0.94 and 0.95, less what 100 samples leave to chance


def test_the_level_is_raised_to_students_width():
    assert raised(0.95, 1000) == pytest.approx(0.95, abs=1e-3) and 0.98 < raised(0.95, 8) < 0.99
    assert interval([1.0, 2.0, 3.0, 4.0]).low < 1.5  # as far as means of these can lie


def test_values_of_one_heart_are_drawn_together():
    draw, hearts = np.random.default_rng(4), np.repeat(np.arange(12), 9)
    values = draw.normal(0, 1, 12)[hearts] + 0.01 * draw.normal(size=len(hearts))  # nine times the same, nearly
    for statistic in ("mean", "median"):
        apart, together = (interval(values, statistic, hearts=of) for of in (None, hearts))
        assert together.value == apart.value
        assert together.high - together.low > 2 * (apart.high - apart.low), statistic
    alone = interval(values[::9], "mean")
    together = interval(values, "mean", hearts=hearts)
    assert (together.low, together.high) == (pytest.approx(alone.low, abs=0.15), pytest.approx(alone.high, abs=0.15))
    order = draw.permutation(len(values))
    assert interval(values[order], "mean", hearts=hearts[order]) == together


def test_a_resample_is_the_statistic_of_what_was_drawn():
    values = np.array([5.0, 1.0, 4.0, np.nan, 2.0, 9.0])
    hearts = np.array([0, 0, 1, 1, 2, 2])
    found = [interval(values, name, hearts=hearts) for name in ("mean", "median")]
    every = [np.concatenate([values[hearts == one] for one in drawn]) for drawn in product(range(3), repeat=3)]
    for one, of in zip(found, (np.nanmean, np.nanmedian), strict=True):
        possible = [of(drawn) for drawn in every]
        assert one.value == of(values) and one.missing == 1
        assert one.low == pytest.approx(min(possible)) and one.high == pytest.approx(max(possible))


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
    paired, apart = difference(a, b, paired=True), difference(a, b)
    assert 0.4 < paired.low < paired.value < paired.high < 0.6
    assert apart.low < 0 < apart.high and apart.value == pytest.approx(paired.value)
    assert math.isnan(difference([1.0], b).low)
    with pytest.raises(InputError, match="as many on both sides"):
        difference(a, b[:3], paired=True)
    with pytest.raises(InputError, match="mean and median"):
        interval(a, "mode")
    with pytest.raises(InputError, match="one heart for each value"):
        interval(a, hearts=[1, 2])


def test_pairs_are_known_by_their_hearts_though_either_side_lacks_some():
    draw = np.random.default_rng(3)
    level = draw.normal(0, 10, 40)
    a, b = level[:35], level[5:] + 1
    found = difference(a, b, hearts=(np.arange(35), np.arange(5, 40)), paired=True)
    assert found.value == pytest.approx(b.mean() - a.mean()) and found.low < found.value < found.high
    holes = np.where(np.arange(40) % 9, level, np.nan)
    assert difference(holes, holes + 1, paired=True).low == pytest.approx(1)


def test_the_interval_draws_whole_hearts():
    table = np.repeat(np.array([[0.0], [1.0], [0.0], [1.0]]), 50, axis=1)  # 200 clips, but 4 hearts
    low, high = over_hearts(np.mean, table)
    assert low == 0 and high == 1
    assert over_hearts(np.mean, np.full((5, 2), 0.3)) == pytest.approx((0.3, 0.3))
    assert np.isnan(over_hearts(np.mean, np.ones((2, 3)))).all()
