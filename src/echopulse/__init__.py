"""EchoPulse: an electrocardiogram becomes an echocardiogram video. Synthetic; not for diagnosis."""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "EchoPulse": "echopulse.pipeline",
    "Generation": "echopulse.generation",
    "Sampling": "echopulse.model.sampling",
    "ECG": "echopulse.ecg",
    "Beats": "echopulse.ecg",
    "read_ecg": "echopulse.ecg",
    "read_stream": "echopulse.ecg",
    "write_ecg": "echopulse.ecg",
    "find_beats": "echopulse.ecg",
    "Clip": "echopulse.echo",
    "read_clip": "echopulse.echo",
    "Measurement": "echopulse.measure",
    "simulate": "echopulse.phantom",
    "InputError": "echopulse.errors",
}
__all__ = sorted([*_HOMES, "__version__"])


def __getattr__(name: str) -> Any:
    """The public names, each imported from its room when it is first asked for, so that importing stays quick."""
    if name not in _HOMES:
        raise AttributeError(f"module 'echopulse' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
