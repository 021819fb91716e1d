"""What an evaluation was made of: hashes of models and data, versions, the machine."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from echopulse.evaluate.hearts import Heart
from echopulse.model.checkpoint import DIGITS, hash_of_networks

if TYPE_CHECKING:
    from echopulse.pipeline import EchoPulse


def hash_of_pulse(pulse: EchoPulse) -> str:
    """16 hexadecimal digits of the SHA-256 over all weights of a model of ours."""
    return hash_of_networks((pulse.tokenizer, pulse.generator, pulse.segmenter))


def hash_of_files(paths: Sequence[Path]) -> str:
    """16 digits of the SHA-256 over names and contents of files, in the order of their names."""
    digest = hashlib.sha256()
    for path in sorted(paths, key=lambda path: path.name):
        digest.update(path.name.encode())
        with path.open("rb") as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
    return digest.hexdigest()[:DIGITS]


def hash_of_listing(folder: Path) -> str:
    """The same over the names, sizes and times of change of all files below a folder, which may be large."""
    found = sorted((path.relative_to(folder).as_posix(), path.stat()) for path in folder.rglob("*") if path.is_file())
    return hash_of_settings({"files": [(name, stat.st_size, stat.st_mtime_ns) for name, stat in found]})


def hash_of_hearts(hearts: Sequence[Heart]) -> str:
    """16 digits of the SHA-256 over pictures, ECGs and true volumes."""
    digest = hashlib.sha256()
    for heart in hearts:
        for values in (heart.frames.numpy(), heart.ecg.numpy(), np.asarray(heart.volume_ml)):
            digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()[:DIGITS]


@cache
def hash_of_package() -> str:
    """The same over this package's own code: figures of another version are no figures of this one."""
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:DIGITS]


def hash_of_settings(settings: Mapping[str, Any]) -> str:
    """16 digits of the SHA-256 over settings written as JSON with sorted keys."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()[:DIGITS]


def versions() -> dict[str, str]:
    """Of this package, of Python and of what computes."""
    found = {"python": platform.python_version()}
    for name in ("echopulse", "torch", "numpy", "scipy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed as a package"
    return found


def machine(device: torch.device | str, workers: int) -> str:
    """The device in words, and how many clips are made at a time."""
    kind = torch.device(device).type
    name = torch.cuda.get_device_name(device) if kind == "cuda" else _processor()
    return f"{kind}: {name}; {workers} clip{'s' if workers > 1 else ''} at a time"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
