"""PDF pages of watches and phones (Apple Health, Samsung Health): the trace is read from the lines that draw it.

The paper is the scale: 25 mm a second and 10 mm a millivolt, unless the page says otherwise. The points of a line are
the samples, so nothing is lost but what the page covers (Apple's first row begins behind its calibration pulse). A page
that holds a scan instead of lines goes to the reader of pictures.
"""

from __future__ import annotations

import logging
import re
import zlib
from dataclasses import dataclass, replace
from io import BytesIO

import numpy as np

from echopulse.ecg.limits import check_size
from echopulse.ecg.readers.pdf_paths import Drawing, Line, draw_page
from echopulse.ecg.readers.picture import MOST_PIXELS, NO_UNIT, read_image
from echopulse.ecg.readers.source import Reader, Source, Wanted
from echopulse.ecg.types import ECG
from echopulse.errors import InputError

UNSAID = logging.NullHandler()  # for what pypdf mends of a damaged file and would print

MOST_FILE_BYTES = 64 << 20
MOST_PAGES = 10
MOST_ROWS = 60  # on a page
MOST_TEXT_BYTES = 2 << 20  # of drawing on a page whose words are looked at
POINTS_PER_MM = 72 / 25.4
USUAL_SPEED, USUAL_GAIN = 25.0, 10.0  # mm a second, mm a millivolt
SHORTEST_ROW_S = 1.0
CHEST_LEADS = re.compile(r"\b(aVR|aVL|aVF|V[1-6])\b")


@dataclass(frozen=True, eq=False)
class Row:
    """A strip of the page.

    points   [n, 2], from left to right
    clip     the box it is cut to
    page     the page it is on
    zero     height of its zero line; None where the page does not show it
    """

    points: np.ndarray
    clip: tuple[float, float, float, float] | None
    page: int
    zero: float | None = None


def looks_like_pdf(source: Source) -> bool:
    return b"%PDF-" in source.head[:1024]


def read_pdf(source: Source, wanted: Wanted) -> ECG:
    """The only lead that the rows of the pages draw, millivolts."""
    if source.size > MOST_FILE_BYTES:
        raise InputError(f"{source.name}: a PDF of {source.size / 1e6:.0f} MB; cut out the page with the ECG.")
    try:
        return _read(source, wanted)
    except InputError:
        raise
    except RecursionError as error:
        raise InputError(f"{source.name}: a PDF whose parts are nested too deep; print it anew as one page.") from error
    except (Exception, zlib.error) as error:  # pypdf raises many kinds on a damaged file
        raise InputError(
            f"{source.name}: the PDF cannot be read ({type(error).__name__}); it is damaged: export it again."
        ) from error


def _read(source: Source, wanted: Wanted) -> ECG:
    from pypdf import PdfReader

    logging.getLogger("pypdf").addHandler(UNSAID)

    reader = PdfReader(BytesIO(source.data), strict=False)
    if reader.is_encrypted and not reader.decrypt(""):
        raise InputError(f"{source.name}: the PDF is locked with a password; save it without one.")
    drawing, rows, grid, words, images = Drawing(source.name), [], [], "", []
    for number, page in enumerate(reader.pages):
        if number == MOST_PAGES:
            break
        before = drawing.bytes_left
        drawing.lines = []
        draw_page(drawing, page)
        found = _rows(drawing.lines, number)
        if found:
            grid += drawing.lines
            if before - drawing.bytes_left <= MOST_TEXT_BYTES:
                words += page.extract_text() + "\n"
        rows += found
        images += [] if rows else [(page, name) for name in _images(page)]
    spacing = _grid_spacing(grid)
    speed, gain, scale_how = _scale(words)
    mm, mm_how = _millimetre(spacing, rows, speed)
    rows = [row for row in rows if np.ptp(row.points[:, 0]) >= SHORTEST_ROW_S * speed * mm]
    if not rows and images:
        return _from_scan(source, wanted, images)
    if not rows:
        raise InputError(
            f"{source.name}: a PDF without an ECG that is drawn as lines; export the recording itself (CSV) or give a "
            "picture of the strip."
        )
    several = sorted(set(CHEST_LEADS.findall(words)))
    if len(several) > 2:
        raise InputError(
            f"{source.name}: a PDF page with several leads ({', '.join(several)}); only pages of one lead are read: "
            "ask for the recording as a file."
        )
    return _joined(source, wanted, rows, (speed, gain, mm), f"{scale_how}, {mm_how}", words)


def _joined(
    source: Source, wanted: Wanted, rows: list[Row], scale: tuple[float, float, float], scale_how: str, words: str
) -> ECG:
    """The rows one after the other; `scale` is mm a second, mm a millivolt, and points of the page a mm."""
    speed, gain, mm = scale
    rows = sorted(rows, key=lambda row: (row.page, -row.points[:, 1].mean()))
    step = _step(rows)
    rate_hz = speed * mm / step
    if abs(rate_hz / round(rate_hz) - 1) < 2e-4:  # the page's decimals
        rate_hz = float(round(rate_hz))
    left = min(row.points[0, 0] for row in rows)
    at = [np.rint((row.points[:, 0] - left) / step).astype(int) for row in rows]
    lengths = _lengths(at, rows, rate_hz)
    starts = np.concatenate(([0], np.cumsum(lengths)))
    check_size(source.name, 1, int(starts[-1]), rate_hz)
    samples = np.full(starts[-1], np.nan)
    centred = all(row.zero is not None for row in rows)
    clipped = 0
    for row, where, start, length in zip(rows, at, starts[:-1], lengths, strict=True):
        y = row.points[:, 1]
        zero = row.zero if centred else np.median(y)
        if row.clip is not None:
            clipped += int(((y > row.clip[3]) | (y < row.clip[1])).sum())
        inside = where < length
        samples[start + where[inside]] = (y[inside] - zero) / (gain * mm)
    begin = int(np.flatnonzero(np.isfinite(samples))[0])
    lead = re.search(r"(?i)\b(?:lead|ableitung)\s+(I{1,3})\b", words)
    used = wanted.rate_hz or rate_hz
    provenance = {
        "format": "PDF, the trace read from its lines",
        "rate": f"{used:g} Hz, " + ("as given" if wanted.rate_hz else f"from the distance of the points; {scale_how}"),
        "unit": f"mV, {gain:g} mm each",
        "leads": f"lead {lead.group(1)}, as the page says" if lead else "taken as I",
        "zero": "the middle of each row's grid" if centred else "the median of each row; the page marks no zero",
        "rows": f"{len(rows)} rows, taken as one lead from top to bottom",
    }
    if wanted.unit is not None:
        provenance["unit"] += f"; {NO_UNIT}"
    if begin:
        provenance["start"] = f"the page begins {begin / used:.2f} s into its first row (behind the calibration pulse)"
    if clipped:
        provenance["beyond the row"] = f"{clipped} samples lie beyond the edge of their row"
    name = lead.group(1) if lead else "I"
    return ECG(samples[None, begin:], used, (name,), start_s=begin / used, provenance=provenance)


def _lengths(at: list[np.ndarray], rows: list[Row], rate_hz: float) -> list[int]:
    """Samples from each row's left edge to where the next row goes on; whole seconds where that is the row's end.

    A row may end with the sample that the next one begins with: it is then counted once.
    """
    lengths = [int(where[-1]) + 1 for where in at]
    for i, row in enumerate(rows[:-1]):
        whole = round(lengths[i] / rate_hz) * rate_hz
        if 0 < whole and abs(lengths[i] - whole) <= 2:
            lengths[i] = round(whole)
        elif np.isclose(_height(row, -1), _height(rows[i + 1], 0), atol=1e-3):
            lengths[i] -= 1
    return lengths


def _height(row: Row, point: int) -> float:
    return float(row.points[point, 1] - (row.clip[1] if row.clip else np.median(row.points[:, 1])))


def _rows(lines: list[Line], page: int) -> list[Row]:
    """Lines that go on from each other, joined; of these the ones that run to the right in many even steps."""
    chains: list[list[np.ndarray]] = []
    clips = []
    end = None
    for line in lines:
        begin = line.points[0].tolist()
        joined = end is not None and abs(begin[0] - end[0]) < 0.02 and abs(begin[1] - end[1]) < 0.02
        if joined and line.clip == clips[-1]:
            chains[-1].append(line.points[1:])
        else:
            chains.append([line.points])
            clips.append(line.clip)
        end = line.points[-1].tolist()
    rows: list[Row] = []
    for chain, clip in zip(chains, clips, strict=True):
        points = np.concatenate(chain)
        if len(points) < 32:
            continue
        if points[-1, 0] < points[0, 0]:
            points = points[::-1]
        steps = np.diff(points[:, 0])
        step = np.median(steps)
        if step <= 0 or (steps < -0.01 * step).any() or np.ptp(points[:, 1]) < 1e-6:
            continue
        if np.mean(np.abs(steps / step - 1) < 0.1) < 0.9 or np.ptp(points[:, 0]) < 0.2 * np.ptp(points[:, 1]):
            continue
        last = rows[-1] if rows else None
        if last is not None and last.clip == clip and 0 < points[0, 0] - last.points[-1, 0] < 1.5 * step:
            rows[-1] = Row(np.concatenate((last.points, points)), clip, page)  # goes on without a joint
        else:
            rows.append(Row(points, clip, page))
    if len(rows) > MOST_ROWS:
        return []  # a drawing of many even lines, but no ECG
    upright = _upright(lines)
    return [replace(row, zero=_zero(row, rows, upright)) for row in rows]


def _zero(row: Row, rows: list[Row], upright: np.ndarray) -> float | None:
    """The middle of the upright grid lines (x, bottom, top) behind this row and no other; else of its clip."""
    level = np.median(row.points[:, 1])
    x, bottom, top = upright.T
    behind = (bottom < level) & (level < top) & (x >= row.points[0, 0]) & (x <= row.points[-1, 0])
    for other in rows:
        if other is not row:
            level = np.median(other.points[:, 1])
            behind &= ~((bottom < level) & (level < top))
    if behind.sum() >= 8:
        return float(np.median((bottom + top)[behind]) / 2)
    return None if row.clip is None else (row.clip[1] + row.clip[3]) / 2


def _upright(lines: list[Line]) -> np.ndarray:
    """[n, 3]: place, bottom and top of each upright line of two points."""
    pairs = np.array([line.points for line in lines if len(line.points) == 2]).reshape(-1, 2, 2)
    pairs = pairs[(np.abs(np.diff(pairs[:, :, 0])[:, 0]) < 0.01) & (np.ptp(pairs[:, :, 1], axis=1) > 0.01)]
    return np.stack((pairs[:, 0, 0], pairs[:, :, 1].min(1), pairs[:, :, 1].max(1)), axis=1)


def _step(rows: list[Row]) -> float:
    """Points of the page from one sample to the next, over the longest row."""
    row = max(rows, key=lambda row: len(row.points))
    x = row.points[:, 0]
    rough = np.median(np.diff(x))
    for _ in range(3):  # the median knows the step to the page's decimals; the whole row knows it better
        counted = np.rint((x - x[0]) / rough)
        rough = np.polyfit(counted, x, 1)[0]
    return float(rough)


def _grid_spacing(lines: list[Line]) -> float | None:
    """Distance of the upright lines of the grid, in points of the page; None without a grid."""
    places = np.unique(np.round(_upright(lines)[:, 0], 2))
    distances = np.diff(places)
    distances = distances[distances > 0.3]
    if len(distances) < 8:
        return None
    return float(np.ptp(places) / max(round(np.ptp(places) / np.median(distances)), 1))


def _millimetre(spacing: float | None, rows: list[Row], speed: float) -> tuple[float, str]:
    """Points of the page that stand for a millimetre of ECG paper, and how that was found."""
    if spacing is None:
        return POINTS_PER_MM, "the page taken at its own size (it has no grid)"
    for boxes in (1, 5):
        if abs(spacing / boxes / POINTS_PER_MM - 1) < 0.03:
            return POINTS_PER_MM, f"a grid of {boxes} mm at its own size"  # the page's decimals are coarser
    width = max((np.ptp(row.points[:, 0]) for row in rows), default=0.0)
    if width / (spacing * speed) > 40:  # too long for a row: nothing but lines of a millimetre
        return spacing, f"a grid of {spacing:.3g} points, taken as 1 mm"
    boxes = 1 if width / (spacing * speed) >= 2 else 5
    return spacing / boxes, f"a scaled grid of {spacing:.3g} points, taken as {boxes} mm"


def _scale(words: str) -> tuple[float, float, str]:
    """Millimetres a second and a millivolt, and how they were found."""
    speed = re.search(r"(\d+(?:[.,]\d+)?)\s*mm\s*/\s*s", words)
    gain = re.search(r"(\d+(?:[.,]\d+)?)\s*mm\s*/\s*mV", words)
    speed = float(speed.group(1).replace(",", ".")) if speed else None
    gain = float(gain.group(1).replace(",", ".")) if gain else None
    if speed in (12.5, 25.0, 50.0) and gain in (2.5, 5.0, 10.0, 20.0):
        return speed, gain, f"{speed:g} mm/s and {gain:g} mm/mV, as the page says"
    return USUAL_SPEED, USUAL_GAIN, f"{USUAL_SPEED:g} mm/s and {USUAL_GAIN:g} mm/mV assumed"


def _images(page) -> list[str]:
    """The names of the pictures of a page that are large enough for a scan."""
    resources = page.get("/Resources")
    objects = resources.get_object().get("/XObject") if resources is not None else None
    names = []
    for name, item in list((objects.get_object() if objects is not None else {}).items())[:50]:
        item = item.get_object()
        if item.get("/Subtype") == "/Image" and min(int(item.get("/Width", 0)), int(item.get("/Height", 0))) >= 200:
            names.append(name)
    return names


def _from_scan(source: Source, wanted: Wanted, images: list) -> ECG:
    """The ECG of the largest picture of the pages."""

    def pixels(entry) -> int:
        item = entry[0]["/Resources"]["/XObject"][entry[1]]
        return int(item["/Width"]) * int(item["/Height"])

    page, name = max(images, key=pixels)
    if pixels((page, name)) > MOST_PIXELS:
        raise InputError(f"{source.name}: a scan of {pixels((page, name)) / 1e6:.0f} megapixels; scan it smaller.")
    return read_image(source.name, page.images[name].image, wanted, "a scan in a PDF")


PDF = Reader("a PDF document", looks_like_pdf, read_pdf)
