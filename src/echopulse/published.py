"""Weights that others have published and a user supplies: checked before they are used, never unpickled freely.

This is the one place of the package that opens PyTorch's own files, and only as plain tensors (`weights_only=True`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from echopulse.errors import InputError

if TYPE_CHECKING:
    import torch

PIECE = 1 << 20  # bytes read at a time
LONGEST_NAME = 80  # of what a file calls its tensors, in a sentence


@dataclass(frozen=True)
class Source:
    """A published file of weights.

    Attributes:
        name: whose weights of what, as a sentence needs it.
        file: the name under which it is published.
        sha256: its SHA-256 as far as it is known: all of it, the leading digits that its name states, or nothing.
    """

    name: str
    file: str
    sha256: str = ""


def file_sha256(path: str | Path) -> str:
    """SHA-256 of a file, 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(PIECE):
            digest.update(piece)
    return digest.hexdigest()


def check_file(path: str | Path, source: Source, sha256: str | None = None) -> str:
    """The SHA-256 of a file, once it is what is expected: `sha256` if given, else what is known of the source.

    Raises InputError when there is no such file or its hash begins otherwise.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; give {source.name}, published as {source.file}.")
    found, expected = file_sha256(path), (source.sha256 if sha256 is None else sha256).lower()
    if not found.startswith(expected):
        raise InputError(
            f"{path}: its SHA-256 begins with {found[: max(8, len(expected))]}, that of {source.name} with {expected}; "
            f"fetch {source.file} again, or pass the hash of the file that you mean."
        )
    return found


def read_state_dict(path: str | Path, source: Source, sha256: str | None = None) -> dict[str, torch.Tensor]:
    """Tensors by name, from safetensors or from PyTorch's format read as plain tensors; the hash is checked first.

    A training checkpoint's `state_dict` or `model` is taken out of it; plain numbers beside it may be NumPy's. What is
    no plain tensor (of real numbers, dense, with values) is refused, as are two names that differ by `module.` alone.
    """
    import torch

    path = Path(path)
    check_file(path, source, sha256)
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state = load_file(path)
        else:
            with torch.serialization.safe_globals(_numbers()):
                state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise InputError(f"{path}: no file of weights ({_first_line(error)}); give {source.file}.") from error
    for inner in ("state_dict", "model"):
        if isinstance(state, Mapping) and isinstance(state.get(inner), Mapping):
            state = state[inner]
    if not isinstance(state, Mapping) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise InputError(f"{path}: holds no state dict (tensors by name); give {source.file}.")
    for name, value in state.items():
        if not isinstance(name, str):
            raise InputError(f"{path}: a tensor is called {shown(name)}, which is no text; give {source.file}.")
        if odd := _oddity(value):
            raise InputError(f"{path}: {shown(name)} is {odd}, a plain one is expected; give {source.file}.")
    return renamed(state, lambda name: name.removeprefix("module."), path, source)


def renamed(
    state: Mapping[str, torch.Tensor], new_name: Callable[[str], str], path: str | Path, source: Source
) -> dict[str, torch.Tensor]:
    """The same tensors under what `new_name` makes of their names; InputError where two come to one name."""
    found: dict[str, str] = {}
    for name in state:
        other = found.setdefault(new_name(name), name)
        if other != name:
            raise InputError(
                f"{path}: {shown(other)} and {shown(name)} are the same weights, and only one of them can be right; "
                f"give {source.file}."
            )
    return {new: state[name] for new, name in found.items()}


def shown(name: object) -> str:
    """What a file calls a tensor, as a sentence may hold it: an ordinary name as it is, any other quoted, all short."""
    if isinstance(name, str) and re.fullmatch(rf"[\w.\-]{{1,{LONGEST_NAME}}}", name, re.ASCII):
        return name
    text = ascii(name[: LONGEST_NAME + 1] if isinstance(name, str) else name)
    return text if len(text) <= LONGEST_NAME else f"{text[: LONGEST_NAME - 3]}..."


def _oddity(value: torch.Tensor) -> str:
    """What keeps a tensor from being weights, in words; empty where nothing does."""
    import torch

    if value.is_meta:
        return "a tensor without values"
    if value.layout != torch.strided or value.is_nested:
        return "a sparse tensor"
    if value.is_quantized:
        return "a tensor of quantized numbers"
    return "a tensor of complex numbers" if value.is_complex() else ""


def fit(
    network: torch.nn.Module, state: Mapping[str, torch.Tensor], path: str | Path, ignore: tuple[str, ...] = ()
) -> torch.nn.Module:
    """The network with these weights in float32, in evaluation mode, frozen.

    Names that begin as one of `ignore` are passed over, and so are the counters of batch norms. Raises InputError with
    the first name or shape that differs.
    """
    state = {name: value for name, value in state.items() if not name.startswith(ignore)}
    expected = network.state_dict()
    counted = {name for name in expected if name.endswith("num_batches_tracked")}
    for name in (*expected, *state):
        found = tuple(state[name].shape) if name in state else "absent"
        wanted = tuple(expected[name].shape) if name in expected else "absent"
        if found != wanted and not name.endswith("num_batches_tracked"):
            raise InputError(
                f"{path}: {shown(name)} is {found}, expected {wanted}; these are the weights of another network, "
                f"give those of {type(network).__name__}."
            )
    values = {name: state[name].to(expected[name].dtype) for name in expected if name not in counted}
    network.load_state_dict(values, strict=False)
    return network.requires_grad_(False).eval()


def _numbers() -> list:
    """What a NumPy number in a checkpoint is made of, under its name in NumPy 1 and 2: it holds bytes and runs nothing.

    ECGFounder's checkpoint holds its best score as one.
    """
    import numpy as np

    scalar = np.float64(0).__reduce__()[0]
    names = [(scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")]
    return [*names, np.dtype, *(type(np.dtype(kind)) for kind in ("f8", "f4", "i8"))]


def _first_line(error: Exception) -> str:
    """The first sentence of what went wrong, without its full stop."""
    line = (str(error).splitlines() or [type(error).__name__])[0].split(". ")[0].rstrip(".")[:120]
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in line)
