"""Valves, atria and right ventricle do what the volumes and the electricity ask of them."""

import torch

RS = [0.1 + 0.9 * k for k in range(8)]


def test_inlet_valves_are_shut_during_ejection_and_open_in_filling(heart):
    motion = heart(60, rhythm="sinus").motion
    ejecting = motion.aortic_opening > 0
    assert motion.mitral_opening[ejecting].max() == 0 and motion.tricuspid_opening[ejecting].max() == 0
    assert (motion.mitral_opening.amax(1) > 0.8).all()


def test_volume_falls_only_while_the_aortic_valve_is_open_and_rises_only_while_the_mitral_valve_is(heart):
    motion = heart(60).motion
    change = motion.volume_ml.diff(dim=1) / motion.edv_ml[:, None]
    assert (motion.aortic_opening[:, 1:] + motion.aortic_opening[:, :-1])[change < -1e-3].min() > 0
    assert (motion.mitral_opening[:, 1:] + motion.mitral_opening[:, :-1])[change > 1e-3].min() > 0


def test_the_tricuspid_valve_opens_first_and_shuts_last(by_hand):
    motion = by_hand(RS, [r - 0.16 for r in RS]).motion
    assert (motion.tricuspid_opening > 0).sum() > (motion.mitral_opening > 0).sum()
    opens = [int((valve[0, 200:] > 0).long().diff().clamp_min(0).argmax()) for valve in
             (motion.tricuspid_opening, motion.mitral_opening)]  # fmt: skip
    assert opens[0] < opens[1]


def test_the_mitral_valve_opens_once_for_e_and_once_for_each_kick(by_hand):
    made = by_hand([0.0, 2.0, 4.0], [0.9, 1.45, 1.84], seconds=2.0)
    opening = made.motion.mitral_opening[0]
    peaks = (opening[1:-1] > opening[:-2]) & (opening[1:-1] >= opening[2:]) & (opening[1:-1] > 0.5)
    assert int(peaks.sum()) == 4


def test_the_left_atrium_is_full_at_end_systole_and_squeezed_by_the_kick(by_hand):
    made = by_hand(RS, [r - 0.16 for r in RS])
    opening = int((made.motion.mitral_opening[0, 100:] > 0).long().diff().clamp_min(0).argmax()) + 100
    assert made.motion.la_volume[0, opening] > 0.98
    assert made.motion.la_volume.min() < 0.75


def test_an_atrium_that_squeezes_against_a_closed_valve_gives_back_to_the_veins(by_hand):
    r = [1.5 * k for k in range(4)]
    usual, blocked = by_hand(r, [1.34, 2.84]), by_hand(r, [1.34, 1.62, 2.84])
    systole = (usual.times > 1.62) & (usual.times < 1.85)
    dip = (usual.motion.la_volume - blocked.motion.la_volume)[0, systole]
    assert dip.min() > -1e-4 and 0.08 < dip.max() < 0.15
    assert torch.allclose(usual.motion.volume_ml[0, systole], blocked.motion.volume_ml[0, systole])


def test_without_atrial_beats_nothing_fills_late(by_hand):
    made = by_hand([1.2 * k for k in range(5)], [], seconds=2.4)
    late = (made.times > 2.0) & (made.times < 2.4)
    assert (made.motion.volume_ml[0, late].diff().abs() < 1e-3 * made.pump.edv_ml).all()


def test_the_kick_comes_40_to_80_ms_after_p(by_hand):
    r = [1.25 * k for k in range(5)]
    made = by_hand(r, [x - 0.16 for x in r], seconds=2.6, atrial_share=0.3)
    near = (made.times > 2.34 - 0.05) & (made.times < 2.34 + 0.2)
    rise = made.motion.volume_ml[0, near].diff()
    start = made.times[near][1:][rise > 0.02 * rise.max()][0].item()
    assert 0.038 <= start - 2.34 <= 0.088


def test_a_tiny_stroke_hardly_opens_the_aortic_valve(by_hand):
    full, tiny = by_hand(RS, [], ef=0.6).motion, by_hand(RS, [], ef=0.05).motion
    assert full.aortic_opening.max() > 0.9 and tiny.aortic_opening.max() < 0.7
