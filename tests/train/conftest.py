"""A bank made by hand in a millisecond: small pictures of a bright disc that beats with a spiky ECG.

And what several files of tests need: that bank on disk, a tokenizer that has learned nothing, recipes of one step.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from echopulse.data import Bank
from echopulse.data.bank import pack_bits
from echopulse.model.config import PRESETS
from echopulse.model.tokenizer import Tokenizer
from echopulse.train import recipes
from echopulse.train.settings import BATCH, SETTINGS
from echopulse.train.sources import HELD_OUT_SEED


def write_bank(bank: Bank, folder: Path) -> Path:
    """A bank as one shard, with the held-out clips where a recipe looks for them; its folder."""
    about = {"fps": str(bank.fps), "ecg_rate_hz": "200.0", "ecg_start_s": "-1.6"}
    (folder / "held-out").mkdir(parents=True)
    for name in ("shard-000000-00000", *(f"held-out/shard-{HELD_OUT_SEED:06d}-0000{i}" for i in range(2))):
        save_file(bank.tensors, folder / f"{name}.safetensors", metadata=about)
    return folder


@pytest.fixture(scope="session")
def toy_bank() -> Bank:
    """Four clips of 65 frames at 32x32 with two leads of ECG; the last heart stands still."""
    clips, frames, size, rate, before_s = 4, 65, 32, 200.0, 1.6
    draw = torch.Generator().manual_seed(0)
    period = torch.tensor([0.6, 0.8, 1.0, 1e6])[:, None]
    times, ecg_times = torch.arange(frames) / 25, torch.arange(920) / rate - before_s
    phase, ecg_phase = (times / period) % 1, (ecg_times / period) % 1
    moving = torch.tensor([1.0, 1.0, 1.0, 0.0])[:, None]
    volume = 1 - 0.5 * moving * torch.sin(torch.pi * phase) ** 2
    place = torch.arange(size) - size / 2
    mask = (place[:, None] ** 2 + place**2) < (11 * volume[..., None, None]) ** 2
    noise = 0.2 * torch.rand(clips, frames, size, size, generator=draw)
    spike = torch.exp(-(torch.minimum(ecg_phase, 1 - ecg_phase) * period / 0.02) ** 2)
    ecg = torch.stack([spike * moving, 0.5 * spike * moving], 1)
    tensors = {
        "frames": ((0.2 + 0.6 * ~mask + noise) * 255).clamp(0, 255).to(torch.uint8),
        "lv_mask": pack_bits(mask),
        "sector": pack_bits(torch.ones(clips, size, size, dtype=torch.bool)),
        "ecg": ecg + 0.01 * torch.randn(clips, 2, 920, generator=draw),
        "volume_ml": 120 * volume,
        "mitral_opening": (phase > 0.5).float() * moving,
        "ef": torch.tensor([0.5, 0.5, 0.5, 0.0]),
        "edv_ml": torch.full((clips,), 120.0),
        "spacing_cm": torch.full((clips,), 0.4),
        "age_years": torch.tensor([30.0, 50.0, 70.0, torch.nan]),
        "female": torch.tensor([1.0, 0.0, 1.0, torch.nan]),
        "view": torch.tensor([0, 1, 0, 1]),
        "rhythm": torch.tensor([0, 0, 0, 3]),
    }
    return Bank(tensors, 25.0, rate, -before_s)


@pytest.fixture(scope="module")
def bank_folder(toy_bank, tmp_path_factory) -> Path:
    """The toy bank on disk."""
    return write_bank(toy_bank, tmp_path_factory.mktemp("banks") / "bank")


@pytest.fixture(scope="module")
def moving_folder(toy_bank, tmp_path_factory) -> Path:
    """The toy bank with motion: all of it a little to the right."""
    motion = torch.zeros(4, 65, 8, 8, 2, dtype=torch.float16)
    motion[..., 0] = 0.01
    moving = replace(toy_bank, tensors=toy_bank.tensors | {"motion": motion})
    return write_bank(moving, tmp_path_factory.mktemp("banks") / "moving")


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    """Of the smallest size, untrained."""
    torch.manual_seed(0)
    return Tokenizer(PRESETS["tiny"]["tokenizer"]).eval()


@pytest.fixture
def quick(monkeypatch):
    """One step of what recipes train on the side, batches of two, and few windows to know ECGs by."""
    for short in ("ecg", "volumes"):
        monkeypatch.setitem(SETTINGS, short, replace(SETTINGS[short], steps=1))
    for name in BATCH:
        monkeypatch.setitem(BATCH, name, 2)
    monkeypatch.setattr(recipes, "fit_familiarity", partial(recipes.fit_familiarity, windows=64, usual=64))
