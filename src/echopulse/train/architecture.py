"""What a network is made of: the preset's sizes, or those of the weights that a training goes on with."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

from echopulse.errors import InputError
from echopulse.files import write_text
from echopulse.model.checkpoint import load_config
from echopulse.model.config import PRESETS, GeneratorConfig, TokenizerConfig, config_from_dict, parse_quantizer
from echopulse.train.sources import check_moving, holds_videos

USUAL_PRESET = "small"
KINDS = {"tokenizer": TokenizerConfig, "generator": GeneratorConfig}
BY_PRESET = {"tokenizer": ("size", "widths", "depths"), "generator": ("width", "depth", "heads", "ecg_heads")}


def keep_architecture(what: str, config: TokenizerConfig | GeneratorConfig, run: Path) -> None:
    """Writes into a run what its network is made of, so that --resume need not be told again."""
    write_text(json.dumps({what: asdict(config)}, indent=2) + "\n", run / "architecture.json")


def begun_architecture(
    what: str, preset: str | None, start_from: Path | None, run: Path, resume: bool
) -> tuple[TokenizerConfig | GeneratorConfig, Path | None]:
    """The configuration that a tokenizer or a generator begins or goes on with, and the folder whose it is.

    That of the run that is resumed, of the weights in `start_from`, or else the preset's, with no folder. InputError
    where the folder holds no such network, or one of other sizes than those of the preset that was asked for.
    """
    usual = PRESETS[preset or USUAL_PRESET][what]
    kept = run / "architecture.json"
    if resume and kept.exists():
        folder, held = run, json.loads(kept.read_text())
    elif start_from:
        folder, held = start_from, load_config(start_from)
    else:
        return usual, None
    if what not in held:
        raise InputError(f"{folder}: no {what} in it to go on with; give the folder that `train {what}` wrote.")
    config = config_from_dict(KINDS[what], held[what])
    sizes = [tuple(getattr(one, name) for name in BY_PRESET[what]) for one in (config, usual)]
    if preset and sizes[0] != sizes[1]:
        raise InputError(
            f"--preset {preset}: the {what} in {folder} is of other sizes; leave --preset out to go on with them, or "
            "begin anew without --from."
        )
    return config, folder


def choose_tokenizer(
    config: TokenizerConfig, folder: Path | None, data: str, *, quantizer: str | None, grain: bool, patch: int | None,
    decoder: str | None,
) -> TokenizerConfig:  # fmt: skip
    """The configuration with what was chosen in place of what it says; of weights in `folder` little can be changed.

    InputError for what cannot be learned from `data`, and for what those weights cannot go on as: of a tokenizer that
    is there only grain and the decoder "motion" can be added.
    """
    chosen = parse_quantizer(quantizer, config) if quantizer else config
    asked = {"patch": patch, "decoder": decoder}
    chosen = replace(chosen, **{name: value for name, value in asked.items() if value is not None})
    if decoder == "motion" and holds_videos(data):
        raise InputError("--decoder motion: it is learned from simulated shards, which say how tissue moves.")
    check_moving(chosen, data)
    if folder:
        of_another = {
            "quantizer": replace(chosen, patch=config.patch, decoder=config.decoder) != config,
            "patch": chosen.patch != config.patch,
            "decoder": chosen.decoder != config.decoder and chosen.decoder != "motion",
        }
        for name, value in {"quantizer": quantizer, **asked}.items():
            if of_another[name]:
                raise InputError(
                    f"--{name} {value}: the tokenizer in {folder} is of another architecture; leave --{name} out to go "
                    "on with its weights, or begin anew without --from."
                )
    return replace(chosen, grain=True) if grain else chosen


def with_held_rates(
    learned: tuple[float, float], held: GeneratorConfig | None, on_notice: Callable[[str], None] | None
) -> tuple[float, float]:
    """The frame rates that a generator knows after it has learned some; `held` is what it was before, if anything.

    Those it knew before count on: time enters as seconds through the same weights at every rate, so that steps at one
    rate are no reason to say that another was never learned. How well it is still made nobody has measured, which
    `on_notice` is told where the banks leave a part of them out.
    """
    if held is None:
        return learned
    low, high = held.rates
    if on_notice and (low < learned[0] or high > learned[1]):
        on_notice(
            f"these weights know {held.known_rates} frames/s and go on with {learned[0]:g} to {learned[1]:g} alone; "
            "the others stay named as known, but may be made less well, so give banks of those too"
        )
    return min(low, learned[0]), max(high, learned[1])
