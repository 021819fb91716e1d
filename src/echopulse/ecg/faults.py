"""What a recorder leaves in a signal that no heart made: gaps, ends of the scale, standing lines, a moving start."""

from __future__ import annotations

import numpy as np

from echopulse.ecg.types import ECG, fill_gaps

BRIDGED_S = 0.2  # a gap that is no longer is interpolated: no beat fits in
STILL_S = 0.3  # a line that stands exactly still for as long is no living signal
OFF_S = 1.0  # and for as long: no contact
LEAST_SWING_MV = 0.02


def runs(mask: np.ndarray, least: int = 1) -> np.ndarray:
    """Where a bool mask [n] is true for at least `least` samples in a row: int [k, 2], first sample and one after."""
    mask = np.asarray(mask, dtype=bool)
    edges = np.flatnonzero(mask[1:] != mask[:-1]) + 1
    edges = np.concatenate(([0] if mask[:1].any() else [], edges, [len(mask)] if mask[-1:].any() else [])).astype(int)
    spans = np.stack((edges[::2], edges[1::2]), axis=1)
    return spans[spans[:, 1] - spans[:, 0] >= least]


def only_runs(mask: np.ndarray, least: int) -> np.ndarray:
    """The parts of a bool mask [n] that are true for at least `least` samples in a row."""
    out = np.zeros(len(mask) + 1, dtype=np.int8)
    spans = runs(mask, least)
    out[spans[:, 0]] += 1
    out[spans[:, 1]] -= 1
    return np.cumsum(out[:-1], dtype=np.int8) > 0


def long_gaps(samples: np.ndarray, rate_hz: float) -> np.ndarray:
    """bool [leads, n]: what is missing (NaN) for longer than 0.2 s at a stretch."""
    least = int(np.floor(BRIDGED_S * rate_hz + 1e-6)) + 1
    return np.stack([only_runs(~np.isfinite(row), least) for row in samples])


def clipped(row: np.ndarray) -> np.ndarray:
    """bool [n]: samples that stick to the largest or smallest value for three or more in a row (saturation)."""
    if not np.isfinite(row).any():
        return np.zeros(len(row), dtype=bool)
    highest, lowest = np.nanmax(row), np.nanmin(row)
    if highest - lowest < LEAST_SWING_MV:
        return np.zeros(len(row), dtype=bool)
    return only_runs(row == highest, 3) | only_runs(row == lowest, 3)


def unusable(row: np.ndarray, rate_hz: float) -> np.ndarray:
    """bool [n]: samples that are missing, stand still for 0.3 s or more, or stick to an end of the scale."""
    filled = fill_gaps(row[None])[0]
    still = np.diff(filled, prepend=np.nan) == 0
    ends = (filled == filled.max()) | (filled == filled.min())
    return ~np.isfinite(row) | only_runs(still & ends, 3) | only_runs(still, max(3, round(STILL_S * rate_hz)))


def without_contact(ecg: ECG) -> list[tuple[str, float, float]]:
    """Leads whose line stands exactly still for a second or more, and from when to when on the ECG's clock."""
    found = []
    for lead, row in zip(ecg.leads, ecg.samples, strict=True):
        still = np.diff(row, prepend=np.nan) == 0
        for first, stop in runs(still, max(2, round(OFF_S * ecg.rate_hz))):
            found.append((lead, ecg.start_s + (first - 1) / ecg.rate_hz, ecg.start_s + stop / ecg.rate_hz))
    return found


def alone_without_contact(ecg: ECG) -> np.ndarray:
    """bool [leads, n]: where a lead stands still for a second or more while another lives: an electrode, no heart."""
    least = max(2, round(OFF_S * ecg.rate_hz))
    still = np.stack([np.diff(row, prepend=np.nan) == 0 for row in ecg.samples])
    lives = np.isfinite(ecg.samples) & ~still
    found = np.zeros(ecg.samples.shape, dtype=bool)
    for lead, row in enumerate(still):
        for first, stop in runs(row, least):
            others = lives[:, first:stop].mean(axis=1)
            others[lead] = 0
            found[lead, first - 1 : stop] = others.max() > 0.5
    return found


def settling_s(ecg: ECG, most_s: float = 4.0) -> float:
    """Seconds at the start in which electrodes find their contact, in the lead that takes longest; 0 for none."""
    return float(settling_by_lead(ecg, most_s).max(initial=0.0))


def settling_by_lead(ecg: ECG, most_s: float = 4.0) -> np.ndarray:
    """Seconds at the start in which each electrode finds its contact, float64 [leads]: far from the level, or far
    larger, than later on.

    A window of 0.25 s belongs to it when its mean is six times the usual spread of such means away from their
    median, or when it swings over twice as much as 95 % of the later windows. 0 when the start is like the rest.
    """
    width = round(0.25 * ecg.rate_hz)
    windows = ecg.samples.shape[1] // width
    early = int(most_s / 0.25)
    settling = np.zeros(len(ecg.leads))
    if windows < 2 * early:
        return settling
    for i, row in enumerate(ecg.samples):
        whole = row if np.isfinite(row).all() else fill_gaps(row[None])[0]  # a day is not copied for nothing
        parts = whole[: windows * width].reshape(windows, width)
        level, swing = parts.mean(axis=1, dtype=np.float64), np.ptp(parts, axis=1).astype(np.float64)
        middle = np.median(level[early:])
        usual = 1.4826 * np.median(np.abs(level[early:] - middle)) + 0.02
        limit = max(6 * usual, 1.2 * np.abs(level[early:] - middle).max(), 0.3)
        odd = (np.abs(level - middle) > limit) | (swing > 2 * np.percentile(swing[early:], 95) + 0.1)
        odd &= swing > 0
        if odd[:2].any():  # it must begin at the beginning
            last = int(np.flatnonzero(odd[:early]).max()) + 1
            settling[i] = 0.25 * last if last > 1 else 0.0
    return settling
