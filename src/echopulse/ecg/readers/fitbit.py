"""ECGs of Fitbit and Pixel watches: the CSV files of a Takeout, and the JSON of the Web API and of Google Health.

The CSV files tell neither rate nor scale. The same readings through the Web API have 250 Hz and 10922 counts per
millivolt, so that is what is assumed, and told.
"""

from __future__ import annotations

import csv
import re
from io import StringIO

import numpy as np

from echopulse.ecg.readers.moments import moment_in
from echopulse.ecg.readers.source import Reader, Source, Wanted
from echopulse.ecg.readers.trace import Trace, number_or_nan, numbers, one_of, rate_or_none
from echopulse.ecg.types import ECG, Note
from echopulse.errors import InputError

USUAL_HZ = 250.0
COUNTS_PER_MV = 10922.0
LEAST_SAMPLES = 32
WAVEFORM = re.compile(r"waveform|samples|ecg_?data", re.IGNORECASE)


def looks_like_takeout(source: Source) -> bool:
    """A first line that names the columns of a reading, its waveform among them."""
    first = source.head_text.partition("\n")[0].lower()
    return source.is_plain_text and "," in first and "waveform" in first and ("reading" in first or "result" in first)


def read_takeout(source: Source, wanted: Wanted) -> ECG:
    """The newest reading, lead I, of a CSV file with one reading a row."""
    csv.field_size_limit(max(csv.field_size_limit(), len(source.text) + 1))
    try:
        rows = [row for row in csv.reader(StringIO(source.text)) if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise InputError(f"{source.name}: a Fitbit CSV file that cannot be taken apart ({error}).") from error
    header = [cell.strip().lower() for cell in rows[0]]
    traces = [trace for row in rows[1:] if (trace := _reading(header, row)) is not None]
    if not traces:
        raise InputError(f"{source.name}: a Fitbit ECG file without any samples; export the recording again.")
    return one_of(source, wanted, traces)


def _reading(header: list[str], row: list[str]) -> Trace | None:
    """A row as an ECG. Commas between the samples, where nothing quotes them, have split them into cells of their own:
    all that is left from the waveform's column on belongs to it."""
    place = next((i for i, name in enumerate(header) if WAVEFORM.search(name)), len(header) - 1)
    after = len(header) - 1 - place
    cells = row[place : len(row) - after] if len(row) > len(header) else row[place : place + 1]
    words = re.findall(r"[^\s,;\[\]\"']+", ",".join(cells))
    counts = numbers(list(words))
    if counts is None or len(counts) < LEAST_SAMPLES:
        return None
    told = dict(zip(header, row, strict=False))
    said = told.get("result_classification") or ""
    return _trace(
        counts, "Fitbit Takeout CSV", None, None, moment_in(told.get("reading_time") or ""), said.strip(),
    )  # fmt: skip


def _trace(counts, title, rate, scale, recorded, said) -> Trace:
    scale_how = f"counts, {scale:g} to the millivolt as the file says" if scale else (
        f"counts, no scale in the file; {COUNTS_PER_MV:g} to the millivolt assumed, as in the watch's Web API"
    )  # fmt: skip
    return Trace(
        title, counts[None] / (scale or COUNTS_PER_MV), leads_how="I, what the watch records",
        rate_hz=rate or USUAL_HZ,
        rate_how="from the file" if rate else "not in the file; the watch's usual rate assumed",
        unit="mv", unit_how=scale_how, raw=counts[None], recorded=recorded,
        notes=(Note(0.0, said),) if said else (),
    )  # fmt: skip


def fitbit_traces(node: dict[str, object], keys: dict[str, object]) -> list[Trace]:
    """The ECG of a reading of the Web API or of Google Health, whose `keys` are in lower case without underscores."""
    counts = numbers(keys.get("waveformsamples"))
    if counts is None:
        return []
    rate = rate_or_none(keys.get("samplingfrequencyhz", keys.get("samplingfrequencyhertz")))
    scale = number_or_nan(keys.get("scalingfactor", keys.get("millivoltsscalingfactor")))
    interval = keys.get("interval")
    start = keys.get("starttime") or keys.get("readingtime")
    if start is None and isinstance(interval, dict):
        start = interval.get("startTime", interval.get("start_time"))
    title = "Google Health JSON" if "millivoltsscalingfactor" in keys else "Fitbit Web API JSON"
    scale = float(scale) if np.isfinite(scale) and scale > 0 else None
    return [_trace(counts, title, rate, scale, moment_in(str(start)), str(keys.get("resultclassification") or ""))]


FITBIT_CSV = Reader("a Fitbit ECG file", looks_like_takeout, read_takeout)
