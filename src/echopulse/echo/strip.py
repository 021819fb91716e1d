"""Strips: a curve over time on a grid, with a cursor; the ECG and the ventricle's volume are drawn as such."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from echopulse.echo.canvas import (
    DIM,
    GRID,
    GRID_SECOND,
    PANEL,
    TEXT,
    Colour,
    Scale,
    blend,
    disc_alpha,
    line_alpha,
    stamp,
)

GRID_S = 0.2  # one large square of ECG paper at 25 mm/s
GRID_MV = 0.5  # and at 10 mm/mV


@dataclass(frozen=True)
class Strip:
    """One page of a curve, drawn twice: as it looks before and after the cursor has passed."""

    dim: np.ndarray  # uint8 [h, w, 3]
    bright: np.ndarray  # uint8 [h, w, 3]
    scale: Scale
    times_s: np.ndarray  # float64 [n]
    values: np.ndarray  # float64 [n]
    colour: Colour

    def at(self, time_s: float) -> np.ndarray:
        """The strip with its cursor at a time -> uint8 [h, w, 3]."""
        x = int(np.clip(round(float(self.scale.x(time_s))), 0, self.scale.width - 1))
        strip = self.dim.copy()
        strip[:, :x] = self.bright[:, :x]
        blend(strip[:, x : x + 1], TEXT, np.full((self.scale.height, 1), 0.55, np.float32))
        value = float(np.interp(time_s, self.times_s, self.values)) if len(self.times_s) else float("nan")
        if np.isfinite(value):
            y = float(np.clip(self.scale.y(value), 0, self.scale.height - 1))
            unit = self.scale.height / 120
            stamp(strip, self.colour, 0.35 * disc_alpha(5.5 * max(unit, 0.7)), x, y)
            stamp(strip, TEXT, disc_alpha(2.6 * max(unit, 0.7)), x, y)
        return strip


def draw_strip(
    times_s: np.ndarray, values: np.ndarray, scale: Scale, colour: Colour, *, grid_value: float | None = None,
    thickness: float = 1.7, fill: bool = False,
) -> Strip:  # fmt: skip
    """Draw a curve (float [n] over seconds [n]) on its grid; NaN leaves gaps; `fill` shades what lies under it."""
    inside = (times_s >= scale.start_s - 0.25) & (times_s <= scale.stop_s + 0.25)  # lines run on over the edges
    times_s, values = times_s[inside], values[inside]
    ground = _grid(scale, grid_value)
    points = np.stack([scale.x(times_s), np.clip(scale.y(values), 1, scale.height - 2)], axis=1)
    runs = np.split(points, np.nonzero(~np.isfinite(values))[0])
    runs = [run[np.isfinite(run).all(axis=1)] for run in runs]
    alpha = line_alpha(scale.width, scale.height, runs, thickness)
    dim, bright = ground.copy(), ground
    if fill and len(points):
        heights = np.interp(np.arange(scale.width) + 0.5, points[:, 0], np.nan_to_num(points[:, 1], nan=scale.height))
        below = np.clip(np.arange(scale.height)[:, None] + 0.5 - heights[None], 0, 1).astype(np.float32)
        below[:, int(points[-1, 0]) + 1 :] = 0
        blend(dim, colour, 0.06 * below)
        blend(bright, colour, 0.16 * below)
    blend(dim, colour, DIM * alpha)
    blend(bright, colour, alpha)
    return Strip(dim, bright, scale, times_s, np.asarray(values, np.float64), colour)


def _grid(scale: Scale, grid_value: float | None) -> np.ndarray:
    """The squares behind a curve, uint8 [h, w, 3]: every 0.2 s, full seconds brighter, and every `grid_value`."""
    ground = np.empty((scale.height, scale.width, 3), np.uint8)
    ground[:] = PANEL
    if grid_value is not None:
        for k in range(int(np.ceil(scale.low / grid_value)), int(np.floor(scale.high / grid_value)) + 1):
            ground[min(int(scale.y(k * grid_value)), scale.height - 1)] = GRID
    for full_second in (False, True):
        for k in range(int(np.ceil(scale.start_s / GRID_S)), int(np.ceil(scale.stop_s / GRID_S))):
            if (k % 5 == 0) == full_second:
                ground[:, min(int(scale.x(k * GRID_S)), scale.width - 1)] = GRID_SECOND if full_second else GRID
    return ground


def ecg_curve(ecg: Any) -> tuple[np.ndarray, np.ndarray, str]:
    """The first lead of an ECG: seconds float64 [n], mV float64 [n] about its median, and the lead's name."""
    values = np.asarray(ecg.samples[0], np.float64)
    finite = values[np.isfinite(values)]
    times_s = ecg.start_s + np.arange(len(values)) / ecg.rate_hz
    return times_s, values - (np.median(finite) if len(finite) else 0.0), str(ecg.leads[0]) if ecg.leads else ""


def ecg_scale(
    times_s: np.ndarray,
    values: np.ndarray,
    window: tuple[float, float],
    width: int,
    height: int,
    page: tuple[float, float],
) -> Scale:
    """Where a page of an ECG is drawn: the gain is one for the whole `window`, and as on paper unless it does not fit.

    On paper a 0.2 s square is 0.5 mV high. The gain is halved until the middle 99.6 % of the curve fits, and
    doubled once, at most, when it fills less than a third.
    """
    inside = values[(times_s >= window[0]) & (times_s <= window[1]) & np.isfinite(values)]
    low, high = np.percentile(inside, [0.2, 99.8]) if len(inside) else (-0.5, 0.5)
    low, high = min(float(low), -0.1), max(float(high), 0.1)
    square = GRID_S / (page[1] - page[0]) * width  # pixels
    gain = square / GRID_MV  # pixels per mV
    room = 0.86 * height
    while (high - low) * gain > room:
        gain /= 2
    if (high - low) * gain * 2 < room and (high - low) * gain < room / 3:
        gain *= 2
    middle = (low + high) / 2
    return Scale(width, height, page[0], page[1], middle - height / gain / 2, middle + height / gain / 2)
