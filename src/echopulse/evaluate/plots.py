"""Plots for the page as SVG texts that take the page's colours, in the dark as in the light, and need no script."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from echopulse.evaluate.intervals import interval_of
from echopulse.evaluate.metrics.ejection import NORMAL_95
from echopulse.evaluate.results import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Colours that occur nowhere else stand for the page's own, which are set in where the SVG is written.
INK, FAINT, TRUE, FOUND, MISSED = "#010203", "#010204", "#010205", "#010206", "#010207"
ON_PAGE = {INK: "currentColor", FAINT: "var(--faint)", TRUE: "var(--true)", FOUND: "var(--found)", MISSED: "var(--bad)"}
POINTS = 1500  # at most in a scatter; of more, evenly spaced ones
WIDTH_IN, HEIGHT_IN = 4.6, 3.4


class Plot(NamedTuple):
    """An SVG text, its heading, and what it shows in words for who cannot see it."""

    svg: str
    title: str
    words: str


def plots(results: Results) -> list[Plot]:
    """Every plot for which the columns are there."""
    columns = {key: np.asarray(values, np.float64) for key, values in results.columns.items()}
    found = []
    for stem in _stems(columns, "ef_true", "ef_found"):
        true, measured = columns[f"{stem}.ef_true"], columns[f"{stem}.ef_found"]
        known = np.isfinite(true) & np.isfinite(measured)
        if known.sum() > 1:
            found += [ejection(stem, true[known], measured[known]), bland_altman(stem, true[known], measured[known])]
    for stem in (stem for stem in _stems(columns, "ed_ms", "es_ms") if stem.startswith("timing.")):
        ed, es = (columns[f"{stem}.{phase}_ms"] for phase in ("ed", "es"))
        known = np.isfinite(ed) & np.isfinite(es)
        if known.any():
            found.append(timing(stem, ed[known], es[known]))
    for stem in _stems(columns, "times_s", "true_ml", "measured_ml"):
        found.append(volumes(stem, *(columns[f"{stem}.{name}"] for name in ("times_s", "true_ml", "measured_ml"))))
    explained = [key.split(".") for key in results.scores if key.startswith("controls.")]
    names = [segments[1] for segments in explained if len(segments) == 3 and segments[2] == "gained"]
    return found + ([controls(names, results)] if names else [])


def ejection(stem: str, true: np.ndarray, measured: np.ndarray) -> Plot:
    """Measured EF over the true one, fractions [n], with the line on which they would be equal."""

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=FAINT, linestyle="--", linewidth=1, label="equal")
        axes.plot(*_thinned(true, measured), "o", color=FOUND, markersize=3.5, alpha=0.6, label="one clip")
        axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="true EF", ylabel="measured EF")
        axes.legend()

    error = np.abs(measured - true).mean()
    said = f"{len(true)} clips, measured ejection fraction over the true one; mean absolute error {error:.3f}"
    return _plot(f"EF: {stem}", said, draw)


def bland_altman(stem: str, true: np.ndarray, measured: np.ndarray) -> Plot:
    """Differences of EF over their means, with bias and 95 % limits of agreement (Bland & Altman 1986, Lancet 327)."""
    difference, middle = measured - true, (measured + true) / 2
    bias, spread = float(difference.mean()), NORMAL_95 * float(difference.std(ddof=1))

    def draw(axes: Axes) -> None:
        axes.plot(*_thinned(middle, difference), "o", color=FOUND, markersize=3.5, alpha=0.6)
        for height, style, name in ((bias, "-", "bias"), (bias - spread, "--", ""), (bias + spread, "--", "95 %")):
            axes.axhline(height, color=INK, linestyle=style, linewidth=1)
            axes.annotate(f"{name} {height:+.3f}".strip(), (1, height), (-2, 3), xycoords=("axes fraction", "data"),
                          textcoords="offset points", ha="right")  # fmt: skip
        axes.set(xlabel="mean of true and measured EF", ylabel="measured - true EF")

    said = f"differences of measured and true ejection fraction: bias {bias:+.3f}, 95 % limits of agreement "
    return _plot(f"EF, Bland-Altman: {stem}", f"{said}{bias - spread:+.3f} to {bias + spread:+.3f}", draw)


def timing(stem: str, ed_ms: np.ndarray, es_ms: np.ndarray) -> Plot:
    """Histograms of signed ED and ES errors in ms over all cycles; what lies beyond ±250 ms counts in the last bin."""
    edges = np.arange(-260, 261, 20.0)

    def draw(axes: Axes) -> None:
        for values, colour, name, hatch in ((ed_ms, TRUE, "ED", ""), (es_ms, FOUND, "ES", "///")):
            axes.hist(np.clip(values, -259, 259), edges, color=colour, edgecolor=colour, alpha=0.45, label=name,
                      hatch=hatch)  # fmt: skip
        axes.axvline(0, color=INK, linewidth=1)
        axes.set(xlabel="video minus truth, ms (positive: late)", ylabel="cycles")
        axes.legend()

    middles = f"medians {np.median(ed_ms):+.0f} and {np.median(es_ms):+.0f} ms"
    return _plot(f"ED and ES errors: {stem}", f"errors of ED and ES over {len(ed_ms)} cycles; {middles}", draw)


def volumes(stem: str, times_s: np.ndarray, true_ml: np.ndarray, measured_ml: np.ndarray) -> Plot:
    """True and measured volume over time."""

    def draw(axes: Axes) -> None:
        axes.plot(times_s, true_ml, color=TRUE, linewidth=1.8, label="true")
        axes.plot(times_s, measured_ml, color=FOUND, linewidth=1.4, linestyle="--", label="measured")
        axes.set(xlabel="s", ylabel="volume, ml", ylim=(0, None))
        axes.legend()

    said = "volume of the left ventricle over time, true and measured in the generated clip"
    return _plot(f"Volume: {stem.replace('curve.', 'heart ')}", said, draw)


def controls(names: Sequence[str], results: Results) -> Plot:
    """How much of the motion the given ECG explains in every control, beside what it explains of clips without ECG.

    The distance of the two is what the ECG brought; its 95 % interval is drawn around its end.
    """
    scores = results.scores
    shares = [[scores.get(f"controls.{name}.{which}", np.nan) for which in ("explained_without", "explained", "gained")]
              for name in names]  # fmt: skip

    def draw(axes: Axes) -> None:
        axes.figure.set_size_inches(WIDTH_IN, 1.1 + 0.24 * len(names))
        for row, (name, (without, given, _)) in enumerate(zip(names, shares, strict=True)):
            colour = MISSED if scores.get(f"controls.{name}.verdict") == "missed" else FOUND
            if span := interval_of(f"controls.{name}.gained", results):
                axes.plot([without + span.low, without + span.high], [row, row], color=colour, linewidth=5, alpha=0.3)
            axes.plot([without, given], [row, row], color=colour, linewidth=1.5)
            axes.plot([without], [row], "x", color=INK, markersize=5, label=None if row else "no ECG")
            axes.plot([given], [row], "o", color=colour, markersize=5.5, label=None if row else "ECG given")
        axes.set_yticks(range(len(names)), names)
        axes.set(xlabel="share of the motion that the ECG asked for", ylim=(len(names) - 0.4, -0.6), xlim=(-0.05, 1.05))
        axes.figure.legend(loc="outside upper right", ncols=2)

    gained = sorted((gain, name) for name, (_, _, gain) in zip(names, shares, strict=True))
    said = f"{len(names)} controls; the ECG brought least in {gained[0][1]} ({gained[0][0]:+.2f}) and most in "
    said += f"{gained[-1][1]} ({gained[-1][0]:+.2f}); crosses without any ECG, dots with the ECG given"
    return _plot("What the ECG explains, control by control", said, draw)


def _plot(title: str, words: str, draw: Callable[[Axes], Any]) -> Plot:
    """Runs `draw` on fresh axes and makes an SVG text of it."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    name = re.sub(r"\W+", "-", title)
    looks = {
        "svg.fonttype": "none", "svg.hashsalt": name, "font.family": "sans-serif", "font.size": 9,
        "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": FAINT, "xtick.color": INK, "ytick.color": INK,
        "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False, "hatch.linewidth": 0.5,
    }  # fmt: skip
    text = io.StringIO()
    with rc_context(looks):
        figure = Figure(figsize=(WIDTH_IN, HEIGHT_IN), layout="constrained")
        draw(figure.subplots())
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    return Plot(_for_page(text.getvalue(), name, f"{title}: {words}"), title, words)


def _for_page(svg: str, name: str, words: str) -> str:
    """The `<svg>` element alone, in the page's colours, with names that no other plot has and a label."""
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    for colour, on_page in ON_PAGE.items():
        svg = svg.replace(colour, on_page)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'(href="|url\()#', rf"\g<1>#{name}-", svg)
    return re.sub(r"<svg [^>]*?(viewBox=\"[^\"]*\")[^>]*>", lambda found: _opening(found[1], words), svg, count=1)


def _opening(view_box: str, words: str) -> str:
    spaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    return f'<svg {spaces} {view_box} role="img" aria-label="{escape(words)}">'


def _thinned(*columns: np.ndarray) -> list[np.ndarray]:
    step = -(-len(columns[0]) // POINTS)
    return [column[::step] for column in columns]


def _stems(columns: dict[str, np.ndarray], *names: str) -> list[str]:
    """What stands before `names` where all of them are there and equally long."""
    stems = [key.removesuffix(f".{names[0]}") for key in columns if key.endswith(f".{names[0]}")]
    lengths = {stem: {len(columns.get(f"{stem}.{name}", ())) for name in names} for stem in stems}
    return [stem for stem in stems if len(lengths[stem]) == 1 and lengths[stem] != {0}]
