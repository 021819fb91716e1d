"""Features become one of finitely many codes, and the code's number the codes again: three ways, one face.

    quantized = quantizer(features)    # float [..., width] → codes, ids and the losses of training
    ids = quantizer.to_ids(features)   # int64 [...], below `size`
    codes = quantizer.to_codes(ids)    # float [..., width]: what the decoder reads

The same in use as in training, but for a codebook that learns: `quantizer.eval()` holds it still.
"""

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from echopulse.model.config import TokenizerConfig
from echopulse.model.types import bits_to_ids, ids_to_bits

MOST_SIMILARITIES = 2**24  # of tokens and codes, held at once


@dataclass
class Quantized:
    """codes float [..., width] with a straight-through gradient, ids int64 [...], and named losses that train them."""

    codes: Tensor
    ids: Tensor
    losses: dict[str, Tensor] = field(default_factory=dict)


def make_quantizer(config: TokenizerConfig) -> nn.Module:
    """The quantizer that a configuration names."""
    if config.quantizer == "fsq":
        return FiniteScalarQuantizer(config.levels)
    if config.quantizer == "vq":
        return CosineQuantizer(config.codes, config.code_width)
    return LookupFreeQuantizer(config.bits, config.entropy_group)


class LookupFreeQuantizer(nn.Module):
    """A token is the signs of its channels (Yu et al. 2023, MAGVIT-v2), after an affine-free batch norm.

    The normalisation keeps every bit near balance: without it all bits but one or two settle on one sign.
    The loss `entropy` is (mean entropy of a token) - (entropy of the mean token), per bit; minimising it asks for sure
    bits that are used both ways. Bits within a group of `entropy_group` are held jointly, which also asks for all of
    their combinations; groups count as independent, so that 2^bits codes are never enumerated. A group of one has a
    closed form.
    """

    def __init__(self, bits: int, entropy_group: int = 1, momentum: float = 0.05):
        super().__init__()
        self.size, self.width, self.entropy_group = 2**bits, bits, entropy_group
        self.norm = nn.BatchNorm1d(bits, affine=False, momentum=momentum)

    def normalise(self, features: Tensor) -> Tensor:
        """float [..., bits] → the same shape in float32, zero mean and unit variance per bit."""
        flat = features.float().reshape(-1, features.shape[-1])
        return self.norm(flat).reshape(features.shape)

    def forward(self, features: Tensor) -> Quantized:
        normal = self.normalise(features)
        signs = torch.where(normal > 0, 1.0, -1.0)
        losses = {"commitment": F.mse_loss(normal, signs), "entropy": self._entropy(normal.flatten(0, -2))}
        return Quantized(normal + (signs - normal).detach(), bits_to_ids(signs), losses)

    def to_ids(self, features: Tensor) -> Tensor:
        return bits_to_ids(self.normalise(features))

    def to_codes(self, ids: Tensor) -> Tensor:
        return ids_to_bits(ids, self.width)

    def _entropy(self, normal: Tensor) -> Tensor:  # [n, bits]
        if self.entropy_group == 1:
            probability = torch.sigmoid(2 * normal)
            return _binary_entropy(probability).mean() - _binary_entropy(probability.mean(0)).mean()
        every = ids_to_bits(torch.arange(2**self.entropy_group, device=normal.device), self.entropy_group)
        groups = normal.unflatten(-1, (-1, self.entropy_group))
        probability = (groups @ every.T).softmax(-1)  # [n, groups, 2^group]; of one bit it is the sigmoid above
        return (_entropy(probability).mean() - _entropy(probability.mean(0)).mean()) / self.entropy_group


class FiniteScalarQuantizer(nn.Module):
    """Every channel is rounded to one of a few levels (Mentzer et al. 2023); nothing to learn, no losses.

    The id counts the first channel fastest. Codes lie in -1..1; an even number of levels has one more below zero.
    """

    def __init__(self, levels: tuple[int, ...]):
        super().__init__()
        count = torch.tensor(levels)
        self.size, self.width = int(count.prod()), len(levels)
        self.register_buffer("levels", count, persistent=False)
        self.register_buffer("places", torch.cat([count.new_ones(1), count[:-1].cumprod(0)]), persistent=False)

    def forward(self, features: Tensor) -> Quantized:
        bounded = self._bound(features)
        steps = bounded.round()
        half = self.levels // 2
        return Quantized((bounded + (steps - bounded).detach()) / half, self._ids(steps))

    def to_ids(self, features: Tensor) -> Tensor:
        return self._ids(self._bound(features).round())

    def to_codes(self, ids: Tensor) -> Tensor:
        half = self.levels // 2
        return (ids[..., None] // self.places % self.levels - half) / half

    def _bound(self, features: Tensor) -> Tensor:
        """float [..., width] → float32 between -(L // 2) and (L - 1) // 2, just wide enough to round to either end."""
        reach = (self.levels - 1) * (1 + 1e-3) / 2
        offset = 0.5 * (self.levels % 2 == 0)
        return torch.tanh(features.float() + torch.atanh(offset / reach)) * reach - offset

    def _ids(self, steps: Tensor) -> Tensor:
        return ((steps.long() + self.levels // 2) * self.places).sum(-1)


class CosineQuantizer(nn.Module):
    """The nearest of `size` directions in a few channels (Yu et al. 2021, ViT-VQGAN).

    In training every direction follows the running mean of the tokens that chose it. One that was chosen by less than
    `least` of its even share is dead: it starts again at a token of the batch at hand. All begin dead.
    """

    def __init__(self, size: int, width: int, decay: float = 0.99, least: float = 0.1):
        super().__init__()
        self.size, self.width, self.decay, self.least = size, width, decay, least
        self.register_buffer("sums", F.normalize(torch.randn(size, width), dim=-1))  # of the tokens that chose it
        self.register_buffer("uses", torch.zeros(size))  # running mean of how many did

    def forward(self, features: Tensor) -> Quantized:
        with torch.autocast(features.device.type, enabled=False):
            tokens = F.normalize(features.float(), dim=-1)
            ids = self._nearest(tokens)
            codes = self.to_codes(ids)
            losses = {"commitment": F.mse_loss(tokens, codes)}
            if self.training:
                self._learn(tokens.detach().flatten(0, -2), ids.flatten())
            return Quantized(tokens + (codes - tokens).detach(), ids, losses)

    def to_ids(self, features: Tensor) -> Tensor:
        with torch.autocast(features.device.type, enabled=False):
            return self._nearest(F.normalize(features.float(), dim=-1))

    def to_codes(self, ids: Tensor) -> Tensor:
        return F.normalize(self.sums, dim=-1)[ids]

    def _nearest(self, tokens: Tensor) -> Tensor:
        every = F.normalize(self.sums, dim=-1).T
        parts = tokens.reshape(-1, self.width).split(max(1, MOST_SIMILARITIES // self.size))
        return torch.cat([(part @ every).argmax(-1) for part in parts]).reshape(tokens.shape[:-1])

    @torch.no_grad()
    def _learn(self, tokens: Tensor, ids: Tensor) -> None:  # [n, width], [n]
        share = len(tokens) / self.size
        self.uses.lerp_(torch.bincount(ids, minlength=self.size).to(self.uses), 1 - self.decay)
        self.sums.lerp_(torch.zeros_like(self.sums).index_add_(0, ids, tokens), 1 - self.decay)
        dead = torch.nonzero(self.uses < self.least * share)[: len(tokens), 0]  # no token serves two
        if len(dead):
            spread = torch.arange(len(dead), device=dead.device) * len(tokens) // len(dead)
            self.sums[dead], self.uses[dead] = tokens[spread] * share, share


def _binary_entropy(probability: Tensor) -> Tensor:
    p = probability.clamp(1e-5, 1 - 1e-5)
    return -(p * p.log() + (1 - p) * (1 - p).log())


def _entropy(probability: Tensor) -> Tensor:
    return -(probability * probability.clamp(min=1e-5).log()).sum(-1)


@dataclass(frozen=True)
class CodebookUse:
    """used: how many codes occur. perplexity: as many codes, all equally frequent, would have the same entropy."""

    used: int
    perplexity: float


def codebook_use(ids: Tensor, size: int) -> CodebookUse:
    """How much of a codebook of `size` codes the tokens `ids` (int64, any shape) are made of."""
    count = torch.bincount(ids.flatten(), minlength=size).double()
    share = count[count > 0] / count.sum()
    return CodebookUse(len(share), float((-(share * share.log()).sum()).exp()))


def live_bits(bits: Tensor, threshold: float = 0.05) -> int:
    """How many bits of [..., bits] take their rarer value in more than `threshold` of the tokens."""
    used = (bits > 0).float().reshape(-1, bits.shape[-1]).mean(0)
    return int((torch.minimum(used, 1 - used) > threshold).sum())
