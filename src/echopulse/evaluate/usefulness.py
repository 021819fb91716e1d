"""What generated clips are worth to somebody who trains on them.

The same small network learns EF from generated clips, from as many real (or simulated) ones and from both, and is tried
on other hearts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from echopulse.errors import InputError
from echopulse.evaluate.keys import Figure, at_least
from echopulse.evaluate.metrics.ejection import Agreement, agreement, figures
from echopulse.evaluate.results import Results

SIDE = 64  # pixels
FRAMES, SPAN_S = 16, 1.6  # of a stretch: a beat at 40/min
BATCH, STEPS, RATE = 12, 250, 2e-3
WIDTHS = (16, 24, 32, 48)
STRETCHES = 3  # of each test clip, whose answers are averaged
LEAST_TRAINING, LEAST_TEST = 16, 10  # clips
RESAMPLES = 1000
COMPARED = ("generated", "both")  # with what training clips alone teach
LEAST_SPREAD = 0.02  # standard deviation of the EFs: below, there is nothing to learn

Labelled = tuple[Sequence[np.ndarray], Sequence[float] | np.ndarray]


class Regressor(nn.Module):
    """Stretches float [b, FRAMES, SIDE, SIDE] in 0..1 -> EF [b], as deviations from the training clips' mean in their
    standard deviations. Each frame by itself, then how its features move: mean, standard deviation, largest less
    smallest over the stretch."""

    def __init__(self):
        super().__init__()
        self.stages = nn.ModuleList(
            nn.Conv2d(i, o, 3, stride=2, padding=1) for i, o in zip((1, *WIDTHS), WIDTHS, strict=False)
        )
        self.norms = nn.ModuleList(nn.GroupNorm(4, width) for width in WIDTHS)
        cells = (SIDE // 2 ** len(WIDTHS)) ** 2
        self.squeeze = nn.Linear(WIDTHS[-1] * cells, 64)
        self.head = nn.Linear(3 * 64, 1)

    def forward(self, stretches: Tensor) -> Tensor:
        x = 4 * stretches.flatten(0, 1)[:, None] - 1  # tissue is near zero
        for stage, norm in zip(self.stages, self.norms, strict=True):
            x = F.silu(norm(stage(x)))
        seen = self.squeeze(x.flatten(1)).unflatten(0, stretches.shape[:2])  # [b, FRAMES, 64]
        moved = torch.cat([seen.mean(1), seen.std(1), seen.amax(1) - seen.amin(1)], 1)
        return self.head(moved)[:, 0]


def usefulness_scores(
    generated: Labelled,
    training: Labelled,
    test: Labelled,
    *,
    fps: float = 25.0,
    seeds: int = 3,
    steps: int = STEPS,
    seconds: float | None = None,
    seed: int = 0,
    on_step: Callable[[float], None] | None = None,
) -> Results:
    """EF learned from generated clips, from as many training clips, and from both together; tried on `test`.

    Each of the three is clips uint8 [t, h, w] and their EF, a fraction each. All fits take the same `steps`, or with
    `seconds` as many as one fit does in that time on this machine, found before the first fit (then figures depend on
    the machine). Figures are means over `seeds` fits. Intervals (`X.low`, `X.high` of r2, mae and the differences of
    mae) draw again both the fits and the test clips. Under 16 training or 10 test clips, or EFs that hardly differ, are
    an InputError.
    """
    _check(*generated, "generated clips", LEAST_TRAINING)
    _check(*training, "training clips", LEAST_TRAINING)
    _check(*test, "test clips", LEAST_TEST)
    if seeds < 1:
        raise InputError(f"{seeds} fits: at least one is needed.")
    tell, done = on_step or (lambda _: None), 0
    true = np.asarray(test[1], np.float64)
    draw = np.random.default_rng(seed)
    n = min(len(generated[0]), len(training[0]))
    pools = {}
    for name, (clips, ef) in (("generated", generated), ("training", training)):
        chosen = np.sort(draw.permutation(len(clips))[:n])
        pools[name] = (_small([clips[k] for k in chosen]), np.asarray(ef, np.float64)[chosen])
    (made, made_ef), (real, real_ef) = pools["generated"], pools["training"]
    pools["both"] = ([*made, *real], np.concatenate([made_ef, real_ef]))
    asked = _small(test[0])
    if seconds is not None:
        steps = steps_in(seconds, *pools["training"], fps)
    found, scores, columns = {}, {}, {}
    for name, (clips, ef) in pools.items():
        fits = []
        for fit in range(seeds):
            network = learn_ef(clips, ef, fps, steps=steps, seed=seed + fit)
            fits.append(answer(network, asked, fps) * ef.std() + ef.mean())
            done += 1
            tell(done / (len(pools) * seeds))
        found[name] = np.stack(fits)
        scores |= _over(name, [agreement(one, true) for one in fits])
        columns |= {f"{name}.ef_true": true.tolist(), f"{name}.ef_found": found[name].mean(0).tolist()}
        columns[f"{name}.absolute_error"] = np.abs(found[name] - true).mean(0).tolist()
    scores |= _intervals(found, true, draw)
    scores["constant.mae"] = float(np.abs(true - real_ef.mean()).mean())
    scores |= {"clips": n, "test_clips": len(true), "fits": seeds, "steps": steps}
    return Results.of(scores, columns)


def _over(name: str, agreed: Sequence[Agreement]) -> dict[str, float]:
    """Means over the fits, never the best of them."""
    each = [one.scores() for one in agreed]
    return {f"{name}.{key}": float(np.mean([one[key] for one in each])) for key in each[0]}


def _intervals(found: dict[str, np.ndarray], true: np.ndarray, draw: np.random.Generator) -> dict[str, float]:
    """95 % intervals from the EFs found, [fits, clips] of each kind, by drawing fits and clips again (percentiles).

    With three fits the part of the spread that comes from them is told a third too small.
    """
    drawn: dict[str, list[float]] = {}
    for _ in range(RESAMPLES):
        clips = draw.integers(len(true), size=len(true))
        spread = np.square(true[clips] - true[clips].mean()).sum()
        errors = {}
        for name, each in found.items():
            fits = draw.integers(len(each), size=len(each))
            errors[name] = each[fits][:, clips] - true[clips]
            drawn.setdefault(f"{name}.mae", []).append(np.abs(errors[name]).mean())
            drawn.setdefault(f"{name}.r2", []).append(1 - np.square(errors[name]).sum(1).mean() / spread)
        for name in COMPARED:
            more = np.abs(errors[name]).mean() - np.abs(errors["training"]).mean()
            drawn.setdefault(f"{name}.mae_more", []).append(more)
    scores = {}
    for name in COMPARED:
        more = np.abs(found[name] - true).mean() - np.abs(found["training"] - true).mean()
        scores |= {f"{name}.mae_more": float(more), f"{name}.mae_more.n": len(true)}
    for key, values in drawn.items():
        scores[f"{key}.low"], scores[f"{key}.high"] = map(float, np.percentile(values, [2.5, 97.5]))
    return scores


def learn_ef(clips: Sequence[Tensor], ef: np.ndarray, fps: float, *, steps: int, seed: int) -> Regressor:
    """A regressor fitted to small clips uint8 [t, SIDE, SIDE] and their EF; the same for the same seed."""
    draw = Generator().manual_seed(seed)
    network = Regressor()
    for module in (*network.stages, network.squeeze, network.head):
        nn.init.kaiming_uniform_(module.weight, a=math.sqrt(5), generator=draw)
        nn.init.zeros_(module.bias)
    wanted = torch.from_numpy((ef - ef.mean()) / ef.std()).float()
    rule = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(rule, steps)
    for _ in range(steps):
        rows = torch.randint(len(clips), (BATCH,), generator=draw)
        starts = torch.rand(BATCH, generator=draw).tolist()
        x = torch.stack([_stretch(clips[i], fps, at) for i, at in zip(rows.tolist(), starts, strict=True)]).float()
        gain = 0.7 + 0.6 * torch.rand(BATCH, 1, 1, 1, generator=draw)
        x = (gain * x / 255 + 0.03 * torch.randn(x.shape, generator=draw)).clamp(0, 1)
        loss = F.smooth_l1_loss(network(x), wanted[rows])
        rule.zero_grad()
        loss.backward()
        rule.step()
        schedule.step()
    return network.eval()


@torch.inference_mode()
def answer(network: Regressor, clips: Sequence[Tensor], fps: float) -> np.ndarray:
    """The network's answers, float64 [n], mean over STRETCHES of each clip."""
    starts = np.linspace(0, 1, STRETCHES)
    return np.array([
        float(network(torch.stack([_stretch(one, fps, at) for at in starts]).float() / 255).mean()) for one in clips
    ])  # fmt: skip


def steps_in(seconds: float, clips: Sequence[Tensor], ef: np.ndarray, fps: float) -> int:
    """How many steps one fit takes in that time, at least one; three are timed after one that warms up."""
    from time import perf_counter

    learn_ef(clips, ef, fps, steps=1, seed=0)
    began = perf_counter()
    learn_ef(clips, ef, fps, steps=3, seed=0)
    return max(int(seconds / ((perf_counter() - began) / 3)), 1)


def _small(clips: Sequence[np.ndarray]) -> list[Tensor]:
    """Clips uint8 [t, h, w] as uint8 [t, SIDE, SIDE]."""
    small = []
    for frames in clips:
        x = torch.from_numpy(np.ascontiguousarray(frames))[:, None].float()
        x = F.interpolate(x, (SIDE, SIDE), mode="bilinear", antialias=True)
        small.append(x[:, 0].round().clamp(0, 255).to(torch.uint8))
    return small


def _stretch(clip: Tensor, fps: float, at: float) -> Tensor:
    """FRAMES evenly spaced frames over SPAN_S or a shorter clip as a whole; at 0 from its start, at 1 to its end."""
    span = min(SPAN_S * fps, len(clip) - 1)
    first = at * (len(clip) - 1 - span)
    return clip[(first + torch.linspace(0, span, FRAMES)).round().long()]


def _check(clips: Sequence[np.ndarray], ef: Sequence[float] | np.ndarray, what: str, least: int) -> None:
    values = np.asarray(ef, np.float64)
    if values.shape != (len(clips),):
        raise InputError(f"{len(clips)} {what} with {values.size} EFs: one EF for each clip is expected.")
    if len(clips) < least:
        raise InputError(f"{len(clips)} {what}: at least {least} are needed to learn and test EF.")
    if not np.isfinite(values).all() or values.min() < 0 or values.max() > 1:
        raise InputError(f"an EF among the {what} is no fraction between 0 and 1: leave out clips without one.")
    if values.std() < LEAST_SPREAD:
        raise InputError(f"the {what} have EFs that spread by {values.std():.3f}: at least {LEAST_SPREAD} is needed.")
    for number, frames in enumerate(clips):
        array = isinstance(frames, np.ndarray)
        if not array or frames.dtype != np.uint8 or frames.ndim != 3 or len(frames) < 2 or not frames.size:
            found = f"{frames.dtype} {list(frames.shape)}" if array else type(frames).__name__
            raise InputError(
                f"number {number} of the {what} is {found}; grey pictures uint8 [t, h, w], two or more, are needed."
            )


KINDS = {
    "generated": "EF regressor trained on generated clips", "training": "the same, trained on as many real ones",
    "both": "the same, trained on both",
}  # fmt: skip
FIGURES: dict[str, Figure] = {
    **{key: one for name, what in KINDS.items() for key, one in figures(f"usefulness.{name}", what).items()},
    "usefulness.training.r2": Figure(
        "", f"{KINDS['training']}: share of the true EFs' variance explained (R²); below the bar the regressor learned "
        "too little for a comparison", at_least(0.4),
    ),
    **{
        f"usefulness.{name}.mae_more": Figure(
            "", f"{KINDS[name]}: absolute error less that after training on real ones, mean over the test clips"
        )
        for name in COMPARED
    },
    "usefulness.constant.mae": Figure("", "mean absolute error of always saying the training clips' mean EF"),
    "usefulness.clips": Figure("", "clips of either kind that were trained on"),
    "usefulness.test_clips": Figure("", "clips that were tried"),
    "usefulness.fits": Figure("", "fits of each kind, over which figures are means"),
    "usefulness.steps": Figure("", "training steps of each fit"),
}
