"""Noise is as loud as asked."""

import pytest
import torch

from echopulse.errors import InputError
from echopulse.phantom.rhythm.artefacts import NOISES, add_noise


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("kind", ["mixed", *NOISES])
@pytest.mark.parametrize("snr_db", [24.0, 12.0, -6.0])
def test_noise_has_the_ratio_asked_for(kind, snr_db):
    signal = torch.sin(torch.linspace(0, 60, 2000)).expand(3, 2, -1)
    noise = add_noise(signal, snr_db, generator(), 200.0, kind) - signal
    ratio = 10 * torch.log10(signal.var(-1) / noise.square().mean(-1))
    assert torch.allclose(ratio, torch.tensor(snr_db), atol=0.05)


def test_a_silent_lead_stays_silent_and_unknown_noise_is_refused():
    assert add_noise(torch.zeros(1, 1, 500), 6.0, generator(), 200.0).abs().max() == 0
    with pytest.raises(InputError, match="mixed, wander, muscle, electrode"):
        add_noise(torch.zeros(1, 1, 500), 6.0, generator(), 200.0, "hum")
