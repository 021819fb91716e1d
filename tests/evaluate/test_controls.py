"""The controls tell a heart that obeys its ECG from one that does not."""

import numpy as np
import pytest

from echopulse.evaluate.controls import control_scores, half_a_beat, shifted_errors
from echopulse.evaluate.keys import verdict
from echopulse.evaluate.timing import summarize

BARRED = ("flat.ef", "shifted.ed_ms.median_abs", "donor.r_donor")


def verdicts(scores: dict) -> dict[str, bool]:
    under = {f"controls.{key}": value for key, value in scores.items()}
    return {key: verdict(f"controls.{key}", under) for key in BARRED}


def test_a_heart_that_obeys_passes(obedient, hearts):
    scores = control_scores(obedient, hearts)
    assert all(verdicts(scores).values()), scores
    assert scores["flat.ef.largest"] == pytest.approx(0, abs=1e-9) and scores["flat.ef.n"] == 4
    assert scores["shifted.ed_ms.median_abs"] <= 2
    assert scores["shifted.unshifted.ed_ms.median_abs"] > 60
    assert scores["donor.r_donor"] == pytest.approx(1, abs=0.01)
    assert scores["donor.r_own"] == pytest.approx(scores["donor.r_between_truths"], abs=0.03)
    assert scores["same.identical"] == 1
    assert np.isnan(scores["none.r"]) and scores["none.r.missing"] == 4  # it stands still, and that is not hidden


def test_a_deaf_heart_fails_visibly(deaf, hearts):
    scores = control_scores(deaf, hearts)
    assert scores["flat.ef"] == pytest.approx(0.55, abs=0.03)
    assert not verdicts(scores)["flat.ef"]
    assert not verdicts(scores)["donor.r_donor"]
    assert scores["shifted.es_ms.median_abs"] > 70


def test_a_heart_that_answers_another_way_each_time_is_found_out(obedient, hearts):
    frames = iter(range(1000))
    fickle = type(obedient)(
        lambda ecg, begin, count, **_: np.full((count, 1, 2), next(frames) % 251, np.uint8), None, obedient.measure
    )
    assert control_scores(fickle, hearts)["same.identical"] == 0


@pytest.mark.parametrize("late", [-3, 0, 2])
def test_a_known_error_beside_the_shift_is_found(obedient, hearts, late):
    heart = hearts[0]
    frames = half_a_beat(heart)
    assert frames == round(0.5 * 60 / 72 * 25)
    shift_s = (frames + late) / 25
    errors = shifted_errors(heart, obedient.beat(heart, heart.ecg, shift_s=shift_s, image=False), frames)
    assert summarize(errors.es_ms)["median"] == pytest.approx(40 * late, abs=8)
    assert len(errors.ed_ms) >= 1
