"""Whole examinations: shapes, seeds, pins, and pictures that agree with the truth."""

import numpy as np
import pytest
import torch

from echopulse.errors import InputError
from echopulse.phantom import draw_phantom, simulate

SMALL = {"frames": 8, "size": 64, "fps": 25.0}


@pytest.fixture(scope="module")
def clips():
    return simulate(3, seed=5, prior="uniform", kind="sinus", heart_rate_bpm=75, ef=0.6, **SMALL)


def test_shapes_types_and_clocks(clips):
    truth = clips.truth
    assert clips.frames.shape == (3, 8, 64, 64) and clips.frames.dtype == torch.uint8
    assert clips.ecg.shape == (3, 2, 464) and clips.ecg.dtype == torch.float32  # 1.6 + 0.32 + 0.4 s at 200 Hz
    assert clips.ecg_times_s[0] == pytest.approx(-1.6) and clips.times_s[0] == 0
    assert truth.lv_mask.shape == (3, 8, 64, 64) and truth.lv_mask.dtype == torch.bool
    assert truth.sector.shape == (3, 64, 64)
    assert truth.volume_ml.shape == truth.mitral_opening.shape == (3, 8)
    assert truth.ed_times_s.shape == truth.es_times_s.shape == truth.ef_per_beat.shape == truth.r_peaks_s.shape
    assert set(truth.view) <= {"a4c", "a2c"} and truth.rhythm == ("sinus",) * 3


def test_truth_holds_the_ejection_fraction_asked_for(clips):
    per_beat = clips.truth.ef_per_beat
    assert (per_beat[torch.isfinite(per_beat)] - 0.6).abs().max() < 0.06


def test_mask_shrinks_with_the_volume():
    clips = simulate(2, seed=1, prior="easy", view="a4c", frames=20, size=64, heart_rate_bpm=75)
    area = clips.truth.lv_mask.float().sum((2, 3))
    for one, volume in zip(area, clips.truth.volume_ml, strict=True):
        assert torch.corrcoef(torch.stack([one, volume]))[0, 1] > 0.97


def test_same_seed_same_examination(clips):
    again = simulate(3, seed=5, prior="uniform", kind="sinus", heart_rate_bpm=75, ef=0.6, **SMALL)
    other = simulate(3, seed=6, prior="uniform", kind="sinus", heart_rate_bpm=75, ef=0.6, **SMALL)
    assert torch.equal(clips.frames, again.frames) and torch.equal(clips.ecg, again.ecg)
    assert not torch.equal(clips.frames, other.frames)


def test_more_leads_leave_heart_and_beats_as_they_are():
    two, twelve = draw_phantom(4, seed=3), draw_phantom(4, seed=3, leads=12)
    assert torch.equal(two.rhythm.heart_rate_bpm, twelve.rhythm.heart_rate_bpm)
    assert torch.equal(two.mechanics.ef, twelve.mechanics.ef)
    assert torch.equal(two.anatomy.length_cm, twelve.anatomy.length_cm)


def test_a_standing_heart_stays_the_same():
    clips = simulate(1, seed=2, prior="easy", kind="asystole", **SMALL)
    assert clips.truth.ef.item() == 0 and torch.isnan(clips.truth.r_peaks_s).all()
    assert (clips.truth.lv_mask == clips.truth.lv_mask[:, :1]).all()


def test_nouns_of_the_other_rooms(clips):
    clip, ecg = clips.clip(1), clips.ecg_of(1)
    assert clip.synthetic and clip.frames.shape == (8, 64, 64) and clip.fps == pytest.approx(25)
    assert ecg.samples.shape == (2, 464) and ecg.rate_hz == 200 and ecg.start_s == pytest.approx(-1.6)
    assert np.array_equal(clip.frames, clips.frames[1].numpy())


def test_wrong_requests_are_refused_in_a_sentence():
    with pytest.raises(InputError, match="no parameter 'hr'.*heart_rate_bpm"):
        simulate(1, hr=70)
    with pytest.raises(InputError, match="at least one"):
        simulate(0)
    with pytest.raises(InputError, match="plax"):
        simulate(1, view="plax")
