"""Opening picture and video files: the pictures as they are, with their times, before any cropping."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from echopulse.echo.description import parse_description
from echopulse.errors import InputError

UNTIMED_GIF_FRAME_S = 0.1  # what browsers give a GIF frame that says 0


@dataclass
class Film:
    """The pictures of a file, read one by one, and what the file says about them."""

    pictures: Iterator[tuple[np.ndarray, float]]  # uint8 [h, w] or [h, w, 3] RGB, and seconds
    pixel_spacing_cm: float | None = None
    own: dict[str, Any] = field(default_factory=dict)  # the description, if EchoPulse wrote the file
    provenance: dict[str, Any] = field(default_factory=dict)
    blank_outside: bool = False  # burned-in text (names, dates) stands outside the sector


def open_image(path: Path) -> Film:
    """PNG, JPEG, BMP, TIFF, WebP, GIF, one picture or several, by Pillow."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            kind, text = str(image.format), dict(image.info)
            image.load()
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: the picture cannot be decoded ({_first_line(error)}); export it again.") from error
    own = parse_description(text.get("comment") or text.get("Comment"))
    return Film(_image_pictures(path), own=own, provenance={"format": kind, "times": "from the file's durations"})


def _image_pictures(path: Path) -> Iterator[tuple[np.ndarray, float]]:
    from PIL import Image, ImageSequence

    time_s = 0.0
    with Image.open(path) as image:
        for page in ImageSequence.Iterator(image):
            duration_s = float(page.info.get("duration") or 0.0) / 1000.0
            yield _eight_bit(page), time_s
            time_s += duration_s or UNTIMED_GIF_FRAME_S


def _eight_bit(page: Any) -> np.ndarray:
    """A Pillow picture as uint8 grey or RGB; deeper greys are scaled by their own range."""
    if page.mode in ("I", "F") or page.mode.startswith("I;16"):
        deep = np.asarray(page, dtype=np.float64)
        low, high = float(deep.min()), float(deep.max())
        return np.rint((deep - low) * (255.0 / (high - low or 1.0))).astype(np.uint8)
    return np.array(page.convert("L" if page.mode in ("1", "L", "LA") else "RGB"))


def open_video(path: Path) -> Film:
    """MP4, MOV, AVI, WebM, MKV, MPEG, by the FFmpeg inside PyAV."""
    import av

    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise InputError(f"{path}: holds no video, only sound or data; an echo clip is expected.")
            tags = {key.lower(): value for key, value in container.metadata.items()}
            codec = container.streams.video[0].codec_context.name
    except av.error.FFmpegError as error:
        raise InputError(f"{path}: the video cannot be opened ({_first_line(error)}); export it again.") from error
    own = parse_description(tags.get("comment"))
    return Film(_video_pictures(path), own=own, provenance={"format": codec, "times": "from the file's time stamps"})


def _video_pictures(path: Path) -> Iterator[tuple[np.ndarray, float]]:
    import av

    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            start_s: float | None = None
            rate = float(stream.average_rate or 25)
            for index, frame in enumerate(container.decode(stream)):
                time_s = frame.time if frame.time is not None else index / rate
                start_s = time_s if start_s is None else start_s
                yield frame.to_ndarray(format="rgb24"), time_s - start_s
    except av.error.FFmpegError as error:
        raise InputError(f"{path}: the video breaks off ({_first_line(error)}); export it again.") from error


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0].strip().rstrip(".")
