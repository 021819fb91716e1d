"""The networks of a model folder, each by the name under which its configuration and weights stand there."""

from pathlib import Path

import torch
from torch import nn

from echopulse.errors import InputError
from echopulse.model.checkpoint import load_config, load_weights
from echopulse.model.config import EcgEncoderConfig, GeneratorConfig, TokenizerConfig, config_from_dict
from echopulse.model.ecg_encoder import EcgEncoder
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


def load_ecg_encoder(folder: Path, expected: EcgEncoderConfig) -> EcgEncoder:
    """The ECG encoder of a model folder: by itself, as `train ecg-encoder` writes it, or else that of its generator.

    InputError where the folder holds neither, or one of another size than `expected`.
    """
    config = load_config(folder)
    if "ecg_encoder" in config:
        found = config_from_dict(EcgEncoderConfig, config["ecg_encoder"])
        encoder = load_weights(EcgEncoder(found), folder / "ecg_encoder")
    elif "generator" in config:
        encoder = load_network(folder, "generator").ecg_encoder
    else:
        raise InputError(f"{folder}/config.json: no ecg_encoder; give the folder that `train ecg-encoder` wrote.")
    if encoder.config.kind != expected.kind:
        raise InputError(
            f"{folder}: its generator hears through {encoder.config.kind}; go on with it by --from, or give the "
            f"published file as --ecg-encoder {encoder.config.kind}=FILE."
        )
    if encoder.config != expected:
        raise InputError(
            f"{folder}: an ECG encoder of another size ({encoder.config}) than the preset's ({expected}); train both "
            "with the same --preset."
        )
    return encoder


def device_of(network: nn.Module) -> torch.device:
    """Where the weights of a network are."""
    return next(network.parameters()).device
