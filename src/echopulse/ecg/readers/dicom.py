"""DICOM waveforms: the multiplex group that holds the rhythm, in the physical units that its channels state.

Twelve-lead, general and ambulatory ECGs; of other waveforms (catheter laboratory) the channels that are surface leads.
A file that holds pictures is an echo, and the refusal says what to do with it.
"""

from __future__ import annotations

import io
import re
import warnings
import zlib
from datetime import datetime
from typing import Any

import numpy as np

from echopulse.ecg.leads import LEAD_NUMBERS
from echopulse.ecg.limits import MOST_SECONDS, MOST_UNPACKED_BYTES, MOST_UNPACKED_RATIO, check_size
from echopulse.ecg.readers.clinical import (
    Channel,
    Piece,
    channels_in_millivolts,
    moment,
    on_one_clock,
    statement,
    written,
)
from echopulse.ecg.readers.source import Reader, Source, Wanted
from echopulse.ecg.readers.units import lead_name, unit_in
from echopulse.ecg.types import ECG, Note
from echopulse.errors import InputError

ECG_CLASSES = {
    "1.2.840.10008.5.1.4.1.1.9.1.1": "12-lead ECG",
    "1.2.840.10008.5.1.4.1.1.9.1.2": "general ECG",
    "1.2.840.10008.5.1.4.1.1.9.1.3": "ambulatory ECG",
    "1.2.840.10008.5.1.4.1.1.9.1.4": "general 32-bit ECG",
}
DEFLATED = b"1.2.840.10008.1.2.1.99"
NAMES_BY_NUMBER = {str(number): name for name, number in LEAD_NUMBERS.items()}
CODES = {"SS": "i", "US": "u", "SB": "i", "UB": "u", "SL": "i", "UL": "u", "SV": "i", "UV": "u"}
NO_RHYTHM = re.compile("MEDIAN|AVERAGE|TEMPLATE|REPRESENTATIVE|BEAT", re.IGNORECASE)
WAVEFORMS, CHANNELS, ANNOTATIONS = 0x54000100, 0x003A0200, 0x0040B020
ITEM_MARK = b"\xfe\xff\x00\xe0"
MOST_READS = 100_000  # calls in which the elements before the pictures are read
MOST_ITEMS = 20_000  # of one sequence with all within it
MOST_WORDS_BYTES = 4 << 20  # of a sequence that holds no samples


def looks_like_dicom(source: Source) -> bool:
    """The mark after a preamble; without a preamble, a first element of a group that begins a file."""
    head = source.head
    if head[128:132] == b"DICM":
        return True
    return head[:2] in (b"\x02\x00", b"\x08\x00") and head[2:4] in (b"\x00\x00", b"\x05\x00") and head[4:6] in (
        b"UL", b"CS", b"\x04\x00", b"\x0a\x00"
    )  # fmt: skip


def read_dicom(source: Source, wanted: Wanted) -> ECG:
    """The rhythm of a DICOM waveform, millivolts; groups that follow one another (2.5 s of three leads each) joined."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom warns of what it mends; what matters here is checked here
            return _read(source.name, _dataset(source), wanted)
    except InputError:
        raise
    except Exception as error:  # values are decoded when they are asked for, and a damaged one can raise anything
        raise InputError(
            f"{source.name}: a damaged DICOM file ({type(error).__name__}: {str(error)[:120]}); copy it again."
        ) from error


def _read(name: str, dataset: Any, wanted: Wanted) -> ECG:
    kind = ECG_CLASSES.get(str(dataset.get("SOPClassUID", "")))
    if WAVEFORMS not in dataset:
        raise InputError(f"{name}: {_what_else(dataset)}")
    groups = list(_sequence(name, dataset, WAVEFORMS) or ())
    ends = "<" if dataset.original_encoding[1] is not False else ">"
    rhythms = [i for i, group in enumerate(groups) if _is_rhythm(group)]
    read = {i: found for i in rhythms if (found := _channels(name, groups[i], ends, only_surface=kind is None))}
    if not read:
        labels = ", ".join(str(group.get("MultiplexGroupLabel", "without label"))[:20] for group in groups[:4])
        raise InputError(
            f"{name}: a DICOM waveform without an ECG rhythm (its groups: {labels or 'none'}); export the rhythm, not "
            "the median beat."
        )
    best = max(read, key=lambda i: (_label(groups[i]) == "RHYTHM", sum(len(channel.values) for channel in read[i])))
    rate = wanted.rate_hz or _rate(name, groups[best])
    joined = _joined(groups, read, best)
    channels, unit_how = channels_in_millivolts([channel for i in joined for channel in read[i]], wanted.unit)
    left = iter(channels)
    pieces = [Piece(_offset_s(groups[i]), [next(left) for _ in read[i]]) for i in joined]
    samples, leads = on_one_clock(name, pieces, rate)
    provenance = {
        "format": f"DICOM {kind or 'waveform'}",
        "rate": f"{rate:g} Hz, {'as given' if wanted.rate_hz else 'from the file'}",
        "unit": unit_how,
        "leads": f"{len(leads)} from the file's codes",
    }
    if len(groups) > 1:
        numbers = ", ".join(str(i + 1) for i in joined)
        label = _label(groups[best]).lower() or "no label"
        provenance["part"] = f"multiplex group {numbers} of {len(groups)} ({label})"
    stated = int(groups[best].get("NumberOfWaveformSamples", 0))
    if stated > len(read[best][0].values):
        provenance["end"] = f"{len(read[best][0].values)} of the {stated} samples that the header states are there"
    begin = _recorded(dataset)
    if begin is not None:
        provenance["recorded"] = written(begin)
    notes = _notes(name, dataset, joined, pieces, rate, samples.shape[1] / rate, begin)
    start_s = _start_s(pieces)
    if start_s:
        provenance["offset"] = f"{start_s:g} s after the file's reference time, from the offset of its multiplex group"
    return ECG(samples, rate, leads, start_s=start_s, provenance=provenance, notes=notes)


def _dataset(source: Source) -> Any:
    """All elements before the pictures, which are not read."""
    import pydicom

    name = source.name
    if DEFLATED in source.head:
        file = io.BytesIO(_inflated(source))
    else:
        file = source.path.open("rb") if source.path else io.BytesIO(source.data)
    with file:
        try:
            dataset = pydicom.dcmread(_Counted(name, file), stop_before_pixels=True, force=True)
        except InputError:
            raise
        except Exception as error:
            raise InputError(
                f"{name}: a DICOM file that is damaged or cut short ({type(error).__name__}: {str(error)[:120]}); copy "
                "it again."
            ) from error
    if not len(dataset):
        raise InputError(f"{name}: a DICOM file without a single element; it is cut short, copy it again.")
    return dataset


class _Counted:
    """An open file that raises InputError where it is read in more pieces, or further, than any ECG needs."""

    def __init__(self, name: str, file: Any) -> None:
        self.source_name, self.file, self.calls, self.bytes = name, file, 0, 0
        self.tell, self.seek = file.tell, file.seek

    def read(self, count: int = -1) -> bytes:
        self.calls += 1
        piece = self.file.read(min(count, MOST_UNPACKED_BYTES + 1) if count >= 0 else MOST_UNPACKED_BYTES + 1)
        self.bytes += len(piece)
        if self.calls > MOST_READS or self.bytes > MOST_UNPACKED_BYTES:
            raise InputError(
                f"{self.source_name}: more than {MOST_UNPACKED_BYTES >> 20} MB or {MOST_READS} pieces of DICOM "
                "before any picture; this is no ECG."
            )
        return piece


def _inflated(source: Source) -> bytes:
    """The elements behind the file meta information of a deflated file; InputError for a bomb."""
    data = source.data
    if data[128:136] != b"DICM\x02\0\0\0":
        raise InputError(f"{source.name}: a deflated DICOM file without its group length; export it uncompressed.")
    packed = data[144 + int.from_bytes(data[140:144], "little") :]
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    most = min(MOST_UNPACKED_BYTES, MOST_UNPACKED_RATIO * len(packed))
    try:
        unpacked = unpacker.decompress(packed, most)
    except zlib.error as error:
        raise InputError(f"{source.name}: the deflated DICOM elements are damaged ({error}); copy it again.") from error
    if unpacker.unconsumed_tail:
        raise InputError(f"{source.name}: unpacks to more than {most} bytes; this is no ECG, or an attack.")
    return unpacked


def _sequence(name: str, dataset: Any, tag: int) -> Any:
    """A sequence; None where there is none. InputError where it has too many items to be of an ECG."""
    if tag not in dataset:
        return None
    from pydicom.filereader import read_sequence

    raw = dataset.get_item(tag)
    if not isinstance(raw.value, bytes):
        return dataset[tag].value  # of undefined length: it was taken apart, and counted, when the file was read
    if raw.value.count(ITEM_MARK) > MOST_ITEMS or (tag != WAVEFORMS and len(raw.value) > MOST_WORDS_BYTES):
        raise InputError(
            f"{name}: a DICOM sequence of more than {MOST_ITEMS} items or {MOST_WORDS_BYTES >> 20} MB; this is no ECG "
            "that can be read."
        )
    file = _Counted(name, io.BytesIO(raw.value))
    encoding = dataset.original_character_set or "iso8859"
    return read_sequence(file, raw.is_implicit_VR, raw.is_little_endian, len(raw.value), encoding)


def _what_else(dataset: Any) -> str:
    """What a DICOM file without waveforms is and what to do with it: the end of a sentence."""
    modality = str(dataset.get("Modality", "") or "unknown")[:16]
    if "Rows" in dataset or "NumberOfFrames" in dataset:
        frames = str(dataset.get("NumberOfFrames", 1) or 1)[:8]
        return (
            f"a DICOM file of pictures (modality {modality}, frames: {frames}) without a waveform; an echo goes to "
            "'echopulse measure' or to --image, the ECG is a file of its own."
        )
    return f"a DICOM file (modality {modality}) without a waveform; export the ECG itself, not a report about it."


def _label(group: Any) -> str:
    return str(group.get("MultiplexGroupLabel", "") or "").strip().upper()


def _is_rhythm(group: Any) -> bool:
    return str(group.get("WaveformOriginality", "ORIGINAL")) != "DERIVED" and not NO_RHYTHM.search(_label(group))


def _rate(name: str, group: Any) -> float:
    rate = float(group.get("SamplingFrequency", 0) or 0)
    if not 20 <= rate <= 20000:
        raise InputError(
            f"{name}: a DICOM waveform with a sampling frequency of {rate:g} Hz; 20 to 20000 are expected, give the "
            "true one (--rate)."
        )
    return rate


def _offset_s(group: Any) -> float:
    return float(group.get("MultiplexGroupTimeOffset", 0) or 0) / 1000


def _start_s(pieces: list[Piece]) -> float:
    """Seconds from the file's reference time to the first sample; 0 where the offset of its group cannot be."""
    first = min(piece.start_s for piece in pieces)
    return first if 0 <= first <= MOST_SECONDS else 0.0


def _joined(groups: list, read: dict[int, list[Channel]], best: int) -> list[int]:
    """The best group and those at the same rate that hold other leads at another time, in the order of the file."""
    leads, joined = {channel.lead for channel in read[best]}, [best]
    for i, channels in read.items():
        others = {channel.lead for channel in channels}
        alike = groups[i].get("SamplingFrequency") == groups[best].get("SamplingFrequency")
        if i != best and alike and _label(groups[i]) == _label(groups[best]) and not leads & others:
            leads |= others
            joined.append(i)
    return sorted(joined)


def _channels(name: str, group: Any, ends: str, only_surface: bool) -> list[Channel]:
    """The voltages of a group in their stated units, at full length; NaN where a sample is padding."""
    definitions = list(_sequence(name, group, CHANNELS) or ())
    count, stated = int(group.get("NumberOfWaveformChannels", 0)), int(group.get("NumberOfWaveformSamples", 0))
    bits, code = int(group.get("WaveformBitsAllocated", 0)), str(group.get("WaveformSampleInterpretation", ""))
    data = group.get("WaveformData") or b""
    if code not in CODES or bits not in (8, 16, 32, 64) or count != len(definitions):
        raise InputError(
            f"{name}: a DICOM waveform of {count} channels ({len(definitions)} described) in {bits} bits {code[:8]!r}; "
            "whole numbers of 8 to 64 bits are expected, each channel described."
        )
    check_size(name, count, stated, 0)
    kind = np.dtype(f"{ends}{CODES[code]}{bits // 8}")
    present = min(stated, len(data) // (count * kind.itemsize))
    counts = np.frombuffer(data, kind, count=present * count).reshape(present, count)
    padding = group.get("WaveformPaddingValue")
    if isinstance(padding, bytes):
        padding = np.frombuffer(padding[: kind.itemsize].ljust(kind.itemsize, b"\0"), kind)[0]
    channels = []
    for column, definition in zip(counts.T, definitions, strict=True):
        lead, unit_text = _lead(definition), _unit_text(definition)
        unit = unit_in(unit_text)
        if (unit_text and unit is None) or (only_surface and lead not in LEAD_NUMBERS):
            continue  # a pressure, or an electrode inside the heart
        factor = float(definition.get("ChannelSensitivity", 1) or 1)
        factor *= float(definition.get("ChannelSensitivityCorrectionFactor", 1) or 1)
        values = column * factor + float(definition.get("ChannelBaseline", 0) or 0)
        if padding is not None:
            values[column == padding] = np.nan
        channels.append(Channel(lead, values, unit if "ChannelSensitivity" in definition else None))
    return channels if present else []


def _unit_text(definition: Any) -> str:
    units = definition.get("ChannelSensitivityUnitsSequence")
    return f"{units[0].get('CodeMeaning', '')} {units[0].get('CodeValue', '')}".strip() if units else ""


def _lead(definition: Any) -> str:
    """By the number in its code (SCP-ECG and IEEE 11073 use the same), else by the meaning, else by the label."""
    source = definition.get("ChannelSourceSequence")
    code = str(source[0].get("CodeValue", "")) if source else ""
    number = re.fullmatch(r"(?:5\.6\.3-9-|2:)(\d+)", code.strip())
    if number and number.group(1) in NAMES_BY_NUMBER:
        return NAMES_BY_NUMBER[number.group(1)]
    meaning = str(source[0].get("CodeMeaning", "") or "") if source else ""
    words = (code.removeprefix("MDC_ECG_LEAD_") if code.startswith("MDC_ECG_LEAD_") else "", meaning)
    names = [lead_name(text) for text in (*words, str(definition.get("ChannelLabel", "") or "")) if text.strip()]
    return next((name for name in names if name in LEAD_NUMBERS), names[0][:24] if names else "ECG")


def _recorded(dataset: Any) -> datetime | None:
    """When the waveform was taken."""
    texts = [str(dataset.get("AcquisitionDateTime", "") or "")]
    for what in ("Acquisition", "Content"):
        texts.append(f"{dataset.get(what + 'Date', '') or ''}{dataset.get(what + 'Time', '') or ''}")
    return next((found for text in texts if (found := moment(text))), None)


def _notes(
    name: str,
    dataset: Any,
    joined: list[int],
    pieces: list[Piece],
    rate_hz: float,
    duration_s: float,
    begin: datetime | None,
) -> tuple[Note, ...]:
    """Annotations of the groups that were read: what is said of a moment, and of the whole at its first sample."""
    notes = []
    first = min(piece.start_s for piece in pieces)
    starts = {i + 1: piece.start_s - first for i, piece in zip(joined, pieces, strict=True)}
    for annotation in _sequence(name, dataset, ANNOTATIONS) or ():
        channels = _many(annotation.get("ReferencedWaveformChannels"))
        group = int(channels[0]) if channels else joined[0] + 1
        words = _words(annotation)
        if words is None or group not in starts:
            continue
        positions = [(float(at) - 1) / rate_hz for at in _many(annotation.get("ReferencedSamplePositions"))]
        whens = [moment(str(at)) for at in _many(annotation.get("ReferencedDateTime"))]
        moments = [(when - begin).total_seconds() - first for when in whens if when and begin]
        offsets = _many(annotation.get("ReferencedTimeOffsets"))
        times = [starts[group] + at for at in positions] + moments
        if not times and not offsets and not whens:
            times = [0.0]
        notes += [Note(round(_start_s(pieces) + at, 6), words) for at in times[:64] if 0 <= at <= duration_s]
    return tuple(sorted(notes, key=lambda note: note.time_s))


def _words(annotation: Any) -> str | None:
    """What an annotation says: its concept, with the code or the number that it has; or its free text."""
    concept, coded = annotation.get("ConceptNameCodeSequence"), annotation.get("ConceptCodeSequence")
    parts = [str(one[0].get("CodeMeaning", "")) for one in (concept, coded) if one]
    if "NumericValue" in annotation:
        units = annotation.get("MeasurementUnitsCodeSequence")
        parts += [str(annotation.NumericValue), str(units[0].get("CodeValue", "")) if units else ""]
    return statement(" ".join(parts) or str(annotation.get("UnformattedTextValue", "") or ""))


def _many(value: Any) -> list:
    """A DICOM value of any multiplicity as a list."""
    if value is None or value == "":
        return []
    return [value] if isinstance(value, (str, int, float)) or not hasattr(value, "__iter__") else list(value)


DICOM = Reader("a DICOM waveform", looks_like_dicom, read_dicom)
