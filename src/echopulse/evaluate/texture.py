"""What a clip's grain is like, in four figures that are compared between an original and what became of it."""

from __future__ import annotations

import numpy as np

from echopulse.evaluate.known import mean_known
from echopulse.evaluate.phantom.image import BACKGROUND_SIGMA, TISSUE, grain_widths, local_contrast

EVERY = 12  # frames; neighbours have the same grain
FIGURES = ("contrast", "down", "across", "lasting")


def texture_of(frames: np.ndarray, sector: np.ndarray) -> dict[str, float]:
    """Of frames [t, h, w] in 0..1 and their sector bool [h, w].

    `contrast`: standard deviation over mean in windows of 7 x 7 px of tissue. `down`, `across`: widths of the grain's
    autocorrelation at half height, px. `lasting`: correlation of the grain of tissue with that of the next frame at the
    same place. NaN where a clip shows no tissue.
    """
    some = frames[::EVERY].astype(np.float64)
    widths = [grain_widths(frame, sector) for frame in some]
    contrast = [local_contrast(frame, sector) for frame in some]
    pairs = [grain_correlation(frames[k], frames[k + 1], sector) for k in range(0, len(frames) - 1, EVERY // 2)]
    columns = (contrast, *zip(*widths, strict=True), pairs)
    return {name: mean_known(column) for name, column in zip(FIGURES, columns, strict=True)}


def grain_correlation(first: np.ndarray, second: np.ndarray, sector: np.ndarray) -> float:
    """Correlation of two frames [h, w] in 0..1 less their background, where both show tissue; NaN without tissue."""
    (fine, mean), (next_fine, next_mean) = (_fine(frame.astype(np.float64), sector) for frame in (first, second))
    tissue = sector & (mean > TISSUE) & (next_mean > TISSUE)
    if tissue.sum() < 100:
        return float("nan")
    return float(np.corrcoef(fine[tissue], next_fine[tissue])[0, 1])


def _fine(frame: np.ndarray, sector: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    from scipy.ndimage import gaussian_filter

    inside = sector.astype(np.float64)
    weight = np.maximum(gaussian_filter(inside, BACKGROUND_SIGMA), 1e-3)
    mean = gaussian_filter(frame * inside, BACKGROUND_SIGMA) / weight
    return frame - mean, mean
