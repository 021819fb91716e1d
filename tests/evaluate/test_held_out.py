"""A generator that knows the truth scores perfectly, one that is deaf does not."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from echopulse.errors import InputError
from echopulse.evaluate.hearts import held_out_hearts, wide_volumes
from echopulse.evaluate.held_out import (
    Heart,
    ef_scores,
    hearts_of,
    measured_ef,
    simulate_held_out,
    timing_scores,
)
from echopulse.evaluate.identity import hash_of_hearts


def real(bench, hearts: list[Heart]):
    return [bench.look(heart, heart.frames.numpy(), heart.spacing_cm) for heart in hearts]


def test_an_oracle_scores_perfectly(obedient, hearts):
    steps = []
    results = timing_scores(obedient, hearts, real(obedient, hearts), steps.append)
    scores = results.scores
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
    behind = results.columns
    for key in ("first_image.ed_ms", "ecg_alone.es_ms"):
        assert np.median(np.abs(behind[key])) == pytest.approx(scores[f"{key}.median_abs"])
    assert np.mean(np.abs(behind["first_image.ef_mae"])) == pytest.approx(scores["first_image.ef_mae"])
    assert behind["first_image.ef_true"] == [heart.ef for heart in hearts]


def test_every_kind_of_heart_has_its_own_figures(obedient, hearts):
    kinds = [replace(h, rhythm="af" if n % 2 else "sinus") for n, h in enumerate(hearts)]
    scores = timing_scores(obedient, kinds, real(obedient, kinds)).scores
    counts = {name: scores[f"by.{name}.n"] for name in ("view.a4c", "rhythm.sinus", "rhythm.af")}
    assert counts["view.a4c"] == len(kinds) == counts["rhythm.sinus"] + counts["rhythm.af"]
    for name in (*counts, "rate.low", "rate.high", "ef.low", "ef.middle", "ef.high"):
        assert scores[f"by.{name}.ed_ms.median_abs"] <= 1 and scores[f"by.{name}.r"] == pytest.approx(1, abs=1e-4)
    thirds = [scores[f"by.ef.{word}.n"] for word in ("low", "middle", "high")]
    assert sum(thirds) == len(kinds)


def test_clips_that_are_there_already_are_judged_as_they_are(obedient, hearts):
    asked = []

    def generate(ecg, begin_s, frames, **conditions):
        asked.append(conditions["ef"])
        return obedient.generate(ecg, begin_s, frames, **conditions)

    bench, measured = replace(obedient, generate=generate), real(obedient, hearts)
    imaged = {heart.seed: obedient.show(heart, heart.ecg) for heart in hearts}
    alone = {heart.seed: obedient.show(heart, heart.ecg, image=False) for heart in hearts}
    given = timing_scores(bench, hearts, measured, imaged=imaged, alone=alone).scores
    assert None not in asked  # only clips with an EF were made
    assert given == pytest.approx(timing_scores(obedient, hearts, measured).scores, nan_ok=True)


def test_a_deaf_generator_is_at_chance_and_ignores_the_ef(deaf, hearts):
    scores = timing_scores(deaf, hearts, real(deaf, hearts)).scores
    assert scores["first_image.es_ms.median_abs"] > 70
    assert scores["first_image.es_ms.median_abs"] > 0.5 * scores["chance.es_ms.median_abs"]
    assert scores["ef_asked.difference"] == pytest.approx(0, abs=0.01)
    assert scores["reconstruction.es_ms.median_abs"] <= 1


def test_clips_in_which_nothing_is_found_are_counted(obedient, hearts):
    blind = obedient.look(hearts[0], hearts[0].frames.numpy(), 0.1)
    blind.volumes[:] = np.nan
    blind = type(blind)(**{**vars(blind), "ef_per_beat": np.zeros(0), "masks": np.zeros_like(blind.masks)})
    assert np.isnan(measured_ef(blind))
    scores = ef_scores(hearts, [blind, *real(obedient, hearts[1:])])
    assert scores["ef_mae.missing"] == 1 and scores["ef_mae.n"] == 3 and scores["ef_mae"] <= 0.03


def test_hearts_take_the_truth_from_the_simulator():
    made = simulate_held_out(2, seed=5, size=32, rhythm=("sinus", "asystole"))
    beating, standing = hearts_of(made, first=40)
    assert (beating.seed, standing.seed) == (40, 41)
    assert beating.moving and not standing.moving and standing.cycles == [] and standing.ef == 0
    assert beating.frames.shape == (65, 32, 32) and beating.masks.shape == (65, 32, 32)
    assert 0.05 < beating.ef < 0.85
    assert beating.ecg_start_s == pytest.approx(-2.6)
    falls = 1 - beating.volume_ml.min() / beating.volume_ml.max()
    assert falls == pytest.approx(beating.ef, abs=0.08)
    assert beating.ecg.shape[0] == 2 and beating.other_lead.shape == (1, beating.ecg.shape[1])
    assert beating.leads == made.lead_names[0][:2] and standing.leads == made.lead_names[1][:2]
    assert beating.other_lead_name == made.lead_names[0][2]
    assert torch.equal(beating.other_lead[0], made.ecg[0, 2])
    # the same beats before, in and after the clip
    assert beating.true_volume(beating.times_s) == pytest.approx(beating.volume_ml, rel=0.01)
    assert wide_volumes(made, beating.times_s)[0] == pytest.approx(beating.volume_ml, rel=1e-5)
    assert np.isfinite(beating.true_volume(np.array([-1.2, 4.1]))).all()
    assert np.isnan(beating.true_volume(np.array([-5.0]))).all()


def test_a_heart_is_the_same_however_many_there_are():
    three, five = (held_out_hearts(n, 990_000, seconds=0.2, size=16, ecg_rate_hz=50.0) for n in (3, 5))
    assert [heart.seed for heart in five] == list(range(5))
    assert hash_of_hearts(three) == hash_of_hearts(five[:3]) != hash_of_hearts(five[1:4])


@pytest.mark.parametrize(("clips", "seconds"), [(0, 2.0), (3, 0.1), (3, float("nan"))])
def test_too_few_or_too_short_clips_are_refused(clips, seconds):
    with pytest.raises(InputError, match="at least one of five frames is needed"):
        held_out_hearts(clips, 990_000, seconds=seconds)
