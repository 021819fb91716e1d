"""What takes long to work out and is small: kept on disk under a name that all that it depends on determines."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor


def made_once(folder: Path, made_of: bytes, make: Callable[[torch.Generator], dict[str, Tensor]]) -> dict[str, Tensor]:
    """What `make` gives, or gave when it was last called for the same `made_of`.

    Chance that it may use depends on that alone. A file is there whole or not at all.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = hashlib.sha256(made_of).hexdigest()[:24]
    path = folder / f"{name}.safetensors"
    if not path.exists():
        partial = path.with_suffix(".partial")
        save_file(make(torch.Generator().manual_seed(int(name[:12], 16))), partial)
        partial.replace(path)
    return load_file(path)
