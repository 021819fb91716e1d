"""What is explained, gained, locked and moved, by curves made by hand."""

import numpy as np
import pytest

from echopulse.evaluate.obedience import (
    Given,
    best_lag,
    explained,
    found_shift,
    locking,
    obedience,
    usual_phase,
)


def test_the_share_explained_is_r_squared_and_nothing_for_the_opposite():
    truth = np.array([0.0, 1, 2, 3])
    assert explained(2 * truth + 5, truth) == pytest.approx(1)
    assert explained(-truth, truth) == 0
    assert explained(np.full(4, 7.0), truth) == 0  # it stands still
    assert explained(np.array([0.0, 1, 0, 1]), truth) == pytest.approx(0.2)  # r = 1 / sqrt(5)
    assert np.isnan(explained(np.array([np.nan, np.nan, np.nan, 1]), truth))


def test_obedience_is_the_share_of_what_was_left():
    assert obedience(np.array([0.9, 0.7]), np.array([0.5, 0.3])) == pytest.approx((0.8 - 0.4) / 0.6)
    assert obedience(np.array([0.4, np.nan]), np.array([0.4, 0.1])) == 0
    assert np.isnan(obedience(np.array([np.nan]), np.array([0.1])))


@pytest.mark.parametrize("late_s", [-0.2, 0.0, 0.3])
def test_a_known_lag_is_found(hearts, late_s):
    heart = hearts[0]
    curve = heart.true_volume(heart.times_s - late_s)
    assert best_lag(curve, heart.times_s, Given(None, heart)) == pytest.approx(late_s, abs=0.011)


def test_the_lag_is_counted_from_the_truth_that_the_given_ecg_asks_for(hearts):
    heart = hearts[0]
    curve = heart.true_volume(heart.times_s - 0.2)
    assert best_lag(curve, heart.times_s, Given(None, heart, shift_s=0.2)) == pytest.approx(0, abs=0.011)
    hurried = Given(None, heart, factor=1.4)
    assert best_lag(heart.true_volume(1.4 * heart.times_s), heart.times_s, hurried) == pytest.approx(0, abs=0.011)


def test_a_shift_is_found_though_lags_are_known_up_to_a_beat_only():
    assert found_shift(-0.4, 0.0, 0.4, rr_s=0.8) == pytest.approx(0.4)  # lag wrapped by a whole beat
    assert found_shift(0.1, 0.1, 0.4, rr_s=0.8) == pytest.approx(0)  # did not move
    assert found_shift(0.35, -0.35, -0.1, rr_s=0.8) == pytest.approx(-0.1)


def test_locking_by_hand():
    assert locking(np.array([0.25, 0.25, np.nan])) == pytest.approx(1)
    assert usual_phase(np.array([0.25, 0.25])) == pytest.approx(0.25)
    assert locking(np.array([0.0, 0.25, 0.5, 0.75])) == pytest.approx(0, abs=1e-12)
    assert abs(usual_phase(np.array([0.45, -0.45]))) == pytest.approx(0.5)  # not 0
