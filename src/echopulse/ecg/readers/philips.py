"""Philips ECG XML (SierraECG 1.03, PhilipsECG 1.04 and later): compressed counts that the library sierraecg unpacks.

The library is given a small document with nothing but the signal and what describes it: it parses all it gets, and
names of people have no place in a temporary file. What it would unpack is measured first, for LZW can hold a bomb.
"""

from __future__ import annotations

import base64
import binascii
import re
import tempfile
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, tostring

import numpy as np

from echopulse.ecg.limits import check_size
from echopulse.ecg.readers.clinical import moment, statement, written
from echopulse.ecg.readers.source import Reader, Source, Wanted
from echopulse.ecg.readers.units import in_millivolts, lead_name
from echopulse.ecg.readers.xml import number_of, parse_xml, root_name, text_of
from echopulse.ecg.types import ECG, Note
from echopulse.errors import InputError

TYPES = ("SierraECG", "PhilipsECG")
VERSIONS = ("1.03", "1.04", "1.04.01", "1.04.02")
CODE_BITS = 10
FIRST_FREE, LAST_CODE = 256, (1 << CODE_BITS) - 2
MOST_CHUNKS = 32  # one a lead; carts write 16 for twelve leads, the last of them blank
LEAST_PULSE_S = 0.1  # of a calibration pulse and the line beside it
LONGEST_S = 300.0  # of a resting ECG, which this form is for; the library takes a second for 100 s of twelve leads


def looks_like_philips(source: Source) -> bool:
    return root_name(source) == "restingecgdata"


def read_philips(source: Source, wanted: Wanted) -> ECG:
    """All leads, millivolts, without the calibration pulse that the cart draws behind them."""
    root = parse_xml(source)
    info, waves = root.find("documentinfo"), next(root.iter("parsedwaveforms"), None)
    kind, version = text_of(info, "documenttype"), text_of(info, "documentversion")
    if kind not in TYPES or version not in VERSIONS:
        raise InputError(
            f"{source.name}: a Philips ECG document whose documenttype is {kind[:40]!r}, version {version[:20]!r}; "
            f"{' or '.join(TYPES)} {', '.join(VERSIONS)} is expected. Export it as XML again."
        )
    signal = root.find("dataacquisition/signalcharacteristics")
    if waves is None or signal is None or not (waves.text or "").strip():
        raise InputError(f"{source.name}: a Philips ECG document without its waveforms; export it again with them.")
    counts, leads, stated_hz = _counts(source.name, kind, version, signal, waves)
    rate = wanted.rate_hz or stated_hz
    stated = text_of(signal, "signalresolution") or text_of(signal, "resolution") or waves.get("resolution")
    resolution = number_of(stated)  # microvolts a count
    unit = "uv" if resolution else None
    volts = counts * (resolution or 1.0)
    volts, pulse = _without_pulse(volts, rate, 1000.0 if resolution else None)
    samples, unit_how = in_millivolts(volts, unit, wanted.unit)
    provenance = {
        "format": f"Philips ECG XML ({kind} {version})",
        "rate": f"{rate:g} Hz, {'as given' if wanted.rate_hz else 'from the file'}",
        "unit": unit_how,
        "leads": f"{len(leads)} from the file",
    }
    if pulse:
        provenance["calibration"] = pulse
    acquired = root.find("dataacquisition")
    when = moment(re.sub(r"[-:]", "", acquired.get("date", "") + acquired.get("time", "")))
    if when:
        provenance["recorded"] = written(when)
    said = [" ".join((text_of(one, "leftstatement"), text_of(one, "rightstatement"))) for one in root.iter("statement")]
    notes = tuple(Note(0.0, words) for text in said if (words := statement(text)))
    return ECG(samples, rate, leads, provenance=provenance, notes=notes)


def _counts(
    name: str, kind: str, version: str, signal: Element, waves: Element
) -> tuple[np.ndarray, tuple[str, ...], float]:
    """Counts [leads, n], the names of the leads and the rate in hertz that the file states."""
    rate, milliseconds = number_of(text_of(signal, "samplingrate")), number_of(waves.get("durationperchannel"))
    if rate is None or milliseconds is None or not 20 <= rate <= 20000 or not 0 < milliseconds <= LONGEST_S * 1000:
        raise InputError(
            f"{name}: a Philips ECG document with a rate of {text_of(signal, 'samplingrate')[:20]!r} Hz and a duration "
            f"of {waves.get('durationperchannel', '')[:20]!r} ms; 20 to 20000 Hz, at most {LONGEST_S:g} s are expected."
        )
    labels = waves.get("leadlabels", "").split()
    number = number_of(waves.get("numberofleads") or text_of(signal, "numberchannelsallocated")) or len(labels)
    leads, samples = int(number), int(milliseconds * (rate / 1000))
    check_size(name, leads, samples, rate)
    try:
        packed = base64.b64decode("".join(waves.text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError(f"{name}: the waveforms are damaged ({error}); export the file again.") from error
    compression = waves.get("compressmethod", waves.get("compression", "Uncompressed"))
    if compression == "XLI":
        _check_unpacked(name, packed, leads, samples)
    elif compression != "Uncompressed":
        raise InputError(f"{name}: waveforms compressed by {compression[:20]!r}; XLI or none is expected.")
    if compression == "Uncompressed":
        names = tuple(lead_name(label) for label in labels[:leads]) or _standard(leads)
        rows = np.frombuffer(packed[: len(packed) // 2 * 2], "<i2")
        if len(names) != leads or len(rows) < leads * samples:
            raise InputError(
                f"{name}: {leads} leads of {samples} samples are announced, {len(rows)} samples and {len(names)} names "
                "are there; the file is damaged, export it again."
            )
        return rows[: leads * samples].reshape(leads, samples).astype(float), names, rate
    rows = _unpacked(name, _small_document(kind, version, signal, waves))
    if len({len(values) for _, values in rows}) != 1 or not len(rows[0][1]):
        raise InputError(f"{name}: leads of different lengths; the file is damaged, export it again.")
    return np.array([values for _, values in rows], float), tuple(lead_name(label) for label, _ in rows), rate


def _standard(leads: int) -> tuple[str, ...]:
    return tuple("I II III aVR aVL aVF V1 V2 V3 V4 V5 V6".split())[:leads] if leads <= 12 else ()


def _small_document(kind: str, version: str, signal: Element, waves: Element) -> bytes:
    """The document again with the elements that the library asks for, and no other."""
    root = Element("restingecgdata")
    info = SubElement(root, "documentinfo")
    SubElement(info, "documenttype").text, SubElement(info, "documentversion").text = kind, version
    about = SubElement(SubElement(root, "dataacquisition"), "signalcharacteristics")
    for tag in ("samplingrate", "numberchannelsallocated", "acquisitiontype"):
        SubElement(about, tag).text = text_of(signal, tag)
    attributes = {key: " ".join(value.split()) for key, value in waves.attrib.items()}
    SubElement(root, "parsedwaveforms", attributes).text = waves.text
    return tostring(root)


def _unpacked(name: str, document: bytes) -> list[tuple[str, np.ndarray]]:
    """Label and counts of each lead, as the library reads them."""
    import sierraecg

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "ecg.xml")
        path.write_bytes(document)
        try:
            with np.errstate(over="ignore"):  # damaged counts overflow: they are seen for what they are afterwards
                read = sierraecg.read_file(str(path))
        except Exception as error:  # whatever a damaged file makes of the library, it is one sentence here
            raise InputError(
                f"{name}: the waveforms of this Philips ECG document cannot be unpacked ({type(error).__name__}: "
                f"{error}); export it again."
            ) from error
    return [(lead.label, lead.samples) for lead in read.leads]


def _check_unpacked(name: str, packed: bytes, leads: int, samples: int) -> None:
    """InputError where the chunks would unpack to other sizes than announced: too little is damage, too much a bomb."""
    at = found = 0
    while at < len(packed) - 8:
        size = int.from_bytes(packed[at : at + 4], "little", signed=True)
        found += 1
        length = unpacked_length(packed[at + 8 : at + 8 + size]) if 0 < size <= len(packed) - at - 8 else -1
        if found > MOST_CHUNKS or not 2 * samples - 2 <= length <= 2 * samples + 2:
            raise InputError(
                f"{name}: the waveforms do not unpack to the {leads} leads of {samples} samples that are announced; "
                "the file is damaged, export it again."
            )
        at += 8 + size


def unpacked_length(chunk: bytes) -> int:
    """How many bytes the LZW codes of a chunk stand for, without unpacking them; -1 for codes that mean nothing.

    Every code but the first gives the table a word, one byte longer than the word before, until it is full; from there
    on the lengths are a table.
    """
    bits = np.unpackbits(np.frombuffer(chunk, np.uint8))
    whole = bits[: len(bits) // CODE_BITS * CODE_BITS].reshape(-1, CODE_BITS)
    codes = whole @ (1 << np.arange(CODE_BITS - 1, -1, -1))
    stop = np.flatnonzero(codes > LAST_CODE)
    codes = codes[: stop[0]] if stop.size else codes
    lengths = np.zeros(LAST_CODE + 1, np.int64)
    lengths[:FIRST_FREE] = 1
    total, before, free = 0, 0, FIRST_FREE
    for i, code in enumerate(codes.tolist()):
        if free > LAST_CODE:
            rest = lengths[codes[i:]]
            return -1 if (rest == 0).any() else total + int(rest.sum())
        if lengths[code] == 0:
            if before == 0:
                return -1
            lengths[code] = before + 1
        total += int(lengths[code])
        if before:
            lengths[free] = before + 1
            free += 1
        before = int(lengths[code])
    return total


def _without_pulse(volts: np.ndarray, rate_hz: float, height: float | None) -> tuple[np.ndarray, str]:
    """Without the end where all leads show one and the same pulse, `height` high; and what was cut, in words."""
    alike = np.ptp(volts, axis=0) == 0
    begin = len(alike) - int(np.argmin(alike[::-1])) if not alike.all() else 0
    end = volts[0, begin:]
    if len(volts) < 3 or begin == 0 or len(end) < LEAST_PULSE_S * rate_hz or len(np.unique(end)) != 2:
        return volts, ""
    if height is not None and abs(np.ptp(end) / height - 1) > 0.02:
        return volts, ""
    return volts[:, :begin], f"a pulse in all leads at once, the last {len(end) / rate_hz:.2f} s, was cut off"


PHILIPS = Reader("a Philips ECG XML file", looks_like_philips, read_philips)
