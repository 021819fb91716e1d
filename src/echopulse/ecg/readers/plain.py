"""Tables of numbers: CSV and TXT with or without names, times, units and comments, and NumPy arrays."""

from __future__ import annotations

import re
from collections import Counter
from io import BytesIO

import numpy as np

from echopulse.ecg.readers.clock import steady
from echopulse.ecg.readers.moments import seconds_in
from echopulse.ecg.readers.source import Reader, Source, Wanted
from echopulse.ecg.readers.text import THOUSANDS_AND_COMMA, THOUSANDS_AND_POINT, drop_cut_last_line, number
from echopulse.ecg.readers.units import in_millivolts, lead_name, unit_in
from echopulse.ecg.types import ECG
from echopulse.errors import InputError

TIME_NAME = re.compile(r"\s*(time|zeit|temps|tiempo|tempo|timestamp|t|sec|secs|seconds?|sekunden|ms|elapsed)\b", re.I)
NOT_A_LEAD = re.compile(r"(index|idx|sample|#|no|nr|n|label|annotation|resp|ppg|pleth|abp|spo2)\b|.*time", re.I)
ECG_NAME = re.compile(
    r"(ecg|ekg|ecg.?\d*|lead|ml[i1]{1,3}|mcl\d|i{1,3}|av[rlf]|v[1-9]|volt\w*|m?v|.*\[?[uµμm]v\]?)\b", re.I
)
RATE_TEXT = (
    re.compile(r"(?:sampl\w*|abtast\w*)[\s_.-]*(?:rate|freq\w*)?[^\d\n]{0,14}?(\d+(?:\.\d+)?)", re.I),
    re.compile(r"\b(?:fs|rate|frequency)\b[^\d\n]{0,10}(\d+(?:\.\d+)?)", re.I),
    re.compile(r"(\d+(?:\.\d+)?)\s*(?:hz|hertz)\b", re.I),
)
HEART_RATE_NAME = re.compile(
    r"(hr|hrv|bpm|heart.?rate|pulse(.?rate)?|rr|r-r|nn|ibi|pp|rmssd)([ _-]*(interval|rate)s?)?([ _]*[\[(].*)?"
    r"([ _]*(ms|bpm|s))?$", re.I
)
HEART_RATE_FILE = re.compile(r"(?<![A-Za-z0-9])(hr|hrv|rr|ibi|ppi)(?![A-Za-z0-9])", re.I)
SECONDS = {"s": 1.0, "sec": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ns": 1e-9}
UNIT_CELL = re.compile(r"[\[(]?([nuµμm]?v|m?s|[num]?sec|hh:mm:ss(\.m+)?|seconds|bpm|mmhg|-)[\])]?", re.I)
MOST_LEADS = 64
MOST = 1e30  # a number beyond it is damage, and would not fit a sample
LEAST_ROWS = 32  # fewer numbers than this are a note, not a recording
STANDARD_12 = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")


def looks_like_table(source: Source) -> bool:
    """Whether a file is text, mostly rows of numbers."""
    lines = source.lines if source.is_plain_text else []
    rows = sum(bool(re.fullmatch(r"[\s\d.,;:+\-eEnaNT\"'Z]*\d[\s\d.,;:+\-eEnaNT\"'Z]*", line)) for line in lines)
    if rows >= LEAST_ROWS:
        return rows > 0.5 * sum(bool(line.strip()) for line in lines)
    long = [line for line in lines if not re.search(r"[A-DF-Za-df-z]{3}", line)]
    return any(len(re.findall(r"\d+", line)) >= LEAST_ROWS for line in long)


def read_table(source: Source, wanted: Wanted) -> ECG:
    """The ECG columns of a table of numbers, millivolts."""
    path, rate_hz = source.name, wanted.rate_hz
    lines, cut = drop_cut_last_line(source.lines, source.text)
    delimiter, comma_decimal = _separators(lines)
    rows = [_cells(line, delimiter, comma_decimal) for line in lines]
    parsed = [[_value(cell) for cell in row] for row in rows]
    width = Counter(len(row) for row in parsed if any(value == value and value is not None for value in row))
    if not width:
        raise InputError(f"{path}: text without a table of numbers, so no ECG; give one column of samples per lead.")
    columns = width.most_common(1)[0][0]
    if len(lines) < LEAST_ROWS and columns >= LEAST_ROWS:  # one line per lead instead of one column
        table = np.array([_floats(row) for row in parsed if len(row) == columns]).T
        names, header = [""] * table.shape[1], "\n".join(lines[: next(i for i, r in enumerate(parsed) if len(r) > 2)])
    else:
        table, names, header = _body(lines, rows, parsed, columns)
    if len(table) < LEAST_ROWS:
        raise InputError(f"{path}: only {len(table)} rows of numbers, so no ECG; at least 2 s of samples are needed.")
    table = np.where(np.abs(table) < MOST, table, np.nan)
    time, leads = _roles(table, names)
    if not leads:
        raise InputError(f"{path}: a table with times but no column of samples; give one column per lead.")
    _refuse_rates_of_hearts(path, names, table, leads)
    stamped = time is not None and _shows_a_clock(rows, columns, time)
    told, signals = None, table[:, leads].T
    rate, how = (rate_hz, "as given") if rate_hz else (None, "")
    if rate is None and time is not None and (found := _on_its_clock(table, names, time, signals, stamped)) is not None:
        rate, how, signals, told = found
    if rate is None:
        rate, how = _rate_in(header)
    if rate is None:
        strap = columns == 1 and not header.strip() and np.array_equal(table, np.round(table))
        raise no_rate(path, 130.0, "a Polar H10, which writes such a column,") if strap else no_rate(path)
    units = {unit_in(names[i]) for i in leads} - {None}
    unit = units.pop() if len(units) == 1 else unit_in(" ".join(re.findall(r"\bunits?\b.*", header, re.I)))
    samples, unit_how = in_millivolts(signals, unit, wanted.unit)
    titles, leads_how = _titles([names[i] for i in leads])
    provenance = {"format": "table of numbers", "rate": f"{rate:g} Hz, {how}", "unit": unit_how, "leads": leads_how}
    if told:
        provenance["clock"] = told
    if comma_decimal:
        provenance["numbers"] = "a comma is their decimal mark"
    if cut:
        provenance["end"] = "the file stops in the middle of a number; that last line is left out"
    return ECG(samples, rate, titles, provenance=provenance)


def read_npy(source: Source, wanted: Wanted) -> ECG:
    """A NumPy array [n], [leads, n] or [n, leads] of numbers; the longer side is time."""
    path, rate_hz = source.name, wanted.rate_hz
    try:
        array = np.load(BytesIO(source.data), allow_pickle=False)
    except Exception as error:  # a header can be wrong in every way; NumPy raises many kinds
        raise InputError(f"{path}: not a whole NumPy array of numbers ({str(error).partition(chr(10))[0]}).") from error
    if array.dtype.kind not in "iuf" or array.ndim not in (1, 2) or array.size == 0:
        raise InputError(
            f"{path}: an array of shape {array.shape} and type {array.dtype}; expected numbers as [n] or [leads, n]."
        )
    if rate_hz is None:
        raise no_rate(path)
    samples = np.atleast_2d(array.astype(np.float64))
    if samples.shape[0] > samples.shape[1]:
        samples = samples.T
    if samples.shape[0] > MOST_LEADS:
        raise InputError(f"{path}: an array of shape {array.shape}; expected at most {MOST_LEADS} leads.")
    samples, unit_how = in_millivolts(samples, None, wanted.unit)
    titles, leads_how = _titles([""] * len(samples))
    provenance = {
        "format": "NumPy array", "rate": f"{rate_hz:g} Hz, as given", "unit": unit_how, "leads": leads_how,
    }  # fmt: skip
    return ECG(samples, rate_hz, titles, provenance=provenance)


class RateUnknown(InputError):
    """A file that does not say its sampling rate, where none was given."""


def no_rate(path: str, usual_hz: float = 250.0, of: str = "") -> RateUnknown:
    """The error of a file without a rate; `of` names a device that usually records at `usual_hz`."""
    usual = f"; {of} records at {usual_hz:g}" if of else ""
    return RateUnknown(
        f"{path}: the file does not say its sampling rate{usual}; give it in hertz (--rate {usual_hz:g}, or "
        f"rate_hz={usual_hz:g} in Python)."
    )


def _separators(lines: list[str]) -> tuple[str | None, bool]:
    """The character between cells (None: blanks) and whether a comma is the decimal mark."""
    sample = [line for line in lines[len(lines) // 4 :] if any(c.isdigit() for c in line)][:400]
    bare = [line.strip().strip("\"'") for line in sample]
    for thousands, plain, comma_decimal in (
        (THOUSANDS_AND_POINT, r"[+-]?\d+(\.\d+)?", False), (THOUSANDS_AND_COMMA, r"[+-]?\d+(,\d+)?", True),
    ):  # fmt: skip
        grouped = [bool(thousands.fullmatch(cell)) for cell in bare]
        if any(grouped) and all(g or re.fullmatch(plain, cell) for g, cell in zip(grouped, bare, strict=True)):
            return None, comma_decimal  # one column, with thousands set apart
    outside = [re.sub(r'"[^"]*"', "0", line) for line in sample]  # a comma within quotes parts nothing
    share = {mark: np.mean([mark in line.strip() for line in outside] or [0]) for mark in ";\t,"}
    quoted = [re.findall(r'"[+-]?\d+,\d+"', line) for line in sample]
    if share[","] > 0.8 and np.mean([bool(cells) for cells in quoted] or [0]) > 0.5:
        return ",", True
    comma_in_number = np.mean([bool(re.search(r"\d,\d", line)) and "." not in line for line in sample] or [0]) > 0.5
    comma_in_number |= any(THOUSANDS_AND_COMMA.fullmatch(cell.strip()) for line in sample for cell in line.split(";"))
    for mark in ";\t":
        if share[mark] > 0.8:
            return mark, comma_in_number
    if share[","] < 0.5:
        return (None, False)
    if all(re.fullmatch(r"\s*[+-]?\d+,\d+\s*", line) for line in sample):
        first = np.array([float(line.split(",")[0]) for line in sample])
        # "0,043": a lone comma between digits is a decimal mark, unless what stands before it counts upwards
        return (",", False) if len(first) > 2 and np.all(np.diff(first) > 0) else (None, True)
    if all(re.fullmatch(r"\s*([+-]?\d+,\d+\s+)+[+-]?\d+,\d+\s*", line) for line in sample):
        return None, True
    return ",", False


def _cells(line: str, delimiter: str | None, comma_decimal: bool) -> list[str]:
    line = line.strip()
    if '"' in line and delimiter is not None:
        cells = [cell.strip() for cell in re.findall(rf'(?:^|(?<={delimiter}))((?:"[^"]*"|[^{delimiter}"])*)', line)]
    else:
        cells = line.split(delimiter) if line else []
    if delimiter == ",":
        while cells and not cells[-1].strip():  # trailing commas of a spreadsheet
            cells.pop()
    if not comma_decimal:
        return cells
    return [cell if THOUSANDS_AND_COMMA.fullmatch(cell.strip()) else cell.replace(",", ".") for cell in cells]


def _value(cell: str) -> float | None:
    """A number, or the seconds that a clock shows."""
    found = number(cell)
    return seconds_in(cell) if found is None else found


def _floats(row: list[float | None]) -> list[float]:
    return [np.nan if value is None else value for value in row]


def _body(lines, rows, parsed, columns) -> tuple[np.ndarray, list[str], str]:
    """[n, columns] of the rows that have the usual width, the columns' names ("" where none), the text above."""
    full = [
        len(row) == columns and any(value is not None for value in row) and not lines[i].lstrip().startswith("#")
        for i, row in enumerate(parsed)
    ]
    first = next((i for i in range(len(full)) if all(full[i : i + 3])), len(full))
    last = len(full) - next((i for i, good in enumerate(reversed(full)) if good), 0)
    body = parsed[first:last]
    table = np.array([_floats(row) if len(row) == columns else [np.nan] * columns for row in body], dtype=np.float64)
    table = table.reshape(-1, columns)
    title = next((row for row in reversed(rows[:first]) if len(row) == columns and any(c.strip() for c in row)), None)
    names = [_bare(cell) for cell in title] if title else [""] * columns
    above = [row for row in rows[:first] if len(row) == columns and row is not title]
    if above and all(not name or UNIT_CELL.fullmatch(name) for name in names):  # a line of units under the names
        pairs = zip((_bare(cell) for cell in above[-1]), names, strict=True)
        names = [f"{name} [{unit}]" if unit else name for name, unit in pairs]
    return table, names, "\n".join(lines[:first])


def _bare(cell: str) -> str:
    return cell.strip().strip("\"'").lstrip("# ")


def _roles(table: np.ndarray, names: list[str]) -> tuple[int | None, list[int]]:
    """Which column is the time (if any) and which are leads."""
    numeric = [i for i in range(table.shape[1]) if np.isfinite(table[:, i]).any()]
    rising = [i for i in numeric if _steady(table[:, i])]
    if numeric == rising == [0] and table.shape[1] > 1:
        return 0, list(range(1, table.shape[1]))  # times, and leads without any value
    time = None
    if len(numeric) > 1:
        named = [i for i in numeric if TIME_NAME.match(names[i]) and (i in rising or _mostly_rises(table[:, i]))]
        time = named[-1] if named else (numeric[0] if numeric[0] in rising else None)
    rest = [i for i in numeric if i != time and i not in rising and not NOT_A_LEAD.match(names[i])]
    rest = rest or [i for i in numeric if i != time]
    chosen = [i for i in rest if ECG_NAME.match(names[i])]
    return time, chosen or rest


def _mostly_rises(column: np.ndarray) -> bool:
    """Whether a column that is called a time is one: it may repeat, pause and at times step back."""
    steps = np.diff(column[np.isfinite(column)])
    return bool(len(steps) >= 8 and np.mean(steps > 0) > 0.02 and np.mean(steps < 0) < 0.1 and steps.sum() != 0)


def _steady(column: np.ndarray) -> bool:
    """Whether a column only rises, in steps of about one size: a clock or a counter."""
    steps = np.diff(column[np.isfinite(column)])
    if len(steps) < 8 or np.mean(steps < 0) > 0:
        return False
    middle = np.mean(steps)
    return bool(middle > 0 and np.mean(np.abs(steps / middle - 1) < 0.75) > 0.9)


def _on_its_clock(table, names, time, signals, stamped) -> tuple[float, str, np.ndarray, str | None] | None:
    """Hertz, how, the samples [leads, n] on a steady clock and what was done for that; None for a mere counter."""
    column = table[:, time]
    steps = np.diff(column[np.isfinite(column)])
    if not np.any(steps > 0):
        return None
    step = float(np.mean(steps)) if np.mean(steps == 0) > 0.3 else float(np.median(steps[steps > 0]))
    scale, unit = (1.0, "times of day") if stamped else _time_unit(names[time], step)
    found = steady(column * scale, signals) if scale is not None else None
    if found is None or not 20 <= found.rate_hz <= 20000:
        return None
    return found.rate_hz, f"from the time column ({unit})", found.samples, found.told


def _shows_a_clock(rows: list[list[str]], columns: int, time: int) -> bool:
    """Whether the cells of a column are times of day rather than numbers."""
    cells = [row[time] for row in rows[-40:] if len(row) == columns]
    return sum(":" in cell for cell in cells) > len(cells) / 2


def _rate_in(header: str) -> tuple[float | None, str]:
    """Hertz by a comment above the table, None without one."""
    for pattern in RATE_TEXT:
        match = pattern.search(header)
        if match and 20 <= float(match.group(1)) <= 20000:
            return float(match.group(1)), "from a comment in the file"
    return None, ""


def _refuse_rates_of_hearts(path: str, names: list[str], table: np.ndarray, leads: list[int]) -> None:
    """InputError for rates and intervals of beats: by the names of the columns, or of the file for a bare column."""
    if all(names[i] and HEART_RATE_NAME.match(names[i]) for i in leads):
        what = ", ".join(names[i] for i in leads)
    elif table.shape[1] == 1 and not names[0] and HEART_RATE_FILE.search(path.rpartition("/")[2].rpartition("\\")[2]):
        values = table[np.isfinite(table)]
        if not values.size or values.min() < 20 or values.max() > 3000:
            return
        what = "one column, named so by the file"
    else:
        return
    raise InputError(f"{path}: heart rates or intervals between beats ({what}), not an ECG; give the recording itself.")


def _time_unit(name: str, step: float) -> tuple[float | None, str]:
    """Seconds per unit of a time column, by its name or else by the size of its steps; None for a mere counter."""
    words = re.findall(r"[a-zµμ]+", name.lower())
    for word in reversed(words[1:] if len(words) > 1 else words):
        if word in SECONDS:
            return SECONDS[word], word
    if words and words[0] in ("seconds", "second", "secs", "sekunden"):
        return 1.0, "s"
    if step == 1 and not words:
        return None, ""
    for unit in ("s", "ms", "us", "ns"):
        if 50 <= 1.0 / (step * SECONDS[unit]) <= 5000:
            return SECONDS[unit], f"{unit}, by the size of its steps"
    return None, ""


def _titles(names: list[str]) -> tuple[tuple[str, ...], str]:
    """One lead name per column, and where the names are from."""
    named = [lead_name(name) if name else "" for name in names]
    if all(named) and len(set(named)) == len(named):
        return tuple(named), "from the column names"
    if len(names) == 12:
        return STANDARD_12, "twelve unnamed columns, taken in the usual order I, II, III, aVR, aVL, aVF, V1-V6"
    return (tuple(f"ECG{i + 1}" for i in range(len(names))) if len(names) > 1 else ("ECG",)), "unnamed"


NUMPY = Reader("a NumPy array", lambda source: source.head.startswith(b"\x93NUMPY"), read_npy)
TABLE = Reader("a table of numbers", looks_like_table, read_table)
