"""A bank made by hand in a millisecond: small pictures of a bright disc that beats with a spiky ECG."""

import pytest
import torch

from echopulse.data import Bank
from echopulse.data.bank import pack_bits


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
