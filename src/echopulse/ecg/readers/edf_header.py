"""The header of EDF and BDF files, read leniently: what writers get wrong is mended, and told.

Both are plain text in fields of fixed width: 256 bytes about the recording, then 256 bytes about each channel, field by
field (all labels, all transducers, ...). Samples follow in records; a record holds so many of each channel in turn.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from math import isfinite

from echopulse.ecg.readers.source import Source
from echopulse.ecg.readers.units import LIMB_AND_CHEST, lead_name, unit_in
from echopulse.errors import InputError

FIXED = 256
WIDTHS = (16, 80, 8, 8, 8, 8, 8, 80, 8, 32)  # of a channel's fields, in their order
MOST_CHANNELS = 4096
MOST_RECORD_VALUES = 1 << 24  # samples of all channels in one record; the standard allows 30720
CARDIAC = re.compile(r"ecg|ekg|elektrok|electroc|kardio|cardio|holter", re.I)
MODIFIED = re.compile(r"(ML|MC|MV|CM|CS|CC|CR|CB)\s?-?([1-9]|L?[1-9]|I{1,3})|DI{1,3}", re.I)  # MLII, CM5, MCL1, DII
OTHER_ORGANS = re.compile(
    r"eeg|eog|emg|erg|resp|breath|flow|thora|abdo|effort|snore|pleth|ppg|pulse|puls\b|spo2|sao2|o2|abp|\bart|press|\bbp|"
    r"temp|light|posit|mark|trig|stat|event|\bacc|gyro|\bhr\b|rate|chin|\bleg|tib|noise|nasal|mic|batt|imped|annot",
    re.I,
)
SCALP = re.compile(r"(Fp|AF|F|FC|FT|C|T|TP|CP|P|PO|O|A|M|[A-H])(z|\d{1,2}h?)(-\w+)?", re.I)  # electrodes of an EEG
NO_UNIT = frozenset({"", "adc", "adu", "count", "counts", "lsb", "bit", "bits", "digital", "none", "n/a", "1", "-"})


@dataclass(frozen=True)
class Channel:
    """One channel: its name and unit as written, its two ranges, and how many of its samples a record holds."""

    label: str
    unit_text: str
    physical: tuple[str, str]
    digital: tuple[int, int]
    filtered: str
    samples: int
    calibrated: bool
    holds_notes: bool

    @property
    def unit(self) -> str | None:
        """The voltage unit, or None where there is none to be believed."""
        return unit_in(self.unit_text) if self.calibrated else None

    @property
    def may_be_ecg(self) -> bool:
        """Whether it holds a voltage (or does not say what) that no other organ is known to give."""
        unknown = self.unit is None and self.unit_text.strip().lower() not in NO_UNIT and self.calibrated
        if self.holds_notes or self.samples == 0 or unknown:
            return False
        return self.called_ecg or not (OTHER_ORGANS.search(self.label) or SCALP.fullmatch(self.label.strip()))

    @property
    def called_ecg(self) -> bool:
        """Whether its label says that it is an ECG, or names a lead of one."""
        if OTHER_ORGANS.search(CARDIAC.sub("", self.label)):
            return False
        named = lead_name(self.label) in LIMB_AND_CHEST.values() or MODIFIED.fullmatch(self.label.strip())
        return bool(CARDIAC.search(self.label) or named)


@dataclass(frozen=True)
class Header:
    """What the header says: `width` bytes a sample, `record_s` seconds a record (0: not said), a gap or none."""

    format: str
    width: int
    discontinuous: bool
    record_s: float
    claimed_records: int
    channels: tuple[Channel, ...]
    recorded: str | None
    mended: tuple[str, ...]

    @property
    def size(self) -> int:
        return FIXED * (1 + len(self.channels))

    @property
    def record_values(self) -> int:
        return sum(channel.samples for channel in self.channels)

    @property
    def record_bytes(self) -> int:
        return self.width * self.record_values


def read_header(source: Source) -> Header:
    """The header of an EDF or BDF file; InputError where it is cut or its numbers cannot be understood."""
    name, fixed = source.name, source.part(0, FIXED)
    kind, width = ("BDF", 3) if fixed.startswith(b"\xff") else ("EDF", 2)
    if len(fixed) < FIXED:
        raise InputError(f"{name}: {len(fixed)} bytes of {kind}, cut within its header; copy it again.")
    count = _number(fixed[252:256])
    if count is None or not 0 <= count <= MOST_CHANNELS or count != int(count):
        raise InputError(f"{name}: {kind} with {_text(fixed[252:256])!r} channels; up to {MOST_CHANNELS} are expected.")
    if count == 0:
        raise InputError(f"{name}: {kind} without any channel, so no ECG; export it with its signals.")
    count = int(count)
    described = source.part(FIXED, FIXED * count)
    if len(described) < FIXED * count:
        raise InputError(f"{name}: {kind} of {count} channels, cut within its header; copy it again.")
    mended: list[str] = []
    if _number(fixed[184:192]) != FIXED * (1 + count):
        mended.append(f"it gives its own length as {_text(fixed[184:192])!r}, taken as {FIXED * (1 + count)} bytes")
    channels = tuple(_channel(name, fields, kind, mended) for fields in _fields(described, count))
    reserved = _text(fixed[192:236]).upper()
    plus = next((ending for ending in ("+C", "+D") if reserved.startswith(kind + ending)), "")
    header = Header(
        format=kind + plus[:1],
        width=width,
        discontinuous=plus == "+D",
        record_s=max(_number(fixed[244:252]) or 0.0, 0.0),
        claimed_records=int(_number(fixed[236:244]) or -1),
        channels=channels,
        recorded=_recorded(fixed),
        mended=tuple(mended),
    )
    if header.record_values > MOST_RECORD_VALUES:
        raise InputError(
            f"{name}: a header that claims {header.record_values} samples a record; up to {MOST_RECORD_VALUES} are "
            "read."
        )
    return header


def for_edfio(header: Header, records: int) -> bytes:
    """A header that is beyond doubt, for so many records of the same channels: nothing in it but what samples need."""
    count = len(header.channels)
    version = "0" if header.width == 2 else "\xffBIOSEMI"
    first = (version, "X", "X", "01.01.85", "00.00.00", header.size, "", records, 1, count)
    per_channel = (
        lambda channel: "",
        lambda channel: "",
        lambda channel: "",
        lambda channel: channel.physical[0],
        lambda channel: channel.physical[1],
        lambda channel: channel.digital[0],
        lambda channel: channel.digital[1],
        lambda channel: "",
        lambda channel: channel.samples,
        lambda channel: "",
    )
    fields = [str(value).ljust(width) for value, width in zip(first, (8, 80, 80, 8, 8, 8, 44, 8, 8, 4), strict=True)]
    for value, width in zip(per_channel, WIDTHS, strict=True):
        fields += [str(value(channel)).ljust(width) for channel in header.channels]
    return "".join(fields).encode("latin-1")


def _fields(described: bytes, count: int) -> list[list[bytes]]:
    """The ten fields of each channel."""
    columns, start = [], 0
    for width in WIDTHS:
        columns.append([described[start + i * width : start + (i + 1) * width] for i in range(count)])
        start += width * count
    return [list(fields) for fields in zip(*columns, strict=True)]


def _channel(name: str, fields: list[bytes], kind: str, mended: list[str]) -> Channel:
    label = _text(fields[0])
    samples = _number(fields[8])
    if samples is None or not 0 <= samples <= MOST_RECORD_VALUES:
        raise InputError(f"{name}: {kind} channel {label!r} with {_text(fields[8])!r} samples a record; copy it again.")
    holds_notes = label.lower().startswith(f"{kind.lower()} annotations")
    low, high = (_number(field) for field in fields[3:5])
    bottom, top = (_number(field) for field in fields[5:7])
    whole = (-(1 << 23), (1 << 23) - 1) if kind == "BDF" else (-(1 << 15), (1 << 15) - 1)
    ends = (low, high, bottom, top)
    calibrated = None not in ends and max(abs(end) for end in ends) < 1e12 and low != high and int(bottom) != int(top)
    calibrated = calibrated and max(abs(bottom), abs(top)) < 1 << 24
    if calibrated:
        physical = tuple(_text(field).replace(",", ".").ljust(1)[:8] for field in fields[3:5])
        digital = (int(bottom), int(top))
    else:
        physical, digital = (tuple(str(end) for end in whole), whole)
        if not holds_notes:
            mended.append(f"channel {label!r} has no scale; its numbers are taken as they are")
    return Channel(
        label, _text(fields[2]), physical, digital, _text(fields[7]), int(samples), calibrated, holds_notes
    )  # fmt: skip


def _text(field: bytes) -> str:
    """A field's printable characters."""
    text = field.decode("latin-1").replace("\0", " ")
    return " ".join("".join(character for character in text if character.isprintable()).split())


def _number(field: bytes) -> float | None:
    try:
        value = float(_text(field).replace(",", "."))
    except ValueError:
        return None
    return value if isfinite(value) else None


def _recorded(fixed: bytes) -> str | None:
    """Date and time of the start; None where they are unknown, as in files made nameless."""
    place = fixed[88:168].decode("latin-1")
    numbers = [re.findall(r"\d+", field.decode("latin-1")) for field in (fixed[168:176], fixed[176:184])]
    if re.match(r"Startdate\s+X\b", place, re.I) or any(len(found) != 3 for found in numbers):
        return None
    (day, month, year), clock = ([int(part) for part in found] for found in numbers)
    full = re.match(r"Startdate\s+\d+-[A-Z]{3}-(\d{4})", place, re.I)  # the other field has but two digits
    century = int(full.group(1)) if full else year + (1900 if year >= 85 else 2000)
    try:
        start = datetime(century, month, day, *clock)
    except ValueError:
        return None
    return None if start == datetime(1985, 1, 1) else start.isoformat(" ")
