"""Clips without end: the same whoever makes them."""

from itertools import islice

import pytest
import torch
from torch.utils.data import DataLoader

from echopulse.data import SimulatedClips
from echopulse.errors import InputError

TINY = {"frames": 2, "size": 32, "view": "a4c"}


def test_batches_go_on_and_differ() -> None:
    first, second, third = islice(SimulatedClips(2, seed=1, **TINY), 3)
    assert first.frames.shape == (2, 2, 32, 32)
    assert not torch.equal(first.frames, second.frames) and not torch.equal(second.frames, third.frames)


def test_workers_share_the_work_without_changing_it() -> None:
    dataset = SimulatedClips(1, seed=1, batches=4, **TINY)
    alone = [clips.frames for clips in dataset]
    shared = [clips.frames for clips in DataLoader(dataset, batch_size=None, num_workers=2)]
    assert len(shared) == 4 and all(torch.equal(a, b) for a, b in zip(alone, shared, strict=True))


def test_a_batch_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="at least one"):
        SimulatedClips(0)
