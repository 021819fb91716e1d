"""JSON with an ECG in it: the shapes of watches and hospitals, and plain objects of named lists."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import numpy as np

from echopulse.ecg.limits import MOST_DEPTH, MOST_JSON_BYTES, MOST_JSON_CONTAINERS, MOST_LEADS
from echopulse.ecg.readers.fhir import fhir_traces
from echopulse.ecg.readers.fitbit import fitbit_traces
from echopulse.ecg.readers.healthkit import RATE_KEYS, healthkit_traces, plain_keys, withings_traces
from echopulse.ecg.readers.source import Reader, Source, Wanted
from echopulse.ecg.readers.text import is_text
from echopulse.ecg.readers.trace import Trace, number_or_nan, numbers, one_of, rate_or_none
from echopulse.ecg.readers.units import LIMB_AND_CHEST, lead_name, unit_in
from echopulse.ecg.types import ECG
from echopulse.errors import InputError

SIGNAL_KEYS = ("ecg", "ekg", "ecgdata", "ecgsignal", "ecgsamples", "signal", "samples", "values", "data", "waveform")
HEART_RATE = re.compile(r'"[^"]{0,20}(heart_?rate|bpm|rr_?interval|hrv|pulse)[^"]{0,20}"', re.IGNORECASE)
LEAST_SAMPLES = 32
WHAT = "Fitbit, Google Health, HealthKit, Withings or FHIR, or an object with 'ecg' and 'fs'"


def looks_like_json(source: Source) -> bool:
    """Text that begins as an object, or as a list of numbers, lists or objects."""
    return is_text(source.head) and bool(re.match(r"\{\s*(\"|$)|\[\s*[\[{\d.+-]", source.head_text))


def read_json(source: Source, wanted: Wanted) -> ECG:
    """The ECG in a JSON file, by the first shape that its objects fit; the newest where there are several."""
    document = _parsed(source)
    traces = []
    for trace in _traces(source, document):
        traces.append(trace)
        if sum(found.samples.size for found in traces) > MOST_JSON_BYTES:
            raise InputError(f"{source.name}: more samples than are read from a JSON file; give it one ECG at a time.")
    traces = [trace for trace in traces if trace.samples.shape[1] >= LEAST_SAMPLES] or traces
    if not traces:
        what = "a JSON file without an ECG that is known here"
        if HEART_RATE.search(source.text):
            what = "a JSON file of heart rates or intervals, not of an ECG: no waveform in it"
        raise InputError(f"{source.name}: {what}; expected is the JSON of {WHAT}.")
    return one_of(source, wanted, traces)


def _parsed(source: Source) -> object:
    if source.size > MOST_JSON_BYTES:
        raise InputError(
            f"{source.name}: {source.size / 1e6:.0f} MB of JSON; up to {MOST_JSON_BYTES / 1e6:.0f} MB are read. Export "
            "fewer ECGs at a time."
        )
    text = source.text
    if text.count("{") + text.count("[") > MOST_JSON_CONTAINERS:
        raise InputError(
            f"{source.name}: JSON of more than {MOST_JSON_CONTAINERS} lists and objects; export fewer ECGs at a "
            "time."
        )
    try:
        return json.loads(text)
    except RecursionError:
        raise InputError(f"{source.name}: JSON nested deeper than {MOST_DEPTH} levels, so no ECG.") from None
    except ValueError as error:
        found = re.search(r"line \d+ column \d+", str(error))
        where = f" at {found.group()}" if found else ""
        raise InputError(f"{source.name}: a JSON file that is broken or cut{where}; copy or export it again.") from None


def _objects(source: Source, document: object) -> Iterator[dict[str, object] | list[object]]:
    """Every object, and the document where it is a list, each before what it holds; `send(True)` to go on within."""
    waiting = [(document, 1)]
    while waiting:
        node, depth = waiting.pop()
        if depth > MOST_DEPTH:
            raise InputError(f"{source.name}: JSON nested deeper than {MOST_DEPTH} levels, so no ECG.")
        if isinstance(node, dict) or depth == 1:
            inside = yield node
            if not inside:
                continue
        values = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
        waiting += [(value, depth + 1) for value in reversed(list(values)) if isinstance(value, (dict, list))]


def _traces(source: Source, document: object) -> Iterator[Trace]:
    walk = _objects(source, document)
    try:
        node = next(walk)
        while True:
            found = _in_object(node) if isinstance(node, dict) else _in_list(node)
            yield from found
            node = walk.send(not found)
    except StopIteration:
        return


def _in_object(node: dict[str, object]) -> list[Trace]:
    if "resourceType" not in node and not any(isinstance(value, list) for value in node.values()):
        return []  # no samples in it, itself
    keys = plain_keys(node)
    for shape in (fhir_traces, fitbit_traces, healthkit_traces, withings_traces, _plain_traces):
        found = shape(node, keys)
        if found:
            return found
    return []


def _in_list(document: object) -> list[Trace]:
    """A document that is nothing but the samples."""
    rows = _rows(document)
    return [] if rows is None else [Trace("JSON list", rows, _numbered(len(rows)), "unnamed")]


def _plain_traces(node: dict[str, object], keys: dict[str, object]) -> list[Trace]:
    """An object with lists named after leads, or one list named after the ECG; rate and unit beside them."""
    named = {str(key): numbers(value) for key, value in node.items() if lead_name(str(key)).lower() in LIMB_AND_CHEST}
    named = {lead_name(key): values for key, values in named.items() if values is not None}
    if named and len({len(values) for values in named.values()}) == 1 and len(named) <= MOST_LEADS:
        rows, names, how = np.stack(list(named.values())), tuple(named), "from the names of the lists"
    else:
        rows = next((found for key in SIGNAL_KEYS if (found := _rows(keys.get(key))) is not None), None)
        if rows is None or rows.shape[1] < LEAST_SAMPLES:
            return []
        names, how = _numbered(len(rows)), "unnamed"
        given = next((keys[key] for key in ("leads", "leadnames", "lead", "channels") if key in keys), None)
        given = [given] if isinstance(given, str) else given
        if isinstance(given, list) and len(given) == len(rows) and all(isinstance(name, str) for name in given):
            names, how = tuple(lead_name(name) for name in given), "from the file"
    rate = rate_or_none(next((keys[key] for key in RATE_KEYS if key in keys), None))
    unit = unit_in(str(keys.get("unit") or keys.get("units") or ""))
    return [Trace("JSON object", rows, names, how, rate_hz=rate, unit=unit)]


def _rows(value: object) -> np.ndarray | None:
    """[leads, n] of a list of numbers or of lists of numbers; the longer side is time. None for anything else."""
    row = numbers(value)
    if row is not None:
        return row[None]
    if not isinstance(value, list) or not value or not all(isinstance(part, list) for part in value):
        return None
    if len({len(part) for part in value}) != 1:
        return None
    table = np.array([[number_or_nan(cell) for cell in part] for part in value], dtype=np.float64)
    table = table if table.shape[0] <= table.shape[1] else table.T
    return table if 1 <= len(table) <= MOST_LEADS and np.isfinite(table).any() else None


def _numbered(count: int) -> tuple[str, ...]:
    return ("ECG",) if count == 1 else tuple(f"ECG{i + 1}" for i in range(count))


JSON = Reader("a JSON file", looks_like_json, read_json)
