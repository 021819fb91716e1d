"""Samples with pictures and recordings hold what their rows are made of."""

import numpy as np
import pytest

from echopulse.errors import InputError
from echopulse.evaluate.phantom import check, figures, pictures, recordings
from echopulse.evaluate.phantom.information import LEADS


def test_pictures_and_envelopes_make_their_rows():
    found = pictures.sample_pictures(2, seed=1)
    assert found["mean"].shape == found["neighbour"].shape == (2,) and found["finite"].all()
    assert found["counts"].sum() == 2 * pictures.FRAMES * 128 * 128
    assert np.median(found["pair"]) <= 0.5  # the check's own bar
    rows = figures.picture_rows(found, pictures.sample_envelope(4, seed=1))
    assert {row.area for row in rows} == {"image"}
    assert {row.name: row.value for row in rows}["envelope.ratio"] == pytest.approx(1.91, abs=0.06)


def test_two_planes_of_one_heart_give_its_volume():
    study = pictures.sample_study(2, seed=2)
    assert study["biplane"].shape == study["single"].shape == (2, pictures.STUDY_FRAMES)
    assert np.percentile(study["biplane"], 95) <= 0.02 and np.abs(study["ef"]).max() <= 1.5  # the check's own bars
    assert figures.volume_rows(study, pictures.sample_round(1, seed=2))


def test_recordings_make_their_rows():
    leads, found = recordings.sample_leads(3, seed=3), recordings.sample_detection(2, seed=3)
    assert np.nanpercentile(leads["narrow"], 95) <= 0.010 and found["clean"].shape == (2, 4)  # the check's own bar
    rhythms = recordings.sample_rhythms(14, seed=3)
    assert rhythms["clean"].shape == (14, 4) and sorted(rhythms["rhythm"]) == [0, 1, 2, *range(4, 15)]
    assert all(row.area == "ECG" for row in figures.recording_rows(leads, found, rhythms))


def test_an_examination_has_an_ejection_fraction_features_and_one_picture():
    made = recordings.sample_examinations(3, seed=4)
    assert len(made["ef"]) == len(made["ecg"]) == len(made["picture"]) >= 2
    assert np.isfinite(made["ecg"]).all() and made["ecg"].shape[1] > 2 * len(LEADS)
    assert made["picture"].shape[1:] == (recordings.PICTURE, recordings.PICTURE) and made["picture"].max() > 0


def test_the_plan_draws_every_heart_once_and_no_seed_twice():
    plan = check._plan(25, seed=3)
    for name in ("pictures", "study", "muscle", "events"):
        assert sum(arguments[0] for _, arguments in plan[name]) == 25, name
    seeds = [arguments[1] for sample in plan.values() for _, arguments in sample]
    assert len(set(seeds)) == len(seeds)


def test_a_part_is_told_complete_with_its_last_step():
    told = []
    steps = check._Steps(lambda share, complete: told.append((round(share, 2), complete)), {"events": 3, "even": 1})
    for part in ("events", "even", "events", "events"):
        steps.one(part)
    assert told == [(0.25, None), (0.5, "even"), (0.75, None), (1.0, "events")]


def test_too_few_clips_are_refused():
    with pytest.raises(InputError, match="at least 10"):
        check.check_phantom(3)
