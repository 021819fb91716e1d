"""What is hidden from the generator in training."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class MaskedTokens:
    """ids int64 [b, t, h, w]; hidden bool [b, t, h, w, groups]: what the loss is taken over."""

    ids: Tensor
    hidden: Tensor


def draw_mask_ratio(count: int, generator: torch.Generator) -> Tensor:
    """float [count]: arccos(u) · 2/π of uniform u, mostly near one, as the sampler's early steps are.

    The schedule is that of Chang et al. (2022).
    """
    return torch.arccos(torch.rand(count, generator=generator)) * (2 / math.pi)


def mask_tokens(ids: Tensor, groups: int, ratio: Tensor, known: Tensor, generator: torch.Generator) -> MaskedTokens:
    """Hides a share `ratio` [b] of the bit groups of all latent frames but those `known`, bool [b, t].

    Random numbers come from a CPU generator, so the same seed hides the same tokens on every device.
    """
    shape = (*ids.shape, groups)
    draw = torch.rand(shape, generator=generator)
    hidden = draw < ratio.reshape(-1, 1, 1, 1, 1).cpu().clamp(min=0.02)
    hidden &= ~known.cpu()[:, :, None, None, None]
    return MaskedTokens(ids, hidden.to(ids.device))
