"""What every reader is given and gives: an untrusted file, what the user says about it, and the reader itself.

A format is one file in this folder that ends in a `Reader`; `readers.READERS` lists them. A reader

- tells by the first bytes whether a file is its own (never by the name's ending), cheaply and without raising;
- asks `limits` before it takes memory, and raises `InputError`, one sentence that begins with the file's name, for all
  that is wrong; any other exception that a library raises is turned into one;
- leaves leads as the file has them, named in the usual spelling (`units.lead_name`), in millivolts, and says in the
  provenance how format, rate, unit and leads were decided; every guess is told there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from echopulse.ecg.limits import check_bytes, check_text
from echopulse.ecg.readers.text import decode, is_text, lines_of
from echopulse.ecg.types import ECG
from echopulse.errors import InputError

HEAD_BYTES = 4096


@dataclass(frozen=True, eq=False)
class Source:
    """A file to be read.

    Attributes:
        name: what messages call it.
        path: where it lies; None for bytes and streams. Formats of several files look beside it.
        given: its bytes where it has no path.
    """

    name: str
    path: Path | None = None
    given: bytes = b""

    @cached_property
    def head(self) -> bytes:
        """Its first bytes, by which readers know it."""
        if self.path is None:
            return self.given[:HEAD_BYTES]
        return self._read(HEAD_BYTES)

    @property
    def size(self) -> int:
        """How many bytes there are."""
        return len(self.given) if self.path is None else self.path.stat().st_size

    @cached_property
    def data(self) -> bytes:
        """All its bytes; InputError where there are too many."""
        check_bytes(self.name, self.size)
        return self.given if self.path is None else self._read(-1)

    def part(self, first: int, count: int) -> bytes:
        """`count` of its bytes from byte `first` on, fewer where it ends: long files are never held whole."""
        if self.path is None:
            return self.given[first : first + count]
        return self._read(count, first)

    @cached_property
    def decoded(self) -> tuple[str, str]:
        """Its text and the name of the encoding, for readers of text; InputError where it is too long."""
        check_text(self.name, self.size)
        return decode(self.data)

    @property
    def text(self) -> str:
        return self.decoded[0]

    @cached_property
    def lines(self) -> list[str]:
        """The lines of its text, see `lines_of`."""
        return lines_of(self.text)

    @cached_property
    def head_text(self) -> str:
        """The text of its first bytes, without blanks before it."""
        return decode(self.head)[0].lstrip()

    @property
    def is_plain_text(self) -> bool:
        """Whether it is text, and neither XML nor JSON by how it begins."""
        return is_text(self.head) and not self.head_text.startswith(("<", "{", "[{"))

    def _read(self, count: int, first: int = 0) -> bytes:
        try:
            with open(self.path, "rb") as file:
                file.seek(first)
                return file.read(count)
        except OSError as error:
            raise InputError(
                f"{self.name}: the file cannot be read ({error.strerror}); check its permissions."
            ) from error


@dataclass(frozen=True)
class Wanted:
    """What the user says about a file that it may not say itself, or says wrongly, and which part is wanted.

    Attributes:
        rate_hz: sampling rate; it wins over what the file says.
        unit: "nv", "uv", "mv" or "v", of the numbers in the file; it wins over what the file says.
        member: which ECG of a file that holds several: its name in an archive, else its number (from 1) or its time.
        lead: name of the only lead that is wanted; readers need not heed it, what they give is cut down later.
        at_s, seconds: the only part that is wanted; a reader that can reads no more than that and says where its
            samples begin (`ECG.start_s`), others give everything and are cut down later.
    """

    rate_hz: float | None = None
    unit: str | None = None
    lead: str | None = None
    at_s: float | None = None
    seconds: float | None = None
    member: str | None = None

    def part_of(self, name: str, samples: int, rate_hz: float) -> tuple[int, int]:
        """First sample and number of samples of the part that is wanted, of `samples` from time 0 on."""
        first = 0 if self.at_s is None else round(min(self.at_s * rate_hz, samples + 1))  # the sum can be infinite
        count = samples - first if self.seconds is None else round(min(self.seconds * rate_hz, samples + 1))
        if count < 1 or first + count > samples:
            asked = "the rest" if self.seconds is None else f"{self.seconds:g} s"
            raise InputError(
                f"{name}: {asked} from {self.at_s or 0:g} s on was asked for, but the ECG runs from 0 s to "
                f"{samples / rate_hz:.1f} s; ask for less."
            )
        return first, count


@dataclass(frozen=True)
class Reader:
    """One format: what it is called in a sentence ("a DICOM file"), whether a file is of it, and how it is read."""

    format: str
    recognises: Callable[[Source], bool]
    read: Callable[[Source, Wanted], ECG]
