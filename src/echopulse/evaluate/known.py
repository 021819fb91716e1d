"""Means and medians of what is known: NaN stands for a value that is missing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor


def finite(values: Sequence[float] | np.ndarray | Tensor) -> np.ndarray:
    """The values that are numbers, float64 [k]."""
    values = values.double().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values, np.float64)
    return values[np.isfinite(values)]


def mean_known(values: Sequence[float] | np.ndarray) -> float:
    """The mean of the values that are known; NaN without any."""
    values = finite(values)
    return float(values.mean()) if len(values) else float("nan")


def median_known(values: Sequence[float] | np.ndarray) -> float:
    """The median of the values that are known; NaN without any."""
    values = finite(values)
    return float(np.median(values)) if len(values) else float("nan")
