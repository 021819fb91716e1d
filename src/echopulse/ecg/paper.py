"""An ECG on paper as it comes out of an electrocardiograph: 25 mm/s, 10 mm/mV, in true size on the page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from echopulse.ecg.report import headline
from echopulse.ecg.types import ECG, Beats
from echopulse.files import check_target, complete_or_absent

ENDINGS = (".png", ".pdf", ".svg")
MM_PER_S, MM_PER_MV = 25.0, 10.0
PAPER, FINE, COARSE, INK, MARK = "#fff6f5", "#f7cccc", "#ea9494", "#16161c", "#b3262e"
ROW_S = 10.0
WIDTH_MM, SIDE_MM, PULSE_MM, TOP_MM, BOTTOM_MM = 297.0, 13.5, 20.0, 22.0, 12.0  # the grid is 270 mm wide
MOST_ROWS = 12
DOTS_PER_INCH = 200
STANDARD = ("I", "aVR", "V1", "V4", "II", "aVL", "V2", "V5", "III", "aVF", "V3", "V6")  # three rows of four


@dataclass(frozen=True)
class Strip:
    """One lead for some seconds: in row `row`, `at_s` seconds after its left end."""

    lead: int
    row: int
    at_s: float
    start_s: float
    seconds: float


def plot_ecg(ecg: ECG, beats: Beats, path: str | Path, *, force: bool = False) -> Path:
    """Draw an ECG as a page in true size (.png, .pdf or .svg) and return the path.

    Twelve leads come in three rows of four, 2.5 s each, over ten seconds of II; others in a row of ten seconds each,
    and again below for the next ten, as long as there are no more than twelve rows. Each row's level is its own median.
    """
    path = check_target(path, ENDINGS, force=force)
    figure = _page(ecg, beats)
    import matplotlib

    with complete_or_absent(path) as partial, matplotlib.rc_context({"svg.hashsalt": "echopulse", "pdf.fonttype": 42}):
        metadata = {".png": {}, ".pdf": {"CreationDate": None}, ".svg": {"Date": None}}[path.suffix.lower()]
        figure.savefig(partial, dpi=DOTS_PER_INCH, metadata=metadata)
    return path


def lay_out(ecg: ECG) -> tuple[list[Strip], float]:
    """The strips of a page, and how many seconds of the recording they show from its start on."""
    duration = ecg.duration_s
    shown = min(duration, ROW_S)
    if set(STANDARD) <= set(ecg.leads) and duration > 2.5:
        quarter = shown / 4
        strips = [
            Strip(ecg.leads.index(lead), i // 4, i % 4 * quarter, ecg.start_s + i % 4 * quarter, quarter)
            for i, lead in enumerate(STANDARD)
        ]
        return [*strips, Strip(ecg.leads.index("II"), 3, 0.0, ecg.start_s, shown)], shown
    leads = range(min(len(ecg.leads), MOST_ROWS))
    turns = min(MOST_ROWS // len(leads), max(1, int(np.ceil(duration / ROW_S - 1e-6))))
    shown = min(duration, turns * ROW_S)
    return [
        Strip(lead, turn * len(leads) + lead, 0.0, ecg.start_s + turn * ROW_S, min(ROW_S, shown - turn * ROW_S))
        for turn in range(turns)
        for lead in leads
    ], shown


def _page(ecg: ECG, beats: Beats) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    strips, shown = lay_out(ecg)
    drawn = [_trace(ecg, strip) for strip in strips]
    above, below, height = _rows(strips, drawn)
    grid_top = BOTTOM_MM + height
    page = grid_top + TOP_MM
    figure = Figure(figsize=(WIDTH_MM / 25.4, page / 25.4), facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, WIDTH_MM), ylim=(0, page))
    axes.set_axis_off()
    _draw_grid(axes, SIDE_MM, BOTTOM_MM, WIDTH_MM - 2 * SIDE_MM, height)
    left = SIDE_MM + PULSE_MM
    for row in sorted({strip.row for strip in strips}):
        level = grid_top - sum(above[: row + 1]) - sum(below[:row])
        pulse = np.array([[0, 0], [2.5, 0], [2.5, MM_PER_MV], [7.5, MM_PER_MV], [7.5, 0], [10, 0]])
        axes.plot(SIDE_MM + 5 + pulse[:, 0], level + pulse[:, 1], color=INK, linewidth=0.9, solid_joinstyle="miter")
        for strip, (times, millivolts) in zip(strips, drawn, strict=True):
            if strip.row == row:
                x = left + MM_PER_S * (strip.at_s + times - strip.start_s)
                _draw_strip(axes, ecg, strip, x, level + MM_PER_MV * millivolts, level, above[row])
                _mark_beats(axes, beats, strip, left, level + above[row] - 1.5)
    _write_around(axes, ecg, beats, shown, strips, grid_top)
    return figure


def _trace(ecg: ECG, strip: Strip) -> tuple[np.ndarray, np.ndarray]:
    """Seconds and millivolts around the strip's median."""
    first = round((strip.start_s - ecg.start_s) * ecg.rate_hz)
    row = ecg.samples[strip.lead, first : first + max(2, round(strip.seconds * ecg.rate_hz))].astype(np.float64)
    level = np.nanmedian(row) if np.isfinite(row).any() else 0.0
    return ecg.start_s + (first + np.arange(len(row))) / ecg.rate_hz, row - level


def _rows(strips: list[Strip], drawn: list[tuple[np.ndarray, np.ndarray]]) -> tuple[list[float], list[float], float]:
    """Millimetres above and below the level of each row, in squares of 5, and the height of them all."""
    count = max(strip.row for strip in strips) + 1
    above, below = [15.0] * count, [10.0] * count
    for strip, (_, millivolts) in zip(strips, drawn, strict=True):
        good = millivolts[np.isfinite(millivolts)]
        if good.size:
            low, high = MM_PER_MV * np.percentile(good, (0.05, 99.95))
            above[strip.row] = max(above[strip.row], min(5 * np.ceil((high + 4) / 5), 40.0))
            below[strip.row] = max(below[strip.row], min(5 * np.ceil((1 - low) / 5), 40.0))
    return above, below, float(sum(above) + sum(below)) + 5.0


def _draw_grid(axes: Any, left: float, bottom: float, width: float, height: float) -> None:
    from matplotlib.collections import LineCollection
    from matplotlib.patches import Rectangle

    axes.add_patch(Rectangle((left, bottom), width, height, facecolor=PAPER, edgecolor="none", zorder=0))
    for step, colour, thickness in ((1.0, FINE, 0.35), (5.0, COARSE, 0.6)):
        upright = [[(x, bottom), (x, bottom + height)] for x in left + np.arange(0, width + 0.1, step)]
        level = [[(left, y), (left + width, y)] for y in bottom + np.arange(0, height + 0.1, step)]
        axes.add_collection(LineCollection(upright + level, colors=colour, linewidths=thickness, zorder=step / 10))


def _draw_strip(axes: Any, ecg: ECG, strip: Strip, x: np.ndarray, y: np.ndarray, level: float, above: float) -> None:
    from matplotlib.patches import Rectangle

    bottom, top = BOTTOM_MM, axes.get_ylim()[1] - TOP_MM
    paper = Rectangle((SIDE_MM, bottom), WIDTH_MM - 2 * SIDE_MM, top - bottom, transform=axes.transData)
    (line,) = axes.plot(x, y, color=INK, linewidth=0.9, solid_joinstyle="round", zorder=3)
    line.set_clip_path(paper)
    left = x[0]
    if strip.at_s > 0:  # where one lead gives way to the next
        axes.plot([left, left], [level - 2.5, level + 2.5], color=INK, linewidth=0.9, zorder=3)
    later = strip.at_s == 0 and strip.start_s > ecg.start_s  # the next ten seconds of the same leads
    name = ecg.leads[strip.lead] + (f"   {strip.start_s:g} s" if later else "")
    axes.text(left + 0.8, level + above - 4.2, name, color=INK, fontsize=9, weight="bold", va="center", zorder=4)


def _mark_beats(axes: Any, beats: Beats, strip: Strip, left: float, y: float) -> None:
    """A small triangle over every R peak that the strip shows."""
    peaks = beats.r_peaks_s[(beats.r_peaks_s >= strip.start_s) & (beats.r_peaks_s < strip.start_s + strip.seconds)]
    x = left + MM_PER_S * (strip.at_s + peaks - strip.start_s)
    axes.plot(x, np.full(len(x), y), marker="v", markersize=3.2, color=MARK, linestyle="none", zorder=4)


def _write_around(axes: Any, ecg: ECG, beats: Beats, shown: float, strips: list[Strip], top: float) -> None:
    first, last = ecg.start_s, ecg.start_s + shown
    name = Path(ecg.name).name
    when = ecg.provenance.get("recorded", "").replace("T", " ")
    axes.text(SIDE_MM, top + 14.5, name[:80], color=INK, fontsize=12, weight="bold", va="center")
    axes.text(SIDE_MM, top + 8.5, headline(ecg, beats), color=INK, fontsize=9.5, va="center")
    cut = f" of {ecg.duration_s:.4g} s" if shown < ecg.duration_s - 0.5 / ecg.rate_hz else ""
    part = f"{first:.8g} to {last:.8g} s{cut}"
    facts = f"{ecg.rate_hz:g} Hz   {part}   quality {beats.quality:.2f}"
    axes.text(SIDE_MM, top + 3.5, facts, color=INK, fontsize=8.5, va="center")
    axes.text(WIDTH_MM - SIDE_MM, top + 14.5, when, color=INK, fontsize=9, va="center", ha="right")
    axes.text(WIDTH_MM - SIDE_MM, top + 3.5, "25 mm/s   10 mm/mV", color=INK, fontsize=9.5, va="center", ha="right")
    notes = ["▼ R peaks found", "each row on its own median", "not for diagnosis"]
    hidden = [lead for i, lead in enumerate(ecg.leads) if i not in {strip.lead for strip in strips}]
    if hidden:
        notes.insert(1, f"not drawn: {', '.join(hidden)}"[:90])
    axes.text(SIDE_MM, BOTTOM_MM / 2, "   ".join(notes), color="#55555e", fontsize=8, va="center")
