"""The beats come when the rhythm says."""

import pytest
import torch

from echopulse.errors import InputError
from echopulse.phantom.rhythm.timing import KINDS, WARM_UP_BEATS, beat_times, draw_rhythm, systolic_intervals


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


STEADY = {"respiration_swing": 0.0, "slow_swing": 0.0, "rr_jitter": 0.0}


def test_steady_sinus_rhythm_beats_at_its_rate():
    drawn = draw_rhythm(3, generator(), kind="sinus", heart_rate_bpm=[45.0, 75.0, 140.0], **STEADY)
    rr = beat_times(drawn, -1.6, 3.0, generator()).r_peak.diff(dim=1)
    for row, rate in zip(rr, (45, 75, 140), strict=True):
        steady = row[torch.isfinite(row)]
        assert torch.allclose(steady, torch.full_like(steady, 60 / rate), atol=1e-4)


@pytest.mark.parametrize("kind", ["sinus", "af", "pvc"])
def test_beats_cover_the_span_with_warm_up(kind):
    rhythm = beat_times(draw_rhythm(64, generator(1), kind=kind), -1.6, 3.0, generator(2))
    assert ((rhythm.r_peak < -1.6).sum(1) >= WARM_UP_BEATS).all()
    assert ((rhythm.r_peak > 3.0).sum(1) >= 1).all()
    beats = rhythm.beats
    gaps = rhythm.r_peak.diff(dim=1)[beats[:, 1:]]
    assert (gaps > 0.3).all()
    assert torch.allclose(gaps, rhythm.rr_before[:, 1:][beats[:, 1:]], atol=1e-4)


def test_waves_follow_each_other():
    rhythm = beat_times(draw_rhythm(64, generator(3), kind="sinus"), -1.6, 3.0, generator(4))
    b = rhythm.beats
    order = (rhythm.p_onset, rhythm.q_onset, rhythm.r_peak, rhythm.qrs_end, rhythm.t_peak, rhythm.t_end)
    for earlier, later in zip(order, order[1:], strict=False):
        assert (earlier[b] < later[b]).all()


def test_fibrillation_has_no_p_wave_and_is_irregular():
    rhythm = beat_times(draw_rhythm(64, generator(5), kind="af"), 0.0, 20.0, generator(6))
    assert torch.isnan(rhythm.p_onset).all()
    rr = rhythm.rr_before
    spread = torch.stack([row[torch.isfinite(row)].std() / row[torch.isfinite(row)].mean() for row in rr])
    assert 0.12 < spread.mean() < 0.32


def test_ectopics_come_early_without_p_and_pause_follows():
    drawn = draw_rhythm(32, generator(7), kind="pvc", heart_rate_bpm=70, ectopic_pause=2.0, **STEADY)
    rhythm = beat_times(drawn, 0.0, 10.0, generator(8))
    k = rhythm.ectopic[:, 1:-1].nonzero(as_tuple=True)
    before, after = rhythm.rr_before[:, 1:-1][k], rhythm.rr_before[:, 2:][k]
    seen = torch.isfinite(after)
    assert seen.sum() > 30
    assert (before[seen] < 0.75 * 60 / 70).all()
    assert torch.allclose(before[seen] + after[seen], torch.tensor(2 * 60 / 70), atol=1e-3)
    assert torch.isnan(rhythm.p_onset[rhythm.ectopic]).all()
    width = rhythm.qrs_end - rhythm.q_onset
    assert (width[rhythm.ectopic] >= 0.119).all()


def test_asystole_has_no_beats():
    rhythm = beat_times(draw_rhythm(2, generator(), kind="asystole"), 0.0, 3.0, generator())
    assert not rhythm.beats.any()


def test_mix_of_rhythms():
    kinds = draw_rhythm(4000, generator(9)).kind
    shares = torch.bincount(kinds, minlength=len(KINDS)) / 4000
    assert torch.allclose(shares, torch.tensor([0.62, 0.20, 0.14, 0.04]), atol=0.03)


def test_systolic_intervals_are_those_of_weissler():
    pre, ejection = systolic_intervals(torch.tensor([60 / 70.0]))
    assert pre.item() == pytest.approx(0.103)
    assert ejection.item() == pytest.approx(0.294)


def test_same_seed_same_beats_and_unknown_names_are_refused():
    first, second = (beat_times(draw_rhythm(4, generator(3)), 0, 3, generator(4)).r_peak for _ in range(2))
    assert torch.equal(first.nan_to_num(), second.nan_to_num())
    with pytest.raises(InputError, match="heart_rate_bpm"):
        draw_rhythm(1, generator(), pulse=70)
    with pytest.raises(InputError, match="sinus, af, pvc, asystole"):
        draw_rhythm(1, generator(), kind="flutter")
    with pytest.raises(InputError, match="easy, clinical, uniform"):
        draw_rhythm(1, generator(), prior="hard")
