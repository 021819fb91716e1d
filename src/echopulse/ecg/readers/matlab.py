"""MATLAB files without a WFDB header: versions 4 and 5-7, and 7.3 (which is HDF5) where h5py is installed.

SciPy's reader is not used: it believes the sizes that a file gives, and a damaged one made it end the whole process.
Here compressed parts are unpacked within a budget, and a variable whose parts do not fit into each other is left out.
"""

from __future__ import annotations

import importlib.util
import struct
import zlib
from collections.abc import Iterator
from io import BytesIO

import numpy as np

from echopulse.ecg.limits import MOST_MEMBERS, MOST_UNPACKED_BYTES, MOST_UNPACKED_RATIO, MOST_VALUES, check_bytes
from echopulse.ecg.readers.arrays import ecg_of_arrays
from echopulse.ecg.readers.source import Reader, Source, Wanted
from echopulse.ecg.types import ECG
from echopulse.errors import InputError

HEADER_5 = 128
MATRIX, COMPRESSED = 14, 15
CELL, STRUCT, CHARS = 1, 2, 4
NUMBERS = range(6, 16)  # double, single, and whole numbers of 8 to 64 bits
DEEPEST = 3  # a struct of cells of texts; more is no ECG
HDF5 = b"\x89HDF\r\n\x1a\n"
COMPLEX = 0x800
TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
TYPES_4 = ("f8", "f4", "i4", "i2", "u2", "u1")  # of version 4, in its order


class _Broken(Exception):
    """A part that does not fit into what holds it."""


def looks_like_matlab(source: Source) -> bool:
    """A MATLAB file of any version, or an HDF5 file."""
    head = source.head
    return head.startswith((b"MATLAB 5.0", b"MATLAB 7.3", HDF5)) or _order_4(head) is not None


def read_matlab(source: Source, wanted: Wanted) -> ECG:
    """The ECG in a MATLAB file: the array of a usual name, or else the largest; millivolts."""
    if source.head.startswith((b"MATLAB 7.3", HDF5)):
        return ecg_of_arrays(source.name, _hdf5(source), wanted, "HDF5 file")
    data = source.data
    values, left = _read_4(data) if _order_4(data[:HEADER_5]) else _read_5(source.name, data)
    if not values and left:
        raise InputError(f"{source.name}: a MATLAB file that is cut or damaged; copy it again.")
    ecg = ecg_of_arrays(source.name, values, wanted, "MATLAB file")
    if left:
        ecg.provenance["end"] = "the file is cut or damaged; what was whole is read"
    return ecg


def _read_5(name: str, data: bytes) -> tuple[dict, bool]:
    """Variables by name, fields of structs as if they were variables too; whether something is cut or damaged."""
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if order is None:
        raise InputError(f"{name}: a MATLAB file cut within its header; copy it again.")
    values, fields, at, unpacked, damaged, budget = {}, {}, HEADER_5, 0, False, [MOST_MEMBERS]
    while at + 8 <= len(data) and budget[0] > 0:
        kind, size = struct.unpack_from(order + "II", data, at)
        body = data[at + 8 : at + 8 + size]
        at, budget[0] = at + 8 + size, budget[0] - 1
        try:
            if kind == COMPRESSED:
                body = _unpacked(name, body, MOST_UNPACKED_BYTES - unpacked)
                unpacked += len(body)
                kind, size = struct.unpack_from(order + "II", body) if len(body) >= 8 else (0, 0)
                body = body[8 : 8 + size]
            if kind != MATRIX or len(body) < size:
                raise _Broken
            title, value = _matrix(body, order, budget)
        except (_Broken, UnicodeDecodeError):
            damaged = True
            continue
        if isinstance(value, dict):
            fields |= {key: part for key, part in value.items() if not isinstance(part, dict)}
        elif value is not None:
            values[title] = value
    return {**fields, **values}, damaged


def _unpacked(name: str, body: bytes, most: int) -> bytes:
    """What a compressed part holds; InputError where it is a bomb."""
    unpack = zlib.decompressobj()
    try:
        out = unpack.decompress(body, max(min(most, MOST_UNPACKED_RATIO * len(body) + 4096), 1))
    except zlib.error as error:
        raise _Broken from error
    if unpack.unconsumed_tail:
        raise InputError(
            f"{name}: a MATLAB file that unpacks to more than {MOST_UNPACKED_BYTES >> 20} MB, or to more than "
            f"{MOST_UNPACKED_RATIO} times its size; that is not read."
        )
    return out


def _parts(body: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """Kind and content of the parts within a matrix; `_Broken` where one does not fit."""
    at = 0
    while at + 8 <= len(body):
        kind, size = struct.unpack_from(order + "II", body, at)
        if kind >> 16:  # small parts keep kind and size in four bytes, and their content in the next four
            kind, size, begin, after = kind & 0xFFFF, kind >> 16, at + 4, at + 8
            if size > 4:
                raise _Broken
        else:
            begin, after = at + 8, at + 8 + -(-size // 8) * 8
        if begin + size > len(body):
            raise _Broken
        yield kind, body[begin : begin + size]
        at = after


def _matrix(body: bytes, order: str, budget: list[int], depth: int = 0) -> tuple[str, object]:
    """Name and value: an array, a text, a list of cells, the fields of a struct, or None for what is of no use here."""
    if not body:
        return "", None  # an empty field
    parts = _parts(body, order)
    (_, flags), (_, dims), (_, title) = (next(parts, (0, b"")) for _ in range(3))
    if len(flags) != 8 or len(dims) not in range(8, 33, 4):
        raise _Broken
    word = struct.unpack(order + "II", flags)[0]
    shape, count = struct.unpack(f"{order}{len(dims) // 4}i", dims), 1
    for side in shape:
        count *= side
        if side < 0 or count > min(MOST_VALUES, len(body)):
            raise _Broken
    kind, name = word & 0xFF, title.decode("latin-1")
    if kind in NUMBERS and not word & COMPLEX:
        return name, _numbers(*next(parts, (0, b"")), order, shape, count)
    if kind == CHARS:
        return name, _text(*next(parts, (0, b"")), order, shape)
    if kind not in (CELL, STRUCT) or depth >= DEEPEST:
        return name, None
    fields: list[str] = []
    if kind == STRUCT:
        (_, length), (_, names) = next(parts, (0, b"")), next(parts, (0, b""))
        wide = struct.unpack(order + "i", length)[0] if len(length) == 4 else 0
        if not 0 < wide <= 64 or count != 1:
            return name, None
        names = [names[i : i + wide] for i in range(0, len(names), wide)]
        fields = [field.split(b"\0")[0].decode("latin-1") for field in names]
    values = []
    for part_kind, part in parts:
        budget[0] -= 1
        if budget[0] < 0:
            raise _Broken
        values.append(_matrix(part, order, budget, depth + 1)[1] if part_kind == MATRIX else None)
    return name, dict(zip(fields, values, strict=False)) if kind == STRUCT else values


def _numbers(kind: int, data: bytes, order: str, shape: tuple[int, ...], count: int) -> np.ndarray:
    """An array as it was, whatever smaller type it was stored in."""
    if kind not in TYPES:
        raise _Broken
    dtype = np.dtype(order + TYPES[kind])
    if len(data) != count * dtype.itemsize:
        raise _Broken
    return np.frombuffer(data, dtype).reshape(shape, order="F")


def _text(kind: int, data: bytes, order: str, shape: tuple[int, ...]) -> str | list[str]:
    """A text, or a list of texts where there are several rows."""
    wide = {4: "utf-16", 17: "utf-16", 18: "utf-32"}.get(kind)
    encoding = f"{wide}-{'le' if order == '<' else 'be'}" if wide else ("utf-8" if kind == 16 else "latin-1")
    text = data.decode(encoding, "replace")
    if len(shape) == 2 and shape[0] > 1 and shape[0] * shape[1] == len(text):
        return [text[row :: shape[0]].strip() for row in range(shape[0])]
    return text


def _order_4(head: bytes) -> str | None:
    """Byte order of a version 4 file, None where it is none: there is no mark, so every field has to be possible."""
    for order in "<>":
        if len(head) < 22:
            return None
        kind, rows, columns, imaginary, name = struct.unpack_from(order + "5i", head)
        machine, numbers = kind // 1000, kind // 10 % 10
        if not (0 <= kind < 2000 and machine == "<>".index(order) and kind // 100 % 10 == 0 and numbers <= 5):
            continue
        written = head[20 : 20 + max(name, 0)]
        if kind % 10 > 1 or min(rows, columns) < 0 or imaginary not in (0, 1) or not 2 <= name <= 64:
            continue
        if written[-1:] == b"\0" and written[:-1].replace(b"_", b"a").isalnum() and not written[:1].isdigit():
            return order
    return None


def _read_4(data: bytes) -> tuple[dict, bool]:
    """The variables of a version 4 file that are whole; whether something follows that is not."""
    at, values = 0, {}
    while at < len(data) and len(values) < MOST_MEMBERS:
        order = _order_4(data[at : at + 128])
        if order is None:
            break
        kind, rows, columns, imaginary, name = struct.unpack_from(order + "5i", data, at)
        dtype, begin = np.dtype(order + TYPES_4[kind // 10 % 10]), at + 20 + name
        after = begin + rows * columns * dtype.itemsize * (1 + imaginary)
        if after > len(data) or rows * columns > MOST_VALUES:
            break
        array = np.frombuffer(data, dtype, rows * columns, begin).reshape((rows, columns), order="F")
        title = data[at + 20 : begin - 1].decode("latin-1")
        if kind % 10 == 1:  # text is stored as numbers
            values[title] = "".join(chr(int(c)) for c in array[0] if 31 < c < 0x110000) if 0 < array.size < 4096 else ""
        elif not imaginary:
            values[title] = array
        at = after
    return values, at < len(data)


def _hdf5(source: Source) -> dict:
    """Arrays of an HDF5 file by name, two groups deep; nothing that lies in another file."""
    check_bytes(source.name, source.size)
    if importlib.util.find_spec("h5py") is None:
        raise InputError(
            f"{source.name}: a MATLAB 7.3 or HDF5 file, which is read where h5py is installed; install it, or save "
            "the file with -v7."
        )
    h5py = importlib.import_module("h5py")
    values: dict = {}
    try:
        with h5py.File(source.path or BytesIO(source.given), "r") as file:
            _collect(h5py, file, values, 0)
    except Exception as error:  # h5py raises many kinds, by what is wrong
        raise InputError(f"{source.name}: an HDF5 file that cannot be read ({error}); copy it again.") from error
    return values


def _collect(h5py, group, values: dict, depth: int) -> None:
    total = sum(value.size for value in values.values())
    for key in list(group)[:MOST_MEMBERS]:
        if not isinstance(group.get(key, getlink=True), h5py.HardLink):
            continue  # soft and external links may lead out of the file
        item = group[key]
        if isinstance(item, h5py.Group):
            if depth < 2 and not key.startswith("#"):
                _collect(h5py, item, values, depth + 1)
        elif item.dtype.kind in "iuf" and item.ndim <= 2 and not item.is_virtual and not item.external:
            total += item.size
            if total <= MOST_VALUES:
                values.setdefault(key, np.asarray(item[()]))


MATLAB = Reader("a MATLAB file", looks_like_matlab, read_matlab)
