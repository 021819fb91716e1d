"""The chambers do what physiology says they do at those beats."""

import pytest
import torch

from echopulse.phantom.mechanics.pump import contract, draw_mechanics
from echopulse.phantom.rhythm.timing import beat_times, draw_rhythm, systolic_intervals

STEADY = {"respiration_swing": 0.0, "slow_swing": 0.0, "rr_jitter": 0.0, "qt_offset_s": 0.0, "qrs_s": 0.09}
PLAIN = {"pre_ejection_offset_s": 0.0, "es_after_t_end_s": 0.012}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def heart(n=32, kind="sinus", seconds=3.0, rhythm=None, step=1 / 200, **pump):
    """Rhythm, motion and the times at which the motion was asked for."""
    drawn = draw_rhythm(n, generator(1), "uniform", kind=kind, **(rhythm or {}))
    beats = beat_times(drawn, -1.6, seconds, generator(2))
    times = torch.arange(0, seconds, step)
    return beats, contract(beats, draw_mechanics(n, generator(3), "uniform", **pump), times), times


def inside(events, start=-1.6, stop=3.0):
    return (events > start) & (events < stop)


@pytest.mark.parametrize("rate", [45, 70, 100, 130])
def test_ejection_time_follows_the_regression(rate):
    _, motion, _ = heart(rhythm={**STEADY, "heart_rate_bpm": rate}, ef=0.62, **PLAIN)
    ejection = (motion.ejection_end_s - motion.ejection_onset_s)[torch.isfinite(motion.ejection_end_s)]
    expected = systolic_intervals(torch.tensor(60.0 / rate))[1]
    assert (ejection - expected).abs().max() < 0.010


def test_end_diastole_is_shortly_after_r():
    beats, motion, _ = heart(n=200, ef=0.62)
    lag = (motion.ejection_onset_s - beats.r_peak)[beats.beats]
    assert lag.min() > 0.0 and lag.max() < 0.10
    assert 0.03 < lag.median() < 0.08


def test_weak_hearts_start_late_and_eject_briefly():
    _, strong, _ = heart(rhythm={**STEADY, "heart_rate_bpm": 70}, ef=0.65, **PLAIN)
    _, weak, _ = heart(rhythm={**STEADY, "heart_rate_bpm": 70}, ef=0.25, **PLAIN)
    assert (weak.ejection_onset_s - strong.ejection_onset_s).nanmedian() > 0.02
    assert (weak.ejection_end_s - strong.ejection_end_s).nan_to_num().abs().max() < 1e-3


def test_end_systole_is_near_the_end_of_t():
    beats, motion, _ = heart(n=200)
    assert (motion.ejection_end_s - beats.t_end)[beats.beats].abs().max() <= 0.040


def test_ejection_fraction_is_as_asked_in_steady_rhythm():
    for ef in (0.15, 0.4, 0.6, 0.75):
        _, motion, _ = heart(rhythm={**STEADY, "heart_rate_bpm": 75}, ef=ef)
        per_beat = 1 - motion.esv_beat_ml / motion.edv_beat_ml
        assert torch.allclose(per_beat[torch.isfinite(per_beat)], torch.tensor(ef), atol=1e-3)


@pytest.mark.parametrize("kind", ["sinus", "af", "pvc"])
def test_volume_is_continuous_and_in_bounds(kind):
    _, motion, _ = heart(n=200, kind=kind)
    relative = motion.volume_ml / motion.edv_ml[:, None]
    assert torch.isfinite(relative).all()
    assert relative.max() <= 1.001 and relative.min() > 0.08
    assert relative.diff(dim=1).abs().max() < 0.065  # in 5 ms, reached only where diastole is very short
    for name in ("mitral_opening", "aortic_opening", "la_volume", "rv_fraction"):
        curve = getattr(motion, name)
        assert curve.min() >= -1e-4 and curve.max() <= 1 + 1e-4
    assert motion.la_volume.diff(dim=1).abs().max() < 0.06
    assert motion.aortic_opening.diff(dim=1).abs().max() < 0.25


def test_volume_step_at_thirty_frames_a_second():
    _, motion, _ = heart(n=200, step=1 / 30, rhythm={**STEADY, "heart_rate_bpm": 75, "pr_s": 0.16}, ef=0.6)
    step = motion.volume_ml.diff(dim=1).abs() / motion.edv_ml[:, None]
    assert step.quantile(0.99) <= 0.12 and step.max() <= 0.135


def test_constant_rhythm_repeats_itself():
    _, motion, _ = heart(rhythm={**STEADY, "heart_rate_bpm": 60}, seconds=4.0)
    drift = (motion.volume_ml[:, 200:600] - motion.volume_ml[:, 400:800]).abs() / motion.edv_ml[:, None]
    assert drift.max() < 0.005


def test_volume_is_extreme_at_the_beats_events():
    beats, motion, times = heart(n=50, rhythm={"heart_rate_bpm": 70})
    for i in range(50):
        for k in range(beats.r_peak.shape[1] - 1):
            start, stop = motion.ejection_onset_s[i, k], motion.ejection_onset_s[i, k + 1]
            if start < 0.1 or not stop < 2.9:
                continue
            cycle = (times >= start) & (times < stop)
            curve, when = motion.volume_ml[i, cycle], times[cycle]
            lowest = when[curve <= curve.min() + 0.01]
            assert (lowest - motion.ejection_end_s[i, k]).abs().min() < 0.006
            assert curve.min() == pytest.approx(motion.esv_beat_ml[i, k].item(), rel=1e-3)


def test_atrial_kick_follows_p_and_is_missing_in_fibrillation():
    still = {**STEADY, "heart_rate_bpm": 48, "pr_s": 0.16}
    beats, motion, times = heart(n=20, rhythm=still, atrial_share=0.3)
    for i in range(20):
        p = next(x for x in beats.p_onset[i].tolist() if x > 1.0)
        window = (times > p - 0.05) & (times < p + 0.2)
        rise = motion.volume_ml[i, window].diff()
        start = times[window][1:][rise > 0.02 * rise.max()][0].item()
        assert 0.035 <= start - p <= 0.09
    _, without, times = heart(n=20, kind="af", rhythm={"heart_rate_bpm": 60, "rr_jitter": 0.0})
    onset = without.ejection_onset_s[0][inside(without.ejection_onset_s[0], 1.0, 2.9)][0]
    late = (times > onset - 0.25) & (times < onset)
    assert (without.volume_ml[0, late].diff().abs() < 1e-3 * without.edv_ml[0]).all()


def test_mitral_valve_is_shut_during_ejection_and_open_in_filling():
    _, motion, times = heart(n=50)
    ejecting = motion.aortic_opening > 0
    assert motion.mitral_opening[ejecting].max() == 0
    assert (motion.mitral_opening.amax(1) > 0.8).all()


def test_fibrillating_beats_follow_the_ratio_of_the_last_intervals():
    drawn = draw_rhythm(40, generator(1), kind="af", heart_rate_bpm=85)
    beats = beat_times(drawn, 0.0, 40.0, generator(2))
    motion = contract(beats, draw_mechanics(40, generator(3), ef=0.58), torch.tensor([0.0]))
    stroke = motion.edv_beat_ml - motion.esv_beat_ml
    ratio = beats.rr_before[:, 1:] / beats.rr_before[:, :-1]
    rs = []
    for s, q in zip(stroke[:, 1:], ratio, strict=True):
        seen = torch.isfinite(s) & torch.isfinite(q)
        rs.append(torch.corrcoef(torch.stack([s[seen], q[seen]]))[0, 1])
    assert 0.6 <= torch.stack(rs).mean() <= 0.85


def test_an_ectopic_beat_is_weak_and_the_next_one_strong():
    drawn = draw_rhythm(40, generator(1), kind="pvc", heart_rate_bpm=70, ectopic_period=4, **STEADY)
    beats = beat_times(drawn, 0.0, 15.0, generator(2))
    motion = contract(beats, draw_mechanics(40, generator(3), ef=0.58), torch.tensor([0.0]))
    stroke = motion.edv_beat_ml - motion.esv_beat_ml
    i, k = beats.ectopic[:, 1:-1].nonzero(as_tuple=True)
    usual, ectopic, after = stroke[i, k], stroke[i, k + 1], stroke[i, k + 2]
    seen = torch.isfinite(after)
    weakening, gain = (ectopic / usual)[seen], (after / usual)[seen]
    assert 0.1 < weakening.median() < 0.6
    assert 1.10 <= gain.median() <= 1.5


def test_asystole_stands_still_at_its_largest_volume():
    _, motion, _ = heart(n=3, kind="asystole")
    assert torch.equal(motion.volume_ml, motion.edv_ml[:, None].expand_as(motion.volume_ml))
    assert motion.mitral_opening.max() == 0
    assert torch.isnan(motion.ejection_onset_s).all()


def test_extremes_stay_finite():
    for rate, ef, edv in ((30, 0.1, 350), (200, 0.8, 40), (150, 0.12, 300)):
        for kind in ("sinus", "af", "pvc"):
            _, motion, _ = heart(n=8, kind=kind, rhythm={"heart_rate_bpm": rate}, ef=ef, edv_ml=edv)
            assert torch.isfinite(motion.volume_ml).all()
            assert (motion.volume_ml > 0).all()


def test_weak_hearts_are_large():
    pump = draw_mechanics(2000, generator(), "uniform")
    assert pump.edv_ml[pump.ef < 0.3].mean() > 1.2 * pump.edv_ml[pump.ef > 0.55].mean()
    assert 0.119 < pump.ef.min() < 0.14 and 0.76 < pump.ef.max() < 0.781
