"""What recordings of people hold beside the heart: electrodes the wrong way round, muscles, mains and breath.

Each function takes ECGs [b, l, n] in mV, NaN where absent, and gives new ones of the same shape; batches are decided by
the generator that is passed in.
"""

import torch
from torch import Tensor

TURNED = 0.2  # share of ECGs that are turned over
NOISY = 0.5  # share of ECGs with noise
SNR_DB = (5.0, 25.0)  # of the ECG over the noise
MAINS_HZ = (50.0, 60.0)
WANDER_HZ = (0.08, 0.6)
WANDERS = 3  # waves that make up a wander
MUSCLE_WIDTH_S = 0.03  # what is slower than this is no muscle
FORGETFUL = 0.3  # share of ECGs whose past begins late
FEW_LEADS = 0.7  # share of ECGs that lose leads
ONE_LEAD = 0.5  # share of those that keep a single one, where there are more than two


def turn_over(ecg: Tensor, draw: torch.Generator) -> Tensor:
    """Some with every lead upside down."""
    turned = torch.rand(len(ecg), 1, 1, generator=draw) < TURNED
    return torch.where(turned, -ecg, ecg)


def change_gain(ecg: Tensor, draw: torch.Generator) -> Tensor:
    """All of them 0.7 to 1.5 times as large."""
    return ecg * (0.7 + 0.8 * torch.rand(len(ecg), 1, 1, generator=draw))


def forget_past(ecg: Tensor, rate_hz: float, most_s: float, draw: torch.Generator) -> Tensor:
    """Some without their first `most_s` seconds or less, as a recording has them that has just begun."""
    forget = torch.rand(len(ecg), 1, 1, generator=draw) < FORGETFUL
    first = torch.rand(len(ecg), 1, 1, generator=draw) * most_s * rate_hz
    return ecg.masked_fill(forget & (torch.arange(ecg.shape[-1]) < first), torch.nan)


def leave_leads_out(ecg: Tensor, draw: torch.Generator) -> Tensor:
    """Most with a part of their leads alone: watches and monitors record one, others any few; of two leads one is left.

    Which ones is drawn evenly, and so is how many of three or more, once it is not a single one.
    """
    b, leads, _ = ecg.shape
    if leads == 1:
        return ecg
    first = torch.randint(leads, (b, 1), generator=draw)
    few = torch.rand(b, 1, generator=draw) < FEW_LEADS
    places = torch.arange(leads).expand(b, -1)
    silent = places != first
    if leads > 2:
        count = torch.randint(2, leads, (b, 1), generator=draw)
        count = torch.where(torch.rand(b, 1, generator=draw) < ONE_LEAD, 1, count)
        turn = torch.rand(b, leads, generator=draw).scatter(1, first, -1.0).argsort(1).argsort(1)
        silent = turn >= count
    return ecg.masked_fill((silent & few)[..., None], torch.nan)


def add_noise(ecg: Tensor, rate_hz: float, draw: torch.Generator) -> Tensor:
    """Some with muscle, mains or wander, `SNR_DB` below the power that each lead has about its own mean.

    Of a flat line, which has none, nothing is made noisy.
    """
    b, leads, n = ecg.shape
    time = torch.arange(n) / rate_hz
    dice = torch.rand(b, 4, generator=draw)
    white = torch.randn(b, leads, n, generator=draw)
    width = int(MUSCLE_WIDTH_S * rate_hz) | 1
    muscle = white - torch.nn.functional.avg_pool1d(white, width, 1, width // 2, count_include_pad=False)
    hertz = torch.where(dice[:, 0] < 0.5, *MAINS_HZ)[:, None, None]
    mains = torch.sin(2 * torch.pi * (hertz * time + torch.rand(b, leads, 1, generator=draw)))
    low, high = WANDER_HZ
    waves = low * (high / low) ** torch.rand(b, leads, WANDERS, 1, generator=draw)
    phases = torch.rand(b, leads, WANDERS, 1, generator=draw)
    wander = torch.sin(2 * torch.pi * (waves * time + phases)).sum(2)
    kind = (dice[:, 1] * 3).long()
    noise = torch.stack([muscle, mains, wander])[kind, torch.arange(b)]
    noise = (noise - noise.mean(-1, keepdim=True)) / noise.std(-1, keepdim=True).clamp(min=1e-6)
    least, most = SNR_DB
    snr_db = least + (most - least) * dice[:, 2]
    size = torch.where(dice[:, 3] < NOISY, 10 ** (-snr_db / 20), 0.0)[:, None, None]
    power = (ecg - ecg.nanmean(-1, keepdim=True)).square().nanmean(-1, keepdim=True)
    return ecg + size * power.sqrt() * noise
