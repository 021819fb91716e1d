"""The grid of ECG paper in a picture: how far the paper is turned, and how many pixels a millimetre has.

A grid is what repeats evenly in both directions, so it is looked for among the spatial frequencies: a peak of the
two-dimensional spectrum near each axis gives the angle; once the picture is turned straight, the distance after which
the mean row (and column) resembles itself gives the spacing. Bold lines, every fifth, tell that the thin ones are 1 mm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

MOST_ANGLE = 7.0  # degrees by which the paper may be turned
WINDOW = 2048  # pixels of the spectrum's window
FINEST, COARSEST = 3.0, 110.0  # pixels between two lines
CLEAR_PEAK = 9.0  # of the spectrum over what is usual near it: noise stays below 6
CLEAR_REPEAT = 0.25  # correlation of the mean row with itself one line further
# Where no line is bold, lines closer than the first are of 1 mm and wider than the second of 5 mm; between them, a
# strip of more boxes than the third has boxes of 1 mm (as many of 5 mm would be 12 s).
CLOSE_LINES, WIDE_LINES, MANY_BOXES = 12.5, 30.0, 60


@dataclass(frozen=True)
class Spacing:
    """Lines in one direction: pixels between two, their first place, and millimetres between two.

    bold     whether every fifth line is bolder, which settles the millimetres
    clarity  0..1, how well the picture repeats itself from line to line
    """

    pixels: float
    first: float
    mm: int
    bold: bool
    clarity: float

    @property
    def pixels_per_mm(self) -> float:
        return self.pixels / self.mm


def paper_angle(ink: np.ndarray) -> tuple[float, float] | None:
    """Degrees by which the paper [h, w] is turned clockwise, and how far its two directions disagree; None: no grid."""
    from scipy.fft import rfft2

    height, width = ink.shape
    rows, columns = min(height, WINDOW), min(width, WINDOW)
    top, left = (height - rows) // 2, (width - columns) // 2
    part = ink[top : top + rows, left : left + columns]
    window = np.hanning(rows)[:, None] * np.hanning(columns)[None]
    size = 1 << (max(rows, columns) - 1).bit_length()
    spectrum = np.abs(rfft2(((part - part.mean()) * window).astype(np.float32), s=(size, size)))
    upright = _peak_angle(spectrum, size)
    # the spectrum of a real picture is symmetric: the half with fy > 0 lies in rows of the upper half
    other = np.abs(rfft2(((part - part.mean()) * window).T.astype(np.float32), s=(size, size)))
    level = _peak_angle(other, size)
    if upright is None or level is None:
        return None
    level = -level
    return (upright + level) / 2, abs(upright - level)


def _peak_angle(spectrum: np.ndarray, size: int) -> float | None:
    """Degrees of the strongest peak near the second axis of a spectrum [size, size // 2 + 1]; None without one."""
    first, last = int(size / COARSEST), int(size / FINEST)
    best = (0.0, 0, 0)
    for k in range(first, last):
        near = int(np.ceil(k * np.tan(np.radians(MOST_ANGLE)))) + 1
        wide = int(np.ceil(k * np.tan(np.radians(25)))) + 12
        column = spectrum[np.arange(-wide, wide + 1) % size, k]
        usual = np.median(column) + 1e-9
        inner = column[wide - near : wide + near + 1]
        at = int(np.argmax(inner))
        if inner[at] / usual > best[0]:
            best = (float(inner[at] / usual), at - near, k)
    if best[0] < CLEAR_PEAK:
        return None
    _, y, k = best
    row = spectrum[np.arange(y - 1, y + 2) % size, k]
    along = spectrum[y % size, k - 1 : k + 2]
    return float(np.degrees(np.arctan2(y + _vertex(row), k + _vertex(along))))


def _vertex(three: np.ndarray) -> float:
    """Where a parabola through three values has its top, from the middle one."""
    curve = three[0] - 2 * three[1] + three[2]
    return 0.0 if curve == 0 else float(np.clip(0.5 * (three[0] - three[2]) / curve, -0.5, 0.5))


def line_spacing(ink: np.ndarray) -> Spacing | None:
    """The upright lines of the straightened ink [h, w]; None where nothing repeats."""
    from scipy.ndimage import uniform_filter1d

    profile = np.minimum(ink, max(float(np.percentile(ink, 85)), 0.02)).mean(0)  # not the trace, which is darker
    count = len(profile)
    flat = profile - uniform_filter1d(profile, min(count, int(1.5 * COARSEST)) | 1, mode="nearest")
    flat = np.clip(flat, *np.percentile(flat, (0.5, 99.5)))  # the edge of the paper is no line
    power = np.abs(np.fft.rfft(flat, 2 * count)) ** 2
    repeat = np.fft.irfft(power)[:count]
    longest = int(min(COARSEST * 5, count // 3))
    if longest < 8 or repeat[0] <= 0:
        return None
    every = repeat
    repeat = repeat[: longest + 1] / repeat[0] * count / (count - np.arange(longest + 1))
    peaks = [i for i in range(2, longest) if repeat[i] > repeat[i - 1] and repeat[i] >= repeat[i + 1]]
    peaks = [i for i in peaks if FINEST <= i + _vertex(repeat[i - 1 : i + 2])]
    highest = max((repeat[i] for i in peaks), default=0.0)
    if highest < CLEAR_REPEAT:
        return None
    lag = next(i for i in peaks if repeat[i] > 0.55 * highest)
    if lag > COARSEST:
        return None
    pixels, first = _refined(flat, every, lag + _vertex(repeat[lag - 1 : lag + 2]))
    strengths = _strengths(np.median(ink, axis=0), pixels, first)  # most of a line is not crossed by the trace
    phases = np.array([np.median(strengths[k::5]) for k in range(5)]) if len(strengths) >= 15 else np.ones(5)
    rest = np.sort(phases)[:4]
    bold = bool(phases.max() > 0 and phases.max() - rest.mean() > max(0.15 * rest.mean(), 4 * rest.std()))
    close = pixels < CLOSE_LINES or (pixels < WIDE_LINES and count / pixels > MANY_BOXES)
    mm = 1 if bold or close else 5
    return Spacing(pixels, first, mm, bold, float(np.clip(repeat[lag], 0, 1)))


def _refined(flat: np.ndarray, repeat: np.ndarray, pixels: float) -> tuple[float, float]:
    """The spacing told ever more exactly, and the place of the first line.

    How well the profile repeats itself five lines further is looked up, then ten, twenty and so on: an error of the
    spacing grows with each step until it shows. Five, since bold lines repeat after five, and blur spares them.
    """
    lines = 5
    while lines * pixels < 0.6 * len(flat):
        reach = max(2, int(0.4 * pixels))
        middle = round(lines * pixels)
        near = repeat[middle - reach : middle + reach + 1]
        at = int(np.argmax(near))
        if not 0 < at < len(near) - 1:
            break
        pixels = (middle - reach + at + _vertex(near[at - 1 : at + 2])) / lines
        lines *= 2
    first = float(-np.angle(_comb(flat, np.arange(len(flat)), pixels)) / (2 * np.pi) * pixels) % pixels
    return pixels, first


def _comb(flat: np.ndarray, at: np.ndarray, pixels: float) -> complex:
    return complex(np.sum(flat * np.exp(-2j * np.pi * at / pixels)))


def _strengths(flat: np.ndarray, pixels: float, first: float) -> np.ndarray:
    """How strong each line is: the largest value near its place."""
    reach = max(1, int(pixels / 4))
    places = np.arange(first, len(flat) - 1, pixels).round().astype(int)
    return np.array([flat[max(0, place - reach) : place + reach + 1].max() for place in places])
