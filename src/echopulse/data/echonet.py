"""The shape of EchoNet-Dynamic (Ouyang et al. 2020, "Video-based AI for beat-to-beat assessment of cardiac function").

FileList.csv, VolumeTracings.csv and Videos/*.avi as programs for that data set read them, with the ECG as a WFDB
record in ECGs/ and every parameter of the simulation in Truth/. Generated clips: see `echonet_generated`.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from echopulse.data.cycles import traced_frames
from echopulse.data.form import Form
from echopulse.data.pairs import facts
from echopulse.data.records import write_record
from echopulse.echo.ventricle import simpson_discs
from echopulse.files import write_json, write_text
from echopulse.phantom import PhantomClips
from echopulse.phantom.types import APICAL_VIEWS, Truth

LIST = ("FileName", "EF", "ESV", "EDV", "FrameHeight", "FrameWidth", "FPS", "NumberOfFrames", "Split")
TRACINGS = ("FileName", "X1", "Y1", "X2", "Y2", "Frame")
SPLITS = ("TRAIN",) * 6 + ("VAL", "TEST")  # of every eight hearts; in the data set itself 74, 13 and 13 %


def name_of(number: int) -> str:
    """The name of a heart's files, which no recorded video has."""
    return f"SYNTHETIC{number:06d}"


def list_row(made: PhantomClips, i: int, number: int) -> dict[str, Any]:
    """The row of FileList.csv: volumes in three dimensions in the traced frames, EF in percent."""
    volume = made.truth.volume_ml[i]
    ed, es = traced_frames(made.truth, i)
    edv, esv = float(volume[ed]), float(volume[es])
    frames, height, width = made.frames[i].shape
    values = (100 * (1 - esv / edv), esv, edv, height, width, made.fps, frames, SPLITS[number % len(SPLITS)])
    return dict(zip(LIST, (name_of(number), *values), strict=True))


def tracing_rows(truth: Truth, i: int, number: int) -> list[dict[str, Any]]:
    """The rows of VolumeTracings.csv: end-systole first, then end-diastole, as the official loader expects.

    Of each frame the long axis from apex to base, then 20 chords from apex to base, each from left to right.
    """
    ed, es = traced_frames(truth, i)
    return [
        row for frame in (es, ed) for row in chord_rows(truth.lv_mask[i, frame].cpu().numpy(), name_of(number), frame)
    ]


def chord_rows(
    mask: np.ndarray, name: str, frame: int, *, scale: float = 1.0, shift: tuple[float, float] = (0.0, 0.0)
) -> list[dict[str, Any]]:
    """The rows of one traced frame, from its cavity, bool [h, w]; none where there is no cavity.

    In a picture resized by `scale` after its pixels were moved by `shift`, (x, y): a pixel's centre has whole
    coordinates, so that x becomes (x + shift + 1/2) scale - 1/2.
    """
    discs = simpson_discs(mask)
    if discs is None:
        return []
    starts, ends = np.stack([discs.apex, *discs.left]), np.stack([discs.base, *discs.right])
    starts, ends = ((places + np.array(shift) + 0.5) * scale - 0.5 for places in (starts, ends))
    return [
        dict(zip(TRACINGS, (f"{name}.avi", *(round(float(x), 3) for x in (*start, *end)), frame), strict=True))
        for start, end in zip(starts, ends, strict=True)
    ]


def write_avi(frames: np.ndarray, fps: float, path: Path) -> None:
    """Grey frames uint8 [t, h, w] as Motion JPEG of three like channels."""
    from fractions import Fraction

    import av

    with av.open(str(path), "w", format="avi", options={"fflags": "+bitexact"}) as container:
        # the finest quantizer: these are data, and small
        stream = container.add_stream("mjpeg", rate=Fraction(fps).limit_denominator(1001),
                                      options={"qmin": "2", "qmax": "2", "threads": "1"})  # fmt: skip
        stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], "yuvj420p"
        for index, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.repeat(picture[..., None], 3, axis=2), format="rgb24")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _files(number: int, views: tuple[str, ...] | None) -> tuple[str, ...]:
    name = name_of(number)
    return (f"Videos/{name}.avi", *(f"ECGs/{name}{end}" for end in (".hea", ".dat", ".atr")), f"Truth/{name}.json")


def _write(clips: Sequence[PhantomClips], folder: Path, number: int) -> None:
    made, name = clips[0], name_of(number)
    for part in ("Videos", "ECGs", "Truth"):
        (folder / part).mkdir(exist_ok=True)
    write_avi(made.frames[0].cpu().numpy(), made.fps, folder / "Videos" / f"{name}.avi")
    write_record(made, 0, folder / "ECGs", name)
    rows = {"list": list_row(made, 0, number), "tracings": tracing_rows(made.truth, 0, number)}
    write_json(facts(made, 0) | rows, folder / "Truth" / f"{name}.json")


def _finish(folder: Path, numbers: Sequence[int]) -> None:
    """Both tables, from what is noted beside every video."""
    known = [json.loads((folder / "Truth" / f"{name_of(k)}.json").read_text("utf-8")) for k in numbers]
    write_text(table(LIST, [heart["list"] for heart in known]), folder / "FileList.csv")
    write_text(table(TRACINGS, [row for heart in known for row in heart["tracings"]]), folder / "VolumeTracings.csv")


def table(columns: tuple[str, ...], rows: list[dict[str, Any]]) -> str:
    """The rows as CSV under a header of the columns."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


ECHONET = Form(
    name="echonet", fps=50.0, seconds=2.6, size=112, views=("a4c",), possible=APICAL_VIEWS, beating=True,
    files=_files, write=_write, finish=_finish, tables=("FileList.csv", "VolumeTracings.csv"),
)  # fmt: skip
