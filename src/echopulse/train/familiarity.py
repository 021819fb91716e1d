"""What a generator's ECG encoder has heard, kept beside its weights."""

import torch
from torch import Tensor

from echopulse.data import Bank
from echopulse.model.familiarity import Familiarity, summary_of
from echopulse.model.generator import Generator
from echopulse.model.precision import mixed_precision
from echopulse.train.ecg_encoder import by_name, ecg_windows

WINDOWS, HELD_OUT, AT_ONCE = 1024, 1024, 64


@torch.no_grad()
def hear_bank(generator: Generator, bank: Bank, count: int, *, augment: bool, seed: int) -> Tensor:
    """Summaries [count, inputs] of windows drawn at random, with what training does to them if `augment`."""
    frames = 1 + 4 * (generator.config.window - 1)
    draw, device = torch.Generator().manual_seed(seed), generator.null_memory.device
    placed, found = by_name(generator.config), []
    for first in range(0, count, AT_ONCE):
        some = min(AT_ONCE, count - first)
        rows = torch.randint(len(bank), (some,), generator=draw)
        starts = torch.randint(bank.frames.shape[1] - frames + 1, (some,), generator=draw)
        ecg, start, _, _ = ecg_windows(bank, rows, starts, frames, draw, augment=augment, placed=placed)
        with mixed_precision(device):
            found.append(summary_of(generator.encode_ecg(ecg.to(device), start.to(device))).cpu())
    return torch.cat(found)


def fit_familiarity(
    generator: Generator, bank: Bank, held_out: Bank, *, windows: int = WINDOWS, usual: int = HELD_OUT, seed: int = 0
) -> Familiarity:
    """From as many windows of the bank as they are and changed as in training; held-out ones say what is usual."""
    known = [hear_bank(generator, bank, windows, augment=augment, seed=seed) for augment in (False, True)]
    return Familiarity.fit(torch.cat(known), hear_bank(generator, held_out, usual, augment=False, seed=seed + 1))
