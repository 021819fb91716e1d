"""The noun of this room: a clip is moving grey pictures with the time of each."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Clip:
    """An echocardiogram video, whether read from a scanner's file or made here.

    Row 0 is the top of the picture, where the probe is; in an apical four-chamber view the left
    ventricle lies on the right. Times are counted from the start of the ECG that belongs to the clip.
    """

    frames: np.ndarray  # uint8 [t, h, w], grey
    times_s: np.ndarray  # float64 [t], seconds, increasing
    view: str | None = None  # "a4c", "a2c", ...; None: not known
    pixel_spacing_cm: float | None = None  # size of a (square) pixel; None: not known
    sector: np.ndarray | None = None  # bool [h, w], where the scanner draws; None: not known
    synthetic: bool = False  # made by a model or a simulator, not by a scanner
    provenance: dict[str, Any] = field(default_factory=dict)  # how each of these was decided

    def __post_init__(self) -> None:
        if self.frames.ndim != 3 or self.frames.dtype != np.uint8 or len(self.frames) == 0:
            raise ValueError(f"frames must be uint8 [t, h, w] with t >= 1, got {self.frames.dtype} {self.frames.shape}")
        if self.times_s.shape != (len(self.frames),):
            raise ValueError(f"{len(self.frames)} frames need as many times, got shape {self.times_s.shape}")
        if np.any(np.diff(self.times_s) <= 0):
            raise ValueError("frame times must increase")
        if self.sector is not None and self.sector.shape != self.frames.shape[1:]:
            raise ValueError(f"sector {self.sector.shape} does not fit frames of {self.frames.shape[1:]}")

    @property
    def frame_interval_s(self) -> float:
        """Median time between frames, seconds; NaN for a single frame."""
        return float(np.median(np.diff(self.times_s))) if len(self.times_s) > 1 else float("nan")

    @property
    def fps(self) -> float:
        """Frames per second by the median interval; NaN for a single frame."""
        return 1.0 / self.frame_interval_s

    @property
    def duration_s(self) -> float:
        """Time that the clip fills, the last frame's own interval included; 0 for a single frame."""
        if len(self.times_s) == 1:
            return 0.0
        return float(self.times_s[-1] - self.times_s[0]) + self.frame_interval_s

    def save(self, path: str | Path, **options: Any) -> Path:
        """Write the clip as the path's ending says; the options are those of `write_clip`."""
        from echopulse.echo.write import write_clip

        return write_clip(self, path, **options)
