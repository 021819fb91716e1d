"""ECGs in FHIR Observations (R4 and R5): SampledData as the value or in components, one lead each.

R4 gives the step between samples as `period` in milliseconds, R5 as `interval` with `intervalUnit`. Watches round it,
so a count of samples over a known duration is preferred where the two nearly agree.
"""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from echopulse.ecg.limits import MOST_LEADS
from echopulse.ecg.readers.apple import RECORDING_S
from echopulse.ecg.readers.clock import steady
from echopulse.ecg.readers.moments import moment_in
from echopulse.ecg.readers.text import number
from echopulse.ecg.readers.trace import Trace, number_or_nan
from echopulse.ecg.readers.units import LIMB_AND_CHEST, MILLIVOLTS, lead_name
from echopulse.ecg.types import Note

SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "min": 60.0}
NEAR = 0.01  # an interval this close to count over duration is the same one, rounded
# Codes of ISO/IEEE 11073-10101: the lead's number, from 131072 (a lead) or 131328 (a potential) on.
LEAD_NUMBERS = {
    1: "I", 2: "II", 3: "V1", 4: "V2", 5: "V3", 6: "V4", 7: "V5", 8: "V6", 61: "III", 62: "aVR", 63: "aVL", 64: "aVF",
}  # fmt: skip


def fhir_traces(node: dict[str, object], keys: dict[str, object]) -> list[Trace]:
    """The ECG of an Observation, all its leads; none where the node is no Observation with SampledData."""
    if node.get("resourceType") != "Observation":
        return []
    parts = [node, *(part for part in _list(node.get("component")) if isinstance(part, dict))]
    channels = [found for part in parts[: 4 * MOST_LEADS] for found in _channels(part, node)]
    channels = _joined(channels)
    if not channels:
        return []
    # leads of one length and one rate belong together: the largest group, of those the longest
    groups: dict[tuple[int, float | None], list[Trace]] = {}
    for channel in channels:
        groups.setdefault((channel.samples.shape[1], channel.rate_hz), []).append(channel)
    chosen = max(groups.values(), key=lambda group: (len(group), group[0].samples.shape[1]))
    names = _distinct([channel.leads[0] for channel in chosen])
    left = [channel.leads[0] for channel in channels if not any(channel is kept for kept in chosen)]
    told = {key: value for channel in chosen for key, value in channel.told.items()}
    if left:
        told["left out"] = f"{', '.join(left)}: of another length or rate"
    if len({channel.unit for channel in chosen}) > 1:
        chosen = [_in_mv(channel) for channel in chosen]
    raw = [channel.raw if channel.raw is not None else channel.samples for channel in chosen]
    return [
        replace(
            chosen[0], samples=np.concatenate([channel.samples for channel in chosen]), leads=tuple(names),
            leads_how="from the codes of the Observation" if any(name != "ECG" for name in names) else "unnamed",
            raw=np.concatenate(raw), told=told, notes=_notes(node),
        )
    ]  # fmt: skip


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _object(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _channels(part: dict[str, object], observation: dict[str, object]) -> list[Trace]:
    """One trace per dimension of the SampledData of an Observation or a component."""
    data = _object(part.get("valueSampledData"))
    if not isinstance(data.get("data"), str):
        return []
    points, told = _points(data)
    if points.size == 0:
        return []
    dimensions = number_or_nan(data.get("dimensions", 1))
    dimensions = int(dimensions) if 1 <= dimensions <= MOST_LEADS else 1
    raw = points[: len(points) // dimensions * dimensions].reshape(-1, dimensions).T
    origin = _object(data.get("origin"))
    start, factor = number_or_nan(origin.get("value", 0)), number_or_nan(data.get("factor", 1))
    scaled = (raw * (factor if np.isfinite(factor) and factor else 1.0)) + (start if np.isfinite(start) else 0.0)
    unit = next(
        (found for key in ("code", "unit") if (found := _unit(str(origin.get(key) or ""))) is not None), None
    )  # fmt: skip
    scaled, rate, how, clock = _rate(data, scaled, observation, part)
    if clock:
        told["clock"] = clock
    name = _lead(part)
    names = [name] if dimensions == 1 else [f"{name}{i + 1}" for i in range(dimensions)]
    when = observation.get("effectiveDateTime") or observation.get("effectiveInstant")
    when = when or _object(observation.get("effectivePeriod")).get("start")
    return [
        Trace(
            "FHIR Observation", row[None], (title,), rate_hz=rate, rate_how=how, unit=unit,
            recorded=moment_in(str(when)), raw=None if clock else numbers_of_file[None], told=told,
        )
        for row, numbers_of_file, title in zip(scaled, raw if not clock else scaled, names, strict=True)
    ]  # fmt: skip


def _points(data: dict[str, object]) -> tuple[np.ndarray, dict[str, str]]:
    """float64 [n] of the data string, and what was made of its words: E is an error, U above and L below the limits."""
    words = data["data"].split()
    told: dict[str, str] = {}
    try:
        return np.array(words, dtype=np.float64) if words else np.zeros(0), told
    except ValueError:  # letters among the numbers
        found = [number(word) for word in words]
    points = np.array([np.nan if value is None else value for value in found])
    for letter, key, extreme in (("U", "upperLimit", np.nanmax), ("L", "lowerLimit", np.nanmin)):
        beyond = np.array([word == letter for word in words])
        if beyond.any() and np.isfinite(points).any():
            limit = number_or_nan(data.get(key))
            points[beyond] = limit if np.isfinite(limit) else extreme(points[~beyond])
            where = "above" if letter == "U" else "below"
            told["limits"] = f"{beyond.sum()} samples lie {where} the limit of the device and were set to it"
    errors = sum(word == "E" for word in words)
    if errors:
        told["errors"] = f"{errors} samples are errors of the device, left as gaps"
    return points, told


def _unit(text: str) -> str | None:
    """A unit in UCUM or in words ("uV", "mV", "\u00b5V"); None for counts and what is no voltage."""
    plain = text.strip().strip("[]").replace("\u00b5", "u").replace("\u03bc", "u").lower()
    return plain if plain in MILLIVOLTS else None


def _rate(data, samples, observation, part) -> tuple[np.ndarray, float | None, str, str | None]:
    """Samples (resampled where they had offsets of their own), hertz, how, and what was done to the clock."""
    count = samples.shape[1]
    if "interval" in data:
        unit = str(data.get("intervalUnit") or "ms")
        step, how = number_or_nan(data["interval"]) * SECONDS.get(unit, np.nan), f"interval {data['interval']} {unit}"
    else:
        step, how = 1e-3 * number_or_nan(data.get("period")), f"period {data.get('period')} ms"
        unit = "ms"
    offsets = data.get("offsets")
    if isinstance(offsets, str):
        times = [number(word) for word in offsets.split()][:count]
        if len(times) == count:
            times = np.array([np.nan if time is None else time for time in times]) * SECONDS.get(unit, 1e-3)
            if (found := steady(times, samples)) is not None:
                return found.samples, found.rate_hz, "from the offsets of the samples", found.told or "from offsets"
    rate = 1.0 / step if np.isfinite(step) and step > 0 else None
    rate = rate if rate is None or 20 <= rate <= 20000 else None
    seconds, why = _duration(observation, part)
    if seconds and rate and 1e-6 < abs(count / seconds / rate - 1) < NEAR:
        return samples, count / seconds, f"{count} samples in {seconds:g} s ({why}); {how} is rounded", None
    if rate is None and seconds and 20 <= count / seconds <= 20000:
        return samples, count / seconds, f"{count} samples in {seconds:g} s ({why})", None
    return samples, rate, how, None


def _duration(observation: dict[str, object], part: dict[str, object]) -> tuple[float | None, str]:
    """How long the recording is, where the Observation says it (or is from a watch that always records as long)."""
    period = _object(observation.get("effectivePeriod"))
    start, end = moment_in(str(period.get("start"))), moment_in(str(period.get("end")))
    if start is not None and end is not None and (end - start).total_seconds() > 0:
        return (end - start).total_seconds(), "from its start and end"
    device = " ".join(str(value) for value in _object(observation.get("device")).values())
    if "apple" in device.lower() and part is observation:
        return RECORDING_S, "what the watch records"
    return None, ""


def _lead(part: dict[str, object]) -> str:
    """The lead that the code of an Observation or a component names, "ECG" without one."""
    code = _object(part.get("code"))
    codings = [_object(coding) for coding in _list(code.get("coding"))]
    for coding in codings:
        count = number_or_nan(coding.get("code"))
        for first in (131072, 131328):
            if np.isfinite(count) and int(count) - first in LEAD_NUMBERS:
                return LEAD_NUMBERS[int(count) - first]
    texts = [coding.get(key) for coding in codings for key in ("code", "display")] + [code.get("text")]
    for text in texts:
        name = lead_name(re.split(r"(?:LEAD|POTL)_", str(text or ""))[-1])
        if name.lower() in LIMB_AND_CHEST:
            return LIMB_AND_CHEST[name.lower()]
    return "ECG"


def _joined(channels: list[Trace]) -> list[Trace]:
    """Parts of one lead, which some writers put into a component each, one after the other."""
    out: dict[tuple[str, float | None, str | None], list[Trace]] = {}
    for channel in channels:
        shared = None if channel.leads[0] != "ECG" else channel.samples.shape[1]
        out.setdefault((channel.leads[0], channel.rate_hz, channel.unit, shared), []).append(channel)
    joined = []
    for (name, *_), parts in out.items():
        if len(parts) == 1 or name == "ECG":
            joined += parts
            continue
        whole = np.concatenate([part.samples for part in parts], axis=1)
        raw = [part.raw if part.raw is not None else part.samples for part in parts]
        told = parts[0].told | {"parts": f"{len(parts)} parts of lead {name}, taken one after the other"}
        joined.append(replace(parts[0], samples=whole, raw=np.concatenate(raw, axis=1), told=told))
    return joined


def _distinct(names: list[str]) -> list[str]:
    """Names that differ: ECG, ECG becomes ECG1, ECG2."""
    return [f"{name}{names[: i + 1].count(name)}" if names.count(name) > 1 else name for i, name in enumerate(names)]


def _in_mv(channel: Trace) -> Trace:
    scale = MILLIVOLTS.get(channel.unit or "mv", 1.0)
    return replace(channel, samples=channel.samples * scale, unit="mv")


def _notes(node: dict[str, object]) -> tuple[Note, ...]:
    """What the device or a reader said of the whole recording."""
    said = []
    for found in map(_object, _list(node.get("interpretation"))):
        said += [found.get("text") or _object((_list(found.get("coding")) or [None])[0]).get("display")]
    return tuple(Note(0.0, " ".join(str(text).split())[:200]) for text in said if text)
