"""Plain JSON from what the rooms compute, in files that are whole or absent."""

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from echopulse.errors import InputError


def six_decimals(value: float) -> float:
    """For times and sizes, whose digits beyond say nothing."""
    return round(value, 6)


def seven_figures(value: float) -> float:
    """For figures of which some lie far below one."""
    return float(f"{value:.7g}")


def to_json(value: Any, rounded: Callable[[float], float] = six_decimals) -> Any:
    """Numpy values as JSON types, floats rounded; what is not a finite number becomes null."""
    if isinstance(value, Mapping):
        return {str(key): to_json(item, rounded) for key, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [to_json(item, rounded) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return rounded(value) if math.isfinite(value) else None
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
        raise InputError(f"{path}: there is no such file; give {expected}.") from None
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror.lower() if isinstance(error, OSError) and error.strerror else "no text in UTF-8"
        raise InputError(f"{path}: cannot be read ({why}); give {expected}.") from error


def write_text(text: str, path: Path) -> None:
    """`text` as a UTF-8 file that replaces an older one as a whole."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


def write_json(value: Any, path: Path, rounded: Callable[[float], float] = six_decimals) -> None:
    """`value`, made plain, as an indented JSON file."""
    write_text(json.dumps(to_json(value, rounded), indent=2, ensure_ascii=False, allow_nan=False) + "\n", path)


def check_target(path: str | Path, endings: tuple[str, ...], *, force: bool = False) -> Path:
    """Refuse, before any work is done, a path that cannot or must not be written."""
    path = Path(path)
    if path.suffix.lower() not in endings:
        found = f"the ending {path.suffix}" if path.suffix else "no ending"
        raise InputError(f"{path}: {found}; one of {', '.join(endings)} is expected.")
    if path.is_dir():
        raise InputError(f"{path}: a folder of this name exists; choose another name.")
    if path.exists() and not force:
        raise InputError(f"{path}: the file exists already; choose another name or add --force to replace it.")
    if not path.parent.is_dir():
        raise InputError(f"{path}: the folder {path.parent} does not exist; create it or choose another one.")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise InputError(f"{path}: the folder {path.parent} cannot be written to; choose another one.")
    return path


@contextmanager
def complete_or_absent(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to; it becomes `path` when all went well and vanishes when not."""
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        yield partial
        os.replace(partial, path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error}); choose another place.") from error
    finally:
        partial.unlink(missing_ok=True)
