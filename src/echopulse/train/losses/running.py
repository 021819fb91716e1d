"""A mean that forgets, kept as two numbers."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class RunningMean:
    """Exponential mean of what it was given, without bias towards its start: the first value is its own mean."""

    decay: float
    total: float = 0.0
    weight: float = 0.0

    def update(self, value: float) -> float:
        """Takes in a value; returns the mean with it."""
        self.total = self.decay * self.total + (1 - self.decay) * value
        self.weight = self.decay * self.weight + 1 - self.decay
        return self.total / self.weight

    def state(self) -> Tensor:
        """float64 [2], for a checkpoint."""
        return torch.tensor([self.total, self.weight], dtype=torch.float64)

    def load(self, state: Tensor) -> None:
        """Goes on from what `state` gave."""
        self.total, self.weight = state.tolist()
