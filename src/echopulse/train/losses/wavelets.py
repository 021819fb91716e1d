"""Every band of spatial frequency counts, so that fog, which lacks the fine ones, is dearer than in a pixel's error."""

import torch
from torch import Tensor

LEVELS = 3


def haar(pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Orthonormal Haar transform of [..., h, w]: coarse [..., h/2, w/2] and details [3, ..., h/2, w/2].

    Details change across, down and diagonally. ValueError for an odd side.
    """
    if pictures.shape[-1] % 2 or pictures.shape[-2] % 2:
        raise ValueError(f"Haar bands need even sides, got {tuple(pictures.shape[-2:])}")
    a, b = pictures[..., ::2, ::2], pictures[..., ::2, 1::2]
    c, d = pictures[..., 1::2, ::2], pictures[..., 1::2, 1::2]
    return (a + b + c + d) / 2, torch.stack([a - b + c - d, a + b - c - d, a - b - c + d]) / 2


def wavelet_loss(made: Tensor, true: Tensor, levels: int = LEVELS) -> Tensor:
    """Mean absolute difference of the Haar bands of pictures [b, t, h, w], a scalar.

    The details of every level count alike, and so do the grey values of what is left after the last (in the sense of
    Huang et al. 2017, "Wavelet-SRNet"). The transform is linear, so it is taken of the error.
    """
    coarse, bands = made - true, []
    for _ in range(levels):
        coarse, details = haar(coarse)
        bands.append(details.abs().mean())
    return torch.stack([*bands, coarse.abs().mean() / 2**levels]).mean()
