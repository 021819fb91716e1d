"""Beats from an ECG: two detectors that check each other, then the waves around each beat.

The R peak here is the largest deflection of the QRS on the leading lead, whichever way it points. What the labels of a
rhythm mean is in `rhythm.py`. Recordings of more than twenty minutes are worked through ten minutes at a time.
"""

from __future__ import annotations

import warnings

import numpy as np

from echopulse.ecg.clean import clean_ecg
from echopulse.ecg.detect import BORDER_S, DETECTORS, detect, qrs_energy
from echopulse.ecg.faults import runs, settling_s
from echopulse.ecg.pieces import beats_in_pieces, no_beats
from echopulse.ecg.quality import check_usable, is_flat, signal_quality
from echopulse.ecg.rhythm import name_rhythm
from echopulse.ecg.types import ECG, Beats, fill_gaps
from echopulse.ecg.waves import RATE_HZ, Waves, delineate, windows
from echopulse.errors import InputError

LONG_S = 1200.0
MOST_LEADS = 4  # as many of the best leads are delineated; their median decides
MOST_HEARD = 8  # and as many say where a QRS may have been overlooked
AROUND_GAP_S = 0.03  # so near to a gap a beat's peak may lie in it
PREFERRED = ("II", "MLII", "I", "V5", "V4", "V6", "V3", "V2")  # where R, P and T usually stand out
CERTAIN_P_MV = 0.03  # what a filter leaves of a T wave before the QRS is alike in all beats too, but lower
SAME_SHAPE = 0.75  # correlation of two QRS complexes
SAME_WIDTH = 1.45  # ratio of their areas over their heights; an ectopic takes half as long again, or more


def find_beats(ecg: ECG, allow_flat: bool = False) -> Beats:
    """The beats of an ECG (raw, or already through `clean_ecg`), with quality and rhythm; none in its gaps.

    A flat line raises InputError unless `allow_flat`, which gives no beats and the rhythm "none".
    """
    check_usable(ecg, allow_flat)
    if is_flat(ecg):
        return no_beats("a flat line")
    beats = beats_in_pieces(ecg, _find) if ecg.duration_s > LONG_S else _find(ecg)
    if len(beats.r_peaks_s):
        return beats
    if allow_flat:
        return no_beats("no QRS found", beats.gaps_s)
    raise InputError(
        f"{ecg.name}: no heartbeat was found in {ecg.duration_s:.1f} s of {beats.provenance['lead']}; "
        "use a cleaner recording or another lead, or say --allow-flat if a standing heart is what you want."
    )


def _find(ecg: ECG) -> Beats:
    """The beats of a stretch that is not flat; there may be none."""
    if "cleaned" not in ecg.provenance:
        ecg = clean_ecg(ecg)
    ecg = ecg.resampled(RATE_HZ)
    lost = ~np.isfinite(ecg.samples)
    quality = signal_quality(ecg) * (1 - lost.mean(axis=1))
    settled = round(settling_s(ecg) * ecg.rate_hz)
    rows = fill_gaps(ecg.samples)  # detectors need numbers; what they find in gaps is left out
    energies = qrs_energy(rows, ecg.rate_hz)
    order = _best_leads(ecg.leads, energies, quality)
    row, gap, used = rows[order[0]], lost[order[0]], order[:MOST_LEADS]
    gaps_s = ecg.start_s + runs(gap) / ecg.rate_hz
    heard = order[:MOST_HEARD]
    peaks, doubtful, agreement, mended = detect(rows[heard], energies[heard], ecg.rate_hz)
    outside = ~_widened(gap, round(AROUND_GAP_S * ecg.rate_hz))[peaks]
    peaks, doubtful = peaks[outside], doubtful[outside]
    if not len(peaks):
        return no_beats(f"lead {ecg.leads[order[0]]}", gaps_s)
    odd = _unlike_the_rest(rows[used], peaks)
    peaks = _to_r_peak(row, peaks, odd)
    jolts = (peaks < settled) & (odd | (peaks < BORDER_S * ecg.rate_hz))  # electrodes that move, not beats
    if jolts.any() and not jolts.all():
        peaks, odd, doubtful = peaks[~jolts], odd[~jolts], doubtful[~jolts]
        mended += f"; {jolts.sum()} deflections while the electrodes settled were left out"
    waves = _median_waves([delineate(rows[i], peaks, odd) for i in used])
    r_peaks = ecg.start_s + (peaks + _between_samples(row, peaks)) / ecg.rate_hz
    times = [r_peaks + wave for wave in (waves.p_onset, waves.q_onset, waves.t_peak, waves.t_end)]
    for wave in times:
        wave[((wave[:, None] >= gaps_s[:, 0]) & (wave[:, None] < gaps_s[:, 1])).any(axis=1)] = np.nan
    certain = waves.p_clarity if waves.p_mv >= CERTAIN_P_MV else 0.0
    rhythm = name_rhythm(r_peaks, odd, np.isfinite(waves.p_onset), gaps_s, certain)
    if rhythm == "irregular":
        times[0][:] = np.nan  # what looks like a P here and there is fibrillation
    provenance = {
        "lead": f"{ecg.leads[order[0]]} for R; P, Q and T from {', '.join(ecg.leads[i] for i in used)}",
        "detectors": f"{' and '.join(DETECTORS)} agree on {100 * agreement:.0f} % of the beats{mended}",
        "ectopic": " ".join(f"{time:.2f}" for time in r_peaks[odd]) or "none",
    }
    return Beats(
        r_peaks, *times, rhythm=rhythm, quality=float(quality[order[0]] * agreement), provenance=provenance,
        doubtful=doubtful, ectopic=odd, gaps_s=gaps_s,
    )  # fmt: skip


def _widened(mask: np.ndarray, reach: int) -> np.ndarray:
    """A bool mask [n] that is true up to `reach` samples further on either side."""
    return np.convolve(mask, np.ones(2 * reach + 1), mode="same") > 0.5


def _best_leads(names: tuple[str, ...], energies: np.ndarray, quality: np.ndarray) -> list[int]:
    """Lead indices, best first: by quality and by how far the QRS stands out, then by how usual the lead is."""
    clarity = [_clarity(energy, RATE_HZ) for energy in energies]
    score = quality * np.minimum(1.0, np.array(clarity))  # among clear leads the usual one wins, for a usual R time

    def rank(i: int) -> tuple:
        usual = PREFERRED.index(names[i]) if names[i] in PREFERRED else len(PREFERRED)
        return (-round(score[i] * 8), usual, -score[i])

    order = sorted(range(len(names)), key=rank)
    good = [i for i in order if score[i] > 0.5 * score[order[0]]]
    return good or order[:1]


def _clarity(energy: np.ndarray, rate_hz: float) -> float:
    """How far even the weaker beats rise above the rest of a QRS envelope: 0.3 is not at all, 1 is eight times."""
    width = round(1.6 * rate_hz)  # long enough to hold a beat of a slow heart
    parts = energy[: len(energy) // width * width].reshape(-1, width)
    weakest = np.percentile(parts.max(axis=1), 10) if len(parts) else energy.max()
    return float(np.log2(1 + weakest / (np.median(energy) + 1e-9)) / np.log2(9))


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
        max(lead.p_mv for lead in leads),
    )
