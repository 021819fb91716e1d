"""Hearts at the ends of the range: everything is a number, and one value that is none is found."""

from dataclasses import replace

import pytest
import torch

from echopulse.evaluate.phantom import extremes
from echopulse.phantom import simulate
from echopulse.phantom.limits import LIMITS
from echopulse.phantom.scan import scan


@pytest.fixture(scope="module")
def truth():
    view = ["a4c", "psax_papillary"]
    return simulate(4, frames=3, size=24, seed=3, view=view, leads=1, displacement=True).truth


def test_the_corners_are_the_ends_of_what_is_promised_and_of_what_is_allowed():
    assert len(extremes.CORNERS) == 16
    for name, ends in zip(extremes.PROMISED, zip(*extremes.CORNERS, strict=True), strict=True):
        assert set(LIMITS[name]) | set(extremes.PROMISED[name]) == set(ends)


def test_hearts_at_the_corners_are_numbers_before_rounding(monkeypatch):
    monkeypatch.setattr(extremes, "FRAMES", 2)
    monkeypatch.setattr(extremes, "SIZE", 24)
    farthest = extremes.CORNERS[-1], extremes.CORNERS[8]
    assert extremes.sample_extremes("pac", 2, farthest)["finite"].tolist() == [True, True]


def test_a_picture_that_is_no_number_is_found(monkeypatch):
    def blank(*arguments, **options):
        seen = scan(*arguments, **options)
        seen.frames[1, 0, 12, 12] = torch.nan
        return seen

    monkeypatch.setattr(extremes, "FRAMES", 1)
    monkeypatch.setattr(extremes, "SIZE", 24)
    monkeypatch.setattr(extremes, "scan", blank)
    assert extremes.sample_extremes("sinus", 2, extremes.CORNERS[:2])["finite"].tolist() == [True, False]


def test_a_usual_clip_is_sound_although_beats_that_are_not_there_have_no_times(truth):
    assert truth.gls_per_beat.isnan().any() and extremes.truth_finite(truth).all()


@pytest.mark.parametrize("name", ["volume_ml", "displacement_cm", "ef_per_beat", "es_times_s", "edv_ml"])
def test_one_value_that_is_not_a_number_is_found(truth, name):
    values = getattr(truth, name).clone()
    values[(1, *([0] * (values.ndim - 1)))] = torch.nan
    assert extremes.truth_finite(replace(truth, **{name: values})).tolist() == [True, False, True, True]


def test_an_endless_p_onset_is_found_and_a_missing_one_is_not(truth):
    for value, sound in ((torch.nan, True), (torch.inf, False)):
        onsets = truth.p_onsets_s.clone()
        onsets[2, 0] = value
        assert bool(extremes.truth_finite(replace(truth, p_onsets_s=onsets))[2]) is sound


def test_rows_are_sound_where_all_their_values_are_numbers():
    assert extremes.all_finite(torch.tensor([[1.0, 2.0], [1.0, torch.nan]])).tolist() == [True, False]
    assert extremes.all_finite(torch.tensor([1.0, torch.inf])).tolist() == [True, False]
