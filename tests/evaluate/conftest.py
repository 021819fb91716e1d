"""Hearts known by formula and oracles in place of the networks: pictures that spell their volume in two pixels."""

import numpy as np
import pytest
import torch

from echopulse.evaluate.held_out import Bench, Heart
from echopulse.measure import Measurement, find_cycles

TIMES = np.arange(65) / 25
ECG_START_S = -2.6


def rise(u):
    u = np.clip(u, 0, 1)
    return u * u * (3 - 2 * u)


class KnownHeart:
    """Ejects 0.08 s after every R peak for 0.3 s, rests 0.08 s, fills in two steps; EF as told."""

    def __init__(self, number: int, rate: float, first_peak: float, ef: float):
        self.ef, self.rr = ef, 60 / rate
        self.peaks = first_peak + self.rr * np.arange(-8, 12)
        self.ecg = torch.full((1, 40), float(number + 1))  # an oracle knows it by this

    def volume(self, times, ef=None):
        phase = np.mod(times - self.peaks[0] - 0.08, self.rr)
        kick = self.rr - 0.18
        filled = 0.8 * rise((phase - 0.38) / (0.8 * (kick - 0.38))) + 0.2 * rise((phase - kick) / 0.13)
        return 120 * (1 - (self.ef if ef is None else ef) * (rise(phase / 0.3) - filled))

    def as_heart(self, number: int) -> Heart:
        volume = self.volume(TIMES)
        frames = torch.from_numpy(spell(volume))
        return Heart(
            frames=frames, masks=np.ones((len(TIMES), 2, 2), bool), times_s=TIMES, volume_ml=volume, ef=self.ef,
            r_peaks_s=self.peaks, t_ends_s=self.peaks + 0.36, ecg=self.ecg, ecg_start_s=ECG_START_S, view="a4c",
            spacing_cm=0.1, seed=number,
        )  # fmt: skip


def spell(volume: np.ndarray) -> np.ndarray:
    """Volumes [t] in ml as pictures uint8 [t, 1, 2]: whole millilitres, then parts of 256."""
    whole = np.floor(volume)
    return np.stack([whole, np.floor(256 * (volume - whole))], -1)[:, None].astype(np.uint8)


def read(clip) -> Measurement:
    """The measurer that reads such pictures without error."""
    volume = clip.frames[:, 0, 0] + clip.frames[:, 0, 1] / 256
    found = find_cycles(clip.times_s, volume)
    return Measurement(
        clip.times_s, np.ones((len(volume), 2, 2), bool), volume ** (2 / 3), volume, volume, "ml", found.ed_frames,
        found.es_frames, found.ef_per_beat, np.ones(len(volume)),
    )  # fmt: skip


HEARTS = ((72, 0.21, 0.6), (82, 0.47, 0.4), (60, 0.1, 0.5), (52, 0.3, 0.3))  # rate per minute, an R peak, EF
KNOWN = [KnownHeart(number, *heart) for number, heart in enumerate(HEARTS)]


@pytest.fixture
def hearts() -> list[Heart]:
    return [known.as_heart(number) for number, known in enumerate(KNOWN)]


@pytest.fixture
def obedient() -> Bench:
    """Gives what the heart of the ECG does at that time; stands still without one; gives any EF asked for."""

    def generate(ecg, begin_s, frames, *, first, view, ef, seed):
        times = TIMES[:frames] + begin_s + ECG_START_S
        known = [heart for heart in KNOWN if ecg is not None and torch.equal(ecg, heart.ecg)]
        return spell(known[0].volume(times, ef) if known else np.full(frames, 120.0))

    return Bench(generate, lambda frames: frames.numpy(), read)


@pytest.fixture
def deaf() -> Bench:
    """Beats well, at a rate of its own, whatever the ECG and the EF asked for."""

    def generate(ecg, begin_s, frames, *, first, view, ef, seed):
        return spell(KnownHeart(9, 83, 0.05 + 0.17 * seed, 0.55).volume(TIMES[:frames]))

    return Bench(generate, lambda frames: frames.numpy(), read)
