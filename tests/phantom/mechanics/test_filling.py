"""Every beat follows from the ones before it."""

import pytest
import torch

from echopulse.phantom.mechanics.cycles import find_cycles
from echopulse.phantom.mechanics.filling import fill_and_eject


def correlation(first, second):
    seen = torch.isfinite(first) & torch.isfinite(second)
    return torch.corrcoef(torch.stack([first[seen], second[seen]]))[0, 1]


@pytest.mark.parametrize("ef", [0.15, 0.4, 0.6, 0.75])
def test_ejection_fraction_is_as_asked_in_steady_rhythm(heart, ef):
    motion = heart(steady=True, rhythm="sinus", heart_rate_bpm=75, ef=ef).motion
    per_beat = 1 - motion.esv_beat_ml / motion.edv_beat_ml
    assert torch.allclose(per_beat[torch.isfinite(per_beat)], torch.tensor(ef), atol=1e-3)


def test_fibrillating_beats_follow_the_ratio_of_the_last_intervals(heart):
    made = heart(30, seconds=40.0, step=1.0, rhythm="af", conduction="normal", ef=0.58, heart_rate_bpm=85)
    rr = made.beats.rr_before
    r = [correlation(s, q) for s, q in zip(made.stroke_ml[:, 1:], rr[:, 1:] / rr[:, :-1], strict=True)]
    assert 0.6 <= torch.stack(r).mean() <= 0.85


@pytest.mark.parametrize(("ef", "least"), [(0.6, 1.10), (0.3, 1.15)])
def test_an_ectopic_beat_is_weak_and_the_next_one_strong(heart, ef, least):
    made = heart(40, seconds=15.0, step=1.0, steady=True, rhythm="pvc", conduction="normal", ef=ef, heart_rate_bpm=70,
                 beats={"couplet_chance": 0.0, "ectopic_period": 4, "ectopic_pause": 2.0})  # fmt: skip
    i, k = made.beats.ectopic[:, 1:-1].nonzero(as_tuple=True)
    usual, ectopic, after = (made.stroke_ml[i, k + shift] for shift in range(3))
    seen = torch.isfinite(after)
    assert 0.1 < (ectopic / usual)[seen].median() < 0.6
    assert least <= (after / usual)[seen].median() <= 1.5


def test_a_fast_heart_fills_less(heart):
    slow, fast = (
        heart(steady=True, rhythm="sinus", conduction="normal", ef=0.6, heart_rate_bpm=rate) for rate in (60, 140)
    )
    assert fast.stroke_ml.nanmean() < 0.85 * slow.stroke_ml.nanmean()


RS = [0.1 + 0.9 * k for k in range(8)]


def fillings(made):
    cycles, kicks = find_cycles(made.beats, made.pump)
    return kicks, fill_and_eject(made.beats, made.pump, cycles, kicks)


def test_a_p_wave_in_diastole_fills_and_one_in_systole_does_not(by_hand):
    early, late = by_hand(RS, [r - 0.16 for r in RS]), by_hand(RS, [r + 0.12 for r in RS])
    for made, filling in ((early, True), (late, False)):
        kicks, fill = fillings(made)
        assert ((fill.kick_ml[0, 1:-1] > 1) == filling).all()
        assert (kicks.blocked[0, 1:-1] != filling).all()
    assert late.motion.edv_beat_ml[0, 3] < early.motion.edv_beat_ml[0, 3]


def test_every_p_wave_of_a_blocked_heart_fills_its_part(by_hand):
    made = by_hand([0.0, 2.0, 4.0, 6.0], [0.75, 1.3, 1.85, 2.7, 3.3, 3.85], ef=0.6)
    kicks, fill = fillings(made)
    first = fill.kick_ml[0, :3]
    assert (first > 1).all() and first[0] > first[1] > first[2]
    assert first.sum().item() == pytest.approx(fill.kicks_ml[0, 0].item(), rel=1e-4)
    assert fill.edv[0, 1].item() == pytest.approx(made.pump.edv_ml[0].item(), rel=1e-3)


def test_fluttering_atria_hardly_fill(by_hand):
    slow, fast = (by_hand(RS, p) for p in ([r - 0.16 for r in RS], [0.2 * k for k in range(35)]))
    assert fillings(fast)[1].kicks_ml[0, 3] < 0.5 * fillings(slow)[1].kicks_ml[0, 3]


def test_p_and_e_wave_fuse_when_conduction_is_slow(by_hand):
    usual, slow = (find_cycles(made.beats, made.pump)[0] for made in
                   (by_hand([1.0 * k for k in range(6)], [k - 0.16 for k in range(6)]),
                    by_hand([1.0 * k for k in range(6)], [k - 0.45 for k in range(6)])))  # fmt: skip
    assert usual.fused[0, 2] < 0.2 and slow.fused[0, 2] > 0.7
