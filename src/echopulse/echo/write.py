"""Writing clips: a loop to watch, the bare frames, the numbers, or a contact sheet, as the ending says."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from echopulse.echo.description import describe, title
from echopulse.echo.gif import write_gif
from echopulse.echo.render import render_loop
from echopulse.echo.sheet import contact_sheet
from echopulse.echo.types import Clip
from echopulse.files import check_target, complete_or_absent

ENDINGS = (".mp4", ".webm", ".gif", ".npz", ".png")
CODECS = {
    # superfast with the macroblock tree back on: half the time of veryfast, files of the same size; one thread, since
    # x264 cuts its work by the number of cores, so that the same clip gave other bytes on another machine
    ".mp4": (
        "libx264",
        {
            "preset": "superfast", "crf": "19", "subme": "1", "threads": "1",
            "x264-params": "mbtree=1:weightp=1:rc-lookahead=8",
        },  # fmt: skip
        {"movflags": "+faststart"},
    ),
    ".webm": ("libvpx-vp9", {"crf": "30", "b": "0", "deadline": "realtime", "cpu-used": "7", "row-mt": "1"}, {}),
}
# Bare frames are data, the same bytes every time. With the macroblock tree, one film of 32 pixels in twenty to fifty
# came out otherwise in the same process; no other setting did so. Without it films are a tenth larger.
BARE = {"x264-params": "mbtree=0:weightp=1:rc-lookahead=8"}
PICTURE_PX = 512  # height of the picture in a film
PICTURE_PX_GIF = 384  # smaller: a GIF keeps every frame nearly whole


def write_clip(
    clip: Clip, path: str | Path, *, ecg: Any = None, beats: Any = None, measurement: Any = None,
    plain: bool = False, force: bool = False, report: dict[str, Any] | None = None,
    arrays: dict[str, np.ndarray] | None = None,
) -> Path:  # fmt: skip
    """Write a clip and return its path; an existing file is replaced only with `force`.

    .mp4, .webm, .gif: the loop with the ECG strip, scales and the word SYNTHETIC; with `plain` the
    frames alone, in their own size. .npz: `frames` uint8 [t, h, w], `times` float64 [t], `report` as
    a JSON string, `clip` (view, spacing, provenance) as another, and what `arrays`
    adds. .png: a contact sheet with ED and ES of each beat. The file appears only when it is complete.
    """
    path = check_output(path, force=force)
    ending = path.suffix.lower()
    with complete_or_absent(path) as partial:
        if ending == ".npz":
            _write_npz(clip, partial, report, arrays or {})
        elif ending == ".png":
            sheet = contact_sheet(clip, ecg=ecg, beats=beats, measurement=measurement)
            _save_png(sheet, partial, title(clip), describe(clip, "sheet"))
        else:
            picture_px = PICTURE_PX_GIF if ending == ".gif" else PICTURE_PX
            frames, box = _pictures(clip, ecg, beats, measurement, plain, picture_px)
            write_film = write_gif if ending == ".gif" else functools.partial(_write_video, bare=plain)
            write_film(clip, frames, partial, describe(clip, "loop", box))
    return path


def write_film(clip: Clip, frames: Iterator[np.ndarray], path: Path, *, force: bool = False) -> Path:
    """Other pictures of a clip, uint8 [height, width, 3] with even sides, at its times: .mp4 or .webm."""
    path = check_output(path, force=force, endings=(".mp4", ".webm"))
    with complete_or_absent(path) as partial:
        _write_video(clip, frames, partial, describe(clip, "overlay"), bare=False)
    return path


def check_output(path: str | Path, *, force: bool = False, endings: tuple[str, ...] = ENDINGS) -> Path:
    """Refuse, before any work is done, a path that cannot or must not be written."""
    return check_target(path, endings, force=force)


def save_sheet(image: np.ndarray, path: str | Path, *, force: bool = False) -> Path:
    """Write a sheet (uint8 [h, w, 3], of `strip_sheet` or `contact_sheet`) as PNG."""
    path = check_output(path, force=force, endings=(".png",))
    with complete_or_absent(path) as partial:
        _save_png(image, partial, "EchoPulse: not for diagnosis", "")
    return path


def _pictures(
    clip: Clip, ecg: Any, beats: Any, measurement: Any, plain: bool, picture_px: int
) -> tuple[Iterator[np.ndarray], tuple[int, int, int, int]]:
    """Frames uint8 [height, width, 3] with even sides, and where in them the picture is."""
    if plain:
        height, width = clip.frames.shape[1:]
        even = ((0, height % 2), (0, width % 2))
        bare = (np.pad(frame, even, "edge")[..., None].repeat(3, axis=2) for frame in clip.frames)
        return bare, (0, 0, width, height)
    rendering = render_loop(clip, ecg=ecg, beats=beats, measurement=measurement, picture_px=picture_px)
    return rendering.frames, rendering.layout.picture


def _write_video(clip: Clip, frames: Iterator[np.ndarray], path: Path, comment: str, *, bare: bool) -> None:
    import av

    codec, options, container_options = CODECS[path.suffix.lower()]
    options = options | BARE if bare and codec == "libx264" else options
    fps = clip.fps if len(clip.frames) > 1 else 25.0
    even = len(clip.frames) < 3 or np.ptp(np.diff(clip.times_s)) < 0.02 / fps
    rate = Fraction(fps).limit_denominator(1001)
    time_base = 1 / rate if even else Fraction(1, 1000)
    with av.open(str(path), "w", options=container_options) as container:
        container.metadata.update({"title": title(clip), "comment": comment})
        stream = container.add_stream(codec, rate=rate, options=options)
        stream.pix_fmt, stream.time_base, stream.codec_context.time_base = "yuv420p", time_base, time_base
        for index, picture in enumerate(frames):
            if index == 0:
                stream.height, stream.width = picture.shape[:2]
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.time_base = time_base
            frame.pts = index if even else round(float(clip.times_s[index] - clip.times_s[0]) * 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _write_npz(clip: Clip, path: Path, report: dict[str, Any] | None, further: dict[str, np.ndarray]) -> None:
    facts = {
        "view": clip.view,
        "pixel_spacing_cm": clip.pixel_spacing_cm,
        "synthetic": clip.synthetic,
        "provenance": clip.provenance,
        "notice": title(clip),
    }
    arrays = {**further, "frames": clip.frames, "times": clip.times_s.astype(np.float64)}
    if clip.sector is not None:
        arrays["sector"] = clip.sector
    with path.open("wb") as file:
        np.savez_compressed(file, report=np.array(json.dumps(report or {})), clip=np.array(json.dumps(facts)), **arrays)


def _save_png(image: np.ndarray, path: Path, name: str, comment: str) -> None:
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    text = PngInfo()
    text.add_text("Title", name)
    text.add_text("Comment", comment)
    Image.fromarray(image).save(path, "PNG", pnginfo=text, optimize=False)
