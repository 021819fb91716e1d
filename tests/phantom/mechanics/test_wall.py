"""The apex twists against the base, and the septum runs ahead where activation is slow."""

import pytest
import torch

from echopulse.phantom.mechanics import contract, valve_times

RS = [0.2 + 1.0 * k for k in range(6)]
PS = [r - 0.16 for r in RS]


def test_twist_peaks_near_end_systole_and_half_of_it_is_undone_before_filling(by_hand):
    made = by_hand(RS, PS)
    twist, end = made.motion.twist_rad[0], made.motion.ejection_end_s[0, 1].item()
    beat = (made.times > 1.1) & (made.times < 2.1)
    peak = made.times[beat][twist[beat].argmax()].item()
    assert abs(peak - end) < 0.03
    assert twist.max() == pytest.approx(made.pump.peak_twist_rad[0].item(), rel=0.03)
    opens = made.times[(made.times > end) & (made.motion.mitral_opening[0] > 0)][0].item()
    assert 0.3 < twist[made.times >= opens][0] / twist.max() < 0.65
    assert twist[made.times >= opens + 0.3][0].abs() < 0.05 * twist.max()


def test_the_apex_first_turns_the_other_way(by_hand):
    twist = by_hand(RS, PS).motion.twist_rad[0]
    assert -0.12 < twist.min() / twist.max() < -0.02


def test_twist_is_nearly_zero_at_end_diastole(heart):
    made = heart(40, rhythm="sinus", steady=True, heart_rate_bpm=65)
    closed = valve_times(made.beats, made.pump).mitral_closure_s[:, 3:5]
    assert (contract(made.beats, made.pump, closed).twist_rad.abs() <= 0.02 * made.pump.peak_twist_rad[:, None]).all()


def test_the_septum_flashes_before_ejection_in_left_bundle_branch_block(by_hand):
    made = by_hand(RS, PS, qrs_s=0.15, septal_flash_cm=0.45)
    ahead = made.motion.dyssynchrony[0]
    beat = (made.times > 1.0) & (made.times < 2.0)
    when = made.times[beat][ahead[beat].argmax()].item()
    assert made.beats.q_onset[0, 1] < when < made.motion.ejection_onset_s[0, 1]
    assert ahead[beat].min() < -0.2 * ahead.max()  # later the lateral wall runs ahead
    assert ahead[beat][0].abs() < 0.05 * ahead.max()


def test_a_flash_is_as_large_as_asked_in_centimetres(by_hand):
    made = by_hand(RS, PS, septal_flash_cm=0.4, ef=0.5)
    half = 0.5 * made.pump.edv_ml.item() ** (1 / 3)
    stroke = half**2 * (1 - 0.5 / (1 - 0.17 + 0.28 * 0.1))
    inner = (half**2 - made.motion.dyssynchrony.max().item() * stroke) ** 0.5
    assert half - inner == pytest.approx(0.4, abs=0.02)


def test_only_wide_beats_of_the_ventricle_are_dyssynchronous(by_hand):
    assert by_hand(RS, PS).motion.dyssynchrony.abs().max() == 0
    assert by_hand(RS, PS, origin=3).motion.dyssynchrony.abs().max() == 0  # narrow escape: from the junction
    for origin in (2, 3, 4):
        assert by_hand(RS, [], origin=origin, qrs_s=0.16).motion.dyssynchrony.max() > 0.3


def test_paced_and_blocked_hearts_twist_less(heart):
    usual, slow = (heart(60, rhythm="sinus", ef=0.5, conduction=name).motion.twist_rad for name in ("normal", "paced"))
    assert slow.amax(1).median() < 0.7 * usual.amax(1).median()
    assert torch.isfinite(slow).all()
