"""A small U-Net that outlines the cavity of the left ventricle in apical views."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

SMALLEST_CAVITY = 0.003  # of the picture; fewer pixels are no ventricle
FRAMES_AT_ONCE = 16  # keeps the activations of a CPU run small


@dataclass(frozen=True)
class SegmenterConfig:
    """Everything that fixes the network's shape.

    Attributes:
        size: pixels along each side of the square input; divisible by `2 ** len(channels)`.
        channels: width at each resolution, the first at half the input's resolution.
        groups: groups of every group normalisation.
    """

    size: int = 128
    channels: tuple[int, ...] = (16, 32, 64, 96)
    groups: int = 8

    def __post_init__(self):
        object.__setattr__(self, "channels", tuple(self.channels))
        if self.size % 2 ** len(self.channels):
            raise ValueError(f"size {self.size} must be divisible by {2 ** len(self.channels)}")


def _stage(inputs: int, outputs: int, groups: int) -> nn.Sequential:
    """Two 3x3 convolutions. Group normalisation: each frame by itself, so that its gain does not matter."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.GroupNorm(groups, outputs), nn.SiLU(),
        nn.Conv2d(outputs, outputs, 3, padding=1, bias=False), nn.GroupNorm(groups, outputs), nn.SiLU())


class Segmenter(nn.Module):
    """Frames [b, h, w] in 0..1 -> logits [b, h, w] of the left ventricular cavity.

    Works at half resolution: 2x2 pixels are folded into channels on the way in and unfolded on the way out, so the
    outline keeps the resolution of the picture at a quarter of the cost.
    """

    def __init__(self, config: SegmenterConfig | None = None):
        super().__init__()
        self.config = config or SegmenterConfig()
        widths, groups = self.config.channels, self.config.groups
        self.down = nn.ModuleList(_stage(i, o, groups) for i, o in zip((4, *widths[:-1]), widths, strict=True))
        self.up = nn.ModuleList(_stage(below + here, here, groups)
                                for here, below in zip(widths[-2::-1], widths[:0:-1], strict=True))
        self.head = nn.Conv2d(widths[0], 4, 1)
        nn.init.constant_(self.head.bias, -2.0)  # the cavity covers about a tenth of the picture

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        size = self.config.size
        if frames.ndim != 3 or frames.shape[1:] != (size, size):
            raise ValueError(f"frames must be [b, {size}, {size}], got {tuple(frames.shape)}")
        x = F.pixel_unshuffle(4 * frames[:, None] - 1, 2)  # [b, 4, h/2, w/2]; tissue is near zero
        skips = []
        for i, stage in enumerate(self.down):
            x = stage(F.max_pool2d(x, 2) if i else x)
            skips.append(x)
        for stage, skip in zip(self.up, skips[-2::-1], strict=True):
            x = stage(torch.cat([F.interpolate(x, scale_factor=2, mode="nearest"), skip], dim=1))
        return F.pixel_shuffle(self.head(x), 2)[:, 0]


@torch.inference_mode()
def segment(segmenter: Segmenter, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Outline the ventricle in every frame, uint8 [t, h, w] of any size, on the segmenter's device and number type.

    Returns:
        Masks bool [t, h, w] (one piece without holes, or empty) and confidence float64 [t]: the overlap (Dice) that the
        network itself expects between its mask and the truth, 0 where there is no mask.
    """
    frames = np.asarray(frames)
    if frames.ndim != 3 or frames.dtype != np.uint8:
        raise ValueError(f"frames must be uint8 [t, h, w], got {frames.dtype} {frames.shape}")
    weight = segmenter.head.weight
    height, width = frames.shape[1:]
    side, size = max(height, width), segmenter.config.size
    top, left = (side - height) // 2, (side - width) // 2
    probabilities = np.empty(frames.shape, np.float32)
    was_training = segmenter.training
    segmenter.eval()
    for start in range(0, len(frames), FRAMES_AT_ONCE):
        x = torch.from_numpy(np.ascontiguousarray(frames[start : start + FRAMES_AT_ONCE])).to(weight.device)
        x = F.pad(x.to(weight.dtype) / 255, (left, side - width - left, top, side - height - top))
        if side != size:
            x = F.interpolate(x[:, None], (size, size), mode="bilinear", antialias=side > size)[:, 0]
        logits = segmenter(x).float()
        if side != size:
            logits = F.interpolate(logits[:, None], (side, side), mode="bilinear")[:, 0]
        logits = logits[:, top : top + height, left : left + width]
        probabilities[start : start + FRAMES_AT_ONCE] = logits.sigmoid().cpu().numpy()
    segmenter.train(was_training)
    masks = keep_cavity(probabilities > 0.5)
    inside = (probabilities * masks).sum((1, 2), dtype=np.float64)
    near = probabilities.sum((1, 2), dtype=np.float64) + masks.sum((1, 2))
    return masks, 2 * inside / np.maximum(near, 1e-6)


def keep_cavity(masks: np.ndarray) -> np.ndarray:
    """The largest connected piece of each mask, its holes filled; empty if that is too small. Bool [t, h, w]."""
    from scipy.ndimage import label

    t, height, width = masks.shape
    in_plane = np.zeros((3, 3, 3), int)
    in_plane[1] = [[0, 1, 0], [1, 1, 1], [0, 1, 0]]  # pieces of different frames never touch
    pieces, count = label(masks, in_plane)
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)
    sizes[0] = 0
    largest = pieces.reshape(t, -1)[np.arange(t), sizes[pieces].reshape(t, -1).argmax(1)]
    big_enough = sizes[largest] >= SMALLEST_CAVITY * height * width
    cavity = (pieces == largest[:, None, None]) & big_enough[:, None, None]
    outside, count = label(np.pad(~cavity, ((0, 0), (1, 1), (1, 1)), constant_values=True), in_plane)
    return outside[:, 1:-1, 1:-1] != outside[:, :1, :1]
