"""Colours, type and shapes that the loop and the sheets share: a dark room, few colours, quiet letters."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

Colour = tuple[int, int, int]

GROUND: Colour = (12, 15, 18)
PANEL: Colour = (17, 21, 25)
GRID: Colour = (31, 38, 44)
GRID_SECOND: Colour = (48, 58, 66)
MUTED: Colour = (124, 138, 148)
TEXT: Colour = (221, 227, 231)
TRACE: Colour = (92, 219, 180)  # the ECG
VOLUME: Colour = (120, 178, 245)  # the ventricle
WARNING: Colour = (240, 176, 72)  # SYNTHETIC
DIM = 0.38  # strength of what the cursor has not reached

SMOOTH = 4  # shapes are drawn this much larger and averaged, for soft edges


@lru_cache(maxsize=32)
def font(size: int, bold: bool = False) -> Any:
    """DejaVu Sans as it comes with matplotlib, else Pillow's own face."""
    from PIL import ImageFont

    spec = find_spec("matplotlib")
    if spec is not None and spec.origin is not None:
        face = Path(spec.origin).parent / "mpl-data/fonts/ttf" / ("DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf")
        if face.exists():
            return ImageFont.truetype(str(face), size)
    return ImageFont.load_default(size)


def write(
    draw: Any, at: tuple[float, float], text: str, size: int, colour: Colour = TEXT, *, bold: bool = False,
    anchor: str = "ls", tracking: float = 0.0,
) -> float:  # fmt: skip
    """Write one line and return its width; `anchor` as in Pillow, `tracking` is extra space between letters, pixels."""
    face = font(size, bold)
    if not tracking:
        draw.text(at, text, font=face, fill=colour, anchor=anchor)
        return float(face.getlength(text))
    widths = [face.getlength(letter) + tracking for letter in text]
    x = at[0] - {"l": 0.0, "m": 0.5, "r": 1.0}[anchor[0]] * (sum(widths) - tracking)
    for letter, width in zip(text, widths, strict=True):
        draw.text((x, at[1]), letter, font=face, fill=colour, anchor="l" + anchor[1])
        x += width
    return sum(widths) - tracking


def pill(image: Any, right: float, middle: float, text: str, size: int, colour: Colour) -> None:
    """A word in a rounded outline, its right end at `right` and its middle at `middle`."""
    from PIL import Image, ImageDraw

    tracking = 0.14 * size
    width = sum(font(size, True).getlength(letter) for letter in text) + tracking * (len(text) - 1) + 1.6 * size
    height = 1.9 * size
    box = (round(right - width), round(middle - height / 2), round(right), round(middle + height / 2))
    wide, high = box[2] - box[0], box[3] - box[1]
    shape = Image.new("L", (wide * SMOOTH, high * SMOOTH))
    ImageDraw.Draw(shape).rounded_rectangle(
        (0, 0, wide * SMOOTH - 1, high * SMOOTH - 1), radius=high * SMOOTH // 2, outline=255, width=round(1.4 * SMOOTH)
    )
    image.paste(colour, box[:2], shape.resize((wide, high), Image.Resampling.BOX))
    at = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2 + 0.5)
    write(ImageDraw.Draw(image), at, text, size, colour, bold=True, anchor="mm", tracking=tracking)


def line_alpha(width: int, height: int, points: list[np.ndarray], thickness: float) -> np.ndarray:
    """Soft-edged lines through runs of points float [n, 2] (x, y in pixels) -> float32 [height, width], 0..1."""
    from PIL import Image, ImageDraw

    large = Image.new("L", (width * SMOOTH, height * SMOOTH))
    draw = ImageDraw.Draw(large)
    for run in points:
        path = [(float(x) * SMOOTH, float(y) * SMOOTH) for x, y in run]
        if len(path) > 1:
            draw.line(path, fill=255, width=max(1, round(thickness * SMOOTH)), joint="curve")
    return np.asarray(large.resize((width, height), Image.Resampling.BOX), np.float32) / 255.0


def disc_alpha(radius: float) -> np.ndarray:
    """A soft-edged disc float32 [n, n] with n odd, 0..1."""
    reach = int(np.ceil(radius + 1))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    return np.clip(radius + 0.5 - np.hypot(x, y), 0, 1).astype(np.float32)


def blend(ground: np.ndarray, colour: Colour, alpha: np.ndarray) -> None:
    """Lay a colour over uint8 [h, w, 3], in place, with alpha [h, w] of 0..1."""
    mixed = ground + (np.asarray(colour, np.float32) - ground) * alpha[..., None]
    ground[...] = np.rint(mixed).astype(np.uint8)


def stamp(ground: np.ndarray, colour: Colour, alpha: np.ndarray, x: float, y: float) -> None:
    """Blend a small shape with its middle at (x, y), cut at the edges of `ground`, in place."""
    top, left = round(y) - alpha.shape[0] // 2, round(x) - alpha.shape[1] // 2
    y0, x0 = max(0, top), max(0, left)
    y1, x1 = min(ground.shape[0], top + alpha.shape[0]), min(ground.shape[1], left + alpha.shape[1])
    if y1 > y0 and x1 > x0:
        blend(ground[y0:y1, x0:x1], colour, alpha[y0 - top : y1 - top, x0 - left : x1 - left])


def enlarge(frame: np.ndarray, width: int, height: int) -> np.ndarray:
    """Grey uint8 [h, w] -> uint8 [height, width], smooth."""
    from PIL import Image

    if frame.shape == (height, width):
        return frame
    return np.asarray(Image.fromarray(frame).resize((width, height), Image.Resampling.BICUBIC))


@dataclass(frozen=True)
class Scale:
    """Where seconds and values lie in a strip of `width` x `height` pixels."""

    width: int
    height: int
    start_s: float
    stop_s: float
    low: float  # the value at the bottom edge
    high: float  # at the top edge

    def x(self, time_s: Any) -> Any:
        return (np.asarray(time_s, np.float64) - self.start_s) / (self.stop_s - self.start_s) * self.width

    def y(self, value: Any) -> Any:
        return (self.high - np.asarray(value, np.float64)) / (self.high - self.low) * self.height
