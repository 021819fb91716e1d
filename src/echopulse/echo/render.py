"""The loop as people see it: the picture, the depth, the ECG below with a cursor that moves with the heart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from echopulse.echo.canvas import (
    GROUND,
    MUTED,
    TEXT,
    TRACE,
    VOLUME,
    WARNING,
    Scale,
    disc_alpha,
    enlarge,
    pill,
    stamp,
    write,
)
from echopulse.echo.description import VIEW_NAMES, notice
from echopulse.echo.strip import GRID_MV, Strip, draw_strip, ecg_curve, ecg_scale
from echopulse.echo.types import Clip

PAGE_S = 6.0  # longer clips turn the strip's page


@dataclass(frozen=True)
class Layout:
    """Where things stand, in pixels; every side is even, as video codecs want it."""

    unit: float  # 1 for a picture of 512 pixels
    width: int
    height: int
    picture: tuple[int, int, int, int]  # left, top, width, height
    margin: int
    figures: int  # baseline of the row of numbers
    ecg: tuple[int, int] | None  # top, height
    volume: tuple[int, int] | None  # top, height
    foot: int  # baseline of the last line

    def px(self, length: float) -> int:
        return round(length * self.unit)

    def type_size(self, size: float) -> int:
        """Letters shrink less than the rest, to stay legible in a small GIF."""
        return max(9, round(size * (0.35 + 0.65 * self.unit)))


@dataclass(frozen=True)
class Rendering:
    """A loop ready to be encoded: frames come one by one as uint8 [height, width, 3]."""

    layout: Layout
    frames: Iterator[np.ndarray]


def render_loop(
    clip: Clip, *, ecg: Any = None, beats: Any = None, measurement: Any = None, picture_px: int = 512
) -> Rendering:
    """Lay out a clip for watching; `picture_px` is the height of the picture itself.

    ecg: an ECG, drawn as a strip; beats: its Beats (marks, heart rate); measurement: a Measurement
    (volume curve, ED and ES marks, ejection fraction).
    """
    layout = _layout(clip, ecg is not None, measurement is not None, picture_px)
    return Rendering(layout, _frames(clip, layout, ecg, beats, measurement))


def heart_rate(beats: Any, measurement: Any) -> float:
    """Beats per minute, of the ECG if there is one, else of the picture; NaN when neither is known."""
    rate = float(beats.heart_rate_bpm) if beats is not None and len(beats.r_peaks_s) > 1 else float("nan")
    return rate if np.isfinite(rate) or measurement is None else float(measurement.heart_rate_bpm)


def _layout(clip: Clip, has_ecg: bool, has_volume: bool, picture_px: int) -> Layout:
    unit = picture_px / 512
    px = lambda length: round(length * unit)  # noqa: E731
    wide = 2 * round(picture_px * clip.frames.shape[2] / clip.frames.shape[1] / 2)
    width = 2 * round((wide + 2 * px(64)) / 2)
    picture = ((width - wide) // 2, px(62), wide, picture_px)
    figures = picture[1] + picture_px + px(44)
    bottom = figures + px(14)
    ecg = volume = None
    if has_ecg:
        ecg = (bottom + px(26), px(124))
        bottom = sum(ecg)
    if has_volume:
        volume = (bottom + px(30), px(64))
        bottom = sum(volume)
    foot = bottom + px(32)
    return Layout(unit, width, 2 * round((foot + px(18)) / 2), picture, px(28), figures, ecg, volume, foot)


def _frames(clip: Clip, layout: Layout, ecg: Any, beats: Any, measurement: Any) -> Iterator[np.ndarray]:
    from PIL import Image, ImageDraw

    ground = _ground(clip, layout, ecg, beats, measurement)
    left, top, wide, high = layout.picture
    start_s, length_s = float(clip.times_s[0]), max(clip.duration_s, 0.04)
    pages = int(np.ceil(length_s / PAGE_S - 1e-9))
    page_s = length_s / pages

    @lru_cache(maxsize=2)
    def strips(page: int) -> list[tuple[int, Strip]]:
        window = (start_s + page * page_s, start_s + (page + 1) * page_s)
        return _strips(layout, (start_s, start_s + length_s), window, ecg, beats, measurement, clip.times_s)

    clock_top = layout.figures - layout.type_size(20) - layout.px(4)
    clock = (layout.width // 2, clock_top, layout.width - layout.margin, layout.figures + layout.px(6))
    for frame, time_s in zip(clip.frames, clip.times_s, strict=True):
        page = min(int((time_s - start_s) / page_s + 1e-9), pages - 1)
        canvas = ground.copy()
        large = enlarge(frame, wide, high)
        for channel in range(3):  # five times as fast as broadcasting over the last axis
            canvas[top : top + high, left : left + wide, channel] = large
        for strip_top, strip in strips(page):
            image = strip.at(float(time_s))
            canvas[strip_top : strip_top + image.shape[0], layout.margin : layout.margin + image.shape[1]] = image
        patch = Image.fromarray(canvas[clock[1] : clock[3], clock[0] : clock[2]])
        _write_clock(ImageDraw.Draw(patch), (patch.width, layout.figures - clock[1]), float(time_s), layout)
        canvas[clock[1] : clock[3], clock[0] : clock[2]] = np.asarray(patch)
        yield canvas


def _write_clock(draw: Any, at: tuple[float, float], time_s: float, layout: Layout) -> None:
    small, large = layout.type_size(11), layout.type_size(20)
    unit = write(draw, at, "s", small, MUTED, anchor="rs")
    figure = write(draw, (at[0] - unit - layout.px(5), at[1]), f"{time_s:.2f}", large, anchor="rs")
    write(draw, (at[0] - unit - figure - layout.px(13), at[1]), "time", small, MUTED, anchor="rs")


def _ground(clip: Clip, layout: Layout, ecg: Any, beats: Any, measurement: Any) -> np.ndarray:
    """All that stands still, uint8 [height, width, 3]."""
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (layout.width, layout.height), GROUND)
    draw = ImageDraw.Draw(image)
    px, size = layout.px, layout.type_size
    middle = px(34)
    name = write(draw, (layout.margin, middle + px(6)), "EchoPulse", size(16), bold=True)
    if clip.view is not None:
        view = VIEW_NAMES.get(clip.view, clip.view)
        write(draw, (layout.margin + name + px(12), middle + px(6)), view, size(12), MUTED)
    if clip.synthetic:
        pill(image, layout.width - layout.margin, middle, "SYNTHETIC", size(11), WARNING)
    left, top, wide, high = layout.picture
    draw.rectangle((left, top, left + wide - 1, top + high - 1), fill=(0, 0, 0))
    if clip.pixel_spacing_cm is not None:
        rows = np.nonzero(clip.sector.any(axis=1))[0] if clip.sector is not None else []
        probe = (int(rows[0]) if len(rows) else 0) / clip.frames.shape[1]
        _depth_ticks(draw, layout, clip.pixel_spacing_cm * clip.frames.shape[1] / high, round(probe * high))
    _figures(draw, layout, beats, measurement)
    if layout.ecg is not None:
        baseline = layout.ecg[0] - px(8)
        lead = ecg_curve(ecg)[2]
        write(draw, (layout.margin, baseline), f"ECG  {lead}" if lead else "ECG", size(11), MUTED)
        right = layout.width - layout.margin
        write(draw, (right, baseline), f"grid 0.2 s, {GRID_MV:g} mV", size(11), MUTED, anchor="rs")
    if layout.volume is not None:
        baseline = layout.volume[0] - px(8)
        write(draw, (layout.margin, baseline), _volume_words(measurement), size(11), MUTED)
    write(draw, (layout.margin, layout.foot), notice(clip), size(11), MUTED)
    return np.array(image)


def _volume_words(measurement: Any) -> str:
    volumes = np.asarray(measurement.volumes, np.float64)
    if measurement.volume_unit != "ml" or not np.isfinite(volumes).any():
        return "left ventricle, volume"
    return f"left ventricle, {np.nanmin(volumes):.0f} to {np.nanmax(volumes):.0f} ml"


def _figures(draw: Any, layout: Layout, beats: Any, measurement: Any) -> None:
    """The row of numbers under the picture: heart rate and ejection fraction."""
    small, large, x = layout.type_size(11), layout.type_size(20), float(layout.margin)
    rate = heart_rate(beats, measurement)
    fraction = float(measurement.ef) if measurement is not None else float("nan")
    for label, value, unit in (("heart rate", rate, "/min"), ("EF", 100 * fraction, "%")):
        if np.isfinite(value):
            x += write(draw, (x, layout.figures), label, small, MUTED) + layout.px(8)
            x += write(draw, (x, layout.figures), f"{value:.0f}", large) + layout.px(4)
            x += write(draw, (x, layout.figures), unit, small, MUTED) + layout.px(26)


def _depth_ticks(draw: Any, layout: Layout, pixel_cm: float, probe: int) -> None:
    """A scale at the right of the picture, from the row of the probe: a tick every centimetre, a number every five."""
    left, top, wide, high = layout.picture
    x, deepest = left + wide + layout.px(10), int((high - probe) * pixel_cm)
    for depth in range(deepest + 1):
        y = top + min(probe + round(depth / pixel_cm), high - 1)
        long = depth % 5 == 0
        draw.line((x, y, x + layout.px(8 if long else 4), y), fill=MUTED if long else (70, 80, 88))
        if long:
            write(draw, (x + layout.px(13), y), f"{depth}" if depth else "cm", layout.type_size(10), MUTED, anchor="lm")


def _strips(
    layout: Layout, whole: tuple[float, float], page: tuple[float, float], ecg: Any, beats: Any, measurement: Any,
    frame_times_s: np.ndarray,
) -> list[tuple[int, Strip]]:  # fmt: skip
    """The strips of one page with their top edges."""
    strips, width = [], layout.width - 2 * layout.margin
    thickness = max(1.25, 1.7 * layout.unit)
    if layout.ecg is not None:
        top, height = layout.ecg
        times_s, values, _ = ecg_curve(ecg)
        scale = ecg_scale(times_s, values, whole, width, height, page)
        strip = draw_strip(times_s, values, scale, TRACE, grid_value=GRID_MV, thickness=thickness)
        if beats is not None:
            _mark_beats(strip, np.asarray(beats.r_peaks_s), layout)
        strips.append((top, strip))
    if layout.volume is not None:
        top, height = layout.volume
        volumes = np.asarray(measurement.volumes, np.float64)
        scale = volume_scale(volumes, width, height, page)
        strip = draw_strip(frame_times_s, volumes, scale, VOLUME, thickness=thickness, fill=True)
        for frames, filled in ((measurement.ed_frames, True), (measurement.es_frames, False)):
            index = np.asarray(frames, int)
            _mark_frames(strip, frame_times_s[index], volumes[index], filled, max(2.2, 3.2 * layout.unit))
        strips.append((top, strip))
    return strips


def volume_scale(volumes: np.ndarray, width: int, height: int, page: tuple[float, float]) -> Scale:
    """Where a page of a volume curve is drawn: its range with a little air."""
    finite = volumes[np.isfinite(volumes)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    air = max(0.2 * (high - low), 0.05 * abs(high), 1e-6)
    return Scale(width, height, page[0], page[1], low - air, high + air)


def _mark_beats(strip: Strip, r_peaks_s: np.ndarray, layout: Layout) -> None:
    """Small ticks at the top edge where the R waves are."""
    reach = max(4, layout.px(7))
    for time_s in r_peaks_s:
        x = int(strip.scale.x(time_s)) if np.isfinite(time_s) else -1
        if 0 <= x < strip.scale.width:
            strip.dim[:reach, x] = strip.bright[:reach, x] = MUTED


def _mark_frames(strip: Strip, times_s: np.ndarray, values: np.ndarray, filled: bool, radius: float) -> None:
    """A dot on the curve at every end-diastole (filled) or end-systole (open)."""
    for x, y in zip(strip.scale.x(times_s), strip.scale.y(values), strict=True):
        for image, strength in ((strip.dim, 0.6), (strip.bright, 1.0)):
            if 0 <= x < strip.scale.width and np.isfinite(y):
                stamp(image, TEXT, strength * disc_alpha(radius), x, y)
                if not filled:
                    stamp(image, GROUND, disc_alpha(radius - 1.3), x, y)
