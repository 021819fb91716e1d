"""The ECG of a simulated clip as files: a WFDB record with its beats annotated, and a table.

Beat and rhythm codes are those of the PhysioNet annotation standard (PhysioBank annotations, physionet.org).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from echopulse.ecg.counts import column_name, counts_per_mv
from echopulse.ecg.types import ECG
from echopulse.phantom import PhantomClips
from echopulse.phantom.types import ORIGINS, Truth

BEAT_SYMBOLS = {"sinus": "N", "atrial": "A", "ventricular": "V", "escape": "E", "paced": "/"}
CONDUCTED = {"lbbb": "L", "rbbb": "R", "paced": "/"}  # what an ordinary beat is called in these hearts
RHYTHM_CODES = {
    "af": "(AFIB", "flutter": "(AFL", "bigeminy": "(B", "bradycardia": "(SBR", "av_block_1": "(BI",
    "wenckebach": "(BII", "mobitz_2": "(BII", "av_block_3": "(BIII", "vt": "(VT",
}  # fmt: skip
NOTICE = "SYNTHETIC: made by a simulated heart, not for diagnosis"
SHORT_NOTICE = "SYNTHETIC, not for diagnosis"  # where 64 characters are all there is room for


def ecg_notice(made: PhantomClips) -> str:
    """What an ECG file says about itself, in letters that every format takes."""
    return NOTICE if made.ecg_source is None else _ascii(f"ECG of {_whose(made)}; not for diagnosis")


def picture_notice(made: PhantomClips) -> str:
    """What the files with pictures and truth say about themselves."""
    if made.ecg_source is None:
        return NOTICE
    return _ascii(f"SYNTHETIC pictures: made by a simulated heart that beats as {_whose(made)}; not for diagnosis")


def _whose(made: PhantomClips) -> str:
    return f"the recording {made.ecg_source}"


def _ascii(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode()


def write_record(made: PhantomClips, i: int, folder: Path, name: str) -> None:
    """The ECG of clip i as `folder`/`name`.hea, .dat and .atr; the annotations are the truth of the simulation.

    Beats stand at the R peaks that lie within the record. Where the heart followed a recording, the ECG is that
    recording and only the annotations are of the phantom; a comment in the header says so.
    """
    import wfdb

    ecg, truth = made.ecg_of(i), made.truth
    gain = counts_per_mv(ecg.samples)
    samples = ecg.samples.astype(np.float64).T  # [n, leads]
    leads = len(ecg.leads)
    first_frame = f"the clip's first frame is at {-ecg.start_s:.3f} s"
    comments = [ecg_notice(made), first_frame]
    if made.ecg_source is not None:
        begins = made.ecg_source.at_s + ecg.start_s
        comments[0] = _ascii(f"ECG of the recording {made.ecg_source.file} from {begins:.3f} s on; not for diagnosis")
        comments.append("annotated are the beats of the SYNTHETIC heart that followed it")
    wfdb.wrsamp(
        name, ecg.rate_hz, ["mV"] * leads, list(ecg.leads), p_signal=samples, fmt=["16"] * leads,
        adc_gain=[gain] * leads, baseline=[0] * leads, comments=comments, write_dir=str(folder),
    )  # fmt: skip
    at, symbols = beat_annotations(truth, i, ecg)
    notes = ["\0"] * len(at)
    if at.size == 0 or at[0] > 0:  # the rhythm is told at the start, before the first beat
        at, symbols, notes = np.append(0, at), ["+", *symbols], [rhythm_code(truth, i), *notes]
    wfdb.wrann(name, "atr", at, symbol=symbols, aux_note=notes, fs=ecg.rate_hz, write_dir=str(folder))


def beat_annotations(truth: Truth, i: int, ecg: ECG) -> tuple[np.ndarray, list[str]]:
    """Samples int64 [k] of the R peaks of clip i within its ECG, in order, and the code of each beat."""
    peaks = truth.r_peaks_s[i].cpu().double().numpy()
    origins = truth.origin[i].cpu().numpy()
    place = np.rint(np.nan_to_num((peaks - ecg.start_s) * ecg.rate_hz, nan=-1.0)).astype(np.int64)
    kept = np.flatnonzero((place >= 0) & (place < ecg.samples.shape[1]))
    kept = kept[np.argsort(place[kept], kind="stable")]
    ordinary = CONDUCTED.get(truth.conduction[i], "N")
    symbols = [BEAT_SYMBOLS[ORIGINS[origin]] for origin in origins[kept]]
    if truth.rhythm[i] != "pac":  # in fibrillation and flutter every beat comes from the atria, none is premature
        symbols = ["N" if symbol == "A" else symbol for symbol in symbols]
    return place[kept], [ordinary if symbol == "N" else symbol for symbol in symbols]


def rhythm_code(truth: Truth, i: int) -> str:
    """The code of clip i's rhythm; "(N" where the standard has none of its own."""
    paced = truth.conduction[i] == "paced"
    return "(P" if paced else RHYTHM_CODES.get(truth.rhythm[i], "(N")


def write_table(ecg: ECG, path: Path) -> None:
    """Seconds from the clip's first frame and millivolts of every lead, as CSV."""
    header = ",".join(["time_s", *(column_name(lead) for lead in ecg.leads)])
    table = np.column_stack([ecg.times_s, ecg.samples.T])
    np.savetxt(path, table, delimiter=",", header=header, comments="", fmt="%.6g")
