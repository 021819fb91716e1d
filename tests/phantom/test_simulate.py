"""Whole examinations: shapes, seeds, pins, studies, and pictures that agree with the truth."""

import math
from dataclasses import fields

import numpy as np
import pytest
import torch

from echopulse.errors import InputError
from echopulse.phantom import draw_phantom, simulate, simulate_study
from echopulse.phantom.limits import LIMITS
from echopulse.phantom.parameters import STAGES
from echopulse.phantom.priors import NAMES
from echopulse.phantom.types import LABELS, ORIGINS, VIEWS

SMALL = {"frames": 8, "size": 64, "fps": 25.0}
STEADY = {"rhythm": "sinus", "conduction": "normal", "heart_rate_bpm": 75, "ef": 0.6}


@pytest.fixture(scope="module")
def clips():
    return simulate(3, seed=5, prior="uniform", view=["a4c", "plax"], displacement=True, **STEADY, **SMALL)


def test_shapes_types_and_clocks(clips):
    truth = clips.truth
    assert clips.frames.shape == (3, 8, 64, 64) and clips.frames.dtype == torch.uint8
    assert clips.ecg.shape == (3, 2, 464) and clips.ecg.dtype == torch.float32  # 1.6 + 0.32 + 0.4 s at 200 Hz
    assert clips.ecg_times_s[0] == pytest.approx(-1.6) and clips.times_s[0] == 0
    assert truth.labels.shape == (3, 8, 64, 64) and int(truth.labels.max()) < len(LABELS)
    assert truth.lv_mask.dtype == torch.bool and truth.sector.shape == (3, 64, 64)
    assert truth.volume_ml.shape == truth.mitral_opening.shape == truth.lv_length_cm.shape == (3, 8)
    beats = truth.r_peaks_s.shape
    assert truth.ed_times_s.shape == truth.es_times_s.shape == truth.ef_per_beat.shape == truth.origin.shape == beats
    assert truth.displacement_cm.shape == (3, 8, 64, 64, 2)
    assert set(truth.view) <= {"a4c", "plax"} and truth.rhythm == ("sinus",) * 3


def test_truth_holds_the_ejection_fraction_asked_for(clips):
    per_beat = clips.truth.ef_per_beat
    assert (per_beat[torch.isfinite(per_beat)] - 0.6).abs().max() < 0.03


def test_a_strong_heart_keeps_its_ejection_fraction_at_a_high_rate():
    strong = STEADY | {"heart_rate_bpm": 120, "ef": 0.7}
    per_beat = simulate(3, seed=5, prior="uniform", view="a4c", frames=2, size=24, leads=1, **strong).truth.ef_per_beat
    assert (per_beat[torch.isfinite(per_beat)] - 0.7).abs().max() < 0.03


def test_a_beating_heart_shortens_and_its_annulus_comes_down(clips):
    strain, descent = clips.truth.gls_per_beat, clips.truth.mapse_cm_per_beat
    assert torch.equal(strain.isfinite(), clips.truth.ed_times_s.isfinite())
    assert -0.30 < strain.nanmean() < -0.10 and 0.7 < descent.nanmean() < 2.2


def test_displacement_counts_from_the_first_frame(clips):
    moved = clips.truth.displacement_cm.norm(dim=-1)
    assert not moved[:, 0].any() and moved[:, 7, 16:48, 16:48].max() > 0.1


@pytest.mark.parametrize("view", VIEWS)
def test_nothing_has_moved_in_the_first_frame_wherever_the_heart_is_in_its_beat(view):
    clips = simulate(2, seed=1, view=view, frames=2, size=32, displacement=True, heart_rate_bpm=[60, 130])
    assert not clips.truth.displacement_cm[:, 0].any() and clips.truth.displacement_cm[:, 1].any()


def test_mask_shrinks_with_the_volume():
    clips = simulate(2, seed=1, prior="easy", view="a4c", frames=20, size=64, heart_rate_bpm=75)
    area = clips.truth.lv_mask.float().sum((2, 3))
    for one, volume in zip(area, clips.truth.volume_ml, strict=True):
        assert torch.corrcoef(torch.stack([one, volume]))[0, 1] > 0.97


def test_same_seed_same_examination(clips):
    options = {"prior": "uniform", "view": ["a4c", "plax"], **STEADY, **SMALL}
    again, other = simulate(3, seed=5, **options), simulate(3, seed=6, **options)
    assert torch.equal(clips.frames, again.frames) and torch.equal(clips.ecg, again.ecg)
    assert not torch.equal(clips.frames, other.frames)


def test_more_leads_or_another_view_leave_heart_and_beats_as_they_are():
    two, twelve = draw_phantom(4, seed=3), draw_phantom(4, seed=3, leads=12, view="psax")
    assert torch.equal(two.rhythm.heart_rate_bpm, twelve.rhythm.heart_rate_bpm)
    assert torch.equal(two.mechanics.ef, twelve.mechanics.ef)
    assert torch.equal(two.anatomy.length_cm, twelve.anatomy.length_cm)


def test_all_views_come_where_none_is_asked_for():
    assert set(draw_phantom(60, seed=0).probe.view.tolist()) == set(range(len(VIEWS)))


def test_a_study_shows_one_heart_at_the_same_times():
    study = simulate_study(2, views=("a4c", "plax", "psax"), seed=4, frames=3, size=32)
    volumes = [clips.truth.volume_ml for clips in study.values()]
    assert all(torch.equal(volume, volumes[0]) for volume in volumes)
    assert not torch.equal(study["a4c"].frames, study["plax"].frames)
    assert study["psax"].truth.view == ("psax_papillary",) * 2
    assert study["psax"].truth.gls_per_beat.isnan().all()


def test_hearts_follow_the_beats_they_are_given():
    peaks = torch.tensor([0.30, 1.00, 1.35, 2.30])
    clips = simulate(1, view="a4c", seconds=2.4, size=32, r_peaks_s=peaks, rhythm="af", conduction="normal", seed=1)
    found = clips.truth.r_peaks_s[0]
    assert all((found - peak).abs().nan_to_num(9.0).min() < 1e-4 for peak in peaks)
    largest = [float(time) for time in clips.truth.ed_times_s[0] if 0 < time < 2.4]
    assert len(largest) == 4


def test_given_beats_begin_where_they_are_said_to():
    names = ["sinus", "ventricular", "sinus", "atrial"]
    given = {"r_peaks_s": torch.tensor([0.3, 0.8, 1.9, 2.5]), "origins": names, "conduction": "normal", "ef": 0.6}
    truth = simulate(2, view="a4c", frames=1, size=16, seed=1, **given).truth
    for i in range(2):
        assert [ORIGINS[k] for k in truth.origin[i, -4:]] == names and set(truth.origin[i, :-4].tolist()) == {0}
        assert truth.p_onsets_s[i, -3].isnan() and truth.p_onsets_s[i, -2].isfinite()
        assert truth.ef_per_beat[i, -3] < 0.8 * truth.ef_per_beat[i, -4]
    indices = torch.tensor([ORIGINS.index(name) for name in names]).expand(2, -1)
    again = simulate(2, view="a4c", frames=1, size=16, seed=1, **given | {"origins": indices})
    assert torch.equal(again.truth.origin, truth.origin)


def test_a_study_follows_given_beats_as_one_clip_does():
    given = {"r_peaks_s": torch.tensor([0.1, 0.9, 1.4]), "p_onsets_s": torch.tensor([-0.06, 0.74, torch.nan]),
             "origins": ("sinus", "sinus", "ventricular"), "seed": 3, **SMALL}  # fmt: skip
    study = simulate_study(1, views=("a4c", "plax"), **given)
    for view, clips in study.items():
        one = simulate(1, view=view, **given)
        assert torch.equal(clips.frames, one.frames) and torch.equal(clips.ecg, one.ecg)
        assert torch.equal(clips.truth.r_peaks_s[:, -3:], given["r_peaks_s"][None])


def test_beats_that_do_not_rise_are_refused():
    with pytest.raises(InputError, match="rising times"):
        simulate(1, r_peaks_s=torch.tensor([1.0, 0.5]), **SMALL)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"origins": ["sinus"]}, "give their r_peaks_s too"),
        ({"p_onsets_s": torch.zeros(2)}, "give their r_peaks_s too"),
        ({"r_peaks_s": [0.1, 0.9], "origins": ["sinus"]}, r"origins of shape \[1\] for beats \[1, 2\]"),
        ({"r_peaks_s": [0.1, 0.9], "p_onsets_s": [0.0]}, "P onsets of shape"),
        ({"r_peaks_s": [0.1], "origins": ["liver"]}, "origin 'liver' is unknown; choose one of sinus, atrial"),
        ({"r_peaks_s": [0.1], "origins": torch.tensor([9])}, "origin 9 is unknown; choose one of sinus"),
    ],
)
def test_beats_that_do_not_fit_together_are_refused(wrong, told):
    for make in (simulate, simulate_study):
        with pytest.raises(InputError, match=told):
            make(1, **SMALL, **wrong)


def test_a_standing_heart_stays_the_same():
    clips = simulate(1, seed=2, prior="easy", rhythm="asystole", **SMALL)
    assert clips.truth.ef.item() == 0 and torch.isnan(clips.truth.r_peaks_s).all()
    assert (clips.truth.lv_mask == clips.truth.lv_mask[:, :1]).all()


def test_every_parameter_of_a_clip_has_a_name_and_a_plain_value(clips):
    named = clips.parameters.of(1)
    assert named["patients.rhythm"] == "sinus" and named["patients.ef"] == pytest.approx(0.6)
    assert named["probe.view"] in ("a4c", "plax") and math.isfinite(named["scanner.gain_db"])


def test_every_number_that_can_be_pinned_has_limits_and_is_drawn_within_them():
    drawn = draw_phantom(200, seed=1)
    for stage in STAGES:
        for field in fields(STAGES[stage]):
            values = getattr(getattr(drawn, stage), field.name)
            if field.name not in (*NAMES, "lead") and torch.is_tensor(values):
                low, high = LIMITS[field.name]
                assert low - 1e-6 <= float(values.min()) and float(values.max()) <= high + 1e-6, field.name


def test_nouns_of_the_other_rooms(clips):
    clip, ecg = clips.clip(1), clips.ecg_of(1)
    assert clip.synthetic and clip.frames.shape == (8, 64, 64) and clip.fps == pytest.approx(25)
    assert ecg.samples.shape == (2, 464) and ecg.rate_hz == 200 and ecg.start_s == pytest.approx(-1.6)
    assert ecg.leads == clips.lead_names[1]
    assert np.array_equal(clip.frames, clips.frames[1].numpy())


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"hr": 70}, "no parameter 'hr'.*heart_rate_bpm"),
        ({"ef": 0.9}, "between 0.03 and 0.86"),
        ({"heart_rate_bpm": 500}, "between 25 and 220"),
        ({"depth_cm": 2}, "between 6 and 30"),
        ({"rhythm": "polka"}, "polka.*sinus, af"),
        ({"view": "subcostal"}, "subcostal.*a4c"),
        ({"lead": 1}, "leads by name or number"),
        ({"leads": ["II", "X9"]}, "X9"),
        ({"n": 0}, "at least one"),
        ({"fps": 0.0}, "frames/s"),
        ({"size": 4}, "16 to 1024"),
    ],
)
def test_wrong_requests_are_refused_in_a_sentence(wrong, told):
    with pytest.raises(InputError, match=told):
        simulate(**{"n": 1, **SMALL} | wrong)
