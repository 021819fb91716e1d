"""A network finds what there is to know and invents nothing."""

import numpy as np
import pytest
import torch

from echopulse.evaluate.phantom import information
from echopulse.evaluate.phantom.information import beat_features, distance_from_even, explained, predict_held_out

N = 240


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(information, "STEPS", 60)


def truth():
    return 0.15 + 0.6 * torch.rand(N, generator=torch.Generator().manual_seed(0))


def told(ef, ecg, picture):
    return explained(ef[torch.arange(N) % 3 == 0].numpy(), predict_held_out(ef, ecg, picture, 0, 1).numpy())


def test_what_the_features_or_the_pictures_tell_is_learned(quick):
    ef = truth()
    noise = torch.randn(N, 6, generator=torch.Generator().manual_seed(1))
    assert told(ef, torch.cat([noise, ef[:, None]], 1), None) > 0.5
    wide = torch.linspace(-1, 1, 32)[None, None, :].abs() < ef[:, None, None]
    assert told(ef, None, wide.float().expand(-1, 32, -1) * 0.7) > 0.5


def test_features_of_other_hearts_tell_nothing(quick):
    ef = truth()
    shuffled = ef[torch.randperm(N, generator=torch.Generator().manual_seed(2))][:, None].expand(-1, 4)
    assert told(ef, shuffled, None) < 0.1


def test_same_seed_same_guess(quick):
    ef = truth()
    first, second = (predict_held_out(ef, ef[:, None] ** 2, None, 1, 5) for _ in range(2))
    assert torch.equal(first, second)


def test_beats_are_described_by_shape_height_and_rate():
    times = np.arange(0, 6, 0.005)
    peaks = np.arange(0.5, 6, 0.8)
    wave = sum(np.exp(-0.5 * ((times - r) / 0.012) ** 2) for r in peaks)
    one, tall = (beat_features(height * wave[None], 200.0, 0.0, peaks) for height in (1.0, 2.0))
    assert one.dtype == np.float32 and np.isfinite(one).all()
    changed = np.abs(one - tall) > 0.05
    assert changed.sum() == 1  # the height alone
    assert one[-3] == pytest.approx(np.log(0.8), abs=1e-3)
    assert beat_features(wave[None], 200.0, 0.0, np.zeros(0)).shape == one.shape


def test_distances_from_an_even_distribution():
    assert distance_from_even(np.linspace(0.15, 0.75, 1000), 0.15, 0.75) < 0.002
    assert distance_from_even(np.full(10, 0.45), 0.15, 0.75) == pytest.approx(0.5)
    assert explained(np.arange(5.0), np.full(5, 2.0)) == 0
