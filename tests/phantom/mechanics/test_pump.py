"""Whole curves: finite, continuous, periodic, and extreme at the beats' events, whatever the rhythm."""

import pytest
import torch

from echopulse.phantom.mechanics import contract
from echopulse.phantom.types import CONDUCTIONS, ORIGINS, RHYTHMS

FRACTIONS = ("mitral_opening", "aortic_opening", "tricuspid_opening", "la_volume", "ra_volume", "rv_fraction")
CURVES = ("volume_ml", *FRACTIONS, "twist_rad", "dyssynchrony")


@pytest.mark.parametrize("rhythm", RHYTHMS)
def test_curves_are_continuous_and_in_bounds(heart, rhythm):
    motion = heart(60, "uniform", step=1 / 500, seconds=2.0, rhythm=rhythm).motion
    relative = motion.volume_ml / motion.edv_ml[:, None]
    assert relative.max() <= 1.001 and relative.min() > 0.08
    assert relative.diff(dim=1).abs().max() < 0.018  # in 2 ms, reached only where diastole is very short
    for name in FRACTIONS:
        curve = getattr(motion, name)
        assert curve.min() >= -1e-4 and curve.max() <= 1 + 1e-4
    assert motion.la_volume.diff(dim=1).abs().max() < 0.02 and motion.ra_volume.diff(dim=1).abs().max() < 0.02
    assert motion.aortic_opening.diff(dim=1).abs().max() < 0.1
    assert motion.mitral_opening.diff(dim=1).abs().max() < 0.35
    assert motion.twist_rad.diff(dim=1).abs().max() < 0.02
    assert motion.dyssynchrony.diff(dim=1).abs().max() < 0.25


def test_resting_volume_changes_by_less_than_an_eighth_from_frame_to_frame(heart):
    made = heart(600, step=1 / 30, rhythm="sinus", heart_rate_bpm=torch.linspace(45, 80, 600))
    step = (made.motion.volume_ml.diff(dim=1).abs() / made.motion.edv_ml[:, None]).amax(1)
    assert (step <= 0.12).float().mean() > 0.95 and step.max() < 0.14


@pytest.mark.parametrize("rhythm", ["sinus", "av_block_1", "flutter"])
def test_constant_rhythm_repeats_itself(heart, rhythm):
    steady = {"flutter_variety": 0.0}
    made = heart(steady=True, rhythm=rhythm, heart_rate_bpm=75, seconds=4.0, beats=steady, conduction="normal")
    drift = (made.motion.volume_ml[:, 160:480] - made.motion.volume_ml[:, 320:640]).abs() / made.motion.edv_ml[:, None]
    assert drift.max() < 0.005


def test_volume_is_extreme_at_the_beats_events(heart):
    made = heart(30, rhythm="sinus", heart_rate_bpm=70)
    motion, times = made.motion, made.times
    for i in range(30):
        for start, stop, end, low in zip(
            motion.ejection_onset_s[i, :-1],
            motion.ejection_onset_s[i, 1:],
            motion.ejection_end_s[i],
            motion.esv_beat_ml[i],
            strict=False,
        ):
            if start < 0.1 or not stop < 2.9:
                continue
            cycle = (times >= start) & (times < stop)
            curve, when = motion.volume_ml[i, cycle], times[cycle]
            assert (when[curve <= curve.min() + 0.01] - end).abs().min() < 0.006
            assert curve.min() == pytest.approx(low.item(), rel=2e-3)


def test_fibrillating_atria_do_not_kick(heart):
    made = heart(20, steady=True, rhythm="af", conduction="normal", heart_rate_bpm=60, beats={"rr_jitter": 0.0})
    onset = made.motion.ejection_onset_s
    onset = onset[(onset > 1.0) & (onset < 2.9)].reshape(20, -1)[:, :1]
    late = (made.times > onset - 0.2) & (made.times < onset)
    change = made.motion.volume_ml.diff(dim=1, prepend=made.motion.volume_ml[:, :1]).abs()
    assert (change[late] < 2e-3 * made.motion.edv_ml.max()).all()


def test_asystole_stands_still_at_its_largest_volume(heart):
    motion = heart(3, rhythm="asystole").motion
    assert torch.equal(motion.volume_ml, motion.edv_ml[:, None].expand_as(motion.volume_ml))
    assert motion.mitral_opening.max() == 0 and motion.twist_rad.abs().max() == 0
    assert torch.isnan(motion.ejection_onset_s).all()


def test_a_long_pause_ends_in_diastasis(by_hand):
    motion = by_hand([0.0, 0.9], [], seconds=6.0).motion
    assert torch.allclose(motion.volume_ml[0, -500:], motion.volume_ml[0, -1])
    assert 0.1 < motion.mitral_opening[0, -1] < 0.5


@pytest.mark.parametrize("conduction", CONDUCTIONS)
@pytest.mark.parametrize("corner", [(30, 0.1, 350), (200, 0.8, 40), (200, 0.1, 350), (25, 0.86, 20), (220, 0.03, 500)])
def test_extremes_stay_finite(heart, corner, conduction):
    rate, ef, edv = corner
    pins = {"heart_rate_bpm": rate, "ef": ef, "edv_ml": edv, "conduction": conduction}
    motion = heart(2 * len(RHYTHMS), step=1 / 50, rhythm=list(RHYTHMS) * 2, **pins).motion
    assert all(torch.isfinite(getattr(motion, name)).all() for name in CURVES)
    assert (motion.volume_ml > 0).all() and (motion.volume_ml <= 1.001 * edv).all()


def test_hearts_do_not_depend_on_their_neighbours(heart):
    rhythm = ["sinus", "af", "asystole", "av_block_3", "vt"]
    made = heart(5, rhythm=rhythm)
    for i in range(5):
        alone = contract(made.beats.rows(slice(i, i + 1)), made.pump.rows(slice(i, i + 1)), made.times)
        assert torch.allclose(alone.volume_ml[0], made.motion.volume_ml[i], atol=1e-3)


def test_times_may_differ_from_heart_to_heart(heart):
    made = heart(2)
    times = torch.stack([made.times, made.times + 0.25])
    moved = contract(made.beats, made.pump, times)
    assert torch.allclose(moved.volume_ml[1, :-50], made.motion.volume_ml[1, 50:], atol=0.05)


def test_sinus_beats_are_not_of_the_ventricle(heart):
    made = heart(10, rhythm="sinus", conduction="normal", prior="easy")
    assert (made.beats.origin[made.beats.beats] == ORIGINS.index("sinus")).all()
    assert made.motion.dyssynchrony.abs().max() == 0
