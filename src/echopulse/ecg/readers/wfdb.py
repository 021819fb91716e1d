"""WFDB records (PhysioNet): a text header and one or more signal files beside it, in one piece or in segments.

No more is read than wanted. Nothing is trusted: what a header claims is held against its files and the limits before
memory is taken for it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from echopulse.ecg.limits import MOST_SECONDS, check_size
from echopulse.ecg.quality import MOST_MISSING
from echopulse.ecg.readers.source import Wanted
from echopulse.ecg.readers.units import MILLIVOLTS, WRITTEN, lead_name
from echopulse.ecg.readers.wfdb_header import NO_FILE, USUAL_HZ, Channel, Header, read_header
from echopulse.ecg.readers.wfdb_notes import read_notes
from echopulse.ecg.readers.wfdb_signals import Piece, frames_there, missing_files, read_counts
from echopulse.ecg.types import ECG
from echopulse.errors import InputError

__all__ = ["header_of", "read_header", "read_wfdb"]

OTHER_SIGNALS = re.compile(r"(resp|abp|art|pleth|ppg|eeg|emg|eog)")


def header_of(path: Path) -> Path | None:
    """The header that `path` belongs to: itself, the record name without ending, or a signal file beside it."""
    if path.suffix.lower() == ".hea" or not path.name:
        return path if path.name else None
    for candidate in (path.with_name(path.name + ".hea"), path.with_suffix(".hea")):
        if candidate.is_file():
            if not path.exists() or path.suffix.lower() in ("", ".atr", ".qrs"):
                return candidate
            if path.name in read_header(candidate).files:
                return candidate
    return None


def read_wfdb(path: Path, wanted: Wanted | None = None) -> ECG:
    """The record whose header is `path`, or the part of it that is wanted; every voltage channel, millivolts."""
    wanted = wanted or Wanted()
    header = read_header(path)
    layout, segments, total = _plan(header)
    missing = [] if header.segmented else missing_files(header)
    places, left_out = _voltages(layout, wanted.unit, missing)
    if not places:
        raise InputError(f"{path}: no ECG lead in this record, only {', '.join(left_out)}.")
    chosen = [layout.channels[i] for i in places]
    keys = [_keys(layout.channels)[i] for i in places]
    per_frame = max(channel.per_frame for channel in chosen)
    frame_hz = header.rate_hz or layout.rate_hz or USUAL_HZ
    rate_hz = wanted.rate_hz or frame_hz * per_frame
    frame_hz = rate_hz / per_frame
    if total / frame_hz > MOST_SECONDS:
        raise InputError(
            f"{path}: the header claims {total / frame_hz / 86400:.0f} days; at most {MOST_SECONDS / 86400:.0f} are "
            "read."
        )
    first, last = _window(path, header.start_s, total, frame_hz, wanted)
    check_size(str(path), len(chosen), (last - first) * per_frame, rate_hz)
    pieces, mended = _pieces(header, segments, first, last)
    if sum(piece.stop - piece.start for piece in pieces) < (1 - MOST_MISSING) * (last - first):
        raise InputError(f"{path}: most of this part of the record is a gap; use another part of the recording.")
    samples = np.full((len(chosen), (last - first) * per_frame), np.nan, dtype=np.float32)
    for piece in pieces:
        _fill(samples, piece, first, keys, per_frame, wanted.unit)
    notes, found = read_notes(path.with_suffix(""), frame_hz, first / frame_hz, last / frame_hz)
    if header.start_s:
        notes = tuple(replace(note, time_s=note.time_s + header.start_s) for note in notes)
    names = _names(chosen)
    units = sorted({channel.unit for channel in chosen})
    stated = "from the header" if header.rate_hz or layout.rate_hz else "usual for WFDB where the header says none"
    frames = "" if per_frame == 1 else f" ({per_frame} samples in each of {frame_hz:g} frames a second)"
    provenance = {
        "format": "WFDB record" + (f" of {len(segments)} segments" if header.segmented else ""),
        "rate": f"{rate_hz:g} Hz, as given" if wanted.rate_hz else f"{rate_hz:g} Hz, {stated}{frames}",
        "unit": f"{WRITTEN[wanted.unit]}, as given" if wanted.unit else f"{', '.join(units)}, from the header's gains",
        "leads": f"{len(names)} from the header" + (f"; left out: {', '.join(left_out)}" if left_out else ""),
    }
    if any(channel.per_frame != per_frame for channel in chosen):
        provenance["rate"] += "; leads of a lower rate follow straight lines between their samples"
    for key, value in (("header", "; ".join(filter(None, (header.mended, mended)))), ("recorded", header.recorded),
                       ("notes", found)):  # fmt: skip
        if value:
            provenance[key] = value
    if missing:
        provenance["missing"] = f"{', '.join(missing)} is not there; its leads are left out"
    ecg = ECG(samples, rate_hz, names, header.start_s + first / frame_hz, provenance, notes)
    return _cut(ecg, wanted)


def _cut(ecg: ECG, wanted: Wanted) -> ECG:
    """Without the samples before and after what is wanted; they are within two frames."""
    skipped = 0 if wanted.at_s is None else round((wanted.at_s - ecg.start_s) * ecg.rate_hz)
    stop = None if wanted.seconds is None else skipped + round(wanted.seconds * ecg.rate_hz)
    if not skipped and stop is None:
        return ecg
    notes = ecg.notes
    if stop is not None:
        to_s = ecg.start_s + stop / ecg.rate_hz
        notes = tuple(note for note in notes if note.time_s < to_s)
    start_s = ecg.start_s + skipped / ecg.rate_hz
    notes = tuple(note for note in notes if note.time_s >= start_s)
    return replace(ecg, samples=ecg.samples[:, skipped:stop], start_s=start_s, notes=notes)


def _plan(header: Header) -> tuple[Header, list[tuple[str, int, int]], int]:
    """The header that tells the leads, [segment, start, stop] in frames, and how many frames there are in all."""
    if not header.segmented:
        if not header.channels:
            raise InputError(f"{header.path}: this WFDB header lists no signals; an ECG needs at least one lead.")
        there = frames_there(header)
        return header, [], there if header.frames is None else min(header.frames, there)
    first, length = header.segments[0]
    segments = header.segments[1:] if length == 0 else header.segments
    named = next((name for name, _ in header.segments if name != NO_FILE), None)
    if named is None or not segments:
        raise InputError(f"{header.path}: a WFDB record of nothing but gaps; copy the whole record.")
    stops = np.cumsum([length for _, length in segments], dtype=np.float64)
    planned = [(name, int(stop) - length, int(stop)) for (name, length), stop in zip(segments, stops, strict=True)]
    return _segment_header(header, named), planned, int(stops[-1])


def _segment_header(header: Header, name: str) -> Header:
    path = header.path.with_name(f"{name}.hea")
    if not path.is_file():
        raise InputError(f"{header.path}: its segment {path.name} does not lie beside it; copy the whole record.")
    segment = read_header(path)
    if segment.segmented or not segment.channels:
        raise InputError(f"{path}: a segment of {header.path.name} that lists no signals of its own.")
    if header.rate_hz and segment.rate_hz and abs(segment.rate_hz / header.rate_hz - 1) > 1e-6:
        raise InputError(f"{path}: {segment.rate_hz:g} Hz, but the whole record has {header.rate_hz:g} Hz.")
    return segment


def _window(path: Path, start_s: float, total: int, frame_hz: float, wanted: Wanted) -> tuple[int, int]:
    """The frames that hold what is wanted, with one more on either side, which is cut off later."""
    begin = 0.0 if wanted.at_s is None else wanted.at_s - start_s
    length = total / frame_hz - begin if wanted.seconds is None else wanted.seconds
    if begin < -0.5 / frame_hz or length <= 0 or begin + length > (total + 0.5) / frame_hz:
        asked = f"{length:g} s from " if wanted.seconds is not None else ""
        raise InputError(
            f"{path}: {asked}{begin + start_s:g} s on were asked for, but the ECG runs from {start_s:g} s to "
            f"{start_s + total / frame_hz:.1f} s; ask for less."
        )
    first = max(0, math.floor(begin * frame_hz) - 1)
    return first, min(total, math.ceil((begin + length) * frame_hz) + 1)


def _pieces(header: Header, segments: list[tuple[str, int, int]], first: int, last: int) -> tuple[list[Piece], str]:
    """What is to be decoded for the frames from `first` to before `last`, and what is missing of it, in words."""
    if not header.segmented:
        cut = header.frames is not None and frames_there(header) < header.frames
        words = f"read leniently: the files end before the sample count of the header ({header.frames})"
        return [Piece(first, last, header, first)], words if cut else ""
    pieces, cut = [], 0
    for name, start, stop in segments:
        if name == NO_FILE or stop <= first or start >= last:
            continue
        segment = _segment_header(header, name)
        there = frames_there(segment)
        cut += there < stop - start
        begin, end = max(start, first), min(stop, last, start + there)
        if begin < end:
            pieces.append(Piece(begin, end, segment, begin - start))
    return pieces, f"{cut} segments end before their sample counts; what is missing is a gap" if cut else ""


def _voltages(layout: Header, given: str | None, missing: list[str]) -> tuple[list[int], list[str]]:
    """Which channels carry a voltage, and the others in words; pressures, angles and breathing are left out.

    Where the user says the unit, channels of no unit that is known here are taken where there are no others.
    """
    chosen, left_out, unknown = [], [], []
    for i, channel in enumerate(layout.channels):
        if channel.file in missing:
            continue
        other = OTHER_SIGNALS.match(channel.name.lower()) is not None
        if _millivolts(channel.unit) is not None and not other:
            chosen.append(i)
        else:
            left_out.append(f"{channel.name or 'a signal'} ({channel.unit})")
            unknown += [] if other else [i]
    return (unknown, []) if given and not chosen and unknown else (chosen, left_out)


def _keys(channels: Sequence[Channel]) -> list[tuple[str, int]]:
    """By what channels are known in every segment: their name, and how often it came before."""
    names = [channel.name for channel in channels]
    return [(name, names[:i].count(name)) for i, name in enumerate(names)]


def _millivolts(unit: str) -> float | None:
    return MILLIVOLTS.get(unit.replace("\u00b5", "u").replace("\u03bc", "u").lower())


def _names(chosen: list[Channel]) -> tuple[str, ...]:
    """Leads in the usual spelling; a name that comes twice is numbered."""
    names = [lead_name(channel.name or "ECG") for channel in chosen]
    times = [names[: i + 1].count(name) for i, name in enumerate(names)]
    return tuple(name if time == 1 else f"{name} {time}" for name, time in zip(names, times, strict=True))


def _fill(
    samples: np.ndarray, piece: Piece, first: int, keys: list[tuple[str, int]], per_frame: int, given: str | None
) -> None:
    """Decode a piece into `samples` float32 [leads, n], millivolts, whose first frame is frame `first`.

    Its channels are found by their names: segments may hold other leads in another order, with gains of their own.
    """
    own = piece.header.channels
    missing = missing_files(piece.header)
    rows = {
        i: keys.index(key)
        for i, key in enumerate(_keys(own))
        if key in keys and own[i].file not in (NO_FILE, *missing) and (given or _millivolts(own[i].unit) is not None)
    }
    if not rows:
        return
    for start, counts in read_counts(piece, sorted(rows)):
        at = (start - piece.begin + piece.start - first) * per_frame
        for i, values in counts.items():
            scale = MILLIVOLTS[given] if given else _millivolts(own[i].unit)
            physical = (values - own[i].baseline) * (scale / own[i].gain)
            if own[i].per_frame != per_frame:
                wide = np.arange(len(physical) // own[i].per_frame * per_frame) * (own[i].per_frame / per_frame)
                physical = np.interp(wide, np.arange(len(physical)), physical)
            samples[rows[i], at : at + len(physical)] = physical
