"""Noise is as loud as asked, and where in the spectrum it belongs."""

import pytest
import torch

from echopulse.phantom.rhythm.artefacts import NOISE_BANDS_HZ, add_noise

RATE = 250.0


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("snr_db", [24.0, 12.0, -6.0])
def test_noise_has_the_ratio_asked_for(snr_db):
    signal = torch.sin(torch.linspace(0, 60, 2000)).expand(3, 2, -1) * torch.tensor([[1.0], [0.2]])
    noise = add_noise(signal, RATE, snr_db, generator()) - signal
    ratio = 10 * torch.log10(signal.var(-1, correction=0) / noise.var(-1, correction=0))
    assert torch.allclose(ratio, torch.tensor(snr_db), atol=0.01)
    assert not torch.equal(noise[0], noise[1])


def test_a_third_of_its_power_is_of_each_kind():
    signal = torch.randn(8, 5000, generator=generator(), dtype=torch.float64)
    power = torch.fft.rfft(add_noise(signal, RATE, 0.0, generator(1)) - signal).abs().square()
    hz = torch.fft.rfftfreq(5000, 1 / RATE)
    shares = [power[:, (hz >= low) & (hz <= high)].sum(1) / power.sum(1) for low, high in NOISE_BANDS_HZ]
    assert torch.allclose(torch.stack(shares), torch.tensor(1 / 3, dtype=torch.float64), atol=0.01)


def test_a_silent_lead_stays_silent_and_the_same_seed_gives_the_same_noise():
    assert add_noise(torch.zeros(1, 500), RATE, 6.0, generator()).abs().max() == 0
    signal = torch.sin(torch.linspace(0, 60, 500))
    assert torch.equal(add_noise(signal, RATE, 6.0, generator(3)), add_noise(signal, RATE, 6.0, generator(3)))
