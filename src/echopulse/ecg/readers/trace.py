"""One ECG as a file of a phone or a watch has it, and the choice where there are several in a file."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from echopulse.ecg.limits import check_size
from echopulse.ecg.readers.moments import moment_in, written
from echopulse.ecg.readers.plain import MOST, no_rate
from echopulse.ecg.readers.source import Source, Wanted
from echopulse.ecg.readers.units import in_millivolts
from echopulse.ecg.types import ECG, Note
from echopulse.errors import InputError

NEVER = datetime(1, 1, 1, tzinfo=UTC)
MOST_NAMED = 20  # of the ECGs that were left aside


@dataclass(frozen=True)
class Trace:
    """An ECG before the wishes of the user are heard.

    Attributes:
        format: what the file is, as the provenance names it.
        samples: float64 [leads, n] in the numbers of the file, or in `unit` where a scale was applied.
        leads, leads_how: one name per row, and where it is from.
        rate_hz, rate_how: samples per second (None: the file does not say) and how that was decided.
        unit, unit_how: the unit of `samples` (None: to be told by the size), and why, where the file does not say it.
        raw: the numbers of the file where `samples` are scaled: a unit that is given means them.
        recorded: when, None if not known.
        notes: what the device said.
        told: more for the provenance.
    """

    format: str
    samples: np.ndarray
    leads: tuple[str, ...] = ("I",)
    leads_how: str = "taken as I"
    rate_hz: float | None = None
    rate_how: str = "from the file"
    unit: str | None = None
    unit_how: str | None = None
    raw: np.ndarray | None = None
    recorded: datetime | None = None
    notes: tuple[Note, ...] = ()
    told: dict[str, str] = field(default_factory=dict)


def numbers(values: object) -> np.ndarray | None:
    """float64 [n] of a list of numbers, NaN where one is none; None where it is no list of them."""
    if not isinstance(values, list) or not values or isinstance(values[0], (list, dict)):
        return None
    try:
        found = np.array(values, dtype=np.float64)
    except (ValueError, TypeError, OverflowError):
        found = np.array([number_or_nan(value) for value in values])
    found = found.ravel() if found.ndim == 1 else np.zeros(0)
    found = np.where(np.abs(found) < MOST, found, np.nan)
    return found if np.isfinite(found).any() else None


def number_or_nan(value: object) -> float:
    """A number, or text that is one, as float; NaN for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return float("nan")
    try:
        return float(value)
    except (ValueError, OverflowError):
        return float("nan")


def rate_or_none(value: object) -> float | None:
    """A sampling rate that a file states, where it can be one."""
    rate = number_or_nan(value)
    return rate if 20 <= rate <= 20000 else None


def one_of(source: Source, wanted: Wanted, traces: list[Trace]) -> ECG:
    """The ECG that was asked for (`wanted.member`), else the newest; the others are named in the provenance."""
    names = [f"{i + 1}" + (f" ({written(trace.recorded)})" if trace.recorded else "") for i, trace in enumerate(traces)]
    if wanted.member is None:
        chosen = max(range(len(traces)), key=lambda i: (traces[i].recorded or NEVER, i))
    else:
        asked, moment = wanted.member.strip(), moment_in(wanted.member)
        chosen = next((i for i, trace in enumerate(traces) if asked == f"{i + 1}"), None)
        if chosen is None and moment is not None:
            chosen = next((i for i, trace in enumerate(traces) if trace.recorded == moment), None)
        if chosen is None:
            raise InputError(f"{source.name}: no ECG {wanted.member!r} in it; there are {listed(names)}.")
    ecg = _ecg(source, wanted, traces[chosen])
    if len(traces) > 1:
        others = listed([name for i, name in enumerate(names) if i != chosen])
        why = "as asked for" if wanted.member is not None else "the newest" if traces[chosen].recorded else "the last"
        ecg.provenance["several"] = f"ECG {names[chosen]}, {why}; also in the file: {others}"
    return ecg


def listed(names: list[str]) -> str:
    """Names in a row, the first of them where there are many."""
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _ecg(source: Source, wanted: Wanted, trace: Trace) -> ECG:
    rate, how = (wanted.rate_hz, "as given") if wanted.rate_hz else (trace.rate_hz, trace.rate_how)
    if rate is None:
        raise no_rate(source.name)
    check_size(source.name, *trace.samples.shape, rate)
    given = trace.samples if trace.raw is None or wanted.unit is None else trace.raw
    samples, unit_how = in_millivolts(given, trace.unit, wanted.unit)
    if trace.unit_how is not None and wanted.unit is None and unit_how.endswith("as the file says"):
        unit_how = trace.unit_how
    provenance = {"format": trace.format, "rate": f"{rate:.6g} Hz, {how}", "unit": unit_how, "leads": trace.leads_how}
    if trace.recorded is not None:
        provenance["recorded"] = written(trace.recorded)
    return ECG(samples, rate, trace.leads, provenance=provenance | trace.told, notes=trace.notes)
