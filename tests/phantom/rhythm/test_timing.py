"""The beats come when the rhythm says."""

import pytest
import torch

from echopulse.errors import InputError
from echopulse.phantom.rhythm.timing import WARM_UP_BEATS, beat_times, beats_at, draw_rhythm, systolic_intervals
from echopulse.phantom.types import CONDUCTIONS, ORIGINS, RHYTHMS

STEADY = {"respiration_swing": 0.0, "slow_swing": 0.0, "rr_jitter": 0.0}
SINUS, ATRIAL, VENTRICULAR, ESCAPE, PACED = range(len(ORIGINS))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def beats(patients):
    """Drawn parameters and their beats from -1.6 s to `seconds`."""

    def make(rhythm="sinus", n=16, seconds=12.0, conduction="normal", heart_rate_bpm=None, **pinned):
        who = patients(n, rhythm, conduction, heart_rate_bpm=heart_rate_bpm)
        drawn = draw_rhythm(who, generator(1), **pinned)
        return drawn, beat_times(drawn, -1.6, seconds, generator(2))

    return make


def finite(row):
    return row[torch.isfinite(row)]


def test_steady_sinus_rhythm_beats_at_its_rate(beats):
    rates = [45.0, 75.0, 140.0]
    _, rhythm = beats(n=3, heart_rate_bpm=torch.tensor(rates), **STEADY)
    for row, rate in zip(rhythm.r_peak.diff(dim=1), rates, strict=True):
        assert torch.allclose(finite(row), torch.full_like(finite(row), 60 / rate), atol=1e-4)


@pytest.mark.parametrize("conduction", CONDUCTIONS)
@pytest.mark.parametrize("name", [name for name in RHYTHMS if name != "asystole"])
def test_beats_cover_the_span_with_warm_up(beats, name, conduction):
    _, rhythm = beats(name, conduction=conduction, seconds=3.0)
    present = rhythm.beats
    assert ((rhythm.r_peak < -1.6).sum(1) >= WARM_UP_BEATS).all()
    assert ((rhythm.r_peak > 3.0).sum(1) >= 2).all()
    gaps = rhythm.r_peak.diff(dim=1)[present[:, 1:]]
    assert (gaps > 0.25).all()
    assert torch.allclose(gaps, rhythm.rr_before[:, 1:][present[:, 1:]], atol=1e-4)
    for field in ("q_onset", "qrs_end", "t_peak", "t_end", "rr_before"):
        assert torch.equal(torch.isfinite(getattr(rhythm, field)), present)
    order = torch.stack([rhythm.q_onset, rhythm.r_peak, rhythm.qrs_end, rhythm.t_peak, rhythm.t_end])[:, present]
    assert (order.diff(dim=0) > 0).all()
    assert (rhythm.atria_s.diff(dim=1)[torch.isfinite(rhythm.atria_s[:, 1:])] > 0).all()


def test_every_conducted_p_wave_is_among_the_atrias(beats):
    for name in ("sinus", "pac", "pvc", "wenckebach", "mobitz_2", "vt", "pause"):
        _, rhythm = beats(name)
        for onsets, atria in zip(rhythm.p_onset, rhythm.atria_s, strict=True):
            distance = (finite(onsets)[:, None] - finite(atria)).abs()
            assert not len(distance) or distance.amin(1).max() < 1e-5
        p = torch.isfinite(rhythm.p_onset)
        assert (rhythm.p_onset[p] < rhythm.q_onset[p] - 0.09).all()


@pytest.mark.parametrize("name", ["sinus", "af", "flutter", "pvc", "wenckebach", "mobitz_2", "av_block_3"])
def test_the_mean_rate_is_the_patients(beats, name):
    drawn, rhythm = beats(name, n=32, seconds=40.0)
    spans = torch.stack([finite(row)[-1] - finite(row)[0] for row in rhythm.r_peak])
    rate = 60 * (rhythm.beats.sum(1) - 1) / spans
    assert (rate / drawn.heart_rate_bpm).mean() == pytest.approx(1, abs=0.04)


def test_fibrillation_has_no_p_wave_and_is_irregular(beats):
    _, rhythm = beats("af", n=64, seconds=20.0)
    assert torch.isnan(rhythm.p_onset).all() and torch.isnan(rhythm.atria_s).all()
    spread = torch.stack([finite(row).std() / finite(row).mean() for row in rhythm.rr_before])
    assert 0.12 < spread.mean() < 0.32


def test_flutter_beats_come_after_whole_numbers_of_waves(beats):
    for rate, ratio in ((150, 2), (100, 3), (75, 4)):
        drawn, rhythm = beats("flutter", heart_rate_bpm=rate, flutter_variety=0.0)
        assert torch.allclose(drawn.flutter_hz * 60, torch.tensor(300.0))
        assert torch.allclose(finite(rhythm.rr_before[0]) * 5, torch.tensor(float(ratio)), atol=1e-3)
    drawn, rhythm = beats("flutter", heart_rate_bpm=100, flutter_variety=0.8)
    ratios = rhythm.rr_before[rhythm.beats] * 5
    assert torch.allclose(ratios, ratios.round(), atol=1e-3)
    assert set(ratios.round().int().tolist()) == {2, 3, 4}
    assert torch.isnan(rhythm.atria_s).all()


def test_premature_ventricular_beats_are_wide_early_and_fully_compensated(beats):
    _, rhythm = beats("pvc", n=32, ectopic_pause=2.0, couplet_chance=0.0, **STEADY)
    k = rhythm.ectopic[:, 1:-1].nonzero(as_tuple=True)
    before, after = rhythm.rr_before[:, 1:-1][k], rhythm.rr_before[:, 2:][k]
    seen = torch.isfinite(after)
    assert seen.sum() > 30
    assert (before[seen] < 0.78 * 60 / 72).all()
    assert torch.allclose(before[seen] + after[seen], torch.tensor(2 * 60 / 72), atol=1e-3)
    assert torch.isnan(rhythm.p_onset[rhythm.ectopic]).all()
    assert ((rhythm.qrs_end - rhythm.q_onset)[rhythm.ectopic] >= 0.119).all()


def test_couplets_are_seldom_and_can_be_asked_for(beats):
    def pairs(**pinned):
        _, rhythm = beats("pvc", n=64, seconds=30.0, **pinned)
        return (rhythm.ectopic[:, 1:] & rhythm.ectopic[:, :-1]).sum() / rhythm.ectopic.sum()

    assert pairs() < 0.1
    assert pairs(couplet_chance=1.0, ectopic_coupling=0.5) > 0.3


def test_premature_atrial_beats_have_a_p_and_no_compensatory_pause(beats):
    _, rhythm = beats("pac", n=32, **STEADY)
    early = (rhythm.origin == ATRIAL) & rhythm.beats
    k = early[:, 1:-1].nonzero(as_tuple=True)
    before, after = rhythm.rr_before[:, 1:-1][k], rhythm.rr_before[:, 2:][k]
    seen = torch.isfinite(after)
    assert seen.sum() > 30
    assert (before[seen] < 0.9 * 60 / 72).all() and (before[seen] + after[seen] < 1.98 * 60 / 72).all()
    assert torch.isfinite(rhythm.p_onset[early]).all()
    assert ((rhythm.qrs_end - rhythm.q_onset)[early] < 0.12).all()


@pytest.mark.parametrize("rate", [25.0, 72.0, 220.0])
@pytest.mark.parametrize("name", ["pac", "pvc", "bigeminy"])
def test_a_late_ectopic_with_a_short_pause_leaves_the_ventricle_time(beats, name, rate):
    pins = {"ectopic_period": 2, "ectopic_coupling": 1.2, "ectopic_pause": 1.0, "pr_s": 0.6}
    _, rhythm = beats(name, n=32, heart_rate_bpm=rate, **pins)
    floor = min(0.36, 0.8 * 60 / rate)
    assert finite(rhythm.r_peak.diff(dim=1)).min() > floor - 1e-3
    assert finite(rhythm.atria_s.diff(dim=1)).min() > floor - 1e-3
    p = torch.isfinite(rhythm.p_onset)
    assert (rhythm.p_onset[p] < rhythm.q_onset[p]).all()


def test_usual_beats_are_held_up_by_nothing(beats):
    _, rhythm = beats("sinus", n=2, heart_rate_bpm=torch.tensor([45.0, 200.0]), pr_s=0.16, **STEADY)
    pr = rhythm.q_onset - rhythm.p_onset
    assert (pr.nan_to_num(-9).amax(1) - pr.nan_to_num(9).amin(1)).max() < 1e-4


def test_bigeminy_alternates(beats):
    _, rhythm = beats("bigeminy")
    for ectopic, here in zip(rhythm.ectopic, rhythm.beats, strict=True):
        assert (ectopic[here][1:] != ectopic[here][:-1]).all()


def test_first_degree_block_conducts_every_p_late(beats):
    _, rhythm = beats("av_block_1")
    pr = (rhythm.q_onset - rhythm.p_onset)[rhythm.beats]
    assert torch.isfinite(pr).all() and (pr > 0.2).all()


def blocked_after(rhythm, i):
    """For every beat but the last two of heart i: does a P wave without a beat lie before the next one?"""
    p = finite(rhythm.p_onset[i])
    atria = finite(rhythm.atria_s[i])
    return torch.stack([((atria > a + 0.01) & (atria < b - 0.01)).any() for a, b in zip(p, p[1:], strict=False)])


def test_wenckebach_pr_grows_until_a_beat_is_dropped(beats):
    _, rhythm = beats("wenckebach")
    for i in range(16):
        here = rhythm.beats[i]
        pr = (rhythm.q_onset - rhythm.p_onset)[i][here]
        dropped = blocked_after(rhythm, i)
        assert dropped.any() and not dropped.all()
        assert ((pr.diff() > 0) == ~dropped).all()


def test_mobitz_2_drops_beats_at_a_constant_pr(beats):
    _, rhythm = beats("mobitz_2", n=16)
    for i in range(16):
        pr = (rhythm.q_onset - rhythm.p_onset)[i][rhythm.beats[i]]
        assert pr.max() - pr.min() < 0.02
        assert blocked_after(rhythm, i).any()


def test_complete_block_keeps_atria_and_ventricles_apart(beats):
    for rate in (30.0, 44.0):
        _, rhythm = beats("av_block_3", heart_rate_bpm=rate, seconds=30.0)
        assert torch.isnan(rhythm.p_onset).all()
        assert (rhythm.origin[rhythm.beats] == ESCAPE).all()
        width = (rhythm.qrs_end - rhythm.q_onset)[rhythm.beats]
        assert (width > 0.115).all() if rate < 38 else (width < 0.115).all()
        for r, atria in zip(rhythm.r_peak, rhythm.atria_s, strict=True):
            phase = torch.stack([x - finite(atria)[finite(atria) < x][-1] for x in finite(r)[2:]])
            assert phase.std() > 0.05  # P marches through
            assert finite(atria).diff().mean() < 0.75 * finite(r).diff().mean()


def test_tachycardia_is_fast_wide_and_dissociated(beats):
    _, rhythm = beats("vt", n=32, run_beats=0)
    assert (rhythm.origin[rhythm.beats] == VENTRICULAR).all() and torch.isnan(rhythm.p_onset).all()
    assert rhythm.rr_before[rhythm.beats].mean() == pytest.approx(60 / 160, rel=0.02)
    assert torch.isfinite(rhythm.atria_s).sum(1).min() > 5
    _, rhythm = beats("vt", n=32, run_beats=8, rest_s=4.0)
    shares = rhythm.ectopic.sum(1) / rhythm.beats.sum(1)
    assert (shares > 0.4).all() and (shares < 1).all()
    assert torch.isfinite(rhythm.p_onset[~rhythm.ectopic & rhythm.beats]).all()


def test_a_pause_lasts_as_long_as_asked_with_still_atria(beats):
    _, rhythm = beats("pause", pause_s=3.0, pause_every_s=30.0, seconds=8.0)
    longest = rhythm.rr_before.nan_to_num().amax(1)
    assert torch.allclose(longest, torch.tensor(3.0), atol=0.1)
    assert (rhythm.atria_s.diff(dim=1).nan_to_num().amax(1) > 2.7).all()
    after = rhythm.origin.gather(1, rhythm.rr_before.nan_to_num().argmax(1, keepdim=True))
    assert set(after.flatten().tolist()) == {SINUS, ESCAPE}


def test_asystole_has_no_beats(beats):
    _, rhythm = beats("asystole", n=2)
    assert not rhythm.beats.any() and torch.isnan(rhythm.atria_s).all()


def test_a_pacemaker_tracks_the_atria_or_keeps_time_without_them(beats):
    _, rhythm = beats("sinus", conduction="paced")
    assert (rhythm.origin[rhythm.beats] == PACED).all() and torch.isfinite(rhythm.p_onset[rhythm.beats]).all()
    _, rhythm = beats("af", conduction="paced")
    assert (rhythm.origin[rhythm.beats] == PACED).all() and torch.isnan(rhythm.p_onset).all()
    assert rhythm.rr_before[rhythm.beats].std() < 0.02
    _, rhythm = beats("wenckebach", conduction="paced")
    assert not any(blocked_after(rhythm, i).any() for i in range(16))


def test_given_peaks_stay_where_they_are(patients):
    drawn = draw_rhythm(patients(2), generator())
    peaks = torch.tensor([[0.0, 0.8, 1.7, 2.4], [0.1, 1.0, 1.9, float("nan")]])
    rhythm = beats_at(drawn, peaks)
    assert torch.equal(rhythm.r_peak.nan_to_num(-1), peaks.nan_to_num(-1))
    assert torch.equal(torch.isfinite(rhythm.p_onset), torch.isfinite(peaks))
    onsets = peaks - 0.18
    onsets[:, 1] = float("nan")
    origin = torch.tensor([[SINUS, VENTRICULAR, SINUS, SINUS]] * 2)
    rhythm = beats_at(drawn, peaks, p_onset=onsets, origin=origin)
    assert torch.equal(rhythm.p_onset.nan_to_num(-1), onsets.nan_to_num(-1))
    assert torch.isfinite(rhythm.atria_s).sum(1).tolist() == [3, 2]
    assert rhythm.ectopic.sum(1).tolist() == [1, 1]
    assert (rhythm.qrs_end - rhythm.q_onset)[0, 1] > 0.119
    assert torch.isnan(beats_at(draw_rhythm(patients(2, "af"), generator()), peaks).p_onset).all()


def test_systolic_intervals_are_those_of_weissler():
    pre, ejection = systolic_intervals(torch.tensor([60 / 70.0]))
    assert pre.item() == pytest.approx(0.103)
    assert ejection.item() == pytest.approx(0.294)


def test_same_seed_same_beats(beats):
    for name in RHYTHMS:
        first, second = (beats(name, n=4)[1].r_peak for _ in range(2))
        assert torch.equal(first.nan_to_num(), second.nan_to_num())


def test_bad_parameters_are_refused(patients):
    who = patients(1)
    with pytest.raises(InputError, match="heart_rate_bpm"):
        draw_rhythm(who, generator(), pulse=70)
    with pytest.raises(InputError, match="between 25 and 220"):
        draw_rhythm(who, generator(), heart_rate_bpm=500)
    with pytest.raises(InputError, match="between 0.1 and 0.6"):
        draw_rhythm(who, generator(), pr_s=2.0)
    with pytest.raises(InputError, match="easy, clinical, uniform"):
        draw_rhythm(who, generator(), prior="hard")
    with pytest.raises(InputError, match="start before the end"):
        beat_times(draw_rhythm(who, generator()), 3.0, 1.0, generator())
