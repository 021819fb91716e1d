"""WFDB headers, taken apart leniently: what a .hea file says of signals and segments.

Published as header(5) of the WFDB applications: a record line, then a line for each signal, or for each segment of a
record that is cut in pieces. Dates in other orders than the standard's, missing fields and names with blanks are taken.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from echopulse.ecg.limits import MOST_LEADS, MOST_MEMBERS
from echopulse.ecg.readers.text import decode
from echopulse.errors import InputError

MOST_HEADER_BYTES = 4 << 20
MOST_PER_FRAME = 1000
USUAL_HZ, USUAL_GAIN = 250.0, 200.0  # the standard's own, where a header says none
NO_FILE = "~"
RECORD_LINE = re.compile(r"[^\s/]+(/\d+)?\s+\d+(\s+[\d.]+|\s*$)")
FORMAT = re.compile(r"(\d{1,3})(?:x(\d{1,6}))?(?::(\d{1,9}))?(?:\+(\d{1,12}))?")
GAIN = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d{1,3})?)?(?:\(([+-]?\d{1,12})\))?(?:/(\S*))?", re.I)
INTEGER = re.compile(r"[+-]?\d{1,15}")
TIME = re.compile(r"\d{1,2}(:\d{1,2}){0,2}(\.\d+)?")
DATE = re.compile(r"\d{1,4}[/.-]\d{1,2}[/.-]\d{1,4}")
STARTS = re.compile(r"#\s*start_s\s*:\s*(-?\d{1,9}(?:\.\d{1,9})?)\s*$", re.M)  # as `write_ecg` puts it


@dataclass(frozen=True)
class Channel:
    """One signal line.

    Attributes:
        file: name of the signal file; "~" for none.
        format: the storage format, as "212".
        per_frame: samples of this signal in every frame.
        skew: frames by which it comes late in the file.
        offset: bytes (samples in FLAC files) before the first frame.
        gain, baseline: (count - baseline) / gain is the value in `unit`; a gain of the standard where there is none.
        unit: as it is written, "mV" where it is not.
        first: what a file of differences begins from.
        name: as it is written; "" for none.
    """

    file: str
    format: str
    per_frame: int
    skew: int
    offset: int
    gain: float
    baseline: int
    unit: str
    first: int
    name: str


@dataclass(frozen=True)
class Header:
    """What a .hea file says.

    Attributes:
        path: where it lies.
        rate_hz: frames a second; None where it does not say.
        frames: how many it claims; None where it does not say.
        channels: its signals, none where it is cut into segments.
        segments: name and frames of each piece; "~" is a gap, and a first one of no frames tells the layout of all.
        recorded: date and time of the whole recording's start, as far as they are told and possible: ISO 8601.
        start_s: where in a longer recording it begins.
        mended: what was read leniently; "" for nothing.
    """

    path: Path
    rate_hz: float | None
    frames: int | None
    channels: tuple[Channel, ...]
    segments: tuple[tuple[str, int], ...]
    recorded: str
    start_s: float
    mended: str

    @property
    def segmented(self) -> bool:
        return bool(self.segments)

    @property
    def files(self) -> list[str]:
        """Names of the files that belong to it, in order, each once: signal files, or the headers of its segments."""
        names = [f"{name}.hea" for name, _ in self.segments if name != NO_FILE]
        return list(dict.fromkeys(names or [channel.file for channel in self.channels]))


def read_header(path: Path) -> Header:
    """A header, taken apart; InputError where it is none or names files outside its folder."""
    try:
        with open(path, "rb") as file:
            data = file.read(MOST_HEADER_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path}: the header cannot be read ({error.strerror}); copy the whole record.") from error
    if len(data) > MOST_HEADER_BYTES:
        raise InputError(f"{path}: no WFDB header, it is longer than {MOST_HEADER_BYTES >> 20} MB.")
    text = decode(data)[0]
    lines = [line.split() for line in text.splitlines()]
    lines = [words for words in lines if words and not words[0].startswith("#")]
    if not lines or not RECORD_LINE.match(" ".join(lines[0])):
        raise InputError(f"{path}: no WFDB header; its first line should be a record name, a lead count and a rate.")
    count = int(lines[0][1]) if len(lines[0][1]) < 5 else MOST_LEADS + 1
    if count > MOST_LEADS:
        raise InputError(f"{path}: the header claims {lines[0][1]} signals; at most {MOST_LEADS} are read.")
    rate_hz, frames, recorded, mended = _record_line(lines[0], path)
    segments, channels = (), ()
    if "/" in lines[0][0]:
        segments = tuple(_segment(words, path) for words in lines[1:])
        if not segments or len(segments) > MOST_MEMBERS:
            raise InputError(f"{path}: a record of {len(segments)} segments; from 1 to {MOST_MEMBERS} are expected.")
    else:
        channels = tuple(_channel(words, path) for words in lines[1 : 1 + count])
    starts = STARTS.search(text)
    start_s = float(starts.group(1)) if starts else 0.0
    if start_s and "T" in recorded:  # the header tells the time of its first sample
        recorded = (datetime.fromisoformat(recorded) - timedelta(seconds=start_s)).isoformat()
    header = Header(path, rate_hz, frames, channels, segments, recorded, start_s, mended)
    if outside := [name for name in header.files if Path(name).name != name or "\\" in name]:
        raise InputError(
            f"{path}: the header names {', '.join(outside)}, outside its own folder; its files lie beside it."
        )
    return header


def _record_line(words: list[str], path: Path) -> tuple[float | None, int | None, str, str]:
    """Frames a second, frames, when it was recorded, and what was read leniently."""
    rest = words[2:]
    rate_hz = frames = None
    if rest:
        found = re.match(r"\d+\.?\d*(e[+-]?\d{1,2})?|\.\d+", rest.pop(0), re.I)
        rate_hz = float(found.group()) if found else None
        if rate_hz is None or not 0 < rate_hz < 1e6:
            raise InputError(f"{path}: the header gives {words[2]} as its rate; a number of samples a second is meant.")
    if rest and INTEGER.fullmatch(rest[0]):
        frames = int(rest.pop(0)) or None
        if frames is not None and frames < 0:
            raise InputError(f"{path}: the header claims {frames} samples.")
    date = next((word for word in rest if DATE.fullmatch(word)), "")
    time = next((word for word in rest if TIME.fullmatch(word)), "")
    strange = [word for word in rest if word not in (date, time)]
    notes = [f"{' '.join(strange)[:60]!r} left out"] if strange else []
    recorded = _moment(date, time)
    if date and (not recorded or "-" in date or rest.index(date) == 0):
        notes.append("the date stands in another order than the standard's")
    return rate_hz, frames, recorded, f"read leniently: {'; '.join(notes)}" if notes else ""


def _moment(date: str, time: str) -> str:
    """Date and time as ISO 8601, what is impossible left out."""
    parts = []
    for text, forms, written in (
        (re.sub("[.-]", "/", date), ("%d/%m/%Y", "%Y/%m/%d"), "%Y-%m-%d"),
        (time.partition(".")[0], ("%H:%M:%S", "%M:%S", "%S"), "%H:%M:%S"),
    ):
        for form in forms:
            try:
                parts.append(datetime.strptime(text, form).strftime(written))
                break
            except ValueError:
                continue
    fraction = time.partition(".")[2].rstrip("0")[:6]
    return "T".join(parts) + (f".{fraction}" if fraction and parts and ":" in parts[-1] else "")


def _channel(words: list[str], path: Path) -> Channel:
    stored = FORMAT.fullmatch(words[1]) if len(words) > 1 else None
    if stored is None:
        raise InputError(f"{path}: {' '.join(words)[:80]!r} is no signal line of a WFDB header (file, format, gain).")
    per_frame, skew, offset = (
        int(text or default) for text, default in zip(stored.groups()[1:], (1, 0, 0), strict=True)
    )
    if not 1 <= per_frame <= MOST_PER_FRAME:
        raise InputError(f"{path}: {per_frame} samples a frame; from 1 to {MOST_PER_FRAME} are expected.")
    rest = words[2:]
    gain = GAIN.fullmatch(rest[0]) if rest else None
    if gain is not None:
        rest = rest[1:]
    numbers = []  # resolution, zero, first value, checksum, block size
    while rest and len(numbers) < 5 and INTEGER.fullmatch(rest[0]):
        numbers.append(int(rest.pop(0)))
    zero, first = (numbers[i] if len(numbers) > i else 0 for i in (1, 2))
    scale = float(gain.group(1)) if gain is not None and gain.group(1) else 0.0
    baseline = int(gain.group(2)) if gain is not None and gain.group(2) else zero
    unit = (gain.group(3) if gain is not None else "") or "mV"
    if abs(scale) == float("inf") or 0 < abs(scale) < 1e-12:
        raise InputError(f"{path}: a gain of {scale:g} counts per {unit}, which no amplifier has; the header is wrong.")
    return Channel(
        words[0], stored.group(1), per_frame, skew, offset, scale or USUAL_GAIN, baseline, unit, first, " ".join(rest)
    )


def _segment(words: list[str], path: Path) -> tuple[str, int]:
    if len(words) < 2 or not INTEGER.fullmatch(words[1]) or int(words[1]) < 0:
        raise InputError(f"{path}: {' '.join(words)[:80]!r} is no segment line of a WFDB header (name, samples).")
    return words[0], int(words[1])
