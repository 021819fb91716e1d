"""Edges where they belong, at several scales."""

import torch
import torch.nn.functional as F
from torch import Tensor

SCALES = 4


def gradient_loss(made: Tensor, true: Tensor, scales: int = SCALES) -> Tensor:
    """How far first derivatives of pictures [b, t, h, w] are apart, down and across: mean absolute value, a scalar.

    At `scales` sizes, each half the one before (Li and Snavely 2018, "MegaDepth", on grey values in place of
    log depths). An even offset costs nothing. Derivatives are linear, so they are taken of the error.
    """
    error = made - true
    slopes = []
    for scale in range(scales):
        if scale:
            error = F.avg_pool2d(error, 2)
        slopes += [error.diff(dim=-1).abs().mean(), error.diff(dim=-2).abs().mean()]
    return torch.stack(slopes).mean()
