"""The heart rate of clips too short to show two end-diastoles: after how long the pictures come again."""

from __future__ import annotations

import numpy as np

SLOWEST_S, FASTEST_S = 1.6, 0.35  # intervals that are looked for
LEAST_OVERLAP = 2  # frames in which the clip has to overlap with itself
LEAST_RETURN = 0.1  # by how much pictures have to come nearer again after they were farthest
BLUR_PX = 1.5  # of a picture of 128; speckle does not come again, walls do


def recurrence_rate_bpm(frames: np.ndarray, times_s: np.ndarray) -> float:
    """Beats per minute from the lag at which pictures, uint8 [t, h, w], look most like themselves again; NaN if none.

    For every lag the root mean square difference of all pictures that far apart is averaged. It rises as the heart
    leaves its place and falls as it comes back; the rate is 60 over the lag of the minimum behind the maximum, refined
    by a parabola. Where the pictures do not come a tenth nearer again, or the minimum is the last lag, there is none:
    neither for a heart that stands still nor for a clip shorter than a beat.
    """
    from scipy.ndimage import gaussian_filter

    count = len(times_s)
    if count < 5:
        return float("nan")
    step = float(np.median(np.diff(times_s)))
    shortest, longest = max(2, round(FASTEST_S / step)), round(SLOWEST_S / step)
    longest = min(longest, count - LEAST_OVERLAP)
    if longest < shortest + 2:
        return float("nan")
    sigma = BLUR_PX * frames.shape[1] / 128
    soft = gaussian_filter(np.asarray(frames, np.float32), (0, sigma, sigma)).reshape(count, -1)
    lags = np.arange(1, longest + 1)
    apart = np.array([np.sqrt(np.square(soft[lag:] - soft[:-lag]).mean(1)).mean() for lag in lags])
    inside = [i for i in range(shortest - 1, len(lags) - 1) if apart[i] <= min(apart[i - 1], apart[i + 1])]
    returns = [i for i in inside if apart[i] < (1 - LEAST_RETURN) * apart[: i + 1].max()]
    if not returns:
        return float("nan")
    best = min(returns, key=lambda i: apart[i])
    # twice the interval looks as alike as the interval itself: the first that is nearly as good
    best = next(i for i in returns if apart[i] <= 1.1 * apart[best])
    left, middle, right = apart[best - 1 : best + 2]
    bend = left - 2 * middle + right
    shift = 0.5 * (left - right) / bend if bend > 0 else 0.0
    return 60.0 / ((lags[best] + shift) * step)
