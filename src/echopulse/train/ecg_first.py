"""The ECG encoder that a generator begins with: a given one, of our own or published, or one that is trained first."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from torch import nn

from echopulse.data import Bank
from echopulse.model.checkpoint import load_config
from echopulse.model.config import GeneratorConfig, config_from_dict
from echopulse.model.ecg_checkpoints import PublishedEcg, load_published_ecg, parse_ecg_encoder, with_network
from echopulse.train.ecg_encoder import EcgTask
from echopulse.train.loop import Run
from echopulse.train.settings import BATCH, SETTINGS


def given_ecg_encoder(asked: str | Path | None) -> tuple[PublishedEcg | None, Path | None]:
    """Published weights, or the model folder with an encoder of our own, as `asked` says; None for what it is not.

    InputError where it names neither, or a file that is not the published one.
    """
    if not asked:
        return None, None
    kind, path = parse_ecg_encoder(str(asked))
    return (None, path) if kind == "own" else (load_published_ecg(kind, path), None)


def with_ecg_encoder(
    config: GeneratorConfig, published: PublishedEcg | None, start_from: Path | None
) -> GeneratorConfig:
    """The generator's configuration with the published ECG encoder, or with the one of the generator to begin with."""
    ecg = published.config if published else config.ecg
    if start_from and "generator" in (held := load_config(start_from)):
        known = config_from_dict(GeneratorConfig, held["generator"]).ecg
        ecg = ecg if known.kind == "own" else known
    return config if ecg.kind == "own" else replace(config, ecg=replace(ecg, width=config.ecg.width))


def train_ecg_encoder(
    config: GeneratorConfig, bank: Bank, held_out: Bank, run: Path, published: PublishedEcg | None = None, *,
    more: Sequence[Bank] = (), device: str, seed: int,
) -> nn.Module:  # fmt: skip
    """The ECG encoder by itself, a minute's work; goes on or returns at once where it has been done before.

    Of a published one the head alone learns.
    """
    task = EcgTask(config, bank, held_out, more=more, batch=BATCH["ecg"], device=device, seed=seed)
    if published:
        with_network(task.model, published)
    training = Run(task, replace(SETTINGS["ecg"], seed=seed), run, resume=True)
    training.train()
    return training.averaged_model()
