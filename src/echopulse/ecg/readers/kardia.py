"""ATC files of KardiaMobile recorders: a mark, a version, then blocks in any order.

A block is four letters, its length, its content and a sum of all its bytes. Devices were seen to write wrong sums, so a
wrong one is told and no more. The `info` block holds the ids of phone and recording; of it only the date is looked at.
"""

from __future__ import annotations

import re
import struct

import numpy as np

from echopulse.ecg.limits import check_size
from echopulse.ecg.readers.source import Reader, Source, Wanted
from echopulse.ecg.readers.units import MILLIVOLTS, in_millivolts
from echopulse.ecg.types import ECG
from echopulse.errors import InputError

MAGIC = b"ALIVE"
FIRST_BLOCK = 12
LEADS = {
    b"ecg ": "I", b"ecg2": "II", b"ecg3": "III", b"ecg4": "aVR", b"ecg5": "aVL", b"ecg6": "aVF",
    b"ecg7": "V1", b"ecg8": "V2", b"ecg9": "V3", b"ecga": "V4", b"ecgb": "V5", b"ecgc": "V6",
}  # fmt: skip
USUAL_HZ, USUAL_NANOVOLTS = 300, 500  # every recorder's so far
MOST_BLOCKS = 1000


def read_kardia(source: Source, wanted: Wanted) -> ECG:
    """The leads of an ATC file, millivolts; average beats in it are left alone."""
    name, data = source.name, source.data
    blocks, told = _blocks(data)
    bodies = {lead: blocks[key] for key, lead in LEADS.items() if len(blocks.get(key, b"")) > 1}
    rows = {lead: np.frombuffer(body, "<i2", len(body) // 2) for lead, body in bodies.items()}
    if not rows:
        raise InputError(f"{name}: a Kardia ATC file without samples in it; export the recording again.")
    length = min(row.size for row in rows.values())
    if length < max(row.size for row in rows.values()):
        told["end"] = f"leads of unequal length, all cut to {length} samples"
    rate, nanovolts, rate_how, unit_how = _format(blocks.get(b"fmt ", b""))
    if wanted.rate_hz is not None:
        rate, rate_how = wanted.rate_hz, "as given"
    check_size(name, len(rows), length, rate)
    samples = np.stack([row[:length] for row in rows.values()]).astype(np.float32)
    if wanted.unit is not None:
        samples, unit_how = in_millivolts(samples, None, wanted.unit)
    else:
        samples *= np.float32(nanovolts * MILLIVOLTS["nv"])
    recorded = _recorded(blocks.get(b"info", b""))
    provenance = {
        "format": "Kardia ATC",
        "rate": f"{rate:g} Hz, {rate_how}",
        "unit": unit_how,
        "leads": f"{', '.join(rows)}, from the blocks in the file",
        **told,
        **({"recorded": recorded} if recorded else {}),
    }
    return ECG(samples, rate, tuple(rows), provenance=provenance)


def _blocks(data: bytes) -> tuple[dict[bytes, bytes], dict[str, str]]:
    """Content by the four letters (the first of each), and what is wrong with the blocks."""
    blocks: dict[bytes, bytes] = {}
    wrong, told, at = [], {}, FIRST_BLOCK
    while at + 8 <= len(data) and len(blocks) < MOST_BLOCKS:
        key, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if not re.fullmatch(rb"[a-z][a-z0-9 ]{3}", key):
            told["end"] = f"no block where one should begin, at byte {at}; the rest is left out"
            break
        body = data[at + 8 : at + 8 + size]
        if len(body) < size:
            told["end"] = f"cut within the block {key.decode()!r}; what is left of it is read"
        else:
            check = data[at + 8 + size : at + 12 + size]
            total = int(np.frombuffer(data, np.uint8, 8 + size, at).sum(dtype=np.uint64)) & 0xFFFFFFFF
            if int.from_bytes(check, "little") != total:
                wrong.append(key.decode().strip())
        blocks.setdefault(key, body)
        at += 12 + size
    if wrong:
        told["checksum"] = f"wrong in {', '.join(wrong[:16])}; read nevertheless"
    return blocks, told


def _format(body: bytes) -> tuple[float, float, str, str]:
    """Hertz, nanovolts a count, and how each is known."""
    rate, nanovolts = struct.unpack_from("<HH", body, 1) if len(body) >= 5 else (0, 0)
    known_rate, known_scale = 20 <= rate <= 20000, nanovolts > 0
    rate_how = "from the header" if known_rate else "not in the file; the usual rate of these recorders"
    scale = nanovolts if known_scale else USUAL_NANOVOLTS
    unit_how = f"{scale} nV a count, " + ("from the header" if known_scale else "not in the file; the usual one")
    return float(rate if known_rate else USUAL_HZ), float(scale), rate_how, unit_how


def _recorded(body: bytes) -> str | None:
    """The date that the phone wrote, None where it is blank."""
    text = body[:32].split(b"\0")[0].decode("ascii", "replace").strip()
    return text if re.match(r"\d{4}-\d\d-\d\d", text) and text.isprintable() else None


KARDIA = Reader("a Kardia ATC file", lambda source: source.head.startswith(MAGIC), read_kardia)
