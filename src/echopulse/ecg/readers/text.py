"""Bytes to lines to numbers, the same for every text format: encodings, decimal commas, blanks."""

from __future__ import annotations

import re

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
# "1,234.5" and "1.234,5": groups of three that cannot be anything but thousands.
THOUSANDS_AND_POINT = re.compile(r"[+-]?\d{1,3}([, '\u2019\u00a0\u202f]\d{3})+\.\d+")
THOUSANDS_AND_COMMA = re.compile(r"[+-]?\d{1,3}([. '\u2019\u00a0\u202f]\d{3})+,\d+")
MISSING = frozenset({"nan", "na", "n/a", "null", "none", "-", "--", "#n/a", "inf", "-inf"})


def decode(data: bytes) -> tuple[str, str]:
    """The text of a file and the name of its encoding: by byte-order mark, else UTF-8, else Latin-1."""
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if data.startswith(mark):
            return data.decode(encoding, errors="replace").lstrip("\ufeff"), encoding
    head = data[:2000]
    if head.count(b"\0") > len(head) // 3:  # UTF-16 whose mark was lost: every other byte is zero
        encoding = "utf-16-le" if head[1:2] == b"\0" else "utf-16-be"
        return data.decode(encoding, errors="replace"), encoding
    try:
        return data.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        return data.decode("latin-1"), "latin-1"


def is_text(data: bytes) -> bool:
    """Whether bytes from the start of a file can be text: a known mark, or next to no control characters."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return True
    control = sum(byte < 9 or 13 < byte < 32 for byte in data)
    zeros = data.count(b"\0")
    return control < 0.02 * max(len(data), 1) or (zeros > len(data) // 3 and control == zeros)


def lines_of(text: str) -> list[str]:
    """Lines without their ends, whatever the ends are (LF, CRLF, CR, each doubled); blank last lines are dropped."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").rstrip().split("\n")
    return lines[::2] if len(lines) > 8 and not any(line.strip() for line in lines[1::2]) else lines


def number(cell: str) -> float | None:
    """The value of a cell: NaN when it says that the value is missing, None when it is no number."""
    cell = cell.strip().strip("\"'").strip()
    if NUMBER.fullmatch(cell):
        return float(cell)
    if cell[:1] == "\u2212":  # the mathematical minus
        cell = "-" + cell[1:]
    if THOUSANDS_AND_POINT.fullmatch(cell):
        return float(re.sub(r"[^\d.+-]", "", cell))
    if THOUSANDS_AND_COMMA.fullmatch(cell):
        return float(re.sub(r"[^\d,+-]", "", cell).replace(",", "."))
    if NUMBER.fullmatch(cell):
        return float(cell)
    return float("nan") if not cell or cell.lower() in MISSING else None


def drop_cut_last_line(lines: list[str], text: str) -> tuple[list[str], bool]:
    """Leave out a last value that lost its end: no line end, and fewer decimals than all the lines before have."""
    if text.endswith(("\n", "\r")) or len(lines) < 3:
        return lines, False
    digits = [sum(character.isdigit() for character in re.split("[.,]", line)[-1]) for line in lines[-21:]]
    return (lines[:-1], True) if len(set(digits[:-1])) == 1 and digits[-1] < digits[0] else (lines, False)
