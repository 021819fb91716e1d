"""Draws from the distributions that the phantom's parameters come from, all on the CPU, all from a given generator."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Generator, Tensor

from echopulse.errors import InputError
from echopulse.phantom.limits import LIMITS, YES_OR_NO
from echopulse.phantom.types import CONDUCTIONS, ORIGINS, PATHOLOGIES, RHYTHMS, TERRITORIES, VIEWS

PRIORS = ("easy", "clinical", "uniform", "independent")
NAMES = {  # parameters whose values are names; stored as indices
    "rhythm": RHYTHMS,
    "conduction": CONDUCTIONS,
    "pathology": PATHOLOGIES,
    "territory": TERRITORIES,
    "view": VIEWS,
    "origin": ORIGINS,
}
OTHER_NAMES = {"psax": "psax_papillary"}
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


def truncated_normal(mean: Tensor, sd: Tensor, low: Tensor, high: Tensor, generator: Generator) -> Tensor:
    """float32 [n], Gaussian like `normal`, each with a mean, spread and edges [n] of its own."""
    shape = torch.broadcast_shapes(mean.shape, sd.shape, low.shape, high.shape)
    below, above = (torch.special.ndtr((edge.double() - mean) / sd) for edge in (low, high))
    level = below + (above - below) * torch.rand(shape, generator=generator, dtype=torch.float64)
    drawn = (mean + sd * torch.special.ndtri(level.clamp(1e-9, 1 - 1e-9))).float()
    return torch.maximum(torch.minimum(drawn, high.float()), low.float())  # where the mean lies far outside


def index_of(name: str, value: Any) -> Tensor:
    """int64 scalar or [n] from a rhythm, conduction, pathology, territory, view or origin (see `NAMES`).

    `value` is one of the names, a list of them, an index, indices, or a list that mixes both.
    """
    choices = NAMES[name]
    if isinstance(value, Tensor):
        value = value.tolist()
    several = not isinstance(value, str) and isinstance(value, Iterable)
    indices = []
    for item in value if several else [value]:
        item = OTHER_NAMES.get(item, item) if isinstance(item, str) else item
        if isinstance(item, str) and item in choices:
            indices.append(choices.index(item))
        elif not isinstance(item, str) and item in range(len(choices)):
            indices.append(int(item))
        else:
            raise InputError(f"{name} {item!r} is unknown; choose one of {', '.join(choices)}.")
    return torch.tensor(indices if several else indices[0])


def apply_pins(values: dict[str, Tensor], pinned: dict[str, Any], stage: str) -> dict[str, Tensor]:
    """`values` with the pinned ones replaced by the number, tensor or name given for them.

    Pins are applied after drawing, so that pinning one value leaves the draws of the others as they were. InputError
    for an unknown name, for what is no number or none of the names, for what lies beyond `LIMITS`, for a wrong count.
    """
    unknown = sorted(set(pinned) - set(values))
    if unknown:
        names = ", ".join(sorted(values))
        raise InputError(f"the {stage} has no parameter {unknown[0]!r}; its parameters are {names}.")
    replaced = dict(values)
    for name, value in pinned.items():
        drawn = values[name]
        given = index_of(name, value) if name in NAMES else _number(name, value, drawn.dtype, stage)
        replaced[name] = _fitted(name, given, drawn.shape)
    return replaced


def _number(name: str, value: Any, dtype: torch.dtype, stage: str) -> Tensor:
    """The value as numbers of any shape, if a heart can have them."""
    try:
        given = torch.as_tensor(value, dtype=dtype if dtype.is_floating_point else torch.float64, device="cpu")
    except (TypeError, ValueError, RuntimeError) as error:
        hint = "give one, or one for each heart"
        raise InputError(f"the {stage}'s {name} is a number; got {value!r}; {hint}.") from error
    if not bool(given.isfinite().all()):
        raise InputError(f"the {stage}'s {name} is a number; got {value!r}.")
    low, high = LIMITS.get(name, (-math.inf, math.inf))
    if not bool(((given >= low) & (given <= high)).all()):
        raise InputError(f"the {stage}'s {name} lies between {low:g} and {high:g}; got {value}.")
    if name in YES_OR_NO and not bool(((given == 0) | (given == 1)).all()):
        raise InputError(f"the {stage}'s {name} is 1 or 0, for yes or no; got {value}.")
    if not dtype.is_floating_point and not torch.equal(given, given.round()):
        raise InputError(f"the {stage}'s {name} is a whole number; got {value}.")
    return given.to(dtype)


def _fitted(name: str, given: Tensor, shape: torch.Size) -> Tensor:
    """One value, one per heart, or whatever else fits, spread over the `shape` of a parameter."""
    hearts = shape[0]
    if given.ndim and given.shape[0] not in (1, hearts):
        raise InputError(
            f"{given.shape[0]} values of {name} were given for {hearts} {'heart' if hearts == 1 else 'hearts'}; "
            "give one, or one for each heart."
        )
    while 0 < given.ndim < len(shape):
        given = given[..., None]
    try:
        return given.expand(shape).clone()
    except RuntimeError as error:
        wanted = f"one value, one for each heart, or {list(shape)}"
        raise InputError(f"{name} of shape {list(given.shape)} was given; give {wanted}.") from error
