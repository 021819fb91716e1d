"""What pictures look like in figures: grey values, contrast, grain and how alike neighbouring frames are.

Frames are float [t, h, w] in 0..1, the whole picture with the black around the sector unless said otherwise; `sector`
is bool [h, w]. Reference figures are those of five apical clips of one laboratory, 128 x 128 pixels, sector of about
35 degrees to either side: a weak yardstick, which is why the bars are wider than they are.
"""

from __future__ import annotations

import numpy as np

from echopulse.evaluate.known import mean_known

BLACK = 0.06
# Grey values of the five clips at these shares of their pixels: 56.5 % are darker than 0.06, the median is 0.025, ...
REFERENCE_SHARES = (0.0, 0.5, 0.565, 0.9, 0.99, 1.0)
REFERENCE_GREYS = (0.0, 0.025, 0.06, 0.264, 0.535, 1.0)
BACKGROUND_SIGMA = 4.0  # px; what is coarser is anatomy and not grain
LAGS = 12
CONTRAST_WINDOW = 7
TISSUE = 0.15  # mean grey of a window above which it shows tissue


def grey_figures(frames: np.ndarray) -> dict[str, float]:
    """`mean` grey value and `black` fraction of the pixels."""
    return {"mean": float(frames.mean()), "black": float((frames < BLACK).mean())}


def grey_counts(frames: np.ndarray) -> np.ndarray:
    """How many pixels of uint8 frames have each grey value, int64 [256]."""
    return np.bincount(np.asarray(frames, np.uint8).ravel(), minlength=256)


def reference_distance(counts: np.ndarray) -> float:
    """Wasserstein-1 distance between grey values given as counts [256] and the five clips' distribution.

    The integral over the shares u of |Q(u) - Q_ref(u)|, with the reference quantiles joined by straight lines.
    """
    shares = (np.arange(20_000) + 0.5) / 20_000
    reached = np.cumsum(counts) / counts.sum()
    greys = np.searchsorted(reached, shares) / 255
    return float(np.abs(greys - np.interp(shares, REFERENCE_SHARES, REFERENCE_GREYS)).mean())


def neighbour_correlations(frames: np.ndarray) -> np.ndarray:
    """Pearson's r between each frame and the next, float64 [t - 1]."""
    flat = frames.reshape(len(frames), -1).astype(np.float64)
    flat = flat - flat.mean(1, keepdims=True)
    norm = np.sqrt((flat * flat).sum(1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return (flat[:-1] * flat[1:]).sum(1) / (norm[:-1] * norm[1:])


def grain_widths(frame: np.ndarray, sector: np.ndarray) -> tuple[float, float]:
    """Widths (px) at half height of the autocorrelation down and across the picture, background taken off first.

    The background is a Gaussian mean over the sector, sigma 4 px. In the middle of a sector down is along the beam.
    """
    from scipy.ndimage import gaussian_filter

    inside = sector.astype(np.float64)
    weight = np.maximum(gaussian_filter(inside, BACKGROUND_SIGMA), 1e-3)
    fine = np.where(sector, frame - gaussian_filter(frame * inside, BACKGROUND_SIGMA) / weight, 0.0)
    return _half_width(fine, sector), _half_width(fine.T, sector.T)


def _half_width(fine: np.ndarray, inside: np.ndarray) -> float:
    """Full width at half height of the autocorrelation along the first axis; NaN without grain or half."""
    curve = []
    for lag in range(LAGS):
        both = inside[: len(inside) - lag] & inside[lag:]
        curve.append(mean_known((fine[: len(fine) - lag] * fine[lag:])[both]))
    if not curve[0] >= 1e-12:
        return float("nan")
    curve = np.array(curve) / curve[0]
    below = np.flatnonzero(curve < 0.5)
    if not len(below):
        return float("nan")
    k = int(below[0])
    return float(2 * (k - 1 + (curve[k - 1] - 0.5) / (curve[k - 1] - curve[k])))


def local_contrast(frame: np.ndarray, sector: np.ndarray) -> float:
    """Standard deviation over mean in windows of 7 x 7 px that show tissue, averaged; NaN where there is none."""
    from scipy.ndimage import uniform_filter

    mean = uniform_filter(frame, CONTRAST_WINDOW)
    spread = np.sqrt(np.maximum(uniform_filter(frame * frame, CONTRAST_WINDOW) - mean * mean, 0))
    chosen = (mean > TISSUE) & (uniform_filter(sector.astype(np.float64), CONTRAST_WINDOW) > 0.999)
    return float((spread[chosen] / mean[chosen]).mean()) if chosen.any() else float("nan")


def gradient_over_mean(frame: np.ndarray) -> float:
    """Mean length of the grey value's gradient (per px, to the next pixel) over the mean grey value."""
    across, down = np.diff(frame, axis=1)[:-1], np.diff(frame, axis=0)[:, :-1]
    return float(np.hypot(across, down).mean() / max(frame.mean(), 1e-9))
