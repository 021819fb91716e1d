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
LOOSE_MV = 20.0  # what is larger, within the band, comes from no heart
SUSPECT_MV = 5.0  # what is larger may come from a heart, but not beside a usual lead a tenth as large
TIMES_USUAL = 10.0


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
    zeros afterwards, like absent leads; so are leads whose electrode is off (`loose_leads`). Mean and scale are those
    of all samples that there are in all leads together, as both networks were trained. InputError where leads and
    samples do not go together.
    """
    b, count, n = samples_mv.shape
    places = leads if isinstance(leads, Tensor) else lead_places(leads)
    if n < 2 or (places.shape[-1] if isinstance(places, Tensor) else len(places)) != count:
        raise InputError(f"an ECG of {count} leads and {n} samples: a name for every lead and 2 samples are expected.")
    with torch.autocast(samples_mv.device.type, enabled=False):
        samples = samples_mv.float()
        present = ~samples.isnan()
        heard = _band_and_rate(bridge_gaps(samples, present), float(rate_hz), hearing)
        nearest = (torch.arange(heard.shape[-1]) * (rate_hz / hearing.rate_hz)).round().long().clamp(max=n - 1)
        present = present[..., nearest.to(samples.device)]
        present = present & ~loose_leads(heard, present)[..., None]
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


def loose_leads(heard: Tensor, present: Tensor) -> Tensor:
    """bool [b, l]: leads whose electrode is off, by their size within the band; [b, l, n] mV, bool [b, l, n].

    One scale for all leads would hush the others beside such a lead. It is above `LOOSE_MV` somewhere, or above
    `SUSPECT_MV` with a standard deviation `TIMES_USUAL` that of the median lead. Where no other lead is left that says
    anything none counts as loose: then it is the unit that is unusual, not an electrode.
    """
    signal = heard * present
    count = present.sum(-1).clamp(min=1)
    centred = (signal - (signal.sum(-1) / count)[..., None]) * present
    spread = (centred.square().sum(-1) / count).sqrt()
    peak = centred.abs().amax(-1)
    heard_at_all = spread > FLOOR_MV
    usual = torch.where(heard_at_all, spread, torch.nan).nanmedian(-1, keepdim=True).values
    loose = (peak > LOOSE_MV) | (peak > SUSPECT_MV) & (spread > TIMES_USUAL * usual)
    return loose & (heard_at_all & ~loose).any(-1, keepdim=True)


def _band_and_rate(samples: Tensor, rate_hz: float, hearing: Hearing) -> Tensor:
    """[..., n] at `rate_hz` → [..., n'] filtered and at the network's rate, in the order of n log n.

    Mirrored at both ends, so that there is no edge whatever the first sample is. The cosines that are left are summed
    up at the new moments as a convolution with a chirp, since kj = (k² + j² - (j - k)²) / 2: that reaches any rate
    (Bluestein 1970), where an inverse FFT would need one that fits the length.
    """
    n = samples.shape[-1]
    weight, before, between, after = (part.to(samples.device) for part in _chirps(n, rate_hz, hearing))
    cosines = torch.fft.rfft(torch.cat([samples, samples[..., 1:-1].flip(-1)], -1)).real * weight
    size = len(between)
    summed = torch.fft.ifft(torch.fft.fft(cosines * before, size) * between)
    return (summed[..., : len(after)] * after).real


@lru_cache(maxsize=16)
def _chirps(n: int, rate_hz: float, hearing: Hearing) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """What filters n samples and brings them to the network's rate: weights of the cosines, chirps of their sum.

    float32 [n] and complex64 [n], [size], [n'], where the second last is a spectrum.
    """
    hertz = torch.arange(n, dtype=torch.float64) * rate_hz / (2 * n - 2)
    power = 2 * hearing.order  # a filter that runs both ways has the square of its gain
    gain = 1 / (1 + (hearing.low_hz / hertz.clamp(min=1e-9)) ** power) / (1 + (hertz / hearing.high_hz) ** power)
    gain[hertz > hearing.rate_hz / 2] = 0.0  # what the network's rate cannot hold must not fold back
    twice = torch.full((n,), 2.0, dtype=torch.float64)
    twice[0] = twice[-1] = 1.0
    count = max(1, round(n * hearing.rate_hz / rate_hz))
    half = torch.pi * rate_hz / (2 * n - 2) / hearing.rate_hz  # half the angle by which cosine 1 turns in one step

    def chirp(steps: Tensor) -> Tensor:
        return torch.polar(torch.ones_like(steps), half * steps**2)

    before, after = (chirp(torch.arange(length, dtype=torch.float64)) for length in (n, count))
    size = 1 << (n + count - 1).bit_length()
    around = torch.zeros(size, dtype=torch.complex128)
    around[:count] = after.conj()
    around[size - n + 1 :] = before[1:].flip(0).conj()
    parts = before, torch.fft.fft(around), after
    return (gain * twice / (2 * n - 2)).float(), *(part.to(torch.complex64) for part in parts)
