"""An ECG inside a ZIP or gzip file, as an Apple Health export is; nothing is unpacked onto the disk."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from io import BytesIO

from echopulse.ecg.limits import MOST_MEMBERS, MOST_UNPACKED_BYTES, MOST_UNPACKED_RATIO
from echopulse.ecg.readers.moments import ISO, moment_in
from echopulse.ecg.readers.source import HEAD_BYTES, Reader, Source, Wanted
from echopulse.ecg.readers.text import decode
from echopulse.ecg.readers.trace import NEVER, listed
from echopulse.ecg.types import ECG
from echopulse.errors import InputError

PIECE = 1 << 16
MOST_LOOKED_AT = 2000  # members whose first bytes are read
MOST_TRIED = 8  # candidates that turn out to be no ECG
APPLE_FOLDER = "electrocardiograms/"
OF_OTHERS = (  # endings of members that are never ECGs, so that their bytes are not looked at
    ".gpx", ".html", ".htm", ".md", ".py", ".zip", ".gz", ".tar", ".7z", ".mp4", ".mp3", ".css", ".js", ".exe", ".hea",
)  # fmt: skip
RATIO_FROM = 1 << 20  # a small file may well be packed to a thousandth
DATE = re.compile(r"(\d{4})-?(\d\d)-?(\d\d)(?!\d)")
ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError, KeyError)


@dataclass(frozen=True)
class Candidate:
    """A member that may be an ECG: its name, its first bytes, and when it was recorded, for all that is known."""

    info: zipfile.ZipInfo
    recorded: datetime

    @property
    def order(self) -> tuple[datetime, list[str | int]]:
        """By time, then by name, numbers in it by their size."""
        parts = re.split(r"(\d+)", self.info.filename)
        return self.recorded, [f"{int(part):020d}" if part.isdecimal() and len(part) < 20 else part for part in parts]


def read_zip(source: Source, wanted: Wanted) -> ECG:
    """The ECG in a ZIP file: the only one, the newest, or the one that `wanted.member` names."""
    try:
        with zipfile.ZipFile(BytesIO(source.data) if source.path is None else source.path) as archive:
            return _read(source, archive, wanted)
    except InputError:
        raise
    except ERRORS as error:
        raise InputError(f"{source.name}: a ZIP file that is broken or cut ({error}); copy it again.") from error


def _read(source: Source, archive: zipfile.ZipFile, wanted: Wanted) -> ECG:
    if wanted.member is not None:
        info = _member(source, archive, wanted.member)
        ecg = _read_member(source, archive, info, replace(wanted, member=None))
        ecg.provenance["member"] = f"{info.filename}, as asked for"
        return ecg
    candidates = _candidates(source, archive)
    failures: list[InputError] = []
    for place, candidate in enumerate(candidates[:MOST_TRIED]):
        try:
            ecg = _read_member(source, archive, candidate.info, wanted)
        except InputError as error:
            failures.append(error)
            continue
        others = [other.info.filename for other in candidates[place + 1 :]]
        ecg.provenance["member"] = candidate.info.filename
        if others:
            ecg.provenance["member"] += f", the newest; also in the archive: {listed(others)}"
        if failures:
            ecg.provenance["skipped"] = f"newer, but not read: {failures[0]}"
        return ecg
    if failures:
        raise failures[0]
    raise InputError(f"{source.name}: an archive without an ECG that is read; {_what_is_in(archive)}.")


def _what_is_in(archive: zipfile.ZipFile) -> str:
    names = [info.filename for info in archive.infolist()]
    if any(name.lower().endswith(".hea") for name in names):
        return "a WFDB record has to be unpacked first, all files of it into one folder"
    if any(name.startswith("xl/") for name in names):
        return "it is an Excel workbook: save the sheet as CSV"
    return f"it holds {listed(names[:8])}" if names else "it is empty"


def _infos(source: Source, archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """The members that are files and not hidden."""
    infos = archive.infolist()
    if len(infos) > MOST_MEMBERS:
        raise InputError(
            f"{source.name}: an archive of {len(infos)} files; up to {MOST_MEMBERS} are looked through. Unpack it."
        )
    parts = [(info, info.filename.split("/")) for info in infos if not info.is_dir()]
    return [info for info, names in parts if not any(_hidden(name) for name in names)]


def _hidden(name: str) -> bool:
    return name == "__MACOSX" or (name.startswith(".") and name not in (".", ".."))


def _member(source: Source, archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    infos = _infos(source, archive)
    found = [info for info in infos if info.filename == name]
    found = found or [info for info in infos if info.filename.rpartition("/")[2] == name.strip()]
    if len(found) != 1:
        ecgs = listed([candidate.info.filename for candidate in _candidates(source, archive)]) or "none"
        what = "no file" if not found else f"{len(found)} files"
        raise InputError(f"{source.name}: {what} {name!r} in the archive; its ECGs are {ecgs}.")
    return found[0]


def _candidates(source: Source, archive: zipfile.ZipFile) -> list[Candidate]:
    """What may be an ECG by its first bytes, the newest first."""
    infos = [info for info in _infos(source, archive) if not info.filename.lower().endswith(OF_OTHERS)]
    apples = [info for info in infos if APPLE_FOLDER in info.filename and info.filename.lower().endswith(".csv")]
    infos = apples or infos[:MOST_LOOKED_AT]
    found = []
    for info in infos:
        if info.flag_bits & 1:  # encrypted: told when nothing else is there
            continue
        try:
            with archive.open(info) as file:
                head = file.read(HEAD_BYTES)
        except ERRORS:
            continue  # a damaged member is no candidate; the others may be whole
        if apples or _known(Source(info.filename, given=head)):
            found.append(Candidate(info, _recorded(info, head)))
    if not found and any(info.flag_bits & 1 for info in infos):
        raise InputError(f"{source.name}: the files in the archive are encrypted; unpack it with its password.")
    return sorted(found, key=lambda candidate: candidate.order, reverse=True)


def _known(head: Source) -> bool:
    from echopulse.ecg.readers import READERS

    return any(reader.recognises(head) for reader in READERS if reader not in (ZIP, GZIP))


def _recorded(info: zipfile.ZipInfo, head: bytes) -> datetime:
    """By the first date with a time in the file, else by the date in its name, else by the archive's own date."""
    text = decode(head)[0]
    if ISO.search(text) and (moment := moment_in(text)) is not None:
        return moment
    try:
        if found := DATE.search(info.filename.rpartition("/")[2]):
            return datetime(*map(int, found.groups()), tzinfo=UTC)
        return datetime(*info.date_time, tzinfo=UTC)
    except ValueError:
        return NEVER


def _read_member(source: Source, archive: zipfile.ZipFile, info: zipfile.ZipInfo, wanted: Wanted) -> ECG:
    name = f"{source.name}: {info.filename}"
    if info.flag_bits & 1:
        raise InputError(f"{name}: encrypted; unpack the archive with its password and give the file itself.")
    with archive.open(info) as file:
        data = _unpacked(name, iter(lambda: file.read(PIECE), b""), info.compress_size)
    return _read_inner(Source(name, given=data), wanted)


def _unpacked(name: str, pieces: Iterator[bytes], packed: int) -> bytes:
    """All the pieces together; InputError as soon as they are more than an honest file would be."""
    out, size = [], 0
    for piece in pieces:
        size += len(piece)
        if size > MOST_UNPACKED_BYTES or (size > RATIO_FROM and size > MOST_UNPACKED_RATIO * max(packed, 1)):
            raise InputError(
                f"{name}: it unpacks to more than {size / 1e6:.0f} MB from {packed / 1e6:.2g} MB, so it is not read; "
                "unpack it yourself if you trust it."
            )
        out.append(piece)
    return b"".join(out)


def _read_inner(inner: Source, wanted: Wanted) -> ECG:
    from echopulse.ecg.readers import READERS

    if not inner.given:
        raise InputError(f"{inner.name}: empty (0 bytes).")
    reader = next((reader for reader in READERS if reader not in (ZIP, GZIP) and reader.recognises(inner)), None)
    if reader is None:
        raise InputError(f"{inner.name}: no ECG of a kind that is read inside an archive; unpack it and give it alone.")
    return reader.read(inner, wanted)


def read_gzip(source: Source, wanted: Wanted) -> ECG:
    """The one file in a gzip stream."""
    packed = source.data

    def pieces() -> Iterator[bytes]:
        unpack = zlib.decompressobj(wbits=31)
        rest = packed
        while rest and not unpack.eof:
            piece = unpack.decompress(rest, PIECE)
            rest = unpack.unconsumed_tail
            if not piece and not rest:
                break
            yield piece
        if not unpack.eof:
            raise EOFError("it ends too early")

    try:
        data = _unpacked(source.name, pieces(), len(packed))
    except ERRORS as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{source.name}: a gzip file that is broken or cut ({error}); copy it again.") from error
    if data[257:262] == b"ustar":
        raise InputError(f"{source.name}: a tar archive; unpack it and give the ECG in it.")
    ecg = _read_inner(Source(source.name, given=data), wanted)
    ecg.provenance["member"] = "the file in the gzip stream"
    return ecg


ZIP = Reader("a ZIP file", lambda source: source.head.startswith((b"PK\x03\x04", b"PK\x05\x06")), read_zip)
GZIP = Reader("a gzip file", lambda source: source.head.startswith(b"\x1f\x8b"), read_gzip)
