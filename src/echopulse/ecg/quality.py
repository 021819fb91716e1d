"""How good a recording is, and whether it can be used at all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from echopulse.ecg.clean import filter_of
from echopulse.ecg.faults import clipped, unusable
from echopulse.ecg.types import ECG, fill_gaps
from echopulse.errors import InputError

SHORTEST_S = 2.0
SLOWEST_HZ = 40.0  # a QRS lasts 0.1 s: at less there are too few samples in it to find it by
FLAT_MV = 0.02  # peak to peak; the smallest QRS of a low-voltage lead is several times larger
MOST_MISSING = 0.5
QUALITY_PIECE_S, QUALITY_CONTEXT_S = 600, 15
SLOW_HZ = 0.8
# Over the height of a QRS, with the sign turned: where quality is 0, and where it is 1.
NOISE_RAMP, WANDER_RAMP, JOLT_RAMP = (-0.2, -0.03), (-2.0, -0.6), (-5.0, -2.5)


def check_usable(ecg: ECG, allow_flat: bool = False) -> None:
    """Raise InputError for an ECG that is too short, too coarse, has no samples to speak of, or is a flat line."""
    if ecg.rate_hz < SLOWEST_HZ:
        raise InputError(
            f"{ecg.name}: {ecg.rate_hz:g} samples a second; at least {SLOWEST_HZ:g} are needed to see a QRS. Export "
            "the recording at its own rate, or say --rate if the file is wrong about it."
        )
    if ecg.duration_s < SHORTEST_S - 0.5 / ecg.rate_hz:
        raise InputError(
            f"{ecg.name}: {ecg.duration_s:.1f} s of ECG at {ecg.rate_hz:g} Hz; at least {SHORTEST_S:g} s are needed "
            "to find a rhythm. Export the whole recording."
        )
    missing = np.mean(~np.isfinite(ecg.samples), axis=1)
    if missing.min() == 1:
        raise InputError(f"{ecg.name}: no valid sample in it, NaN throughout; export the recording again.")
    if missing.min() > MOST_MISSING:
        raise InputError(
            f"{ecg.name}: {100 * missing.min():.0f} % of the samples are missing (NaN), at most "
            f"{100 * MOST_MISSING:.0f} % may be; use another part of the recording."
        )
    if not allow_flat and is_flat(ecg):
        raise InputError(
            f"{ecg.name}: a flat line ({1000 * max(_swing(row) for row in ecg.samples):.0f} uV peak to peak), no "
            "heartbeat in it; check the electrodes, or say --allow-flat if a standing heart is what you want."
        )


def is_flat(ecg: ECG) -> bool:
    """Whether no lead moves by more than 0.02 mV, but for single spikes."""
    return all(_swing(row) < FLAT_MV for row in ecg.samples)


def _swing(row: np.ndarray) -> float:
    good = row[np.isfinite(row)]
    return float(np.subtract(*np.percentile(good, (99.8, 0.2)))) if good.size else 0.0


def signal_quality(ecg: ECG) -> np.ndarray:
    """How clearly each lead shows an ECG, float64 [leads], 0..1.

    The product of four ramps on indices described by Li, Mark and Clifford (2008) and Clifford et al. (2012),
    and of the share of usable samples: kurtosis (beats are rare and tall), the share of the 5-40 Hz power that
    lies in the QRS band 5-15 Hz, the share of the power below 40 Hz that is not baseline, and samples that
    neither stand still nor stick to an end of the scale. Of a record of more than twenty minutes it is the mean of
    what its pieces of ten minutes have, so that a day takes the memory of a piece.
    """
    if ecg.duration_s <= 2 * QUALITY_PIECE_S:
        return _quality(ecg)
    edges = np.linspace(0, ecg.samples.shape[1], int(np.ceil(ecg.duration_s / QUALITY_PIECE_S)) + 1).astype(int)
    pieces = [replace(ecg, samples=ecg.samples[:, a:b]) for a, b in zip(edges, edges[1:], strict=False)]
    return np.average([_quality(piece) for piece in pieces], axis=0, weights=np.diff(edges))


def _quality(ecg: ECG) -> np.ndarray:
    """[leads], see `signal_quality`."""
    from scipy.signal import sosfiltfilt, welch
    from scipy.stats import kurtosis

    scores = np.zeros(len(ecg.leads))
    alive = [i for i, row in enumerate(ecg.samples) if _swing(row) >= FLAT_MV]
    if not alive:
        return scores
    filled = fill_gaps(ecg.samples[alive])
    level = filled - np.median(filled, axis=1, keepdims=True)
    hertz, power = welch(level, ecg.rate_hz, nperseg=min(level.shape[1], int(4 * ecg.rate_hz)), axis=1)

    def band(low: float, high: float) -> np.ndarray:
        return power[:, (hertz >= low) & (hertz < high)].sum(axis=1) + 1e-12

    high = sosfiltfilt(filter_of(2, 1.0, "highpass", ecg.rate_hz), filled)
    beats = _ramp(kurtosis(high, axis=1), 0.5, 4.0)
    qrs = _ramp(band(5, 15) / band(5, 40), 0.15, 0.45)
    still = _ramp(1 - band(0, 0.8) / band(0, 40), 0.0, 0.3)
    hum = _ramp(1 - band(40, ecg.rate_hz) / band(5, ecg.rate_hz), 0.1, 0.5)
    lost = np.array([unusable(ecg.samples[i], ecg.rate_hz).mean() for i in alive])
    scores[alive] = beats * qrs * still * hum * (1 - np.minimum(1.0, 2 * lost))
    return scores


def quality_per_second(ecg: ECG) -> np.ndarray:
    """How clearly each lead shows an ECG in every second, float64 [leads, seconds], 0..1; a last part counts as one.

    The product of three ramps and of the share of usable samples: what muscles and hum leave between the beats (the
    median deviation above 5 Hz), how far the baseline swings, and the largest deflection, each over the height that
    QRS complexes have in the half minute around. Long records are judged ten minutes at a time.
    """
    seconds = max(1, int(np.ceil(ecg.duration_s - 1e-6)))
    quality = np.zeros((len(ecg.leads), seconds))
    for begin in range(0, seconds, QUALITY_PIECE_S):
        stop = min(begin + QUALITY_PIECE_S, seconds)
        first, last = max(0, begin - QUALITY_CONTEXT_S), min(seconds, stop + QUALITY_CONTEXT_S)
        part = ecg.samples[:, round(first * ecg.rate_hz) : round(last * ecg.rate_hz)]
        if part.shape[1] > 2:
            judged = _by_second(part, ecg.rate_hz, last - first)
            quality[:, begin:stop] = judged[:, begin - first : stop - first]
    return quality


def _by_second(samples: np.ndarray, rate_hz: float, seconds: int) -> np.ndarray:
    """[leads, seconds], see `quality_per_second`."""
    from scipy.ndimage import maximum_filter1d, median_filter
    from scipy.signal import sosfiltfilt

    edges = np.minimum(np.rint(np.arange(seconds + 1) * rate_hz).astype(int), samples.shape[1])
    filled = fill_gaps(samples)
    filled -= np.median(filled, axis=1, keepdims=True)
    pad = min(samples.shape[1] - 1, round(2 * rate_hz))
    slow = sosfiltfilt(filter_of(2, SLOW_HZ, "lowpass", rate_hz), filled, padlen=pad)
    fast = sosfiltfilt(filter_of(2, 5.0, "highpass", rate_hz), filled, padlen=pad)
    noise, wander, height, lost = (np.zeros((len(samples), seconds)) for _ in range(4))
    for i, row in enumerate(samples):
        bad = unusable(row, rate_hz)
        for k, (first, stop) in enumerate(zip(edges, edges[1:], strict=False)):
            if stop - first < 2 or bad[first:stop].mean() > 0.8:
                lost[i, k] = 1.0
                continue
            strong = np.abs(fast[i, first:stop])
            noise[i, k], height[i, k] = np.median(strong) / 0.6745, strong.max()
            wander[i, k] = np.ptp(slow[i, first:stop])
            lost[i, k] = bad[first:stop].mean()
    beat = maximum_filter1d(height, 3, axis=1)  # a slow heart leaves whole seconds without a QRS
    usual = median_filter(beat, (1, 31), mode="nearest")
    usual = np.where(usual > 0, usual, beat) + 1e-9
    quality = _ramp(-noise / usual, *NOISE_RAMP) * _ramp(-wander / usual, *WANDER_RAMP)
    quality *= _ramp(-height / usual, *JOLT_RAMP) * (beat > FLAT_MV) * (1 - np.minimum(1.0, 2 * lost))
    return quality


def best_stretch(ecg: ECG, seconds: float) -> ECG:
    """The part of a recording, `seconds` long, in which its clearest leads are clearest; the earliest among equals.

    A part is as good as its mean and its worst second together, in the two best leads there; the provenance says which
    was taken. InputError where the recording is shorter, or the part too short for a rhythm.
    """
    if not (np.isfinite(seconds) and seconds >= SHORTEST_S):
        raise InputError(f"--best {seconds:g}: at least {SHORTEST_S:g} s are expected.")
    if seconds > ecg.duration_s + 1e-6:
        raise InputError(f"{ecg.name}: {seconds:g} s asked for, but the ECG has {ecg.duration_s:.1f} s; ask for less.")
    quality = quality_per_second(ecg)
    width = min(max(1, int(np.ceil(seconds - 1e-6))), quality.shape[1])
    parts = np.lib.stride_tricks.sliding_window_view(quality, width, axis=1)  # [leads, starts, width]
    score = np.sort(parts.mean(axis=2) + parts.min(axis=2), axis=0)[-2:].mean(axis=0)
    begin = int(np.argmax(score > score.max() - 0.02))
    part = ecg.crop(ecg.start_s + min(begin, max(ecg.duration_s - seconds, 0)), seconds)
    words = f"{seconds:g} s from {part.start_s:.2f} s on, where the clearest leads are clearest"
    return replace(part, provenance={**ecg.provenance, "best": words})


def _ramp(value: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 below `low`, 1 above `high`, a straight line between."""
    return np.clip((value - low) / (high - low), 0.0, 1.0)


def clipped_share(row: np.ndarray) -> float:
    """Share of the samples that stick to the largest or smallest value for three or more in a row (saturation)."""
    return float(np.mean(clipped(row)))
