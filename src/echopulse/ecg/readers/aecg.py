"""HL7 annotated ECG (aECG, the form of drug trials): lists of digits on a clock, with what was seen in them.

A series holds sets of sequences; the first sequence of a set is its clock (head and increment), the others are leads.
Beats that a machine averaged stand in derived series, or in series that say so by their code: they are no rhythm.
"""

from __future__ import annotations

import re
import warnings
from datetime import datetime
from xml.etree.ElementTree import Element

import numpy as np

from echopulse.ecg.limits import MOST_SECONDS, check_size
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
from echopulse.ecg.readers.units import MILLIVOLTS, lead_name, unit_in
from echopulse.ecg.readers.xml import number_of, parse_xml, root_name
from echopulse.ecg.types import ECG, Note
from echopulse.errors import InputError

SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "min": 60.0}
NO_RHYTHM = re.compile("REPRESENTATIVE|MEDIAN|AVERAGE|TEMPLATE", re.IGNORECASE)
WAVES = {"PWAVE": "P", "QRSWAVE": "QRS", "TWAVE": "T", "UWAVE": "U"}


def looks_like_aecg(source: Source) -> bool:
    return root_name(source) == "AnnotatedECG"


def read_aecg(source: Source, wanted: Wanted) -> ECG:
    """The longest rhythm series, millivolts; NaN where a lead has no samples while others have."""
    root = parse_xml(source)
    series = [one for one in root.iter("series") if not NO_RHYTHM.search(_code(one))]
    if not series:
        derived = next(root.iter("derivedSeries"), None) is not None or next(root.iter("series"), None) is not None
        what = "holds a representative beat only, no rhythm" if derived else "holds no series, so no ECG"
        raise InputError(f"{source.name}: this HL7 aECG {what}; export the document again with its waveforms.")
    found = [one.findall("component/sequenceSet") for one in series]  # not those of series derived from it
    sets = [[part for one in several if (part := _set(source.name, one, wanted))] for several in found]
    counts = [sum(len(channel.values) for _, _, piece in parts for channel in piece.channels) for parts in sets]
    chosen = int(np.argmax(counts))
    if counts[chosen] == 0:
        raise InputError(f"{source.name}: no lead of this HL7 aECG has samples; export it again with its waveforms.")
    like = sets[chosen][0]  # sets at another rate, or on another clock, do not fit beside it
    parts = [part for part in sets[chosen] if part[0] == like[0] and (part[1] is None) == (like[1] is None)]
    rate, begin = like[0], None if like[1] is None else min(part[1] for part in parts)
    pieces = [piece for _, _, piece in parts]
    every = [channel for piece in pieces for channel in piece.channels]
    channels, unit_how = channels_in_millivolts(every, wanted.unit)
    left = iter(channels)
    pieces = [Piece(piece.start_s, [next(left) for _ in piece.channels]) for piece in pieces]
    samples, leads = on_one_clock(source.name, pieces, rate)
    given = "as given" if wanted.rate_hz is not None else f"from the increment of {1 / rate:g} s"
    provenance = {
        "format": "HL7 aECG",
        "rate": f"{rate:g} Hz, {given}",
        "unit": unit_how,
        "leads": f"{len(leads)} from the file",
    }
    if len(series) > 1 or len(parts) < len(sets[chosen]):
        provenance["part"] = (
            f"the longest of {len(series)} series, {len(parts)} of its {len(sets[chosen])} sets of sequences"
        )
    start = begin or _first_moment(series[chosen])
    if start is not None:
        provenance["recorded"] = written(start)
    notes = _notes(series[chosen], start, samples.shape[1] / rate)
    return ECG(samples, rate, leads, provenance=provenance, notes=notes)


def _code(element: Element | None) -> str:
    code = None if element is None else element.find("code")
    return "" if code is None else code.get("code", "")


def _set(name: str, found: Element, wanted: Wanted) -> tuple[float, datetime | None, Piece] | None:
    """Rate, moment of the earliest sample of the series and the leads of a set of sequences; None without leads."""
    clock, channels = None, []
    for sequence in found.iter("sequence"):
        value, code = sequence.find("value"), _code(sequence)
        if value is None:
            continue
        if value.find("increment") is not None or code.startswith("TIME"):
            clock = value if clock is None else clock
        elif value.find("digits") is not None:
            lead = lead_name(re.sub("^MDC_ECG_LEAD_", "", code) or "ECG")
            channels.append(_channel(name, lead, value, wanted))
    if not any(len(channel.values) for channel in channels):
        return None
    rate = wanted.rate_hz or _rate(name, clock)
    check_size(name, len(channels), max(len(channel.values) for channel in channels), rate)
    head = None if clock is None else clock.find("head")
    start = None if head is None else moment(head.get("value", ""))
    start_s = 0.0 if head is None or start is not None else (_seconds(head) or 0.0)
    if start is not None:
        start_s = (start - datetime(1970, 1, 1)).total_seconds()
    return rate, start, Piece(start_s, channels)


def _rate(name: str, clock: Element | None) -> float:
    step = None if clock is None else _seconds(clock.find("increment"))
    if step is None or not 20 <= (rate := round(1 / step, 6) if step > 0 else 0) <= 20000:
        raise InputError(
            f"{name}: this HL7 aECG has no usable increment of time (a step of 0.05 ms to 50 ms is expected); give the "
            "sampling rate (--rate)."
        )
    return float(rate)


def _seconds(element: Element | None) -> float | None:
    """A time of an element with value and unit, seconds; None where it has none, or one beyond any recording."""
    value = None if element is None else number_of(element.get("value"))
    scale = None if element is None else SECONDS.get(element.get("unit", "s").strip())
    seconds = None if value is None or scale is None else value * scale
    return seconds if seconds is not None and 0 <= seconds <= MOST_SECONDS else None


def _channel(name: str, lead: str, value: Element, wanted: Wanted) -> Channel:
    """Origin plus scale times digits, in the unit of the scale."""
    origin, scale = value.find("origin"), value.find("scale")
    unit = None if scale is None else unit_in(scale.get("unit", ""))
    offset_unit = unit if origin is None else unit_in(origin.get("unit", "")) or unit
    factor = None if scale is None else number_of(scale.get("value"))
    offset = None if origin is None else number_of(origin.get("value"))
    counts = _digits(name, lead, value.findtext("digits") or "")
    if offset and unit and offset_unit and wanted.unit is None:
        offset *= MILLIVOLTS[offset_unit] / MILLIVOLTS[unit]
    return Channel(lead, counts * (1.0 if factor is None else factor) + (offset or 0.0), unit)


def _digits(name: str, lead: str, text: str) -> np.ndarray:
    """The numbers of a blank-separated list, float64 [n]."""
    check_size(name, 1, text.count(" ") // 2, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)  # how numpy says that what follows is no number
        try:
            return np.fromstring(text, sep=" ") if text.strip() else np.empty(0)
        except (ValueError, DeprecationWarning) as error:
            raise InputError(
                f"{name}: the digits of lead {lead} are no list of numbers; the file is damaged, export it again."
            ) from error


def _first_moment(series: Element) -> datetime | None:
    low = series.find("effectiveTime/low")
    return None if low is None else moment(low.get("value", ""))


def _notes(series: Element, start: datetime | None, duration_s: float) -> tuple[Note, ...]:
    """The annotations of the series that have a time: rhythm, waves with onset and end, events."""
    derived = {id(note) for one in series.iter("derivedSeries") for note in one.iter("annotation")}
    notes = []
    for annotation in series.iter("annotation"):
        value = annotation.find("value")
        if id(annotation) in derived or value is None:
            continue
        code = re.sub("^MDC_ECG_(WAVC_)?", "", value.get("code", ""))
        words = WAVES.get(code) or statement(value.get("displayName") or code.replace("_", " ").lower())
        if words is None:
            continue
        for boundary in annotation.findall("support/supportingROI/component/boundary"):
            ends = [(end, boundary.find(f"value/{end}")) for end in ("low", "high", "center")]
            times = [(end, time) for end, element in ends if (time := _time(element, start, duration_s)) is not None]
            if code not in WAVES:  # a stretch of time is noted where it begins
                notes += [Note(time, words) for _, time in times[:1]]
            else:
                suffix = {"low": " onset", "high": " end", "center": ""}
                notes += [Note(time, words + suffix[end]) for end, time in times]
    return tuple(sorted(notes, key=lambda note: note.time_s))


def _time(element: Element | None, start: datetime | None, duration_s: float) -> float | None:
    """Seconds from the start of the recording; None where the file does not say, or says a time outside of it."""
    if element is None:
        return None
    when = moment(element.get("value", ""))
    if when is not None:
        seconds = None if start is None else (when - start).total_seconds()
    else:
        seconds = _seconds(element)
    return round(seconds, 6) if seconds is not None and 0 <= seconds <= duration_s else None


AECG = Reader("an HL7 aECG file", looks_like_aecg, read_aecg)
