"""Reading echo files: a still or a cine loop, by content, cropped to the sector and resized to a square."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from echopulse.echo.dicom import open_dicom
from echopulse.echo.films import Film, open_image, open_video
from echopulse.echo.sector import Square, coloured_share, find_sector, sector_square, take_square, to_grey
from echopulse.echo.types import Clip
from echopulse.errors import InputError

EXPECTED = "an echo picture or loop is expected (PNG, JPEG, BMP, GIF, MP4, AVI, WebM, ultrasound DICOM, our own .npz)"
LOOKED_AT = 8  # frames from which the sector is found
MOST_FRAMES = 6000
FULL = 0.9  # share of its box that a sector stays below (a quarter disc: 0.79)
COLOURED = 0.03  # share of coloured pixels in the sector above which a picture is not plain B-mode


def read_frame(path: str | Path, size: int = 128) -> np.ndarray:
    """The first picture of a file -> uint8 [size, size], grey, the sector's square."""
    frames, _, _, _ = _read(Path(path), size, only_first=True)
    return frames[0]


def read_clip(path: str | Path, size: int = 128) -> Clip:
    """The loop of a file -> Clip of uint8 [t, size, size]; times start at 0 unless EchoPulse wrote the file."""
    frames, times_s, sector, facts = _read(Path(path), size, only_first=False)
    if len(frames) < 2:
        raise InputError(f"{path}: a single picture; a loop of at least 2 frames is expected.")
    if np.any(np.diff(times_s) <= 0):
        raise InputError(f"{path}: the frame times do not increase; export the loop again.")
    return Clip(frames, times_s, sector=sector, **facts)


def _read(path: Path, size: int, only_first: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, dict[str, Any]]:
    """Frames uint8 [t, size, size], times float64 [t], sector bool [size, size] or None, and a Clip's other fields."""
    kind = _kind_of(path)
    if kind == "npz":
        return _read_npz(path, size)
    opener: dict[str, Callable[[Path], Film]] = {"image": open_image, "video": open_video, "dicom": open_dicom}
    film = opener[kind](path)
    if film.own.get("kind") == "sheet":
        raise InputError(f"{path}: a contact sheet of EchoPulse; give the clip itself (.mp4, .gif, .webm, .npz).")
    first = list(islice(film.pictures, LOOKED_AT))
    if not first:
        raise InputError(f"{path}: holds no pictures; {EXPECTED}.")
    square, sector = _find_square(path, film, [picture for picture, _ in first])
    keep = sector if film.blank_outside else None
    frames, times = [], []
    for picture, time_s in first[:1] if only_first else chain(first, film.pictures):
        if len(frames) == MOST_FRAMES:
            raise InputError(f"{path}: more than {MOST_FRAMES} frames; cut out the heart beats that are wanted.")
        grey = to_grey(picture)
        frames.append(take_square(grey if keep is None else np.where(keep, grey, 0).astype(np.uint8), square, size))
        times.append(time_s)
    spacing = film.own.get("pixel_spacing_cm", film.pixel_spacing_cm)
    facts = {
        "view": film.own.get("view"),
        "pixel_spacing_cm": None if spacing is None else spacing * square.side / size,
        "synthetic": bool(film.own.get("synthetic", False)),
        "provenance": {"path": str(path), **film.provenance},
    }
    if sector is not None:
        sector = take_square(sector.astype(np.uint8) * 255, square, size) > 127
    return np.stack(frames), np.asarray(times, np.float64) + film.own.get("start_s", 0.0), sector, facts


def _find_square(path: Path, film: Film, pictures: list[np.ndarray]) -> tuple[Square, np.ndarray | None]:
    """The square that holds the sector, and the sector (bool, in the picture's pixels) where it was searched for."""
    height, width = pictures[0].shape[:2]
    if any(picture.shape[:2] != (height, width) for picture in pictures):
        raise InputError(f"{path}: pictures of different sizes; a loop is expected.")
    if film.own.get("picture"):  # the loop's place in a file of our own
        left, top, wide, high = film.own["picture"]
        return Square(left, top, max(wide, high)), None
    if min(height, width) < 32:
        raise InputError(f"{path}: {width}x{height} pixels; an echo picture of at least 32x32 is expected.")
    grey = np.stack([to_grey(picture) for picture in pictures])
    sector = find_sector(grey)
    if sector is None:
        raise InputError(f"{path}: a blank picture; an echo picture is expected.")
    if coloured_share(pictures[0], sector) > COLOURED:
        raise InputError(f"{path}: a colour picture (Doppler or a photograph); a grey B-mode picture is expected.")
    if float(np.median(grey)) > 110:
        raise InputError(f"{path}: a bright picture like a page or a photograph; an echo picture is mostly dark.")
    rows, columns = np.nonzero(sector)
    box = (rows.max() - rows.min() + 1) * (columns.max() - columns.min() + 1)
    if sector.sum() > FULL * box:
        what = "a rectangle, not a sector that widens from the probe"
        raise InputError(f"{path}: the picture is {what}; a cardiac B-mode picture is expected.")
    return sector_square(sector), sector


def _read_npz(path: Path, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, dict[str, Any]]:
    """An .npz of ours: `frames` uint8 [t, h, w], `times` float64 [t], and what `write_clip` adds."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files if name in ("frames", "times", "clip", "sector")}
    except (ValueError, OSError, zipfile.BadZipFile, KeyError, EOFError) as error:
        raise InputError(f"{path}: the .npz file cannot be read ({error}); write it again.") from error
    frames, times = arrays.get("frames"), arrays.get("times")
    if frames is None or times is None or frames.ndim != 3 or frames.dtype != np.uint8 or len(frames) != len(times):
        found = ", ".join(f"{name} {array.dtype} {array.shape}" for name, array in arrays.items()) or "other arrays"
        raise InputError(f"{path}: the .npz holds {found}; frames uint8 [t, h, w] and times [t] are expected.")
    facts = json.loads(str(arrays["clip"])) if "clip" in arrays else {}
    square = Square(0, 0, max(frames.shape[1:]))
    spacing = facts.get("pixel_spacing_cm")
    sector = arrays.get("sector")
    return (
        np.stack([take_square(frame, square, size) for frame in frames]),
        times.astype(np.float64),
        None if sector is None else take_square(sector.astype(np.uint8) * 255, square, size) > 127,
        {
            "view": facts.get("view"),
            "pixel_spacing_cm": None if spacing is None else spacing * square.side / size,
            "synthetic": bool(facts.get("synthetic", False)),
            "provenance": {**facts.get("provenance", {}), "path": str(path), "format": "npz"},
        },
    )


def _kind_of(path: Path) -> str:
    """One of "image", "video", "dicom", "npz", by the first bytes; anything else is refused by what it looks like."""
    if not path.exists():
        raise InputError(f"{path}: no such file; {EXPECTED}.")
    if path.is_dir():
        raise InputError(f"{path}: a folder; {EXPECTED}.")
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError as error:
        raise InputError(f"{path}: cannot be opened ({error.strerror}).") from error
    if not head:
        raise InputError(f"{path}: an empty file; {EXPECTED}.")
    for kind, found in _signatures(head):
        if found:
            return kind
    raise InputError(f"{path}: {_looks_like(head)}; {EXPECTED}.")


def _signatures(head: bytes) -> Iterator[tuple[str, bool]]:
    yield "dicom", head[128:132] == b"DICM"
    yield "image", head.startswith((b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF8", b"II*\0", b"MM\0*"))
    yield "image", head.startswith(b"BM") and head[6:10] == b"\0\0\0\0"
    yield "image", head.startswith(b"RIFF") and head[8:12] == b"WEBP"
    yield "video", head.startswith(b"RIFF") and head[8:12] == b"AVI "
    yield "video", head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free")
    yield "video", head.startswith((b"\x1a\x45\xdf\xa3", b"\0\0\1\xba", b"\0\0\1\xb3", b"\x30\x26\xb2\x75"))
    yield "npz", head.startswith(b"PK\x03\x04")


def _looks_like(head: bytes) -> str:
    """What a refused file seems to be, for the sentence that refuses it."""
    if head.startswith(b"version https://git-lfs"):
        return "a git-LFS pointer, not the file itself (fetch it with git lfs pull)"
    if head.startswith(b"\x1f\x8b"):
        return "a gzip file (NIfTI volumes are not read yet)"
    if head.startswith(b"\x93NUMPY"):
        return "a bare NumPy array without frame times"
    if head.startswith(b"%PDF"):
        return "a PDF document"
    if head.startswith((b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf")) or _is_text(head):
        return "a text file, perhaps an ECG"
    return "neither a picture nor a video"


def _is_text(head: bytes) -> bool:
    printable = sum(byte >= 32 or byte in b"\t\r\n\f" for byte in head)
    return b"\0" not in head and printable > 0.97 * len(head)
