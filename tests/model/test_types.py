"""Ids, bits and groups are three ways of writing the same token."""

import pytest
import torch

from echopulse.model.types import bits_to_ids, ids_to_bits, join_ids, split_ids


def some_ids(bits: int) -> torch.Tensor:
    return torch.randint(2**bits, (2, 3, 4, 4), generator=torch.Generator().manual_seed(bits))


@pytest.mark.parametrize("bits", [1, 7, 14, 18])
def test_ids_become_bits_and_come_back(bits):
    ids = some_ids(bits)
    signs = ids_to_bits(ids, bits)
    assert signs.shape == (*ids.shape, bits) and set(signs.unique().tolist()) <= {-1.0, 1.0}
    assert torch.equal(bits_to_ids(signs), ids)


@pytest.mark.parametrize(("groups", "group_bits"), [(1, 14), (2, 7), (7, 2)])
def test_ids_are_split_into_groups_and_joined_again(groups, group_bits):
    ids = some_ids(groups * group_bits)
    parts = split_ids(ids, groups, group_bits)
    assert parts.shape == (*ids.shape, groups) and int(parts.max()) < 2**group_bits
    assert torch.equal(join_ids(parts, group_bits), ids)


def test_a_group_holds_the_bits_of_its_own_place():
    ids = some_ids(14)
    bits = ids_to_bits(ids, 14)
    parts = split_ids(ids, 2, 7)
    assert torch.equal(bits_to_ids(bits[..., :7]), parts[..., 0])
    assert torch.equal(bits_to_ids(bits[..., 7:]), parts[..., 1])


def test_the_lowest_bit_comes_first():
    assert ids_to_bits(torch.tensor(1), 3).tolist() == [1, -1, -1]
    assert ids_to_bits(torch.tensor(4), 3).tolist() == [-1, -1, 1]
