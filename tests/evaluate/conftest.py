"""Hearts known by formula and oracles in place of the networks: pictures that spell their volume in two pixels."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from echopulse.evaluate.held_out import Bench, Heart
from echopulse.measure import Measurement, find_cycles

TIMES = np.arange(65) / 25
WIDE = np.arange(-1.2, 4.2, 0.02)
ECG_START_S = -2.6
RATE_HZ = 200


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
            spacing_cm=0.1, seed=number, wide_times_s=WIDE, wide_volume_ml=self.volume(WIDE),
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

    def generate(ecg, begin_s, frames, *, leads, first, view, ef, seed):
        times = TIMES[:frames] + begin_s + ECG_START_S
        known = [heart for heart in KNOWN if ecg is not None and torch.equal(ecg, heart.ecg)]
        return spell(known[0].volume(times, ef) if known else np.full(frames, 120.0))

    return Bench(generate, lambda frames: frames.numpy(), read)


@pytest.fixture
def deaf() -> Bench:
    """Beats well, at a rate of its own, whatever the ECG and the EF asked for."""

    def generate(ecg, begin_s, frames, *, leads, first, view, ef, seed):
        return spell(KnownHeart(9, 83, 0.05 + 0.17 * seed, 0.55).volume(TIMES[:frames]))

    return Bench(generate, lambda frames: frames.numpy(), read)


class TracedHeart(KnownHeart):
    """A known heart whose ECG is drawn: R and, 0.27 s later, T, in two leads and a third that is upside down."""

    def __init__(self, number: int, rate: float, first_peak: float, ef: float):
        super().__init__(number, rate, first_peak, ef)
        since = ECG_START_S + np.arange(round(6.8 * RATE_HZ)) / RATE_HZ - self.peaks[:, None]
        wave = np.exp(-((since / R_WIDTH_S) ** 2) / 2) + 0.2 * np.exp(-(((since - R_TO_T_S) / T_WIDTH_S) ** 2) / 2)
        trace = torch.from_numpy(wave.sum(0)).float()
        self.ecg, self.other_lead = torch.stack([trace, 0.7 * trace]), -0.6 * trace[None]

    def as_heart(self, number: int) -> Heart:
        return replace(super().as_heart(number), other_lead=self.other_lead)

    def obey(self, ecg, begin_s: float, frames: int, late_beats: float = 0.0) -> np.ndarray:
        """The volume [t] of this heart when it follows the waves of any ECG, some part of a beat late."""
        peaks, scale = waves_of(ecg) if ecg is not None else (np.zeros(0), 1.0)
        if len(peaks) < 2:
            return np.full(frames, 120.0)
        rr = float(np.median(np.diff(peaks)))
        beat = KnownHeart(0, 60 * scale / rr, (peaks[0] - begin_s) / scale, self.ef)  # on a clock of its own pace
        beat.peaks = beat.peaks - 40 * beat.rr
        return beat.volume((TIMES[:frames] - late_beats * rr) / scale)


R_WIDTH_S, T_WIDTH_S, R_TO_T_S = 0.012, 0.04, 0.27
TRACED = [
    TracedHeart(number, *heart)
    for number, heart in enumerate(
        [(72, 0.21, 0.6), (86, 0.47, 0.4), (61, 0.1, 0.5), (68, 0.3, 0.3), (94, 0.05, 0.55), (57, 0.62, 0.45),
         (78, 0.33, 0.35), (66, 0.5, 0.65)]
    )
]  # fmt: skip


def waves_of(ecg: torch.Tensor) -> tuple[np.ndarray, float]:
    """Times of the R peaks in seconds from the first sample, and how much longer than usual R to T is."""
    from scipy.ndimage import gaussian_filter1d
    from scipy.signal import find_peaks

    row = ecg[0].double().numpy()
    sharp = np.abs(gaussian_filter1d(row, R_WIDTH_S * RATE_HZ) - gaussian_filter1d(row, 5 * R_WIDTH_S * RATE_HZ))
    peaks, _ = find_peaks(sharp, height=0.5 * np.percentile(sharp, 99.5), distance=0.3 * RATE_HZ)
    if len(peaks) < 2 or np.abs(row).max() < 0.1:
        return np.zeros(0), 1.0
    rr = np.median(np.diff(peaks))
    broad = np.abs(gaussian_filter1d(row, T_WIDTH_S * RATE_HZ))
    near, far = round(0.13 * RATE_HZ), round(min(0.5 * RATE_HZ, 0.75 * rr))
    to_t = [near + int(np.argmax(broad[peak + near : peak + far])) for peak in peaks if peak + far < len(row)]
    scale = np.median(to_t) / RATE_HZ / R_TO_T_S
    return peaks / RATE_HZ, float(scale)


def follower(late_beats: float) -> Bench:
    """A generator whose hearts do what the waves of the given ECG say, some part of a beat late."""

    def generate(ecg, begin_s, frames, *, leads, first, view, ef, seed):
        return spell(TRACED[seed].obey(ecg, begin_s, frames, late_beats))

    return Bench(generate, lambda frames: frames.numpy(), read)


@pytest.fixture(scope="session")
def traced_hearts() -> list[Heart]:
    return [traced.as_heart(number) for number, traced in enumerate(TRACED)]


@pytest.fixture(scope="session")
def dummies() -> dict[str, Bench]:
    """Three generators whose obedience is known: perfect, half a beat late, and deaf (a loop at a rate of its own)."""

    def loop(ecg, begin_s, frames, *, leads, first, view, ef, seed):
        return spell(KnownHeart(9, 83, 0.05 + 0.17 * seed, 0.55).volume(TIMES[:frames]))

    deaf = Bench(loop, lambda frames: frames.numpy(), read)
    return {"perfect": follower(0.0), "half a beat late": follower(0.5), "deaf": deaf}
