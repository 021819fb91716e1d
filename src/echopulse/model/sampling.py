"""Filling in hidden tokens: the schedule, the order and the loop are three separate things."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from echopulse.model.generator import Conditions, Generator
from echopulse.model.types import join_ids, split_ids

Denoiser = Callable[[Tensor, Tensor, Conditions], Tensor]
OnStepEnd = Callable[[int, Tensor, Tensor], None]
ORDERS = ("halton", "confidence")
CORRECTED, CORRECTING = 0.4, 0.7  # share of the groups that a correction draws again, and at which temperature
OPENING_MIN_P = 0.02  # with a tenth, as later, every first picture shows the same sector in the same gain


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn: passes per window, strength of the ECG's and EF's guidance, temperature, rarest choice.

    The last `corrections` of the `steps`, at most half of them, draw a share of the tokens once more. `opening` passes
    come first where no first picture is given. Without a `guidance` it is that which training built into the weights,
    at one pass a step, or three where they hold none. `order` in which places are filled: "halton", or "confidence".
    `grain`: whether the speckle that tokens cannot hold is drawn over the picture, where the tokenizer knows how.
    `tries`: how often the first window is made at most, until what is read of its EF is near the one aimed at.
    """

    steps: int = 8
    guidance: float | None = None
    temperature: float = 1.0
    min_p: float = 0.1
    grain: bool = True
    order: str = "halton"
    corrections: int = 3
    opening: int = 8
    tries: int = 2

    @property
    def passes(self) -> dict[str, int]:
        """What `fill_in` is told of these numbers."""
        corrections = min(self.corrections, self.steps // 2)
        return {"steps": self.steps - corrections, "corrections": corrections, "opening": self.opening}


USUAL, FAST = Sampling(), Sampling(steps=4, corrections=1, opening=4, tries=1)


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
    return (logits / temperature + _gumbel(logits, generator)).argmax(-1)


def _gumbel(like: Tensor, generator: torch.Generator) -> Tensor:
    noise = torch.rand(like.shape, generator=generator).to(like.device).clamp(1e-9, 1 - 1e-7)
    return -torch.log(-torch.log(noise))


def fill_in(
    denoise: Denoiser,
    ids: Tensor,
    hidden: Tensor,
    conditions: Conditions,
    *,
    groups: int,
    group_bits: int,
    steps: int = 8,
    guidance: float,
    temperature: float = 1.0,
    min_p: float = 0.1,
    order: str = "halton",
    opening: int = 0,
    corrections: int = 0,
    generator: torch.Generator,
    on_step_end: OnStepEnd = lambda *_: None,
) -> Tensor:
    """Ids with every hidden group drawn, in `steps` passes and as many as there are `corrections`.

    ids int64 [b, t, h, w]; hidden bool [b, t, h, w, groups], the same for all of the batch. The order is fixed and of
    low discrepancy ("halton"), or every pass keeps what it was surest of ("confidence", Chang et al. 2022). Guidance is
    used in the second half of the steps only: early on it narrows the choice before anything is known. With `opening`
    passes the first frame, where it is hidden, is drawn before all else, without guidance and with rare choices. Every
    correction draws a share of what was hidden once more, less freely: what came early knew little of the rest (Lezama
    et al. 2022 let a critic choose what to draw again; here it is chance). `on_step_end` gets the number of the pass
    from 0, the ids and what is still hidden, to look at and not to keep.
    """
    parts = split_ids(ids, groups, group_bits).contiguous()  # both are written to through flattened views
    sought, hidden = hidden, hidden.clone(memory_format=torch.contiguous_format)

    def ask(scale: float) -> Tensor:
        return guided(denoise, join_ids(parts, group_bits), hidden, conditions, scale).flatten(1, 4)

    left = reveal_order(*hidden.shape[1:]).to(ids.device)
    left = left[hidden[0].flatten()[left]].expand(len(ids), -1)  # [b, n], the next ones first
    early = left[0] < hidden[0, 0].numel()
    stages = [(left[:, early], opening, 1.0, OPENING_MIN_P)] if opening and bool(early.any()) else []
    stages.append((left[:, ~early] if stages else left, steps, guidance, min_p))
    done = 0
    for left, passes, strength, rarest in stages:
        counts = reveal_counts(left.shape[1], passes)
        for step, count in enumerate(counts):
            logits = ask(strength if 2 * step >= len(counts) else 1.0)
            if order == "confidence":
                sure = _rows(logits, left)
                drawn = draw(sure, temperature, generator, rarest)
                sureness = sure.log_softmax(-1).gather(-1, drawn[..., None])[..., 0]
                wavering = 1 - (step + 1) / len(counts)  # at first chance has a say, else what is kept lies together
                rank = (sureness + wavering * _gumbel(sureness, generator)).argsort(-1, descending=True)
                left, drawn = left.gather(1, rank), drawn.gather(1, rank)[:, :count]
            else:
                drawn = draw(_rows(logits, left[:, :count]), temperature, generator, rarest)
            now, left = left[:, :count], left[:, count:]
            parts.flatten(1).scatter_(1, now, drawn)
            hidden.flatten(1).scatter_(1, now, False)
            on_step_end(done, join_ids(parts, group_bits), hidden)
            done += 1
    for correction in range(corrections):
        again = sought & (torch.rand(sought.shape, generator=generator) < CORRECTED).to(sought.device)
        hidden.copy_(again)
        drawn = draw(ask(guidance), CORRECTING * temperature, generator, min_p)
        parts[again] = drawn[again.flatten(1)]
        hidden.fill_(False)
        on_step_end(done + correction, join_ids(parts, group_bits), hidden)
    return join_ids(parts, group_bits)


def _rows(logits: Tensor, places: Tensor) -> Tensor:
    """Logits [b, n, c] at places [b, k]: [b, k, c]."""
    return logits.gather(1, places[..., None].expand(-1, -1, logits.shape[-1]))


def denoiser(generator: Generator, times_s: Tensor, far: Tensor) -> Denoiser:
    """The generator at fixed latent times, as `fill_in` calls it."""
    return lambda ids, hidden, conditions: generator(ids, hidden, times_s, far, conditions)
