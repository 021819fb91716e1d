"""What picture and ECG tell of the EF: a regression that finds what is there and no more, and the figures from it."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from echopulse.errors import InputError
from echopulse.evaluate import ceiling
from echopulse.evaluate.ceiling import ceiling_scores, looked_and_heard, pictures_and_ecgs, regress
from echopulse.measure.segmenter import Segmenter, SegmenterConfig


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def explained(true: torch.Tensor, found: torch.Tensor) -> float:
    return float(1 - (true - found).square().mean() / true.var(correction=0))


def test_what_the_features_tell_is_found_bent_or_straight():
    features = torch.randn(300, 6, generator=rng())
    values = 0.3 * features[:, 0] + 0.2 * torch.sin(2 * features[:, 1])
    assert explained(values[200:], regress(features[:200], values[:200], features[200:])) > 0.9


def test_of_what_they_do_not_tell_the_mean_is_said():
    features, values = torch.randn(300, 6, generator=rng()), torch.rand(300, generator=rng(1))
    said = regress(features[:200], values[:200], features[200:])
    assert abs(explained(values[200:].double(), said)) < 0.15 and float(said.std()) < 0.1


def test_features_that_never_change_are_left_out():
    features = torch.cat([torch.randn(100, 3, generator=rng()), torch.full((100, 2), 7.0)], 1)
    said = regress(features[:80], features[:80, 0], features[80:])
    assert said.isfinite().all() and explained(features[80:, 0].double(), said) > 0.8


def test_a_measurer_that_reads_no_volumes_is_refused_in_one_sentence(hearts):
    pulse = SimpleNamespace(segmenter=Segmenter(SegmenterConfig(size=32, channels=(8, 8))), device="cpu")
    with pytest.raises(InputError, match="looks through a measurer that reads volumes, which this one does not"):
        looked_and_heard(pulse, hearts[0])


def test_generated_loops_are_held_against_the_regressor(monkeypatch, obedient, hearts):
    monkeypatch.setattr(ceiling, "looked_and_heard", lambda _, heart: torch.tensor([heart.ef, heart.ef**2]))
    told: list[float] = []
    teachers = [hearts[number % 4] for number in range(24)]
    scores = ceiling_scores(obedient, None, hearts, teachers, None, told.append).scores
    assert scores["ceiling.generated.r2"] > 0.95 and scores["ceiling.regressor.r2"] > 0.95 and told[-1] == 1
    assert scores["ceiling.share"] == pytest.approx(1, abs=0.06)
    assert scores["ceiling.generated.rmse_over_sd"] == pytest.approx(
        scores["ceiling.generated.rmse"] / np.std([heart.ef for heart in hearts])
    )
    assert scores["ceiling.generated.mae.n"] == 4 and scores["ceiling.generated.mae.missing"] == 0


def test_the_better_of_regressor_and_expectation_is_the_ceiling(monkeypatch, obedient, hearts):
    monkeypatch.setattr(ceiling, "looked_and_heard", lambda _, heart: torch.tensor([1.0 + heart.seed, 0.0]))
    monkeypatch.setattr(ceiling, "expected_of", lambda _, heart: (heart.ef + 0.01, 0.02 if heart.seed else 0.005))
    teachers = [hearts[number % 4] for number in range(24)]
    scores = ceiling_scores(obedient, None, hearts, teachers, object()).scores
    spread = np.var([heart.ef for heart in hearts])
    assert scores["ceiling.expected.r2"] == pytest.approx(1 - 1e-4 / spread)
    best = max(scores["ceiling.expected.r2"], scores["ceiling.regressor.r2"])
    assert scores["ceiling.share"] == pytest.approx(scores["ceiling.generated.r2"] / best)
    assert scores["ceiling.expected.within_sd"] == pytest.approx(0.75)


def test_hearts_of_two_frames_have_picture_ecg_and_ef_and_beat():
    hearts = pictures_and_ecgs(4, 5, size=32, fps=25.0)
    assert hearts and all(len(heart.frames) == 2 and 0.1 < heart.ef < 0.8 and heart.moving for heart in hearts)
    again = pictures_and_ecgs(8, 5, size=32, fps=25.0)
    assert torch.equal(hearts[0].frames, again[0].frames) and len(again) > len(hearts)
