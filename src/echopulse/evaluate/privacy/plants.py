"""Copies of training clips that a filter has to find: made here, so that an evaluation proves its own instrument.

`PLANTS` are the kinds that have to be found. `BEYOND` are kinds that the filter is not made for: how many of them it
finds tells where it ends.
"""

from __future__ import annotations

from fractions import Fraction
from io import BytesIO

import numpy as np
import torch
import torch.nn.functional as F

LATER = 1 / 3  # of the clip is left out at its beginning
LEAST_S = 0.68  # stays, if the clip has as much
COMPRESSION = 35  # CRF of H.264, where 18 looks like the original and 23 is usual
DIMMED, NOISY = 0.6, 16.0  # gain; grey levels
CONTRAST, GAIN, OFFSET, NOISE = 0.7, 0.85, 12.0, 4.0  # of a brightened copy; grey levels where they have a unit
TURNED, ENLARGED, SPEED = 10.0, 1.2, 0.8  # degrees, times, times


def exact(frames: np.ndarray, fps: float, draw: np.random.Generator) -> np.ndarray:
    """The clip itself."""
    return frames


def flipped(frames: np.ndarray, fps: float, draw: np.random.Generator) -> np.ndarray:
    """Left and right exchanged."""
    return np.ascontiguousarray(frames[:, :, ::-1])


def late(frames: np.ndarray, fps: float, draw: np.random.Generator) -> np.ndarray:
    """Begins later: what is left of the clip, at least LEAST_S of it."""
    return frames[max(min(round(LATER * len(frames)), len(frames) - round(LEAST_S * fps)), 1) :]


def reencoded(frames: np.ndarray, fps: float, draw: np.random.Generator) -> np.ndarray:
    """Through an MP4 in memory, H.264 at COMPRESSION."""
    import av

    height, width = frames.shape[1:]
    even = np.pad(frames, ((0, 0), (0, height % 2), (0, width % 2)), "edge")
    film = BytesIO()
    with av.open(film, "w", format="mp4") as container:
        options = {"preset": "superfast", "crf": str(COMPRESSION), "threads": "1", "x264-params": "mbtree=0"}
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001), options=options)
        stream.height, stream.width, stream.pix_fmt = *even.shape[1:], "yuv420p"
        for picture in even:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture[..., None].repeat(3, 2), format="rgb24")))
        container.mux(stream.encode())
    film.seek(0)
    with av.open(film) as container:
        pictures = [frame.to_ndarray(format="rgb24")[:height, :width, 1] for frame in container.decode(video=0)]
    return np.stack(pictures)


def dimmed(frames: np.ndarray, fps: float, draw: np.random.Generator) -> np.ndarray:
    """At DIMMED of the gain."""
    return _grey(DIMMED * frames)


def noisy(frames: np.ndarray, fps: float, draw: np.random.Generator) -> np.ndarray:
    """Noise of NOISY grey levels over every pixel."""
    return _grey(frames + draw.normal(0, NOISY, frames.shape))


def brightened(frames: np.ndarray, fps: float, draw: np.random.Generator) -> np.ndarray:
    """Other contrast, gain and offset, and noise over it."""
    return _grey(255 * GAIN * (frames / 255.0) ** CONTRAST + OFFSET + draw.normal(0, NOISE, frames.shape))


def disguised(frames: np.ndarray, fps: float, draw: np.random.Generator) -> np.ndarray:
    """Flipped, later and brightened at once."""
    return brightened(late(flipped(frames, fps, draw), fps, draw), fps, draw)


def rotated(frames: np.ndarray, fps: float, draw: np.random.Generator) -> np.ndarray:
    """Turned by TURNED degrees about the middle."""
    angle = np.deg2rad(TURNED)
    return _moved(frames, [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def zoomed(frames: np.ndarray, fps: float, draw: np.random.Generator) -> np.ndarray:
    """The middle of the picture, enlarged by ENLARGED."""
    return _moved(frames, [[1 / ENLARGED, 0.0], [0.0, 1 / ENLARGED]])


def slowed(frames: np.ndarray, fps: float, draw: np.random.Generator) -> np.ndarray:
    """At SPEED of the speed, the nearest frame at each time, as long as the clip itself."""
    return frames[np.rint(np.arange(len(frames)) * SPEED).astype(int)]


def _grey(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _moved(frames: np.ndarray, matrix: list[list[float]]) -> np.ndarray:
    """Pictures whose places are `matrix` times those of the result, from the middle; black outside."""
    pictures = torch.from_numpy(np.ascontiguousarray(frames))[:, None].float()
    affine = torch.tensor(matrix, dtype=torch.float32)
    grid = F.affine_grid(F.pad(affine, (0, 1))[None], [1, 1, *frames.shape[1:]], align_corners=False)
    found = F.grid_sample(pictures, grid.expand(len(pictures), -1, -1, -1), align_corners=False)
    return _grey(found[:, 0].numpy())


PLANTS = {
    "exact": exact, "flipped": flipped, "late": late, "reencoded": reencoded, "dimmed": dimmed, "noisy": noisy,
    "brightened": brightened, "disguised": disguised,
}  # fmt: skip
BEYOND = {"rotated": rotated, "zoomed": zoomed, "slowed": slowed}
