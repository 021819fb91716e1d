"""Several banks of one training: each holds clips of one frame rate, and a step draws from one of them."""

from collections.abc import Sequence

import torch

from echopulse.data.bank import Bank
from echopulse.errors import InputError
from echopulse.model.config import GeneratorConfig


def pick(banks: Sequence[Bank], draw: torch.Generator) -> int:
    """Which bank a step draws from: by chance, in proportion to clips. Of a single one nothing is drawn."""
    if len(banks) == 1:
        return 0
    ends = torch.tensor([len(bank) for bank in banks]).cumsum(0)
    clip = torch.randint(int(ends[-1]), (1,), generator=draw)
    return int(torch.searchsorted(ends, clip, right=True))


def own_rate_first(banks: Sequence[Bank], fps: float) -> list[Bank]:
    """The banks, one at `fps` frames/s (where there is one) before all others, since training is judged at its rate."""
    first = next((bank for bank in banks if bank.fps == fps), banks[0])
    return [first, *(bank for bank in banks if bank is not first)]


def rates_of(banks: Sequence[Bank]) -> tuple[float, float]:
    """The lowest and the highest frame rate of the banks."""
    rates = [bank.fps for bank in banks]
    return min(rates), max(rates)


def check_ecg_rate(bank: Bank, config: GeneratorConfig) -> None:
    """InputError for clips whose ECG has another rate than the one that the ECG encoder hears."""
    if bank.ecg_rate_hz != config.ecg.rate_hz:
        raise InputError(
            f"{bank.folder or 'these clips'}: ECGs at {bank.ecg_rate_hz:g} Hz; this ECG encoder hears "
            f"{config.ecg.rate_hz:g} Hz, so simulate some at that rate (`ecg_rate_hz` in Python; not those of --ecg)."
        )


def check_rate(bank: Bank, config: GeneratorConfig) -> None:
    """InputError for clips at a frame rate that a generator does not learn."""
    if config.nearest_rate(bank.fps) != bank.fps:
        raise InputError(
            f"{bank.folder or 'these clips'}: {bank.fps:g} frames/s; this generator has learned {config.known_rates}, "
            f"so simulate some with --fps {config.nearest_rate(bank.fps):g}."
        )
