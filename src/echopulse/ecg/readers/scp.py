"""SCP-ECG (EN 1064, ISO 11073-91064): what resting-ECG carts hand on.

A file is a chain of sections, each with a checksum. Section 3 names the leads, section 6 holds their samples: plain
16-bit numbers, or Huffman codes (by the tables of section 2) of first or second differences. Where the writer wished
for more compression, a reference beat (section 5) was taken away around every QRS (section 4), and outside those
zones only every few samples were kept; both are undone here.
"""

from __future__ import annotations

import struct
from binascii import crc_hqx
from dataclasses import dataclass

import numpy as np

from echopulse.ecg.limits import check_size
from echopulse.ecg.readers.huffman import Table, decode, read_tables
from echopulse.ecg.readers.source import Reader, Source, Wanted
from echopulse.ecg.readers.units import in_millivolts
from echopulse.ecg.types import ECG, Note
from echopulse.errors import InputError

SECTION_HEADER = 16  # checksum, number, length, two versions, six bytes in reserve
MOST_STORED_BYTES = 1 << 20  # of all leads: twelve leads of the most that a lead can hold are 0.8 MB
MOST_SAMPLES = 4_000_000  # twelve leads of five minutes; a resting ECG has ten seconds
MOST_FACTOR = 20  # of decimation between two QRS complexes; the standard uses 4

LEADS = {
    **dict(enumerate("I II V1 V2 V3 V4 V5 V6 V7 V2R V3R V4R V5R V6R V7R X Y Z CC5 CM5".split(), start=1)),
    **dict(enumerate("III aVR aVL aVF -aVR V8 V9 V8R V9R".split(), start=61)),
    **dict(enumerate("MCL MCL1 MCL2 MCL3 MCL4 MCL5 MCL6".split(), start=84)),
}


@dataclass(frozen=True)
class Lead:
    """A line of section 3: its name, and its first and last sample on the clock of the recording, from 0."""

    name: str
    first: int
    last: int

    @property
    def count(self) -> int:
        return self.last - self.first + 1


@dataclass(frozen=True)
class Qrs:
    """A line of section 4: a QRS complex, where the reference beat was taken away around it, and what was kept whole.

    All are samples of the recording, from 0, the ends included; `whole` is None where the file does not say it.
    """

    kind: int
    first: int
    fiducial: int
    last: int
    whole: tuple[int, int] | None = None


@dataclass(frozen=True)
class Block:
    """The head of section 5 or 6 and its packed leads."""

    nanovolts: int
    microseconds: int
    difference: int
    bimodal: bool
    packed: list[bytes]


def looks_like_scp(source: Source) -> bool:
    """The mark of the standard, or (older writers left it out) a section 0 whose first pointer points to itself."""
    head = source.head
    if head[16:22] == b"SCPECG":
        return True
    if len(head) < 32:
        return False
    number, length = struct.unpack_from("<HI", head, 8)
    return number == 0 and length >= 36 and struct.unpack_from("<HI", head, 22) == (0, length)


def read_scp(source: Source, wanted: Wanted) -> ECG:
    """All leads of the rhythm in section 6, millivolts; NaN where a lead was not recorded."""
    try:
        return _read(source, wanted)
    except (struct.error, IndexError, OverflowError) as error:
        raise InputError(
            f"{source.name}: this SCP-ECG file is cut or damaged (a part of a section is missing); export it again."
        ) from error


def _read(source: Source, wanted: Wanted) -> ECG:
    name, data = source.name, source.data
    if data[16:22] != b"SCPECG" and struct.unpack_from("<I", data, 28)[0] == 6:
        raise InputError(
            f"{name}: a Heal Force .SCP file, a format of its own that shares only the ending with SCP-ECG (EN 1064) "
            "and is not read; export the recording from the device's own program."
        )
    sections = _sections(data)
    for number, what in ((3, "leads"), (6, "rhythm")):
        if number not in sections:
            raise InputError(f"{name}: an SCP-ECG file without section {number} ({what}); export the rhythm too.")
    damaged = _damaged(data, sections)
    subtracted, leads = _leads(name, sections[3])
    rhythm = _block(name, sections[6], len(leads))
    reference = _block(name, sections[5], len(leads)) if 5 in sections and len(sections[5]) >= 6 else None
    tables = read_tables(name, sections.get(2, b""))
    reference_ms, reference_fiducial, complexes = _complexes(sections.get(4, b""))

    if (subtracted and complexes or rhythm.bimodal) and reference is None:
        raise InputError(
            f"{name}: an SCP-ECG file whose rhythm lacks the reference beat (section 5) it was taken from."
        )
    factor = _factor(name, rhythm, reference)
    interval = rhythm.microseconds / factor
    if interval <= 0 and wanted.rate_hz is None:
        raise InputError(f"{name}: the SCP-ECG file does not say its sampling rate; give it (--rate).")
    rate_hz = wanted.rate_hz or 1e6 / interval
    if not 20 <= rate_hz <= 20_000:
        raise InputError(f"{name}: {rate_hz:g} Hz in section 6; an ECG has 20 to 20000: give the true rate (--rate).")
    begin = min(lead.first for lead in leads)
    length = max(lead.last for lead in leads) + 1 - begin
    check_size(name, len(leads), length, rate_hz)
    if len(leads) * length > MOST_SAMPLES:
        raise InputError(
            f"{name}: {len(leads)} leads of {length} samples; an SCP-ECG file does not hold so many: it is damaged."
        )
    samples = np.full((len(leads), length), np.nan)
    for row, lead, packed in zip(samples, leads, rhythm.packed, strict=True):
        kept = _kept(lead, complexes, factor)
        values = _unpack(name, lead.name, packed, tables, rhythm.difference, int(sum(kept.counts)))
        row[lead.first - begin : lead.last + 1 - begin] = kept.spread(values)
    beats_added = 0
    if subtracted and reference is not None and complexes:
        scale = reference.nanovolts / rhythm.nanovolts if rhythm.nanovolts and reference.nanovolts else 1.0
        if not 0 < reference.microseconds <= 50_000:
            raise InputError(f"{name}: section 5 has samples of {reference.microseconds} us; the file is damaged.")
        count = round(reference_ms * 1000 / reference.microseconds)
        for row, lead, packed in zip(samples, leads, reference.packed, strict=True):
            beat = _unpack(name, lead.name, packed, tables, reference.difference, count) * scale
            beats_added = _add_beats(row, begin, beat, reference_fiducial, complexes)
    return _as_ecg(wanted, sections, leads, samples, rate_hz, begin, (rhythm, reference), damaged, beats_added)


def _as_ecg(
    wanted: Wanted,
    sections: dict[int, bytes],
    leads: list[Lead],
    samples: np.ndarray,
    rate_hz: float,
    begin: int,
    blocks: tuple[Block, Block | None],
    damaged: list[int],
    beats_added: int,
) -> ECG:
    """The samples in steps as millivolts, and what is to be told of them."""
    rhythm, reference = blocks
    nanovolts = rhythm.nanovolts or (reference.nanovolts if reference else 0)
    if nanovolts and wanted.unit is None:
        samples, unit = samples * (nanovolts * 1e-6), f"{nanovolts / 1000:g} uV a step, as the file says"
        if not rhythm.nanovolts:
            unit += " of its reference beat (for the rhythm it says 0)"
    else:
        samples, unit = in_millivolts(samples, None, wanted.unit)
        unit += "" if nanovolts else "; the file gives a step of 0 nV"
    provenance = {
        "format": "SCP-ECG (EN 1064)",
        "rate": f"{rate_hz:g} Hz, " + ("as given" if wanted.rate_hz else "as the file says"),
        "unit": unit,
        "leads": ", ".join(lead.name for lead in leads) + ", as the file says",
    }
    if beats_added:
        provenance["reference beat"] = f"added back at {beats_added} QRS complexes"
    if rhythm.bimodal:
        provenance["compression"] = "bimodal: between the QRS complexes the samples are interpolated"
    if damaged:
        which = "the file" if damaged == [0] else "section " + ", ".join(str(number) for number in damaged if number)
        provenance["checksum"] = f"wrong for {which}: some of it may be damaged"
    recorded = _recorded(sections.get(1, b""))
    if recorded:
        provenance["recorded"] = recorded
    notes = tuple(
        Note((qrs.fiducial - begin) / rate_hz, f"QRS, type {qrs.kind}")
        for qrs in sorted(_complexes(sections.get(4, b""))[2], key=lambda qrs: qrs.fiducial)
        if 0 <= qrs.fiducial - begin < samples.shape[1]
    )
    return ECG(samples, rate_hz, tuple(lead.name for lead in leads), provenance=provenance, notes=notes)


def _sections(data: bytes) -> dict[int, bytes]:
    """What follows the header of each section that section 0 points to and that is not empty."""
    length = struct.unpack_from("<I", data, 10)[0]
    found = {}
    for at in range(6 + SECTION_HEADER, min(6 + length, len(data)) - 9, 10):
        number, size, place = struct.unpack_from("<HII", data, at)
        if number and size > SECTION_HEADER and 0 < place <= len(data) and number not in found:
            found[number] = data[place - 1 + SECTION_HEADER : place - 1 + size]
    return found


def _damaged(data: bytes, sections: dict[int, bytes]) -> list[int]:
    """The sections whose checksum does not fit; 0 is the file as a whole."""
    wrong = []
    checksum, size = struct.unpack_from("<HI", data, 0)
    if size > len(data) or crc_hqx(data[2:size], 0xFFFF) != checksum:
        wrong.append(0)
    length = struct.unpack_from("<I", data, 10)[0]
    for at in range(6 + SECTION_HEADER, min(6 + length, len(data)) - 9, 10):
        number, size, place = struct.unpack_from("<HII", data, at)
        if number in sections and number not in wrong:
            part = data[place - 1 : place - 1 + size]
            if len(part) < size or crc_hqx(part[2:], 0xFFFF) != struct.unpack_from("<H", part)[0]:
                wrong.append(number)
    return wrong


def _leads(name: str, section: bytes) -> tuple[bool, list[Lead]]:
    """Whether a reference beat was taken away, and the leads."""
    count, flags = section[0], section[1]
    leads = []
    for i in range(count):
        first, last, code = struct.unpack_from("<IIB", section, 2 + 9 * i)
        if first < 1 or last < first:
            raise InputError(f"{name}: a lead from sample {first} to {last} in section 3; the file is damaged.")
        leads.append(Lead(LEADS.get(code, f"lead {code}"), first - 1, last - 1))
    check_size(name, count, max((lead.last + 1 for lead in leads), default=0), 0)
    return bool(flags & 1), leads


def _block(name: str, section: bytes, leads: int) -> Block:
    nanovolts, microseconds, difference, bimodal = struct.unpack_from("<HHBB", section)
    sizes = struct.unpack_from(f"<{leads}H", section, 6)
    if difference > 2:
        raise InputError(f"{name}: differences of order {difference}; SCP-ECG knows 0, 1 and 2: the file is damaged.")
    if sum(sizes) > MOST_STORED_BYTES:
        raise InputError(f"{name}: {sum(sizes)} bytes of samples; an SCP-ECG file with more than 1 MB is not read.")
    packed, at = [], 6 + 2 * leads
    for size in sizes:
        packed.append(section[at : at + size])
        at += size
    return Block(nanovolts, microseconds, difference, bimodal == 1, packed)


def _complexes(section: bytes) -> tuple[int, int, list[Qrs]]:
    """How long the reference beat is (ms), its fiducial sample from 0, and the QRS complexes."""
    if len(section) < 6:
        return 0, 0, []
    milliseconds, fiducial, count = struct.unpack_from("<HHH", section)
    count = min(count, (len(section) - 6) // 14)
    zones_at = 6 + 14 * count
    zones = len(section) - zones_at >= 8 * count
    complexes = []
    for i in range(count):
        kind, first, middle, last = struct.unpack_from("<HIII", section, 6 + 14 * i)
        whole = struct.unpack_from("<II", section, zones_at + 8 * i) if zones else None
        whole = (whole[0] - 1, whole[1] - 1) if whole and 0 < whole[0] <= whole[1] else None
        complexes.append(Qrs(kind, first - 1, middle - 1, last - 1, whole))
    return milliseconds, fiducial - 1, complexes


def _factor(name: str, rhythm: Block, reference: Block | None) -> int:
    """How many samples of the recording one stored sample stands for between the QRS complexes."""
    if not rhythm.bimodal or reference is None or not reference.microseconds:
        return 1
    factor = rhythm.microseconds / reference.microseconds
    if factor < 1 or factor > MOST_FACTOR or factor != int(factor):
        raise InputError(
            f"{name}: bimodal compression with steps of {rhythm.microseconds} and {reference.microseconds} us; the "
            "first must be a small multiple of the second."
        )
    return int(factor)


@dataclass(frozen=True)
class Kept:
    """Which samples of a lead are stored: stretches of (length, samples that one stored sample stands for)."""

    stretches: list[tuple[int, int]]

    @property
    def counts(self) -> list[int]:
        return [-(-length // step) for length, step in self.stretches]

    def spread(self, stored: np.ndarray) -> np.ndarray:
        """The lead from its stored samples; a mean over several stands in their middle, lines run between them."""
        parts, at = [], 0
        for (length, step), count in zip(self.stretches, self.counts, strict=True):
            values = stored[at : at + count]
            middles = np.minimum(np.arange(count) * step + (step - 1) / 2, length - 1)
            parts.append(values if step == 1 else np.interp(np.arange(length), middles, values))
            at += count
        return np.concatenate(parts)


def _kept(lead: Lead, complexes: list[Qrs], factor: int) -> Kept:
    if factor == 1:
        return Kept([(lead.count, 1)])
    stretches, at = [], lead.first
    for first, last in sorted(qrs.whole for qrs in complexes if qrs.whole):
        first, last = max(first, at), min(last, lead.last)
        if first > last:
            continue
        stretches += [(first - at, factor), (last + 1 - first, 1)]
        at = last + 1
    stretches.append((lead.last + 1 - at, factor))
    return Kept([(length, step) for length, step in stretches if length])


def _add_beats(row: np.ndarray, begin: int, beat: np.ndarray, fiducial: int, complexes: list[Qrs]) -> int:
    """Add the reference beat (its samples, and which of them is the fiducial one) where it was taken away."""
    added = 0
    for qrs in complexes:
        if qrs.kind != 0:  # only beats of type 0 look like the reference beat
            continue
        shift = fiducial - qrs.fiducial  # sample of the beat = sample of the recording + shift
        first = max(qrs.first, begin, -shift)
        last = min(qrs.last, begin + len(row) - 1, len(beat) - 1 - shift)
        if first <= last:
            row[first - begin : last + 1 - begin] += beat[first + shift : last + 1 + shift]
            added += 1
    return added


def _unpack(name: str, lead: str, packed: bytes, tables: list[Table], difference: int, count: int) -> np.ndarray:
    """float64 [count]: the stored samples of one lead, differences summed up."""
    if tables:
        values = decode(name, lead, packed, tables, count)
    else:
        values = np.frombuffer(packed[: len(packed) // 2 * 2], "<i2")[:count].astype(np.int64)
    if len(values) < count:
        raise InputError(
            f"{name}: lead {lead} holds {len(values)} of its {count} samples; the file is cut or damaged: export it "
            "again."
        )
    if difference == 1:
        values = np.cumsum(values)
    elif difference == 2 and count > 1:
        first, second = values[:2]
        values = np.concatenate(([first], first + np.cumsum(np.cumsum([second - first, *values[2:]]))))
    return values.astype(np.float64)


def _recorded(section: bytes) -> str | None:
    """When it was recorded, from section 1; whose it is stays unread."""
    date = time = None
    at = 0
    while at + 3 <= len(section) and section[at] != 255:
        tag, size = struct.unpack_from("<BH", section, at)
        value = section[at + 3 : at + 3 + size]
        if tag == 25 and len(value) == 4:
            date = struct.unpack("<HBB", value)
        elif tag == 26 and len(value) == 3:
            time = tuple(value)
        at += 3 + size
    if date is None or not (1900 <= date[0] <= 2200 and 1 <= date[1] <= 12 and 1 <= date[2] <= 31):
        return None
    stamp = "{:04d}-{:02d}-{:02d}".format(*date)
    return stamp if time is None else stamp + " {:02d}:{:02d}:{:02d}".format(*time)


SCP = Reader("an SCP-ECG file", looks_like_scp, read_scp)
