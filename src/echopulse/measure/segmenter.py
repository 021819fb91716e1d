"""A small U-Net that tells heart chambers apart in any view, guesses the view and reads the ventricle's volume."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from echopulse.errors import InputError
from echopulse.measure.regions import seen_in_regions, what_regions_show
from echopulse.measure.volume_curve import CurveHead
from echopulse.measure.volume_head import VolumeHead, seen_in_a_frame, what_is_seen
from echopulse.model.checkpoint import load_config, load_weights
from echopulse.model.config import config_from_dict
from echopulse.model.precision import mixed_precision
from echopulse.phantom.types import LABELS, VIEWS

SMALLEST_CAVITY = 0.003  # of the picture; fewer pixels are no ventricle
FRAMES_AT_ONCE = 16  # keeps the activations of a CPU run small
LV = LABELS.index("lv")


@dataclass(frozen=True)
class SegmenterConfig:
    """Everything that fixes the network's shape; the defaults are those of weights that knew the ventricle alone.

    Attributes:
        size: pixels along each side of the square input; divisible by `2 ** len(channels)`.
        channels: width at each resolution, the first at half the input's resolution.
        groups: groups of every group normalisation.
        classes: 1, the left ventricle against all else, or as many as there are LABELS.
        views: 0, or as many as there are VIEWS: then the view is guessed too.
        context_s: a frame is read together with those so many seconds before and after it, so that what moves can be
            told from what only shines; 0: by itself.
        volumes: whether it also reads the ventricle's volume off the picture (see `volume_head`).
        sequence: layers of the network that corrects these volumes by those of the clip's other frames (see
            `volume_curve`); 0: every frame is read by itself.
    """

    size: int = 128
    channels: tuple[int, ...] = (16, 32, 64, 96)
    groups: int = 8
    classes: int = 1
    views: int = 0
    context_s: float = 0.0
    volumes: bool = False
    sequence: int = 0

    @property
    def frames_at_once(self) -> int:
        """How many frames make one input."""
        return 3 if self.context_s else 1

    def __post_init__(self):
        object.__setattr__(self, "channels", tuple(self.channels))
        if self.size % 2 ** len(self.channels):
            raise ValueError(f"size {self.size} must be divisible by {2 ** len(self.channels)}")
        if self.classes not in (1, len(LABELS)) or self.views not in (0, len(VIEWS)):
            raise ValueError(
                f"{self.classes} classes and {self.views} views: 1 or {len(LABELS)} and 0 or {len(VIEWS)} are expected"
            )
        if self.context_s < 0 or self.volumes and self.classes == 1:
            raise ValueError(f"context_s {self.context_s} must not be below 0; volumes need all classes")
        if self.sequence < 0 or self.sequence and not self.volumes:
            raise ValueError(f"sequence {self.sequence} must not be below 0; it needs volumes to correct")


@dataclass(frozen=True, eq=False)
class Outlines:
    """What the network sees in t frames.

    Attributes:
        labels: uint8 [t, h, w], index into LABELS; the left ventricle is in one piece without holes, or absent.
        confidence: float64 [t], the overlap (Dice) that the network itself expects between its left ventricle and the
            true one; 0 where it found none.
        views: float64 [7], how likely the clip shows each of VIEWS, summing to 1; None where the network cannot tell.
        volumes: float64 [t], the ventricle's volume as the network reads it, in cubed pixels; NaN in frames without
            one; None where the network cannot tell. It means something in apical views.
    """

    labels: np.ndarray
    confidence: np.ndarray
    views: np.ndarray | None
    volumes: np.ndarray | None = None

    @property
    def ventricle(self) -> np.ndarray:
        """bool [t, h, w], the cavity of the left ventricle."""
        return self.labels == LV

    @property
    def view(self) -> str | None:
        """The likeliest view; None where the network cannot tell."""
        return None if self.views is None else VIEWS[int(self.views.argmax())]


def _stage(inputs: int, outputs: int, groups: int) -> nn.Sequential:
    """Two 3x3 convolutions. Group normalisation: each frame by itself, so that its gain does not matter."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.GroupNorm(groups, outputs),
        nn.SiLU(),
        nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
        nn.GroupNorm(groups, outputs),
        nn.SiLU(),
    )


class Segmenter(nn.Module):
    """Frames [b, h, w] in 0..1 -> logits [b, classes, h, w]; of one class, that of the left ventricular cavity.

    With `context_s`, [b, 3, h, w]: the frame before, the frame itself and the one after; [b, h, w] stands still.

    Works at half resolution: 2x2 pixels are folded into channels on the way in and unfolded on the way out, so the
    outline keeps the resolution of the picture at a quarter of the cost.
    """

    def __init__(self, config: SegmenterConfig | None = None):
        super().__init__()
        self.config = config or SegmenterConfig()
        widths, groups, entry = self.config.channels, self.config.groups, 4 * self.config.frames_at_once
        self.down = nn.ModuleList(_stage(i, o, groups) for i, o in zip((entry, *widths[:-1]), widths, strict=True))
        self.up = nn.ModuleList(
            _stage(below + here, here, groups) for here, below in zip(widths[-2::-1], widths[:0:-1], strict=True)
        )
        self.head = nn.Conv2d(widths[0], 4 * self.config.classes, 1)
        if self.config.classes == 1:
            nn.init.constant_(self.head.bias, -2.0)  # the cavity covers about a tenth of the picture
        if self.config.views:
            self.view_head = nn.Linear(2 * widths[-1], self.config.views)
        if self.config.volumes:
            self.volume_head = VolumeHead(widths[0], widths[-1], self.config.classes)
        if self.config.sequence:
            self.curve_head = CurveHead(seen_by_look(self.config), self.config.sequence)
        self.to(memory_format=torch.channels_last)  # a third faster on a CPU

    def encode(self, frames: torch.Tensor) -> list[torch.Tensor]:
        """Features at every resolution, finest first: frames -> [b, channels[i], h / 2^(i+1), ...]."""
        size, together = self.config.size, self.config.frames_at_once
        if frames.ndim == 3:
            frames = frames[:, None].expand(-1, together, -1, -1)
        if frames.ndim != 4 or frames.shape[1:] != (together, size, size):
            raise ValueError(f"frames must be [b, {together}, {size}, {size}], got {tuple(frames.shape)}")
        x = F.pixel_unshuffle(4 * frames - 1, 2)  # [b, 4 or 12, h/2, w/2]; tissue is near zero
        x = x.contiguous(memory_format=torch.channels_last)
        levels = []
        for i, stage in enumerate(self.down):
            x = stage(F.max_pool2d(x, 2) if i else x)
            levels.append(x)
        return levels

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        return self.decode(self.encode(frames))

    def decode(self, levels: list[torch.Tensor]) -> torch.Tensor:
        """Logits [b, classes, h, w] from what `encode` gives."""
        return self.outline(self.ascend(levels))

    def ascend(self, levels: list[torch.Tensor]) -> torch.Tensor:
        """The finest features on the way up, [b, channels[0], h/2, w/2], from what `encode` gives."""
        x = levels[-1]
        for stage, skip in zip(self.up, levels[-2::-1], strict=True):
            x = stage(torch.cat([F.interpolate(x, scale_factor=2, mode="nearest"), skip], dim=1))
        return x

    def outline(self, features: torch.Tensor) -> torch.Tensor:
        """Logits [b, classes, h, w] from what `ascend` gives."""
        return F.pixel_shuffle(self.head(features), 2)

    def guess_view(self, levels: list[torch.Tensor]) -> torch.Tensor:
        """Logits [b, views] from what `encode` gives: the means and the maxima of the coarsest features."""
        deepest = levels[-1].flatten(2)
        return self.view_head(torch.cat([deepest.mean(2), deepest.amax(2)], dim=1))

    def look(
        self, levels: list[torch.Tensor], features: torch.Tensor, logits: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """What each frame brings to the curve of volumes, [b, seen_by_look(config)], and its log volume by itself [b].

        From what `encode`, `ascend` and `outline` give.
        """
        seen, area_length = what_is_seen(levels[-1], features, logits)
        return torch.cat([seen, what_regions_show(features, logits)], 1), self.volume_head.read(seen, area_length)


def seen_by_look(config: SegmenterConfig) -> int:
    """How many numbers `Segmenter.look` gives of a frame."""
    finest, coarsest = config.channels[0], config.channels[-1]
    return seen_in_a_frame(finest, coarsest, config.classes) + seen_in_regions(finest)


def load_segmenter(folder: Path) -> Segmenter:
    """The measurer of a model folder in float32, in evaluation mode; InputError where the folder does not hold it."""
    config = load_config(folder)
    if "measurer" not in config:
        raise InputError(f"{folder}/config.json: no measurer; give a folder that `train measurer` wrote.")
    return load_weights(Segmenter(config_from_dict(SegmenterConfig, config["measurer"])), folder / "measurer")


def segment(segmenter: Segmenter, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Outline the left ventricle in every frame, uint8 [t, h, w] of any size.

    Returns:
        Masks bool [t, h, w] (one piece without holes, or empty) and confidence float64 [t], see `Outlines`.
    """
    found = outline_all(segmenter, frames)
    return found.ventricle, found.confidence


@torch.inference_mode()
def outline_all(segmenter: Segmenter, frames: np.ndarray, times_s: np.ndarray | None = None) -> Outlines:
    """Every chamber in every frame, uint8 [t, h, w] of any size, on the segmenter's device and number type.

    Without times [t] in seconds every frame is read by itself. Weights that know one class leave all but the left
    ventricle "outside".
    """
    frames = np.asarray(frames)
    if frames.ndim != 3 or frames.dtype != np.uint8:
        raise ValueError(f"frames must be uint8 [t, h, w], got {frames.dtype} {frames.shape}")
    config, weight = segmenter.config, segmenter.head.weight
    height, width = frames.shape[1:]
    side, size = max(height, width), config.size
    top, left = (side - height) // 2, (side - width) // 2
    labels, ventricle = np.zeros(frames.shape, np.uint8), np.empty(frames.shape, np.float32)
    around = neighbours(len(frames), times_s, config.context_s)
    views, looks, volumes = [], [], []
    was_training = segmenter.training
    segmenter.eval()
    for start in range(0, len(frames), FRAMES_AT_ONCE):
        some = slice(start, start + FRAMES_AT_ONCE)
        wanted, places = np.unique(around[some], return_inverse=True)
        x = torch.from_numpy(np.ascontiguousarray(frames[wanted])).to(weight.device)
        x = F.pad(x.to(weight.dtype) / 255, (left, side - width - left, top, side - height - top))
        if side != size:
            x = F.interpolate(x[:, None], (size, size), mode="bilinear", antialias=side > size)[:, 0]
        x = x[torch.from_numpy(places.reshape(-1, config.frames_at_once)).to(x.device)]
        with mixed_precision(weight.device):
            levels = segmenter.encode(x)
            features = segmenter.ascend(levels)
            logits = segmenter.outline(features).float()
            if config.views:
                views.append(segmenter.guess_view(levels).double().log_softmax(1))
            if config.sequence:
                look, alone = segmenter.look(levels, features, logits)
                looks.append(look)
                volumes.append(alone)
            elif config.volumes:
                volumes.append(segmenter.volume_head(levels[-1], features, logits))
        if side != size:
            logits = F.interpolate(logits, (side, side), mode="bilinear")
        logits = logits[:, :, top : top + height, left : left + width]
        if config.classes == 1:
            ventricle[some] = logits[:, 0].sigmoid().cpu().numpy()
        else:
            ventricle[some] = logits.softmax(1)[:, LV].cpu().numpy()
            logits[:, LV] = -torch.inf  # what else would stand where the ventricle's stray pixels are
            labels[some] = logits.argmax(1).to(torch.uint8).cpu().numpy()
    segmenter.train(was_training)
    masks = keep_cavity(ventricle > 0.5)
    labels[masks] = LV
    inside = (ventricle * masks).sum((1, 2), dtype=np.float64)
    near = ventricle.sum((1, 2), dtype=np.float64) + masks.sum((1, 2))
    # the frames of a clip show one view: their evidence adds up, but they are far from independent
    guess = torch.cat(views).mean(0).softmax(0).cpu().numpy() if views else None
    read = None
    if volumes:
        read = np.full(len(frames), np.nan)
        known, alone = masks.any((1, 2)), torch.cat(volumes)
        if looks and known.any():  # frames without a ventricle have nothing to say to the others
            there = torch.from_numpy(known).to(alone.device)
            times = None if times_s is None else np.asarray(times_s)[known]
            alone[there] = segmenter.curve_head.read(torch.cat(looks)[there], alone[there], times).to(alone.dtype)
        read[known] = alone.double().exp().cpu().numpy()[known] * (side / size) ** 3
    return Outlines(labels, 2 * inside / np.maximum(near, 1e-6), guess, read)


def neighbours(count: int, times_s: np.ndarray | None, context_s: float) -> np.ndarray:
    """For every frame those it is read with, int [count, 1 or 3]: nearest to `context_s` before, itself, and after.

    At the ends of a clip, and where times are not known, a frame takes its own place.
    """
    own = np.arange(count)
    if not context_s:
        return own[:, None]
    if times_s is None or count < 2:
        return np.repeat(own[:, None], 3, 1)
    times = np.asarray(times_s, np.float64)
    middles = (times[1:] + times[:-1]) / 2
    before, after = (np.searchsorted(middles, times + shift) for shift in (-context_s, context_s))
    return np.stack([before, own, after], 1)


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
