"""Filling in hidden tokens: the schedule, the order and the loop are three separate things."""

import math
from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor

from echopulse.model.generator import Conditions, Generator
from echopulse.model.types import join_ids, split_ids

Denoiser = Callable[[Tensor, Tensor, Conditions], Tensor]


def reveal_counts(n_tokens: int, steps: int) -> list[int]:
    """How many tokens each step reveals: at least one each where there are enough, and `n_tokens` together.

    The arccos schedule spends its trust late: early steps reveal few, because tokens revealed together cannot
    see each other.
    """
    steps = max(1, min(steps, n_tokens))
    edges = [n_tokens * (1 - math.acos(i / steps) * 2 / math.pi) for i in range(steps + 1)]
    counts, done = [], 0
    for i in range(1, steps + 1):
        target = n_tokens if i == steps else min(max(round(edges[i]), done + 1), n_tokens - (steps - i))
        counts.append(target - done)
        done = target
    return counts


def halton(count: int, base: int) -> Tensor:
    """The first `count` points of the Halton sequence of a prime base, in 0..1 (Halton 1960)."""
    index = torch.arange(1, count + 1)
    value, scale = torch.zeros(count, dtype=torch.float64), 1.0
    while bool((index > 0).any()):
        scale /= base
        value += (index % base) * scale
        index = index // base
    return value


@lru_cache(maxsize=32)
def reveal_order(frames: int, height: int, width: int, groups: int) -> Tensor:
    """int64 [frames·height·width·groups]: flat indices so that every prefix is spread evenly over time and space."""
    sides = (frames, height, width, groups)
    total = math.prod(sides)
    points = 24 * total
    cells = torch.zeros(points, dtype=torch.long)
    for side, base in zip(sides, (3, 2, 5, 7), strict=True):
        cells = cells * side + (halton(points, base) * side).long().clamp(max=side - 1)
    seen = torch.full((total,), points).scatter_reduce(0, cells, torch.arange(points), "amin")
    return torch.argsort(seen, stable=True)


def guided(denoise: Denoiser, ids: Tensor, hidden: Tensor, conditions: Conditions, scale: float) -> Tensor:
    """Logits moved away from those without ECG and EF: null + scale · (given - null) (Ho & Salimans 2022)."""
    given = denoise(ids, hidden, conditions)
    if scale == 1.0:
        return given
    null = denoise(ids, hidden, conditions.without_guidance_terms())
    return null + scale * (given - null)


def draw(logits: Tensor, temperature: float, generator: torch.Generator, min_p: float = 0.0) -> Tensor:
    """One index of the last axis of `logits` by the Gumbel trick; the random numbers are drawn on the CPU.

    Choices less than `min_p` times as likely as the likeliest are left out: label smoothing gives every code a small
    share of the probability, which would sprinkle the picture with codes that mean nothing there.
    """
    if temperature == 0:
        return logits.argmax(-1)
    if min_p > 0:
        likeliest = logits.amax(-1, keepdim=True)
        logits = logits.masked_fill(logits < likeliest + math.log(min_p), -torch.inf)
    noise = torch.rand(logits.shape, generator=generator).to(logits.device).clamp(1e-9, 1 - 1e-7)
    return (logits / temperature - torch.log(-torch.log(noise))).argmax(-1)


def fill_in(
    denoise: Denoiser,
    ids: Tensor,
    hidden: Tensor,
    conditions: Conditions,
    *,
    groups: int,
    group_bits: int,
    steps: int = 8,
    guidance: float = 3.0,
    temperature: float = 1.0,
    min_p: float = 0.1,
    generator: torch.Generator,
) -> Tensor:
    """Ids with every hidden group drawn, in `steps` passes over a fixed low-discrepancy order.

    ids int64 [b, t, h, w]; hidden bool [b, t, h, w, groups], the same for all of the batch. Guidance is used in the
    second half of the steps only: early on it narrows the choice before anything is known.
    """
    parts = split_ids(ids, groups, group_bits).contiguous()  # both are written to through flattened views
    hidden = hidden.clone(memory_format=torch.contiguous_format)
    order = reveal_order(*hidden.shape[1:]).to(ids.device)
    order = order[hidden[0].flatten()[order]]
    done = 0
    counts = reveal_counts(len(order), steps)
    for step, count in enumerate(counts):
        scale = guidance if 2 * step >= len(counts) else 1.0
        logits = guided(denoise, join_ids(parts, group_bits), hidden, conditions, scale)
        now = order[done : done + count]
        drawn = draw(logits.flatten(1, 4)[:, now], temperature, generator, min_p)
        parts.flatten(1)[:, now] = drawn
        hidden.flatten(1)[:, now] = False
        done += count
    return join_ids(parts, group_bits)


def denoiser(generator: Generator, times_s: Tensor, far: Tensor) -> Denoiser:
    """The generator at fixed latent times, as `fill_in` calls it."""
    return lambda ids, hidden, conditions: generator(ids, hidden, times_s, far, conditions)
