"""Tables that `write_ecg` wrote: the rate and where they begin stand in comments, exactly.

One that a spreadsheet has changed is read like anybody's table.
"""

from __future__ import annotations

import io
import re

import numpy as np

from echopulse.ecg.limits import check_size
from echopulse.ecg.readers.source import Reader, Source, Wanted
from echopulse.ecg.readers.text import decode
from echopulse.ecg.readers.units import MILLIVOLTS, WRITTEN
from echopulse.ecg.types import ECG
from echopulse.errors import InputError

FIRST_LINE = "# EchoPulse ECG"
MOMENT = r"[\dT:.+-][\dT:.+ -]{0,40}"
HEAD = re.compile(
    FIRST_LINE + r"\r?\n# sampling rate: (?P<rate>[\d.e+-]+) Hz\r?\n# start_s: (?P<start>-?[\d.e+-]+)\r?\n"
    r"(?:# recorded: (?P<recorded>" + MOMENT + r")\r?\n)?time_s(?P<leads>(?:,[^,\n\"]+ \[mV\])+)\r?\n"
)


def read_written(source: Source, wanted: Wanted) -> ECG:
    """A table of ours, millivolts."""
    text = decode(source.data)[0]  # its numbers are read at once, so it may be as long as any file
    head = HEAD.match(text)
    leads = tuple(lead.removesuffix(" [mV]") for lead in head["leads"].strip(",").split(","))
    try:
        stated, start_s = float(head["rate"]), float(head["start"])
    except ValueError as error:
        raise InputError(f"{source.name}: a rate or a start that is no number; write the table again.") from error
    rate_hz = wanted.rate_hz or stated
    if not (0 < stated < 1e6 and abs(start_s) < 1e9):
        raise InputError(f"{source.name}: {stated:g} Hz from {start_s:g} s on, which no ECG has.")
    rows = text.count("\n", head.end()) + (not text.endswith("\n"))
    check_size(source.name, len(leads), rows, rate_hz)
    try:
        table = np.loadtxt(io.StringIO(text[head.end() :]), delimiter=",", ndmin=2, comments=None, dtype=np.float64)
    except ValueError as error:
        raise InputError(f"{source.name}: not a whole table of numbers ({error}); write it again.") from error
    if table.shape[1] != len(leads) + 1 or not len(table):
        found = f"{len(table)} rows of {table.shape[1]} columns under {len(leads) + 1} names"
        raise InputError(f"{source.name}: {found}; write the table again.")
    if np.isfinite(table[0, 0]) and abs(table[0, 0] - start_s) > 0.5 / stated:  # somebody cut off the first rows
        start_s = float(table[0, 0])
    unit = wanted.unit or "mv"
    provenance = {
        "format": "table that EchoPulse wrote",
        "rate": f"{rate_hz:g} Hz, " + ("as given" if wanted.rate_hz else "from its first lines"),
        "unit": f"{WRITTEN[unit]}, " + ("as given" if wanted.unit else "from the column names"),
        "leads": "from the column names",
    }
    if head["recorded"]:
        provenance["recorded"] = head["recorded"]
    return ECG(table[:, 1:].T * MILLIVOLTS[unit], rate_hz, leads, start_s, provenance)


WRITTEN_TABLE = Reader(
    "a table that EchoPulse wrote",
    lambda source: source.head.startswith(FIRST_LINE.encode()) and HEAD.match(source.head_text) is not None,
    read_written,
)
