"""Features of clips in the eyes of the project's own measurer, frozen: what FID-echo, KID-echo and FVD-echo stand on.

The measurer learned from simulated hearts to tell chambers apart, so its features know walls, chambers and their
motion. They carry a hash of the weights: figures made with different measurers do not compare, and are never compared.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from echopulse.errors import InputError
from echopulse.evaluate.together import together
from echopulse.jobs import usable_cores
from echopulse.measure.segmenter import Segmenter

FPS = 25.0
WINDOW = 16  # frames
MOTION_WIDTH = 32
PARTS = (1.0, 6.0, 12.0)  # weights of mean, spread and change: in simulated clips they vary as 1 to 1/6 to 1/13
FRAMES_AT_ONCE = 32


@dataclass(frozen=True, eq=False)
class EchoFeatures:
    """The measurer's way down, in float32.

    Frame features: the mean over the picture of every channel of every stage, [t, d] with d = sum of the widths. Clip
    features: the frames' features on a grid of 25 frames/s, projected to 32 directions that are fixed once and for all
    (random and orthonormal: distances survive, Johnson and Lindenstrauss 1984), of which the mean, the standard
    deviation and the mean absolute change from frame to frame are taken over 16 frames: [n, 96], few enough for a
    covariance from a hundred clips. The three are weighted (`PARTS`) so that a heart that stands still is as far off
    as a heart that looks wrong; unweighted, motion would be a hundredth of it all.
    """

    network: Segmenter
    known: dict[bytes, np.ndarray] = field(default_factory=dict, compare=False, repr=False)  # by the clip's digest

    @classmethod
    def bundled(cls, measurer: Segmenter) -> EchoFeatures:
        """The features of a measurer, which stays as it is."""
        return cls(copy.deepcopy(measurer).float().requires_grad_(False).eval())

    @cached_property
    def hash(self) -> str:
        """16 hexadecimal digits of the SHA-256 over the names and values of the weights on the way down."""
        digest = hashlib.sha256(f"{self.network.config.size} {self.network.config.channels}".encode())
        for name, value in sorted(self.network.down.state_dict().items()):
            digest.update(name.encode() + value.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]

    @torch.inference_mode()
    def frames(self, frames: np.ndarray) -> np.ndarray:
        """Grey frames uint8 [t, h, w] of any size -> float32 [t, d]; padded to a square, then resized.

        The same frames are looked at once: several parts of an evaluation ask for those of the held-out clips.
        """
        frames = np.asarray(frames)
        if frames.ndim != 3 or frames.dtype != np.uint8:
            raise ValueError(f"frames must be uint8 [t, h, w], got {frames.dtype} {frames.shape}")
        digest = hashlib.sha256(f"{frames.shape}".encode() + np.ascontiguousarray(frames).tobytes()).digest()
        if digest not in self.known:
            self.known[digest] = self._look_at(frames)
        return self.known[digest].copy()

    def _look_at(self, frames: np.ndarray) -> np.ndarray:
        device = next(self.network.parameters()).device
        found = [np.zeros((0, sum(self.network.config.channels)), np.float32)]
        for start in range(0, len(frames), FRAMES_AT_ONCE):
            x = torch.from_numpy(np.ascontiguousarray(frames[start : start + FRAMES_AT_ONCE])).to(device)
            stages = self.network.encode(_square(x.float() / 255, self.network.config.size))
            found.append(torch.cat([stage.mean((2, 3)) for stage in stages], 1).cpu().numpy())
        return np.concatenate(found)

    def windows(self, frames: np.ndarray, fps: float) -> np.ndarray:
        """One clip uint8 [t, h, w] -> features float32 [k, 96] of its k successive windows of 16 frames at 25/s.

        What is left over at the end is not used. Raises InputError for a clip under 0.64 s.
        """
        kept, back = np.unique(on_grid(len(frames), fps), return_inverse=True)
        if len(back) < WINDOW:
            raise InputError(
                f"a clip of {len(frames)} frames at {fps:g} frames/s: FVD-echo needs {WINDOW / FPS:g} s "
                f"({WINDOW} frames at {FPS:g}/s); give longer clips."
            )
        return self.windows_of(self.frames(np.asarray(frames)[kept])[back])

    def windows_of(self, signals: np.ndarray) -> np.ndarray:
        """The same from what `frames` gives for at least 16 frames on the grid, [t, d] -> [k, 96]."""
        signals = signals @ _directions(signals.shape[1])
        parts = signals[: len(signals) // WINDOW * WINDOW].reshape(-1, WINDOW, MOTION_WIDTH)
        change = np.abs(np.diff(parts, axis=1)).mean(1)
        found = [weight * part for weight, part in zip(PARTS, (parts.mean(1), parts.std(1), change), strict=True)]
        return np.concatenate(found, 1).astype(np.float32)

    def clips(self, clips: Sequence[np.ndarray], fps: float) -> np.ndarray:
        """Clips uint8 [t, h, w] -> float32 [n, 96], the mean of each clip's windows."""
        if not len(clips):
            raise InputError("no clips: features need at least one; check the folder.")
        on_cpu = next(self.network.parameters()).device.type == "cpu"
        vectors = together(lambda clip: self.windows(clip, fps).mean(0), clips, usable_cores() if on_cpu else 1)
        return np.stack(vectors)


@dataclass(frozen=True, eq=False)
class FeatureSet:
    """Features [n, d] with the name and the hash of the network that made them; as safetensors on disk.

    `about` says in words what they were made from.
    """

    values: np.ndarray
    network: str
    hash: str
    about: dict[str, str] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """`path` as a safetensors file."""
        from safetensors.numpy import save_file

        values = np.ascontiguousarray(self.values, np.float32)
        save_file({"features": values}, path, metadata={**self.about, "network": self.network, "hash": self.hash})

    @classmethod
    def load(cls, path: Path, network: str, hash: str) -> FeatureSet:
        """What `save` wrote, if it is of this network; InputError otherwise."""
        from safetensors import SafetensorError, safe_open

        if not path.is_file():
            raise InputError(f"{path}: no such feature file; make it with the network that you compare with.")
        try:
            with safe_open(path, "numpy") as file:
                about, values = dict(file.metadata() or {}), file.get_tensor("features")
        except SafetensorError as error:
            raise InputError(f"{path}: no feature file ({error}); make it again.") from error
        found = about.pop("network", ""), about.pop("hash", "")
        if found != (network, hash):
            raise InputError(
                f"{path}: features of {found[0] or 'an unknown network'} with hash {found[1] or 'none'}, expected "
                f"{network} with {hash}; features of different networks do not compare, make them again."
            )
        return cls(values, network, hash, about)


def on_grid(frames: int, fps: float) -> np.ndarray:
    """Indices of the frames nearest to the times of a 25/s grid, int [k]; no grid time lies after the last frame."""
    if not fps > 0:
        raise InputError(f"{fps:g} frames/s: a frame rate above 0 is expected; say how fast the clips run.")
    times = np.arange(int((frames - 1) / fps * FPS + 1e-6) + 1) / FPS
    return np.minimum(np.rint(times * fps).astype(int), frames - 1)


def _square(frames: torch.Tensor, size: int) -> torch.Tensor:
    """[t, h, w] -> [t, size, size] with black at the shorter sides."""
    height, width = frames.shape[1:]
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    frames = F.pad(frames, (left, side - width - left, top, side - height - top))
    if side == size:
        return frames
    return F.interpolate(frames[:, None], (size, size), mode="bilinear", antialias=side > size)[:, 0]


def _directions(width: int) -> np.ndarray:
    """Fixed orthonormal directions float32 [width, 32], scaled so that distances keep their size on average."""
    if width < MOTION_WIDTH:
        raise ValueError(f"the measurer has {width} channels, at least {MOTION_WIDTH} are needed")
    normal = np.random.default_rng(0).normal(size=(width, MOTION_WIDTH))
    return (np.linalg.qr(normal)[0] * (width / MOTION_WIDTH) ** 0.5).astype(np.float32)
