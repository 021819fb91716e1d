"""Anybody's videos as grey squares for training: decoded as they are asked for, at the model's rate or in strides.

A folder of MP4, MOV, AVI, WebM, MKV, MPEG or GIF files, of .tar shards of such files (as WebDataset writes them), or
of both. Of a video no more is held than one picture of its own size; what cannot be read is told, counted and left
out.
"""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from torch import Tensor

from echopulse.data.unseen import unseen_first
from echopulse.echo.sector import Square, take_square
from echopulse.errors import InputError

ENDINGS = (".mp4", ".m4v", ".mov", ".avi", ".webm", ".mkv", ".mpg", ".mpeg", ".gif")
PACKED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")
HELD_OUT_FRAMES = 33
REAL_TIME = 0.5  # share of the clips that play at the model's rate
STRIDES = (1, 2, 3, 4)  # the others take every n-th frame of their own
LEAST_CROP = 0.5  # of the shorter side, unless that is less than the model's size
DRAWS = 6  # random numbers that decide on one clip: file, begin, rate or stride, crop's side, left, top


@dataclass(frozen=True)
class VideoFile:
    """A clip by itself or within a tar shard; `name` is unique in its folder and stays when the folder moves."""

    name: str
    path: Path
    member: tarfile.TarInfo | None = None

    @contextmanager
    def open(self) -> Iterator[Any]:
        """What PyAV opens: the file's name, or a window on the shard."""
        if self.member is None:
            yield str(self.path)
            return
        with tarfile.open(self.path, "r:") as shard, shard.extractfile(self.member) as file:
            yield file


@dataclass(frozen=True)
class Cut:
    """Which pictures of a video are taken: all shares are 0..1 of what there is to choose from.

    begin: of the time before the last possible begin; stride: None for the model's rate, else every n-th own frame;
    side: between the smallest and the largest square; left, top: of the room that the square leaves.
    """

    begin: float = 0.0
    stride: int | None = None
    side: float = 1.0
    left: float = 0.5
    top: float = 0.5


class Videos:
    """Clips of some files; a batch is decided by the generator that is passed in, whatever was read before.

    `skipped` holds the reason for each file that cannot be read, by name; `on_skip` is told each once.
    """

    def __init__(self, files: list[VideoFile], *, size: int, fps: float, workers: int = 1):
        self.files, self.size, self.fps, self.workers = files, size, fps, workers
        self.skipped: dict[str, str] = {}
        self.on_skip: Callable[[str, str], None] = lambda name, reason: None
        self._first: list[Tensor] = []
        self._unread = iter(files)

    def __len__(self) -> int:
        return len(self.files)

    def draw(self, count: int, frames: int, generator: torch.Generator) -> Tensor:
        """uint8 [count, frames, size, size]: random stretches of random files, cropped at random."""
        dice = torch.rand(count, DRAWS, generator=generator).tolist()
        if self.workers == 1:
            return torch.stack([self._one(row, frames) for row in dice])
        with ThreadPoolExecutor(self.workers) as pool:
            return torch.stack(list(pool.map(lambda row: self._one(row, frames), dice)))

    def first(self, count: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The beginnings of the first files that can be read, in the middle: uint8 [33, size, size], and all True."""
        while len(self._first) < count and (file := next(self._unread, None)):
            clip = self._read(file, Cut(), HELD_OUT_FRAMES)
            self._first += [] if clip is None else [clip]
        if not self._first:
            raise self._nothing()
        for clip in self._first[:count]:
            yield clip, torch.ones(self.size, self.size, dtype=torch.bool)

    def readable(self) -> bool:
        """Whether there is any file that can be read."""
        try:
            return next(self.first(1)) is not None
        except InputError:
            return False

    def add(self, file: VideoFile) -> None:
        """One more file, after the others."""
        self.files.append(file)
        self._unread = chain(self._unread, [file])

    def refresh(self) -> int:
        """The files are those that were there at the beginning."""
        return 0

    def _one(self, dice: list[float], frames: int) -> Tensor:
        which, begin, pace, *crop = dice
        stride = None if pace < REAL_TIME else STRIDES[int((pace - REAL_TIME) / (1 - REAL_TIME) * len(STRIDES))]
        start = int(which * len(self.files))
        for file in self.files[start:] + self.files[:start]:  # the next one where one cannot be read
            clip = None if file.name in self.skipped else self._read(file, Cut(begin, stride, *crop), frames)
            if clip is not None:
                return clip
        raise self._nothing()

    def _read(self, file: VideoFile, cut: Cut, frames: int) -> Tensor | None:
        try:
            with file.open() as source:
                return torch.from_numpy(read_stretch(source, cut, frames, size=self.size, fps=self.fps))
        except (InputError, OSError, tarfile.TarError) as error:
            if file.name not in self.skipped:
                self.skipped[file.name] = str(error)
                self.on_skip(file.name, str(error))
            return None

    def _nothing(self) -> InputError:
        name, reason = next(iter(self.skipped.items()))
        return InputError(f"none of {len(self.files)} videos can be read; {name}: {reason}.")


def load_videos(
    folder: Path, *, size: int, fps: float, workers: int = 1, on_skip: Callable[[str, str], None] | None = None
) -> tuple[Videos, Videos]:
    """The videos in a folder and those of them, by file, that training must not see: about a tenth.

    A file is held out by its name, as `unseen_first` says; where none of these can be read, others are held out too.
    InputError where there are fewer than two files or none of those held out can be read.
    """
    files, skipped = list_videos(folder)
    if len(files) < 2:
        found = f"one video ({files[0].name})" if files else "no shard-*.safetensors and no videos"
        trouble = "".join(f" ({name}: {reason})" for name, reason in list(skipped.items())[:1])
        raise InputError(
            f"{folder}: {found} here{trouble}; give at least two videos (MP4, MOV, AVI, WebM, MKV, MPEG, GIF, or .tar "
            f"shards of them), or simulate clips with `echopulse simulate --bank {folder}`."
        )
    named = {file.name: file for file in files}
    names, count = unseen_first(named)
    order = [named[name] for name in names]
    judging = Videos(order[:count], size=size, fps=fps)
    judging.on_skip = on_skip or judging.on_skip
    while not judging.readable() and count < len(order) - 1:
        judging.add(order[count])
        count += 1
    next(judging.first(1))  # or says why there is none
    training = Videos(sorted(order[count:], key=lambda file: file.name), size=size, fps=fps, workers=workers)
    training.on_skip = judging.on_skip
    training.skipped |= skipped
    for name, reason in skipped.items():
        training.on_skip(name, reason)
    return training, judging


def list_videos(folder: Path) -> tuple[list[VideoFile], dict[str, str]]:
    """Every video below a folder, in the order of their names, and the shards that cannot be read, with the reason."""
    files, skipped = [], {}
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        name = path.relative_to(folder).as_posix()
        if path.name.lower().endswith(PACKED):
            skipped[name] = "a compressed shard; unpack it to .tar, in which videos can be found without reading all"
        elif path.suffix.lower() == ".tar":
            try:
                with tarfile.open(path, "r:") as shard:
                    for member in shard:
                        if member.isfile() and PurePosixPath(member.name).suffix.lower() in ENDINGS:
                            files.append(VideoFile(f"{name}/{member.name}", path, member))
            except (OSError, tarfile.TarError) as error:
                skipped[name] = f"the shard breaks off ({error})"
        elif path.suffix.lower() in ENDINGS and path.is_file():
            files.append(VideoFile(name, path))
    return files, skipped


def read_stretch(source: Any, cut: Cut, frames: int, *, size: int, fps: float) -> np.ndarray:
    """uint8 [frames, size, size], grey, from a video's file or name; a shorter one plays on backwards, then forwards.

    Every picture is the nearest in time. InputError for what cannot be decoded, or has one picture only.
    """
    import av

    try:
        with av.open(source) as container:
            if not container.streams.video:
                raise InputError("no video in it, only sound or data")
            stream = container.streams.video[0]
            rate = float(stream.average_rate or fps)
            step_s = 1 / fps if cut.stride is None else cut.stride / rate
            last_s = _duration(container, stream, rate) - 1 / rate
            begin_s = cut.begin * max(0.0, last_s - (frames - 1) * step_s)
            taken = _take(container, stream, begin_s, step_s, frames, cut, size)
            if len(taken) < 2 and begin_s > 0:  # shorter than it says
                taken = _take(container, stream, 0.0, step_s, frames, cut, size)
    except av.error.FFmpegError as error:
        raise InputError(f"cannot be decoded ({error.strerror or error})") from error
    if len(taken) < 2:
        raise InputError(f"{len(taken) or 'no'} picture, not a video")
    last = len(taken) - 1
    return np.stack(taken)[last - np.abs(np.arange(frames) % (2 * last) - last)]


def _duration(container: Any, stream: Any, rate: float) -> float:
    """Seconds that the video says it lasts; 0 where it does not say."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return container.duration / 1e6 if container.duration else stream.frames / rate


def _take(
    container: Any, stream: Any, begin_s: float, step_s: float, frames: int, cut: Cut, size: int
) -> list[np.ndarray]:
    """At most `frames` pictures from `begin_s` on, one every `step_s`: as many as there are."""
    first_s = float((stream.start_time or 0) * stream.time_base)
    _seek(container, stream, first_s + begin_s)
    taken: list[np.ndarray] = []
    held, last_s, square = None, 0.0, None
    half_s = 0.5 / float(stream.average_rate or 25)
    for index, frame in enumerate(container.decode(stream)):
        time_s = (index * 2 * half_s if frame.time is None else frame.time) - first_s
        while held is not None and len(taken) < frames and begin_s + len(taken) * step_s + half_s < time_s:
            square = square or _square(held, cut, size)
            taken.append(take_square(held.to_ndarray(format="gray"), square, size))
        if len(taken) == frames:
            return taken
        held, last_s = frame, time_s
    while held is not None and len(taken) < frames and begin_s + len(taken) * step_s <= last_s + half_s:
        square = square or _square(held, cut, size)
        taken.append(take_square(held.to_ndarray(format="gray"), square, size))
    return taken


def _seek(container: Any, stream: Any, time_s: float) -> None:
    """To the last picture before `time_s` that stands for itself; where a format cannot, reading goes on as it is."""
    with suppress(OSError):
        container.seek(round(time_s / stream.time_base), stream=stream)


def _square(frame: Any, cut: Cut, size: int) -> Square:
    short = min(frame.width, frame.height)
    least = min(short, max(size, LEAST_CROP * short))
    side = round(least + cut.side * (short - least))
    return Square(round(cut.left * (frame.width - side)), round(cut.top * (frame.height - side)), side)
