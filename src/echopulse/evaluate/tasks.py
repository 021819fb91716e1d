"""Evaluation by folder: ECGs and first pictures go out, clips made elsewhere come back.

    folder/tasks.csv        task, heart, control, ecg, image, view, ef, seconds, fps, seed, at_s, key
    folder/ecg/TASK.csv     time (s) and one column of mV per lead; the cell `ecg` is empty where no ECG is given
    folder/image/HEART.png  the first picture; the cell `image` is empty where none is given
    folder/clips/TASK.mp4   to be made by others: mp4, avi, webm, gif, npz or dcm, `seconds` long, from `at_s` on

`key` is what the evaluation finds a task by: a hash of what the generator is given, the ECG rounded to 0.01 mV. So the
evaluation has to be run with the same seed, number and length of clips as the export.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from echopulse.ecg import ECG
from echopulse.echo import Clip, read_clip
from echopulse.errors import InputError
from echopulse.evaluate.controls import HEARTS, STILL, chosen_hearts, given_to, plan, with_image
from echopulse.evaluate.given import ENDINGS, FILMS
from echopulse.evaluate.hearts import Heart, donors
from echopulse.evaluate.held_out import EF_ASKED, HEARTS_ASKED, HEARTS_TOLD
from echopulse.evaluate.identity import hash_of_files
from echopulse.files import write_text

COLUMNS = ("task", "heart", "control", "ecg", "image", "view", "ef", "seconds", "fps", "seed", "at_s", "key")
NAMED = 5  # of what is missing


@dataclass(frozen=True, eq=False)
class Task:
    """One clip that is asked for."""

    heart: Heart
    control: str
    ecg: Tensor | None  # float32 [l, n] mV
    image: bool
    ef: float | None = None
    leads: tuple[str, ...] | None = None  # names of the ECG's; those of the heart's own by default

    @property
    def name(self) -> str:
        return f"{self.heart.seed:04d}-{self.control}"

    def key(self) -> str:
        first = self.heart.frames[0].numpy() if self.image else None
        ecg = None if self.ecg is None else self.ecg.numpy()
        return key_of(ecg, first, self.heart.view, self.ef, self.heart.seed)


def key_of(ecg: np.ndarray | None, image: np.ndarray | None, view: str, ef: float | None, seed: int) -> str:
    """16 hexadecimal digits that tell what a generator is given."""
    digest = hashlib.sha256(f"{view} {'' if ef is None else f'{ef:.4f}'} {seed}".encode())
    if ecg is not None:
        digest.update(np.round(100 * np.asarray(ecg, np.float64)).astype(np.int32).tobytes() + b"ecg")
    if image is not None:
        digest.update(np.ascontiguousarray(image).tobytes() + b"image")
    return digest.hexdigest()[:16]


def tasks_of(hearts: Sequence[Heart], *, alone: int | None = None, controls: int = HEARTS) -> Iterator[Task]:
    """Every clip that timing (`alone` hearts without a picture) and controls (of `controls` hearts) ask for."""
    chosen, moving = chosen_hearts(hearts, controls), [heart for heart in hearts if heart.moving]
    known = {heart.seed for heart in chosen} | {heart.seed for heart in moving[:alone]}
    for heart in hearts:
        yield Task(heart, "same", heart.ecg, image=True)
    for heart in hearts:
        if heart.seed in known:
            yield Task(heart, "unmoved", heart.ecg, image=False)
    for heart in moving[:HEARTS_TOLD]:
        yield Task(heart, "ef_true", heart.ecg, image=True, ef=heart.ef)
    for ef in EF_ASKED:
        for heart in moving[:HEARTS_ASKED]:
            yield Task(heart, f"ef_{100 * ef:.0f}", heart.ecg, image=True, ef=ef)
    for number, (heart, other) in enumerate(donors(chosen)):
        for control in ("none", *plan(number)):
            given = given_to(heart, other, control)
            yield Task(heart, control, given.ecg, with_image(control), leads=given.leads)


def write_tasks(
    folder: Path, hearts: Sequence[Heart], *, fps: float, rate_hz: float, alone: int | None = None,
    controls: int = HEARTS, on_step: Callable[[float], None] = lambda _: None,
) -> int:  # fmt: skip
    """Write ECGs, first pictures and tasks.csv into a new or empty folder; returns the number of tasks."""
    from PIL import Image

    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: exists and is not an empty folder; give a new one.")
    for part in ("ecg", "image", "clips"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    rows, tasks = [], list(tasks_of(hearts, alone=alone, controls=controls))
    for number, task in enumerate(tasks):
        heart = task.heart
        ecg = image = ""
        if task.ecg is not None:
            ecg = f"ecg/{task.name}.csv"
            write_text(_ecg_table(task.ecg, task.leads or heart.leads, rate_hz), folder / ecg)
        if task.image:
            image = f"image/{heart.seed:04d}.png"
            if not (folder / image).exists():
                Image.fromarray(heart.frames[0].numpy()).save(folder / image)
        seconds, ef = len(heart.times_s) / fps, "" if task.ef is None else f"{task.ef:.4f}"
        at_s = f"{-heart.ecg_start_s:.4f}"
        rows.append((task.name, heart.seed, task.control, ecg, image, heart.view, ef, seconds, fps, heart.seed, at_s,
                     task.key()))  # fmt: skip
        on_step((number + 1) / len(tasks))
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([COLUMNS, *rows])
    write_text(text.getvalue(), folder / "tasks.csv")
    return len(tasks)


def _ecg_table(samples: Tensor, leads: Sequence[str] | None, rate_hz: float) -> str:
    """Time in seconds and every lead in mV, one row per sample."""
    leads = leads or [f"lead {number + 1}" for number in range(len(samples))]
    names = ",".join(f"{name} (mV)" for name in leads)
    columns = samples.double().numpy().T
    rows = (f"{i / rate_hz:.4f}," + ",".join(f"{value:.5f}" for value in row) for i, row in enumerate(columns))
    return f"time (s),{names}\n" + "\n".join(rows) + "\n"


@dataclass(frozen=True)
class FolderCandidate:
    """Clips that were made elsewhere, asked for like a generator; `paths` by the task's key."""

    folder: Path
    paths: dict[str, Path]
    refused: frozenset[str] = field(default_factory=frozenset)  # keys of dead lines that have no clip

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def hash(self) -> str:
        return hash_of_files([self.folder / "tasks.csv", *self.paths.values()])

    @classmethod
    def load(cls, folder: Path) -> FolderCandidate:
        """The clips of a folder, one per task; InputError names what is missing.

        Only a flat line and an ECG of zeros may have no clip: that counts as refusing them.
        """
        rows = _read_tasks(folder / "tasks.csv")
        paths, refused, missing = {}, set(), []
        for row in rows:
            found = [path for ending in ENDINGS if (path := folder / "clips" / f"{row['task']}{ending}").exists()]
            if len(found) > 1:
                raise InputError(f"{found[0]}: {found[1].name} lies beside it; keep one clip per task.")
            if found:
                paths[row["key"]] = found[0]
            elif row["control"] in STILL:
                refused.add(row["key"])
            else:
                missing.append(row["task"])
        if missing:
            named = ", ".join(missing[:NAMED]) + (" ..." if len(missing) > NAMED else "")
            raise InputError(
                f"{folder}: {len(missing)} of {len(rows)} clips are missing ({named}); one file clips/TASK.mp4 (or "
                f"{', '.join(one for one in ENDINGS if one != '.mp4')}) is expected for every row of tasks.csv."
            )
        return cls(folder, paths, frozenset(refused))

    def __call__(self, ecg: ECG | None, *, image: Any, view: str, ef: float | None, seed: int, **_: Any) -> Clip:
        key = key_of(None if ecg is None else ecg.samples, image, view, ef, seed)
        if key in self.refused:
            raise InputError(f"{self.folder}: no clip was made from this ECG.")
        if key not in self.paths:
            raise InputError(
                f"{self.folder}: no task for what is asked of heart {seed}; evaluate with the seed, number and length "
                "of clips that the tasks were exported with."
            )
        return read_whole(self.paths[key])


def read_whole(path: Path) -> Clip:
    """A clip of a film's whole pictures, where no sector is searched for; other files as `read_clip` reads them."""
    from echopulse.echo.films import open_image, open_video
    from echopulse.echo.sector import to_grey

    if path.suffix.lower() not in FILMS:
        return read_clip(path)
    film = (open_image if path.suffix.lower() == ".gif" else open_video)(path)
    pictures = [(to_grey(picture), time_s) for picture, time_s in film.pictures]
    if len(pictures) < 2:
        raise InputError(f"{path}: {len(pictures)} pictures; a loop of at least 2 frames is expected.")
    if len({picture.shape for picture, _ in pictures}) > 1:
        raise InputError(f"{path}: pictures of different sizes; a loop is expected.")
    times = np.array([time_s for _, time_s in pictures])
    if np.any(np.diff(times) <= 0):
        raise InputError(f"{path}: the frame times do not increase; export the loop again.")
    return Clip(np.stack([picture for picture, _ in pictures]), times, synthetic=True)


def _read_tasks(path: Path) -> list[dict[str, str]]:
    """The rows of tasks.csv, with every column that `write_tasks` writes."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read ({error}); export the tasks again.") from error
    missing = [name for name in COLUMNS if not rows or rows[0].get(name) is None]
    if missing:
        raise InputError(f"{path}: no {missing[0]!r} column or no rows; the columns {', '.join(COLUMNS)} are expected.")
    return rows
