"""What an evaluation keeps as it goes, so that a second run goes on where the first stopped.

Every finished part is one JSON file and every batch of generated clips one .npz, named by a hash of all that they hang
on (model, data, settings, versions). Other settings find nothing of theirs and start entries of their own beside them.
"""

from __future__ import annotations

import json
import math
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from echopulse.errors import InputError
from echopulse.evaluate.identity import hash_of_settings
from echopulse.evaluate.results import Results
from echopulse.files import to_json, write_text


class Store:
    """A folder of finished parts and clips; None keeps nothing."""

    def __init__(self, folder: Path | None):
        self.folder = folder
        if folder is None:
            return
        if folder.exists() and not folder.is_dir():
            raise InputError(f"{folder}: a file; a folder to keep the finished parts in is expected.")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{folder}: cannot be made ({error.strerror}); choose another folder.") from error
        if not os.access(folder, os.W_OK | os.X_OK):
            raise InputError(f"{folder}: cannot be written to; choose another folder.")

    def results(self, part: str, identity: dict[str, Any]) -> Results | None:
        """A part that was finished under the same identity."""
        path = self._path(part, identity, ".json")
        if path is None or not path.exists():
            return None
        try:
            held = json.loads(path.read_text(encoding="utf-8"))
        except json.JSONDecodeError as error:
            raise InputError(f"{path}: not JSON ({error}); delete this file and run again.") from error
        return Results(_numbers(held["scores"]), {k: _numbers(v) for k, v in held["columns"].items()}, held["about"])

    def keep_results(self, part: str, identity: dict[str, Any], results: Results) -> None:
        """Keep a finished part (its sample loops excepted)."""
        path = self._path(part, identity, ".json")
        if path is not None:
            held = {"identity": identity, "about": results.about, "scores": results.scores, "columns": results.columns}
            write_text(json.dumps(to_json(held, float), indent=1, allow_nan=False, default=str) + "\n", path)

    def clips(self, name: str, identity: dict[str, Any], make: Callable[[], np.ndarray]) -> np.ndarray:
        """Clips uint8 [n, t, h, w] that are there under this identity, or else those that `make` gives, kept."""
        path = self._path(name, identity, ".npz")
        if path is not None and path.exists():
            try:
                with np.load(path, allow_pickle=False) as held:
                    return held["frames"]
            except (ValueError, OSError, KeyError, EOFError, zipfile.BadZipFile) as error:
                raise InputError(f"{path}: cannot be read ({error}); delete this file and run again.") from error
        frames = make()
        if path is not None:
            partial = path.with_suffix(".partial.npz")
            np.savez(partial, frames=frames)
            os.replace(partial, path)
        return frames

    def _path(self, name: str, identity: dict[str, Any], ending: str) -> Path | None:
        return None if self.folder is None else self.folder / f"{name}-{hash_of_settings(identity)}{ending}"


def _numbers(held: Any) -> Any:
    """Null as NaN again."""
    if isinstance(held, dict):
        return {key: _numbers(value) for key, value in held.items()}
    if isinstance(held, list):
        return [_numbers(value) for value in held]
    return math.nan if held is None else held
