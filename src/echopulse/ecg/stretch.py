"""Which part of a recording belongs to a clip."""

from __future__ import annotations

import math
from dataclasses import replace

from echopulse.ecg.faults import settling_s
from echopulse.ecg.types import ECG
from echopulse.errors import InputError

BEFORE_S = 1.6  # of ECG that a clip wants to have before its first frame
CONTEXT_S = 10.0  # of ECG on either side of a clip: enough to judge rhythm and noise, little enough to be quick


def clip_start(ecg: ECG, seconds: float, at_s: float | None = None) -> float:
    """Where a clip of `seconds` begins, on the recording's clock: `at_s` into it.

    By default as late as 1.6 s after the electrodes have settled, as far as the recording allows.
    """
    spare = ecg.duration_s - seconds
    if spare < -1e-6:
        there = math.floor(10 * ecg.duration_s + 1e-6) / 10  # never rounded up to what was asked for
        raise InputError(f"{ecg.name}: {seconds:g} s asked for, but the ECG has {there:.1f} s; ask for less.")
    if at_s is None:
        return ecg.start_s + max(0.0, min(settling_s(ecg) + BEFORE_S, spare))
    if not 0 <= at_s <= spare + 1e-6:
        raise InputError(f"{ecg.name}: {seconds:g} s of video can begin from 0 to {spare:.1f} s; got --at {at_s:g}.")
    return ecg.start_s + at_s


def stretch(ecg: ECG, start_s: float, stop_s: float) -> ECG:
    """The samples from `start_s` to before `stop_s`, as far as there are any."""
    first = max(math.ceil((start_s - ecg.start_s) * ecg.rate_hz - 1e-6), 0)
    last = min(math.ceil((stop_s - ecg.start_s) * ecg.rate_hz - 1e-6), ecg.samples.shape[1])
    return replace(ecg, samples=ecg.samples[:, first:last], start_s=ecg.start_s + first / ecg.rate_hz)


def around(ecg: ECG, start_s: float, stop_s: float, context_s: float = CONTEXT_S) -> ECG:
    """The stretch of a recording that matters for a clip: `context_s` before and after it, as far as there is any."""
    skipped = math.floor(max(0.0, start_s - context_s - ecg.start_s) * ecg.rate_hz)  # whole samples: rounding adds none
    first = ecg.start_s + skipped / ecg.rate_hz
    last = min(ecg.start_s + ecg.duration_s, stop_s + context_s)
    return ecg.crop(first, last - first)
