"""An `ECG` becomes a file: a WFDB record, a table, NumPy arrays or a DICOM waveform, as the ending says."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from echopulse.ecg.counts import LARGEST_COUNT, counts_per_mv, to_counts
from echopulse.ecg.readers.written import FIRST_LINE, MOMENT
from echopulse.ecg.types import ECG
from echopulse.errors import InputError
from echopulse.files import check_target

LARGEST_COUNT_32 = (1 << 31) - 1
LONGEST_NOTE = 255  # bytes in an annotation file
MOST_CHANNELS = 24  # of a general ECG in DICOM
NOTICE = "written by EchoPulse; not for diagnosis"


def write_ecg(ecg: ECG, path: str | Path, *, force: bool = False) -> Path:
    """Write an ECG and return its path; existing files are replaced only with `force`, and as a whole.

    .hea: a WFDB record with .dat beside it, format 16 at 1000 counts per millivolt, or 32 where that is too small, and
    .atr where there are notes. .csv: seconds and millivolts, one column per lead. .npz: `samples` float32 [leads, n]
    mV, `rate_hz`, `leads`, `start_s`, `provenance` (JSON text), `notes_s` and `notes`. .dcm: a DICOM waveform of 16
    bits. Gaps stay gaps. Where the provenance says when it was recorded, the file does.
    """
    path = check_target(path, tuple(WRITERS), force=force)
    if ecg.samples.size == 0:
        raise InputError(f"{ecg.name}: no samples to write.")
    writer = WRITERS[path.suffix.lower()]
    try:
        with tempfile.TemporaryDirectory(prefix=f".{path.stem}.", dir=path.parent) as folder:
            writer(ecg, Path(folder, path.name))
            made = sorted(Path(folder).iterdir())
            for file in made:
                check_target(path.with_name(file.name), (file.suffix.lower(),), force=force)
            for file in made:
                os.replace(file, path.with_name(file.name))
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error}); choose another place.") from error
    return path


def recorded_at(ecg: ECG) -> datetime | None:
    """When the first of these samples was recorded, where that is known to the second."""
    try:
        begin = datetime.fromisoformat(ecg.provenance.get("recorded", ""))
    except ValueError:
        return None
    return begin.replace(tzinfo=None) + timedelta(seconds=ecg.start_s)


def _write_wfdb(ecg: ECG, path: Path) -> None:
    import wfdb

    name = path.stem
    if not name.replace("-", "").replace("_", "").isalnum() or not name.isascii():
        raise InputError(f"{path.name}: a WFDB record is named by letters, digits, - and _; choose such a name.")
    small = counts_per_mv(ecg.samples) == counts_per_mv(ecg.samples, LARGEST_COUNT_32)
    code, largest = ("16", LARGEST_COUNT) if small else ("32", LARGEST_COUNT_32)
    gain, leads = counts_per_mv(ecg.samples, largest), len(ecg.leads)
    comments = [NOTICE] + ([f"start_s: {ecg.start_s:.9f}"] if ecg.start_s else [])
    counts = to_counts(ecg.samples, gain, -largest - 1, largest)
    wfdb.wrsamp(
        name, ecg.rate_hz, ["mV"] * leads, list(ecg.leads), d_signal=counts,
        fmt=[code] * leads, adc_gain=[gain] * leads, baseline=[0] * leads, comments=comments,
        base_datetime=recorded_at(ecg), write_dir=str(path.parent),
    )  # fmt: skip
    _write_annotations(ecg, path)


def _write_annotations(ecg: ECG, path: Path) -> None:
    """The notes of these samples as .atr: a beat or event by its symbol where a note begins with one."""
    import wfdb
    from wfdb.io.annotation import ann_labels

    symbols = {label.symbol for label in ann_labels if label.symbol.strip()}
    found: dict[int, tuple[str, str]] = {}
    for note in ecg.notes:
        at = round((note.time_s - ecg.start_s) * ecg.rate_hz)
        if 0 <= at < ecg.samples.shape[1]:
            first, _, rest = note.text.partition(" ")
            symbol, words = (first, rest) if first in symbols else ('"', note.text)
            words = words.encode("ascii", "replace")[:LONGEST_NOTE].decode()
            while at in found:  # two notes at one sample would be one
                at += 1
            found[at] = (symbol, words)
    if found:
        samples = sorted(found)
        wfdb.wrann(
            path.stem, "atr", np.array(samples), symbol=[found[at][0] for at in samples],
            aux_note=[found[at][1] for at in samples], write_dir=str(path.parent),
        )  # fmt: skip


def _write_table(ecg: ECG, path: Path) -> None:
    """The rate stands in a comment with all its digits, since a column of rounded times does not hold it."""
    told = [FIRST_LINE, f"# sampling rate: {ecg.rate_hz!r} Hz", f"# start_s: {ecg.start_s!r}"]
    if re.fullmatch(MOMENT, recorded := ecg.provenance.get("recorded", "")):
        told.append(f"# recorded: {recorded}")
    leads = [" ".join(re.sub('[,;"]', " ", lead).split()) or "ECG" for lead in ecg.leads]
    title = ",".join(["time_s", *(f"{lead} [mV]" for lead in leads)])
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write("\n".join([*told, title]) + "\n")
        form = ["%.6f", *["%.5f"] * len(leads)]
        np.savetxt(file, np.column_stack([ecg.times_s, ecg.samples.T]), delimiter=",", fmt=form)


def _write_arrays(ecg: ECG, path: Path) -> None:
    with path.open("wb") as file:
        np.savez_compressed(
            file, samples=ecg.samples, rate_hz=np.float64(ecg.rate_hz), leads=np.array(ecg.leads),
            start_s=np.float64(ecg.start_s), provenance=np.array(json.dumps(ecg.provenance, ensure_ascii=False)),
            notes_s=np.array([note.time_s for note in ecg.notes], dtype=np.float64),
            notes=np.array([note.text for note in ecg.notes], dtype=np.str_),
        )  # fmt: skip


def _write_dicom(ecg: ECG, path: Path) -> None:
    from pydicom.dataset import Dataset
    from pydicom.uid import generate_uid

    from echopulse.ecg.waveform import save, sop_class, waveform_group

    if len(ecg.leads) > MOST_CHANNELS:
        raise InputError(
            f"{path.name}: a DICOM ECG holds {MOST_CHANNELS} leads, there are {len(ecg.leads)}; use --lead."
        )
    group = waveform_group(ecg)
    same = [hashlib.sha256(group.WaveformData).hexdigest(), repr(ecg.rate_hz), repr(ecg.start_s)]
    dataset = Dataset()
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate, dataset.PatientSex = "", "", "", ""
    dataset.SOPClassUID = sop_class(ecg)
    dataset.SOPInstanceUID, dataset.StudyInstanceUID, dataset.SeriesInstanceUID = (
        generate_uid(entropy_srcs=[*same, level]) for level in ("instance", "study", "series")
    )
    begin = recorded_at(ecg)
    moment = "" if begin is None else (begin - timedelta(seconds=ecg.start_s)).strftime("%Y%m%d%H%M%S")
    dataset.AcquisitionDateTime = moment
    dataset.StudyDate, dataset.StudyTime = moment[:8], moment[8:]
    dataset.ContentDate, dataset.ContentTime = moment[:8], moment[8:]
    dataset.AccessionNumber, dataset.StudyID, dataset.ReferringPhysicianName, dataset.Manufacturer = "", "", "", ""
    dataset.Modality, dataset.SeriesNumber, dataset.InstanceNumber = "ECG", 1, 1
    dataset.SeriesDescription = NOTICE
    dataset.AcquisitionContextSequence = []
    dataset.WaveformSequence = [group]
    save(dataset, path)


WRITERS: dict[str, Callable[[ECG, Path], None]] = {
    ".hea": _write_wfdb, ".csv": _write_table, ".npz": _write_arrays, ".dcm": _write_dicom,
}  # fmt: skip
