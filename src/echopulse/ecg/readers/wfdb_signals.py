"""The samples of WFDB signal files: how many there are, and their counts, decoded a stretch at a time.

The wfdb library decodes. It is given a plain header of our own and links to the signal files, in a folder that goes
away again, so what is decoded is what was checked, and names and headers that it refuses do not matter.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from echopulse.ecg.readers.wfdb_header import NO_FILE, Channel, Header
from echopulse.errors import InputError

# Bytes of a sample by storage format (signal(5)); FLAC files are compressed.
FORMATS = {
    "8": 1.0, "16": 2.0, "24": 3.0, "32": 4.0, "61": 2.0, "80": 1.0, "160": 2.0, "212": 1.5, "310": 4 / 3, "311": 4 / 3,
    "508": None, "516": None, "524": None,
}  # fmt: skip
DIFFERENCES = "8"
AT_ONCE = 1 << 20  # samples of all channels that are decoded at once
MOST_CLAIMED = 10  # times what a file holds: more is no copy that was cut short
MOST_SKEW = 100_000


@dataclass(frozen=True)
class Piece:
    """Frames of a record from `start` to before `stop`, which lie from `begin` on in the files of `header`."""

    start: int
    stop: int
    header: Header
    begin: int = 0


def missing_files(header: Header) -> list[str]:
    """The signal files that are not there; InputError where none is."""
    missing = [name for name in header.files if name != NO_FILE and not (header.path.parent / name).is_file()]
    if len(missing) == len([name for name in header.files if name != NO_FILE]):
        raise InputError(
            f"{header.path}: the header names {', '.join(missing) or 'no signal file'}, but no such file lies beside "
            "it; copy the whole record."
        )
    return missing


def frames_there(header: Header) -> int:
    """How many frames the signal files hold that are there: no more is ever asked of them."""
    counts = []
    missing = missing_files(header)
    for name, channels in _by_file(header).items():
        if name in missing:
            continue
        code = channels[0].format
        if code not in FORMATS or any(channel.format != code for channel in channels):
            raise InputError(f"{header.path}: {name} has the storage format {code}, which WFDB does not know.")
        if max(channel.skew for channel in channels) > MOST_SKEW:
            raise InputError(f"{header.path}: a signal comes more than {MOST_SKEW} samples late; the header is wrong.")
        file = header.path.parent / name
        width = sum(channel.per_frame for channel in channels)
        size = FORMATS[code]
        if size is None:
            counts.append((_flac_samples(file) - channels[0].offset) // channels[0].per_frame)
        else:
            counts.append(int((file.stat().st_size - channels[0].offset) / (size * width) + 1e-9))
    there = max(0, min(counts))
    if there == 0 or (header.frames or 0) > MOST_CLAIMED * there:
        raise InputError(
            f"{header.path}: the header claims {header.frames or 'some'} samples, but its files hold {there}; copy "
            "the whole record."
        )
    return there


def _flac_samples(file: Path) -> int:
    """Samples of each channel that a FLAC file says it holds, from its stream information."""
    with open(file, "rb") as opened:
        head = opened.read(26)
    if head[:4] != b"fLaC" or len(head) < 26:
        raise InputError(f"{file}: not a FLAC file, as its header says; copy the whole record.")
    return int.from_bytes(head[18:26], "big") & ((1 << 36) - 1)


def _by_file(header: Header) -> dict[str, list[Channel]]:
    """The channels of each signal file, in their order."""
    files: dict[str, list[Channel]] = {}
    for channel in header.channels:
        if channel.file != NO_FILE:
            files.setdefault(channel.file, []).append(channel)
    return files


def read_counts(piece: Piece, chosen: list[int]) -> Iterator[tuple[int, dict[int, np.ndarray]]]:
    """(frame, {channel: counts float64 [frames * per_frame]}) of `chosen` channels, one stretch after another.

    A count that stands for no value is NaN.

    Files of differences are read from their beginning, since every sample rests on those before it.
    """
    import wfdb

    header = piece.header
    files = list(dict.fromkeys(header.channels[i].file for i in chosen))
    order = [i for name in files for i, channel in enumerate(header.channels) if channel.file == name]
    stop = piece.begin + piece.stop - piece.start
    differences = any(header.channels[i].format == DIFFERENCES for i in order)
    step = max(1, AT_ONCE // sum(header.channels[i].per_frame for i in order))
    firsts = [header.channels[i].first for i in order]
    there = frames_there(header)
    with tempfile.TemporaryDirectory() as folder:
        for number, name in enumerate(files):
            _lend(header.path.parent / name, Path(folder, f"file{number}.dat"))
        for start in range(0 if differences else piece.begin, stop, step):
            end = min(start + step, stop)
            lines = [f"record {len(order)} 250 {there}"]
            for i, first in zip(order, firsts, strict=True):
                channel = header.channels[i]
                skew = f":{channel.skew}" if channel.skew else ""
                lines.append(
                    f"file{files.index(channel.file)}.dat {channel.format}x{channel.per_frame}{skew}"
                    f"+{channel.offset} 1(0)/mV 16 0 {first} 0 0 lead{i}"
                )
            Path(folder, "record.hea").write_text("\n".join(lines) + "\n", "ascii")
            try:
                record = wfdb.rdrecord(str(Path(folder, "record")), sampfrom=start, sampto=end, smooth_frames=False)
            except Exception as error:  # wfdb raises many kinds; the header is our own, so it is the files
                raise InputError(
                    f"{header.path}: the signals of this WFDB record cannot be read ({error}); copy it again."
                ) from error
            if differences:
                firsts = [int(values[-1]) for values in record.e_p_signal]
            if end > piece.begin:
                skip = max(0, piece.begin - start)
                signals = zip(order, record.e_p_signal, strict=True)
                kept = {i: values[skip * header.channels[i].per_frame :] for i, values in signals if i in chosen}
                yield start + skip, kept


def _lend(file: Path, name: Path) -> None:
    """`file` under another name: a link where the system knows such, else a copy."""
    try:
        os.symlink(file.resolve(), name)
    except OSError:
        shutil.copyfile(file, name)
