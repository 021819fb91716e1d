"""A measurement to look at: one page with ED, ES and the curve, and the outline on every frame."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from echopulse.echo.ventricle import outline, simpson_discs
from echopulse.measure.report import NOTICE, UNSURE, caveats_of
from echopulse.measure.types import Measurement
from echopulse.phantom.types import LABELS

if TYPE_CHECKING:
    from echopulse.echo.types import Clip

LINE, DOTS, DISCS, DOUBT = "#ffd24a", "#5cdbb4", "#6f8ea8", "#f0b048"
GROUND, INK, MUTED, CURVE = "#0c0f12", "#dde3e7", "#7c8a94", "#78b2f5"
OTHERS = {"myocardium": "#8c6a5a", "la": "#5a7f9c", "rv": "#6f8f63", "ra": "#7a6f95", "aorta": "#9c5a6a"}
OVERLAY_PX = 512


def plot_page(measurement: Measurement, clip: Clip) -> np.ndarray:
    """ED and ES of the first beat (else the frames of largest and smallest cavity) over the curve: uint8 [h, w, 3].

    Both frames carry outline, discs, apex and annulus. Below, the volume (in other views the area) with every ED and
    ES; where the outline is doubtful the ground is lit.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 8.4), dpi=110, facecolor=GROUND)
    canvas = FigureCanvasAgg(figure)
    grid = figure.add_gridspec(2, 2, height_ratios=(1.6, 1), hspace=0.12, wspace=0.03, left=0.08, right=0.97,
                               top=0.93, bottom=0.11)  # fmt: skip
    for column, (name, frame) in enumerate(_moments(measurement)):
        axes = figure.add_subplot(grid[0, column])
        _show_frame(axes, measurement, clip, frame)
        axes.set_title(f"{name}   {measurement.times_s[frame]:.2f} s", color=INK, fontsize=11)
    _show_curve(figure.add_subplot(grid[1, :]), measurement)
    title = "SYNTHETIC   " if clip.synthetic else ""
    figure.text(0.08, 0.972, title + _headline(measurement), color=INK, fontsize=12, weight="bold")
    figure.text(0.08, 0.02, NOTICE, color=MUTED, fontsize=9)
    figure.text(0.08, 0.043, "  ".join(caveats_of(measurement)), color=DOUBT, fontsize=9)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def overlay_frames(measurement: Measurement, clip: Clip, size: int = OVERLAY_PX) -> Iterator[np.ndarray]:
    """Every frame with outline, apex, annulus, phase and confidence: uint8 [h, w, 3], the longer side `size` pixels."""
    from PIL import Image, ImageDraw

    from echopulse.echo.canvas import enlarge, write

    height, width = clip.frames.shape[1:]
    scale = size / max(height, width)
    wide, high = (2 * round(side * scale / 2) for side in (width, height))  # even, as video codecs want it
    phases = {int(i): "ED" for i in measurement.ed_frames} | {int(i): "ES" for i in measurement.es_frames}
    for i, frame in enumerate(clip.frames):
        image = Image.fromarray(enlarge(frame, wide, high)).convert("RGB")
        draw = ImageDraw.Draw(image)
        for line, colour, thickness in _lines(measurement, i):
            points = [tuple(point) for point in (line + 0.5) * (wide / width, high / height)]
            draw.line([*points, points[0]], fill=colour, width=thickness, joint="curve")
        for column, row in _landmarks(measurement, i):
            x, y = (column + 0.5) * wide / width, (row + 0.5) * high / height
            draw.ellipse((x - 4, y - 4, x + 4, y + 4), outline=DOTS, width=2)
        sure = measurement.confidence[i]
        words = f"{measurement.times_s[i]:.2f} s   expected overlap {sure:.2f}"
        write(draw, (10, high - 12), words, 13, (221, 227, 231) if sure >= UNSURE else (240, 176, 72))
        write(draw, (wide - 10, high - 12), phases.get(i, ""), 18, (255, 210, 74), bold=True, anchor="rs")
        if clip.synthetic:
            write(draw, (wide - 10, 22), "SYNTHETIC", 12, (240, 176, 72), anchor="rs")
        yield np.asarray(image)


def _moments(found: Measurement) -> list[tuple[str, int]]:
    if len(found.ed_frames):
        return [("ED", int(found.ed_frames[0])), ("ES", int(found.es_frames[0]))]
    return [("largest", int(found.areas_cm2.argmax())), ("smallest", int(found.areas_cm2.argmin()))]


def _lines(found: Measurement, i: int) -> Iterator[tuple[np.ndarray, str, int]]:
    """Outlines of one frame [64, 2] with their colours, the left ventricle's last and thickest."""
    if found.labels is not None:
        for name, colour in OTHERS.items():
            line = outline(found.labels[i] == LABELS.index(name))
            if np.isfinite(line).all():
                yield line, colour, 1
    line = outline(found.masks[i])
    if np.isfinite(line).all():
        yield line, LINE, 2


def _landmarks(found: Measurement, i: int) -> list[np.ndarray]:
    places = [] if found.apex is None else [found.apex[i], found.annulus[i]]
    return [place for place in places if np.isfinite(place).all()]


def _show_frame(axes: Any, found: Measurement, clip: Clip, i: int) -> None:
    axes.imshow(clip.frames[i], cmap="gray", vmin=0, vmax=255, interpolation="bilinear")
    if found.apex is not None and (discs := simpson_discs(found.masks[i])) is not None:
        for left, right in zip(discs.left, discs.right, strict=True):
            axes.plot(*np.stack([left, right]).T, color=DISCS, linewidth=0.7)
        axes.plot(*np.stack([discs.apex, discs.base]).T, color=DISCS, linewidth=0.7)
    for line, colour, thickness in _lines(found, i):
        axes.plot(*np.concatenate([line, line[:1]]).T, color=colour, linewidth=0.7 * thickness)
    for place in _landmarks(found, i):
        axes.plot(*place, "o", color=DOTS, markersize=5, fillstyle="none")
    axes.set_axis_off()
    axes.set_xlim(-0.5, clip.frames.shape[2] - 0.5)
    axes.set_ylim(clip.frames.shape[1] - 0.5, -0.5)


def _show_curve(axes: Any, found: Measurement) -> None:
    volumes = np.isfinite(found.volumes).any()
    curve = found.volumes if volumes else np.where(found.areas_cm2 > 0, found.areas_cm2, np.nan)
    unit = {True: "ml", False: "cm²"}[bool(volumes)] if found.volume_unit == "ml" else "relative"
    axes.set_facecolor(GROUND)
    axes.plot(found.times_s, curve, color=CURVE, linewidth=1.6, label="Simpson" if volumes else "area")
    if found.volumes_calibrated is not None:
        axes.plot(found.times_s, found.volumes_calibrated, color=CURVE, linewidth=1, linestyle="--",
                  label="calibrated on simulated hearts")  # fmt: skip
    top = np.nanmax(curve) * 1.15 if np.isfinite(curve).any() else 1.0
    doubtful = found.confidence < UNSURE
    if doubtful.any():
        axes.fill_between(found.times_s, 0, top, where=doubtful, color=DOUBT, alpha=0.25, step="mid", label="doubtful")
    for frames, marker, name in ((found.ed_frames, "o", "ED"), (found.es_frames, "v", "ES")):
        axes.plot(found.times_s[frames], curve[frames], marker, color=LINE, markersize=6, linestyle="none", label=name)
    axes.set_ylim(0, top)
    axes.set_xlabel("time, s", color=MUTED)
    axes.set_ylabel(f"{'volume' if volumes else 'area'}, {unit}", color=MUTED)
    axes.tick_params(colors=MUTED)
    for side in axes.spines.values():
        side.set_color("#303a42")
    axes.legend(facecolor=GROUND, edgecolor="#303a42", labelcolor=INK, fontsize=9, ncols=4, loc="lower right")


def _headline(found: Measurement) -> str:
    words = []
    for name, value in (("EF", found.ef), ("area change", found.area_change if np.isnan(found.ef) else np.nan)):
        if np.isfinite(value):
            words.append(f"{name} {100 * value:.0f} %")
    if np.isfinite(found.heart_rate_bpm):
        words.append(f"{found.heart_rate_bpm:.0f}/min")
    if found.view is not None:
        words.append(f"view {found.view}" + ("" if found.view_confidence is None else " (guessed)"))
    return "   ".join(words) or "no whole heartbeat"
