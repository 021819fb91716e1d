"""The networks of a model folder, each by the name under which its configuration and weights stand there."""

from pathlib import Path

from torch import nn

from echopulse.errors import InputError
from echopulse.model.checkpoint import load_config, load_weights
from echopulse.model.config import GeneratorConfig, TokenizerConfig, config_from_dict
from echopulse.model.generator import Generator
from echopulse.model.tokenizer import Tokenizer

NETWORKS = {"tokenizer": (TokenizerConfig, Tokenizer), "generator": (GeneratorConfig, Generator)}


def load_network(folder: Path, name: str) -> nn.Module:
    """One network of a model folder in float32, in evaluation mode; InputError where the folder does not hold it."""
    config = load_config(folder)
    if name not in config:
        raise InputError(f"{folder}/config.json: no {name}; give the folder that `train {name}` wrote.")
    kind, network = NETWORKS[name]
    return load_weights(network(config_from_dict(kind, config[name])), folder / name)
