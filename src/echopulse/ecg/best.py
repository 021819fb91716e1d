"""The stretch of a recording that shows the heart best."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from echopulse.ecg.quality import SHORTEST_S, signal_quality
from echopulse.ecg.types import ECG
from echopulse.errors import InputError

MOST_WINDOWS = 300


def best_stretch(ecg: ECG, seconds: float) -> ECG:
    """The `seconds` whose best lead has the highest quality, the earliest of equals; the provenance says where.

    Windows overlap by half, or lie as far apart as 300 of them allow.
    """
    if not (np.isfinite(seconds) and seconds >= SHORTEST_S):
        raise InputError(f"--best {seconds:g}: at least {SHORTEST_S:g} s are expected.")
    spare = ecg.duration_s - seconds
    if spare < -0.5 / ecg.rate_hz:
        raise InputError(f"{ecg.name}: {seconds:g} s asked for, but the ECG has {ecg.duration_s:.1f} s; ask for less.")
    count = int(np.clip(np.ceil(2 * spare / seconds) + 1, 1, MOST_WINDOWS))
    starts = ecg.start_s + np.floor(np.linspace(0, max(spare, 0.0), count) * ecg.rate_hz) / ecg.rate_hz
    scores = [_score(ecg.crop(float(start), seconds)) for start in starts]
    best = int(np.argmax(np.round(scores, 2)))
    part = ecg.crop(float(starts[best]), seconds)
    words = f"{seconds:g} s from {part.start_s:.2f} s on, quality {scores[best]:.2f}, of {count} windows"
    return replace(part, provenance={**ecg.provenance, "best": words})


def _score(part: ECG) -> float:
    quality = signal_quality(part)
    return float(quality.max() + 1e-3 * quality.mean())  # of windows with one lead as good, the one with better others
