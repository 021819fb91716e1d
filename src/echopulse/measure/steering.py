"""What steers a clip's ejection fraction: what a picture and an ECG let expect, and what came of it.

Two readers that know nothing of each other: `EfExpectation` looks at pictures before anything has moved,
`TokenVolumes` at the tokens of what was filled in. Neither is the measurer, though the first looks through its eyes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from echopulse.measure.expected_ef import EfExpectation
from echopulse.measure.token_volumes import TokenVolumes


@dataclass(frozen=True)
class SteeringConfig:
    """The shapes of the two readers, see there: of `inputs` features, and of tokens of `bits` bits on `grid`² places.

    A latent frame is `frames` pictures; `fps` is the frame rate of the clips that they learned from.
    """

    inputs: int
    bits: int
    grid: int
    frames: int = 4
    hidden: int = 96
    members: int = 5
    channels: int = 48
    width: int = 128
    heads: int = 4
    layers: int = 3
    fps: float = 25.0


class Steering(nn.Module):
    """Both readers, and how far each volume that they read is off by itself: standard deviations of its logarithm."""

    def __init__(self, config: SteeringConfig):
        super().__init__()
        self.config = config
        self.expectation = EfExpectation(config.inputs, config.hidden, config.members)
        self.volumes = TokenVolumes(
            config.bits, config.grid, config.frames, channels=config.channels, width=config.width, heads=config.heads,
            layers=config.layers,
        )  # fmt: skip
        self.register_buffer("picture_noise", torch.tensor(0.1))
        self.register_buffer("token_noise", torch.tensor(0.1))
