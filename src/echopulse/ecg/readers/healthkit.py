"""ECGs that apps export from HealthKit as JSON, and Withings' answers: lists of voltages, with or without times."""

from __future__ import annotations

import numpy as np

from echopulse.ecg.readers.clock import steady
from echopulse.ecg.readers.moments import moment_in, seconds_in
from echopulse.ecg.readers.trace import Trace, number_or_nan, numbers, rate_or_none
from echopulse.ecg.readers.units import WRITTEN, unit_in
from echopulse.ecg.types import Note

RATE_KEYS = (
    "samplingfrequency", "samplingfrequencyhz", "samplingrate", "samplingratehz", "samplerate", "fs", "rate", "ratehz",
    "frequency", "sfreq", "hz",
)  # fmt: skip
TIME_KEYS = ("timesincesamplestart", "time", "timestamp", "date", "t", "offset")
VOLTAGE_KEYS = {"voltage": None, "volts": "v", "microvolts": "uv", "millivolts": "mv", "value": None, "v": None}
START_KEYS = ("start", "startdate", "starttime", "recorded", "recordeddate", "ecgstartdate", "date", "timestamp")


def plain_keys(node: dict[str, object]) -> dict[str, object]:
    """The same with its keys in lower case, without underscores, blanks and dashes."""
    return {"".join(c for c in str(key).lower() if c not in "_- "): value for key, value in node.items()}


def healthkit_traces(node: dict[str, object], keys: dict[str, object]) -> list[Trace]:
    """The ECG of an object that holds a list of voltages, in volts unless it says otherwise."""
    key = next((key for key in keys if key.startswith("voltage") and isinstance(keys[key], list)), None)
    if key is None:
        return []
    times, values, unit = _pairs(keys[key])
    if values is None:
        return []
    said_unit = unit or unit_in(str(keys.get("unit") or keys.get("units") or ""))
    samples, told = values[None], {}
    rate, how = rate_or_none(_first(keys, RATE_KEYS)), "from the file"
    found = steady(times, samples) if times is not None else None
    if found is not None and (rate is None or abs(found.rate_hz / rate - 1) > 0.01 or found.told):
        stated, rate = rate, found.rate_hz
        samples, how = found.samples, "from the times of the samples"
        if stated is not None and abs(stated / rate - 1) > 0.01:
            how += f" (the file says {stated:g} Hz)"
        if found.told:
            told["clock"] = found.told
    said = str(keys.get("classification") or "")
    return [
        Trace(
            "HealthKit JSON", samples, leads_how="I, what the watch records", rate_hz=rate, rate_how=how,
            unit=said_unit or "v", unit_how=None if said_unit else f"{WRITTEN['v']}, what HealthKit counts in",
            recorded=_start(keys), notes=(Note(0.0, said),) if said else (), told=told,
        )
    ]  # fmt: skip


def withings_traces(node: dict[str, object], keys: dict[str, object]) -> list[Trace]:
    """The ECG in Withings' answer to "heart v2 get": microvolts, at 300 or 500 Hz."""
    signal = numbers(keys.get("signal"))
    if signal is None or not ({"wearposition", "samplingfrequency"} & set(keys) or len(keys) == 1):
        return []
    rate, how = rate_or_none(_first(keys, RATE_KEYS)), "from the file"
    if rate is None:  # a watch records 30 s at 300 Hz, a blood pressure monitor 20 s at 500 Hz
        for usual, seconds in ((300.0, 30.0), (500.0, 20.0)):
            if abs(len(signal) / usual / seconds - 1) < 0.1:
                rate, how = usual, f"not in the file; {len(signal)} samples are the usual {seconds:g} s at this rate"
                break
    return [
        Trace(
            "Withings JSON", signal[None], leads_how="I, what the device records", rate_hz=rate, rate_how=how,
            unit="uv", unit_how="uV, what Withings counts in", recorded=_start(keys),
        )
    ]  # fmt: skip


def _first(keys: dict[str, object], names: tuple[str, ...]) -> object:
    return next((keys[name] for name in names if name in keys and keys[name] is not None), None)


def _start(keys: dict[str, object]):
    value = _first(keys, START_KEYS)
    return moment_in(str(value)) if isinstance(value, (str, int, float)) else None


def _pairs(items: list[object]) -> tuple[np.ndarray | None, np.ndarray | None, str | None]:
    """Times in seconds (None without), voltages, and the unit that the items name; both None where they are none."""
    plain = numbers(items)
    if plain is not None:
        return None, plain, None
    if all(isinstance(item, list) and len(item) == 2 for item in items):
        table = np.array([[number_or_nan(value) for value in item] for item in items], dtype=np.float64).reshape(-1, 2)
        return table[:, 0], table[:, 1], None
    if not items or not all(isinstance(item, dict) for item in items):
        return None, None, None
    rows = [plain_keys(item) for item in items]
    key = next((key for key in VOLTAGE_KEYS if key in rows[0]), None)
    if key is None:
        return None, None, None
    unit = VOLTAGE_KEYS[key] or unit_in(str(rows[0].get("units") or rows[0].get("unit") or "").replace("mcV", "uV"))
    clock = next((name for name in TIME_KEYS if name in rows[0]), None)
    times = np.array([_seconds(row.get(clock)) for row in rows]) if clock else None
    return times, np.array([number_or_nan(row.get(key)) for row in rows]), unit


def _seconds(value: object) -> float:
    seconds = seconds_in(value) if isinstance(value, str) else None
    return number_or_nan(value) if seconds is None else seconds
