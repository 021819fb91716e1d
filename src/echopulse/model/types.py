"""The tokens of a clip and the time of each latent frame."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Tokens:
    """A clip as discrete codes.

    ids: int64 [t', h', w'], each the code of one token (bit i of the id is bit i of the quantizer).
    times_s: float64 [t'], the middle of the pictures that each latent frame holds, in seconds of the ECG.
    """

    ids: Tensor
    times_s: Tensor


def ids_to_bits(ids: Tensor, count: int) -> Tensor:
    """int64 [...] → float [..., count] of -1 and +1, lowest bit first."""
    places = torch.arange(count, device=ids.device)
    return ((ids[..., None] >> places) & 1).float() * 2 - 1


def bits_to_ids(bits: Tensor) -> Tensor:
    """float [..., count], positive meaning 1 → int64 [...]."""
    places = torch.arange(bits.shape[-1], device=bits.device)
    return ((bits > 0).long() << places).sum(-1)


def split_ids(ids: Tensor, groups: int, group_bits: int) -> Tensor:
    """int64 [...] → int64 [..., groups], each the `group_bits` bits of one group."""
    places = torch.arange(groups, device=ids.device) * group_bits
    return (ids[..., None] >> places) & ((1 << group_bits) - 1)


def join_ids(parts: Tensor, group_bits: int) -> Tensor:
    """int64 [..., groups] → int64 [...]; the inverse of `split_ids`."""
    places = torch.arange(parts.shape[-1], device=parts.device) * group_bits
    return (parts << places).sum(-1)
