"""Clips as tokens: the same however they are encoded, kept, added to, and made anew where they would be others."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from echopulse.data.bank import Bank
from echopulse.model.config import PRESETS
from echopulse.model.tokenizer import Tokenizer
from echopulse.train import tokens
from echopulse.train.tokens import TokenCache, still_frames, still_places


def shard_of(bank: Bank, rows: slice, number: int) -> None:
    path = bank.folder / f"shard-000001-{number:05d}.safetensors"
    about = {"fps": "25.0", "ecg_rate_hz": "200.0", "ecg_start_s": "-1.6"}
    save_file({name: tensor[rows].contiguous() for name, tensor in bank.tensors.items()}, path, metadata=about)


@pytest.fixture
def folder(toy_bank, tmp_path):
    there = replace(toy_bank, folder=tmp_path / "bank")
    there.folder.mkdir()
    shard_of(there, slice(0, 2), 0)
    return there


def same(one: TokenCache, other: TokenCache) -> bool:
    return all(torch.equal(tensor, other.tensors[name]) for name, tensor in one.tensors.items())


def test_clips_that_came_since_are_added_and_those_before_stay(tokenizer, toy_bank):
    few = replace(toy_bank, tensors={name: tensor[:2] for name, tensor in toy_bank.tensors.items()})
    cache = TokenCache(tokenizer, few, versions=1)
    before = cache.ids.clone()
    cache.bank = toy_bank
    cache.extend()
    assert len(cache.ids) == len(cache.stills) == len(cache.places) == 4 and torch.equal(cache.ids[:2], before)
    cache.extend()
    assert len(cache) == 4


def test_shards_are_encoded_once_and_read_back(tokenizer, folder, tmp_path, monkeypatch):
    told: list[float] = []
    first = TokenCache(tokenizer, Bank.load(folder.folder), kept=tmp_path / "kept", on_encoded=told.append)
    assert told == [1.0] and len(first) == 2 and first.ids.shape[1] == 2
    monkeypatch.setattr(tokens, "encode_clips", lambda *_, **__: pytest.fail("encoded again"))
    assert same(first, TokenCache(tokenizer, Bank.load(folder.folder), kept=tmp_path / "kept", on_encoded=told.append))
    assert told == [1.0]


def test_shards_that_arrive_later_are_encoded_alone(tokenizer, folder, tmp_path):
    bank = Bank.load(folder.folder)
    cache = TokenCache(tokenizer, bank, kept=tmp_path / "kept")
    shard_of(folder, slice(2, 4), 1)
    assert bank.refresh() == 2
    cache.extend()
    assert len(cache) == 4 and same(cache, TokenCache(tokenizer, Bank.load(folder.folder), kept=tmp_path / "other"))


def test_tokens_of_another_tokenizer_or_seed_or_half_written_are_made_anew(tokenizer, folder, tmp_path):
    bank, kept = Bank.load(folder.folder), tmp_path / "kept"
    first = TokenCache(tokenizer, bank, kept=kept)
    torch.manual_seed(1)
    other = TokenCache(Tokenizer(PRESETS["tiny"]["tokenizer"]).eval(), bank, kept=kept)
    assert not torch.equal(other.ids, first.ids)
    moved = TokenCache(tokenizer, bank, kept=kept, seed=3)
    assert torch.equal(moved.ids[:, 0], first.ids[:, 0]) and not torch.equal(moved.ids[:, 1], first.ids[:, 1])
    (written,) = kept.glob("*.safetensors")
    written.write_bytes(written.read_bytes()[:50])
    assert same(TokenCache(tokenizer, bank, kept=kept), first)


def test_a_large_bank_has_one_version_and_a_small_one_two(tokenizer, toy_bank, monkeypatch):
    assert TokenCache(tokenizer, toy_bank).ids.shape[1] == 2
    monkeypatch.setattr(tokens, "FEW_CLIPS", 4)
    assert TokenCache(tokenizer, toy_bank).ids.shape[1] == 1


def test_stills_are_the_fullest_and_the_emptiest_of_either_half():
    volume = torch.full((1, 65), 100.0)
    frames = still_frames(torch.tensor([3, 6, 10, 15]))
    volume[0, frames] = torch.tensor([120.0, 50.0, 60.0, 130.0])
    assert still_places(volume).tolist() == [[3, 6, 15, 10]]
    assert still_frames(torch.tensor([0, 1, 16])).tolist() == [0, 3, 63]
