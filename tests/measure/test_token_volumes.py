"""Volumes read off tokens: one per picture, of latent frames that see each other within a second."""

import torch

from echopulse.measure.token_volumes import TokenVolumes


def reader() -> TokenVolumes:
    torch.manual_seed(0)
    return TokenVolumes(4, 2, 4, channels=8, width=16, heads=2, layers=1).eval()


def codes(b: int = 2, t: int = 5) -> torch.Tensor:
    return torch.randint(2, (b, t, 2, 2, 4), generator=torch.Generator().manual_seed(1)).float() * 2 - 1


def test_every_latent_frame_gives_the_volumes_of_its_pictures():
    times = torch.arange(5)[None].expand(2, -1) * 0.16
    assert reader()(codes(), times).shape == (2, 5, 4)


def test_only_how_far_apart_frames_lie_matters():
    network, times = reader(), torch.arange(5)[None].expand(2, -1) * 0.16
    assert torch.allclose(network(codes(), times), network(codes(), times + 7.0), atol=1e-4)


def test_a_frame_further_than_a_second_has_no_say():
    network, given = reader(), codes()
    times = torch.tensor([[0.0, 0.16, 0.32, 1.5, 1.66]]).expand(2, -1)
    changed = given.clone()
    changed[:, 0] *= -1
    before, after = network(given, times), network(changed, times)
    assert torch.allclose(before[:, 3:], after[:, 3:], atol=1e-5)
    assert not torch.allclose(before[:, 1], after[:, 1], atol=1e-5)
