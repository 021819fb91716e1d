"""A raw ECG becomes one that detectors and networks can read: level baseline, no hum, no holes, upright."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from echopulse.ecg.types import ECG, fill_gaps

BASELINE_HZ = 0.5  # zero-phase, so the ST segment keeps its shape; the usual limit for monitoring ECGs
UPRIGHT_LEADS = ("I", "II", "MLII", "ECG", "ECG1", "V5", "V6", "aVL", "aVF")  # QRS and T usually point up


def clean_ecg(ecg: ECG, *, turned: bool | None = None) -> ECG:
    """Baseline wander and mains hum removed, gaps closed, a single upside-down lead turned over; same rate and times.

    Gaps become straight lines, in which no beat will be found. `turned` says whether to turn a single lead over, where
    that was decided before. What was done is in the provenance.
    """
    from scipy.signal import butter, sosfiltfilt

    gaps = ~np.isfinite(ecg.samples)
    samples = fill_gaps(ecg.samples)
    samples -= np.median(samples, axis=1, keepdims=True)
    notes: dict[str, str] = {"cleaned": f"high-pass {BASELINE_HZ:g} Hz"}
    pad = min(samples.shape[1] - 1, round(2 * ecg.rate_hz))
    samples = sosfiltfilt(butter(2, BASELINE_HZ, "highpass", fs=ecg.rate_hz, output="sos"), samples, padlen=pad)
    for mains in (50.0, 60.0):
        loud = [i for i, row in enumerate(samples) if hum_ratio(row, ecg.rate_hz, mains) > 8]
        if loud:
            samples[loud] = _notched(samples[loud], ecg.rate_hz, mains)
            notes["cleaned"] += f", notch {mains:g} Hz"
    longest = max(_longest_run(gap) for gap in gaps) / ecg.rate_hz
    if longest > 0:
        notes["gaps"] = f"closed by straight lines; the longest lasts {longest:.2g} s, and beats in it are lost"
    if turned is None:
        turned = len(ecg.leads) == 1 and ecg.leads[0] in UPRIGHT_LEADS and upside_down(samples[0], ecg.rate_hz)
    if turned:
        samples = -samples
        notes["polarity"] = "turned over: QRS and T both pointed down (electrodes exchanged, or worn on the other side)"
    else:
        notes["polarity"] = "as recorded"
    return replace(ecg, samples=samples.astype(np.float32), provenance={**ecg.provenance, **notes})


def hum_ratio(row: np.ndarray, rate_hz: float, mains_hz: float) -> float:
    """Power density at the mains frequency over that of its surroundings (1: no hum)."""
    from scipy.signal import welch

    if mains_hz + 8 > rate_hz / 2:
        return 1.0
    hertz, power = welch(row, rate_hz, nperseg=min(len(row), int(4 * rate_hz)))
    near = np.abs(hertz - mains_hz)
    return float(power[near <= 0.6].max() / (np.median(power[(near > 2) & (near < 8)]) + 1e-12))


def _notched(samples: np.ndarray, rate_hz: float, mains_hz: float) -> np.ndarray:
    from scipy.signal import filtfilt, iirnotch

    for harmonic in (mains_hz, 2 * mains_hz):
        if harmonic < 0.45 * rate_hz:
            samples = filtfilt(*iirnotch(harmonic, 25, fs=rate_hz), samples, axis=1)
    return samples


def _longest_run(mask: np.ndarray) -> int:
    """Length of the longest stretch of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], mask.astype(np.int8), [0]))))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def upside_down(row: np.ndarray, rate_hz: float) -> bool:
    """Whether a lead hangs upside down: in its average beat both the QRS and the T wave point down.

    A QRS alone may point down in a healthy lead (V1), and a T wave alone in a sick heart.
    """
    from scipy.signal import butter, sosfiltfilt

    highest = min(25.0, 0.4 * rate_hz)
    qrs = sosfiltfilt(butter(2, (5.0, highest), "bandpass", fs=rate_hz, output="sos"), row)
    steep = np.abs(qrs)
    peaks = _peaks_above(steep, np.percentile(steep, 98), round(0.4 * rate_hz))
    before, after = round(0.08 * rate_hz), round(0.45 * rate_hz)
    peaks = peaks[(peaks >= before) & (peaks + after < len(row))]
    if len(peaks) < 2:
        return False
    beats = np.stack([row[peak - before : peak + after] for peak in peaks])
    beats -= beats[:, :3].mean(axis=1, keepdims=True)  # the level just before the QRS
    beat = np.median(beats, axis=0)
    complex_, wave = beat[: 2 * before], beat[before + round(0.14 * rate_hz) :]
    up, down = complex_.max(), -complex_.min()
    return bool(down > 1.3 * up and -wave.min() > wave.max() and -wave.min() > 0.05 * down)


def _peaks_above(signal: np.ndarray, height: float, distance: int) -> np.ndarray:
    from scipy.signal import find_peaks

    return find_peaks(signal, height=height, distance=distance)[0]
