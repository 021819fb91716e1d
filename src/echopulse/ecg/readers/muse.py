"""GE MUSE XML: the rhythm as base64 counts, eight leads from which the other four follow."""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from xml.etree.ElementTree import Element

import numpy as np

from echopulse.ecg.leads import with_derived_leads
from echopulse.ecg.limits import check_size
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
from echopulse.ecg.readers.xml import number_of, parse_xml, root_name, text_of
from echopulse.ecg.types import ECG, Note
from echopulse.errors import InputError

COUNTS = {1: "<i1", 2: "<i2", 4: "<i4"}  # by LeadSampleSize, bytes


def looks_like_muse(source: Source) -> bool:
    return root_name(source) == "RestingECG"


def read_muse(source: Source, wanted: Wanted) -> ECG:
    """The longest rhythm, millivolts; III, aVR, aVL and aVF derived where the file holds I and II only."""
    root = parse_xml(source)
    rhythms = [wave for wave in root.iter("Waveform") if text_of(wave, "WaveformType").lower() == "rhythm"]
    if not rhythms:
        kinds = ", ".join(sorted({text_of(wave, "WaveformType") for wave in root.iter("Waveform")} - {""}))
        raise InputError(
            f"{source.name}: a MUSE document without a rhythm waveform (it holds {kinds or 'none at all'}); export it "
            "again with its raw data."
        )
    waves = [_channels(source.name, wave) for wave in rhythms]
    chosen = max(range(len(waves)), key=lambda i: sum(len(channel.values) for channel in waves[i][0]))
    wave, (channels, doubts) = rhythms[chosen], waves[chosen]
    rate, how = _rate(source.name, wave, wanted)
    channels, unit_how = channels_in_millivolts(channels, wanted.unit)
    samples, leads = on_one_clock(source.name, [Piece(0.0, channels)], rate)
    provenance = {
        "format": "GE MUSE XML",
        "rate": f"{rate:g} Hz, {how}",
        "unit": unit_how,
        "leads": f"{len(leads)} from the file",
    }
    if len(rhythms) > 1:
        provenance["part"] = f"the longest of {len(rhythms)} rhythm waveforms"
    if doubts:
        provenance["doubts"] = "; ".join(doubts)
    if when := _recorded(root):
        provenance["recorded"] = when
    return with_derived_leads(ECG(samples, rate, leads, provenance=provenance, notes=_notes(root, samples, rate)))


def _channels(name: str, wave: Element) -> tuple[list[Channel], list[str]]:
    """The leads of a waveform in their stated unit, and what is doubtful about them."""
    channels, doubts = [], []
    for lead_data in wave.findall("LeadData"):
        lead = lead_name(text_of(lead_data, "LeadID"))
        stated_bytes = text_of(lead_data, "LeadSampleSize") or "2"
        size = number_of(stated_bytes)
        if size not in COUNTS:
            raise InputError(f"{name}: lead {lead} has samples of {stated_bytes} bytes; 1, 2 or 4 are expected.")
        packed = _unpacked(name, lead, text_of(lead_data, "WaveFormData"))
        checksum = text_of(lead_data, "LeadDataCRC32")
        if checksum.isdigit() and int(checksum) != zlib.crc32(packed):
            doubts.append(f"the checksum of lead {lead} is wrong: its samples may be damaged")
        counts = np.frombuffer(packed[: len(packed) // int(size) * int(size)], COUNTS[int(size)])
        stated = number_of(text_of(lead_data, "LeadSampleCountTotal"))
        if stated is not None and stated != len(counts):
            doubts.append(f"lead {lead} has {len(counts)} samples, its header says {stated:g}")
        if text_of(lead_data, "LeadOff").lower() == "true":
            doubts.append(f"lead {lead} was off")
        per_count = number_of(text_of(lead_data, "LeadAmplitudeUnitsPerBit"))
        unit = unit_in(text_of(lead_data, "LeadAmplitudeUnits"))
        if per_count is None or per_count == 0:
            per_count, unit = 1.0, None
        channels.append(Channel(lead, counts * per_count, unit))
    if not any(len(channel.values) for channel in channels):
        raise InputError(f"{name}: a MUSE document whose rhythm has no samples; export it again with its raw data.")
    check_size(name, len(channels), max(len(channel.values) for channel in channels), 0)
    return channels, doubts


def _unpacked(name: str, lead: str, text: str) -> bytes:
    try:
        return base64.b64decode(text)
    except (binascii.Error, ValueError) as error:
        raise InputError(f"{name}: the samples of lead {lead} are damaged ({error}); export the file again.") from error


def _rate(name: str, wave: Element, wanted: Wanted) -> tuple[float, str]:
    """SampleBase times ten to the SampleExponent, hertz."""
    if wanted.rate_hz is not None:
        return wanted.rate_hz, "as given"
    base = number_of(text_of(wave, "SampleBase"))
    exponent = number_of(text_of(wave, "SampleExponent") or "0")
    if base is None or exponent is None or abs(exponent) > 9 or not 20 <= base * 10**exponent <= 20000:
        raise InputError(
            f"{name}: a MUSE document without a usable sampling rate (SampleBase {text_of(wave, 'SampleBase')!r}, "
            f"SampleExponent {text_of(wave, 'SampleExponent')!r}); give the sampling rate (--rate)."
        )
    return base * 10**exponent, "from the file"


def _recorded(root: Element) -> str | None:
    """When the ECG was taken; MUSE writes month, day, year."""
    date = re.fullmatch(r"(\d{2})-(\d{2})-(\d{4})", text_of(root, "TestDemographics/AcquisitionDate"))
    time = re.fullmatch(r"(\d{2}):(\d{2})(?::(\d{2}))?", text_of(root, "TestDemographics/AcquisitionTime"))
    if not date or not time:
        return None
    month, day, year = date.groups()
    when = moment(year + month + day + "".join(part or "00" for part in time.groups()))
    return written(when) if when else None


def _notes(root: Element, samples: np.ndarray, rate_hz: float) -> tuple[Note, ...]:
    """What the device said of the whole (the unedited statements), and its QRS complexes, whose times are in ms."""
    diagnosis = root.find("OriginalDiagnosis")
    diagnosis = root.find("Diagnosis") if diagnosis is None else diagnosis
    lines = [] if diagnosis is None else diagnosis.iter("DiagnosisStatement")
    statements = [text_of(line, "StmtText") for line in lines]
    notes = [Note(0.0, words) for text in statements if (words := statement(text))]
    for qrs in root.iter("QRS"):
        time = number_of(text_of(qrs, "Time"))
        if time is not None and 0 <= time / 1000 <= samples.shape[1] / rate_hz:
            notes.append(Note(time / 1000, f"QRS, type {text_of(qrs, 'Type')[:3]}"))
    return tuple(sorted(notes, key=lambda note: note.time_s))


MUSE = Reader("a GE MUSE XML file", looks_like_muse, read_muse)
