"""The Huffman codes of SCP-ECG: the table that the standard prints, the tables of a file, and a lead by them."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from echopulse.errors import InputError

DEFAULT_TABLE = 19999  # in place of the number of tables: the one that the standard prints


@dataclass(frozen=True, eq=False)
class Table:
    """A Huffman table: what each prefix, a row of "0" and "1", means.

    meaning  prefix -> (value, bits of a number that follows and is the value instead, whether it switches tables);
             a code that switches has the number of the next table as its value
    lengths  of the prefixes, the shortest first: no code is the beginning of another
    """

    meaning: dict[str, tuple[int, int, bool]]
    lengths: tuple[int, ...]


def _table(codes: list[tuple[str, int, int, bool]]) -> Table:
    """From (prefix, bits of a number that follows it, value, switch)."""
    meaning = {prefix: (value, extra, switch) for prefix, extra, value, switch in codes}
    return Table(meaning, tuple(sorted({len(prefix) for prefix in meaning})))


@lru_cache(maxsize=1)
def _default_table() -> Table:
    """0 is "0"; up to 8 it is as many ones, a zero and the sign; nine or ten ones announce a byte or a word."""
    codes = [("0", 0, 0, False)]
    for size in range(1, 9):
        codes += [("1" * size + "00", 0, size, False), ("1" * size + "01", 0, -size, False)]
    return _table([*codes, ("1" * 9 + "0", 8, 0, False), ("1" * 10, 16, 0, False)])


def read_tables(name: str, section: bytes) -> list[Table]:
    """The tables of section 2; none where samples are plain numbers."""
    if len(section) < 2:
        return []
    count = struct.unpack_from("<H", section)[0]
    if count == DEFAULT_TABLE:
        return [_default_table()]
    tables, at = [], 2
    for _ in range(count):
        lines = struct.unpack_from("<H", section, at)[0]
        at += 2
        codes = []
        for _ in range(lines):
            prefix, total, stays, value, code = struct.unpack_from("<BBBhI", section, at)
            at += 9
            if not 1 <= prefix <= 32 or not 0 <= total - prefix <= 32:
                raise InputError(f"{name}: a Huffman code of {prefix} bits of {total} in section 2; it is damaged.")
            bits = "".join(str(code >> i & 1) for i in range(prefix))  # the first bit is the lowest
            codes.append((bits, total - prefix, value, stays == 0))
        if not codes or len({code[0] for code in codes}) < len(codes) or len(codes) > 512:
            raise InputError(f"{name}: a Huffman table of {len(codes)} codes, some of them twice; it is damaged.")
        tables.append(_table(codes))
    return tables


def decode(name: str, lead: str, packed: bytes, tables: list[Table], count: int) -> np.ndarray:
    """int64: at most `count` values out of the codes of a lead, fewer where they end early or make no sense."""
    bits = np.unpackbits(np.frombuffer(packed, np.uint8)).astype(np.uint8)
    bits = (bits + ord("0")).tobytes().decode("ascii")
    table, at, values = tables[0], 0, []
    while len(values) < count:
        for length in table.lengths:
            meaning = table.meaning.get(bits[at : at + length])
            if meaning is not None:
                break
        else:
            break
        value, extra, switch = meaning
        at += length
        if extra:
            number = bits[at : at + extra]
            if len(number) < extra:
                break
            value = int(number, 2) - (int(number[0]) << extra)  # two's complement
            at += extra
        if not switch:
            values.append(value)
        elif 1 <= value <= len(tables):
            table = tables[value - 1]
        else:
            raise InputError(f"{name}: lead {lead} asks for Huffman table {value} of {len(tables)}; damaged.")
    return np.array(values, dtype=np.int64)
