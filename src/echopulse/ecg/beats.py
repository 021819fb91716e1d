"""Beats from an ECG: two detectors that check each other, then the waves around each beat.

The R peak here is the largest deflection of the QRS on the leading lead, whichever way it points. A rhythm
label describes what was seen and is no diagnosis:

    sinus      P waves before the beats
    ectopic    P waves before most beats, and beats that come early or look different
    irregular  no P waves, irregular intervals (as in atrial fibrillation)
    regular    no P waves found, regular intervals
    none       no beats at all: a flat line
    unknown    fewer than three beats
"""

from __future__ import annotations

import warnings

import numpy as np

from echopulse.ecg.clean import clean_ecg
from echopulse.ecg.faults import settling_s
from echopulse.ecg.quality import check_usable, is_flat, signal_quality
from echopulse.ecg.types import ECG, Beats
from echopulse.ecg.waves import RATE_HZ, Waves, delineate, windows
from echopulse.errors import InputError

DETECTORS = ("neurokit", "rodrigues2021")
SAME_BEAT_S = 0.12
REFRACTORY_S = 0.22  # no ventricle is excited twice within this time
T_WAVE_S = 0.36
BORDER_S = 0.6
MOST_LEADS = 4  # as many of the best leads are delineated; their median decides
PREFERRED = ("II", "MLII", "I", "V5", "V4", "V6", "V3", "V2")  # where R, P and T usually stand out
SAME_SHAPE = 0.75  # correlation of two QRS complexes
SAME_WIDTH = 1.45  # ratio of their areas over their heights; an ectopic takes half as long again, or more
EARLY = 0.85  # a beat came early when its interval is less than this share of those around it


def find_beats(ecg: ECG, allow_flat: bool = False) -> Beats:
    """The beats of an ECG (raw, or already through `clean_ecg`), with quality and rhythm.

    A flat line raises InputError unless `allow_flat`, which gives no beats and the rhythm "none".
    """
    check_usable(ecg, allow_flat)
    if is_flat(ecg):
        return _no_beats("a flat line")
    if "cleaned" not in ecg.provenance:
        ecg = clean_ecg(ecg)
    ecg = ecg.resampled(RATE_HZ)
    quality = signal_quality(ecg)
    settled = round(settling_s(ecg) * ecg.rate_hz)
    order = _best_leads(ecg, quality)
    row = ecg.samples[order[0]].astype(np.float64)
    peaks, agreement, mended = _detect(row, ecg.rate_hz)
    if not len(peaks):
        if allow_flat:
            return _no_beats("no QRS found")
        raise InputError(
            f"{ecg.name}: no heartbeat was found in {ecg.duration_s:.1f} s of lead {ecg.leads[order[0]]}; "
            "use a cleaner recording or another lead, or say --allow-flat if a standing heart is what you want."
        )
    used = order[:MOST_LEADS]
    odd = _unlike_the_rest(ecg.samples[used].astype(np.float64), peaks)
    peaks = _to_r_peak(row, peaks, odd)
    jolts = (peaks < settled) & (odd | (peaks < BORDER_S * ecg.rate_hz))  # electrodes that move, not beats
    if jolts.any() and not jolts.all():
        peaks, odd = peaks[~jolts], odd[~jolts]
        mended += f"; {jolts.sum()} deflections while the electrodes settled were left out"
    waves = _median_waves([delineate(ecg.samples[i].astype(np.float64), peaks, odd) for i in used])
    r_peaks = ecg.start_s + (peaks + _between_samples(row, peaks)) / ecg.rate_hz
    rhythm = _rhythm(np.diff(r_peaks), odd, waves)
    p_onsets = r_peaks + waves.p_onset
    if rhythm == "irregular":
        p_onsets[:] = np.nan  # what looks like a P here and there is fibrillation
    provenance = {
        "lead": f"{ecg.leads[order[0]]} for R; P, Q and T from {', '.join(ecg.leads[i] for i in used)}",
        "detectors": f"{' and '.join(DETECTORS)} agree on {100 * agreement:.0f} % of the beats{mended}",
        "ectopic": " ".join(f"{time:.2f}" for time in r_peaks[odd]) or "none",
    }
    return Beats(
        r_peaks, p_onsets, r_peaks + waves.q_onset, r_peaks + waves.t_peak, r_peaks + waves.t_end,
        rhythm=rhythm, quality=float(quality[order[0]] * agreement), provenance=provenance,
    )  # fmt: skip


def _no_beats(why: str) -> Beats:
    empty = np.zeros(0)
    return Beats(empty, empty, empty, empty, empty, rhythm="none", quality=0.0, provenance={"lead": why})


def _best_leads(ecg: ECG, quality: np.ndarray) -> list[int]:
    """Lead indices, best first: by quality and by how far the QRS stands out, then by how usual the lead is."""
    clarity = [_clarity(_qrs_energy(row.astype(np.float64), ecg.rate_hz), ecg.rate_hz) for row in ecg.samples]
    score = quality * np.minimum(1.0, np.array(clarity))  # among clear leads the usual one wins, for a usual R time

    def rank(i: int) -> tuple:
        usual = PREFERRED.index(ecg.leads[i]) if ecg.leads[i] in PREFERRED else len(PREFERRED)
        return (-round(score[i] * 8), usual, -score[i])

    order = sorted(range(len(ecg.leads)), key=rank)
    good = [i for i in order if score[i] > 0.5 * score[order[0]]]
    return good or order[:1]


def _clarity(energy: np.ndarray, rate_hz: float) -> float:
    """How far even the weaker beats rise above the rest of a QRS envelope: 0.3 is not at all, 1 is eight times."""
    width = round(1.6 * rate_hz)  # long enough to hold a beat of a slow heart
    parts = energy[: len(energy) // width * width].reshape(-1, width)
    weakest = np.percentile(parts.max(axis=1), 10) if len(parts) else energy.max()
    return float(np.log2(1 + weakest / (np.median(energy) + 1e-9)) / np.log2(9))


def _detect(row: np.ndarray, rate_hz: float) -> tuple[np.ndarray, float, str]:
    """R peaks (samples) of one cleaned lead, the share on which both detectors agree, and what was mended."""
    first, second = (_peaks_by(method, row, rate_hz) for method in DETECTORS)
    energy = _qrs_energy(row, rate_hz)
    first, second = (_to_energy_peak(found, energy, rate_hz) for found in (first, second))
    both = np.array([p for p in first if len(second) and np.abs(second - p).min() <= SAME_BEAT_S * rate_hz], dtype=int)
    alone = _single(np.concatenate((first, second)), both, rate_hz)
    usual = np.median(energy[both]) if len(both) else np.median(energy[alone]) if len(alone) else 0.0
    both = both[energy[both] > 0.15 * usual]
    taken = [p for p in alone if energy[p] > 0.35 * usual]
    taken += _overlooked(energy, np.concatenate((both, taken)), 0.7 * usual, rate_hz)
    peaks = _apart(np.sort(np.concatenate((both, np.array(taken, dtype=int)))), energy, rate_hz)
    peaks = _without_t_waves(peaks, row, rate_hz)
    border = BORDER_S * rate_hz  # near the ends the detectors' filters have not settled: one of them is enough there
    judged = (peaks > border) & (peaks < len(row) - border)
    by_one = int(np.isin(peaks[judged], taken).sum())
    agreement = 1.0 - by_one / max(int(judged.sum()), 1)
    mended = f"; {by_one} not found by both were kept" if by_one else ""
    cut = round(0.03 * rate_hz)  # a QRS that the recording cuts has no peak
    return peaks[(peaks >= cut) & (peaks < len(row) - cut)], agreement, mended


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


def _qrs_energy(row: np.ndarray, rate_hz: float) -> np.ndarray:
    """Envelope of the QRS band, the same for narrow, wide, upward and downward complexes. [n]"""
    from scipy.signal import butter, sosfiltfilt

    band = sosfiltfilt(butter(2, (4.0, 22.0), "bandpass", fs=rate_hz, output="sos"), row)
    width = round(0.08 * rate_hz)
    return np.sqrt(np.convolve(band**2, np.hanning(width + 2)[1:-1] / width, mode="same"))


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


def _without_t_waves(peaks: np.ndarray, row: np.ndarray, rate_hz: float) -> np.ndarray:
    """Drop what follows a beat so soon, and rises so slowly, that it is its T wave (Pan and Tompkins 1985)."""
    slopes = np.nanmax(np.abs(np.diff(windows(row, peaks, -0.05, 0.05)[0], axis=1)), axis=1)
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


def _to_r_peak(row: np.ndarray, peaks: np.ndarray, odd: np.ndarray) -> np.ndarray:
    """Move each beat to the largest deflection of its QRS, in the direction that the ordinary beats share."""
    beats, offsets = windows(row, peaks, -0.10, 0.10)
    levels, _ = windows(row, peaks, -0.25, 0.25)
    beats = beats - np.nanmedian(levels, axis=1, keepdims=True)
    # the R is taken whenever it is not much smaller than the S, so that rS complexes count by their larger wave
    ordinary = beats if odd.all() else beats[~odd]
    up, down = np.nanmedian(np.nanmax(ordinary, axis=1)), np.nanmedian(-np.nanmin(ordinary, axis=1))
    direction = 1.0 if up >= 0.6 * down else -1.0
    moved = peaks.copy()
    inner = np.abs(offsets) <= 0.06
    for i, beat in enumerate(np.nan_to_num(direction * beats)):
        at = int(np.argmax(np.where(inner, beat, -np.inf)))
        against = np.max(-beat[inner]) > 2.5 * np.max(beat[inner])  # an ectopic that points the other way
        if against or beat[max(at - 1, 0) : at + 2].max() > beat[at]:  # or one so wide that its top lies further out
            at = int(np.argmax(np.abs(beat)))
        moved[i] = peaks[i] + round(offsets[at] * RATE_HZ)
    return moved


def _between_samples(row: np.ndarray, peaks: np.ndarray) -> np.ndarray:
    """Sub-sample shift of each peak by a parabola through its three samples, within half a sample. [beats]"""
    inner = np.clip(peaks, 1, len(row) - 2)
    left, top, right = row[inner - 1], row[inner], row[inner + 1]
    bend = left - 2 * top + right
    with np.errstate(divide="ignore", invalid="ignore"):
        shift = 0.5 * (left - right) / bend
    return np.where(np.isfinite(shift) & (inner == peaks), np.clip(shift, -0.5, 0.5), 0.0)


def _unlike_the_rest(rows: np.ndarray, peaks: np.ndarray) -> np.ndarray:
    """bool [beats]: a QRS of another shape than the ordinary ones, as ventricular ectopics have it, on rows [leads, n].

    The ordinary shape is the most frequent one; where a second is nearly as frequent (bigeminy), it is the one
    that comes after the longer intervals.
    """
    leads = [windows(row / (row.std() + 1e-9), peaks, -0.10, 0.14)[0] for row in rows]
    beats = np.concatenate([lead - np.median(lead, axis=1, keepdims=True) for lead in leads], axis=1)
    whole = np.flatnonzero(np.isfinite(beats).all(axis=1))
    odd = np.zeros(len(peaks), dtype=bool)
    if len(whole) < 3:
        return odd
    shapes = beats[whole] / (np.linalg.norm(beats[whole], axis=1, keepdims=True) + 1e-9)
    width = np.abs(beats[whole]).sum(axis=1) / np.abs(beats[whole]).max(axis=1)
    alike = (shapes @ shapes.T > SAME_SHAPE) & (np.abs(np.log(width[:, None] / width)) < np.log(SAME_WIDTH))
    first = alike[np.argmax(alike.sum(axis=1))]
    rest = np.where(first, 0, (alike & ~first).sum(axis=1))
    second = alike[np.argmax(rest)] & ~first
    if second.sum() > 0.5 * first.sum():
        before = np.diff(peaks, prepend=np.nan)[whole]
        if np.nanmedian(before[second]) > np.nanmedian(before[first]):
            first = second
    usual = np.median(shapes[first], axis=0)
    odd[whole] = shapes @ (usual / (np.linalg.norm(usual) + 1e-9)) < SAME_SHAPE
    odd[whole] |= width > SAME_WIDTH * np.median(width[first])
    return odd


def _median_waves(leads: list[Waves]) -> Waves:
    """Medians over leads; P only from leads that show it, T from leads where it stands out."""

    def middle(values: list[np.ndarray]) -> np.ndarray:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a beat that no lead could delineate stays NaN
            return np.nanmedian(np.stack(values), axis=0)

    clearest_t = max(lead.t_clarity for lead in leads)
    with_t = [lead for lead in leads if lead.t_clarity >= 0.5 * clearest_t]
    with_p = [lead for lead in leads if np.isfinite(lead.p_onset).any()] or leads
    return Waves(
        middle([lead.p_onset for lead in with_p]),
        middle([lead.q_onset for lead in leads]),
        middle([lead.t_peak for lead in with_t]),
        middle([lead.t_end for lead in with_t]),
        max(lead.p_clarity for lead in leads),
        clearest_t,
    )


def _rhythm(rr_s: np.ndarray, odd: np.ndarray, waves: Waves) -> str:
    """One of the labels of this module's docstring."""
    if len(rr_s) < 2:
        return "unknown"
    usual = np.median(rr_s)
    around = np.array([np.median(rr_s[max(0, i - 3) : i + 4]) for i in range(len(rr_s))])
    # early beats are followed by a pause; breathing shortens several intervals in a row
    early = (rr_s[:-1] < EARLY * around[:-1]) & (rr_s[1:] > 1.08 * around[1:])
    ordinary = ~odd
    with_p = float(np.mean(np.isfinite(waves.p_onset[ordinary]))) if ordinary.any() else 0.0
    # successive differences, without the intervals around beats of another shape
    touched = odd[1:] | odd[:-1]
    calm = rr_s[~touched] if (~touched).sum() >= 3 else rr_s
    wobble = float(np.median(np.abs(np.diff(calm))) / usual) if len(calm) > 2 else 0.0
    # a sinus node does not jump by 15 % from beat to beat; what looks like P waves then are fibrillation waves
    if wobble > 0.08 and with_p < 0.7 or wobble > 0.15 and odd.mean() < 0.15:
        return "irregular"
    if with_p >= 0.5:
        return "ectopic" if odd.any() or early.any() and wobble < 0.08 else "sinus"
    return "ectopic" if odd.any() and wobble < 0.08 else "regular"
