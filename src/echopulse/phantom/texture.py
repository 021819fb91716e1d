"""Random fields and blurs that the simulated scanner is built from.

Every clip has its own generator on the CPU, so a clip does not depend on the device or on the batch that it is made in.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Generator, Tensor


def normals(generators: Sequence[Generator], shape: tuple[int, ...], device: torch.device | str) -> Tensor:
    """float32 [b, *shape] on `device`: standard normal numbers, row i from generator i."""
    return torch.stack([torch.randn(shape, generator=generator) for generator in generators]).to(device)


def evens(generators: Sequence[Generator], shape: tuple[int, ...], device: torch.device | str) -> Tensor:
    """float32 [b, *shape] on `device`: numbers evenly spread over 0..1, row i from generator i."""
    return torch.stack([torch.rand(shape, generator=generator) for generator in generators]).to(device)


def smooth_field(
    generators: Sequence[Generator], cells: tuple[int, int], size: tuple[int, int], device: torch.device | str
) -> Tensor:
    """float32 [b, *size]: Gaussian noise of unit variance on `cells`, interpolated smoothly."""
    noise = normals(generators, (1, *cells), device)
    return F.interpolate(noise, size=size, mode="bicubic", align_corners=True)[:, 0]


def speckle_field(generators: Sequence[Generator], size: tuple[int, int], device: torch.device | str) -> Tensor:
    """float32 [b, 2, *size]: white complex noise, real and imaginary part, unit mean power."""
    return normals(generators, (2, *size), device) * 0.5**0.5


def blur_matrix(sigma: Tensor, n: int, spread: Tensor | None = None) -> Tensor:
    """float32 [b, n, n]: multiplying by it from the left blurs n samples with a Gaussian of `sigma` [b] samples.

    `spread` [b] widens it linearly along the axis (0: the same everywhere). Rows have unit *sum of squares*, so that
    white noise keeps its power.
    """
    place = torch.arange(n, device=sigma.device, dtype=torch.float32)
    width = sigma[:, None]
    if spread is not None:
        width = width * (1 + spread[:, None] * place / n)
    lag = (place[None, :] - place[:, None])[None] / width[:, :, None]
    kernel = (torch.exp(-0.5 * lag * lag) - 1e-5).clamp_min(0)  # no tail of denormal numbers, which are slow
    return kernel / (kernel * kernel).sum(-1, keepdim=True).sqrt()
