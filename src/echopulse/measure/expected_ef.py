"""Which ejection fraction one picture and an ECG let expect, before anything has moved.

A picture shows how large the ventricle is, how thick its wall, how it is shaped; the ECG shows rate and rhythm and
which phase of the beat the picture is of. In simulated hearts, as in people, these tell much of the EF and not all.
What the segmenter sees and what the ECG encoder says are put on one scale and read by a few small networks of their
own beginnings, so that the answer has a spread: that of the EF given the picture, and that of the networks among
themselves (Lakshminarayanan et al. 2017).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from echopulse.measure.segmenter import Segmenter
from echopulse.model.ecg_encoder import Memory
from echopulse.model.familiarity import summary_of

SMALLEST_SD, LARGEST_SD = 0.01, 0.3
LEAST_SPREAD = 1e-3  # of a feature, of the largest: what differs less is rounding
FURTHEST = 5.0  # standard deviations that a feature may lie off its mean


@dataclass(frozen=True, eq=False)
class ExpectedEf:
    """What an EF is expected to be, a fraction, and its standard deviation: float [b] each."""

    mean: Tensor
    sd: Tensor


class EfExpectation(nn.Module):
    """Features [b, inputs] (see `features_of`) → `ExpectedEf`, by `members` networks of two hidden layers each."""

    def __init__(self, inputs: int, hidden: int, members: int):
        super().__init__()
        self.register_buffer("centre", torch.zeros(inputs))
        self.register_buffer("gain", torch.ones(inputs))
        sizes = (inputs, hidden, hidden, 2)
        self.weights = nn.ParameterList(
            torch.randn(members, a, b) / a**0.5 for a, b in zip(sizes, sizes[1:], strict=False)
        )
        self.biases = nn.ParameterList(torch.zeros(members, 1, b) for b in sizes[1:])

    @torch.no_grad()
    def set_scale(self, features: Tensor) -> None:
        """Takes mean and spread of features [n, inputs]; those that hardly differ are not listened to."""
        spread = features.std(0)
        self.centre.copy_(features.mean(0))
        self.gain.copy_(torch.where(spread > LEAST_SPREAD * spread.max(), 1 / spread, torch.zeros_like(spread)))

    def members(self, features: Tensor, drop: float = 0.0) -> tuple[Tensor, Tensor]:
        """What every network says, mean and standard deviation [members, b]; `drop` of their features are withheld."""
        level = ((features.float() - self.centre) * self.gain).clamp(-FURTHEST, FURTHEST)
        x = level.expand(len(self.weights[0]), *level.shape[-2:])
        x = nn.functional.dropout(x, drop, self.training)
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.baddbmm(bias, x, weight)
            if number < len(self.weights) - 1:
                x = nn.functional.dropout(nn.functional.silu(x), drop, self.training)
        sd = SMALLEST_SD + (LARGEST_SD - SMALLEST_SD) * x[..., 1].sigmoid()
        return x[..., 0].sigmoid(), sd

    def forward(self, features: Tensor) -> ExpectedEf:
        with torch.autocast(features.device.type, enabled=False):
            mean, sd = self.members(features)
            every = sd.square().mean(0) + mean.var(0, unbiased=False)
            return ExpectedEf(mean.mean(0), every.sqrt())


@torch.inference_mode()
def look_at_pictures(segmenter: Segmenter, pictures: Tensor) -> tuple[Tensor, Tensor]:
    """What a segmenter that reads volumes sees in pictures [b, h, w] in 0..1, [b, d], and their log volumes [b]."""
    levels = segmenter.encode(pictures)
    ascended = segmenter.ascend(levels)
    seen, log_volume = segmenter.look(levels, ascended, segmenter.outline(ascended).float())
    return seen.float(), log_volume.float()


def features_of(seen: Tensor, log_volume: Tensor, memory: Memory, view: Tensor) -> Tensor:
    """What is read of pictures: what was seen in them, what was heard about them, and their views, int64 [b].

    float32 [b, inputs]. The memory's times count from the pictures: the token nearest to 0 is what the ECG says of that
    moment.
    """
    now = memory.times_s.abs().nan_to_num(torch.inf).argmin(1)
    token = memory.tokens[torch.arange(len(now), device=now.device), now]
    parts = [seen, log_volume[:, None], token, summary_of(memory), view[:, None]]
    return torch.cat([part.float() for part in parts], 1)
