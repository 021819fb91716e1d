"""How exactly beats and waves are found in an ECG, and how fast.

    python benchmarks/ecg.py                          # simulated hearts, whose truth is known, and speed
    python benchmarks/ecg.py --record mitdb/100       # and a WFDB record against the annotations (.atr) beside it

Simulated: 12 leads and two drawn by chance, all rhythms that have P waves, noise as `add_noise` makes it (wander,
moving electrodes and muscle in equal parts). The last line is JSON. Bars: T ends and P onsets within 15 ms (median) at
20 dB and 25 ms at 12 dB; 99.9 % of the annotated R peaks found, and of the found ones annotated, within 75 ms, median
within one sample; a 12-lead ECG of 10 s read, cleaned and its beats found in 0.5 s.
"""

import argparse
import json
import platform
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from echopulse.ecg import ECG, clean_ecg, find_beats, read_ecg
from echopulse.phantom.rhythm.artefacts import add_noise
from echopulse.phantom.rhythm.electrocardiogram import LEADS, synthesize_ecg
from echopulse.phantom.rhythm.timing import beat_times
from echopulse.phantom.simulate import draw_phantom, stream

WITH_P = (
    "sinus", "tachycardia", "bradycardia", "pvc", "pac", "bigeminy", "av_block_1", "wenckebach", "mobitz_2", "pause",
)  # fmt: skip
RATE_HZ, SECONDS = 500.0, 10.0
SAME_S = 0.075
BORDER_S = 0.75  # waves that the recording may cut do not count
BEATS = "NLRBAaJSVrFejnE/fQ?"  # the symbols of WFDB annotations that are beats


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", type=Path, help="a WFDB record with an .atr beside it, as MIT-BIH's 100")
    parser.add_argument("--hearts", type=int, default=12, help="simulated hearts of each rhythm")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    result = {}
    for leads in (12, 2):
        for snr_db in (20.0, 12.0):
            result[f"{leads} leads, {snr_db:g} dB"] = waves(options.hearts, leads, snr_db, options.seed)
    for name, by_rhythm in result.items():
        print(name)
        for rhythm, row in by_rhythm.items():
            print("   ", rhythm.ljust(12), "  ".join(f"{about} {value}" for about, value in row.items()))
    if options.record is not None:
        result["record"] = against_annotations(options.record)
        print(options.record.name, "  ".join(f"{about} {value}" for about, value in result["record"].items()))
    result["speed"] = speed(options.seed)
    print("10 s of 12 leads", "  ".join(f"{about} {value:g} s" for about, value in result["speed"].items()))
    result |= {"hearts": options.hearts, "seed": options.seed, "machine": platform.processor() or platform.machine()}
    print(json.dumps(result))


def waves(hearts: int, leads: int, snr_db: float, seed: int) -> dict[str, dict[str, float]]:
    """Figures by rhythm, and of all together: errors of T ends, P onsets, Q onsets and R peaks in ms, shares found."""
    found = {rhythm: [] for rhythm in WITH_P}
    for number, rhythm in enumerate(WITH_P):
        for ecg, truth in simulated(hearts, rhythm, leads, snr_db, seed + number):
            found[rhythm].append(compared(find_beats(ecg), truth, ecg))
    pooled = found | {"all": [one for several in found.values() for one in several]}
    return {name: figures(several) for name, several in pooled.items()}


def simulated(hearts: int, rhythm: str, leads: int, snr_db: float | None, seed: int):
    """ECGs of simulated hearts and what is true of them, times from the ECG's start."""
    names = list(LEADS) if leads == 12 else leads
    drawn = draw_phantom(hearts, seed, view="a4c", leads=names, rhythm=rhythm)
    times_s = torch.arange(round(RATE_HZ * SECONDS)) / RATE_HZ
    truth = beat_times(drawn.rhythm, 0.0, SECONDS, stream(seed, 5))
    samples = synthesize_ecg(truth, drawn.electrocardiogram, times_s, stream(seed, 6), clean=True)
    noisy = samples if snr_db is None else add_noise(samples, RATE_HZ, snr_db, stream(seed, 11))
    for i, own in enumerate(drawn.electrocardiogram.lead_names):
        yield ECG(noisy[i].numpy(), RATE_HZ, own, provenance={"path": f"{rhythm} {i}"}), truth.rows(slice(i, i + 1))


def compared(beats, truth, ecg: ECG) -> dict[str, np.ndarray]:
    """Errors in seconds of every true beat's waves, NaN where not found; `extra_r`, `extra_p`: what is none."""
    r_true = truth.r_peak[0].double().numpy()
    inside = (r_true > BORDER_S) & (r_true < ecg.duration_s - BORDER_S)
    r_true = r_true[inside]
    distance = beats.r_peaks_s[None] - r_true[:, None]
    nearest = np.abs(distance).argmin(1)
    off = distance[np.arange(len(r_true)), nearest]
    hit = np.abs(off) < SAME_S
    errors = {"r": np.where(hit, off, np.nan)}
    named = {"t": ("t_ends_s", truth.t_end), "p": ("p_onsets_s", truth.p_onset), "q": ("q_onsets_s", truth.q_onset)}
    for name, (own, true) in named.items():
        true = true[0].double().numpy()[inside]
        got = np.where(hit, getattr(beats, own)[nearest], np.nan)
        errors[name] = (got - true)[np.isfinite(true)]
        errors[f"extra_{name}"] = np.isfinite(got[~np.isfinite(true)])
    middle = (beats.r_peaks_s > BORDER_S + SAME_S) & (beats.r_peaks_s < ecg.duration_s - BORDER_S - SAME_S)
    all_true = truth.r_peak[0].double().numpy()
    errors["extra_r"] = np.nanmin(np.abs(beats.r_peaks_s[middle, None] - all_true), 1) > SAME_S
    return errors


def figures(several: list[dict[str, np.ndarray]]) -> dict[str, float | None]:
    """Medians of absolute errors, 90 % of them, bias (ms), and shares (%); None where nothing was found."""
    joined = {name: np.concatenate([one[name] for one in several]) for name in several[0]}
    row: dict[str, float | None] = {}
    for name, words in (("t", "t_end"), ("p", "p_onset"), ("q", "q_onset"), ("r", "r")):
        error = 1000 * joined[name][np.isfinite(joined[name])]
        for about, figure in (
            ("ms", lambda error: np.median(np.abs(error))),
            ("90_ms", lambda error: np.percentile(np.abs(error), 90)),
            ("bias_ms", np.median),
        ):
            row[f"{words}_{about}"] = round(float(figure(error)), 1) if len(error) else None
        row[f"{words}_found"] = percent(np.isfinite(joined[name]))
    row["r_false"] = percent(joined["extra_r"])
    row["p_where_none"] = percent(joined["extra_p"])
    return row


def percent(which: np.ndarray) -> float | None:
    """How many of a bool array are true, in per cent."""
    return round(100 * float(which.mean()), 2) if len(which) else None


def against_annotations(record: Path) -> dict[str, float]:
    """Sensitivity and precision (%) of R peaks within 75 ms, and the median distance in samples of the record.

    What the annotations mark is said beside it: by how many samples the largest deflection of the first signal within
    25 ms comes after them (1 in MIT-BIH's record 100, so that a perfect peak finder is off by one).
    """
    import wfdb

    ecg = read_ecg(record)
    notes = wfdb.rdann(str(record.with_suffix("")), "atr")
    marks = notes.sample[np.isin(notes.symbol, list(BEATS))]
    true = marks / ecg.rate_hz
    started = time.perf_counter()
    found = find_beats(ecg).r_peaks_s
    spent = time.perf_counter() - started
    distance = found[None] - true[:, None]
    nearest = distance[np.arange(len(true)), np.abs(distance).argmin(1)]
    hit = np.abs(nearest) <= SAME_S
    reach = round(0.025 * ecg.rate_hz)
    inner = marks[(marks > reach) & (marks < ecg.samples.shape[1] - reach)]
    around = ecg.samples[0][inner[:, None] + np.arange(-reach, reach + 1)]
    away = np.abs(around - np.median(ecg.samples[0]))
    return {
        "beats": len(true),
        "sensitivity": percent(hit),
        "precision": percent(np.abs(distance).min(0) <= SAME_S),
        "missed_s": round(float(true[~hit][0]), 2) if (~hit).any() else None,
        "median_samples": round(float(np.median(np.abs(nearest[hit])) * ecg.rate_hz), 2),
        "bias_samples": round(float(np.median(nearest[hit]) * ecg.rate_hz), 2),
        "annotation_to_peak_samples": float(np.median(away.argmax(1) - reach)),
        "seconds": round(spent, 2),
    }


def speed(seed: int) -> dict[str, float]:
    """Seconds for reading, cleaning and beats of a 12-lead record of 10 s at 500 Hz, the median of five."""
    import wfdb

    ecg, _ = next(simulated(1, "sinus", 12, 20.0, seed))
    spent = []
    with tempfile.TemporaryDirectory() as folder:
        wfdb.wrsamp(
            "one", RATE_HZ, ["mV"] * 12, list(LEADS), ecg.samples.T.astype(np.float64), fmt=["16"] * 12,
            write_dir=folder,
        )  # fmt: skip
        for _ in range(6):
            times = [time.perf_counter()]
            read = read_ecg(Path(folder) / "one.hea")
            times.append(time.perf_counter())
            clean = clean_ecg(read)
            times.append(time.perf_counter())
            find_beats(clean)
            times.append(time.perf_counter())
            spent.append(np.diff(times))
    read_s, clean_s, beats_s = np.median(spent[1:], axis=0)
    return {"read": round(read_s, 3), "clean": round(clean_s, 3), "beats": round(beats_s, 3),
            "together": round(float(np.median(np.sum(spent[1:], axis=1))), 3)}  # fmt: skip


if __name__ == "__main__":
    main()
