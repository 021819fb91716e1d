"""A file becomes an `ECG`. What is in the file decides the reader, never its ending."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from echopulse.ecg.faults import settling_s
from echopulse.ecg.leads import with_derived_leads
from echopulse.ecg.limits import MOST_BYTES
from echopulse.ecg.quality import SHORTEST_S, check_usable, clipped_share
from echopulse.ecg.readers import READERS, Source, Wanted
from echopulse.ecg.readers.apple import looks_like_apple
from echopulse.ecg.readers.plain import looks_like_table
from echopulse.ecg.readers.text import is_text
from echopulse.ecg.readers.units import MILLIVOLTS
from echopulse.ecg.readers.wfdb import header_of, read_header, read_wfdb
from echopulse.ecg.readers.xml import root_name
from echopulse.ecg.types import ECG
from echopulse.errors import InputError

WHAT_IS_READ = (
    "WFDB records, DICOM waveforms, EDF, ISHNE, SCP-ECG, HL7 aECG, GE MUSE and Philips files, Apple Watch, Kardia, "
    "Fitbit, Polar and Withings files, FHIR, MATLAB and NumPy files, tables of numbers (CSV, TXT), ZIP and gzip files "
    "of these, PDF pages with a trace and pictures of one strip (PNG, JPEG)"
)
ENDINGS_OF_TABLES = (".csv", ".npy", ".txt", ".tsv")
# Endings of ECGs and of much else: what a folder lists must be known by a reader, by its content.
ENDINGS_OF_OTHERS = (
    ".json", ".zip", ".gz", ".edf", ".bdf", ".ecg", ".atc", ".mat", ".npz", ".dcm", ".xml", ".scp", ".pdf",
)  # fmt: skip

LFS_POINTER = b"version https://git-lfs"
# Formats that are recognised, so that the refusal can name them: (offset, bytes, what it is).
STRANGERS = (
    (0, b"\x89HDF", "an HDF5 file"),
    (0, b"GIF8", "a picture (GIF)"),
    (0, b"BM", "a picture (BMP)"),
    (4, b"ftyp", "a video (MP4)"),
    (0, b"RIFF", "a video or sound (RIFF)"),
    (0, b"\x1aE\xdf\xa3", "a video (WebM)"),
    (0, b"SQLite", "a database"),
)


def read_ecg(
    source: str | Path | bytes | BinaryIO,
    *,
    rate_hz: float | None = None,
    unit: str | None = None,
    lead: str | None = None,
    invert: bool = False,
    at_s: float | None = None,
    seconds: float | None = None,
    member: str | None = None,
    name: str = "the ECG",
) -> ECG:
    """Read any ECG file that this version knows; samples in millivolts, all leads unless one is asked for.

    source   a file or the name of a WFDB record; or a file's bytes, or an open binary stream, then called `name`
    rate_hz  needed where the file does not say it; where the file does, this wins
    unit     "nV", "uV", "mV" or "V" of the numbers in the file, where it says none or says it wrongly
    lead     keep only the lead of this name; III, aVR, aVL and aVF are derived where the file holds I and II
    invert   turn it upside down
    at_s     where in the recording the part that is wanted begins, and
    seconds  how long it is; without them, all of it
    member   which ECG of a file that holds several: its name in an archive, else its number or time; the newest if None
    """
    check_rate(rate_hz)
    wanted = Wanted(rate_hz, checked_unit(unit), lead, *_checked_part(at_s, seconds), member)
    ecg = _read_any(source, name, wanted)
    ecg = _only_part(ecg, wanted)
    if lead is not None:
        ecg = _only(ecg, lead)
    if invert:
        ecg = replace(ecg, samples=-ecg.samples, provenance={**ecg.provenance, "inverted": "as asked for"})
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


def checked_unit(unit: str | None) -> str | None:
    if unit is not None and unit.lower().replace("\u00b5", "u").replace("\u03bc", "u") not in MILLIVOLTS:
        raise InputError(f"--unit {unit}: nV, uV, mV or V is expected.")
    return None if unit is None else unit.lower().replace("\u00b5", "u").replace("\u03bc", "u")


def _checked_part(at_s: float | None, seconds: float | None) -> tuple[float | None, float | None]:
    for option, value, least in (("--at", at_s, 0.0), ("--seconds", seconds, SHORTEST_S)):
        if value is not None and not (np.isfinite(value) and value >= least):
            raise InputError(f"{option} {value:g}: at least {least:g} s are expected.")
    return at_s, seconds


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
    found = sorted([header for header in headers if header not in belonging] + tables)  # segments belong to a record
    if not found:
        raise InputError(f"{path}: a folder without any ECG; this version reads {WHAT_IS_READ}.")
    return found


def _read_any(source: str | Path | bytes | BinaryIO, name: str, wanted: Wanted) -> ECG:
    if isinstance(source, (str, Path)):
        path = Path(source).expanduser()
        ecg = _read_path(path, wanted)
        return replace(ecg, provenance={"path": str(path), **ecg.provenance})
    if not isinstance(source, bytes):
        source = source.read(MOST_BYTES + 1)
        if not isinstance(source, bytes):
            raise InputError(f"{name}: an open text file; open it in binary mode ('rb').")
    if not source:
        raise InputError(f"{name}: empty (0 bytes); copy or export it again.")
    ecg = _read_source(Source(name, given=source), wanted)
    return replace(ecg, provenance={"path": name, **ecg.provenance})


def _read_path(path: Path, wanted: Wanted) -> ECG:
    header = header_of(path)
    if header is not None and header.is_file():
        _refuse_empty(header)
        return read_wfdb(header, wanted)
    if path.is_dir():
        raise InputError(f"{path}: a folder, not an ECG file; give one of the files in it.")
    if not path.exists():
        raise InputError(f"{path}: there is no such file (and no WFDB record of this name); check the path.")
    _refuse_empty(path)
    return _read_source(Source(str(path), path), wanted)


def _read_source(source: Source, wanted: Wanted) -> ECG:
    """By the first reader that knows the file; InputError that names the format where none does."""
    reader = next((reader for reader in READERS if reader.recognises(source)), None)
    if reader is None:
        if source.head.startswith(LFS_POINTER):
            raise InputError(f"{source.name}: {stranger(source)}.")
        raise InputError(f"{source.name}: {stranger(source)}; it reads {WHAT_IS_READ}.")
    try:
        ecg = reader.read(source, wanted)
    except InputError as error:  # what a library says of a damaged file may take several lines; a refusal is a sentence
        if "\n" not in str(error):
            raise
        raise type(error)(" ".join(str(error).split())) from error
    if "decoded" in vars(source) and source.decoded[1] != "utf-8":  # only readers of text have decoded it
        ecg.provenance["encoding"] = source.decoded[1]
    return ecg


def _refuse_empty(path: Path) -> None:
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty (0 bytes); copy or export it again.")


def stranger(source: Source) -> str:
    """What a file is that no reader knows, as well as its first bytes can tell: the middle of a sentence."""
    head = source.head
    if head.startswith(LFS_POINTER):
        return "a git-LFS pointer, the recording itself was not downloaded: run 'git lfs pull'"
    for offset, magic, what in STRANGERS:
        if head[offset : offset + len(magic)] == magic:
            return f"this looks like {what}, which this version does not read"
    plain = head.replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \r\n\t")
    if plain.startswith(b"<"):
        root = root_name(source)
        what = "an XML file of a kind unknown here" + (f" (its root is <{root[:40]}>)" if root else "")
    elif plain.startswith((b"{", b"[{")):
        what = "a JSON file of a kind unknown here"
    elif not is_text(head):
        lone = source.path is not None and source.path.suffix in (".dat", ".mat")
        what = "a binary file of a kind unknown here"
        what += " (a WFDB signal file needs its .hea header beside it)" if lone else ""
    else:
        return "text, but no ECG in it for this version"
    return f"this looks like {what}, which this version does not read"


def _only(ecg: ECG, lead: str) -> ECG:
    wanted = [i for i, name in enumerate(ecg.leads) if name.lower() == lead.strip().lower()]
    if not wanted:
        ecg = with_derived_leads(ecg)
        wanted = [i for i, name in enumerate(ecg.leads) if name.lower() == lead.strip().lower()]
    if not wanted:
        raise InputError(f"{ecg.name}: no lead {lead!r}; it has {', '.join(ecg.leads)}.")
    return replace(ecg, samples=ecg.samples[wanted[:1]], leads=(ecg.leads[wanted[0]],))


def _only_part(ecg: ECG, wanted: Wanted) -> ECG:
    """The part that is wanted, where the reader gave more; InputError where the recording does not reach it."""
    if wanted.at_s is None and wanted.seconds is None:
        return ecg
    begin = ecg.start_s if wanted.at_s is None else wanted.at_s
    length = ecg.start_s + ecg.duration_s - begin if wanted.seconds is None else wanted.seconds
    if abs(begin - ecg.start_s) < 0.5 / ecg.rate_hz and abs(length - ecg.duration_s) < 1.5 / ecg.rate_hz:
        return ecg
    return ecg.crop(begin, length)


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
    if file.suffix.lower() in ENDINGS_OF_OTHERS:
        return _holds_an_ecg(Source(file.name, file))
    if file.suffix.lower() not in ENDINGS_OF_TABLES:
        return False
    if file.suffix.lower() in (".csv", ".npy"):
        return True
    source = Source(file.name, file)
    return looks_like_apple(source) or looks_like_table(source)


def _holds_an_ecg(source: Source) -> bool:
    """Whether a JSON file or an archive found in a folder can be read as an ECG (a rate that lacks can be given)."""
    reader = next((reader for reader in READERS if reader.recognises(source)), None)
    try:
        return reader is not None and bool(reader.read(source, Wanted(rate_hz=250.0)))
    except InputError:
        return False
