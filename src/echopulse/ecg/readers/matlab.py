"""MATLAB files without a WFDB header: versions 4, 5-7 through SciPy, 7.3 (which is HDF5) where h5py is installed.

SciPy believes the sizes that a file gives, so they are checked first: compressed parts are unpacked within a budget,
and a variable whose parts do not fit into each other, or are nested deeply, is left out.
"""

from __future__ import annotations

import importlib.util
import struct
import warnings
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
SIZES_4 = (8, 4, 4, 2, 2, 1)  # bytes of a number, by its type in version 4


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
    sound, left = _sound_4(data) if _order_4(data) else _sound_5(source.name, data)
    values = _load(source.name, sound)
    if not values and left:
        raise InputError(f"{source.name}: a MATLAB file that is cut or damaged; copy it again.")
    ecg = ecg_of_arrays(source.name, values, wanted, "MATLAB file")
    if left:
        ecg.provenance["end"] = "the file is cut or damaged; what was whole is read"
    return ecg


def _load(name: str, sound: bytes) -> dict:
    """Variables by name, the fields of structs as if they were variables too."""
    from scipy.io import loadmat

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loaded = loadmat(BytesIO(sound), simplify_cells=True)
    except Exception as error:  # SciPy raises many kinds, by what is wrong
        raise InputError(f"{name}: a MATLAB file that cannot be read ({error}); save it again.") from error
    values = {key: value for key, value in loaded.items() if not key.startswith("__")}
    for value in [value for value in values.values() if isinstance(value, dict)]:
        values = {**{key: part for key, part in value.items() if not isinstance(part, dict)}, **values}
    return {key: value for key, value in values.items() if not isinstance(value, dict)}


def _sound_5(name: str, data: bytes) -> tuple[bytes, bool]:
    """The same file with nothing compressed and only what can be an ECG or say something of it; whether it is cut."""
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if order is None:
        raise InputError(f"{name}: a MATLAB file cut within its header; copy it again.")
    beginning = b"MATLAB 5.0 MAT-file".ljust(HEADER_5 - 4) + struct.pack(order + "H", 0x0100) + data[126:128]
    parts, at, unpacked, damaged = [beginning], HEADER_5, 0, False
    while at + 8 <= len(data) and len(parts) <= MOST_MEMBERS:
        kind, size = struct.unpack_from(order + "II", data, at)
        body = data[at + 8 : at + 8 + size]
        at += 8 + size
        damaged |= len(body) < size
        try:
            if kind == COMPRESSED:
                body = _unpacked(name, body, MOST_UNPACKED_BYTES - unpacked)
                unpacked += len(body)
                kind, size = struct.unpack_from(order + "II", body) if len(body) >= 8 else (0, 0)
                body = body[8 : 8 + size]
            if kind != MATRIX or len(body) < size:
                raise _Broken
            if _wanted_matrix(body, order):
                parts.append(struct.pack(order + "II", MATRIX, len(body)) + body)
        except _Broken:
            damaged = True
    return b"".join(parts), damaged


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


def _wanted_matrix(body: bytes, order: str, depth: int = 0, budget: list[int] | None = None) -> bool:
    """Whether a matrix is numbers, text, or a struct or cells of such; `_Broken` where its sizes do not fit."""
    budget = [MOST_MEMBERS] if budget is None else budget
    if not body:
        return True  # an empty field
    parts = _parts(body, order)
    (_, flags), (_, dims) = next(parts, (0, b"")), next(parts, (0, b""))
    if len(flags) != 8 or len(dims) < 8 or len(dims) > 32 or len(dims) % 4:
        raise _Broken
    word = struct.unpack(order + "II", flags)[0]
    kind, count = word & 0xFF, 1
    for side in struct.unpack(f"{order}{len(dims) // 4}i", dims):
        count *= side
        if side < 0 or count > min(MOST_VALUES, len(body)):
            raise _Broken
    if kind in (CELL, STRUCT) and depth < DEEPEST:
        for part_kind, part in parts:
            budget[0] -= 1
            if budget[0] < 0 or part_kind == MATRIX and not _wanted_matrix(part, order, depth + 1, budget):
                return False
        return count <= MOST_MEMBERS
    if kind == CHARS or kind in NUMBERS:
        return len([None for _ in parts]) <= 3  # name, numbers, and imaginary parts
    return False


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


def _sound_4(data: bytes) -> tuple[bytes, bool]:
    """The variables of a version 4 file that are whole; whether something follows that is not."""
    at, members = 0, 0
    while at < len(data) and members < MOST_MEMBERS:
        order = _order_4(data[at : at + 128])
        if order is None:
            break
        kind, rows, columns, imaginary, name = struct.unpack_from(order + "5i", data, at)
        after = at + 20 + name + rows * columns * SIZES_4[kind // 10 % 10] * (1 + imaginary)
        if after > len(data) or rows * columns > MOST_VALUES:
            break
        at, members = after, members + 1
    return data[:at], at < len(data)


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
