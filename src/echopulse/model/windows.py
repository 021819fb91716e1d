"""How a long clip is laid out in the generator's windows, in training and in use alike."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

BEFORE_S, AFTER_S = 1.6, 0.4  # how much ECG around a window the generator hears
REFERENCE_AT_MOST_S = 1.28  # a reference further back is given this place, around which the ECG is still heard
REFERENCE_AT_MOST_FRAMES = 32  # and so many pictures back: clips of 65, as banks hold them, show no other
OVERLAP = 3  # latent frames of the window before that the next one knows


@dataclass(frozen=True)
class Window:
    """The latent frames in the slots of one window; the first `known` of them are known already.

    In all windows but the first, slot 0 is the clip's first latent frame, far back, as the reference.
    """

    latents: tuple[int, ...]
    known: int
    first: bool


def latent_times(index: Tensor, frames_per_latent: int = 4, fps: float = 25.0) -> Tensor:
    """The middle of latent frame `index` (int, any shape) in seconds from the clip's first frame."""
    middle = (index * frames_per_latent - (frames_per_latent - 1) / 2) / fps
    return torch.where(index > 0, middle, torch.zeros_like(middle))


def picture_seconds(window: int, frames_per_latent: int = 4, fps: float = 25.0) -> float:
    """Seconds from the first picture of a window of so many latent frames to its last."""
    return (window - 1) * frames_per_latent / fps


def heard_seconds(window: int, frames_per_latent: int = 4, fps: float = 25.0) -> float:
    """Seconds of ECG that a window hears: its own, and some before and after."""
    return BEFORE_S + AFTER_S + picture_seconds(window, frames_per_latent, fps)


def reference_at_most(fps: float = 25.0) -> float:
    """How many seconds before a window's first picture its reference is put at most."""
    return min(REFERENCE_AT_MOST_S, REFERENCE_AT_MOST_FRAMES / fps)


def plan_windows(latents: int, window: int) -> Iterator[Window]:
    """Windows that together cover `latents` latent frames, each but the first leaning on `OVERLAP` or more before."""
    done = min(latents, window)
    yield Window(tuple(range(done)), 0, True)
    while done < latents:
        first = min(done - OVERLAP, latents - (window - 1))  # the last window is as long as the others and knows more
        yield Window((0, *range(first, first + window - 1)), 1 + done - first, False)
        done = first + window - 1


def endless_windows(window: int) -> Iterator[Window]:
    """Windows of a clip whose end is not known: the same as `plan_windows`, but for the last one."""
    yield Window(tuple(range(window)), 0, True)
    first = window - OVERLAP
    while True:
        yield Window((0, *range(first, first + window - 1)), 1 + OVERLAP, False)
        first += window - 1 - OVERLAP
