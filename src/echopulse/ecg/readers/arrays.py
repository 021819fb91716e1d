"""Named arrays, whatever file they come from: which one is the ECG, which the rate, and what the others say of it."""

from __future__ import annotations

import re

import numpy as np

from echopulse.ecg.limits import MOST_LEADS, check_size
from echopulse.ecg.readers.plain import STANDARD_12, no_rate
from echopulse.ecg.readers.source import Wanted
from echopulse.ecg.readers.units import LIMB_AND_CHEST, in_millivolts, lead_name, unit_in
from echopulse.ecg.types import ECG
from echopulse.errors import InputError

LEAST_SAMPLES = 32  # a shorter array is a note, not a recording
USUAL_NAMES = ("val", "samples", "ecg", "feats", "p_signal", "signal", "signals", "sig", "data", "x")
NOT_AN_ECG = re.compile(
    r"t|time\w*|.*(peak|label|annot|index|idx|resp|ppg|pleth|abp|spo2|mask|beat|rr\b|notes).*", re.I
)
RATE_NAME = re.compile(
    r"(\w*_)?(fs|sr|sfreq|srate|rate|rate_?hz|hz|freq|frequency|sampl\w*?_?(rate|freq\w*)|samplefreq)(_?hz)?", re.I
)
FIRST_RATE = re.compile(r"(org|orig)", re.I)  # the rate before somebody resampled it
LEAD_LISTS = ("leads", "lead_names", "leadnames", "lead", "sig_name", "channels", "channel_names", "names", "ch_names")
UNIT_NAMES = ("unit", "units")


def is_recording(value) -> bool:
    """Whether a value can be samples: real numbers, a line or a table of them, and enough."""
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "iuf" or value.ndim > 2:
        return False
    return value.size > 0 and max(value.shape, default=0) >= LEAST_SAMPLES


def ecg_of_arrays(name: str, values: dict, wanted: Wanted, kind: str, certain: bool = False) -> ECG:
    """The ECG among named values (arrays, numbers, texts, lists of texts), millivolts.

    certain  whether the numbers are known to be millivolts, so that their size need not be looked at
    """
    lower = {key.lower(): value for key, value in reversed(values.items())}
    samples, listed, which = _samples(name, values, _texts(next((lower[k] for k in LEAD_LISTS if k in lower), None)))
    rate, rate_how = _rate(name, values, wanted)
    check_size(name, *samples.shape, rate)
    said = next((unit_in(text) for key in UNIT_NAMES for text in _texts(lower.get(key)) if unit_in(text)), None)
    with np.errstate(over="ignore"):
        samples = samples.astype(np.float32)
    samples[~np.isfinite(samples)] = np.nan
    if certain and wanted.unit is None:
        unit_how = "mV, as the format says"
    elif said is None and wanted.unit is None and _standardised(samples):
        unit_how = "none: the samples look standardised (mean 0, spread 1), so they are no voltages; taken as if in mV"
    else:
        samples, unit_how = in_millivolts(samples, said, wanted.unit)
    leads, leads_how = _leads(listed, len(samples))
    provenance = {"format": kind, "array": which, "rate": f"{rate:g} Hz, {rate_how}", "unit": unit_how}
    return ECG(samples, rate, leads, provenance={**provenance, "leads": leads_how})


def number_of(value) -> float | None:
    """A lone number, also where it stands in an array of its own; None otherwise."""
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in "iuf" and value.size == 1:
        return float(value.reshape(-1)[0]) if isinstance(value, np.ndarray) else float(value)
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _samples(name: str, values: dict, listed: list[str]) -> tuple[np.ndarray, list[str], str]:
    """[leads, n] as it is stored, the leads' names where there are any, and which array it is."""
    found = {key: np.atleast_2d(value) for key, value in values.items() if is_recording(value)}
    found = {key: value for key, value in found.items() if not NOT_AN_ECG.fullmatch(key)} or found
    by_lead = {key: value for key, value in found.items() if key.lower() in LIMB_AND_CHEST and 1 in value.shape}
    if by_lead and not any(key.lower() in USUAL_NAMES for key in found):
        rows = {key: value.reshape(-1) for key, value in by_lead.items()}
        length = max(row.size for row in rows.values())
        rows = {key: row for key, row in rows.items() if row.size == length}
        return np.stack(list(rows.values())), list(rows), f"one for each lead: {', '.join(rows)}"
    if not found:
        there = ", ".join(f"{key} {getattr(value, 'shape', '')}".strip() for key, value in list(values.items())[:12])
        raise InputError(
            f"{name}: no array of samples in it, only {there or 'nothing'}; expected numbers as [n] or [leads, n]."
        )

    def order(key: str) -> tuple:
        usual = USUAL_NAMES.index(key.lower()) if key.lower() in USUAL_NAMES else len(USUAL_NAMES)
        return usual, not re.search("ecg|ekg", key, re.I), -found[key].size

    key = min(found, key=order)
    samples = found[key]
    turned = len(listed) == samples.shape[1] != samples.shape[0] or samples.shape[0] > samples.shape[1]
    if turned and len(listed) != samples.shape[0]:
        samples = samples.T
    if len(samples) > MOST_LEADS:
        raise InputError(f"{name}: array {key} is {found[key].shape}; up to {MOST_LEADS} leads are expected.")
    others = [other for other in found if other != key]
    return samples, listed, key + (f" (not {', '.join(others[:8])})" if others else "")


def _rate(name: str, values: dict, wanted: Wanted) -> tuple[float, str]:
    """Hertz and how it is known: as given, or from a lone number whose name says so."""
    if wanted.rate_hz is not None:
        return wanted.rate_hz, "as given"
    rates = {
        key: number for key, value in values.items()
        if RATE_NAME.fullmatch(key) and (number := number_of(value)) is not None and 20 <= number <= 20000
    }  # fmt: skip
    if not rates:
        raise no_rate(name)
    key = min(rates, key=lambda key: bool(FIRST_RATE.search(key)))
    return rates[key], f"from {key} in the file"


def _texts(value) -> list[str]:
    """The texts in a value: a text, or a list or array of them."""
    if isinstance(value, np.ndarray):
        value = value.reshape(-1).tolist() if value.dtype.kind in "USO" else []
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    if isinstance(value, str):
        parts = re.split(r"[,;]\s*", value) if "," in value or ";" in value else [value]
        return [part.strip() for part in parts if part.strip()]
    if not isinstance(value, (list, tuple)) or len(value) > 4 * MOST_LEADS:
        return []
    texts = [part.decode("latin-1") if isinstance(part, bytes) else part for part in value]
    return [text.strip() for text in texts if isinstance(text, str)]


def _leads(listed: list[str], count: int) -> tuple[tuple[str, ...], str]:
    """One name for each row, and where the names are from."""
    named = [lead_name(text)[:40] for text in listed]
    if len(named) == count and len(set(named)) == count:
        return tuple(named), "from the file"
    if count == 12:
        return STANDARD_12, "twelve unnamed rows, taken in the usual order I, II, III, aVR, aVL, aVF, V1-V6"
    return (tuple(f"ECG{i + 1}" for i in range(count)) if count > 1 else ("ECG",)), "unnamed"


def _standardised(samples: np.ndarray) -> bool:
    """Whether every lead, or all together, has mean 0 and standard deviation 1: no ECG in millivolts does."""
    for axis in (1, None):
        with np.errstate(all="ignore"):
            middle, width = np.nanmean(samples, axis=axis), np.nanstd(samples, axis=axis)
        if np.all(np.abs(middle) < 0.01) and np.all(np.abs(width - 1) < 0.02):
            return True
    return False
