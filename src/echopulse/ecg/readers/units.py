"""Units and lead names as files write them, and what to believe when a file does not say or says wrong."""

from __future__ import annotations

import re

import numpy as np

MILLIVOLTS = {"nv": 1e-6, "uv": 1e-3, "mv": 1.0, "v": 1e3}
WRITTEN = {"uv": "uV", "mv": "mV", "v": "V", "nv": "nV"}
# Peak to peak of a surface ECG, millivolts: generous, from low voltage in one limb lead to a large precordial lead.
PLAUSIBLE = (0.03, 30.0)
LIMB_AND_CHEST = {name.lower(): name for name in ("I II III aVR aVL aVF V1 V2 V3 V4 V5 V6 V7 V8 V9 V3R V4R").split()}

NAMELESS = frozenset({"", "ecg", "ekg", "mv", "uv", "v", "voltage", "value", "signal", "amplitude", "data"})


def unit_in(text: str) -> str | None:
    """The voltage unit that a piece of text names ("uv", "mv", "v", "nv"), or None."""
    text = text.replace("\u00b5", "u").replace("\u03bc", "u").replace("\u00c2u", "u")
    words = re.findall(r"(?<![A-Za-z])([numUNM]?[vV])(?![A-Za-z0-9])", text)
    if words:
        return words[-1].lower()
    lower = text.lower()
    for word, unit in (("microv", "uv"), ("mikrov", "uv"), ("milliv", "mv"), ("nanov", "nv")):
        if word in lower:
            return unit
    return None


def spread(values: np.ndarray) -> float:
    """Peak to peak of the middle 99 % of the finite values, so that a spike does not decide; 0 without values."""
    finite = values[np.isfinite(values)]
    return float(np.subtract(*np.percentile(finite, (99.5, 0.5)))) if finite.size else 0.0


def in_millivolts(samples: np.ndarray, unit: str | None, given: str | None = None) -> tuple[np.ndarray, str]:
    """[leads, n] in `unit` (None: not stated) as millivolts, and how the unit was decided.

    A stated unit is believed unless it makes the ECG impossibly small or large and another unit does not. What the user
    says (`given`) is believed whatever it makes of it.
    """
    if given is not None:
        return samples * MILLIVOLTS[given], f"{WRITTEN[given]}, as given"
    size = max(spread(lead) for lead in samples)
    plausible = [name for name in ("mv", "uv", "v", "nv") if PLAUSIBLE[0] <= size * MILLIVOLTS[name] <= PLAUSIBLE[1]]
    if unit is not None and (unit in plausible or not plausible):
        return samples * MILLIVOLTS[unit], f"{WRITTEN[unit]}, as the file says"
    if not plausible:
        return samples, "no unit in the file; taken as mV"
    best = plausible[0]
    scaled = samples * MILLIVOLTS[best]
    if unit is None:
        return scaled, f"no unit in the file; taken as {WRITTEN[best]} because of the size ({size:.3g} peak to peak)"
    return scaled, f"the file says {WRITTEN[unit]}, but {size:.3g} peak to peak is an ECG only in {WRITTEN[best]}"


def lead_name(text: str) -> str:
    """The usual spelling of a lead: "i" and "Lead I" give "I", "AVR" gives "aVR"; unknown names stay as they are."""
    text = text.strip().strip("\"'").strip()
    bare = re.sub(r"[\[(].*?[\])]", " ", text)  # units in brackets
    for word in re.split(r"[\s_:,\-]+", bare):
        if word.lower() in LIMB_AND_CHEST:
            return LIMB_AND_CHEST[word.lower()]
    tail = re.search(r"[^A-Za-z0-9]\s*(I{1,3}|aV[RLF]|V[1-6])$", bare.strip())  # scripts that put no blank before it
    if tail:
        return tail.group(1)
    name = " ".join(bare.split())
    return "ECG" if name.lower() in NAMELESS else name
