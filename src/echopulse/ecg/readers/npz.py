"""NPZ archives of NumPy arrays, our own among them; nothing in them is ever unpickled.

Our own hold `samples` (float32 [leads, n], millivolts), `rate_hz`, `leads`, `start_s`, `provenance` (JSON text),
`notes_s` and `notes`. Others are searched for an array of samples and what is said of it.
"""

from __future__ import annotations

import json
import struct
import zipfile
from contextlib import closing
from dataclasses import replace
from io import BytesIO

import numpy as np

from echopulse.ecg.limits import MOST_BYTES, MOST_MEMBERS, MOST_UNPACKED_BYTES, MOST_UNPACKED_RATIO, MOST_VALUES
from echopulse.ecg.readers.arrays import ecg_of_arrays, number_of
from echopulse.ecg.readers.source import Reader, Source, Wanted
from echopulse.ecg.types import ECG, Note
from echopulse.errors import InputError

LOCAL_NAME = 30  # where the name of an archive's first member begins
MOST_NOTES = 100_000
LONGEST_TEXT = 1 << 20
DECIDED_HERE = ("path", "format", "rate", "unit", "leads", "array")


def looks_like_npz(source: Source) -> bool:
    """A ZIP archive whose first member is a NumPy array."""
    head = source.head
    if not head.startswith(b"PK\x03\x04") or len(head) < LOCAL_NAME:
        return False
    (length,) = struct.unpack_from("<H", head, 26)
    return head[LOCAL_NAME : LOCAL_NAME + length].endswith(b".npy")


def read_npz(source: Source, wanted: Wanted) -> ECG:
    """The ECG in an archive of NumPy arrays, millivolts."""
    values, pickled = _arrays(source)
    ours = {"samples", "rate_hz", "leads", "provenance"} <= set(values)
    try:
        ecg = ecg_of_arrays(source.name, values, wanted, "NumPy archive", certain=ours)
    except InputError as error:
        if pickled:
            raise type(error)(f"{error} ({', '.join(pickled[:8])}: pickled, never read)") from error
        raise
    provenance, start_s, notes = dict(ecg.provenance), number_of(values.get("start_s")), ()
    if ours:
        before = _provenance(source.name, values["provenance"])
        provenance["format"] = "EchoPulse's own NPZ" + (f", once {before['format']}" if "format" in before else "")
        provenance |= {key: text for key, text in before.items() if key not in DECIDED_HERE}
        notes = _notes(values)
    if pickled:
        provenance["left out"] = f"{', '.join(pickled[:8])}: pickled, never read"
    start_s = start_s if start_s is not None and np.isfinite(start_s) and start_s >= 0 else 0.0
    return replace(ecg, provenance=provenance, start_s=start_s, notes=notes)


def _arrays(source: Source) -> tuple[dict, list[str]]:
    """Arrays by name, and the names of those that are pickled objects."""
    name, values, pickled = source.name, {}, []
    try:
        with closing(zipfile.ZipFile(source.path or BytesIO(source.given))) as archive:
            members = [member for member in archive.infolist() if member.filename.endswith(".npy")]
            _check_members(name, members)
            for member in members:
                key, shape, dtype = member.filename.removesuffix(".npy"), *_header(archive, member)
                if dtype.hasobject:
                    pickled.append(key)
                    continue
                count = 1
                for side in shape:
                    count *= side
                if count > MOST_VALUES or count * dtype.itemsize > member.file_size:
                    raise InputError(f"{name}: array {key} claims {shape}, more than is there; copy it again.")
                with archive.open(member) as file:
                    values[key] = np.lib.format.read_array(file, allow_pickle=False)
    except InputError:
        raise
    except Exception as error:  # archives and array headers can be wrong in every way
        raise InputError(f"{name}: not a whole NumPy archive ({error}); copy it again.") from error
    return values, pickled


def _check_members(name: str, members: list[zipfile.ZipInfo]) -> None:
    """InputError before anything is unpacked that is too much, or far more than was packed."""
    packed = sum(member.compress_size for member in members if member.compress_type != zipfile.ZIP_STORED)
    unpacked = sum(member.file_size for member in members if member.compress_type != zipfile.ZIP_STORED)
    stored = sum(member.file_size for member in members if member.compress_type == zipfile.ZIP_STORED)
    bomb = unpacked > MOST_UNPACKED_RATIO * packed + 4096 * (1 + len(members))
    if len(members) > MOST_MEMBERS or unpacked > MOST_UNPACKED_BYTES or stored > MOST_BYTES or bomb:
        raise InputError(
            f"{name}: a NumPy archive of {len(members)} arrays that unpacks to {(unpacked + stored) / 1e6:.0f} MB from "
            f"{(packed + stored) / 1e6:.1f} MB; that is more than is read."
        )


def _header(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of an array, before any memory is taken for it."""
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
    return shape, dtype


def _provenance(name: str, value: np.ndarray) -> dict[str, str]:
    """What was known of the recording when it was written."""
    text = str(value.reshape(-1)[0]) if value.dtype.kind in "US" and value.size == 1 else ""
    if value.nbytes > 4 * LONGEST_TEXT:
        raise InputError(f"{name}: a provenance of {value.nbytes / 1e6:.0f} MB; up to {4 * LONGEST_TEXT >> 20} MB fit.")
    try:
        known = json.loads(text) if text else {}
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name}: its provenance is no JSON ({type(error).__name__}); write it again.") from error
    if not isinstance(known, dict):
        raise InputError(f"{name}: its provenance is a JSON {type(known).__name__}; a table of texts is expected.")
    return {str(key): text for key, text in known.items() if isinstance(text, str)}


def _notes(values: dict) -> tuple[Note, ...]:
    """The annotations, as many as have both a time and a text."""
    times, texts = (np.asarray(values.get(key, [])).reshape(-1)[:MOST_NOTES] for key in ("notes_s", "notes"))
    if times.dtype.kind not in "iuf" or texts.dtype.kind != "U":
        return ()
    pairs = zip(times.tolist(), texts.tolist(), strict=False)
    return tuple(Note(float(time), text) for time, text in pairs if np.isfinite(time))


NPZ = Reader("a NumPy archive", looks_like_npz, read_npz)
