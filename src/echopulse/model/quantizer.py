"""Lookup-free quantization: a token is the signs of its channels (Yu et al. 2023, MAGVIT-v2)."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass
class Quantized:
    """bits [b, t, h, w, bits] of ±1 with a straight-through gradient, and the two losses that train them."""

    bits: Tensor
    commitment: Tensor
    entropy: Tensor


class LookupFreeQuantizer(nn.Module):
    """Signs of affine-free batch-normalised channels.

    The normalisation keeps every bit near balance: without it all bits but one or two settle on one sign.
    `entropy` is (mean entropy of each bit) - (entropy of the mean bit), per bit in closed form, so that 2^bits
    codes are never enumerated; minimising it asks for sure bits that are used both ways.
    """

    def __init__(self, bits: int, momentum: float = 0.05):
        super().__init__()
        self.norm = nn.BatchNorm1d(bits, affine=False, momentum=momentum)

    def normalise(self, features: Tensor) -> Tensor:
        """float [..., bits] → the same shape in float32, zero mean and unit variance per bit."""
        flat = features.float().reshape(-1, features.shape[-1])
        return self.norm(flat).reshape(features.shape)

    def forward(self, features: Tensor) -> Quantized:
        normal = self.normalise(features)
        signs = torch.where(normal > 0, 1.0, -1.0)
        probability = torch.sigmoid(2 * normal.reshape(-1, normal.shape[-1]))
        return Quantized(
            bits=normal + (signs - normal).detach(),
            commitment=F.mse_loss(normal, signs),
            entropy=_binary_entropy(probability).mean() - _binary_entropy(probability.mean(0)).mean(),
        )


def _binary_entropy(probability: Tensor) -> Tensor:
    p = probability.clamp(1e-5, 1 - 1e-5)
    return -(p * p.log() + (1 - p) * (1 - p).log())


def live_bits(bits: Tensor, threshold: float = 0.05) -> int:
    """How many bits of [..., bits] take their rarer value in more than `threshold` of the tokens."""
    used = (bits > 0).float().reshape(-1, bits.shape[-1]).mean(0)
    return int((torch.minimum(used, 1 - used) > threshold).sum())
