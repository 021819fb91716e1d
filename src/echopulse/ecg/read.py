"""A file becomes an `ECG`. What is in the file decides the reader, never its ending."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from echopulse.ecg.quality import check_usable, clipped_share, settling_s
from echopulse.ecg.readers.apple import looks_like_apple, read_apple
from echopulse.ecg.readers.plain import looks_like_table, read_npy, read_table
from echopulse.ecg.readers.text import decode, is_text, lines_of
from echopulse.ecg.readers.wfdb import header_of, read_header, read_wfdb
from echopulse.ecg.types import ECG
from echopulse.errors import InputError

WHAT_IS_READ = "WFDB records, Apple Watch CSV files, tables of numbers (CSV, TXT) and NumPy arrays (.npy)"
ENDINGS_OF_TABLES = (".csv", ".npy", ".txt", ".tsv")
HEAD_BYTES = 4096

# Formats that are recognised, so that the refusal can name them: (offset, bytes, what it is).
STRANGERS = (
    (128, b"DICM", "a DICOM file"),
    (0, b"ISHNE1.0", "an ISHNE Holter file"),
    (0, b"%PDF", "a PDF document"),
    (0, b"ALIVE", "a Kardia ATC file"),
    (0, b"0       ", "an EDF file"),
    (0, b"\xffBIOSEMI", "a BDF file"),
    (0, b"MATLAB 5.0", "a MATLAB file without a WFDB header beside it"),
    (0, b"\x89HDF", "an HDF5 file"),
    (0, b"\x89PNG", "a picture (PNG)"),
    (0, b"\xff\xd8\xff", "a picture (JPEG)"),
    (0, b"GIF8", "a picture (GIF)"),
    (0, b"BM", "a picture (BMP)"),
    (4, b"ftyp", "a video (MP4)"),
    (0, b"RIFF", "a video or sound (RIFF)"),
    (0, b"\x1aE\xdf\xa3", "a video (WebM)"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"SQLite", "a database"),
)
XML_ROOTS = (
    (b"AnnotatedECG", "an HL7 aECG file"),
    (b"RestingECG", "a GE MUSE XML file"),
    (b"restingecgdata", "a Philips ECG XML file"),
)


def read_ecg(path: str | Path, *, rate_hz: float | None = None, lead: str | None = None) -> ECG:
    """Read any ECG file that this version knows; samples in millivolts, all leads unless one is asked for.

    path     a WFDB header, signal file or bare record name; an Apple Watch CSV; a CSV, TXT or NPY of numbers
    rate_hz  needed where the file does not say it; where the file does, this wins
    lead     keep only the lead of this name
    """
    path = Path(path).expanduser()
    check_rate(rate_hz)
    ecg = _read_any(path, rate_hz)
    ecg = replace(ecg, provenance={"path": str(path), **ecg.provenance})
    if lead is not None:
        ecg = _only(ecg, lead)
    ecg = _without_dead_leads(ecg)
    check_usable(ecg, allow_flat=True)
    settling = settling_s(ecg)
    if settling > 0:
        ecg.provenance["start"] = f"the electrodes settle during the first {settling:.1f} s; better begin later"
    clipped = max(clipped_share(row) for row in ecg.samples)
    if clipped > 0.005:
        ecg.provenance["clipping"] = f"{100 * clipped:.2g} % of the samples stick to the end of the scale"
    missing = float(np.mean(~np.isfinite(ecg.samples)))
    if missing > 0:
        ecg.provenance["gaps"] = f"{100 * missing:.2g} % of the samples are missing"
    return ecg


def check_rate(rate_hz: float | None) -> None:
    """InputError for a sampling rate that no ECG has; None is none given."""
    if rate_hz is not None and not (np.isfinite(rate_hz) and 20 <= rate_hz <= 20000):
        raise InputError(f"A sampling rate of {rate_hz:g} Hz was given; an ECG has between 20 and 20000 Hz.")


def list_ecg_files(path: str | Path) -> list[Path]:
    """The ECG files at `path`: itself if it is a file, else what lies below it, one entry per WFDB record, sorted."""
    path = Path(path).expanduser()
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.rglob("*") if file.is_file() and not _hidden(file, path))
    headers = [file for file in files if file.suffix.lower() == ".hea"]
    belonging = {header.parent / name for header in headers for name in _signal_files(header)}
    belonging |= {header.with_suffix(".atr") for header in headers}
    tables = [file for file in files if file not in belonging and _may_be_a_table(file)]
    found = sorted(headers + tables)
    if not found:
        raise InputError(f"{path}: a folder without any ECG; this version reads {WHAT_IS_READ}.")
    return found


def _read_any(path: Path, rate_hz: float | None) -> ECG:
    header = header_of(path)
    if header is not None and header.is_file():
        _refuse_empty(header)
        ecg = read_wfdb(header)
        if rate_hz is None or rate_hz == ecg.rate_hz:
            return ecg
        return replace(ecg, rate_hz=rate_hz, provenance={**ecg.provenance, "rate": f"{rate_hz:g} Hz, as given"})
    if path.is_dir():
        raise InputError(f"{path}: a folder, not an ECG file; give one of the files in it.")
    if not path.exists():
        raise InputError(f"{path}: there is no such file (and no WFDB record of this name); check the path.")
    _refuse_empty(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: the file cannot be read ({error.strerror}); check its permissions.") from error
    if data.startswith(b"\x93NUMPY"):
        return read_npy(path, rate_hz)
    _refuse_stranger(path, data[:HEAD_BYTES])
    text, encoding = decode(data)
    lines = lines_of(text)
    if looks_like_apple(lines):
        ecg = read_apple(lines, text, str(path), rate_hz)
    elif looks_like_table(lines):
        ecg = read_table(lines, text, str(path), rate_hz)
    else:
        raise InputError(f"{path}: text, but no ECG in it; this version reads {WHAT_IS_READ}.")
    if encoding != "utf-8":
        ecg.provenance["encoding"] = encoding
    return ecg


def _refuse_empty(path: Path) -> None:
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty (0 bytes); copy or export it again.")


def _refuse_stranger(path: Path, head: bytes) -> None:
    """Name what is not read, as well as the first bytes can tell."""
    what = None
    if head.startswith(b"version https://git-lfs"):
        raise InputError(f"{path}: a git-LFS pointer, the recording itself was not downloaded; run 'git lfs pull'.")
    for offset, magic, name in STRANGERS:
        if head[offset : offset + len(magic)] == magic:
            what = name
            break
    plain = head.replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \r\n\t")
    if what is None and b"SCPECG" in head[:40]:
        what = "an SCP-ECG file"
    if what is None and plain.startswith(b"<"):
        what = next((name for root, name in XML_ROOTS if root in plain), "an XML file")
    if what is None and plain.startswith((b"{", b"[{")):
        what = "a JSON file"
    if what is None and not is_text(head):
        beside = " (a WFDB signal file needs its .hea header beside it)" if path.suffix in (".dat", ".mat") else ""
        what = f"a binary file of a kind unknown here{beside}"
    if what is not None:
        raise InputError(f"{path}: this looks like {what}, which this version does not read; it reads {WHAT_IS_READ}.")


def _only(ecg: ECG, lead: str) -> ECG:
    wanted = [i for i, name in enumerate(ecg.leads) if name.lower() == lead.strip().lower()]
    if not wanted:
        raise InputError(f"{ecg.name}: no lead {lead!r}; it has {', '.join(ecg.leads)}.")
    return replace(ecg, samples=ecg.samples[wanted[:1]], leads=(ecg.leads[wanted[0]],))


def _without_dead_leads(ecg: ECG) -> ECG:
    """Leave out leads that are constant or missing throughout, as long as another one lives."""
    alive = []
    for i, row in enumerate(ecg.samples):
        good = row[np.isfinite(row)]
        if good.size > 1 and np.ptp(good) > 0:
            alive.append(i)
    if not alive or len(alive) == len(ecg.leads):
        return ecg
    dead = ", ".join(name for i, name in enumerate(ecg.leads) if i not in alive)
    provenance = {**ecg.provenance, "dead leads": f"{dead}: constant throughout, left out"}
    return replace(ecg, samples=ecg.samples[alive], leads=tuple(ecg.leads[i] for i in alive), provenance=provenance)


def _hidden(file: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(root).parts)


def _signal_files(header: Path) -> list[str]:
    try:
        return read_header(header).files
    except InputError:
        return []  # a broken header owns no files; it is reported when it is read


def _may_be_a_table(file: Path) -> bool:
    """Whether a file found in a folder is worth reading: a table by its ending and (for text) by its content."""
    if file.suffix.lower() not in ENDINGS_OF_TABLES:
        return False
    if file.suffix.lower() in (".csv", ".npy"):
        return True
    with file.open("rb") as stream:
        head = stream.read(8 * HEAD_BYTES)
    lines = lines_of(decode(head)[0])
    return is_text(head) and (looks_like_apple(lines) or looks_like_table(lines))
