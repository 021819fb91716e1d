"""What a user hands to an evaluation beside a model: training clips, and files of published feature networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from echopulse.echo import read_clip
from echopulse.errors import InputError
from echopulse.evaluate.hearts import FPS, SIZE
from echopulse.pipeline import resample_frames

ENDINGS = (".mp4", ".avi", ".webm", ".mov", ".mkv", ".gif", ".npz", ".dcm")


def read_training_clips(folder: Path, *, fps: float = FPS, size: int = SIZE) -> list[np.ndarray]:
    """Every clip below a folder, in the order of the names, uint8 [t, size, size] at `fps`."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no folder; give the folder that holds the model's training clips.")
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix.lower() in ENDINGS)
    if not paths:
        raise InputError(f"{folder}: no clip below it; files ending in {', '.join(ENDINGS)} are expected.")
    return [_at_rate(path, fps, size) for path in paths]


def feature_files(text: str | None) -> dict[str, Path]:
    """`i3d=FILE,inception=FILE` as a dictionary of paths that exist; empty without a text."""
    found: dict[str, Path] = {}
    for pair in (text or "").split(",") if text else []:
        name, equals, path = pair.strip().partition("=")
        if not equals or not path:
            raise InputError(f"--features {pair.strip()}: NAME=FILE is expected, as in i3d=i3d_torchscript.pt.")
        if not Path(path).is_file():
            raise InputError(f"--features {name}={path}: there is no such file.")
        found[name] = Path(path)
    return found


def _at_rate(path: Path, fps: float, size: int) -> np.ndarray:
    clip = read_clip(path, size)
    if len(clip.frames) < 2:
        raise InputError(f"{path}: one picture; a training clip has two frames or more.")
    count = 1 + int(np.floor((clip.times_s[-1] - clip.times_s[0]) * fps + 1e-6))
    return resample_frames(clip.frames, clip.fps, fps, count)
