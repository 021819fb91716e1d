"""Draws from the distributions that the phantom's parameters come from, all on the CPU, all from a given generator."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Generator, Tensor

from echopulse.errors import InputError

PRIORS = ("easy", "clinical", "uniform")
LIMITS = {"ef": (0.03, 0.86), "edv_ml": (20, 500), "heart_rate_bpm": (25, 220)}  # beyond them a heart is no heart
Shape = int | tuple[int, ...]


def check_prior(prior: str) -> None:
    """Raise where `prior` is none of the known names."""
    if prior not in PRIORS:
        raise InputError(f"prior {prior!r} is unknown; choose one of {', '.join(PRIORS)}.")


def _shape(shape: Shape) -> tuple[int, ...]:
    return (shape,) if isinstance(shape, int) else shape


def uniform(shape: Shape, low: float, high: float, generator: Generator) -> Tensor:
    """float32 `shape`, evenly spread over [low, high)."""
    return low + (high - low) * torch.rand(_shape(shape), generator=generator)


def log_uniform(shape: Shape, low: float, high: float, generator: Generator) -> Tensor:
    """float32 `shape`, whose logarithm is evenly spread."""
    return torch.exp(uniform(shape, math.log(low), math.log(high), generator))


def normal(
    shape: Shape, mean: float, sd: float, generator: Generator, low: float = -math.inf, high: float = math.inf
) -> Tensor:
    """float32 `shape`, Gaussian cut off (not heaped up) at `low` and `high`."""
    edges = torch.special.ndtr((torch.tensor([low, high], dtype=torch.float64) - mean) / sd)
    level = edges[0] + (edges[1] - edges[0]) * torch.rand(_shape(shape), generator=generator, dtype=torch.float64)
    return (mean + sd * torch.special.ndtri(level.clamp(1e-9, 1 - 1e-9))).float()


def log_normal(shape: Shape, median: float, sigma: float, generator: Generator, low: float, high: float) -> Tensor:
    """float32 `shape`, log-normal cut off at `low` and `high`; `sigma` is the spread of the logarithm."""
    return torch.exp(normal(shape, math.log(median), sigma, generator, math.log(low), math.log(high)))


def chance(shape: Shape, probability: float, generator: Generator) -> Tensor:
    """bool `shape`, True with the given probability."""
    return torch.rand(_shape(shape), generator=generator) < probability


def choice(shape: Shape, weights: Iterable[float], generator: Generator) -> Tensor:
    """int64 `shape` of indices, each drawn in proportion to its weight."""
    edges = torch.tensor(list(weights), dtype=torch.float64).cumsum(0)
    level = torch.rand(_shape(shape), generator=generator, dtype=torch.float64) * edges[-1]
    return torch.searchsorted(edges, level, right=True).clamp_max(len(edges) - 1)


def apply_pins(values: dict[str, Tensor], pinned: dict[str, Any], stage: str) -> dict[str, Tensor]:
    """`values` with the pinned ones replaced by the number or tensor given for them.

    Pins are applied after drawing, so that pinning one value leaves the draws of the others as they were.
    """
    unknown = sorted(set(pinned) - set(values))
    if unknown:
        names = ", ".join(sorted(values))
        raise InputError(f"the {stage} has no parameter {unknown[0]!r}; its parameters are {names}.")
    replaced = dict(values)
    for name, value in pinned.items():
        drawn = values[name]
        try:
            given = torch.as_tensor(value, dtype=drawn.dtype)
        except (TypeError, ValueError) as error:
            raise InputError(f"the {stage}'s {name} is a number; got {value!r}.") from error
        if not bool(given.isfinite().all()):
            raise InputError(f"the {stage}'s {name} is a number; got {value!r}.")
        low, high = LIMITS.get(name, (-math.inf, math.inf))
        if not bool(((given >= low) & (given <= high)).all()):
            raise InputError(f"the {stage}'s {name} lies between {low:g} and {high:g}; got {value}.")
        while 0 < given.ndim < drawn.ndim:
            given = given[..., None]
        replaced[name] = given.expand(drawn.shape).clone()
    return replaced
