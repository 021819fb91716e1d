"""The ventricle's volume read straight off a clip's tokens, without a picture being drawn.

Fast enough to be asked while a clip is being filled in, so that what steers it can be corrected by what came of it.
It is another reader than the measurer, with weights and training of its own: a clip is not steered by the eyes that
judge it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from echopulse.measure.volume_curve import TimeLayer


class TokenVolumes(nn.Module):
    """Codes [b, t', h', w', bits] of ±1 at times [b, t'] in s → log volumes [b, t', frames] in cubed pixels.

    Two more convolutions of `channels` over the `grid`² places of a latent frame, then `layers` of attention over time
    at `width`. Only differences of times matter. A latent frame is `frames` pictures; the first one's only picture is
    its last.
    """

    def __init__(self, bits: int, grid: int, frames: int, *, channels: int, width: int, heads: int, layers: int):
        super().__init__()
        self.place = nn.Parameter(torch.randn(1, channels, grid, grid) * 0.1)
        self.entry = nn.Conv2d(bits, channels, 3, padding=1)
        self.inner = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))
        self.pool = nn.Linear(channels * grid**2, width)
        self.layers = nn.ModuleList(TimeLayer(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.volume = nn.Linear(width, frames)
        nn.init.constant_(self.volume.bias, math.log(2e4))

    def forward(self, codes: Tensor, times_s: Tensor) -> Tensor:
        b, t = codes.shape[:2]
        x = self.entry(codes.flatten(0, 1).permute(0, 3, 1, 2)) + self.place
        for layer in self.inner:
            x = x + layer(nn.functional.silu(x))
        x = self.pool(nn.functional.silu(x).flatten(1)).unflatten(0, (b, t))
        for layer in self.layers:
            x = layer(x, times_s)
        return self.volume(self.norm(x)).float()
