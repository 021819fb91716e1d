"""The ECG encoder: any leads, no wander, no amplified silence, and every token knows its second."""

import pytest
import torch

from echopulse.model.config import PRESETS
from echopulse.model.ecg_encoder import FLOOR_MV, EcgEncoder, Memory, normalise_leads

CONFIG = PRESETS["tiny"]["generator"].ecg
SAMPLES = 400  # two seconds


@pytest.fixture(scope="module")
def encoder() -> EcgEncoder:
    torch.manual_seed(0)
    return EcgEncoder(CONFIG).eval()


def an_ecg(leads: int = 1, samples: int = SAMPLES) -> torch.Tensor:
    """A sharp peak every 0.8 s, larger in the second lead: [1, leads, samples] mV."""
    time = torch.arange(samples) / CONFIG.rate_hz
    peaks = sum(torch.exp(-(((time - at) / 0.015) ** 2)) for at in torch.arange(0.3, samples / CONFIG.rate_hz, 0.8))
    return torch.stack([peaks * (1 + 0.4 * lead) for lead in range(leads)])[None]


def normal(ecg: torch.Tensor) -> torch.Tensor:
    return normalise_leads(ecg.nan_to_num(), ~ecg.isnan(), CONFIG.rate_hz)


@torch.no_grad()
def encode(encoder: EcgEncoder, ecg: torch.Tensor, start_s: float = 0.0) -> Memory:
    return encoder(ecg, torch.full((len(ecg),), start_s))


@pytest.mark.parametrize("leads", [1, 2, 12])
def test_any_number_of_leads_gives_one_token_every_eight_samples(encoder, leads):
    memory = encode(encoder, an_ecg(leads), start_s=-1.6)
    assert memory.tokens.shape == (1, SAMPLES // 8, CONFIG.width)
    expected = -1.6 + torch.arange(SAMPLES // 8) * 8 / CONFIG.rate_hz
    assert torch.allclose(memory.times_s[0], expected, atol=1e-5)


def test_the_order_of_the_leads_does_not_matter(encoder):
    ecg = an_ecg(3)
    assert torch.allclose(encode(encoder, ecg).tokens, encode(encoder, ecg.flip(1)).tokens, atol=1e-5)


def test_a_lead_that_is_absent_is_as_if_it_were_not_there(encoder):
    one, two = an_ecg(1), an_ecg(2)
    two[:, 1] = torch.nan
    assert torch.allclose(encode(encoder, one).tokens, encode(encoder, two).tokens, atol=1e-5)


def test_the_clock_of_the_recording_does_not_matter(encoder):
    ecg = an_ecg()
    assert torch.allclose(encode(encoder, ecg, 0.0).tokens, encode(encoder, ecg, 4.0).tokens, atol=1e-4)


def test_slow_wander_and_offset_hardly_reach_the_network():
    ecg = an_ecg(samples=1600)
    time = torch.arange(1600) / CONFIG.rate_hz
    wandering = ecg + 3.0 + 0.5 * torch.sin(2 * torch.pi * 0.1 * time)
    inside = slice(300, -300)
    assert float((normal(ecg) - normal(wandering))[..., inside].abs().max()) < 0.12


def test_the_gain_of_the_recording_does_not_matter():
    assert torch.allclose(normal(an_ecg()), normal(3 * an_ecg()), atol=1e-4)


def test_a_flat_line_stays_flat():
    assert float(normal(torch.full((1, 1, SAMPLES), 0.7)).abs().max()) < 1e-3
    noise = 0.005 * torch.randn(1, 1, SAMPLES, generator=torch.Generator().manual_seed(0))
    assert float(normal(noise).abs().max()) < 0.02 / FLOOR_MV
    assert float(normal(an_ecg()).abs().max()) > 0.9


def test_an_artefact_cannot_shout():
    ecg = an_ecg()
    ecg[..., 100] = 500.0
    assert float(normal(ecg).abs().max()) <= 4


def test_tokens_over_a_gap_have_no_time_and_what_lies_in_the_gap_is_not_heard(encoder):
    ecg = an_ecg(2)
    ecg[..., 160:240] = torch.nan
    memory = encode(encoder, ecg)
    assert memory.times_s.isnan()[0].nonzero().flatten().tolist() == list(range(20, 30))
    assert bool(memory.tokens.isfinite().all())


def test_a_gap_in_one_lead_only_leaves_every_token_its_time(encoder):
    ecg = an_ecg(2)
    ecg[:, 0, 160:240] = torch.nan
    assert not bool(encode(encoder, ecg).times_s.isnan().any())


def test_an_ecg_that_is_missing_altogether_gives_finite_tokens_without_times(encoder):
    memory = encode(encoder, torch.full((1, 1, SAMPLES), torch.nan))
    assert bool(memory.times_s.isnan().all()) and bool(memory.tokens.isfinite().all())


def test_reading_out_interpolates_between_tokens(encoder):
    memory = encode(encoder, an_ecg())
    step = 8 / CONFIG.rate_hz
    with torch.no_grad():
        at = encoder.read_out(memory, torch.tensor([[10 * step, 10.25 * step, 11 * step]]))[0]
    assert at.shape == (3, len(EcgEncoder.TARGETS))
    assert torch.allclose(at[1], 0.75 * at[0] + 0.25 * at[2], atol=1e-5)
    assert not torch.allclose(at[0], at[2])


def test_reading_out_beyond_the_ends_gives_the_nearest_token(encoder):
    memory = encode(encoder, an_ecg())
    with torch.no_grad():
        said = encoder.read_out(memory, torch.tensor([[-3.0, 0.0, 50.0]]))[0]
    assert torch.allclose(said[0], said[1]) and bool(said.isfinite().all())
