"""What the ECG encoder learns by itself before the generator: to tell from an ECG what the heart does."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from echopulse.data.bank import Bank
from echopulse.model.config import GeneratorConfig
from echopulse.model.ecg_encoders import build_ecg_encoder
from echopulse.model.ecg_input import in_places
from echopulse.model.windows import AFTER_S, BEFORE_S
from echopulse.phantom.rhythm.leads import lead_places
from echopulse.train.augment import add_noise, leave_leads_out, turn_over
from echopulse.train.banks import check_ecg_rate, pick


def heart_targets(bank: Bank, rows: Tensor, frames: Tensor) -> Tensor:
    """What the ECG encoder learns to say, [b, f, 3]: volume (0 smallest, 1 largest of a regular beat), rate, mitral.

    A clip's volume is scaled by its nominal end-diastolic volume and ejection fraction, so that a weak beat reads
    as a weak beat; a standing heart stays at 1.
    """
    volume = bank.volume_ml / bank.edv_ml[:, None]
    scaled = 1 - (1 - volume) / bank.ef.clamp(min=0.1)[:, None]
    rate = torch.zeros_like(scaled)
    rate[:, 1:-1] = (scaled[:, 2:] - scaled[:, :-2]) * (bank.fps / 2) / 8
    every = torch.stack([scaled.clamp(-0.5, 1.5), rate.clamp(-2, 2), bank.mitral_opening], -1)
    return every[rows[:, None], frames]


class EcgTask:
    """The ECG encoder alone: from a raw ECG to volume, its rate and the mitral valve, on every frame.

    `more` are banks of other frame rates beside `bank`. With `noisy` it hears some ECGs upside down, some with muscle,
    mains or wander.
    """

    name = "ecg"

    def __init__(
        self, config: GeneratorConfig, bank: Bank, held_out: Bank, *, more: Sequence[Bank] = (), batch: int = 32,
        device="cpu", seed=0, noisy=False,
    ):  # fmt: skip
        torch.manual_seed(seed)
        self.noisy = noisy
        self.model = build_ecg_encoder(config.ecg).to(device)
        for one in (bank, held_out, *more):
            check_ecg_rate(one, config)
        self.config, self.banks, self.held_out, self.batch, self.device = config, (bank, *more), held_out, batch, device

    def on_progress(self, progress: float, step: int) -> None:
        """Nothing changes on the way."""

    def loss(self, seed: int) -> tuple[Tensor, dict[str, float]]:
        draw = torch.Generator().manual_seed(seed)
        frames, bank = 1 + 4 * (self.config.window - 1), self.banks[pick(self.banks, draw)]
        rows = torch.randint(len(bank), (self.batch,), generator=draw)
        starts = torch.randint(bank.frames.shape[1] - frames + 1, (self.batch,), generator=draw)
        placed = by_name(self.config)
        ecg, ecg_start, times, index = ecg_windows(bank, rows, starts, frames, draw, augment=True, placed=placed)
        if self.noisy:
            ecg = add_noise(turn_over(ecg, draw), bank.ecg_rate_hz, draw)
        said = self.model.read_out(self.model(ecg.to(self.device), ecg_start.to(self.device)), times.to(self.device))
        loss = F.smooth_l1_loss(said, heart_targets(bank, rows, index).to(self.device), beta=0.1)
        return loss, {}

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        rows = torch.arange(min(64, len(self.held_out)))
        frames = self.held_out.frames.shape[1]
        draw, starts, placed = torch.Generator().manual_seed(0), torch.zeros_like(rows), by_name(self.config)
        ecg, start, times, index = ecg_windows(
            self.held_out, rows, starts, frames, draw, augment=False, placed=placed
        )
        said = model.read_out(model(ecg.to(self.device), start.to(self.device)), times.to(self.device))[..., 0].cpu()
        truth = heart_targets(self.held_out, rows, index)[..., 0]
        moving = truth.std(1) > 0.02
        pairs = zip(said[moving], truth[moving], strict=True)
        r = torch.stack([torch.corrcoef(torch.stack(pair))[0, 1] for pair in pairs])
        still = said[~moving].std(1).mean() if bool((~moving).any()) else torch.tensor(math.nan)
        return {"volume_r_median": float(r.median()), "volume_r_mean": float(r.mean()), "still_sd": float(still)}

    def pictures(self, model: nn.Module) -> None:
        """There is nothing to see."""


def by_name(config: GeneratorConfig) -> bool:
    """Whether the generator's ECG encoder knows its leads by name, as published ones do."""
    return config.ecg.kind != "own"


def ecg_windows(
    bank: Bank, rows: Tensor, starts: Tensor, frames: int, draw: torch.Generator, *, augment: bool, placed: bool = False
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The ECG around `frames` pictures from `starts`: ecg [b, l, n], its start [b], times [b, f], frame index [b, f].

    Times count from the first picture. `augment` shifts the grid by a few samples, leaves leads out, forgets part of
    the past or of the future, and changes the gain, as recordings and live streams do. With `placed` there are all
    twelve leads in their places at last, NaN where absent, for an encoder that knows them by name.
    """
    rate = bank.ecg_rate_hz
    count = len(rows)
    length = int(round((BEFORE_S + AFTER_S + (frames - 1) / bank.fps) * rate)) // 8 * 8
    first = ((starts / bank.fps - BEFORE_S - bank.ecg_start_s) * rate).round().long()
    if augment:
        first = (first + torch.randint(-7, 8, (count,), generator=draw)).clamp(0, bank.ecg.shape[-1] - length)
    samples = first[:, None] + torch.arange(length)
    ecg = bank.ecg[rows[:, None], :, samples].transpose(1, 2).clone()
    start = first / rate + bank.ecg_start_s - starts / bank.fps
    if augment:
        time = start[:, None] + torch.arange(length) / rate
        forget = torch.rand(count, 1, generator=draw) < 0.3
        past = torch.rand(count, 1, generator=draw) * BEFORE_S
        ecg[((time < -past) & forget)[:, None].expand_as(ecg)] = torch.nan
        end = (frames - 1) / bank.fps
        live = torch.rand(count, 1, generator=draw) < 0.2
        ahead = 0.1 + torch.rand(count, 1, generator=draw) * (AFTER_S - 0.1)
        ecg[((time > end + ahead) & live)[:, None].expand_as(ecg)] = torch.nan
        ecg = leave_leads_out(ecg, draw)
        ecg = ecg * (0.7 + 0.8 * torch.rand(count, 1, 1, generator=draw))
    if placed:
        nameless = lead_places([""] * ecg.shape[1])
        ecg = in_places(ecg, bank.lead[rows] if "lead" in bank.tensors else nameless)
    index = starts[:, None] + torch.arange(frames)
    times = (torch.arange(frames) / bank.fps)[None].expand(count, -1)
    return ecg, start.float(), times, index
