"""WFDB records (PhysioNet): a text header and one or more signal files beside it.

The wfdb library decodes the signals. Headers that it refuses (a date before the time, a signal file that
was not copied, a sample count longer than the file) are mended in a temporary folder and read again.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from echopulse.ecg.readers.units import MILLIVOLTS, lead_name
from echopulse.ecg.types import ECG
from echopulse.errors import InputError

RECORD_LINE = re.compile(r"\s*[-\w]+(/\d+)?\s+\d+(\s+[\d.]+|\s*$)")


@dataclass(frozen=True)
class Header:
    """The lines that matter of a .hea file: the record line and one line per signal."""

    record: list[str]
    signals: list[list[str]]

    @property
    def files(self) -> list[str]:
        """Names of the signal files, in order, each once."""
        return list(dict.fromkeys(words[0] for words in self.signals))

    @property
    def segmented(self) -> bool:
        return "/" in self.record[0]


def read_header(path: Path) -> Header:
    """Take a header apart without judging it."""
    lines = [line.split() for line in path.read_text("latin-1").splitlines()]
    lines = [words for words in lines if words and not words[0].startswith("#")]
    if not lines or not RECORD_LINE.match(" ".join(lines[0])):
        raise InputError(f"{path}: no WFDB header; its first line should be a record name, a lead count and a rate.")
    return Header(lines[0], lines[1:])


def header_of(path: Path) -> Path | None:
    """The header that `path` belongs to: itself, the record name without ending, or a signal file beside it."""
    if path.suffix.lower() == ".hea":
        return path
    for candidate in (path.with_name(path.name + ".hea"), path.with_suffix(".hea")):
        if candidate.is_file():
            if not path.exists() or path.suffix == "" or path.suffix.lower() == ".atr":
                return candidate
            if path.name in read_header(candidate).files:
                return candidate
    return None


def read_wfdb(path: Path) -> ECG:
    """The record whose header is `path`; every voltage channel, millivolts."""
    header = read_header(path)
    if not header.signals:
        raise InputError(f"{path}: this WFDB header lists no signals; an ECG record needs at least one lead.")
    if outside := [name for name in header.files if Path(name).name != name or "\\" in name]:
        raise InputError(
            f"{path}: the header names {_list(outside)}, outside its own folder; its files lie beside it."
        )
    present = [name for name in header.files if name == "~" or (path.parent / name).is_file()]
    missing = [name for name in header.files if name not in present]
    if not header.segmented and (not present or present == ["~"]):
        raise InputError(
            f"{path}: the header names {_list(missing)}, but no such file lies beside it; copy the whole record."
        )
    record, mended = _decode(path, header, present)
    samples, names, units = _voltages(record, path)
    provenance = {
        "format": "WFDB record",
        "rate": f"{record.fs:g} Hz, from the header",
        "unit": f"{_list(sorted(set(units)))}, from the header's gains",
        "leads": f"{len(names)} from the header",
    }
    if mended:
        provenance["header"] = mended
    if missing and not header.segmented:
        provenance["missing"] = f"{_list(missing)} is not there; its leads are left out"
    return ECG(samples, float(record.fs), names, provenance=provenance)


def _decode(path: Path, header: Header, present: list[str]):
    """A wfdb.Record with physical signals, and what had to be mended (empty when nothing)."""
    import wfdb

    complete = len(present) == len(header.files)
    try:
        if complete or header.segmented:
            return wfdb.rdrecord(str(path.with_suffix(""))), ""
    except Exception as error:
        first_error = error  # wfdb raises many kinds here; what counts is whether a plain header can be read
    else:
        first_error = None
    if header.segmented:
        raise InputError(f"{path}: this multi-segment WFDB record cannot be read ({first_error}).")
    kept = [words for words in header.signals if words[0] in present]
    rate = header.record[2] if len(header.record) > 2 else ""
    if not rate:
        raise InputError(f"{path}: the header gives no sampling rate; add it to the first line, as in 'name 1 300'.")
    problem = first_error
    for count in (header.record[3:4], []):  # without a count the length follows from the file
        with tempfile.TemporaryDirectory() as folder:
            lines = [["record", str(len(kept)), rate, *count], *kept]
            Path(folder, "record.hea").write_text("\n".join(" ".join(words) for words in lines) + "\n", "latin-1")
            for name in present:
                if name != "~":
                    shutil.copyfile(path.parent / name, Path(folder, name))
            try:
                record = wfdb.rdrecord(str(Path(folder, "record")))
            except Exception as error:
                problem = error
                continue
        what = "date and time left out" if count else "date, time and sample count left out"
        return record, f"read leniently: {what}" + (f" ({first_error})" if first_error else "")
    raise InputError(f"{path}: the signals of this WFDB record cannot be read ({problem}); copy it again.")


def _voltages(record, path: Path) -> tuple[np.ndarray, tuple[str, ...], list[str]]:
    """The channels that carry a voltage, [leads, n] in millivolts; pressures, angles and breathing are left out."""
    rows, names, units = [], [], []
    for signal, name, unit in zip(record.p_signal.T, record.sig_name, record.units, strict=True):
        scale = MILLIVOLTS.get((unit or "mV").replace("\u00b5", "u").lower())
        if scale is None or re.match(r"(resp|abp|art|pleth|ppg|eeg|emg|eog)", (name or "").lower()):
            continue
        rows.append(signal * scale)
        names.append(lead_name(name or "ECG"))
        units.append(unit or "mV")
    if not rows:
        found = _list([f"{name} ({unit})" for name, unit in zip(record.sig_name, record.units, strict=True)])
        raise InputError(f"{path}: no ECG lead in this record, only {found}.")
    return np.array(rows, dtype=np.float32), tuple(names), units


def _list(words: list[str]) -> str:
    return ", ".join(str(word) for word in words)
