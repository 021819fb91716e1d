"""GIFs: one fixed palette, so that no frame flickers, and times that do not drift."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from echopulse.echo.canvas import GRID, GRID_SECOND, GROUND, MUTED, PANEL, TEXT, TRACE, VOLUME, WARNING
from echopulse.echo.types import Clip

SHORTEST_FRAME_S = 0.02  # browsers slow down anything shorter
GREYS, SHADES = 64, 36  # of the 256 colours: for the picture (speckle hides the steps), and for each page colour
COLOURS = (TRACE, VOLUME, WARNING, TEXT, MUTED)


def write_gif(clip: Clip, frames: Iterator[np.ndarray], path: Path, comment: str) -> None:
    """Write frames uint8 [h, w, 3] as a loop, times rounded to 1/100 s; skips what is too short for browsers."""
    from PIL import Image

    step_s = clip.frame_interval_s if len(clip.frames) > 1 else 0.1
    starts_s = np.append(clip.times_s, clip.times_s[-1] + step_s) - clip.times_s[0]
    palette = _palette()
    table = _nearest(palette)
    kept, pages = [], []
    for index, picture in enumerate(frames):
        if kept and starts_s[index] - starts_s[kept[-1]] < SHORTEST_FRAME_S - 1e-6:
            continue
        page = Image.fromarray(_indices(picture, table), mode="P")
        page.putpalette(palette.ravel().tolist())
        kept.append(index)
        pages.append(page)
    edges = np.rint(100 * np.append(starts_s[kept], starts_s[-1])).astype(int)
    durations = [int(10 * hundredths) for hundredths in np.maximum(np.diff(edges), 1)]
    pages[0].save(
        path, "GIF", save_all=True, append_images=pages[1:], duration=durations, loop=0, comment=comment.encode(),
        optimize=False, disposal=1,
    )  # fmt: skip


def _palette() -> np.ndarray:
    """uint8 [256, 3]: an even row of greys, the page's flat colours, and shades from the panel to each bright one."""
    greys = np.repeat(np.linspace(0, 255, GREYS)[:, None], 3, axis=1)
    panel = np.asarray(PANEL, np.float64)
    shades = [panel + (np.asarray(colour) - panel) * np.linspace(0.04, 1, SHADES)[:, None] for colour in COLOURS]
    colours = np.concatenate([greys, np.asarray([GROUND, PANEL, GRID, GRID_SECOND]), *shades])
    padded = np.concatenate([colours, np.zeros((256 - len(colours), 3))])
    return np.rint(padded).astype(np.uint8)


def _nearest(palette: np.ndarray) -> np.ndarray:
    """For each colour of 5 bits a channel the index of the nearest in the palette, uint8 [32768]."""
    bins = np.stack(np.meshgrid(*[np.arange(32) * 8 + 4] * 3, indexing="ij"), axis=-1).reshape(-1, 3).astype(np.float32)
    used = palette[: GREYS + 4 + SHADES * len(COLOURS)].astype(np.float32)
    table = (-2 * bins @ used.T + (used**2).sum(axis=1)).argmin(axis=1).astype(np.uint8)
    flat = np.arange(GREYS, GREYS + 4)
    table[_key(palette[flat])] = flat  # the grounds keep their exact tint
    return table


def _key(colours: np.ndarray) -> np.ndarray:
    """uint8 [..., 3] -> the index of its 5-bit colour in the table of `_nearest`."""
    wide = colours.astype(np.int32) >> 3
    return (wide[..., 0] << 10) | (wide[..., 1] << 5) | wide[..., 2]


def _indices(picture: np.ndarray, table: np.ndarray) -> np.ndarray:
    """uint8 [h, w, 3] -> palette indices uint8 [h, w]; greys exactly, other colours by the table."""
    red, green, blue = picture[..., 0], picture[..., 1], picture[..., 2]
    grey = np.rint(np.arange(256) * ((GREYS - 1) / 255)).astype(np.uint8)
    return np.where((red == green) & (green == blue), grey[red], table[_key(picture)])
