"""EDF, EDF+ and BDF: the ECG channels of recordings from Holters, sleep laboratories and amplifiers.

The edfio library turns records into physical values. It is handed one stretch of records at a time, below a header made
of what was understood of the file's own (`edf_header`), so files that break the standard are read too, a part of a long
recording costs no more than that part, and memory stays small.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Iterator

import numpy as np

from echopulse.ecg.limits import check_size
from echopulse.ecg.readers.edf_header import FIXED, Channel, Header, for_edfio, read_header
from echopulse.ecg.readers.plain import no_rate
from echopulse.ecg.readers.source import Reader, Source, Wanted
from echopulse.ecg.readers.text import is_text
from echopulse.ecg.readers.units import in_millivolts, lead_name
from echopulse.ecg.types import ECG, Note
from echopulse.errors import InputError

SLOWEST_HZ, FASTEST_HZ = 20.0, 20000.0
LEAST_HZ = 50.0  # a channel that is slower is left out where another one is not
STRETCH_VALUES = 1 << 21  # samples of all channels that are decoded at once
MOST_RECORDS = 10_000_000
MOST_RECORDS_WITH_NOTES = 2_000_000
MOST_NOTE_BYTES = 64 << 20
MOST_NOTES = 100_000
NOTE = re.compile(rb"([+-]\d{1,9}(?:\.\d{0,12})?)(?:\x15(\d{1,9}(?:\.\d{0,12})?)?)?\x14(.*)", re.S)


def looks_like_edf(source: Source) -> bool:
    """A version field and, for EDF, whose version is but a nought, something else that no table of numbers has."""
    head = source.head[:FIXED]
    if head.startswith(b"\xffBIOSEMI"):
        return True
    dated = re.fullmatch(rb"[\d ]\d[^\w ][\d ]\d[^\w ][\d ]\d", head[168:176])
    return head.startswith((b"0       ", b"0\0\0\0")) and bool(dated or b"EDF+" in head or not is_text(source.head))


def read_edf(source: Source, wanted: Wanted) -> ECG:
    """The ECG channels of an EDF or BDF file, millivolts; gaps between discontinuous records are NaN."""
    name, header = source.name, read_header(source)
    chosen, told = _ecg_channels(name, header)
    records = _records(source, header, told)
    record_s, rate, rate_how = _rate(name, header, chosen, wanted)
    starts, notes = _starts_and_notes(source, header, records, told)
    pauses = _pauses(starts, header, records, record_s, rate, told)
    chosen = _fast_enough(chosen, record_s, told)
    layout = _Layout(header, records, pauses, record_s)
    usual = round(rate * record_s)
    places = layout.places(usual)
    first, count = wanted.part_of(name, int(places[-1]) + usual, rate)
    check_size(name, len(chosen), count, rate)
    begin = int(np.searchsorted(places, first, "right")) - 1
    end = int(np.searchsorted(places, first + count - 1, "right"))
    check_size(name, len(chosen), int(places[end - 1] - places[begin]) + usual, rate)
    rows = _decode(source, layout, chosen, begin, end)
    rows, chosen = _at_one_rate(rows, chosen, usual, record_s, told)
    samples = _cut(rows, first - int(places[begin]), count)
    samples, unit_how = _in_millivolts(samples, chosen, wanted)
    leads = _names([channel.label for channel in chosen])
    kept = [f"{channel.label} ({channel.filtered})" for channel in chosen if channel.filtered]
    provenance = {
        "format": f"{header.format}{', discontinuous' if header.discontinuous else ''}",
        "rate": f"{rate:g} Hz, {rate_how}",
        "unit": unit_how,
        **{key: "; ".join(words) for key, words in told.items()},
        **({"filters": ", ".join(kept)} if kept else {}),
        **({"recorded": header.recorded} if header.recorded else {}),
        **({"header": "read leniently: " + "; ".join(header.mended[:8])} if header.mended else {}),
    }
    return ECG(samples, rate, leads, start_s=first / rate, provenance=provenance, notes=notes)


def _ecg_channels(name: str, header: Header) -> tuple[list[Channel], dict[str, list[str]]]:
    """The channels that are an ECG, and what is told of the choice."""
    possible = [channel for channel in header.channels if channel.may_be_ecg]
    chosen = [channel for channel in possible if channel.called_ecg] or possible
    others = [channel for channel in header.channels if channel not in chosen and not channel.holds_notes]
    listed = ", ".join(f"{channel.label or 'nameless'} ({channel.unit_text or 'no unit'})" for channel in others[:12])
    listed += f" and {len(others) - 12} more" if len(others) > 12 else ""
    if not chosen and not others:
        raise InputError(f"{name}: {header.format} with notes only, without any signal; it holds no ECG.")
    if not chosen:
        raise InputError(f"{name}: {header.format} without an ECG channel, only {listed}; it holds no ECG.")
    how = f"{len(chosen)} from the header"
    if not chosen[0].called_ecg:
        how = f"no channel is called an ECG; taken are the voltages {', '.join(c.label for c in chosen[:12])}"
    return chosen, {"leads": [how], **({"other channels": [f"{listed}: no ECG, left out"]} if others else {})}


def _records(source: Source, header: Header, told: dict) -> int:
    """How many whole records there are, whatever the header claims."""
    body = source.size - header.size
    records = body // header.record_bytes if header.record_bytes else 0
    if records < 1:
        raise InputError(
            f"{source.name}: {header.format} that ends before its first record of {header.record_bytes} bytes is "
            "over; copy it again."
        )
    if records > MOST_RECORDS:
        raise InputError(f"{source.name}: {records} records; up to {MOST_RECORDS} are read. Cut out what you need.")
    if header.claimed_records > records:
        told["end"] = [f"cut: {records} of {header.claimed_records} records are there"]
    elif 0 < header.claimed_records < records or body % header.record_bytes:
        told["end"] = [f"the header says {header.claimed_records} records, {records} are there and a rest is left out"]
    return records


def _rate(name: str, header: Header, chosen: list[Channel], wanted: Wanted) -> tuple[float, float, str]:
    """Seconds a record lasts, the rate that most ECG channels have (the highest of several), and how it is known."""
    counted = Counter(channel.samples for channel in chosen)
    usual = max(counted, key=lambda samples: (counted[samples], samples))
    if wanted.rate_hz is not None:
        return usual / wanted.rate_hz, wanted.rate_hz, "as given"
    if header.record_s <= 0:
        raise no_rate(name)
    rate = usual / header.record_s
    if not SLOWEST_HZ <= rate <= FASTEST_HZ:
        raise InputError(
            f"{name}: {usual} samples in {header.record_s:g} s, so {rate:g} Hz; an ECG has between {SLOWEST_HZ:g} and "
            f"{FASTEST_HZ:g} Hz. Give the true rate if the header is wrong (--rate 250)."
        )
    return header.record_s, rate, "from the header"


def _fast_enough(chosen: list[Channel], record_s: float, told: dict) -> list[Channel]:
    fast = [channel for channel in chosen if channel.samples / record_s >= LEAST_HZ] or chosen
    slow = [f"{c.label} ({c.samples / record_s:g} Hz)" for c in chosen if c not in fast]
    if slow:
        told.setdefault("other channels", []).append(f"{', '.join(slow)}: too slow for an ECG, left out")
    return fast


class _Layout:
    """Where the samples of each record lie on the clock, with the pauses before them; and where they lie in the file.

    pauses: float64 [records], seconds without samples before each record, all in all.
    """

    def __init__(self, header: Header, records: int, pauses: np.ndarray, record_s: float):
        self.header, self.records, self.pauses, self.record_s = header, records, pauses, record_s

    def places(self, samples: int) -> np.ndarray:
        """int64 [records], the first sample of each record, for a channel with so many samples a record."""
        before = np.rint(self.pauses * samples / self.record_s).astype(np.int64)
        return np.arange(self.records, dtype=np.int64) * samples + before

    def stretches(self, begin: int, end: int) -> Iterator[tuple[int, int]]:
        """Records from `begin` to `end`, in stretches without a pause that are not too long to be decoded at once."""
        most = max(1, STRETCH_VALUES // self.header.record_values)
        jumps = begin + 1 + np.flatnonzero(np.diff(self.pauses[begin:end]) > 0)
        for start, stop in zip([begin, *jumps.tolist()], [*jumps.tolist(), end], strict=True):
            for at in range(start, stop, most):
                yield at, min(at + most, stop)


def _decode(source: Source, layout: _Layout, chosen: list[Channel], begin: int, end: int) -> list[np.ndarray]:
    """float32 [n] for each channel: its samples in records `begin` to `end` at its own rate, NaN in pauses."""
    import edfio

    header = layout.header
    indices = [next(i for i, c in enumerate(header.channels) if c is channel) for channel in chosen]
    places = {channel.samples: layout.places(channel.samples) for channel in chosen}
    rows = [
        np.full(int(places[c.samples][end - 1] - places[c.samples][begin]) + c.samples, np.nan, np.float32)
        for c in chosen
    ]
    read = edfio.read_edf if header.width == 2 else edfio.read_bdf
    for start, stop in layout.stretches(begin, end):
        raw = source.part(header.size + start * header.record_bytes, (stop - start) * header.record_bytes)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                signals = read(for_edfio(header, stop - start) + raw).signals
                for row, channel, i in zip(rows, chosen, indices, strict=True):
                    at = int(places[channel.samples][start] - places[channel.samples][begin])
                    values = signals[i].data
                    row[at : at + len(values)] = values
        except Exception as error:  # whatever edfio finds fault with, in a file that may be mangled
            message = f"{source.name}: {header.format} that cannot be decoded ({error}); copy it again."
            raise InputError(message) from error
    return rows


def _at_one_rate(rows, chosen, usual: int, record_s: float, told: dict) -> tuple[np.ndarray, list[Channel]]:
    """[leads, n] at the usual rate: what has another is resampled, or left out where the ratio is an odd one."""
    length = next(len(row) for row, channel in zip(rows, chosen, strict=True) if channel.samples == usual)
    rate, kept, changed, left = usual / record_s, [], [], []
    for row, channel in zip(rows, chosen, strict=True):
        if channel.samples != usual:
            own = channel.samples / record_s
            ecg = ECG(row[None], own, ("ECG",)).resampled(rate)
            what = f"{channel.label} ({own:g} Hz)"
            if ecg.rate_hz != rate:
                left.append(what)
                continue
            changed.append(what)
            row = _cut(ecg.samples, 0, length)[0]
        kept.append((row, channel))
    if changed:
        told["resampled"] = [f"{', '.join(changed)} to {rate:g} Hz"]
    if left:
        told.setdefault("other channels", []).append(f"{', '.join(left)}: another rate, left out")
    return np.stack([row for row, _ in kept]), [channel for _, channel in kept]


def _cut(samples: np.ndarray, first: int, count: int) -> np.ndarray:
    """[leads, count] from sample `first` on; NaN where there is nothing (a pause at the end)."""
    part = samples[:, first : first + count]
    if part.shape[1] == count:
        return part
    return np.pad(part, ((0, 0), (0, count - part.shape[1])), constant_values=np.nan)


def _in_millivolts(samples: np.ndarray, chosen: list[Channel], wanted: Wanted) -> tuple[np.ndarray, str]:
    """Each channel by its own unit, and how the units were decided."""
    how: dict[str, list[str]] = {}
    for unit in dict.fromkeys(channel.unit for channel in chosen):
        rows = [i for i, channel in enumerate(chosen) if channel.unit == unit]
        samples[rows], words = in_millivolts(samples[rows], unit, wanted.unit)
        how.setdefault(words, []).extend(chosen[i].label for i in rows)
    if len(how) == 1:
        return samples, next(iter(how))
    return samples, "; ".join(f"{', '.join(labels)}: {words}" for words, labels in how.items())


def _names(labels: list[str]) -> tuple[str, ...]:
    """Usual spelling; the second of the same name is called "... 2"."""
    seen: Counter[str] = Counter()
    names = []
    for label in labels:
        name = lead_name(label) or "ECG"
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name} {seen[name]}")
    return tuple(names)


def _starts_and_notes(source: Source, header: Header, records: int, told: dict):
    """float64 [records], seconds at which each record begins (None: end to end), and the notes, in their order."""
    columns, offset = [], 0
    for channel in header.channels:
        size = channel.samples * header.width
        if channel.holds_notes and size:
            columns.append((offset, size))
        offset += size
    note_bytes = records * sum(size for _, size in columns)
    if not columns or records > MOST_RECORDS_WITH_NOTES or note_bytes > MOST_NOTE_BYTES:
        if columns and header.discontinuous:
            raise InputError(f"{source.name}: {records} records with pauses, too many to be put in order; cut it up.")
        if columns:
            told["notes"] = ["too many to be read, left out"]
        return None, ()
    starts, notes = np.full(records, np.nan), []
    body = _body(source, header, records)
    for number, (offset, size) in enumerate(columns):
        for record in range(records):
            raw = body[record, offset : offset + size].tobytes()
            for i, (time, text) in enumerate(_notes_in(raw)):
                if number == i == 0:
                    starts[record] = time
                if text and len(notes) < MOST_NOTES:
                    notes.append(Note(time, text))
    zero = float(starts[0]) if np.isfinite(starts[0]) else 0.0
    notes = [Note(note.time_s - zero, note.text) for note in notes]
    return starts - zero, tuple(sorted(notes, key=lambda note: note.time_s))


def _body(source: Source, header: Header, records: int) -> np.ndarray:
    """uint8 [records, bytes], not held in memory where it is on disk."""
    shape = (records, header.record_bytes)
    if source.path is None:
        return np.frombuffer(source.given, np.uint8, shape[0] * shape[1], header.size).reshape(shape)
    return np.memmap(source.path, np.uint8, "r", header.size, shape)


def _notes_in(raw: bytes) -> Iterator[tuple[float, str]]:
    """Time and text of each note in a record's bytes; the first one says with an empty text when the record begins."""
    for piece in raw.split(b"\0"):
        found = NOTE.match(piece) if piece else None
        if not found:
            continue
        time, lasting = float(found[1]), float(found[2] or 0)
        for text in found[3].removesuffix(b"\x14").split(b"\x14"):
            words = "".join(c if c.isprintable() else " " for c in text.decode("utf-8", "replace"))
            words = " ".join(words.split())[:200]
            yield time, f"{words} ({lasting:g} s)" if words and lasting else words


def _pauses(starts: np.ndarray | None, header: Header, records: int, record_s: float, rate: float, told) -> np.ndarray:
    """float64 [records], the seconds of all pauses before each record; none unless the file says that there are."""
    if not header.discontinuous or starts is None:
        return np.zeros(records)
    known = np.isfinite(starts)
    if not known.all():
        told["records"] = [f"{int((~known).sum())} records do not say when they begin; taken as end to end"]
    expected = np.arange(records) * (header.record_s or record_s)
    if not known.any():
        return np.zeros(records)
    late = np.interp(np.arange(records), np.flatnonzero(known), (starts - expected)[known])
    if (np.diff(late) < -1.5 / rate).any():
        told["records"] = [*told.get("records", []), "some begin before the one before them ends; laid end to end"]
    steps = np.diff(np.maximum.accumulate(late), prepend=late[0])
    steps[steps < 1.5 / rate] = 0.0
    if steps.any():
        told["pauses"] = [f"{int((steps > 0).sum())}, {steps.sum():.1f} s in all"]
    return np.cumsum(steps)


EDF = Reader("an EDF or BDF file", looks_like_edf, read_edf)
