"""Is this ECG like any that the generator has heard? Told from what its ECG encoder makes of it.

What the encoder says over a window is summed up in means and spreads. Training windows are remembered along the axes on
which they differ most; how far a window lies from the third nearest of them, against what is usual, is its strangeness.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from echopulse.model.ecg_encoder import Memory

NEIGHBOUR = 3  # a single window in training may have been an accident
SMALLEST = 1e-3  # spread of an axis that is kept, of the largest: what differs less is rounding
RARE = 0.99  # of the held-out windows are less strange than 1


@dataclass(frozen=True)
class FamiliarityConfig:
    """`inputs` numbers sum a window up, `axes` of them are kept, of each of `known` training windows."""

    inputs: int
    axes: int
    known: int


class Familiarity(nn.Module):
    """Training windows along whitened axes, and how far from them a window usually lies."""

    def __init__(self, config: FamiliarityConfig):
        super().__init__()
        self.config = config
        self.register_buffer("middle", torch.zeros(config.inputs))
        self.register_buffer("axes", torch.zeros(config.inputs, config.axes))
        self.register_buffer("known", torch.zeros(config.known, config.axes))
        self.register_buffer("usual", torch.ones(()))

    @classmethod
    def fit(cls, known: Tensor, held_out: Tensor, axes: int = 32) -> "Familiarity":
        """From summaries [n, inputs] of training windows and [m, inputs] of those that are to be called usual."""
        middle = known.mean(0)
        _, sizes, directions = torch.linalg.svd(known - middle, full_matrices=False)
        axes = max(1, min(axes, int((sizes > SMALLEST * sizes[0]).sum())))
        made = cls(FamiliarityConfig(known.shape[1], axes, len(known)))
        made.middle.copy_(middle)
        made.axes.copy_(directions[:axes].T / (sizes[:axes] / len(known) ** 0.5).clamp(min=1e-6))
        made.known.copy_((known - made.middle) @ made.axes)
        made.usual.copy_(made._far(held_out).quantile(RARE).clamp(min=1e-6))
        return made

    def forward(self, summary: Tensor) -> Tensor:
        """Strangeness [b] of windows with summaries [b, inputs]: above 1 as of one in a hundred simulated ones."""
        return self._far(summary) / self.usual

    def _far(self, summary: Tensor) -> Tensor:
        apart = torch.cdist((summary.float() - self.middle) @ self.axes, self.known)
        return apart.topk(min(NEIGHBOUR, self.config.known), largest=False).values[:, -1]


def summary_of(memory: Memory) -> Tensor:
    """Mean and spread of every channel over the tokens that there are, float [b, 2 d]."""
    there = (~memory.times_s.isnan())[..., None].float()
    count = there.sum(1).clamp(min=1)
    tokens = memory.tokens.float()
    mean = (tokens * there).sum(1) / count
    spread = (((tokens - mean[:, None]) ** 2 * there).sum(1) / count).sqrt()
    return torch.cat([mean, spread], -1)
