"""Leads that follow from others: Einthoven's and Goldberger's equations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from echopulse.ecg.types import ECG

FROM_I_AND_II = {"III": (-1.0, 1.0), "aVR": (-0.5, -0.5), "aVL": (1.0, -0.5), "aVF": (-0.5, 1.0)}
LIMB = ("I", "II", *FROM_I_AND_II)
# A lead's number in SCP-ECG (EN 1064) and ISO/IEEE 11073-10101; DICOM writes III as "5.6.3-9-61" or "2:61".
LEAD_NUMBERS = {
    "I": 1, "II": 2, "V1": 3, "V2": 4, "V3": 5, "V4": 6, "V5": 7, "V6": 8, "V7": 9, "V3R": 11, "V4R": 12,
    "X": 16, "Y": 17, "Z": 18, "III": 61, "aVR": 62, "aVL": 63, "aVF": 64, "V8": 66, "V9": 67,
}  # fmt: skip


def with_derived_leads(ecg: ECG) -> ECG:
    """The same with III, aVR, aVL and aVF where it holds I and II but not these; they come after II, in that order."""
    missing = [name for name in FROM_I_AND_II if name not in ecg.leads]
    if not {"I", "II"} <= set(ecg.leads) or not missing:
        return ecg
    one, two = (ecg.samples[ecg.leads.index(name)] for name in ("I", "II"))
    rows = dict(zip(ecg.leads, ecg.samples, strict=True))
    rows |= {name: FROM_I_AND_II[name][0] * one + FROM_I_AND_II[name][1] * two for name in missing}
    names = [*LIMB, *(name for name in ecg.leads if name not in LIMB)]
    provenance = {**ecg.provenance, "derived leads": f"{', '.join(missing)}: from I and II"}
    return replace(ecg, samples=np.stack([rows[name] for name in names]), leads=tuple(names), provenance=provenance)
