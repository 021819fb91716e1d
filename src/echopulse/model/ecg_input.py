"""An ECG as a published network expects it: its rate, its band, twelve leads in their places, its scale.

The same function serves training and use. Filters have no phase: what happens at a moment stays there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from echopulse.errors import InputError
from echopulse.phantom.rhythm.leads import LEADS, NOT_HEARD, lead_places

FLOOR_MV = 0.02  # a standard deviation below it counts as silence: a flat line must not become amplified noise


@dataclass(frozen=True)
class Hearing:
    """Samples per second, and the edges of a Butterworth band-pass of `order` that runs forwards and backwards."""

    rate_hz: float
    low_hz: float
    high_hz: float
    order: int


# ST-MEM: configs/downstream/st_mem.yaml and util/transforms.py of its repository. ECGFounder: its fine-tuning code
# takes 500 Hz as recorded; github.com/GhIrani33/ecgfounder-edge-cds says that this band was that of its training.
HEARING = {"st-mem": Hearing(250.0, 0.67, 40.0, 5), "ecgfounder": Hearing(500.0, 0.5, 50.0, 2)}


def in_places(values: Tensor, places: Sequence[int] | Tensor, absent: float = torch.nan) -> Tensor:
    """[b, l, n] → [b, 12, n] in the order of `LEADS`, `absent` where there is no lead.

    places: one for each lead, or int64 [b, l] where clips hold different leads.
    """
    b, leads, n = values.shape
    index = torch.as_tensor(places, device=values.device).expand(b, leads)
    index = torch.where(index == NOT_HEARD, len(LEADS), index)[..., None].expand(-1, -1, n)
    return torch.full((b, len(LEADS) + 1, n), absent, dtype=values.dtype, device=values.device).scatter_(
        1, index, values
    )[:, : len(LEADS)]


def as_heard(samples_mv: Tensor, leads: Sequence[str] | None, kind: str) -> Tensor:
    """An ECG [l, n] as an encoder of this kind takes it: a published one all twelve leads [12, n], NaN where absent.

    Leads without names, and those for our own encoder, stay as they are.
    """
    return samples_mv if kind == "own" or leads is None else in_places(samples_mv[None], lead_places(leads))[0]


@torch.no_grad()
def for_encoder(
    samples_mv: Tensor, leads: Sequence[str] | Tensor, rate_hz: float, hearing: Hearing
) -> tuple[Tensor, Tensor]:
    """What a network that hears so is given, float32 [b, 12, n'], and where there was an ECG, bool [b, 12, n'].

    samples_mv [b, l, n] mV at `rate_hz`, NaN where absent; leads are names or their places, int64 [b, l]. Sample j of
    the result lies j / hearing.rate_hz after the first one. Gaps are bridged by straight lines for the filter and are
    zeros afterwards, like absent leads. Mean and scale are those of all samples that there are in all leads together,
    as both networks were trained. InputError where leads and samples do not go together.
    """
    b, count, n = samples_mv.shape
    places = leads if isinstance(leads, Tensor) else lead_places(leads)
    if n < 2 or (places.shape[-1] if isinstance(places, Tensor) else len(places)) != count:
        raise InputError(f"an ECG of {count} leads and {n} samples: a name for every lead and 2 samples are expected.")
    with torch.autocast(samples_mv.device.type, enabled=False):
        samples = samples_mv.float()
        present = ~samples.isnan()
        matrix = _band_and_rate(n, float(rate_hz), hearing).to(samples.device)
        heard = _spectrum(bridge_gaps(samples, present)) @ matrix
        nearest = (torch.arange(heard.shape[-1]) * (rate_hz / hearing.rate_hz)).round().long().clamp(max=n - 1)
        present = present[..., nearest.to(samples.device)]
        signal = in_places(heard * present, places, 0.0)
        present = in_places(present.float(), places, 0.0) > 0
        total = present.sum((1, 2), keepdim=True).clamp(min=1)
        centred = (signal - signal.sum((1, 2), keepdim=True) / total) * present
        spread = ((centred**2).sum((1, 2), keepdim=True) / total).sqrt()
        return centred / spread.clamp(min=FLOOR_MV), present


def bridge_gaps(samples: Tensor, present: Tensor) -> Tensor:
    """[..., n] with straight lines where not present, the nearest value at the ends, zeros where nothing is there."""
    n = samples.shape[-1]
    index = torch.arange(n, device=samples.device).expand_as(samples)
    before = torch.where(present, index, -1).cummax(-1).values
    after = torch.where(present, index, n).flip(-1).cummin(-1).values.flip(-1)
    before, after = torch.where(before < 0, after, before), torch.where(after == n, before, after)
    filled = torch.where(present, samples, 0.0)
    low, high = (filled.gather(-1, place.clamp(0, n - 1)) for place in (before, after))
    return low + (high - low) * (index - before) / (after - before).clamp(min=1)


def _spectrum(samples: Tensor) -> Tensor:
    """Cosine coefficients [..., n] of a signal that is mirrored at both ends: no edge, whatever its first sample is."""
    return torch.fft.rfft(torch.cat([samples, samples[..., 1:-1].flip(-1)], -1)).real


@lru_cache(maxsize=16)
def _band_and_rate(n: int, rate_hz: float, hearing: Hearing) -> Tensor:
    """float32 [n, n']: from cosine coefficients of n samples to the filtered signal at the network's rate."""
    hertz = torch.arange(n, dtype=torch.float64) * rate_hz / (2 * n - 2)
    power = 2 * hearing.order  # a filter that runs both ways has the square of its gain
    gain = 1 / (1 + (hearing.low_hz / hertz.clamp(min=1e-9)) ** power) / (1 + (hertz / hearing.high_hz) ** power)
    gain[hertz > hearing.rate_hz / 2] = 0.0  # what the network's rate cannot hold must not fold back
    twice = torch.full((n,), 2.0, dtype=torch.float64)
    twice[0] = twice[-1] = 1.0
    times_s = torch.arange(round(n * hearing.rate_hz / rate_hz), dtype=torch.float64) / hearing.rate_hz
    waves = torch.cos(2 * torch.pi * hertz[:, None] * times_s)
    return (gain * twice / (2 * n - 2))[:, None].mul(waves).float()
