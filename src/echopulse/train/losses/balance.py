"""Weights that mean what they say: each loss pulls at the picture as hard as its weight, whatever its scale."""

import torch
from torch import Tensor

from echopulse.train.losses.running import RunningMean


class Balancer:
    """Each term's share of the gradient at the decoder's output is its weight (Défossez et al. 2022).

    Losses come in scales of their own: a hinge is of order 1, an absolute error of order 0.01, a distance of features
    of anything between, and all change as training goes on. Weights tuned against one another then have to be tuned
    again whenever a term comes or goes. So the gradient of every term at the picture is divided by its running size
    and multiplied by its weight; running, so that a batch that a term finds easy still counts less. The size is such
    that a mean absolute error has 1: a term of weight w pulls as hard as w times that, and beside terms that do not
    reach the picture (the quantizer's) the whole stays as strong as it was.
    """

    def __init__(self, decay: float = 0.999):
        self.decay = decay
        self.sizes: dict[str, RunningMean] = {}

    def combine(self, terms: dict[str, Tensor], weights: dict[str, float], made: Tensor) -> Tensor:
        """A scalar of the value of the weighted sum, whose gradient at `made` is the balanced one.

        Terms of weight 0 are left out. The terms' own graphs are used up down to `made`.
        """
        asked = {name: term for name, term in terms.items() if weights[name]}
        value, balanced = made.new_zeros(()), torch.zeros_like(made)
        for number, (name, term) in enumerate(asked.items(), 1):
            with torch.autocast(made.device.type, enabled=False):  # backwards runs in the types of the way there
                (gradient,) = torch.autograd.grad(term, made, retain_graph=number < len(asked))
            size = float(gradient.float().norm()) * made.numel() ** 0.5
            mean = self.sizes.setdefault(name, RunningMean(self.decay)).update(size)
            balanced += gradient * (weights[name] / max(mean, 1e-12))
            value = value + weights[name] * term.detach()
        pull = (made * balanced).sum()
        return pull + (value - pull).detach()

    def state(self) -> dict[str, Tensor]:
        """Running sizes by the terms' names."""
        return {name: mean.state() for name, mean in self.sizes.items()}

    def load(self, state: dict[str, Tensor]) -> None:
        """Goes on from what `state` gave."""
        for name, value in state.items():
            self.sizes.setdefault(name, RunningMean(self.decay)).load(value)
