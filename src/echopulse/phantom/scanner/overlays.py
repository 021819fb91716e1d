"""The screen around a picture: depth marks, grey bar, words, an emblem, colour, and the burned-in ECG.

Nothing here copies a vendor: emblem and words are made up, and every screen says that its patient is a phantom.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Generator

from echopulse.echo.canvas import Colour, enlarge
from echopulse.errors import InputError
from echopulse.phantom.scanner.lettering import letters
from echopulse.phantom.scanner.trace import MODES, lay_trace

TRACE_COLOURS: tuple[Colour, ...] = ((40, 230, 90), (60, 220, 235), (240, 225, 70), (235, 235, 235))
# What grey becomes: neutral, sepia, amber, cold blue, violet; colours of white.
TINTS: tuple[Colour, ...] = ((255, 255, 255), (255, 240, 214), (255, 224, 170), (220, 236, 255), (240, 225, 255))
TINT_WEIGHTS = (0.55, 0.18, 0.09, 0.13, 0.05)
DOTS: tuple[Colour, ...] = ((60, 170, 140), (70, 120, 230), (235, 150, 40), (90, 210, 90))
FOCUS = 0.62  # where the focus is marked, relative to the picture's depth
WORDS: Colour = (170, 175, 180)
SMALLEST = 128  # pixels, of a screen's shorter side


@dataclass(frozen=True)
class Look:
    """How one machine arranges its screen."""

    tint: Colour
    trace_colour: Colour
    trace_mode: str  # one of trace.MODES
    trace_s: float  # seconds that the strip shows
    strip_height: float  # relative to the screen's
    strip_overlaps: bool  # the strip lies over the deepest part of the picture, not below it
    picture_x: float  # middle of the picture relative to the screen's width
    ticks_right: bool
    tick_every_cm: int
    dot_right: bool
    dot_colour: Colour
    emblem: int
    grey_bar: bool
    menu: bool  # a row of buttons at the lower edge


@dataclass(frozen=True)
class Box:
    """A part of the screen, in its pixels."""

    left: int
    top: int
    width: int
    height: int

    def of(self, screen: np.ndarray) -> np.ndarray:
        """That part of uint8 [h, w, 3], which may be written to."""
        return screen[self.top : self.top + self.height, self.left : self.left + self.width]


@dataclass(frozen=True)
class Screen:
    """What a scanner's monitor shows, and where on it things are."""

    frames: np.ndarray  # uint8 [t, h, w, 3]
    picture: Box  # the ultrasound
    strip: Box | None  # the ECG
    pixel_spacing_cm: float  # of the ultrasound on this screen
    seconds_per_pixel: float  # of the strip; NaN without one
    mv_per_pixel: float


def draw_look(generator: Generator) -> Look:
    """The screen of one machine."""

    def even(low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=generator))

    def one_of(choices: Any, weights: tuple[float, ...] | None = None) -> Any:
        edges = np.cumsum(weights or (1.0,) * len(choices))
        return choices[min(int(np.searchsorted(edges, even(0, edges[-1]), side="right")), len(choices) - 1)]

    return Look(
        tint=one_of(TINTS, TINT_WEIGHTS),
        trace_colour=one_of(TRACE_COLOURS, (0.5, 0.2, 0.15, 0.15)),
        trace_mode=one_of(MODES),
        trace_s=even(2.0, 5.0),
        strip_height=even(0.09, 0.16),
        strip_overlaps=even(0, 1) < 0.4,
        picture_x=even(0.42, 0.55),
        ticks_right=even(0, 1) < 0.8,
        tick_every_cm=one_of((1, 2, 5), (0.7, 0.1, 0.2)),
        dot_right=even(0, 1) < 0.7,
        dot_colour=one_of(DOTS),
        emblem=one_of((0, 1, 2, 3)),
        grey_bar=even(0, 1) < 0.5,
        menu=even(0, 1) < 0.25,
    )


def print_overlays(
    frames: np.ndarray, sector: np.ndarray, times_s: np.ndarray, *, pixel_spacing_cm: float, look: Look,
    ecg: tuple[np.ndarray, np.ndarray] | None = None, size: tuple[int, int] = (640, 480),
    heart_rate_bpm: float | None = None, fps: float | None = None,
) -> Screen:  # fmt: skip
    """A monitor of `size` (width, height) around pictures uint8 [t, h, w] at `times_s` [t].

    `sector` bool [h, w] is where the scanner draws; `ecg` is (samples mV [n], times s [n]) on the pictures' clock.
    """
    width, height = size
    if min(size) < SMALLEST:
        least = f"take at least {SMALLEST} each way"
        raise InputError(f"a screen of {width} x {height} pixels cannot be printed on; {least}.")
    frames, sector = np.asarray(frames), np.asarray(sector)
    unit = max(round(height / 300), 1)  # pixels per point of the letters
    strip_high = round(look.strip_height * height) if ecg is not None else 0
    foot = 11 * unit if look.menu else 2 * unit
    side = height - foot - 3 * unit - (0 if look.strip_overlaps else strip_high)
    side = min(side, width)
    left = int(np.clip(round(look.picture_x * width - side / 2), 0, width - side))
    picture = Box(left, 2 * unit, side, side)
    strip = Box(unit, height - foot - strip_high, width - 2 * unit, strip_high) if ecg is not None else None

    spacing = pixel_spacing_cm * frames.shape[1] / side
    fixed = _furniture(picture, sector, spacing, look, size, unit, heart_rate_bpm, fps)
    trace = None
    if ecg is not None and strip is not None:
        span = (float(times_s[0]), float(times_s[-1]))
        trace = lay_trace(ecg, strip.width, strip.height, look.trace_s, span, look.trace_mode, look.trace_colour,
                          max(0.9 * unit, 1.0))  # fmt: skip
    colours = (np.arange(256)[:, None] / 255 * np.asarray(look.tint)).astype(np.uint8)
    screens = np.empty((len(frames), height, width, 3), np.uint8)
    for screen, frame, time_s in zip(screens, frames, times_s, strict=True):
        screen[...] = fixed
        place = picture.of(screen)
        np.maximum(place, colours[enlarge(frame, side, side)], out=place)
        if trace is not None and strip is not None:
            trace.draw(strip.of(screen), float(time_s))
    return Screen(
        frames=screens,
        picture=picture,
        strip=strip,
        pixel_spacing_cm=spacing,
        seconds_per_pixel=trace.seconds / trace.width if trace else float("nan"),
        mv_per_pixel=trace.mv_per_pixel if trace else float("nan"),
    )


def _furniture(
    picture: Box, sector: np.ndarray, spacing: float, look: Look, size: tuple[int, int], unit: int,
    heart_rate_bpm: float | None, fps: float | None,
) -> np.ndarray:  # fmt: skip
    """uint8 [h, w, 3]: everything on the screen that never moves."""
    width, height = size
    screen = np.zeros((height, width, 3), np.uint8)
    scale = picture.height / sector.shape[0]
    column = np.nonzero(sector[:, sector.shape[1] // 2])[0]
    skin, deepest = (column[0] * scale, (column[-1] + 1) * scale) if len(column) else (0.0, float(picture.height))
    skin, depth_cm = picture.top + skin, (deepest - skin) * spacing

    # Depth marks beside the picture, and a wedge at the focus.
    x = min(picture.left + picture.width + 3 * unit, width - 16 * unit)
    if not look.ticks_right:
        x = max(picture.left - 3 * unit, 8 * unit)
    for cm in range(0, int(depth_cm) + 1, look.tick_every_cm):
        y = int(skin + cm / spacing)
        screen[y : y + unit, x - (4 if cm % 5 == 0 else 2) * unit : x] = 190
        if cm % 5 == 0 and cm:
            _print(screen, str(cm), x + unit, y - 3 * unit, unit, (190, 190, 190))
    focus = int(skin + FOCUS * (deepest - (skin - picture.top)))
    for k in range(3 * unit):
        screen[focus - 3 * unit + k : focus + 3 * unit - k, x - 8 * unit + k] = (120, 160, 210)

    # Orientation dot beside the sector's top.
    middle = picture.left + picture.width / 2 + (7 if look.dot_right else -7) * unit * 1.3
    rows, columns = np.mgrid[:height, :width]
    screen[np.hypot(rows - skin - unit, columns - middle) < 1.8 * unit] = look.dot_colour

    if look.grey_bar:
        bar = Box(width - 4 * unit, 110 * unit, 2 * unit, 40 * unit)
        shades = np.linspace(1, 0, bar.of(screen).shape[0])[:, None, None] * np.asarray(look.tint)
        bar.of(screen)[...] = shades.astype(np.uint8)
    _emblem(screen, look, unit)
    words = ["PHANTOM", "SIMULATED", f"{fps:.0f}HZ" if fps else "2D", f"{depth_cm:.0f}CM", "", "2D", "GEN", "C 50"]
    x, y = (3 * unit, 18 * unit) if look.ticks_right else (width - 58 * unit, 28 * unit)
    for k, word in enumerate(words):
        _print(screen, word, x, y + 10 * k * unit, unit, WORDS)
    for k, word in enumerate(("MI 0.9", "TIS 0.7")):
        _print(screen, word, width - 46 * unit, (4 + 10 * k) * unit, unit, WORDS)
    if heart_rate_bpm is not None:
        above = (1 - look.strip_height) * height - (22 if look.menu else 12) * unit
        _print(screen, f"HR {heart_rate_bpm:.0f}", width - 46 * unit, int(above), unit, look.trace_colour)
    if look.menu:
        screen[height - 10 * unit :] = (28, 38, 62)
        for k, word in enumerate(("GEN", "SECTOR", "FOCUS", "PAGE 1/3")):
            _print(screen, word, round((0.06 + 0.24 * k) * width), height - 9 * unit, unit, (110, 130, 165))
    return screen


def _emblem(screen: np.ndarray, look: Look, unit: int) -> None:
    """A maker's sign that no maker has: a ring, a square, two bars or a triangle, with a word."""
    rows, columns = np.mgrid[: 12 * unit, : 12 * unit] / unit - 6
    shapes = (
        np.abs(np.hypot(rows, columns) - 4) < 1,
        (np.abs(rows) < 4) & (np.abs(columns) < 4) & (rows + columns < 2),
        (np.abs(rows) < 4) & (np.abs(np.abs(columns) - 2) < 1),
        (np.abs(rows) < 4) & (np.abs(columns) < (rows + 4) / 2),
    )
    colours = ((90, 140, 220), (200, 205, 210), (220, 120, 70), (80, 190, 170))
    corner = screen[2 * unit : 14 * unit, 3 * unit : 15 * unit]
    corner[shapes[look.emblem]] = colours[look.emblem]
    _print(screen, "ECHOPULSE", 18 * unit, 5 * unit, unit, (200, 205, 210))


def _print(screen: np.ndarray, text: str, x: int, y: int, unit: int, colour: Colour) -> None:
    """Write one line with its upper left corner at (x, y), cut at the screen's edges, in place."""
    line = letters(text, unit)
    x, y = max(x, 0), max(y, 0)
    place = screen[y : y + line.shape[0], x : x + line.shape[1]]
    place[line[: place.shape[0], : place.shape[1]]] = colour
