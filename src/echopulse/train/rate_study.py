"""What more tokens, more bits and a decoder that moves the first picture buy: tokenizers trained alike."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from echopulse.data import Bank, fill_bank
from echopulse.data.bank import shards_there
from echopulse.errors import InputError
from echopulse.evaluate.coding_quality import appearance, clip_quality, mean_of
from echopulse.evaluate.coding_speed import one_thread_decoding
from echopulse.files import seven_figures, write_json
from echopulse.jobs import usable_cores
from echopulse.measure import Segmenter
from echopulse.model.config import DECODERS, PATCHES, VIEWS, TokenizerConfig
from echopulse.train.loop import Run
from echopulse.train.settings import SETTINGS
from echopulse.train.sources import HELD_OUT_SEED
from echopulse.train.tokenizer import TokenizerTask

FRAMES, STRETCH, SHARD = 33, 13, 32  # of a simulated clip, of what is learned at once, and clips per file
NEVER = 10**9
COLUMNS = {
    "mse": "MSE", "psnr": "PSNR dB", "ssim": "SSIM", "contrast": "contrast", "down": "down px", "across": "across px",
    "lasting": "its grain in the next frame", "neighbour": "next frame", "area_error": "area error",
    "valve": "valve opens",
}  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """One tokenizer of the study: pixels along a token's side, bits of a token, kind of decoder."""

    patch: int
    bits: int
    decoder: str

    @property
    def name(self) -> str:
        """As its files are called."""
        return f"patch-{self.patch}-bits-{self.bits}-{self.decoder}"

    def of(self, config: TokenizerConfig) -> TokenizerConfig:
        """The configuration with this cell's choices."""
        return replace(config, patch=self.patch, quantizer="lfq", bits=self.bits, decoder=self.decoder)


@dataclass(frozen=True)
class Row:
    """What one tokenizer takes and gives; the clips themselves, beside it, take nothing.

    `tokens` of a latent frame, `bits` of a token, `rate` in bits per second of video, weights in `parameters`,
    `decode_s` per second of video on one thread in float32, `train_s` for all steps, and `scores` by `COLUMNS`.
    """

    decoder: str
    tokens: int | None
    bits: int | None
    rate: float | None
    parameters: int | None
    decode_s: float | None
    train_s: float | None
    scores: dict[str, float | None]


def rate_study(
    work: Path,
    segmenter: Segmenter,
    *,
    config: TokenizerConfig | None = None,
    patches: Sequence[int] = PATCHES,
    bits: Sequence[int] = (14, 18),
    decoders: Sequence[str] = DECODERS,
    data: Path | None = None,
    clips: int = 512,
    held_out: int = 48,
    steps: int = 1500,
    batch: int = 6,
    seed: int = 0,
    device: str = "cpu",
    on_progress: Callable[..., None] = lambda *_: None,
) -> list[Row]:
    """First the held-out clips themselves, then every tokenizer of the study on them.

    All learn from the same stretches of the same clips in the same order, those of the bank in `data` or `clips` that
    are simulated. All stays in `work`: finished tokenizers as JSON, an unfinished one as its last checkpoint, and the
    same call goes on there, on whatever device. Raises InputError where `work` holds another study, or a bank is of
    another size or does not say how tissue moves.
    """
    config = config or TokenizerConfig()
    cells = [Cell(*choice) for choice in product(patches, bits, decoders)]
    configs = {cell: cell.of(config) for cell in cells}  # what cannot be is refused before any work
    given = _given(data, config.size, any(one.needs_motion for one in configs.values())) if data else None
    claim(work, {
        "config": asdict(replace(config, patch=16, quantizer="lfq", bits=14, decoder="plain")),
        "data": str(data) if data else clips, "held_out": held_out, "steps": steps, "batch": batch, "seed": seed,
    })  # fmt: skip
    held = _made(work / "held-out", config.size, held_out, HELD_OUT_SEED, device, labels=True)
    learn = given or _made(work / "bank", config.size, clips, seed, device, motion=True)

    def own_row() -> Row:
        shown = [appearance(held, row, held.frames[row].float() / 255, segmenter) for row in range(held_out)]
        return Row("the clips", None, None, None, None, None, None, mean_of(shown))

    rows = [_kept(work / "clips.json", own_row)]
    for number, cell in enumerate(cells):

        def tell(step: int, *_: Any, number: int = number) -> None:
            on_progress((number + step / steps) / len(cells))

        def cell_row(cell: Cell = cell, tell: Callable[..., None] = tell) -> Row:
            task = TokenizerTask(configs[cell], learn, held, batch=batch, frames=STRETCH, device=device, seed=seed)
            settings = replace(SETTINGS["tokenizer"], steps=steps, seed=seed, evaluate_every=NEVER)
            run = Run(task, settings, work / cell.name, resume=True)
            run.train(tell)
            return _row(cell, run, held, segmenter, held_out)

        rows.append(_kept(work / f"{cell.name}.json", cell_row))
        on_progress((number + 1) / len(cells), cell.name)
    return rows


def _row(cell: Cell, run: Run, held: Bank, segmenter: Segmenter, held_out: int) -> Row:
    model = run.averaged_model()
    scores = mean_of(list(clip_quality(model, held, segmenter, held_out)))
    config = model.to("cpu").config
    tokens = config.grid**2
    return Row(
        cell.decoder, tokens, cell.bits, tokens * cell.bits * config.fps / config.frames_per_latent,
        sum(value.numel() for value in model.parameters()), one_thread_decoding(model), run.elapsed_s, scores,
    )  # fmt: skip


def _kept(path: Path, work: Callable[[], Row]) -> Row:
    """The row that is kept in a file, or the one that `work` gives, kept from now on."""
    if not path.exists():
        write_json(asdict(work()), path, seven_figures)
    return Row(**json.loads(path.read_text(encoding="utf-8")))


def claim(work: Path, settings: dict[str, Any]) -> None:
    """Writes down what is studied in a folder; InputError where that was something else."""
    work.mkdir(parents=True, exist_ok=True)
    path, asked = work / "study.json", json.loads(json.dumps(settings))
    if not path.exists():
        write_json(asked, path)
    found = json.loads(path.read_text(encoding="utf-8"))
    if different := [name for name in asked if found.get(name) != asked[name]]:
        name = different[0]
        raise InputError(f"{work} holds a study with {name} {found.get(name)}, not {asked[name]}; name another folder.")


def _given(data: Path, size: int, moving: bool) -> Bank:
    """A bank of others; InputError where it cannot be learned from."""
    bank = Bank.load(data)
    if bank.frames.shape[1] < STRETCH or bank.frames.shape[2] != size:
        raise InputError(
            f"{data}: clips of {list(bank.frames.shape[1:])}; at least {STRETCH} frames of {size}×{size} are needed."
        )
    if moving:
        bank.check_moving()
    return bank


def _made(folder: Path, size: int, clips: int, seed: int, device: str, **kept: bool) -> Bank:
    """A bank of simulated clips, made where it is not there yet."""
    shard = min(SHARD, clips)
    if shards_there(folder, seed, math.ceil(clips / shard)) < math.ceil(clips / shard):
        workers = usable_cores() if device == "cpu" else 1
        options = {"size": size, "frames": FRAMES, "view": VIEWS, "device": device, "workers": workers}
        fill_bank(folder, clips, seed=seed, shard=shard, **options, **kept)
    return Bank.load(folder)


def to_table(rows: list[Row]) -> str:
    """The rows as Markdown."""
    heads = ("decoder", "tokens", "bits", "bit/s", *COLUMNS.values(), "weights", "decoding s/s", "training s")
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for row in rows:
        cells = [row.decoder, row.tokens, row.bits, row.rate, *(row.scores.get(name) for name in COLUMNS),
                 row.parameters, row.decode_s, row.train_s]  # fmt: skip
        lines.append(f"| {' | '.join(_shown(cell) for cell in cells)} |")
    return "\n".join(lines)


def _shown(cell: Any) -> str:
    if cell is None:
        return ""
    if isinstance(cell, str | int):
        return str(cell)
    return f"{cell:.0f}" if abs(cell) >= 1000 else f"{cell:.2e}" if 0 < abs(cell) < 0.01 else f"{cell:.3g}"
