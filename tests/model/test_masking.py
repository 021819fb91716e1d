"""What is hidden in training: as much as was drawn, never what is known."""

import pytest
import torch

from echopulse.model.masking import draw_mask_ratio, mask_tokens


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_mask_ratios_lie_in_zero_to_one_and_mostly_near_one():
    ratio = draw_mask_ratio(4000, generator())
    assert 0 <= float(ratio.min()) and float(ratio.max()) <= 1
    assert float(ratio.mean()) == pytest.approx(2 / torch.pi, abs=0.02)  # the mean of arccos(u)·2/π
    assert float((ratio > 0.5).float().mean()) > 0.6


@pytest.mark.parametrize("ratio", [0.1, 0.5, 0.9, 1.0])
def test_the_share_hidden_is_the_ratio(ratio):
    ids = torch.zeros(4, 9, 8, 8, dtype=torch.long)
    hidden = mask_tokens(ids, 2, torch.full((4,), ratio), torch.zeros(4, 9, dtype=torch.bool), generator()).hidden
    assert hidden.shape == (4, 9, 8, 8, 2)
    assert float(hidden.float().mean()) == pytest.approx(ratio, abs=0.03)


def test_known_frames_are_never_hidden_each_clip_its_own():
    ids = torch.zeros(3, 9, 8, 8, dtype=torch.long)
    known = torch.arange(9) < torch.tensor([[0], [1], [4]])
    known[2, 7] = True
    hidden = mask_tokens(ids, 2, torch.ones(3), known, generator()).hidden
    assert torch.equal(hidden.any((2, 3, 4)), ~known) and torch.equal(hidden.all(4).all(3).all(2), ~known)


def test_something_is_always_hidden_to_learn_from():
    ids = torch.zeros(1, 9, 8, 8, dtype=torch.long)
    assert mask_tokens(ids, 2, torch.zeros(1), torch.arange(9)[None] < 1, generator()).hidden.any()


def test_the_same_seed_hides_the_same_tokens_and_ids_are_left_alone():
    ids = torch.randint(100, (2, 9, 4, 4), generator=generator(5))
    known = (torch.arange(9) < 1).expand(2, -1)
    first = mask_tokens(ids, 2, torch.full((2,), 0.5), known, generator(1))
    again = mask_tokens(ids, 2, torch.full((2,), 0.5), known, generator(1))
    other = mask_tokens(ids, 2, torch.full((2,), 0.5), known, generator(2))
    assert torch.equal(first.hidden, again.hidden) and not torch.equal(first.hidden, other.hidden)
    assert torch.equal(first.ids, ids)
