"""A generator that knows the truth scores perfectly, one that is deaf does not."""

import numpy as np
import pytest

from echopulse.evaluate.held_out import (
    Heart,
    dice,
    hearts_of,
    measured_ef,
    measurer_scores,
    simulate_held_out,
    timing_scores,
)


def real(bench, hearts: list[Heart]):
    return [bench.look(heart, heart.frames.numpy(), heart.spacing_cm) for heart in hearts]


def test_an_oracle_scores_perfectly(obedient, hearts):
    steps = []
    scores = timing_scores(obedient, hearts, real(obedient, hearts), steps.append)
    for condition in ("real_frames", "reconstruction", "first_image", "ecg_alone"):
        assert scores[f"{condition}.ed_ms.median_abs"] <= 1
        assert scores[f"{condition}.es_ms.median_abs"] <= 1
        assert scores[f"{condition}.ed_ms.n"] >= 6 and scores[f"{condition}.ed_ms.missing"] == 0
        assert scores[f"{condition}.r"] == pytest.approx(1, abs=1e-4)
        assert scores[f"{condition}.ef_mae"] <= 0.03
        assert scores[f"{condition}.r_with_maximum"] == scores[f"{condition}.beats_with_minimum"] == 1
        assert scores[f"{condition}.rate_difference_bpm"] <= 2
    assert scores["ef_asked.difference"] == pytest.approx(0.4, abs=0.03)
    assert scores["ed_minus_r_ms.median"] == pytest.approx(scores["truth.ed_minus_r_ms.median"], abs=1)
    assert steps == sorted(steps) and steps[-1] == 1


def test_a_deaf_generator_is_at_chance_and_ignores_the_ef(deaf, hearts):
    scores = timing_scores(deaf, hearts, real(deaf, hearts))
    assert scores["first_image.es_ms.median_abs"] > 70
    assert scores["first_image.es_ms.median_abs"] > 0.5 * scores["chance.es_ms.median_abs"]
    assert scores["ef_asked.difference"] == pytest.approx(0, abs=0.01)
    assert scores["reconstruction.es_ms.median_abs"] <= 1


def test_a_perfect_measurer_scores_perfectly(obedient, hearts):
    scores = measurer_scores(hearts, real(obedient, hearts))
    assert scores["dice"] == 1 and scores["dice.n"] == 4 * 65
    assert scores["ef_mae"] <= 0.03 and scores["ef_mae.missing"] == 0
    assert scores["volume_mae_ml"] <= 0.01
    assert np.isnan(scores["standing_ef"]) and scores["standing_ef.n"] == 0


def test_clips_in_which_nothing_is_found_are_counted(obedient, hearts):
    blind = obedient.look(hearts[0], hearts[0].frames.numpy(), 0.1)
    blind.volumes[:] = np.nan
    blind = type(blind)(**{**vars(blind), "ef_per_beat": np.zeros(0), "masks": np.zeros_like(blind.masks)})
    assert np.isnan(measured_ef(blind))
    scores = measurer_scores(hearts, [blind, *real(obedient, hearts[1:])])
    assert scores["ef_mae.missing"] == 1 and scores["ef_mae.n"] == 3
    assert scores["volume_mae_ml.missing"] == 65
    assert scores["dice"] == pytest.approx(0.75)


def test_overlap_by_hand():
    a = np.zeros((3, 2, 4), bool)
    b = a.copy()
    a[0, 0], b[0, :, :2] = True, True  # 4 and 4 pixels, 2 in common
    a[1, 0] = True
    assert dice(a, b).tolist() == [0.5, 0.0, 1.0]


def test_hearts_take_the_truth_from_the_simulator():
    made = simulate_held_out(2, seed=5, size=32, rhythm=("sinus", "asystole"))
    beating, standing = hearts_of(made)
    assert beating.moving and not standing.moving and standing.cycles == [] and standing.ef == 0
    assert beating.frames.shape == (65, 32, 32) and beating.masks.shape == (65, 32, 32)
    assert 0.05 < beating.ef < 0.85
    assert beating.ecg_start_s == pytest.approx(-2.6)
    falls = 1 - beating.volume_ml.min() / beating.volume_ml.max()
    assert falls == pytest.approx(beating.ef, abs=0.08)
