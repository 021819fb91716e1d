"""How alike two clips look, whichever way they are turned, moved or delayed: a search through small blurred pictures.

Every picture is blurred and made small, brought to mean 0 and spread 1 (so that gain and offset do not matter), freed
of what all training pictures have in common (the fan, the usual heart) and scaled to length 1. The likeness of two
clips is the cosine of their pictures, averaged over as many as overlap (at least half); the largest over the time lags,
mirroring left to right and small shifts counts, and the distance is 1 less that. A coarse search over all training
clips with pictures of 12 x 12 chooses `CANDIDATES` of them, which are compared at 24 x 24.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from echopulse.errors import InputError
from echopulse.evaluate.together import together
from echopulse.jobs import usable_cores

RATE_HZ = 25.0  # on which lags are searched
SIDE, COARSE = 24, 12  # pixels
QUERY_EVERY = 4  # of the grid's pictures: neighbours tell little more
QUERY_PICTURES = 16  # at most
REACH = 3  # small pixels: an eighth of the picture, in each direction
CANDIDATES = 16
AT_ONCE = 256  # training clips


@dataclass(frozen=True, eq=False)
class Small:
    """n clips as small pictures on the grid of RATE_HZ: uint8 [t_i, SIDE, SIDE] each."""

    pictures: tuple[Tensor, ...]

    @classmethod
    def of(cls, clips: Sequence[np.ndarray], fps: float) -> Small:
        """From uint8 [t, h, w] of one size at `fps` frames per second; wide pictures are squeezed, not cut."""
        if not fps > 0:
            raise InputError(f"{fps:g} frames/s: a frame rate above 0 is expected; say how fast the clips run.")
        return cls(tuple(_shrink(frames, fps) for frames in clips))

    def __len__(self) -> int:
        return len(self.pictures)


def _shrink(frames: np.ndarray, fps: float) -> Tensor:
    steps = max(round((len(frames) - 1) / fps * RATE_HZ), 0) + 1
    nearest = np.rint(np.linspace(0, len(frames) - 1, steps)).astype(int)
    x = torch.from_numpy(np.ascontiguousarray(frames))[torch.from_numpy(nearest), None].float()
    return F.interpolate(x, (SIDE, SIDE), mode="bilinear", antialias=True)[:, 0].round().to(torch.uint8)


@dataclass(frozen=True, eq=False)
class Nearest:
    """Of each of n clips how far its nearest reference is, float64 [n], and which one that is, int64 [n]."""

    distance: np.ndarray
    which: np.ndarray


@dataclass(frozen=True, eq=False)
class PixelSpace:
    """The mean picture of the training clips, float32 [SIDE, SIDE], and with it the distance between any two clips."""

    mean: Tensor

    @classmethod
    def fit(cls, training: Small) -> PixelSpace:
        """The mean over the clips of each one's mean standardised picture."""
        return cls(torch.stack([standard(pictures).mean(0) for pictures in training.pictures]).mean(0))

    def nearest(
        self,
        queries: Small,
        references: Small,
        *,
        others: bool = False,
        on_step: Callable[[float], None] = lambda _: None,
    ) -> Nearest:
        """Of every query the nearest reference, at 0 for a copy; with `others` query k is not held against number k."""
        fine, coarse = self._bank(references)
        done = []

        def search(number: int) -> tuple[float, int]:
            pictures = queries.pictures[number]
            every = max(QUERY_EVERY, -(-len(pictures) // QUERY_PICTURES))
            some = pictures[::every]
            rough = likeness(self._variants(some, 2, coarse=True), coarse, every)  # [n]
            if others:
                rough[number] = -torch.inf
            chosen = rough.topk(min(CANDIDATES, len(rough) - others)).indices
            close = likeness(self._variants(some, 1), [fine[i] for i in chosen.tolist()], every)
            best = int(close.argmax())
            return max(1 - float(close[best]), 0.0), int(chosen[best])

        def told(_: tuple[float, int]) -> None:
            done.append(1)
            on_step(len(done) / len(queries))

        found = together(search, range(len(queries)), usable_cores(), told)
        distance, which = ([one[part] for one in found] for part in range(2))
        return Nearest(np.array(distance, np.float64), np.array(which, np.int64))

    def _bank(self, small: Small) -> tuple[list[Tensor], list[Tensor]]:
        fine = [_length_one(standard(pictures) - self.mean) for pictures in small.pictures]
        return fine, [_length_one(_halve(standard(pictures) - self.mean)) for pictures in small.pictures]

    def _variants(self, pictures: Tensor, step: int, *, coarse: bool = False) -> Tensor:
        """Mirrored and shifted by up to REACH pixels, [v, q, d]."""
        turned = torch.stack((pictures, pictures.flip(-1))).float()
        shifts = range(-(REACH // step) * step, REACH + 1, step)
        padded = F.pad(turned, (REACH,) * 4, mode="replicate")
        moved = [
            padded[..., REACH + y : REACH + y + SIDE, REACH + x : REACH + x + SIDE] for y in shifts for x in shifts
        ]
        changed = standard(torch.stack(moved).flatten(0, 1)) - self.mean
        return _length_one(_halve(changed) if coarse else changed)


def likeness(query: Tensor, references: Sequence[Tensor], every: int) -> Tensor:
    """The best mean cosine of each reference with any variant of the query at any lag, float32 [n].

    query: [v, q, d], v variants of q pictures that lie `every` steps of the grid apart; references: [t_i, d] each, one
    picture a step. Only lags at which at least half as many pictures meet as can meet at any lag count.
    """
    found = []
    for first in range(0, len(references), AT_ONCE):
        some = references[first : first + AT_ONCE]
        longest = max(map(len, some))
        stacked = torch.stack([F.pad(one, (0, 0, 0, longest - len(one))) for one in some])  # [n, t, d]
        there = torch.stack([torch.arange(longest) < len(one) for one in some]).float()  # [n, t]
        met = torch.einsum("vqd,ntd->vnqt", query, stacked)
        lags = longest + every * (query.shape[1] - 1)
        total, count = met.new_zeros(*met.shape[:2], lags), there.new_zeros(len(some), lags)
        for q in range(query.shape[1]):
            start = every * (query.shape[1] - 1 - q)
            total[..., start : start + longest] += met[:, :, q]
            count[:, start : start + longest] += there
        least = (count.amax(1, keepdim=True) / 2).ceil().clamp(min=1)
        enough = count >= least
        mean = torch.where(enough, total / count.clamp(min=1), -1.0)
        found.append(mean.amax((0, 2)))
    return torch.cat(found)


def standard(pictures: Tensor) -> Tensor:
    """[..., h, w] with mean 0 and standard deviation 1 in each picture; a picture of one grey becomes 0."""
    x = pictures.float()
    x = x - x.mean((-2, -1), keepdim=True)
    return x / x.square().mean((-2, -1), keepdim=True).sqrt().clamp(min=1e-3)


def _halve(pictures: Tensor) -> Tensor:
    return pictures.unflatten(-1, (COARSE, -1)).unflatten(-3, (COARSE, -1)).mean((-3, -1))


def _length_one(pictures: Tensor) -> Tensor:
    """[..., h, w] -> [..., h·w] of length 1."""
    return F.normalize(pictures.flatten(-2), dim=-1)


def check_clips(
    clips: Sequence[np.ndarray], what: str, least: int = 1, sides: tuple[int, int] | None = None
) -> tuple[int, int]:
    """How high and wide the pictures are, all alike, and like `sides` where those are given.

    InputError unless there are at least `least` clips, uint8 [t, h, w] of two frames or more each.
    """
    if len(clips) < least:
        raise InputError(f"{len(clips)} {what}: at least {least} are needed.")
    expected = sides
    for number, frames in enumerate(clips):
        array = isinstance(frames, np.ndarray)
        if not array or frames.dtype != np.uint8 or frames.ndim != 3 or len(frames) < 2 or not frames.size:
            found = f"{frames.dtype} {list(frames.shape)}" if array else type(frames).__name__
            raise InputError(
                f"number {number} of the {what} is {found}; grey pictures uint8 [t, h, w], two or more, are needed."
            )
        expected = expected or frames.shape[1:]
        if frames.shape[1:] != expected:
            first = f"number 0 is {_by(expected)}" if sides is None else f"the training clips are {_by(expected)}"
            raise InputError(
                f"number {number} of the {what} is {_by(frames.shape[1:])} pixels, {first}; bring all to one size."
            )
    return expected


def _by(sides: tuple[int, int]) -> str:
    return f"{sides[1]} x {sides[0]}"
