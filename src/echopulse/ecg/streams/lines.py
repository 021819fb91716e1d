"""Lines of numbers over a connection, TCP or serial: one line per sample, one column per lead.

A line that begins with `#` may say what comes: `# rate_hz=250 leads=I,II unit=uV`. Columns are parted by blanks,
commas, semicolons or tabs. How many there are is known once two rows in turn agree, as the first line may be half a
one of a sender that was at it already; a line that is no such row is skipped.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from typing import Protocol

import numpy as np

from echopulse.ecg.limits import MOST_LEADS
from echopulse.ecg.readers.units import MILLIVOLTS, lead_name
from echopulse.ecg.streams.feed import Chunk, Device, Put
from echopulse.errors import InputError

LONGEST_LINE = 8192  # bytes; what is longer is no sample
MOST_GARBAGE = 1000  # lines without one sample among them
PAUSES_S = (0.2, 0.5, 1.0, 2.0, 4.0)  # before every new try, the last one again and again


class Connection(Protocol):
    """Bytes from somewhere: `read` waits a second at most, gives b"" where nothing came, raises OSError when broken."""

    def read(self) -> bytes: ...

    def close(self) -> None: ...


class LineParser:
    """Bytes in, samples [leads, n] out; what a header says, and how many lines were no samples."""

    def __init__(self, name: str):
        self.name, self.rest, self.garbage, self.columns = name, b"", 0, 0
        self.held: list[list[float]] = []  # the last row, until the next one agrees with it
        self.rate_hz: float | None = None
        self.leads: tuple[str, ...] = ()
        self.unit: str | None = None

    def feed(self, data: bytes) -> np.ndarray:
        """float64 [leads, n] of the whole lines that are there now; n may be 0, as after the first line ever."""
        *lines, self.rest = (self.rest + data).replace(b"\r", b"\n").split(b"\n")
        if len(self.rest) > LONGEST_LINE:
            self.rest, self.garbage = b"", self.garbage + 1
        rows = [row for line in lines for row in self._rows(line)]
        if not self.columns and self.garbage > MOST_GARBAGE:
            raise InputError(f"{self.name}: {self.garbage} lines without a sample; lines of numbers are expected.")
        return np.array(rows, dtype=np.float64).reshape(-1, max(self.columns, 1)).T

    def restart(self) -> None:
        """Forgets half a line, as after a connection that broke, and a row that none has agreed with."""
        self.rest, self.held = b"", []

    def _rows(self, line: bytes) -> list[list[float]]:
        """The rows that are sure with this line: itself or none, and where it is the first to agree both."""
        row = self._row(line)
        if row is None or self.columns:
            return [] if row is None else [row]
        agree = bool(self.held) and len(self.held[0]) == len(row)
        rows = [*self.held, row] if agree else []
        self.garbage += bool(self.held) and not agree
        self.columns, self.held = (len(row), []) if agree else (0, [row])
        return rows

    def _row(self, line: bytes) -> list[float] | None:
        text = line.decode("utf-8", errors="replace").strip() if len(line) <= LONGEST_LINE else "?"
        if not text:
            return None
        if text.startswith("#"):
            self._header(text)
            return None
        cells = [cell for cell in re.split(r"[\s,;]+", text) if cell]
        try:
            row = [float(cell) for cell in cells]
        except ValueError:
            self.garbage += 1
            return None
        expected = self.columns or len(self.leads) or len(row)
        if len(row) != expected or len(row) > MOST_LEADS or any(abs(value) > 1e12 for value in row):
            self.garbage += 1
            return None
        return row

    def _header(self, text: str) -> None:
        said = dict(re.findall(r"(rate_hz|leads|unit)\s*=\s*([^\s#]+)", text))
        if "rate_hz" in said:
            try:
                self.rate_hz = float(said["rate_hz"])
            except ValueError:
                self.garbage += 1
        if "leads" in said and not self.columns:
            self.leads = tuple(lead_name(name) for name in said["leads"].split(","))
        if said.get("unit", "").lower() in MILLIVOLTS:
            self.unit = said["unit"].lower()

    def device(self, rate_hz: float | None) -> Device:
        """What is known once a sample has come; `rate_hz` wins over what the header says. InputError without a rate."""
        rate = rate_hz or self.rate_hz
        if rate is None:
            raise InputError(
                f"{self.name}: the stream does not say its sampling rate; give it in hertz (rate_hz=250), or send a "
                "line '# rate_hz=250' first."
            )
        if not 20 <= rate <= 20000:
            raise InputError(f"{self.name}: a sampling rate of {rate:g} Hz; an ECG has between 20 and 20000 Hz.")
        names = self.leads or (("ECG",) if self.columns == 1 else tuple(f"ECG{i + 1}" for i in range(self.columns)))
        return Device(names, rate, self.unit)


def run_lines(
    connect: Callable[[], Connection], name: str, rate_hz: float | None, patience_s: float, put: Put,
    stop: threading.Event,
) -> None:  # fmt: skip
    """Reads lines until `stop`, or until nothing has come for `patience_s`; a broken connection is made again.

    Samples are counted from the first one of every connection; between connections the clock of this machine counts.
    InputError where no connection comes about or nothing ever comes.
    """
    parser, began, heard_at, end_s = LineParser(name), None, time.monotonic(), 0.0
    connection, tries, problem = None, 0, "nothing was sent"
    anew, count, begin_s, device = True, 0, 0.0, None
    try:
        while not stop.is_set() and time.monotonic() - heard_at < patience_s:
            if connection is None:
                try:
                    connection, anew = connect(), True
                    parser.restart()
                except OSError as error:
                    problem = error.strerror or str(error)
                    stop.wait(PAUSES_S[min(tries, len(PAUSES_S) - 1)])
                    tries += 1
                    continue
            try:
                samples = parser.feed(connection.read())
            except OSError as error:
                problem = error.strerror or str(error)
                connection.close()
                connection = None
                stop.wait(PAUSES_S[min(tries, len(PAUSES_S) - 1)])
                tries += 1
                continue
            if not samples.shape[1]:
                continue
            now, tries = time.monotonic(), 0
            device = device or parser.device(rate_hz)
            began = now if began is None else began
            if anew:
                begin_s = max(end_s, now - began - samples.shape[1] / device.rate_hz) if count else 0.0
                anew, count = False, 0
            chunk = Chunk(device, samples, begin_s + count / device.rate_hz)
            count += samples.shape[1]
            heard_at, end_s = now, chunk.end_s
            put(chunk)
    finally:
        if connection is not None:
            connection.close()
    if began is None and not stop.is_set():
        raise InputError(f"{name}: no sample within {patience_s:g} s ({problem}); check address and sender.")
