"""Where the beats are: two detectors that check each other on the leading lead, and all clear leads for the rest."""

from __future__ import annotations

import warnings

import numpy as np

from echopulse.ecg.clean import filter_of
from echopulse.ecg.waves import windows

DETECTORS = ("neurokit", "rodrigues2021")
SAME_BEAT_S = 0.12
REFRACTORY_S = 0.22  # no ventricle is excited twice within this time
T_WAVE_S = 0.36
BORDER_S = 0.6
# The share of a usual QRS in the envelope from which on a deflection is one. Of simulated leads together, at 20 dB, all
# but 1 % of the beats reach 0.55, and 0.5 % of the tops of other waves.
OVERLOOKED, OVERLOOKED_ALONE = 0.55, 0.7


def detect(rows: np.ndarray, energies: np.ndarray, rate_hz: float) -> tuple[np.ndarray, np.ndarray, float, str]:
    """Beats in cleaned leads, the first of which leads: their samples, which are doubtful, agreement, what was mended.

    rows      float64 [leads, n]; both detectors hear the first one
    energies  their QRS envelopes (`qrs_energy`), which together tell a beat that the first lead hardly shows
    """
    row = rows[0]
    first, second = (_peaks_by(method, row, rate_hz) for method in DETECTORS)
    energy = _together(energies, rate_hz)
    first, second = (_to_energy_peak(found, energy, rate_hz) for found in (first, second))
    both = np.array([p for p in first if len(second) and np.abs(second - p).min() <= SAME_BEAT_S * rate_hz], dtype=int)
    alone = _single(np.concatenate((first, second)), both, rate_hz)
    usual = np.median(energy[both]) if len(both) else np.median(energy[alone]) if len(alone) else 0.0
    both = both[energy[both] > 0.15 * usual]
    taken = [p for p in alone if energy[p] > 0.35 * usual]
    height = OVERLOOKED if len(rows) > 1 else OVERLOOKED_ALONE
    taken += _overlooked(energy, np.concatenate((both, taken)), height * usual, rate_hz)
    peaks = _apart(np.sort(np.concatenate((both, np.array(taken, dtype=int)))), energy, rate_hz)
    peaks = _without_t_waves(peaks, rows, rate_hz)
    border = BORDER_S * rate_hz  # near the ends the detectors' filters have not settled: one of them is enough there
    judged = (peaks > border) & (peaks < len(row) - border)
    by_one = int(np.isin(peaks[judged], taken).sum())
    agreement = 1.0 - by_one / max(int(judged.sum()), 1)
    mended = f"; {by_one} not found by both were kept" if by_one else ""
    cut = round(0.03 * rate_hz)  # a QRS that the recording cuts has no peak
    peaks = peaks[(peaks >= cut) & (peaks < len(row) - cut)]
    return peaks, ~np.isin(peaks, both), agreement, mended


def _together(energies: np.ndarray, rate_hz: float) -> np.ndarray:
    """One envelope [n] of several leads [leads, n], each over its usual height, on the scale of the first."""
    width = min(round(1.6 * rate_hz), energies.shape[1])
    parts = energies[:, : energies.shape[1] // width * width]
    heights = np.median(parts.reshape(len(parts), -1, width).max(axis=2), axis=1) + 1e-9
    return heights[0] * np.sqrt(np.mean((energies / heights[:, None]) ** 2, axis=0))


def _peaks_by(method: str, row: np.ndarray, rate_hz: float) -> np.ndarray:
    """Peaks of one of NeuroKit2's detectors, int [beats]; none when the detector gives up on this signal."""
    import neurokit2

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns about every stretch without beats
        try:
            found = neurokit2.ecg_peaks(row, sampling_rate=int(rate_hz), method=method)[1]["ECG_R_Peaks"]
        except (ValueError, IndexError, TypeError, ZeroDivisionError):
            return np.zeros(0, dtype=int)  # the detectors fail in these ways on signals without clear beats
    found = np.asarray(found, dtype=np.float64)
    return np.unique(found[np.isfinite(found)].astype(int))


def qrs_energy(rows: np.ndarray, rate_hz: float) -> np.ndarray:
    """Envelopes of the QRS band, the same for narrow, wide, upward and downward complexes. [leads, n]"""
    from scipy.ndimage import convolve1d
    from scipy.signal import sosfiltfilt

    band = sosfiltfilt(filter_of(2, (4.0, 22.0), "bandpass", rate_hz), rows)
    width = round(0.08 * rate_hz)
    smooth = convolve1d(band**2, np.hanning(width + 2)[1:-1] / width, axis=1, mode="constant")
    return np.sqrt(np.maximum(smooth, 0.0))


def _to_energy_peak(peaks: np.ndarray, energy: np.ndarray, rate_hz: float) -> np.ndarray:
    """Move each peak to the top of the QRS envelope nearby, so that detectors can be compared."""
    reach = round(0.09 * rate_hz)
    moved = [max(0, p - reach) + int(np.argmax(energy[max(0, p - reach) : p + reach + 1])) for p in peaks]
    return np.unique(np.array(moved, dtype=int))


def _overlooked(energy: np.ndarray, peaks: np.ndarray, height: float, rate_hz: float) -> list[int]:
    """Deflections like a usual QRS that neither detector reported; early wide ectopics are overlooked that way."""
    from scipy.signal import find_peaks

    tops = find_peaks(energy, height=max(height, 1e-6), distance=round(REFRACTORY_S * rate_hz))[0]
    return [int(top) for top in tops if not len(peaks) or np.abs(peaks - top).min() > REFRACTORY_S * rate_hz]


def _single(peaks: np.ndarray, both: np.ndarray, rate_hz: float) -> np.ndarray:
    """The peaks that are near none of `both`."""
    reach = SAME_BEAT_S * rate_hz
    return np.array([p for p in np.unique(peaks) if not len(both) or np.abs(both - p).min() > reach], dtype=int)


def _without_t_waves(peaks: np.ndarray, rows: np.ndarray, rate_hz: float) -> np.ndarray:
    """Drop what follows a beat so soon, and rises so slowly, that it is its T wave (Pan and Tompkins 1985)."""
    if not len(peaks):
        return peaks
    steep = [np.nanmax(np.abs(np.diff(windows(row, peaks, -0.05, 0.05)[0], axis=1)), axis=1) for row in rows]
    slopes = np.mean([lead / (np.median(lead) + 1e-9) for lead in steep], axis=0)
    kept: list[int] = []
    for i, peak in enumerate(peaks):
        soon = kept and peak - peaks[kept[-1]] < T_WAVE_S * rate_hz
        if not (soon and slopes[i] < 0.4 * max(slopes[kept[-1]], np.median(slopes))):
            kept.append(i)
    return peaks[kept]


def _apart(peaks: np.ndarray, energy: np.ndarray, rate_hz: float) -> np.ndarray:
    """Of two peaks within the refractory time, keep the stronger."""
    kept: list[int] = []
    for peak in peaks:
        if kept and peak - kept[-1] < REFRACTORY_S * rate_hz:
            if energy[peak] > energy[kept[-1]]:
                kept[-1] = int(peak)
        else:
            kept.append(int(peak))
    return np.array(kept, dtype=int)
