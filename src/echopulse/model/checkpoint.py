"""Weights on disk: safetensors beside a config.json, and nothing else."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from echopulse.errors import InputError
from echopulse.files import open_to_others

DIGITS = 16  # of a hash


def save_weights(model: nn.Module, path: Path, dtype: torch.dtype = torch.bfloat16) -> None:
    """The model's state as `path`.safetensors; floats as `dtype`, but statistics and scalars stay float32."""
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {}
    for name, value in model.state_dict().items():
        exact = not value.is_floating_point() or value.ndim < 2
        state[name] = value.detach().cpu().to(value.dtype if exact else dtype).clone().contiguous()
    save_file(state, path.with_suffix(".safetensors"), metadata={"made_by": "echopulse"})
    open_to_others(path.with_suffix(".safetensors"))


def load_weights(model: nn.Module, path: Path) -> nn.Module:
    """The model with the weights of `path`.safetensors in float32, in evaluation mode.

    Raises InputError when the file is absent, damaged, or of another architecture.
    """
    path = path.with_suffix(".safetensors")
    if not path.exists():
        raise InputError(f"{path}: no such weights; a model folder holds config.json and one .safetensors per network.")
    try:
        state = load_file(path)
    except SafetensorError as error:
        raise InputError(f"{path}: not a whole safetensors file ({error}); fetch or train it again.") from error
    expected = model.state_dict()
    if wrong := differing(state, expected):
        raise InputError(f"{path}: made for another architecture than config.json says ({wrong[0]} differs).")
    model.load_state_dict({name: value.to(expected[name].dtype) for name, value in state.items()})
    return model.eval()


def differing(found: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]) -> list[str]:
    """Names that only one of two states holds, or that have other shapes in them."""
    wrong = [name for name in expected if name not in found or found[name].shape != expected[name].shape]
    return wrong + [name for name in found if name not in expected]


def save_config(folder: Path, **parts) -> None:
    """Each named dataclass or plain value into `folder`/config.json, beside what is there; None takes it out."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "config.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    known |= {name: asdict(part) if is_dataclass(part) else part for name, part in parts.items()}
    known = {name: part for name, part in known.items() if part is not None}
    path.write_text(json.dumps(known, indent=2) + "\n")


def load_config(folder: Path) -> dict:
    """`folder`/config.json; raises InputError when it is absent or not JSON."""
    path = folder / "config.json"
    if not path.exists():
        raise InputError(f"{folder}: no config.json here; give a folder that `echopulse train` has written.")
    try:
        return json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: not JSON ({error}).") from error


def hash_of_networks(networks: Iterable[nn.Module]) -> str:
    """16 hexadecimal digits of the SHA-256 over names and values of all weights."""
    digest = hashlib.sha256()
    for network in networks:
        for name, value in sorted(network.state_dict().items()):
            digest.update(f"{name} {value.dtype} {list(value.shape)}".encode())
            digest.update(_bytes(value))
    return digest.hexdigest()[:DIGITS]


def hash_of_tensor(value: torch.Tensor) -> str:
    """16 hexadecimal digits of the SHA-256 over type, shape and values."""
    digest = hashlib.sha256(f"{value.dtype} {list(value.shape)}".encode())
    digest.update(_bytes(value))
    return digest.hexdigest()[:DIGITS]


def _bytes(value: torch.Tensor) -> bytes:
    """The values in their own type, whatever lies between them in memory."""
    flat = value.detach().cpu().flatten().clone(memory_format=torch.contiguous_format)
    return flat.view(torch.uint8).numpy().tobytes()
