"""A trained network learns another domain through a LoRA adapter of its own: its recipe, in the same loop."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from echopulse.data import Bank
from echopulse.errors import InputError
from echopulse.model.adapter_files import WEIGHTS, AdapterSpec, attach, named_with, save_adapter
from echopulse.model.checkpoint import load_config, save_config, save_weights
from echopulse.model.lora import Adapters, Lora
from echopulse.model.networks import NETWORKS, load_network
from echopulse.model.precision import mixed_precision
from echopulse.train.arguments import check_data, check_numbers, check_resume
from echopulse.train.generator import GeneratorTask
from echopulse.train.loop import Remembers, Run, Settings, Task
from echopulse.train.settings import BATCH
from echopulse.train.sources import (
    check_clips,
    check_moving,
    holds_videos,
    keeps_grain,
    load_bank,
    load_own_videos,
    skipping,
)
from echopulse.train.tokenizer import TokenizerTask

ADAPTER = Settings(steps=400, learning_rate=2e-3, warmup=20, ema=0.99, evaluate_every=100)
ANY_NUMBER, FRAMES = 10**6, 13
# Of a tokenizer the decoder: tokens keep their meaning, so that a generator of the unadapted one may go on. Of a
# generator the transformer, but not the ECG encoder, which knows what a beat is.
LAYERS = {"tokenizer": "decoder*", "generator": "blocks*,head"}
JUDGED_BY = {"tokenizer": "mse", "generator": "cross_entropy_0.6_true"}
HELD_OUT_PART, HELD_OUT_AT_MOST = 8, 64  # the last eighth of the bank, and no more than this


class AdapterTask:
    """Another task, whose network stays what it is while the loop trains an adapter of it."""

    def __init__(self, task: Task, lora: Lora):
        Adapters(task.model).add(lora)
        about = f"{len(lora.layers)} layers, rank {lora.rank}, alpha {lora.alpha:g}, of weights {lora.base}"
        self.name = f"{task.name} adapter ({about})"
        self.task, self.model = task, lora

    def on_progress(self, progress: float, step: int) -> None:
        self.task.on_progress(progress, step)

    def loss(self, seed: int) -> tuple[Tensor, dict[str, float]]:
        return self.task.loss(seed)

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        return self.task.evaluate(self.task.model)

    def pictures(self, model: nn.Module) -> Tensor | None:
        return self.task.pictures(self.task.model)

    def extra_state(self) -> dict[str, Tensor]:
        return self.task.extra_state() if isinstance(self.task, Remembers) else {}

    def load_extra_state(self, tensors: dict[str, Tensor]) -> None:
        if isinstance(self.task, Remembers):
            self.task.load_extra_state(tensors)


def adapt(
    what: str,
    model_folder: Path,
    *,
    data: str = "phantom",
    clips: int = 256,
    rank: int = 8,
    alpha: float = 16.0,
    layers: str | None = None,
    run: Path,
    resume: bool = False,
    out: Path | None = None,
    steps: int | None = None,
    minutes: float | None = None,
    batch: int | None = None,
    learning_rate: float | None = None,
    device: str = "cpu",
    seed: int = 0,
    on_progress: Callable[[float], None] | None = None,
    on_skip: Callable[[str, str], None] | None = None,
    on_notice: Callable[[str], None] | None = None,
) -> tuple[dict[str, float], Path]:
    """Trains an adapter of a model folder's "tokenizer" or "generator" and writes it; the last scores and its folder.

    `data` is a bank's folder, or "phantom", which makes `clips` inside the run first; of a bank an eighth of the clips
    is held out. For the tokenizer it may also be a folder of videos (see `recipes.train`). What draws grain stays as it
    is where the clips do not say how tissue moves, of which `on_notice` is told. `layers` are those of `LAYERS` by
    default. The scores hold the held-out figure of `JUDGED_BY` before (`..._before`) and after. Raises InputError
    before any work for a model without that network, a rank below 1, layers that no name matches, an adapter that is
    there already, clips of views that the generator does not know, and for the decoder "motion" clips that do not say
    how tissue moves.
    """
    check_numbers(steps=steps, minutes=minutes, batch=batch, clips=clips, learning_rate=learning_rate)
    check_resume(run, resume)
    folder = out or run / "adapter"
    if not resume and (folder / WEIGHTS).exists():
        raise InputError(f"{folder} holds an adapter already; name another folder.")
    check_data(what, [data])
    network = load_network(model_folder, what).to(device)
    draw = torch.Generator().manual_seed(seed)
    lora = Lora.fresh(network, generator=draw, rank=rank, alpha=alpha, layers=layers or LAYERS[what])
    if minutes and steps is None:
        steps = ANY_NUMBER  # the clock alone ends the run
    given = {"steps": steps, "minutes": minutes, "learning_rate": learning_rate}
    settings = replace(ADAPTER, seed=seed, **{name: value for name, value in given.items() if value is not None})
    shared = {"batch": BATCH[what] if batch is None else batch, "device": device, "seed": seed}
    skipped, skip = skipping(run, on_skip)
    if what == "generator":
        tokenizer = load_network(model_folder, "tokenizer")
        frames = 1 + 4 * (network.config.window - 1)
        banks = _banks(data, run, clips, seed, tokenizer.config.size, device, frames)
        task = GeneratorTask(network.config, tokenizer, *banks, **shared, model=network)
    else:
        config = network.config
        if holds_videos(data):
            check_moving(config, data)
            banks = load_own_videos(data, config, skip)
        else:
            banks = _banks(data, run, clips, seed, config.size, device, FRAMES, config.needs_motion)
            if config.decoder == "motion":
                banks[0].check_moving()
        kept = keeps_grain(config, banks[0], data, on_notice)
        task = TokenizerTask(config, *banks, frames=FRAMES, **shared, model=network, keep_grain=kept)
    with torch.no_grad(), mixed_precision(device):
        before = task.evaluate(network)[JUDGED_BY[what]]
    training = Run(AdapterTask(task, lora), settings, run, resume=resume)
    scores = training.train((lambda step, progress, scalars: on_progress(progress)) if on_progress else None)
    name = load_config(model_folder).get("name", model_folder.name)
    save_adapter(training.averaged_model(), folder, network=what, base_name=name)
    return {f"{JUDGED_BY[what]}_before": before} | scores | ({"skipped": len(skipped)} if skipped else {}), folder


def _banks(
    data: str, run: Path, clips: int, seed: int, size: int, device: str, frames: int, moving: bool = False
) -> tuple[Bank, Bank]:
    """Simulated clips to learn from and held-out ones; InputError where they are shorter or of another size.

    With `moving` those that are simulated now say how tissue moves.
    """
    bank = load_bank(data, run, clips, seed, size, device, moving and data == "phantom")
    check_clips(bank, data, frames, size)
    return split_bank(bank)


def split_bank(bank: Bank) -> tuple[Bank, Bank]:
    """The clips to learn from and the last eighth (64 at most), which is held out.

    Clips of one heart lie side by side, so no more than one heart can be in both. InputError for a single clip.
    """
    held = min(HELD_OUT_AT_MOST, -(-len(bank) // HELD_OUT_PART))
    if held == len(bank):
        raise InputError(f"{bank.folder}: one clip; at least two are needed, one to learn from and one held out.")
    parts = slice(None, -held), slice(-held, None)
    return tuple(
        replace(bank, tensors={name: value[rows] for name, value in bank.tensors.items()}) for rows in parts
    )


def merge_adapters(model_folder: Path, specs: Sequence[AdapterSpec], out: Path) -> Path:
    """A model folder with the adapters merged into its weights; networks that none is for are copied.

    Merged weights are kept in float32, since in bfloat16 part of what the adapter learned would be rounded away.
    Raises InputError where `out` holds a model already, and for an adapter of another model.
    """
    if (out / "config.json").exists():
        raise InputError(f"{out} holds a model already; name another folder.")
    config = load_config(model_folder)
    networks = {name: load_network(model_folder, name) for name in NETWORKS if name in config}
    attached = attach(networks, specs)
    out.mkdir(parents=True, exist_ok=True)
    for path in sorted(model_folder.glob("*.safetensors")):
        if path.stem not in attached:
            shutil.copyfile(path, out / path.name)
    for name in attached:
        save_weights(networks[name], out / name, torch.float32)
    save_config(out, **config | {"name": named_with(config.get("name", model_folder.name), specs)})
    return out
