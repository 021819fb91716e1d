"""One training loop for every model: schedule, averaging, checkpoints, log. What is learned is the task's business."""

import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from echopulse.errors import InputError
from echopulse.model.checkpoint import differing
from echopulse.model.precision import mixed_precision
from echopulse.train.state import (
    changed,
    give,
    hashes,
    learning,
    load_optimizer,
    optimizer_tensors,
    standing_still,
    under,
)
from echopulse.train.utilisation import best_rate, count_operations


class Task(Protocol):
    """A model, where its batches come from, and how its progress is judged."""

    name: str
    model: nn.Module

    def loss(self, seed: int) -> tuple[Tensor, dict[str, float]]:
        """The loss of the batch that `seed` names, and flat scalars for the log."""

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Flat scalars of held-out data."""

    def pictures(self, model: nn.Module) -> Tensor | None:
        """A sheet uint8 [h, w] to look at, or None."""

    def on_progress(self, progress: float, step: int) -> None:
        """Called before every step with how far the run is, 0..1, and the steps done."""


@runtime_checkable
class Remembers(Protocol):
    """A task that needs more than its model to go on: what learns beside it, or is counted."""

    def extra_state(self) -> dict[str, Tensor]:
        """Tensors by name, for the checkpoint."""

    def load_extra_state(self, tensors: dict[str, Tensor]) -> None:
        """Goes on from what `extra_state` gave; empty from a checkpoint of a task that had nothing to remember."""


@dataclass(frozen=True)
class Settings:
    """How long and how fast. With `minutes` the schedule follows the clock and `steps` is the most there may be."""

    steps: int = 2000
    minutes: float | None = None
    learning_rate: float = 6e-4
    warmup: int = 60
    flat: float = 0.3
    final: float = 0.04
    betas: tuple[float, float] = (0.9, 0.98)
    weight_decay: float = 0.02
    clip: float = 1.0
    ema: float = 0.998
    evaluate_every: int = 250
    checkpoint_every_s: float = 120.0
    seed: int = 0


class Diverged(RuntimeError):
    """The loss is no longer a number; the message holds the step and the batch's seed."""


def learning_rate_at(progress: float, step: int, settings: Settings) -> float:
    """Linear warm-up, a flat stretch, then a cosine down to `final` of the peak."""
    ramp = min(1.0, (step + 1) / settings.warmup)
    late = max(0.0, (progress - settings.flat) / (1 - settings.flat))
    fall = settings.final + (1 - settings.final) * 0.5 * (1 + math.cos(math.pi * late))
    return settings.learning_rate * ramp * fall


def decay_groups(model: nn.Module, weight_decay: float) -> list[dict]:
    """Matrices decay; vectors, norms and biases do not."""
    trained = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]


class Average:
    """Exponential moving average of what learns in a model and of its buffers, warmed up so that it never lags the
    start."""

    def __init__(self, model: nn.Module, decay: float):
        self.decay = decay
        self.state = {name: value.detach().clone() for name, value in learning(model).items()}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        keep = min(self.decay, (1 + step) / (10 + step))
        for name, value in learning(model).items():
            if value.is_floating_point():
                self.state[name].lerp_(value.detach(), 1 - keep)
            else:
                self.state[name].copy_(value)


class Run:
    """One training run in one folder; `train` goes on from wherever the last checkpoint stands."""

    def __init__(self, task: Task, settings: Settings, folder: Path, *, resume: bool = False):
        self.task, self.settings, self.folder = task, settings, folder
        folder.mkdir(parents=True, exist_ok=True)
        self.checkpoint = folder / "checkpoint.safetensors"
        if self.checkpoint.exists() and not resume:
            raise InputError(
                f"{folder} holds a run already; go on with --resume {folder}, or name another folder by --run."
            )
        self.device = next(task.model.parameters()).device
        self.optimizer = torch.optim.AdamW(
            decay_groups(task.model, settings.weight_decay), lr=settings.learning_rate, betas=settings.betas
        )
        self.average = Average(task.model, settings.ema)
        self.still = hashes(standing_still(task.model))
        self.step, self.elapsed_s = 0, 0.0
        self.operations: int | None = None  # of a step, counted at the first one
        self.fastest_s = math.inf
        if self.checkpoint.exists():
            self._load()

    @property
    def progress(self) -> float:
        """How far the run is, 0..1."""
        by_steps = self.step / self.settings.steps
        return max(by_steps, self.elapsed_s / (60 * self.settings.minutes)) if self.settings.minutes else by_steps

    def train(self, on_step: Callable[[int, float, dict[str, float]], None] | None = None) -> dict[str, float]:
        """Trains to the end; returns the last evaluation. Writes log.jsonl, samples, curve and checkpoints."""
        task, settings = self.task, self.settings
        saved_at = time.monotonic()
        scores: dict[str, float] = {}
        while self.progress < 1:
            started = time.monotonic()
            task.model.train()
            task.on_progress(self.progress, self.step)
            rate = learning_rate_at(self.progress, self.step, settings)
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            seed = settings.seed * 1_000_003 + self.step
            if self.operations is None:
                loss, scalars = self._counted_step(seed)
            else:
                loss, scalars = self._learn(seed)
            norm = torch.nn.utils.clip_grad_norm_(task.model.parameters(), settings.clip)
            if not bool(torch.isfinite(norm)):
                raise Diverged(f"{task.name}: the gradient is not finite at step {self.step}, batch seed {seed}.")
            self.optimizer.step()
            self.average.update(task.model, self.step)
            self.step += 1
            taken_s = time.monotonic() - started
            self.elapsed_s += taken_s
            self.fastest_s = min(self.fastest_s, taken_s)
            scalars = {"loss": float(loss.detach()), **scalars, "learning_rate": rate, "gradient_norm": float(norm)}
            if self.step % 10 == 0:
                self._log({"step": self.step, "elapsed_s": round(self.elapsed_s, 1), **scalars})
            if on_step:
                on_step(self.step, self.progress, scalars)
            if self.step % settings.evaluate_every == 0 or self.progress >= 1:
                scores = self._evaluate()
            if time.monotonic() - saved_at > settings.checkpoint_every_s or self.progress >= 1:
                self._save()
                saved_at = time.monotonic()
        return scores

    def utilisation(self) -> dict[str, float]:
        """`tflop_s` of the fastest step, and its share of what a matrix product reaches here; empty before a step."""
        if not self.operations or self.fastest_s == math.inf:
            return {}
        rate = self.operations / self.fastest_s
        return {"tflop_s": rate / 1e12, "utilisation": rate / best_rate(self.device)}

    def _learn(self, seed: int) -> tuple[Tensor, dict[str, float]]:
        """The loss of a batch, with its gradient in the parameters."""
        with mixed_precision(self.device):
            loss, scalars = self.task.loss(seed)
        if not bool(torch.isfinite(loss)):
            value = float(loss.detach())
            raise Diverged(f"{self.task.name}: the loss is {value} at step {self.step}, batch seed {seed}.")
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        return loss, scalars

    def _counted_step(self, seed: int) -> tuple[Tensor, dict[str, float]]:
        """The same, and how many operations it takes: once in a run, since sums come out otherwise while counting."""
        found: list[tuple[Tensor, dict[str, float]]] = []
        self.operations = count_operations(lambda: found.append(self._learn(seed)))
        return found[0]

    def averaged_model(self) -> nn.Module:
        """The task's model holding the averaged weights. Call it when training is over: it overwrites the others."""
        give(self.task.model, self.average.state)
        return self.task.model.eval()

    def _evaluate(self) -> dict[str, float]:
        model = self.task.model
        live = {name: value.clone() for name, value in learning(model).items()}
        give(model, self.average.state)
        model.eval()
        with torch.no_grad(), mixed_precision(self.device):
            scores = self.task.evaluate(model)
            sheet = self.task.pictures(model)
        give(model, live)
        self._log({"step": self.step, "elapsed_s": round(self.elapsed_s, 1), "evaluation": scores})
        if sheet is not None:
            write_sheet(sheet, self.folder / "samples" / f"step-{self.step:06d}.png")
        draw_curve(self.folder)
        return scores

    def _log(self, row: dict) -> None:
        with open(self.folder / "log.jsonl", "a") as file:
            file.write(json.dumps(row) + "\n")

    def _save(self) -> None:
        """All that is needed to go on, in one file that is replaced as a whole; hashes of what stands still."""
        tensors = {f"model.{name}": value for name, value in learning(self.task.model).items()}
        tensors |= {f"average.{name}": value for name, value in self.average.state.items()}
        tensors |= {f"optimizer.{name}": value for name, value in optimizer_tensors(self.optimizer).items()}
        if isinstance(self.task, Remembers):
            tensors |= {f"extra.{name}": value for name, value in self.task.extra_state().items()}
        tensors = {name: value.detach().cpu().clone().contiguous() for name, value in tensors.items()}
        about = {"step": self.step, "elapsed_s": self.elapsed_s, "task": self.task.name}
        about |= {"operations": self.operations, "settings": asdict(self.settings), "still": self.still}
        partial = self.checkpoint.with_suffix(".partial")
        save_file(tensors, partial, metadata={"run": json.dumps(about)})
        os.replace(partial, self.checkpoint)

    def _load(self) -> None:
        with safe_open(self.checkpoint, "pt") as file:
            about = json.loads(file.metadata()["run"])
            if about["task"] != self.task.name:
                raise InputError(f"{self.checkpoint} is a run of {about['task']}, not of {self.task.name}.")
            tensors = {key: file.get_tensor(key) for key in file.keys()}
        model, state, still = self.task.model, under("model.", tensors), about.get("still", {})
        own = model.state_dict()
        if wrong := differing(state, {name: value for name, value in own.items() if name not in still}):
            raise InputError(
                f"{self.checkpoint}: another network than the one asked for ({wrong[0]} differs); give the options "
                f"that the run began with{', --ecg-encoder or --from among them' if still else ''}."
            )
        if wrong := changed(own, still):
            raise InputError(
                f"{self.checkpoint}: without the weights that stand still, and those at hand are others ({wrong[0]} "
                "differs); give the --ecg-encoder or --from that the run began with."
            )
        if isinstance(self.task, Remembers):
            self.task.load_extra_state(under("extra.", tensors))
        give(model, state)
        self.still = hashes(standing_still(model))  # checkpoints of before hold these weights as well
        average = under("average.", tensors)
        self.average.state = {name: average[name].to(self.device) for name in self.average.state}
        load_optimizer(self.optimizer, under("optimizer.", tensors))
        self.step, self.elapsed_s, self.operations = about["step"], about["elapsed_s"], about.get("operations")


def write_sheet(sheet: Tensor, path: Path) -> None:
    """uint8 [h, w] as PNG; as .npy where Pillow is missing, so that training needs torch and numpy alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = sheet.cpu().numpy()
    try:
        from PIL import Image
    except ImportError:
        import numpy as np

        np.save(path.with_suffix(".npy"), pixels)
        return
    Image.fromarray(pixels).save(path)


def read_log(folder: Path) -> list[dict]:
    """Every whole row of a run's log; a run that is killed may leave half a row behind."""
    rows = []
    with open(folder / "log.jsonl") as file:
        for line in file:
            try:
                rows.append(json.loads(line))
            except json.JSONDecodeError:
                continue
    return rows


def draw_curve(folder: Path) -> None:
    """The loss over the steps as curve.png, where matplotlib is installed."""
    import importlib.util

    if importlib.util.find_spec("matplotlib") is None:
        return
    from matplotlib.figure import Figure

    latest = {row["step"]: row for row in read_log(folder) if "loss" in row}  # steps done twice after a kill count once
    rows = [latest[step] for step in sorted(latest)]
    if not rows:
        return
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot([row["step"] for row in rows], [row["loss"] for row in rows], linewidth=0.8)
    axes.set(xlabel="step", ylabel="loss", title=folder.name)
    axes.grid(alpha=0.3)
    figure.savefig(folder / "curve.png", dpi=110)
