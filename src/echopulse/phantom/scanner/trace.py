"""The ECG as scanners burn it into the picture: a thin trace that is swept, scrolled, or passed by a cursor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from echopulse.echo.canvas import Colour, blend, disc_alpha, line_alpha, stamp

MODES = ("sweep", "scroll", "cursor")
GAP = 0.04  # of the strip that a sweep wipes before it writes
ROOM = 0.86  # of the strip's height that the trace may fill


@dataclass(frozen=True)
class Trace:
    """A strip of `width` x `height` pixels that shows `seconds` of an ECG."""

    times_s: np.ndarray  # float64 [n]
    samples_mv: np.ndarray  # float64 [n], NaN where nothing was recorded
    width: int
    height: int
    seconds: float
    start_s: float  # time at the left edge of the first sweep, or of the page that a cursor passes
    mode: str  # one of MODES
    colour: Colour
    thickness: float
    mv_per_pixel: float
    middle_mv: float  # at half the height

    def draw(self, ground: np.ndarray, time_s: float) -> None:
        """Print the strip as it stands at `time_s` over uint8 [height, width, 3], in place."""
        left, stop = self._page(time_s)
        shown = (self.times_s >= stop - self.seconds * (1 - GAP)) & (self.times_s <= stop)
        times, values = self.times_s[shown], self.samples_mv[shown]
        y = np.clip(self._row(values), 1, self.height - 2)
        x = (times - left) / self.seconds * self.width
        if self.mode == "sweep":  # what the sweep before has left stands to the right of the gap
            runs = [(x[times >= left], y[times >= left]), (x[times < left] + self.width, y[times < left])]
        else:
            runs = [(x, y)]
        lines = [piece for run in runs for piece in _unbroken(*run)]
        blend(ground, self.colour, line_alpha(self.width, self.height, lines, self.thickness))
        self._mark(ground, (time_s - left) / self.seconds * self.width, time_s)

    def _page(self, time_s: float) -> tuple[float, float]:
        """Time at the left edge, and of the newest sample shown."""
        if self.mode == "scroll":
            return time_s - self.seconds * (1 - GAP), time_s
        if self.mode == "cursor":
            return self.start_s, self.start_s + self.seconds
        turns = np.floor((time_s - self.start_s) / self.seconds)
        return self.start_s + turns * self.seconds, time_s

    def _row(self, values_mv: np.ndarray | float) -> np.ndarray:
        return self.height / 2 - (np.asarray(values_mv) - self.middle_mv) / self.mv_per_pixel

    def _mark(self, ground: np.ndarray, x: float, time_s: float) -> None:
        """Where the picture is on the trace: a bar in the middle of a sweep or page, else a dot at its end."""
        if self.mode == "cursor":
            column = int(np.clip(round(x), 0, self.width - 1))
            blend(ground[:, column : column + 1], (235, 235, 235), np.full((self.height, 1), 0.75, np.float32))
            return
        value = np.interp(time_s, self.times_s, self.samples_mv) if len(self.times_s) else float("nan")
        if np.isfinite(value):
            y = float(np.clip(self._row(value), 1, self.height - 2))
            stamp(ground, self.colour, disc_alpha(1.4 * self.thickness), min(x, self.width - 1.0), y)


def _unbroken(x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
    """A curve as runs of points float [n, 2] without NaN."""
    pieces = np.split(np.stack([x, y], 1), np.nonzero(~np.isfinite(y))[0])
    return [piece[np.isfinite(piece).all(1)] for piece in pieces if len(piece) > 1]


def lay_trace(
    ecg: tuple[np.ndarray, np.ndarray], width: int, height: int, seconds: float, span_s: tuple[float, float], mode: str,
    colour: Colour, thickness: float,
) -> Trace:  # fmt: skip
    """A strip for an ECG (samples mV [n], times s [n]) beside pictures from `span_s[0]` to `span_s[1]`.

    The gain is set once, so that the middle 99.6 % of what will be seen fits. A page with a cursor holds all the
    pictures, with as much of the ECG before and after them as it has room for.
    """
    samples, times = np.asarray(ecg[0], np.float64), np.asarray(ecg[1], np.float64)
    start = span_s[0]
    if mode == "cursor":
        seconds = max(seconds, 1.02 * (span_s[1] - span_s[0]))
        start = span_s[0] - 0.7 * (seconds - (span_s[1] - span_s[0]))
    elif mode == "sweep":
        start = span_s[0] - 0.3 * seconds
    seen = samples[(times >= span_s[0] - seconds) & (times <= span_s[1] + seconds) & np.isfinite(samples)]
    low, high = np.percentile(seen, [0.2, 99.8]) if len(seen) else (-0.5, 0.5)
    reach = max(float(high - low), 0.4)  # mV: a flat line stays flat
    return Trace(
        times, samples, width, height, seconds, start, mode, colour, thickness, reach / (ROOM * height),
        float(low + high) / 2,
    )  # fmt: skip
