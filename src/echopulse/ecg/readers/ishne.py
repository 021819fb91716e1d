"""ISHNE Holter files, version 1.0: a header of 522 bytes, a block of free length, then samples of all leads in turn.

Described in Badilini, The ISHNE Holter Standard Output File Format, Ann. Noninvasive Electrocardiol. 3 (1998). The
header holds names and a birth date; neither is looked at.
"""

from __future__ import annotations

import binascii
import struct
from datetime import datetime

import numpy as np

from echopulse.ecg.limits import check_size
from echopulse.ecg.readers.plain import no_rate
from echopulse.ecg.readers.source import Reader, Source, Wanted
from echopulse.ecg.readers.units import MILLIVOLTS, in_millivolts
from echopulse.ecg.types import ECG
from echopulse.errors import InputError

MAGIC = b"ISHNE1.0"
HEADER_BYTES = 522
MOST_LEADS = 12
UNKNOWN = -9
MISSING = -32768  # the lowest number that fits: recorders write it where an electrode was off
LEADS = (
    "", "ECG", "X", "Y", "Z", "I", "II", "III", "aVR", "aVL", "aVF",
    "V1", "V2", "V3", "V4", "V5", "V6", "ES", "AS", "AI",
)  # fmt: skip
QUALITY = {
    2: "noise now and then",
    3: "noise often",
    4: "contact lost now and then",
    5: "contact lost often",
}


def read_ishne(source: Source, wanted: Wanted) -> ECG:
    """All leads of an ISHNE Holter file, or of the part that is wanted, millivolts."""
    name, header = source.name, source.part(0, HEADER_BYTES)
    if len(header) < HEADER_BYTES:
        raise InputError(f"{name}: {len(header)} bytes of ISHNE, cut within its header; copy it again.")
    claimed_crc, extra, claimed, _, start, version = struct.unpack_from("<Hiiiih", header, 8)
    (count,), (rate,) = struct.unpack_from("<h", header, 156), struct.unpack_from("<h", header, 272)
    if not 1 <= count <= MOST_LEADS:
        raise InputError(f"{name}: ISHNE with {count} leads; from 1 to {MOST_LEADS} are expected, so copy it again.")
    told = {}
    if not HEADER_BYTES <= start <= source.size:
        told["header"] = f"it says that samples begin at byte {start}, taken as {HEADER_BYTES + max(extra, 0)}"
        start = HEADER_BYTES + max(extra, 0)
    total = (source.size - start) // (2 * count)
    if total < 1:
        raise InputError(f"{name}: ISHNE that ends before its first sample; copy it again.")
    if claimed not in (total, total * count):  # some writers count each lead, some all together
        told["end"] = f"the header says {claimed} samples, {total} of each lead are there"
    check = binascii.crc_hqx(source.part(10, min(start, HEADER_BYTES + (1 << 20)) - 10), 0xFFFF)
    if check != claimed_crc:
        told["checksum"] = f"wrong ({check:04x}, the file says {claimed_crc:04x}); read nevertheless"
    if wanted.rate_hz is None and not 20 <= rate <= 20000:
        raise no_rate(name)
    rate, rate_how = (float(rate), "from the header") if wanted.rate_hz is None else (wanted.rate_hz, "as given")
    first, length = wanted.part_of(name, total, rate)
    check_size(name, count, length, rate)
    raw = np.frombuffer(source.part(start + 2 * count * first, 2 * count * length), "<i2").reshape(-1, count).T
    samples = raw.astype(np.float32)
    samples[raw == MISSING] = np.nan
    scales = np.array(struct.unpack_from(f"<{count}h", header, 206), dtype=np.float32)
    samples, unit_how = _in_millivolts(samples, scales, wanted.unit)
    leads, leads_how = _leads(struct.unpack_from(f"<{count}h", header, 158))
    quality = struct.unpack_from(f"<{count}h", header, 182)
    poor = [f"{lead}: {QUALITY[code]}" for lead, code in zip(leads, quality, strict=True) if code in QUALITY]
    if poor:
        told["quality"] = "; ".join(poor) + ", says the file"
    recorded = _recorded(header)
    provenance = {
        "format": "ISHNE Holter" if version == 1 else f"ISHNE Holter, version {version}",
        "rate": f"{rate:g} Hz, {rate_how}",
        "unit": unit_how,
        "leads": leads_how,
        **told,
        **({"recorded": recorded} if recorded else {}),
    }
    return ECG(samples, rate, leads, start_s=first / rate, provenance=provenance)


def _in_millivolts(counts: np.ndarray, scales: np.ndarray, given: str | None) -> tuple[np.ndarray, str]:
    """[leads, n] by each lead's nanovolts a count, and how the unit was decided."""
    if given is not None:
        return in_millivolts(counts, None, given)
    if (scales <= 0).any():
        samples, how = in_millivolts(counts, None)
        return samples, f"no resolution in the file; {how.removeprefix('no unit in the file; ')}"
    written = ", ".join(f"{scale:g}" for scale in sorted(set(scales.tolist())))
    return counts * (scales[:, None] * np.float32(MILLIVOLTS["nv"])), f"{written} nV a count, from the header"


def _leads(codes: tuple[int, ...]) -> tuple[tuple[str, ...], str]:
    """A name for each lead code, no two alike, and where the names are from."""
    names: list[str] = []
    for number, code in enumerate(codes, 1):
        name = LEADS[code] if 0 < code < len(LEADS) else ""
        name = name if name and name not in names else f"{name or 'ECG'}{'' if not name else ' '}{number}"
        names.append(name)
    known = sum(0 < code < len(LEADS) for code in codes)
    return tuple(names), f"{known} of {len(codes)} from the header's codes"


def _recorded(header: bytes) -> str | None:
    """Date and time of the start; what is unknown is left out, None without a date."""
    day, month, year = struct.unpack_from("<3h", header, 138)
    clock = struct.unpack_from("<3h", header, 150)
    try:
        if UNKNOWN in clock:
            return datetime(year, month, day).date().isoformat()
        return datetime(year, month, day, *clock).isoformat(" ")
    except ValueError:
        return None


ISHNE = Reader("an ISHNE Holter file", lambda source: source.head.startswith(MAGIC), read_ishne)
