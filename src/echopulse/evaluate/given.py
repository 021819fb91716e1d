"""What a user hands to an evaluation beside a model: training clips, and files of published feature networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from echopulse.data.bank import shard_clips, shard_frames
from echopulse.echo import read_clip
from echopulse.echo.sector import Square, take_square
from echopulse.errors import InputError
from echopulse.evaluate.hearts import FPS, SIZE
from echopulse.pipeline import resample_frames

if TYPE_CHECKING:
    from echopulse.evaluate.features import EchoFeatures
    from echopulse.evaluate.metrics.networks import Networks
    from echopulse.evaluate.privacy import CopyFilter
    from echopulse.measure.segmenter import Segmenter

FILMS = (".avi", ".mkv", ".mov", ".mp4", ".webm", ".gif")
ENDINGS = (".npz", ".dcm", *FILMS)  # of one clip's forms the first counts
SHARDS = "shard-*.safetensors"


@dataclass(frozen=True)
class Supplied:
    """What a user handed over, as far as the parts to run need it.

    Attributes:
        features: the measurer's own frozen features; None where no part looks at them.
        networks: published feature networks, None without any.
        copies: a filter whose copies are left out, None without one.
        training: the files of the model's training clips; none: simulated ones stand in.
    """

    features: EchoFeatures | None = None
    networks: Networks | None = None
    copies: CopyFilter | None = None
    training: tuple[Path, ...] = ()

    @classmethod
    def read(
        cls, parts: Sequence[str], measurer: Segmenter, networks: Mapping[str, Path], train_data: Path | None,
        reject_copies: Path | None,
    ) -> Supplied:  # fmt: skip
        """Opens every file before anything is made, so that a wrong one is refused at once."""
        quality, privacy = "quality" in parts, "privacy" in parts
        if not (quality or privacy):
            return cls()
        from echopulse.evaluate.features import EchoFeatures
        from echopulse.evaluate.metrics.networks import load_networks
        from echopulse.evaluate.privacy import CopyFilter
        from echopulse.evaluate.privacy.calibration import LEAST

        features = EchoFeatures.bundled(measurer)
        return cls(
            features=features,
            networks=load_networks(networks) if quality and networks else None,
            copies=CopyFilter.load(reject_copies, features) if quality and reject_copies is not None else None,
            training=tuple(training_files(train_data, LEAST)) if privacy and train_data is not None else (),
        )


def training_files(folder: Path, least: int = 1) -> list[Path]:
    """Clips and shards of clips below a folder, in the order of the names; of one clip in several forms one alone.

    InputError where they hold fewer than `least` clips together, for which shards are asked their number only.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no folder; give the folder that holds the model's training clips.")
    forms: dict[Path, list[Path]] = {}
    for path in folder.rglob("*"):
        if path.suffix.lower() in ENDINGS and path.is_file():
            forms.setdefault(path.with_suffix(""), []).append(path)
    films = [min(paths, key=lambda path: ENDINGS.index(path.suffix.lower())) for paths in forms.values()]
    shards = list(folder.rglob(SHARDS))
    if not films and not shards:
        raise InputError(
            f"{folder}: no clip below it; {SHARDS} or files ending in {', '.join(ENDINGS)} are expected."
        )
    if (count := len(films) + sum(map(shard_clips, shards))) < least:
        raise InputError(f"{folder}: {count} training clips below it; at least {least} are needed.")
    return sorted(films + shards)


def clips_at_rate(path: Path, fps: float = FPS, size: int = SIZE) -> list[np.ndarray]:
    """The clip of a file or all clips of a shard, uint8 [t, size, size] each at `fps`."""
    if path.match(SHARDS):
        frames, rate = shard_frames(path)
        whole = Square(0, 0, max(frames.shape[2:]))
        clips = [np.stack([take_square(picture, whole, size) for picture in clip]) for clip in frames.numpy()]
        return [_at_rate(clip, rate, (len(clip) - 1) / rate, fps) for clip in clips]
    clip = read_clip(path, size)
    if len(clip.frames) < 2:
        raise InputError(f"{path}: one picture; a training clip has two frames or more.")
    return [_at_rate(clip.frames, clip.fps, clip.times_s[-1] - clip.times_s[0], fps)]


def _at_rate(frames: np.ndarray, rate: float, lasts_s: float, fps: float) -> np.ndarray:
    return resample_frames(frames, rate, fps, 1 + int(np.floor(lasts_s * fps + 1e-6)))
