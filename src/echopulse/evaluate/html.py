"""One page that holds everything: verdicts, sample loops, plots, tables, settings. Opens offline and runs no script."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape

import numpy as np

from echopulse.evaluate.plots import Plot, plots
from echopulse.evaluate.report import NOTICE, Row, flattened, number, said, summary, tables
from echopulse.evaluate.results import Loop, Results

LARGEST_LOOP = 300_000  # bytes of one moving picture
OPEN_ROWS = 12  # longer tables are folded
STYLE = """
:root { color-scheme: light dark; --ink: #17202a; --ground: #fbfbfa; --panel: #ffffff; --faint: #5f6b74;
  --line: #dfe3e6; --true: #1f6fb2; --found: #00876c; --bad: #b3261e; --good: #1b6e3c; --notice: #fff3d6; }
@media (prefers-color-scheme: dark) { :root { --ink: #dde3e7; --ground: #0c0f12; --panel: #12171b; --faint: #93a1ab;
  --line: #2a333a; --true: #78b2f5; --found: #5cdbb4; --bad: #ff8f86; --good: #7ddc9b; --notice: #3a2d10; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 68rem; background: var(--ground); color: var(--ink);
  font: 16px/1.45 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; margin: 0.6rem 0; } h2 { font-size: 1.15rem; margin: 2rem 0 0.5rem; }
.notice { background: var(--notice); padding: 0.6rem 0.8rem; border-radius: 0.4rem; font-weight: 600; margin: 0; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(19rem, 100%), 1fr)); gap: 1rem; }
figure { margin: 0; background: var(--panel); border: 1px solid var(--line); border-radius: 0.5rem; padding: 0.7rem; }
figure svg { width: 100%; height: auto; } figcaption { font-size: 0.85rem; margin-top: 0.4rem; }
.loop { display: grid; grid-template-columns: 2fr 1fr; gap: 0.4rem; align-items: start; }
.loop img { width: 100%; height: auto; background: #000; border-radius: 0.2rem; display: block; }
.stills { display: grid; gap: 0.4rem; font-size: 0.8rem; }
table { border-collapse: collapse; width: 100%; font-size: 0.9rem; background: var(--panel); }
caption { text-align: left; font-weight: 600; padding: 0.4rem 0; }
th, td { border-top: 1px solid var(--line); padding: 0.4rem 0.5rem; text-align: left; vertical-align: top; }
tbody th { font-weight: 400; } code { font-size: 0.85em; } small { display: block; color: var(--faint); }
td { font-variant-numeric: tabular-nums; } .bar { white-space: nowrap; }
.met { color: var(--good); } .missed { color: var(--bad); font-weight: 600; }
details { margin: 0.6rem 0; } summary { cursor: pointer; font-weight: 600; padding: 0.3rem 0; }
@media (max-width: 34rem) { body { padding: 0.6rem; } th, td { padding: 0.35rem 0.3rem; }
  table { font-size: 0.82rem; } .bar .met, .bar .missed { display: block; } }
"""


def to_html(results: Results, title: str = "EchoPulse evaluation") -> str:
    """The whole page as one text: no file beside it, nothing loaded from anywhere."""
    found = tables(results)
    rows = [row for part in found.values() for row in part]
    barred = [row for row in rows if row.met is not None]
    model = results.about.get("model")
    name = model.get("name", "") if isinstance(model, dict) else model or ""
    body = [
        f"<h1>{escape(title)}{f': {escape(str(name))}' if name else ''}</h1>",
        f'<p class="notice">Synthetic, not for diagnosis. {escape(NOTICE)}</p>',
        f"<p>{escape(summary(rows))}</p>",
        _section("Bars", [_table("Every figure that has a bar to meet", barred)] if barred else []),
        _section("Sample loops", _grid(_loop(loop) for loop in results.loops)),
        _section("Plots", _grid(map(_plot, plots(results)))),
        _section("Every figure", [_folded(part, part_rows) for part, part_rows in found.items()]),
        _section("How this was made", [_about(results)] if results.about else []),
    ]
    return "\n".join(
        [
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>",
            *(piece for piece in body if piece),
            "</main>\n</body>\n</html>\n",
        ]
    )


def moving_picture(loop: Loop, largest: int = LARGEST_LOOP) -> bytes:
    """A loop as an animated WebP of at most `largest` bytes: quality is lowered first, then size and frame rate."""
    from PIL import Image

    for quality, scale, step in ((75, 1, 1), (55, 1, 1), (40, 1, 1), (40, 2, 1), (40, 2, 2), (25, 4, 2), (10, 8, 4)):
        pictures = [Image.fromarray(frame).convert("RGB") for frame in loop.frames[::step]]
        size = tuple(max(1, side // scale) for side in pictures[0].size)
        pictures = [picture.resize(size) if scale > 1 else picture for picture in pictures]
        held = io.BytesIO()
        pictures[0].save(held, "WEBP", save_all=True, append_images=pictures[1:], loop=0, quality=quality, method=4,
                         duration=max(1, round(1000 * step / loop.fps)))  # fmt: skip
        if held.tell() <= largest:
            return held.getvalue()
    raise ValueError(f"{loop.name}: {len(loop.frames)} frames do not fit into {largest} bytes; give a shorter loop")


def still_picture(frame: np.ndarray) -> bytes:
    """One frame, uint8 [h, w] or [h, w, 3], as WebP."""
    from PIL import Image

    held = io.BytesIO()
    Image.fromarray(frame).convert("RGB").save(held, "WEBP", quality=80)
    return held.getvalue()


def _loop(loop: Loop) -> str:
    """The loop, which stands still where the reader asks for no motion, beside its ED and ES."""
    moving, first = _uri(moving_picture(loop)), _uri(still_picture(loop.frames[loop.ed_frame or 0]))
    name = escape(loop.name)
    stills = []
    for phase, frame in (("ED", loop.ed_frame), ("ES", loop.es_frame)):
        if frame is not None:
            picture = _uri(still_picture(loop.frames[frame]))
            stills.append(f'<div><img src="{picture}" alt="{phase} of: {name}">{phase}, {frame / loop.fps:.2f} s</div>')
    seconds = len(loop.frames) / loop.fps
    return (
        f'<figure><div class="loop"><picture><source srcset="{first}" media="(prefers-reduced-motion: reduce)">'
        f'<img src="{moving}" alt="Loop: {name}"></picture><div class="stills">{"".join(stills)}</div></div>'
        f"<figcaption>{name} ({seconds:.1f} s, {number(float(loop.fps))} frames/s). Synthetic.</figcaption></figure>"
    )


def _plot(plot: Plot) -> str:
    caption = f"<strong>{escape(plot.title)}</strong>: {escape(plot.words)}."
    return f"<figure>{plot.svg}<figcaption>{caption}</figcaption></figure>"


def _table(caption: str, rows: Sequence[Row]) -> str:
    head = "".join(f'<th scope="col">{name}</th>' for name in ("figure", "value", "bar"))
    return (
        f"<table><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(map(_table_row, rows))}</tbody></table>"
    )


def _table_row(row: Row) -> str:
    mark = {None: "", True: '<span class="met">✓ met</span>', False: '<span class="missed">✗ missed</span>'}[row.met]
    interval = f"<small>95 %: {escape(row.interval)}</small>" if row.interval else ""
    beside = f"<small>{escape(row.beside)}</small>" if row.beside else ""
    return (
        f'<tr><th scope="row">{_key(row.key)}<small>{escape(row.meaning)}</small></th>'
        f'<td>{escape(row.value)}{interval}{beside}</td><td class="bar">{escape(row.bar)} {mark}</td></tr>'
    )


def _key(key: str) -> str:
    """A key that may go on in the next line after a dot or an underscore."""
    return f"<code>{escape(key).replace('.', '.<wbr>').replace('_', '_<wbr>')}</code>"


def _folded(part: str, rows: Sequence[Row]) -> str:
    opened = " open" if len(rows) <= OPEN_ROWS else ""
    return f"<details{opened}><summary>{escape(part)} ({len(rows)})</summary>{_table(part, rows)}</details>"


def _about(results: Results) -> str:
    rows = "".join(
        f'<tr><th scope="row">{_key(name)}</th><td>{escape(said(value))}</td></tr>'
        for name, value in flattened(results.about).items()
    )
    return (
        "<table><caption>Settings, seeds, hashes, times</caption><thead><tr>"
        f'<th scope="col">what</th><th scope="col">value</th></tr></thead><tbody>{rows}</tbody></table>'
    )


def _section(heading: str, pieces: Iterable[str]) -> str:
    inside = "\n".join(pieces)
    return f"<section><h2>{heading}</h2>\n{inside}</section>" if inside else ""


def _grid(pieces: Iterable[str]) -> list[str]:
    inside = "\n".join(pieces)
    return [f'<div class="grid">{inside}</div>'] if inside else []


def _uri(picture: bytes) -> str:
    return "data:image/webp;base64," + base64.b64encode(picture).decode()
