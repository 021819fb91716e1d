"""What a picture and an ECG let expect of the EF: learned from examples, with a spread that is true."""

import pytest
import torch

from echopulse.measure import Segmenter, SegmenterConfig
from echopulse.measure.expected_ef import EfExpectation, features_of, look_at_pictures
from echopulse.model.ecg_encoder import Memory


def taught(features: torch.Tensor, ef: torch.Tensor, steps: int = 300) -> EfExpectation:
    torch.manual_seed(0)
    network = EfExpectation(features.shape[1], 16, 3)
    network.set_scale(features)
    optimizer = torch.optim.Adam(network.parameters(), 0.01)
    for _ in range(steps):
        mean, sd = network.members(features)
        loss = (sd.log() + (ef - mean).square() / (2 * sd.square())).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network.eval()


def test_what_features_tell_is_expected_and_what_they_do_not_is_in_the_spread():
    draw = torch.Generator().manual_seed(1)
    features = torch.randn(1200, 5, generator=draw)
    noise = torch.where(features[:, 1] > 0, 0.12, 0.02) * torch.randn(1200, generator=draw)
    ef = 0.45 + 0.1 * torch.tanh(features[:, 0]) + noise
    network = taught(features[:800], ef[:800]).requires_grad_(False)
    found = network(features[800:])
    wide = features[800:, 1] > 0.3
    assert float((found.mean - (ef - noise)[800:]).abs().mean()) < 0.03
    assert float(found.sd[wide].mean()) > 2 * float(found.sd[features[800:, 1] < -0.3].mean())


def test_a_feature_that_never_changed_in_training_is_not_listened_to():
    features = torch.cat([torch.randn(50, 2), torch.full((50, 1), 3.0)], 1)
    network = EfExpectation(3, 8, 2).eval()
    network.set_scale(features)
    other = features.clone()
    other[:, 2] = -40.0
    assert torch.equal(network(features).mean, network(other).mean)


def test_the_moment_of_the_picture_is_what_is_heard():
    torch.manual_seed(0)
    config = SegmenterConfig(size=32, channels=(8, 8, 8), groups=4, classes=7, context_s=0.08, volumes=True)
    seen, log_volume = look_at_pictures(Segmenter(config).eval(), torch.rand(2, 32, 32))
    times = torch.tensor([[-0.2, 0.01, 0.2, torch.nan]]).expand(2, -1)
    tokens = torch.randn(2, 4, 6)
    features = features_of(seen, log_volume, Memory(tokens, times), torch.tensor([0, 1]))
    assert features.shape == (2, seen.shape[1] + 1 + 6 + 12 + 1)
    assert torch.equal(features[:, seen.shape[1] + 1 :][:, :6], tokens[:, 1])
    assert features[:, -1].tolist() == [0, 1]


def test_the_spread_of_the_networks_among_themselves_counts():
    network = EfExpectation(2, 4, 2).eval()
    with torch.no_grad():
        for number, bias in enumerate((-2.0, 2.0)):
            network.biases[-1][number, 0, 0] = bias
            network.weights[-1].zero_()
            network.biases[-1][number, 0, 1] = -20.0
    found = network(torch.zeros(1, 2))
    assert float(found.mean) == pytest.approx(0.5) and float(found.sd) == pytest.approx(0.381, abs=0.01)
