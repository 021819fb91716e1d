"""A raw ECG becomes one that detectors and networks can read: level baseline, no hum, upright, no gap painted over.

Every filter runs forwards and backwards, so that nothing moves in time.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from echopulse.ecg.faults import (
    BRIDGED_S,
    alone_without_contact,
    clipped,
    long_gaps,
    runs,
    settling_by_lead,
    without_contact,
)  # fmt: skip
from echopulse.ecg.types import ECG, fill_gaps

BASELINE_HZ = 0.5  # zero-phase, so the ST segment keeps its shape; the usual limit for monitoring ECGs
UPRIGHT_LEADS = ("I", "II", "MLII", "ECG", "ECG1", "V5", "V6", "aVL", "aVF")  # QRS and T usually point up
LOUD = 8.0  # times the power of the surroundings: hum
OFF_HZ, OFF_LOUD = 1.5, 16.0  # how far a recorder's clock or a generator may be off the mains, and then how loud it is
SAME_HZ = 0.1  # a notch at the mains itself takes out what lies that near
SETTLING_BASE_S = (0.2, 0.6)  # medians of this width follow a moving electrode and leave a QRS as it is
CLIPPED_SHARE = 0.0005


def clean_ecg(ecg: ECG, *, turned: bool | None = None) -> ECG:
    """Baseline wander and mains hum removed, a single upside-down lead turned over; same rate, same times.

    Gaps of up to 0.2 s become straight lines, longer ones stay NaN, and so does a lead while it alone has lost
    contact. While electrodes settle at the start, what a running median follows is taken out as well, so that the
    jolt does not spread. `turned` says whether to turn a single lead over, where that was decided before. What was
    done, and how much sticks to the end of the scale or stands still, is in the provenance.
    """
    from scipy.signal import sosfiltfilt

    lost = long_gaps(ecg.samples, ecg.rate_hz) | alone_without_contact(ecg)
    samples = fill_gaps(np.where(lost, np.nan, ecg.samples))
    samples -= np.median(samples, axis=1, keepdims=True)
    notes: dict[str, str] = {"cleaned": f"high-pass {BASELINE_HZ:g} Hz", **_faults(ecg, lost)}
    settling = settling_by_lead(ecg)
    for i in np.flatnonzero(settling):
        samples[i] -= _moving_start(samples[i], settling[i], ecg.rate_hz)
        notes["start"] = f"the electrodes settle during the first {settling.max():.1f} s; a running median was removed"
    pad = min(samples.shape[1] - 1, round(2 * ecg.rate_hz))
    samples = sosfiltfilt(filter_of(2, BASELINE_HZ, "highpass", ecg.rate_hz), samples, padlen=pad)
    for mains in (50.0, 60.0):
        ratios, hertz = find_hum(samples, ecg.rate_hz, mains)
        if (ratios > LOUD).any():
            heard = float(hertz[np.argmax(ratios)])
            heard = mains if abs(heard - mains) < SAME_HZ else heard
            samples[ratios > LOUD] = _notched(samples[ratios > LOUD], ecg.rate_hz, heard)
            notes["cleaned"] += f", notch {mains:g} Hz" + ("" if heard == mains else f" (at {heard:.2f})")
    if turned is None:
        turned = len(ecg.leads) == 1 and ecg.leads[0] in UPRIGHT_LEADS and upside_down(samples[0], ecg.rate_hz)
    if turned:
        samples = -samples
        notes["polarity"] = "turned over: QRS and T both pointed down (electrodes exchanged, or worn on the other side)"
    else:
        notes["polarity"] = "as recorded" + _arms_exchanged(samples, ecg)
    samples[lost] = np.nan
    return replace(ecg, samples=samples.astype(np.float32), provenance={**ecg.provenance, **notes})


def filter_of(order: int, hertz: float | tuple[float, float], kind: str, rate_hz: float) -> np.ndarray:
    """A Butterworth filter as second-order sections for `sosfiltfilt`, kept once designed: designing takes longer than
    filtering ten seconds."""
    key = (order, hertz, kind, rate_hz)
    if key not in _FILTERS:
        from scipy.signal import butter

        if len(_FILTERS) > 64:
            _FILTERS.clear()
        _FILTERS[key] = butter(order, hertz, kind, fs=rate_hz, output="sos")
    return _FILTERS[key]


_FILTERS: dict[tuple, np.ndarray] = {}


def _faults(ecg: ECG, lost: np.ndarray) -> dict[str, str]:
    """Words on gaps, clipping and lost contact; nothing on what is not there."""
    notes = {}
    missing = ~np.isfinite(ecg.samples)
    lost = lost & missing  # what alone lost contact is told below
    if missing.any():
        words = []
        if (bridged := missing & ~lost).any():
            longest = max((stop - first for row in bridged for first, stop in runs(row)), default=0) / ecg.rate_hz
            words.append(
                f"{100 * bridged.mean():.2g} % of the samples were interpolated, over {longest:.2g} s at the most "
                f"(up to {BRIDGED_S:g} s are)"
            )
        if lost.any():
            spans = [span for row in lost for span in runs(row)]
            first, stop = max(spans, key=lambda span: span[1] - span[0])
            words.append(
                f"{100 * lost.mean():.2g} % are missing for longer and stay so; the longest gap lasts "
                f"{(stop - first) / ecg.rate_hz:.2g} s, from {ecg.start_s + first / ecg.rate_hz:.2f} s on"
            )
        notes["gaps"] = "; ".join(words)
    stuck = {lead: float(clipped(row).mean()) for lead, row in zip(ecg.leads, ecg.samples, strict=True)}
    worst = max(stuck, key=lambda lead: stuck[lead])
    if stuck[worst] > CLIPPED_SHARE:
        notes["clipping"] = f"{100 * stuck[worst]:.2g} % of the samples of {worst} stick to the end of the scale"
    if off := without_contact(ecg):
        told = ", ".join(f"{lead} from {first:.1f} to {stop:.1f} s" for lead, first, stop in off[:6])
        notes["contact"] = f"lost, or no heart to be heard (the line stands still): {told}"
        notes["contact"] += f" and {len(off) - 6} more stretches" if len(off) > 6 else ""
    return notes


def _moving_start(row: np.ndarray, settling_s: float, rate_hz: float) -> np.ndarray:
    """What a running median sees of the first `settling_s`, faded out over the half second after it, [n]."""
    from scipy.ndimage import median_filter

    count = min(len(row), round((settling_s + 2.0) * rate_hz))
    slow = row[:count]
    for width in SETTLING_BASE_S:
        slow = median_filter(slow, round(width * rate_hz) | 1, mode="nearest")
    times = np.arange(count) / rate_hz
    moving = np.zeros_like(row)
    moving[:count] = slow * np.clip((settling_s + 0.5 - times) / 0.5, 0.0, 1.0)
    return moving


def find_hum(samples: np.ndarray, rate_hz: float, mains_hz: float) -> tuple[np.ndarray, np.ndarray]:
    """Per lead of [leads, n], the power density of hum over that of its surroundings (1: none), and where it is, in Hz.

    Up to 1.5 Hz off the mains it is looked for, as recorders' clocks are; there it must be twice as loud to count.
    """
    from scipy.signal import welch

    nothing = np.ones(len(samples)), np.full(len(samples), mains_hz)
    if mains_hz + 2 > rate_hz / 2:
        return nothing
    hertz, power = welch(samples, rate_hz, nperseg=min(samples.shape[1], int(4 * rate_hz)), axis=1)
    off = np.abs(hertz - mains_hz)
    around = np.median(power[:, (off > 2) & (off < 8)], axis=1, keepdims=True) + 1e-12
    ratio = power / around
    ratio[:, (off > 0.6) & (off <= OFF_HZ)] *= LOUD / OFF_LOUD
    ratio[:, off > OFF_HZ] = 0.0
    at = ratio.argmax(axis=1)
    return ratio.max(axis=1), np.array([_top(hertz, row, k) for row, k in zip(power, at, strict=True)])


def _top(hertz: np.ndarray, power: np.ndarray, k: int) -> float:
    """Where a parabola through the logarithms of three neighbours has its top."""
    if not 0 < k < len(power) - 1:
        return float(hertz[k])
    left, here, right = np.log(power[k - 1 : k + 2] + 1e-30)
    bend = left - 2 * here + right
    return float(hertz[k] + (np.clip(0.5 * (left - right) / bend, -0.5, 0.5) if bend < 0 else 0.0) * hertz[1])


def _notched(samples: np.ndarray, rate_hz: float, hum_hz: float) -> np.ndarray:
    from scipy.signal import filtfilt, iirnotch

    for number in (1, 2, 3):
        harmonic = number * hum_hz
        if harmonic < 0.49 * rate_hz and (number < 3 or find_hum(samples, rate_hz, harmonic)[0].max() > LOUD):
            samples = filtfilt(*iirnotch(harmonic, 25, fs=rate_hz), samples, axis=1)
    return samples


def _arms_exchanged(samples: np.ndarray, ecg: ECG) -> str:
    """Words for a lead I that hangs upside down while V5 or V6 does not."""
    lateral = [lead for lead in ("V6", "V5") if lead in ecg.leads]
    if "I" not in ecg.leads or not lateral or not upside_down(samples[ecg.leads.index("I")], ecg.rate_hz):
        return ""
    if upside_down(samples[ecg.leads.index(lateral[0])], ecg.rate_hz):
        return ""
    return f"; I hangs upside down and {lateral[0]} does not, as when the electrodes of the arms are exchanged"


def upside_down(row: np.ndarray, rate_hz: float) -> bool:
    """Whether a lead hangs upside down: in its average beat both the QRS and the T wave point down.

    A QRS alone may point down in a healthy lead (V1), and a T wave alone in a sick heart.
    """
    from scipy.signal import sosfiltfilt

    highest = min(25.0, 0.4 * rate_hz)
    qrs = sosfiltfilt(filter_of(2, (5.0, highest), "bandpass", rate_hz), row)
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
