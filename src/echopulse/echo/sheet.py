"""Sheets: the moments that matter on one page, and rows of frames over time to compare by eye."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from echopulse.echo.canvas import (
    GROUND,
    MUTED,
    TEXT,
    TRACE,
    VOLUME,
    WARNING,
    Colour,
    blend,
    enlarge,
    font,
    line_alpha,
    pill,
    write,
)
from echopulse.echo.description import VIEW_NAMES, notice
from echopulse.echo.render import heart_rate, volume_scale
from echopulse.echo.strip import GRID_MV, Strip, draw_strip, ecg_curve, ecg_scale
from echopulse.echo.types import Clip

MOST_BEATS = 8
MARGIN, GAP = 32, 10
HEADER, FOOTER = 64, 44
ECG_HEIGHT, VOLUME_HEIGHT = 150, 70
LABEL_WIDTH = 54
ED_COLOUR, ES_COLOUR = TEXT, VOLUME


def contact_sheet(
    clip: Clip, *, ecg: Any = None, beats: Any = None, measurement: Any = None,
    ed_frames: Sequence[int] | None = None, es_frames: Sequence[int] | None = None,
) -> np.ndarray:  # fmt: skip
    """End-diastole over end-systole of each beat, and where they lie on the ECG -> uint8 [h, w, 3].

    The frames are the measurement's, or the lists given; with neither, eight frames evenly spread.
    At most 8 beats are shown; the footer says when there are more.
    """
    rows, more = _moments(clip, measurement, ed_frames, es_frames)
    columns = max(len(frames) for _, frames, _ in rows)
    thumb = min(256, max(150, (1240 - LABEL_WIDTH) // max(columns, 3) - GAP))
    inner = max(LABEL_WIDTH + columns * (thumb + GAP) - GAP, 640)
    heights = [thumb + 26] * len(rows)
    strip_top = HEADER + sum(heights) + 36
    ecg_bottom = strip_top + (ECG_HEIGHT if ecg is not None else -36)
    volume_top = ecg_bottom + 34
    bottom = volume_top + VOLUME_HEIGHT if measurement is not None else ecg_bottom
    canvas = _page(clip, inner + 2 * MARGIN, bottom + FOOTER, beats, measurement, more)
    for (name, frames, colour), top in zip(rows, HEADER + np.cumsum([0, *heights[:-1]]), strict=True):
        _row(canvas, clip, name, frames, colour, int(top), thumb, measurement)
    window = (float(clip.times_s[0]), float(clip.times_s[0]) + max(clip.duration_s, 0.04))
    if ecg is not None:
        times_s, values, lead = ecg_curve(ecg)
        scale = ecg_scale(times_s, values, window, inner, ECG_HEIGHT, window)
        strip = draw_strip(times_s, values, scale, TRACE, grid_value=GRID_MV)
        _place(canvas, strip, rows, clip, strip_top, f"ECG  {lead}", f"grid 0.2 s, {GRID_MV:g} mV")
    if measurement is not None:
        volumes = np.asarray(measurement.volumes, np.float64)
        scale = volume_scale(volumes, inner, VOLUME_HEIGHT, window)
        strip = draw_strip(clip.times_s, volumes, scale, VOLUME, fill=True)
        unit = ", ml" if measurement.volume_unit == "ml" else ""
        _place(canvas, strip, rows, clip, volume_top, f"left ventricle, volume{unit}", "")
    return canvas


def strip_sheet(clips: Sequence[Clip], labels: Sequence[str], every_s: float = 0.2, thumb: int = 112) -> np.ndarray:
    """One row of frames a clip, one column every `every_s` seconds, to compare by eye -> uint8 [h, w, 3]."""
    from PIL import Image, ImageDraw

    if len(clips) != len(labels) or not clips:
        raise ValueError(f"{len(clips)} clips need as many labels, got {len(labels)}")
    columns = max(1 + int((clip.times_s[-1] - clip.times_s[0]) / every_s + 1e-6) for clip in clips)
    side = 20 + round(max(font(12).getlength(label) for label in labels))
    image = Image.new("RGB", (side + columns * (thumb + 3) + 8, 28 + len(clips) * (thumb + 3) + 8), GROUND)
    draw = ImageDraw.Draw(image)
    for k in range(columns):
        write(draw, (side + k * (thumb + 3) + thumb / 2, 19), f"{k * every_s:.2f} s", 10, MUTED, anchor="ms")
    canvas = np.array(image)
    for row, clip in enumerate(clips):
        top = 28 + row * (thumb + 3)
        for k in range(columns):
            wanted_s = float(clip.times_s[0]) + k * every_s
            if wanted_s > clip.times_s[-1] + 0.5 * every_s:
                break
            frame = clip.frames[int(np.abs(clip.times_s - wanted_s).argmin())]
            left = side + k * (thumb + 3)
            canvas[top : top + thumb, left : left + thumb] = enlarge(frame, thumb, thumb)[..., None]
    image = Image.fromarray(canvas)
    for row, label in enumerate(labels):
        write(ImageDraw.Draw(image), (10, 28 + row * (thumb + 3) + thumb / 2), label, 12, anchor="lm")
    return np.asarray(image)


def _moments(
    clip: Clip, measurement: Any, ed_frames: Sequence[int] | None, es_frames: Sequence[int] | None
) -> tuple[list[tuple[str, list[int], Colour]], int]:
    """The rows of the sheet as (name, frame indices, colour), and how many beats were left out."""
    if measurement is not None and ed_frames is None and es_frames is None:
        ed_frames, es_frames = measurement.ed_frames, measurement.es_frames
    ed, es = ([int(i) for i in frames] if frames is not None else [] for frames in (ed_frames, es_frames))
    rows: list[tuple[str, list[int], Colour]] = [("ED", ed[:MOST_BEATS], ED_COLOUR), ("ES", es[:MOST_BEATS], ES_COLOUR)]
    rows = [row for row in rows if row[1]]
    if not rows:
        spread = np.unique(np.linspace(0, len(clip.frames) - 1, 8).round().astype(int))
        rows = [("", spread[k : k + 4].tolist(), TEXT) for k in range(0, len(spread), 4)]
    return rows, max(len(ed), len(es)) - MOST_BEATS


def _page(clip: Clip, width: int, height: int, beats: Any, measurement: Any, more: int) -> np.ndarray:
    """The page with its header and footer, uint8 [height, width, 3]."""
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (width, height), GROUND)
    draw = ImageDraw.Draw(image)
    x = MARGIN + write(draw, (MARGIN, 40), "EchoPulse", 17, bold=True) + 16
    rate = heart_rate(beats, measurement)
    fraction = float(measurement.ef) if measurement is not None else float("nan")
    facts = [VIEW_NAMES.get(clip.view, clip.view)] if clip.view is not None else []
    facts += [f"{rate:.0f} beats/min"] if np.isfinite(rate) else []
    facts += [f"EF {100 * fraction:.0f} %"] if np.isfinite(fraction) else []
    write(draw, (x, 40), "    ".join(facts), 13, MUTED)
    if clip.synthetic:
        pill(image, width - MARGIN, 34, "SYNTHETIC", 12, WARNING)
    words = notice(clip)
    if more > 0:
        words += f" The first {MOST_BEATS} of {MOST_BEATS + more} beats are shown."
    write(draw, (MARGIN, height - 18), words, 11, MUTED)
    return np.array(image)


def _row(
    canvas: np.ndarray, clip: Clip, name: str, frames: list[int], colour: Colour, top: int, thumb: int, measurement: Any
) -> None:
    """One row of pictures with the outline of the ventricle and the time under each."""
    from PIL import Image, ImageDraw

    lefts = [MARGIN + LABEL_WIDTH + column * (thumb + GAP) for column in range(len(frames))]
    for left, index in zip(lefts, frames, strict=True):
        picture = enlarge(clip.frames[index], thumb, thumb)[..., None].repeat(3, axis=2)
        if measurement is not None:
            blend(picture, colour, 0.75 * _outline(np.asarray(measurement.masks[index]), thumb))
        canvas[top : top + thumb, left : left + thumb] = picture
    image = Image.fromarray(canvas[top : top + thumb + 26])
    draw = ImageDraw.Draw(image)
    write(draw, (MARGIN, thumb / 2), name, 18, colour, bold=True, anchor="lm")
    for column, (left, index) in enumerate(zip(lefts, frames, strict=True)):
        number = f"{name} {column + 1}   " if name else ""
        words = f"{number}{clip.times_s[index]:.2f} s"
        if measurement is not None and measurement.volume_unit == "ml" and np.isfinite(measurement.volumes[index]):
            words += f"   {measurement.volumes[index]:.0f} ml"
        write(draw, (left, thumb + 16), words, 11, MUTED)
    canvas[top : top + thumb + 26] = np.asarray(image)


def _outline(mask: np.ndarray, size: int) -> np.ndarray:
    """The edge of a mask bool [h, w], enlarged and smoothed -> float32 [size, size], 0..1."""
    soft = enlarge(mask.astype(np.uint8) * 255, size, size).astype(np.float32) / 255.0
    slope = np.hypot(*np.gradient(soft))
    distance = np.abs(soft - 0.5) / np.maximum(slope, 1e-3)  # pixels from the half-way line
    return np.where(slope > 0.02, np.clip(1.4 - distance, 0, 1), 0).astype(np.float32)


def _place(
    canvas: np.ndarray, strip: Strip, rows: list[tuple[str, list[int], Colour]], clip: Clip, top: int, left_words: str,
    right_words: str,
) -> None:  # fmt: skip
    """Put a strip on the page with its heading and a marked line at every moment that is shown above."""
    from PIL import Image, ImageDraw

    picture, scale = strip.bright.copy(), strip.scale
    for name, frames, colour in rows:
        for index in frames:
            x = float(scale.x(clip.times_s[index]))
            pattern = [np.array([[x, y], [x, y + 3.0]]) for y in range(0, scale.height, 6)]
            solid = [np.array([[x, 0.0], [x, float(scale.height)]])]
            blend(picture, colour, 0.6 * line_alpha(scale.width, scale.height, pattern if name == "ES" else solid, 1.2))
    canvas[top : top + scale.height, MARGIN : MARGIN + scale.width] = picture
    image = Image.fromarray(canvas[top - 26 : top + scale.height])
    draw = ImageDraw.Draw(image)
    write(draw, (MARGIN, 14), left_words, 11, MUTED)
    write(draw, (MARGIN + scale.width, 14), right_words, 11, MUTED, anchor="rs")
    if right_words:
        for name, frames, colour in rows:
            for column, index in enumerate(frames):
                x = float(scale.x(clip.times_s[index]))
                words = f"{name} {column + 1}" if name else f"{clip.times_s[index]:.2f} s"
                y = 26 + (14 if name != "ES" else scale.height - 8)
                if x + 5 + font(10).getlength(words) < scale.width:
                    write(draw, (MARGIN + x + 5, y), words, 10, colour)
                else:
                    write(draw, (MARGIN + x - 5, y), words, 10, colour, anchor="rs")
    canvas[top - 26 : top + scale.height] = np.asarray(image)
