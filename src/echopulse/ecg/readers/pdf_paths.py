"""The lines that a PDF page draws: its path operators, followed through matrices, clips and forms.

Text, colours and pictures are passed over; of curves only the ends are kept. The file is untrusted, so what a stream
may unpack to, how much it may draw and how deep it may nest is bounded.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass, field

import numpy as np

from echopulse.ecg.limits import MOST_DEPTH, MOST_UNPACKED_RATIO
from echopulse.errors import InputError

MOST_DRAWING_BYTES = 8 << 20  # of all page streams together; half a minute of ECG is 0.4 MB
MOST_TOKENS = 1_000_000  # numbers and operators; half a minute of ECG has 62,000
MOST_POINTS = 250_000  # half a minute at 512 Hz has 15,360
MOST_LINES = 50_000
MOST_FORM_DEPTH = 8
SMALL_STREAM = 1 << 20  # what unpacks to no more than this is no bomb, whatever its ratio
FARTHEST = 1e6  # points from the corner of the page
THIN = 1.0  # points: a filled rectangle no wider than this is a line

TOKEN = re.compile(
    rb"%[^\r\n]*|\((?:[^()\\]|\\.|\((?:[^()\\]|\\.)*\))*+\)|<<|>>|<[0-9A-Fa-f\s]*>|[-+.\d]+|/[^\s/\[\]<>()%]*"
    rb"|[A-Za-z'\"][A-Za-z0-9*'\"]*|[\[\]]",
    re.DOTALL,
)
IDENTITY = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)


@dataclass(frozen=True, eq=False)
class Line:
    """float64 [n, 2] points of a page (1/72 inch, y upwards), and the box (left, bottom, right, top) it is cut to."""

    points: np.ndarray
    clip: tuple[float, float, float, float] | None


@dataclass
class Drawing:
    """The lines of a page in the order in which they are drawn, and how much more may be drawn."""

    name: str
    lines: list[Line] = field(default_factory=list)
    bytes_left: int = MOST_DRAWING_BYTES
    points_left: int = MOST_POINTS
    tokens_left: int = MOST_TOKENS

    def too_much(self, what: str) -> InputError:
        return InputError(f"{self.name}: a PDF page with {what}, more than any ECG needs; print it anew as one page.")


@dataclass(frozen=True)
class State:
    matrix: tuple[float, ...] = IDENTITY
    clip: tuple[float, float, float, float] | None = None


def draw_page(drawing: Drawing, page) -> None:
    """Follow a page of pypdf; its lines are added to `drawing`."""
    contents = page.get("/Contents")
    contents = contents.get_object() if contents is not None else None
    parts = [contents] if not isinstance(contents, list) else [part.get_object() for part in contents[:1000]]
    data = b"\n".join(_unpacked(drawing, part) for part in parts if part is not None)
    _run(drawing, data, page.get("/Resources"), State(), 0)


def _unpacked(drawing: Drawing, stream) -> bytes:
    """The bytes of a content stream, within what is left."""
    raw = getattr(stream, "_data", b"")
    filters = stream.get("/Filter", [])
    filters = filters.get_object() if hasattr(filters, "get_object") else filters
    filters = [str(one) for one in (filters if isinstance(filters, list) else [filters])]
    if filters == ["/FlateDecode"]:
        most = max(SMALL_STREAM, min(drawing.bytes_left, MOST_UNPACKED_RATIO * len(raw)))
        unpacker = zlib.decompressobj()
        data = unpacker.decompress(raw, most + 1)
        if len(data) > most:
            raise drawing.too_much(f"a stream of {len(raw)} bytes that unpacks to more than {most}")
    elif not filters:
        data = raw
    else:
        if len(raw) > SMALL_STREAM:
            raise drawing.too_much(f"{len(raw)} bytes packed in an unusual way")
        data = stream.get_data()
    drawing.bytes_left -= len(data)
    if drawing.bytes_left < 0:
        raise drawing.too_much(f"over {MOST_DRAWING_BYTES >> 20} MB of drawing")
    return data


def _run(drawing: Drawing, data: bytes, resources, state: State, depth: int) -> None:
    """Follow the operators of one stream."""
    saved: list[State] = []
    path: list[list[tuple[float, float]]] = []
    boxes: list[tuple[float, float, float, float]] = []
    numbers: list[float] = []
    called, clipping, at = b"", False, 0
    while match := TOKEN.search(data, at):
        token, at = match.group(), match.end()
        drawing.tokens_left -= 1
        if drawing.tokens_left < 0:
            raise drawing.too_much(f"over {MOST_TOKENS} numbers and operators")
        kind = token[:1]
        if kind in b"0123456789+-.":
            try:
                numbers.append(float(token))
            except ValueError:
                numbers.append(0.0)  # as other readers take a broken number
            if len(numbers) > 64:
                del numbers[:32]
            continue
        if kind == b"/":
            called = token
            continue
        if not token[:1].isalpha():
            continue
        values, numbers = numbers, []
        if token == b"m" and len(values) >= 2:
            path.append([(values[-2], values[-1])])
        elif token == b"l" and len(values) >= 2 and path:
            path[-1].append((values[-2], values[-1]))
        elif token in (b"c", b"v", b"y") and len(values) >= 4 and path:
            path[-1].append((values[-2], values[-1]))
        elif token == b"h" and path:
            path[-1].append(path[-1][0])
        elif token == b"re" and len(values) >= 4:
            boxes.append(tuple(values[-4:]))
        elif token in (b"W", b"W*"):
            clipping = True
        elif token in (b"S", b"s", b"B", b"B*", b"b", b"b*", b"f", b"F", b"f*", b"n"):
            if clipping:
                state = State(state.matrix, _clipped(state, path, boxes))
            if token in (b"S", b"s", b"B", b"B*", b"b", b"b*"):
                _add(drawing, state, path)
            if token != b"n":
                _add(drawing, state, [line for box in boxes if (line := _thin(box))])
            path, boxes, clipping = [], [], False
        elif token == b"q":
            saved.append(state)
            if len(saved) > 4 * MOST_DEPTH:
                raise drawing.too_much("drawing states nested too deep")
        elif token == b"Q" and saved:
            state = saved.pop()
        elif token == b"cm" and len(values) >= 6:
            state = State(_product(values[-6:], state.matrix), state.clip)
        elif token == b"Do":
            _call(drawing, called, resources, state, depth)
        elif token == b"ID":  # a picture within the stream: any bytes until EI
            end = re.compile(rb"\sEI(?=\s|$)").search(data, at)
            at = end.end() if end else len(data)


def _call(drawing: Drawing, called: bytes, resources, state: State, depth: int) -> None:
    """Follow a form that a stream calls; pictures are passed over."""
    objects = resources.get_object().get("/XObject") if resources is not None else None
    form = objects.get_object().get(called.decode("latin-1")) if objects is not None else None
    form = form.get_object() if form is not None else None
    if form is None or form.get("/Subtype") != "/Form":
        return
    if depth >= MOST_FORM_DEPTH:
        raise drawing.too_much("forms nested too deep")
    matrix = [float(value) for value in form.get("/Matrix", IDENTITY)]
    inner = State(_product(matrix, state.matrix), state.clip) if len(matrix) == 6 else state
    _run(drawing, _unpacked(drawing, form), form.get("/Resources", resources), inner, depth + 1)


def _product(first, then) -> tuple[float, ...]:
    """The matrix that applies `first`, then `then`."""
    a, b, c, d, e, f = first
    p, q, r, s, t, u = then
    return (a * p + b * r, a * q + b * s, c * p + d * r, c * q + d * s, e * p + f * r + t, e * q + f * s + u)


def _placed(matrix: tuple[float, ...], points: list) -> list[tuple[float, float]]:
    a, b, c, d, e, f = matrix
    return [(a * x + c * y + e, b * x + d * y + f) for x, y in points]


def _add(drawing: Drawing, state: State, path: list) -> None:
    for points in path:
        if len(points) < 2:
            continue
        drawing.points_left -= len(points)
        if drawing.points_left < 0 or len(drawing.lines) >= MOST_LINES:
            raise drawing.too_much(f"over {MOST_POINTS} points or {MOST_LINES} lines")
        placed = _placed(state.matrix, points)
        if all(abs(x) < FARTHEST and abs(y) < FARTHEST for x, y in placed):  # neither far off nor infinite
            drawing.lines.append(Line(np.array(placed), state.clip))


def _thin(box: tuple[float, float, float, float]) -> list[tuple[float, float]] | None:
    """The line that a thin rectangle is meant to be."""
    x, y, width, height = box
    if min(abs(width), abs(height)) > THIN or max(abs(width), abs(height)) < 10 * THIN:
        return None
    if abs(width) < abs(height):
        return [(x + width / 2, y), (x + width / 2, y + height)]
    return [(x, y + height / 2), (x + width, y + height / 2)]


def _clipped(state: State, path: list, boxes: list) -> tuple[float, float, float, float] | None:
    """The box around a clip path, within the clip so far."""
    corners = [point for points in path for point in points]
    for x, y, width, height in boxes:
        corners += [(x, y), (x + width, y), (x, y + height), (x + width, y + height)]
    if not corners:
        return state.clip
    placed = np.array(_placed(state.matrix, corners))
    left, bottom, right, top = *placed.min(0), *placed.max(0)
    if state.clip is not None:
        left, bottom = max(left, state.clip[0]), max(bottom, state.clip[1])
        right, top = min(right, state.clip[2]), min(top, state.clip[3])
    return float(left), float(bottom), float(right), float(top)
