"""Annotation files of WFDB records (annot(5)): beats and events with their times.

Read here, not by the wfdb library, since that takes two seconds for the beats of a day.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from echopulse.ecg.types import Note

ENDINGS = (".atr", ".qrs")
MOST_ANNOTATION_BYTES = 8 << 20
SKIP, NUMBER, SUBTYPE, CHANNEL, WORDS = 59, 60, 61, 62, 63
RESOLUTION = re.compile(r"## time resolution: (\d+\.?\d*)")


def read_notes(record: Path, rate_hz: float, from_s: float, to_s: float) -> tuple[tuple[Note, ...], str]:
    """The annotations beside `record` (its path without ending) from `from_s` to before `to_s`, and what was found.

    Times are seconds from the record's start, at `rate_hz` unless the file has a clock of its own; a note is the
    standard's symbol of a beat or event, then the words that stand with it.
    """
    notes, found = [], []
    for ending in ENDINGS:
        path = record.with_name(record.name + ending)
        if not path.is_file():
            continue
        if path.stat().st_size > MOST_ANNOTATION_BYTES:
            found.append(f"{path.name} is too large for annotations and left out")
            continue
        there = _annotations(path.read_bytes(), rate_hz, from_s, to_s)
        found.append(f"{len(there)} from {path.name}")
        notes += there
    return tuple(sorted(notes, key=lambda note: note.time_s)), ", ".join(found)


def _annotations(data: bytes, rate_hz: float, from_s: float, to_s: float) -> list[Note]:
    """What an annotation file holds from `from_s` to before `to_s`, up to where it ends or makes no sense."""
    from wfdb.io.annotation import ann_labels

    symbols = {label.label_store: label.symbol for label in ann_labels}
    pairs = np.frombuffer(data[: len(data) // 2 * 2], "<u2").tolist()
    found: list[tuple[int, str, str]] = []  # sample, symbol, words
    sample = i = 0
    while i < len(pairs) and pairs[i]:
        code, value = pairs[i] >> 10, pairs[i] & 1023
        i += 1
        if code == SKIP:
            if i + 1 >= len(pairs):
                break
            jump = pairs[i] << 16 | pairs[i + 1]
            sample += jump - (1 << 32 if jump >> 31 else 0)
            i += 2
        elif code == WORDS:
            words = data[2 * i : 2 * i + value].decode("latin-1").replace("\0", "").strip()
            i += (value + 1) // 2
            if found:
                found[-1] = (*found[-1][:2], words)
        elif code not in (NUMBER, SUBTYPE, CHANNEL):
            sample += value
            if code:  # 0 is no annotation, only time that passes
                found.append((sample, symbols.get(code, f"[{code}]"), ""))
    clock = next((match for _, _, words in found if (match := RESOLUTION.match(words))), None)
    ticks = float(clock.group(1)) if clock and float(clock.group(1)) > 0 else rate_hz
    wanted = [(sample / ticks, symbol, words) for sample, symbol, words in found if from_s <= sample / ticks < to_s]
    return [Note(time_s, f"{symbol} {words}".strip()) for time_s, symbol, words in wanted if words[:2] != "##"]
