"""How well ejection fractions agree, with the spread of the targets, without which papers cannot be compared.

An error of 0.06 is good where the true EFs spread by 0.12 and worthless where they spread by 0.06; so RMSE/SD stands
beside RMSE. Fractions, not percent. Pairs of which one is missing (NaN) are left out and counted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from echopulse.errors import InputError
from echopulse.evaluate.keys import Figure

NORMAL_95 = 1.959964  # standard deviations on either side of a normal mean that hold 95 %
LEAST = 3  # pairs


@dataclass(frozen=True)
class Agreement:
    """Found against true EF of n pairs; `missing` more had no value.

    Attributes:
        r: Pearson's correlation; NaN where either does not vary.
        r2: share of the targets' variance that is explained, 1 - Σ(found - true)² / Σ(true - mean)²; below 0 where the
            mean would have done better. Not the square of r.
        mae, rmse: mean absolute and root mean square error.
        sd_targets: standard deviation of the true EFs, n - 1.
        rmse_over_sd: 1 is what the mean alone reaches (but for n against n - 1).
        bias, sd_differences: mean and standard deviation (n - 1) of found minus true.
        low, high: limits of agreement, bias ± 1.96 sd_differences (Bland and Altman 1986).
    """

    n: int
    missing: int
    r: float
    r2: float
    mae: float
    rmse: float
    sd_targets: float
    rmse_over_sd: float
    bias: float
    sd_differences: float
    low: float
    high: float

    def scores(self) -> dict[str, float]:
        """Flat keys, see `figures`; the count of pairs belongs to `mae`."""
        return {
            "r": self.r, "r2": self.r2, "mae": self.mae, "mae.n": self.n, "mae.missing": self.missing,
            "rmse": self.rmse, "sd_targets": self.sd_targets, "rmse_over_sd": self.rmse_over_sd, "bias": self.bias,
            "limit_low": self.low, "limit_high": self.high,
        }  # fmt: skip


def figures(prefix: str, what: str) -> dict[str, Figure]:
    """What the keys of `Agreement.scores` mean below `prefix`, for tables."""
    return {
        f"{prefix}.r": Figure("", f"{what}: correlation of found with true EF"),
        f"{prefix}.r2": Figure("", f"{what}: share of the true EFs' variance explained (R²)"),
        f"{prefix}.mae": Figure("", f"{what}: mean absolute error of the EF"),
        f"{prefix}.rmse": Figure("", f"{what}: root mean square error of the EF"),
        f"{prefix}.sd_targets": Figure("", f"{what}: standard deviation of the true EFs"),
        f"{prefix}.rmse_over_sd": Figure("", f"{what}: RMSE over that; 1 is what guessing the mean reaches"),
        f"{prefix}.bias": Figure("", f"{what}: mean of found minus true EF"),
        f"{prefix}.limit_low": Figure("", f"{what}: lower limit of agreement (bias - 1.96 SD)"),
        f"{prefix}.limit_high": Figure("", f"{what}: upper limit of agreement (bias + 1.96 SD)"),
    }


def agreement(found: np.ndarray, true: np.ndarray) -> Agreement:
    """Every figure of found [n] against true [n] EFs; needs 3 pairs."""
    found, true, missing = _pairs(found, true)
    if len(true) < LEAST:
        raise InputError(
            f"{len(true)} clips with a found and a true EF ({missing} without): agreement needs at least {LEAST}."
        )
    difference = found - true
    spread = float(true.std(ddof=1))
    rmse = float(np.sqrt((difference**2).mean()))
    bias, sd = float(difference.mean()), float(difference.std(ddof=1))
    total = float(((true - true.mean()) ** 2).sum())
    varies = min(found.std(), true.std()) > 1e-12
    return Agreement(
        n=len(true), missing=missing,
        r=float(np.corrcoef(found, true)[0, 1]) if varies else float("nan"),
        r2=1 - float((difference**2).sum()) / total if spread > 1e-12 else float("nan"),
        mae=float(np.abs(difference).mean()), rmse=rmse,
        sd_targets=spread, rmse_over_sd=rmse / spread if spread > 1e-12 else float("nan"),
        bias=bias, sd_differences=sd, low=bias - NORMAL_95 * sd, high=bias + NORMAL_95 * sd,
    )  # fmt: skip


def _pairs(found: np.ndarray, true: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """The whole pairs as float64, and how many are not whole."""
    found, true = np.asarray(found, np.float64), np.asarray(true, np.float64)
    if found.shape != true.shape or found.ndim != 1:
        raise InputError(f"{found.shape} found and {true.shape} true EFs: one of each per clip is expected.")
    whole = np.isfinite(found) & np.isfinite(true)
    return found[whole], true[whole], int((~whole).sum())
