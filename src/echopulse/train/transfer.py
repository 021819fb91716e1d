"""What a tokenizer that knows one scanner needs to show another: nothing, an adapter, or all of its weights again."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from echopulse.data import Bank, fill_bank
from echopulse.evaluate.reconstruction import reconstruction_scores
from echopulse.jobs import usable_cores
from echopulse.model.config import VIEWS, TokenizerConfig
from echopulse.model.lora import ALL, Lora
from echopulse.model.tokenizer import Tokenizer
from echopulse.train.adapt import ADAPTER, AdapterTask
from echopulse.train.loop import Run, Settings, Task
from echopulse.train.settings import SETTINGS
from echopulse.train.sources import HELD_OUT_SEED
from echopulse.train.tokenizer import TokenizerTask

# Two machines as two manufacturers build and set them. What is not named here differs from patient to patient.
LOOKS = {
    # fundamental imaging at a low frequency with a small aperture: a narrow sector, coarse raw grain, much gain
    "a": {
        "half_angle_rad": 0.58, "skin_radius_cm": 0.3, "top": 0.05, "bottom": 0.92, "frequency_mhz": 2.0,
        "harmonic": 0, "aperture_cm": 1.4, "smoothing": 0.030, "gain_db": 4.0, "dynamic_range_db": 64, "reject": 0.06,
        "curve": 0.35, "contrast": 0.0, "speckle_weight": 0.85, "clutter_db": -24,
    },
    # second harmonic at a high frequency with a large aperture: a wide sector, compounded, dark and hard
    "b": {
        "half_angle_rad": 0.78, "skin_radius_cm": 1.3, "top": 0.01, "bottom": 0.98, "frequency_mhz": 3.4,
        "harmonic": 1, "aperture_cm": 2.0, "smoothing": 0.018, "gain_db": 3.0, "dynamic_range_db": 54, "reject": 0.14,
        "curve": 0.7, "contrast": 0.4, "speckle_weight": 0.5, "clutter_db": -32,
    },
}  # fmt: skip
SMALL = TokenizerConfig(size=64, widths=(64, 128, 256), depths=(1, 1, 2))
FRAMES, SHARD = 13, 32
FULL_RATE = 5e-4  # of fine-tuning all weights


@dataclass(frozen=True)
class Row:
    """One way to go about the other look: errors on held-out clips of both, and what it took."""

    way: str
    trained: float  # of the weights, 0..1
    mse_b: float
    fall: float  # of the MSE on look B against no adaptation, 0..1
    mse_a: float
    steps: int
    seconds: float


def domain_transfer(
    work: Path,
    *,
    start: Tokenizer | None = None,
    config: TokenizerConfig = SMALL,
    clips: int = 256,
    held_out: int = 48,
    first_steps: int = 600,
    steps: int = 200,
    rank: int = 8,
    alpha: float = 16.0,
    layers: str = ALL,
    batch: int = 6,
    adapter_rate: float = ADAPTER.learning_rate,
    full_rate: float = FULL_RATE,
    seed: int = 0,
    on_progress: Callable[[float], None] = lambda _: None,
) -> list[Row]:
    """A tokenizer of look A on held-out clips of look B: as it is, with an adapter, and fine-tuned as a whole.

    `start` is a tokenizer that has learned already; without it one of `config` learns look A for `first_steps`. Adapter
    and fine-tuning see the same batches for `steps`. All stays in `work`, where the same call goes on where it stopped.
    """
    size = start.config.size if start else config.size
    banks = {name: banks_of(work / f"look-{name}", look, size, clips, held_out, seed) for name, look in LOOKS.items()}
    total, done = 2 * steps + (0 if start else first_steps), 0

    def learn(task: Task, settings: Settings, folder: str) -> tuple[nn.Module, float]:
        """The averaged model and the seconds it took."""
        nonlocal done
        run = Run(task, replace(settings, seed=seed, evaluate_every=10**9), work / folder, resume=True)
        run.train(lambda step, *_: on_progress((done + step) / total))
        done += settings.steps
        return run.averaged_model(), run.elapsed_s

    def task_of(look: str, config: TokenizerConfig, model: Tokenizer | None = None) -> TokenizerTask:
        return TokenizerTask(config, *banks[look], batch=batch, frames=FRAMES, seed=seed, model=model)

    def row(way: str, model: Tokenizer, trained: float = 0.0, steps: int = 0, seconds: float = 0.0) -> Row:
        a, b = (reconstruction_scores(model, banks[look][1].first(held_out)).scores["mse"] for look in "ab")
        return Row(way, trained, b, 1 - b / rows[0].mse_b if rows else 0.0, a, steps, seconds)

    rows: list[Row] = []
    if start is None:
        first = replace(SETTINGS["tokenizer"], steps=first_steps)
        start, _ = learn(task_of("a", config), first, "first")
    rows.append(row("as it is", start))

    full = replace(SETTINGS["tokenizer"], steps=steps, learning_rate=full_rate, warmup=ADAPTER.warmup, ema=ADAPTER.ema)
    tuned, seconds = learn(task_of("b", start.config, copy.deepcopy(start)), full, "full")
    whole = row("all weights", tuned, 1.0, steps, seconds)

    base = copy.deepcopy(start)
    lora = Lora.fresh(base, generator=torch.Generator().manual_seed(seed), rank=rank, alpha=alpha, layers=layers)
    task = AdapterTask(task_of("b", base.config, base), lora)
    _, seconds = learn(task, replace(ADAPTER, steps=steps, learning_rate=adapter_rate), "adapter")
    what = f"adapter of rank {rank}" + (f", {layers}" if layers != ALL else "")
    rows.append(row(what, base, lora.share_of(base), steps, seconds))
    return [*rows, whole]


def banks_of(folder: Path, look: dict[str, Any], size: int, clips: int, held_out: int, seed: int) -> tuple[Bank, Bank]:
    """Clips of one look to learn from, and those of other hearts, held out; the same hearts in every look."""
    options = {"size": size, "frames": FRAMES, "prior": "uniform", "view": VIEWS, "workers": usable_cores()} | look
    for name, count, number in (("train", clips, seed), ("held-out", held_out, HELD_OUT_SEED)):
        fill_bank(folder / name, count, seed=number, shard=min(SHARD, count), **options)
    return Bank.load(folder / "train"), Bank.load(folder / "held-out")


def to_table(rows: list[Row]) -> str:
    """The rows as Markdown."""
    lines = [
        "| on look B | weights trained | MSE on look B | fall | MSE on look A | seconds for the steps |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        took = f"{row.seconds:.0f} for {row.steps}" if row.steps else ""
        cells = (row.way, f"{row.trained:.1%}", f"{row.mse_b:.3e}", f"{row.fall:.1%}", f"{row.mse_a:.3e}", took)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
