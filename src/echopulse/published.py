"""Weights that others have published and a user supplies: checked before they are used, never unpickled freely.

This is the one place of the package that opens PyTorch's own files, and only as plain tensors (`weights_only=True`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from echopulse.errors import InputError

if TYPE_CHECKING:
    import torch

PIECE = 1 << 20  # bytes read at a time


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

    A training checkpoint's `state_dict` or `model` is taken out of it; plain numbers beside it may be NumPy's.
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
    return {name.removeprefix("module."): value for name, value in state.items()}


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
                f"{path}: {name} is {found}, expected {wanted}; these are the weights of another network, "
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
    line = (str(error).splitlines() or [type(error).__name__])[0]
    return line.split(". ")[0].rstrip(".")[:120]
