"""Agreement of ejection fractions against values worked out by hand."""

import math

import numpy as np
import pytest

from echopulse.errors import InputError
from echopulse.evaluate.metrics.ejection import agreement, figures

TRUE = np.array([0.3, 0.5, 0.7])
FOUND = np.array([0.35, 0.45, 0.75])


def test_every_figure_of_three_pairs_is_worked_out_by_hand():
    a = agreement(FOUND, TRUE)  # differences 0.05, -0.05, 0.05; targets spread by 0.2
    assert a.mae == pytest.approx(0.05) and a.rmse == pytest.approx(0.05)
    assert a.sd_targets == pytest.approx(0.2) and a.rmse_over_sd == pytest.approx(0.25)
    assert a.r2 == pytest.approx(1 - 0.0075 / 0.08)
    assert a.r == pytest.approx(0.08 / math.sqrt(0.08 * 0.26 / 3))  # Σxy, Σx², Σy² about the means
    assert a.bias == pytest.approx(0.05 / 3)
    sd = math.sqrt((2 * (0.05 - 0.05 / 3) ** 2 + (0.05 + 0.05 / 3) ** 2) / 2)
    assert a.sd_differences == pytest.approx(sd)
    assert (a.low, a.high) == (pytest.approx(0.05 / 3 - 1.96 * sd, 1e-4), pytest.approx(0.05 / 3 + 1.96 * sd, 1e-4))
    assert (a.n, a.missing) == (3, 0)


def test_r2_knows_a_bias_that_r_does_not():
    a = agreement(TRUE + 0.3, TRUE)
    assert a.r == pytest.approx(1) and a.r2 == pytest.approx(1 - 0.27 / 0.08) and a.bias == pytest.approx(0.3)


def test_guessing_the_mean_explains_nothing():
    a = agreement(np.full(3, 0.5), TRUE)
    assert a.r2 == pytest.approx(0) and math.isnan(a.r)
    assert a.rmse_over_sd == pytest.approx(math.sqrt(2 / 3))  # n against n - 1
    same = agreement(FOUND, np.full(3, 0.5))
    assert math.isnan(same.r2) and math.isnan(same.rmse_over_sd)


def test_missing_values_are_left_out_and_counted():
    a = agreement(np.r_[FOUND, np.nan, 0.4], np.r_[TRUE, 0.5, np.nan])
    assert (a.n, a.missing, a.mae) == (3, 2, pytest.approx(0.05))


def test_every_score_has_its_figure():
    named = {key for key in agreement(FOUND, TRUE).scores() if not key.startswith("mae.")}
    assert {f"x.{key}" for key in named} == set(figures("x", "test"))


def test_too_few_pairs_and_uneven_lists_are_refused():
    with pytest.raises(InputError, match=r"2 clips .*\(1 without\): agreement needs at least 3"):
        agreement(np.array([0.3, 0.4, np.nan]), TRUE)
    with pytest.raises(InputError, match="one of each per clip"):
        agreement(FOUND[:2], TRUE)
