"""Plain JSON from what the rooms compute, in files that are whole or absent."""

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from echopulse.errors import InputError


def to_json(value: Any) -> Any:
    """Numpy values as JSON types, floats to six decimals; what is not a finite number becomes null."""
    if isinstance(value, dict):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [to_json(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value


def open_to_others(path: Path) -> None:
    """Gives a file the rights that a new one would have; safetensors writes its files for the owner alone."""
    mask = os.umask(0)
    os.umask(mask)
    path.chmod(0o666 & ~mask)


def read_text(path: Path, expected: str) -> str:
    """A UTF-8 text file; the InputError for what is none says what was expected."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file.") from None
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror.lower() if isinstance(error, OSError) and error.strerror else "no text in UTF-8"
        raise InputError(f"{path}: cannot be read ({why}); give {expected}.") from error


def write_text(text: str, path: Path) -> None:
    """`text` as a UTF-8 file that replaces an older one as a whole."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


def write_json(value: Any, path: Path) -> None:
    """`value`, made plain, as an indented JSON file."""
    write_text(json.dumps(to_json(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n", path)
