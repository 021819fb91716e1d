"""What the formats of clinics share: channels with units of their own, pieces on one clock, moments, statements."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from echopulse.ecg.limits import check_size
from echopulse.ecg.readers.units import MILLIVOLTS, WRITTEN, in_millivolts

LONGEST_WORDS = 120
# A statement with one of these words may name a person ("Confirmed by ..."): it is not kept.
NAMES_PEOPLE = re.compile(
    r"\b(by|dr|md|confirm\w*|review\w*|referr\w*|overread\w*|edited|signed|patient\w*|physician|technician|name|id)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, eq=False)
class Channel:
    """One lead as a file holds it: name, values in `unit` ("uv", "mv", "v", "nv"; None: not stated), float [n]."""

    lead: str
    values: np.ndarray
    unit: str | None


@dataclass(frozen=True, eq=False)
class Piece:
    """Leads recorded at once, and when their first sample was taken: seconds on the clock of the recording."""

    start_s: float
    channels: list[Channel]


def channels_in_millivolts(channels: list[Channel], given: str | None) -> tuple[list[Channel], str]:
    """The same in millivolts, and how the unit was decided; what the user says (`given`) wins.

    Where all channels state one unit it is checked for sense; where they differ each is believed.
    """
    units = {channel.unit for channel in channels}
    if len(units) == 1 or given is not None:
        longest = max(len(channel.values) for channel in channels)
        rows = np.full((len(channels), longest), np.nan)
        for row, channel in zip(rows, channels, strict=True):
            row[: len(channel.values)] = channel.values
        rows, how = in_millivolts(rows, units.pop(), given)
        values = [row[: len(channel.values)] for row, channel in zip(rows, channels, strict=True)]
    else:
        values = [channel.values * MILLIVOLTS[channel.unit or "mv"] for channel in channels]
        how = ", ".join(sorted(WRITTEN[unit] for unit in units if unit)) + ", as the file says"
        how += "; taken as mV where it does not" if None in units else ""
    return [Channel(channel.lead, row, "mv") for channel, row in zip(channels, values, strict=True)], how


def on_one_clock(name: str, pieces: list[Piece], rate_hz: float) -> tuple[np.ndarray, tuple[str, ...]]:
    """float32 [leads, n] and the names: every piece where its time says, NaN where a lead has no piece."""
    begin = min(piece.start_s for piece in pieces)
    first = [round((piece.start_s - begin) * rate_hz) for piece in pieces]
    leads: dict[tuple[str, int], int] = {}
    rows_of = []
    for piece in pieces:
        seen: dict[str, int] = {}
        rows = []
        for channel in piece.channels:
            seen[channel.lead] = seen.get(channel.lead, -1) + 1  # a second lead of one name is a row of its own
            rows.append(leads.setdefault((channel.lead, seen[channel.lead]), len(leads)))
        rows_of.append(rows)
    ends = [at + len(channel.values) for piece, at in zip(pieces, first, strict=True) for channel in piece.channels]
    check_size(name, len(leads), max(ends), rate_hz)
    samples = np.full((len(leads), max(ends)), np.nan, dtype=np.float32)
    for piece, at, rows in zip(pieces, first, rows_of, strict=True):
        for channel, row in zip(piece.channels, rows, strict=True):
            samples[row, at : at + len(channel.values)] = channel.values
    return samples, tuple(lead for lead, _ in leads)


def moment(text: str) -> datetime | None:
    """A date with a time as HL7 and DICOM write it (YYYYMMDDHHMM, seconds, fraction and zone if any); else None.

    The zone is left out: the time is the one that the clock of the place showed.
    """
    found = re.fullmatch(r"\s*(\d{8})(\d{2})(\d{2})(\d{2})?(?:\.(\d{1,9}))?\s*(?:[+-]\d{4}|Z)?\s*", text or "")
    if not found:
        return None
    day, hour, minute, second, fraction = found.groups()
    try:
        whole = datetime.strptime(day + hour + minute + (second or "00"), "%Y%m%d%H%M%S")
    except ValueError:
        return None
    return whole.replace(microsecond=int((fraction or "0")[:6].ljust(6, "0")))


def written(when: datetime) -> str:
    """A moment for the provenance: 2021-05-10 13:15:18, with a fraction of the second where there is one."""
    return when.isoformat(" ", "milliseconds" if when.microsecond else "seconds")


def statement(text: str | None) -> str | None:
    """What a device said about the ECG, on one line and cut where long; None for nothing and what may name people."""
    words = " ".join((text or "").split())
    return None if not words or NAMES_PEOPLE.search(words) else words[:LONGEST_WORDS]
