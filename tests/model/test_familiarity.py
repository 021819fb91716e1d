"""What has been heard is familiar, what has not is strange, and nothing but the tokens that are there counts."""

import pytest
import torch

from echopulse.model.checkpoint import load_weights, save_weights
from echopulse.model.ecg_encoder import Memory
from echopulse.model.familiarity import Familiarity, summary_of


def heard(count: int, seed: int) -> torch.Tensor:
    """Two kinds of windows along two of eight directions, which differ little along the others."""
    draw = torch.Generator().manual_seed(seed)
    kinds = torch.tensor([[4.0, 0.0], [0.0, 4.0]]) @ torch.eye(2, 8)
    return kinds[torch.randint(2, (count,), generator=draw)] + 0.1 * torch.randn(count, 8, generator=draw)


def test_one_in_a_hundred_held_out_windows_is_stranger_than_one():
    fitted = Familiarity.fit(heard(400, 0), heard(400, 1), axes=4)
    assert float((fitted(heard(4000, 2)) > 1).float().mean()) == pytest.approx(0.01, abs=0.008)


def test_what_lies_between_two_kinds_is_strange_though_it_is_near_the_mean():
    fitted = Familiarity.fit(heard(400, 0), heard(400, 1), axes=1)
    between = heard(400, 0).mean(0, keepdim=True)
    assert float(fitted(between)) > 2 and float(fitted(10 * heard(1, 3))) > 5


def test_it_is_kept_and_read_again(tmp_path):
    fitted = Familiarity.fit(heard(50, 0), heard(50, 1))
    save_weights(fitted, tmp_path / "familiarity", torch.float16)
    again = load_weights(Familiarity(fitted.config), tmp_path / "familiarity")
    assert torch.allclose(again(heard(9, 2)), fitted(heard(9, 2)), rtol=0.05)
    assert fitted.config.axes == 8  # no more than there are


def test_windows_that_differ_along_few_directions_are_kept_without_overflow(tmp_path):
    draw = torch.Generator().manual_seed(0)
    alike = torch.randn(40, 3, generator=draw) @ torch.randn(3, 64, generator=draw)
    fitted = Familiarity.fit(alike, alike)
    assert fitted.config.axes == 3
    save_weights(fitted, tmp_path / "familiarity", torch.float16)
    again = load_weights(Familiarity(fitted.config), tmp_path / "familiarity")
    assert bool(again(alike).isfinite().all()) and bool(fitted(torch.ones(1, 64)).isfinite().all())


def test_only_tokens_that_are_there_are_summed_up():
    draw = torch.Generator().manual_seed(0)
    tokens, times = torch.randn(1, 6, 3, generator=draw), torch.arange(6.0)[None]
    missing = torch.where(times > 3, torch.nan, times)
    found = summary_of(Memory(tokens, missing))
    assert torch.allclose(found[0, :3], tokens[0, :4].mean(0), atol=1e-6)
    assert torch.allclose(found[0, 3:], tokens[0, :4].std(0, correction=0), atol=1e-6)
    assert not bool(summary_of(Memory(tokens, torch.full_like(times, torch.nan))).isnan().any())
