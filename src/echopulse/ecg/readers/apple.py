"""The CSV files of an Apple Health export, in whatever language the phone spoke.

Keys *and* values of the header are translated, so nothing is matched by its key: the rate is the number
that stands beside a word for hertz, the unit the one that names volts, and the signal is the long run of
lone numbers. A comma between digits is a decimal mark there.
"""

from __future__ import annotations

import re

import numpy as np

from echopulse.ecg.readers.moments import ISO, moment_in, written
from echopulse.ecg.readers.source import Reader, Source, Wanted
from echopulse.ecg.readers.text import drop_cut_last_line, number
from echopulse.ecg.readers.units import in_millivolts, lead_name, unit_in
from echopulse.ecg.types import ECG
from echopulse.errors import InputError

HERTZ_WORDS = "hertz|hz|hercio|herci|赫兹|赫茲|ヘルツ|헤르츠|герц|гц|χερτζ|הרץ|هرتز|เฮิรตซ์|हर्ट्ज़"
HERTZ = re.compile(rf"(\d+(?:[.,]\d+)?)\s*(?:{HERTZ_WORDS})", re.IGNORECASE)
DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")
RECORDING_S = 30.0  # the watch always records this long, and writes a rate that is at times rounded
USUAL_HZ = 512.0
HEADER_LINES = 40


def looks_like_apple(source: Source) -> bool:
    """Key-and-value lines that name a watch or a rate in hertz, then (if the file goes on) lone numbers."""
    lines = source.lines if source.is_plain_text else []
    body = _body_start(lines)
    header = [line for line in lines[:body] if line.strip()]
    if len(header) < 4 or any(line.lstrip().startswith("#") for line in header):
        return False
    pairs = sum("," in line for line in header)
    named = any(HERTZ.search(line) for line in header) or any("watch" in line.lower() for line in header)
    return pairs >= 4 and named


def read_apple(source: Source, wanted: Wanted) -> ECG:
    """One lead from the lines of an Apple Health ECG export, millivolts."""
    lines, rate_hz = source.lines, wanted.rate_hz
    body = _body_start(lines)
    header = [line.strip() for line in lines[:body] if line.strip()]
    if body == len(lines):
        raise InputError(
            f"{source.name}: an Apple Watch header without any sample after it; export the recording again."
        )
    values, cut = _values(lines[body:], source.text)
    rate, how = (rate_hz, "as given") if rate_hz else _rate(header, len(values))
    unit = next((found for line in reversed(header) if (found := unit_in(_value(line)))), None)
    samples, unit_how = in_millivolts(values[None], unit, wanted.unit)
    lead = next((name for line in reversed(header) if (name := lead_name(_value(line))) in ("I", "II", "III")), "I")
    provenance = {
        "format": "Apple Watch CSV",
        "rate": f"{rate:g} Hz, {how}",
        "unit": unit_how,
        "leads": f"lead {lead}, from the header" if any(lead_name(_value(x)) == lead for x in header) else "taken as I",
    }
    recorded = next((found for line in header if ISO.search(line) and (found := moment_in(line))), None)
    if recorded is not None:
        provenance["recorded"] = written(recorded)
    seconds = len(values) / rate
    if rate_hz is None and abs(seconds / RECORDING_S - 1) > 0.02:
        provenance["length"] = (
            f"{len(values)} samples are {seconds:.1f} s at {rate:g} Hz, but the watch records {RECORDING_S:g} s: the "
            "file is a part, or its rate is wrong (--rate gives another)"
        )
    if any(DECIMAL_COMMA.fullmatch(line.strip()) for line in lines[body : body + 100]):
        provenance["numbers"] = "a comma is their decimal mark"
    if cut:
        provenance["end"] = "the file stops in the middle of a number; that last value is left out"
    return ECG(samples, rate, (lead,), provenance=provenance)


def _value(line: str) -> str:
    """What follows the first comma of a header line (later commas belong to the value)."""
    return line.partition(",")[2].strip().strip('"')


def _sample(line: str) -> float | None:
    """A body line as a number; the label of a `lead,voltage` line and an exporter's trailing commas are dropped."""
    line = line.strip().strip('"').rstrip(",;").strip('"')
    found = number(line)
    if found is not None:
        return found
    found = number(line.replace(",", ".", 1))
    return number(line.rpartition(",")[2]) if found is None and not re.match(r"[\d+\-.]", line) else found


def _body_start(lines: list[str]) -> int:
    """Index of the first sample: where, after the header, three lines in a row are numbers; len(lines) without one."""
    for i, line in enumerate(lines[:HEADER_LINES]):
        following = lines[i : i + 3]
        if line.strip() and all(_sample(part) is not None and not HERTZ.search(part) for part in following):
            if any(character.isdigit() for character in line) and not re.search(r"[^\W\d]{2,}.*,\s*$", line):
                return i
    return len(lines)


def _values(body: list[str], text: str) -> tuple[np.ndarray, bool]:
    """float64 [n] with NaN where a line is blank or says so, and whether a cut last line was dropped."""
    body, cut = drop_cut_last_line(body, text)
    values = []
    for line in body:
        value = _sample(line)
        values.append(np.nan if value is None else value)
    return np.array(values), cut


def _rate(header: list[str], samples: int) -> tuple[float, str]:
    """Hertz and how it was decided."""
    match = next((found for line in header if (found := HERTZ.search(line))), None)
    if match:
        stated = float(match.group(1).replace(",", "."))
        how = "from the header"
    else:
        numbers = [re.fullmatch(r"(\d+(?:[.,]\d+)?)\s*\D*", _value(line)) for line in header]
        near = [float(found.group(1).replace(",", ".")) for found in numbers if found]
        near = [value for value in near if abs(value / USUAL_HZ - 1) < 0.02]
        stated, how = (near[0], "from the header") if near else (USUAL_HZ, "not in the file; the watch's usual rate")
    counted = samples / RECORDING_S
    if stated == int(stated) and 0.0001 < abs(counted / stated - 1) < 0.01:  # a rate with decimals was not rounded
        return counted, f"{samples} samples in the watch's 30 s (the header rounds to {stated:g} Hz)"
    return stated, how


APPLE_CSV = Reader("an Apple Watch CSV file", looks_like_apple, read_apple)
