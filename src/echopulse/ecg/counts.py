"""What every file of an ECG needs: whole numbers that stand for millivolts, and names of columns."""

from __future__ import annotations

import re

import numpy as np

COUNTS_PER_MV = 1000.0  # a microvolt a count, unless the ECG is larger than the bits hold of those
LARGEST_COUNT = 32767


def counts_per_mv(samples: np.ndarray, largest_count: int = LARGEST_COUNT) -> float:
    """How many counts stand for a millivolt: 1000, or a tenth, a hundredth ... so that all of it fits."""
    largest = float(np.abs(samples[np.isfinite(samples)]).max(initial=0.0))
    gain = COUNTS_PER_MV
    while largest * gain > largest_count:
        gain /= 10
    return gain


def to_counts(samples: np.ndarray, gain: float, missing: int, largest_count: int = LARGEST_COUNT) -> np.ndarray:
    """int64 [n, leads], `missing` where a sample of [leads, n] mV is NaN."""
    counts = np.rint(np.nan_to_num(samples.T.astype(np.float64)) * gain).clip(-largest_count, largest_count)
    return np.where(np.isfinite(samples.T), counts, missing).astype(np.int64)


def column_name(lead: str) -> str:
    """`"Lead I"` → "Lead_I_mV": a lead's name without blanks and commas, with its unit once; "ECG_mV" for no name."""
    words = [word for word in re.split(r"[\s,;_]+", lead) if word]
    if words and words[-1].lower() == "mv":
        words.pop()
    return "_".join([*(words or ["ECG"]), "mV"])
