"""Copies of training clips that a filter has to find: made here, so that an evaluation proves its own instrument."""

from __future__ import annotations

import numpy as np

LATER = 1 / 3  # of the clip is left out at its beginning
LEAST_S = 0.68  # stays, if the clip has as much
CONTRAST, GAIN, OFFSET, NOISE = 0.7, 0.85, 12.0, 4.0  # of a brightened copy; grey levels where they have a unit


def exact(frames: np.ndarray, fps: float, draw: np.random.Generator) -> np.ndarray:
    """The clip itself."""
    return frames


def flipped(frames: np.ndarray, fps: float, draw: np.random.Generator) -> np.ndarray:
    """Left and right exchanged."""
    return np.ascontiguousarray(frames[:, :, ::-1])


def late(frames: np.ndarray, fps: float, draw: np.random.Generator) -> np.ndarray:
    """Begins later: what is left of the clip, at least LEAST_S of it."""
    return frames[max(min(round(LATER * len(frames)), len(frames) - round(LEAST_S * fps)), 1) :]


def brightened(frames: np.ndarray, fps: float, draw: np.random.Generator) -> np.ndarray:
    """Other contrast, gain and offset, and noise over it."""
    x = 255 * GAIN * (frames / 255.0) ** CONTRAST + OFFSET + draw.normal(0, NOISE, frames.shape)
    return np.clip(np.rint(x), 0, 255).astype(np.uint8)


def disguised(frames: np.ndarray, fps: float, draw: np.random.Generator) -> np.ndarray:
    """All of that at once."""
    return brightened(late(flipped(frames, fps, draw), fps, draw), fps, draw)


PLANTS = {"exact": exact, "flipped": flipped, "late": late, "brightened": brightened, "disguised": disguised}
