"""How good a recording is, and whether it can be used at all."""

from __future__ import annotations

import numpy as np

from echopulse.ecg.types import ECG, fill_gaps
from echopulse.errors import InputError

SHORTEST_S = 2.0
SLOWEST_HZ = 40.0  # a QRS lasts 0.1 s: at less there are too few samples in it to find it by
FLAT_MV = 0.02  # peak to peak; the smallest QRS of a low-voltage lead is several times larger
MOST_MISSING = 0.5


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
    neither stand still nor stick to an end of the scale.
    """
    from scipy.signal import welch
    from scipy.stats import kurtosis

    scores = np.zeros(len(ecg.leads))
    filled = fill_gaps(ecg.samples)
    for i, row in enumerate(filled):
        if _swing(row) < FLAT_MV:
            continue
        hertz, power = welch(row - np.median(row), ecg.rate_hz, nperseg=min(len(row), int(4 * ecg.rate_hz)))

        def band(low: float, high: float, hertz=hertz, power=power) -> float:
            return float(power[(hertz >= low) & (hertz < high)].sum()) + 1e-12

        beats = _ramp(float(kurtosis(_highpassed(row, ecg.rate_hz))), 0.5, 4.0)
        qrs = _ramp(band(5, 15) / band(5, 40), 0.15, 0.45)
        level = _ramp(1 - band(0, 0.8) / band(0, 40), 0.0, 0.3)
        hum = _ramp(1 - band(40, ecg.rate_hz) / band(5, ecg.rate_hz), 0.1, 0.5)
        scores[i] = beats * qrs * level * hum * (1 - min(1.0, 2 * _unusable(ecg.samples[i], ecg.rate_hz)))
    return scores


def _ramp(value: float, low: float, high: float) -> float:
    """0 below `low`, 1 above `high`, a straight line between."""
    return float(np.clip((value - low) / (high - low), 0.0, 1.0))


def _highpassed(row: np.ndarray, rate_hz: float) -> np.ndarray:
    from scipy.signal import butter, sosfiltfilt

    return sosfiltfilt(butter(2, 1.0, "highpass", fs=rate_hz, output="sos"), row)


def _unusable(row: np.ndarray, rate_hz: float) -> float:
    """Share of the samples that are missing, stand still for 0.3 s or more, or stick to an end of the scale."""
    bad = ~np.isfinite(row)
    filled = fill_gaps(row[None])[0]
    still = np.diff(filled, prepend=np.nan) == 0
    ends = (filled == filled.max()) | (filled == filled.min())
    bad |= _runs(still & ends, 3) | _runs(still, max(3, round(0.3 * rate_hz)))
    return float(np.mean(bad))


def _runs(mask: np.ndarray, least: int) -> np.ndarray:
    """The parts of a bool mask that are true for at least `least` samples in a row."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], mask.astype(np.int8), [0]))))
    out = np.zeros_like(mask)
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        if stop - start >= least:
            out[start:stop] = True
    return out


def clipped_share(row: np.ndarray) -> float:
    """Share of the samples that stick to the largest or smallest value for three or more in a row (saturation)."""
    filled = fill_gaps(row[None])[0]
    if np.ptp(filled) < FLAT_MV:
        return 0.0
    return float(np.mean(_runs(filled == filled.max(), 3) | _runs(filled == filled.min(), 3)))


def settling_s(ecg: ECG, most_s: float = 4.0) -> float:
    """Seconds at the start in which electrodes find their contact: far from the level, or far larger, than later on.

    A window of 0.25 s belongs to it when its mean is six times the usual spread of such means away from their
    median, or when it swings over twice as much as 95 % of the later windows. 0 when the start is like the rest.
    """
    width = round(0.25 * ecg.rate_hz)
    windows = ecg.samples.shape[1] // width
    early = int(most_s / 0.25)
    if windows < 2 * early:
        return 0.0
    last = 0
    for row in fill_gaps(ecg.samples):
        parts = row[: windows * width].reshape(windows, width)
        level, swing = parts.mean(axis=1), np.ptp(parts, axis=1)
        middle = np.median(level[early:])
        usual = 1.4826 * np.median(np.abs(level[early:] - middle)) + 0.02
        limit = max(6 * usual, 1.2 * np.abs(level[early:] - middle).max(), 0.3)
        odd = (np.abs(level - middle) > limit) | (swing > 2 * np.percentile(swing[early:], 95) + 0.1)
        odd &= swing > 0
        if odd[:2].any():  # it must begin at the beginning
            last = max(last, int(np.flatnonzero(odd[:early]).max()) + 1)
    return 0.25 * last if last > 1 else 0.0
