"""The ventricle's volume in every frame, read with the other frames of the clip.

One frame may not show it: where a wall drops out at end-systole, the moment before does show it, and so does the beat
before. Every frame brings what the segmenter sees in it (`what_is_seen`, `what_regions_show`) and the volume that the
volume head reads there alone; frames that lie within a second of each other attend to each other and correct it.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from echopulse.model.attention import FeedForward, SelfAttention

WIDTH, HEADS = 128, 4
REACH_S = 1.0  # frames further apart do not see each other in one layer: a long clip costs in proportion to its length
SPACING_S = 0.08  # of the frames that it learns from
LARGEST = 0.6  # of the logarithm of the correction
FURTHEST = 6.0  # standard deviations that a feature may lie off its mean
FRAMES_AT_ONCE = 64
ROUNDING_S = 1e-3


class CurveHead(nn.Module):
    """Features [b, n, inputs], log volumes [b, n] read frame by frame, times [b, n] in s -> log volumes [b, n].

    Only differences of times matter. Features are put on one scale, which `set_scale` takes from the training data.
    """

    def __init__(self, inputs: int, layers: int, width: int = WIDTH, heads: int = HEADS):
        super().__init__()
        self.register_buffer("centre", torch.zeros(inputs + 1))
        self.register_buffer("scale", torch.ones(inputs + 1))
        self.entry = nn.Linear(inputs + 1, width)
        self.layers = nn.ModuleList(TimeLayer(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.change = nn.Linear(width, 1)
        nn.init.zeros_(self.change.weight)
        nn.init.zeros_(self.change.bias)

    @torch.no_grad()
    def set_scale(self, features: Tensor, log_volume: Tensor) -> None:
        """Takes the mean and the spread of features [m, inputs] and log volumes [m] for the scale."""
        everything = torch.cat([features, log_volume[:, None]], 1).double()
        self.centre.copy_(everything.mean(0))
        self.scale.copy_(everything.std(0).clamp(min=1e-3))

    def forward(self, features: Tensor, log_volume: Tensor, times_s: Tensor) -> Tensor:
        with torch.autocast(features.device.type, enabled=False):
            x = self.enter(features, log_volume)
            for layer in self.layers:
                x = layer(x, times_s)
            return self.leave(x, log_volume)

    def enter(self, features: Tensor, log_volume: Tensor) -> Tensor:
        """One token per frame [..., n, width]."""
        everything = torch.cat([features.float(), log_volume.float()[..., None]], -1)
        level = ((everything - self.centre) / self.scale).clamp(-FURTHEST, FURTHEST)
        return self.entry(level.to(self.entry.weight.dtype))

    def leave(self, x: Tensor, log_volume: Tensor) -> Tensor:
        """Corrected log volumes [..., n] of tokens [..., n, width]."""
        change = self.change(self.norm(x))[..., 0].float()
        return log_volume.float() + LARGEST * torch.tanh(change / LARGEST)

    @torch.inference_mode()
    def read(
        self, features: Tensor, log_volume: Tensor, times_s: np.ndarray | None, frames_at_once: int = FRAMES_AT_ONCE
    ) -> Tensor:
        """Log volumes [n] of one clip of any length and rate from its features [n, inputs] and log volumes [n].

        Frames closer than it learned from are dealt out to strands of about `SPACING_S`, read one by one. Without times
        [n], which increase, every frame is read alone.
        """
        n = len(features)
        if times_s is None:
            alone = torch.zeros(n, 1, device=features.device)
            return self(features[:, None], log_volume[:, None], alone)[:, 0]
        times = torch.from_numpy(np.asarray(times_s, np.float64) - times_s[0]).to(features.device).float()
        if len(times) != n:
            raise ValueError(f"{n} frames need as many times, got {len(times)}")
        found = torch.empty(n, device=features.device)
        count = strands_of(times_s)
        for first in range(count):
            strand = slice(first, None, count)
            own = features[strand], log_volume[strand], times[strand].contiguous()
            found[strand] = self._read_strand(*own, frames_at_once)
        return found

    def _read_strand(self, features: Tensor, log_volume: Tensor, times: Tensor, frames_at_once: int) -> Tensor:
        """Every layer takes so many frames at a time, with all that they can see: the same as all at once."""
        x = self.enter(features, log_volume)
        seen_from = torch.searchsorted(times, times - REACH_S - ROUNDING_S)
        seen_to = torch.searchsorted(times, times + REACH_S + ROUNDING_S)
        for layer in self.layers:
            done = []
            for low in range(0, len(x), frames_at_once):
                high = min(low + frames_at_once, len(x))
                begin, end = int(seen_from[low]), int(seen_to[high - 1])
                part = layer(x[None, begin:end], times[None, begin:end])[0]
                done.append(part[low - begin : high - begin])
            x = torch.cat(done)
        return self.leave(x, log_volume)


class TimeLayer(nn.Module):
    """Frames attend to those within reach, turned by how far apart in time they lie; then each by itself."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.before_attention, self.before_feed = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = SelfAttention(width, heads)
        self.feed = FeedForward(width, 2.0)

    def forward(self, x: Tensor, times_s: Tensor) -> Tensor:
        apart = (times_s[:, None, :] - times_s[:, :, None]).abs()
        bias = torch.zeros_like(apart).masked_fill(apart > REACH_S, -torch.inf)[:, None].to(x.dtype)  # [b, 1, n, n]
        x = x + self.attention(self.before_attention(x), times_s, bias)
        return x + self.feed(self.before_feed(x))


def strands_of(times_s: np.ndarray) -> int:
    """Into how many strands frames at these times are dealt, so that those of one lie about `SPACING_S` apart."""
    if len(times_s) < 2:
        return 1
    return max(1, round(SPACING_S / float(np.median(np.diff(times_s)))))


def curve_loss(log_volume: Tensor, truth_log: Tensor) -> Tensor:
    """How far log volumes [b, n] of clips are off, a scalar: each, and what is left of the fullest frame in all others.

    What is left in the truly emptiest frame counts as much as in all others together: that is one minus an ejection
    fraction.
    """
    each = nn.functional.smooth_l1_loss(log_volume, truth_log, beta=0.1)
    full, empty = truth_log.argmax(1, keepdim=True), truth_log.argmin(1, keepdim=True)
    left, truth = ((value - value.gather(1, full)).clamp(-2, 2).exp() for value in (log_volume, truth_log))
    curve = nn.functional.smooth_l1_loss(left, truth, beta=0.03)
    ends = nn.functional.smooth_l1_loss(left.gather(1, empty), truth.gather(1, empty), beta=0.03)
    return each + 2 * (curve + ends)
