"""What somebody asks of a simulation, checked once, before any work."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import index
from typing import Any

import torch

from echopulse.errors import InputError
from echopulse.phantom.priors import index_of
from echopulse.phantom.types import VIEWS


def whole_number(name: str, value: Any) -> int:
    """`value` as an int; InputError for what is none, True and 2.0 among it."""
    try:
        if isinstance(value, bool):
            raise TypeError("a bool")
        return index(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{name}={value!r}: a whole number is expected.") from error


def number(name: str, value: Any) -> float:
    """`value` as a float; InputError for what is none, "25" among it."""
    try:
        if isinstance(value, (bool, str)):
            raise TypeError("no number")
        return float(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{name}={value!r}: a number is expected.") from error


def usable_device(device: torch.device | str) -> torch.device:
    """The device that a word names; InputError where this machine or this build of PyTorch has none such."""
    try:
        found = torch.device(device)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError, TypeError) as error:
        have = "cpu and cuda" if torch.cuda.is_available() else "cpu"
        raise InputError(f"device {device}: not usable here; this machine and PyTorch offer {have}.") from error
    return found


def frame_count(n: int, frames: int, seconds: float | None, fps: float, size: int) -> int:
    """How many frames each of n clips has; InputError for clips or pictures that cannot be made."""
    n, frames, size = whole_number("n", n), whole_number("frames", frames), whole_number("size", size)
    fps, seconds = number("fps", fps), None if seconds is None else number("seconds", seconds)
    if not (0 < fps <= 1000 and (seconds is None or 0 < seconds <= 3600)):
        length = f"{frames} frames" if seconds is None else f"{seconds:g} s"
        raise InputError(f"{length} at {fps:g} frames/s were asked for; up to 3600 s and 1000 frames/s are possible.")
    if seconds is not None:
        frames = max(round(seconds * fps), 1)
    if n < 1 or frames < 1:
        raise InputError(f"{n} clips of {frames} frames were asked for; ask for at least one of each.")
    if not 16 <= size <= 1024:
        raise InputError(f"pictures of {size} by {size} pixels were asked for; from 16 to 1024 can be made.")
    return frames


def recorded_span(clip_s: float, before_s: float, after_s: float, rate_hz: float) -> tuple[float, float]:
    """From when to when the ECG is recorded, in seconds from the first frame; InputError where it cannot be."""
    before_s, after_s = number("ecg_before_s", before_s), number("ecg_after_s", after_s)
    rate_hz = number("ecg_rate_hz", rate_hz)
    if not (0 <= before_s <= 3600 and 0 <= after_s <= 3600 and 1 <= rate_hz <= 100_000):
        raise InputError(
            f"an ECG from {before_s:g} s before to {after_s:g} s after the clip at {rate_hz:g} Hz was asked for; "
            "up to 3600 s and from 1 to 100000 Hz can be made."
        )
    length_s = before_s + clip_s + after_s
    if round(length_s * rate_hz) < 1:
        raise InputError(
            f"an ECG of {length_s:g} s at {rate_hz:g} Hz has not one sample; ask for more before or after the clip, "
            "or for a higher rate."
        )
    return -before_s, clip_s + after_s


def wanted_leads(leads: Any) -> int | tuple[str, ...]:
    """How many leads are asked for, or their names; InputError for what is neither."""
    if isinstance(leads, str):
        return (leads,)
    if isinstance(leads, Iterable):
        return tuple(leads)
    if isinstance(leads, bool) or not hasattr(leads, "__index__"):
        raise InputError(f"leads={leads!r}: expected their number or their names, as in leads=('II', 'V5').")
    return index(leads)


def study_views(views: str | Sequence[str], pinned: dict[str, Any]) -> tuple[str, ...]:
    """The planes of a study; InputError for an unknown one, for none, and for `view` in place of `views`."""
    if "view" in pinned:
        raise InputError("a study shows a heart through several planes: give views=(...) instead of view.")
    views = (views,) if isinstance(views, str) else tuple(views)
    if not views:
        raise InputError(f"no view was asked for; choose some of {', '.join(VIEWS)}.")
    index_of("view", views)
    return views
