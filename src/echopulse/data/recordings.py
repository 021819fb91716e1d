"""Anybody's ECG files for training: every kind that `read_ecg` knows, read as they are asked for."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from echopulse.data.unseen import unseen_first
from echopulse.ecg import ECG, list_ecg_files, read_ecg
from echopulse.ecg.read import check_rate
from echopulse.ecg.readers.plain import RateUnknown
from echopulse.errors import InputError

LEADS = 2  # of a stretch at most, as many as generating hears
ALONE = 0.7  # share of the stretches with one lead only
PACES = (0.8, 1.25)  # how much slower or faster a stretch may play
KEPT_BYTES = 2**30  # of samples that stay in memory once they are read
DRAWS = 6  # random numbers that decide on one stretch: file, begin, pace, first lead, second lead, alone or not
FASTEST_HZ = 20_000.0
LARGEST_MV = 1000.0  # no ECG comes near; netCDF's fill value is 1e37


class Recordings:
    """ECGs of some files at one rate; a batch is decided by the generator that is passed in, whatever was read before.

    `assumed_hz` is the sampling rate of files that do not say theirs; without it they cannot be read. `skipped` holds
    the reason for each file that cannot be read, by name; `on_skip` is told each once.
    """

    def __init__(
        self, files: dict[str, Path], *, rate_hz: float, assumed_hz: float | None = None, kept_bytes: int = KEPT_BYTES
    ):
        self.files, self.rate_hz, self.assumed_hz, self.kept_bytes = files, rate_hz, assumed_hz, kept_bytes
        self.names = list(files)
        self.skipped: dict[str, str] = {}
        self.on_skip: Callable[[str, str], None] = lambda name, reason: None
        self._kept: OrderedDict[str, np.ndarray] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self.names)

    def draw(self, count: int, samples: int, generator: torch.Generator, *, vary: bool = True) -> Tensor:
        """float32 [count, LEADS, samples] mV: random stretches of random files, NaN where there is nothing.

        Most have one lead, the others two; `vary` plays them slower or faster, within `PACES`, as other hearts would
        beat. A recording that is shorter ends in NaN. InputError where no file can be read.
        """
        dice = torch.rand(count, DRAWS, generator=generator).tolist()
        return torch.from_numpy(np.stack([self._one(row, samples, vary) for row in dice]))

    def readable(self) -> bool:
        """Whether there is any file that can be read."""
        return any(name not in self.skipped and self._read(name) is not None for name in self.names)

    def _one(self, dice: list[float], samples: int, vary: bool) -> np.ndarray:
        which, begin, pace, first, second, alone = dice
        signal = self._found(int(which * len(self.names)))
        slowest, fastest = PACES
        step = slowest * (fastest / slowest) ** pace if vary else 1.0
        leads = [int(first * len(signal))]
        if len(signal) > 1 and alone > ALONE:
            leads.append((leads[0] + 1 + int(second * (len(signal) - 1))) % len(signal))
        start = begin * max(0.0, signal.shape[1] - 1 - step * (samples - 1))
        stretch = np.full((LEADS, samples), np.nan, np.float32)
        stretch[: len(leads)] = between(signal[leads], start + step * np.arange(samples))
        return stretch

    def _found(self, start: int) -> np.ndarray:
        """The recording of this number, or the next one where it cannot be read."""
        for step in range(len(self.names)):
            name = self.names[(start + step) % len(self.names)]
            signal = None if name in self.skipped else self._read(name)
            if signal is not None:
                return signal
        name, reason = next(iter(self.skipped.items()))
        raise InputError(f"none of {len(self.names)} ECGs can be read; {name}: {reason}.")

    def _read(self, name: str) -> np.ndarray | None:
        """float32 [leads, n] mV at the rate of all; None for what is no ECG."""
        if name in self._kept:
            return self._kept[name]
        try:
            ecg = self._ecg(self.files[name])
            if ecg.rate_hz > FASTEST_HZ:
                raise InputError(f"{ecg.rate_hz:g} samples a second; at most {FASTEST_HZ:g} are believed")
            signal = ecg.resampled(self.rate_hz).samples
            absent = ~(np.abs(signal) < LARGEST_MV)  # as files write where there is nothing
            signal = np.where(absent, np.float32(np.nan), signal)
        except (InputError, OSError) as error:
            if name not in self.skipped:
                self.skipped[name] = str(error).removeprefix(f"{self.files[name]}: ").rstrip(".")
                self.on_skip(name, self.skipped[name])
            return None
        self._kept[name] = signal
        self._bytes += signal.nbytes
        while len(self._kept) > 1 and self._bytes > self.kept_bytes:
            self._bytes -= self._kept.popitem(last=False)[1].nbytes
        return signal

    def _ecg(self, path: Path) -> ECG:
        try:
            return read_ecg(path)
        except RateUnknown:
            if self.assumed_hz is None:
                raise
            return read_ecg(path, rate_hz=self.assumed_hz)


def between(signal: np.ndarray, places: np.ndarray) -> np.ndarray:
    """signal [l, n] at fractional sample numbers [k], on straight lines: float32 [l, k], NaN beyond its ends."""
    last = signal.shape[1] - 1
    low = np.clip(np.floor(places).astype(int), 0, last)
    part, high = places - low, np.minimum(low + 1, last)
    values = np.where(part == 0, signal[:, low], signal[:, low] * (1 - part) + signal[:, high] * part)
    return np.where((places >= 0) & (places <= last), values, np.nan).astype(np.float32)


def load_recordings(
    folder: Path, *, rate_hz: float, assumed_hz: float | None = None,
    on_skip: Callable[[str, str], None] | None = None,
) -> tuple[Recordings, Recordings]:  # fmt: skip
    """The ECGs in and below a folder and those of them, by file, that training must not see: about a tenth.

    A file is held out by its name, as `unseen_first` says; where none of these can be read, others are held out too.
    Files that do not say their sampling rate are taken to have `assumed_hz`. InputError where there is no
    such folder, where there are fewer than two ECGs in it, or where none can be read.
    """
    check_rate(assumed_hz)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give one with ECG files, or a bank from `simulate --bank`.")
    found = {path.relative_to(folder).as_posix(): path for path in list_ecg_files(folder)}
    if len(found) < 2:
        raise InputError(f"{folder}: one ECG ({next(iter(found))}); give at least two, one of which judges the others.")
    order, count = unseen_first(found)
    rates = {"rate_hz": rate_hz, "assumed_hz": assumed_hz}
    judging = Recordings({name: found[name] for name in order[:count]}, **rates)
    judging.on_skip = on_skip or judging.on_skip
    while not judging.readable() and count < len(order) - 1:
        judging.names.append(order[count])
        judging.files[order[count]] = found[order[count]]
        count += 1
    judging.draw(1, 2, torch.Generator().manual_seed(0))  # or says why there is none
    training = Recordings({name: found[name] for name in sorted(order[count:])}, **rates)
    training.on_skip = judging.on_skip
    return training, judging
