"""Each figure of a curve or a beat table gives the answer that is known, and tells a wrong heart from a right one."""

import numpy as np
import pytest

from echopulse.evaluate.phantom import physics

TIMES = np.arange(-0.5, 2.5, 0.004)
EDV, STROKE = 120.0, 72.0


def rise(u):
    u = np.clip(u, 0, 1)
    return u * u * (3 - 2 * u)


def heart(onset=0.06, kick=0.25, late=0.0):
    """One cycle of a second from R at 0: ejects from `onset` for 0.3 s, E wave at 0.45, P at 0.84, kick 0.055 later."""
    volume = np.full(len(TIMES), EDV)
    for r in (-1.0, 0.0, 1.0, 2.0):
        t = TIMES - r
        volume = volume - STROKE * rise((t - onset) / 0.3)
        volume = volume + STROKE * (1 - kick) * rise((t - 0.45) / 0.26)
        volume = volume + STROKE * kick * rise((t - 0.84 - 0.055 - late) / 0.13)
    return volume - volume[TIMES > 0][0] + EDV


def test_intervals_are_those_of_the_regression():
    pre, ejection = physics.systolic_intervals(70)
    assert pre == pytest.approx(0.103) and ejection == pytest.approx(0.294)
    assert physics.systolic_intervals(70, 1.0)[1] == pytest.approx(0.306)
    assert physics.systolic_intervals(120)[1] == pytest.approx((413 - 1.7 * 110 - 12) / 1e3)


def test_a_jump_is_the_largest_step():
    volume = np.array([100.0, 98, 97, 77, 76])
    assert physics.largest_step(volume, 100.0) == pytest.approx(0.20)
    assert physics.largest_step(np.array([80.0]), 100.0) == 0


def test_drift_is_what_differs_after_a_period():
    assert physics.drift(np.array([100.0, 50]), np.array([100.0, 51]), 100) == pytest.approx(0.01)


def test_end_diastole_is_a_plateau_and_shifted_hearts_are_found_out():
    for shift in (0.0, 0.15, -0.2):
        volume = np.interp(TIMES, TIMES + shift, heart())
        lag = physics.end_diastole_lag(physics.plateau_before(TIMES, volume, 1.06 + shift), r_peak_s=1.0)
        if shift == 0:
            assert lag == 0
        else:
            assert np.sign(lag) == np.sign(shift) and abs(lag) > 0.033
    assert np.isnan(physics.plateau_before(TIMES, heart(), 3.0)[0])


def test_a_slow_sinus_beat_fills_twice_and_a_fibrillating_one_once():
    diastole = (TIMES > 0.37) & (TIMES < 1.05)
    assert physics.filling_waves(heart()[diastole]) == 2
    assert physics.filling_waves(heart(kick=0.0)[diastole]) == 1
    assert physics.filling_waves(np.full(20, 50.0)) == 0


@pytest.mark.parametrize("late", [0.0, 0.02, 0.06])
def test_the_kick_is_seen_when_it_starts(late):
    times = np.arange(0.7, 1.2, 0.001)
    volume = np.interp(times, TIMES, heart(onset=0.2, late=late))  # fine enough after interpolation
    assert physics.kick_start(times, volume, p_onset_s=0.84) == pytest.approx(0.055 + late, abs=0.006)


def test_a_kick_within_the_early_wave_is_not_guessed():
    times = np.arange(0.3, 0.9, 0.001)
    assert np.isnan(physics.kick_start(times, np.interp(times, TIMES, heart()), p_onset_s=0.5))


def test_memory_of_the_interval_ratio():
    rng = np.random.default_rng(0)
    rr = rng.uniform(0.5, 1.1, 200)
    follows = np.concatenate([[60.0], 60 + 20 * (rr[1:] / rr[:-1] - 1)])
    assert physics.ratio_correlation(follows, rr) == pytest.approx(1)
    assert abs(physics.ratio_correlation(rng.permutation(follows), rr)) < 0.2
    assert np.isnan(physics.ratio_correlation(follows[:4], rr[:4]))


def test_strokes_around_single_ectopics():
    stroke = np.array([70.0, 70, 21, 84, 70, 20, 20, 90, 70, 70, 14, np.nan])
    ectopic = np.array([0, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 0], bool)  # the couplet and the last one do not count
    weak, strong = physics.potentiation(stroke, ectopic)
    assert weak == pytest.approx([0.3]) and strong == pytest.approx([1.2])
    assert len(physics.potentiation(stroke[:2], ectopic[:2])[0]) == 0
