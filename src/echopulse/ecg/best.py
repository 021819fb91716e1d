"""The stretch of a recording that shows the heart best."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from echopulse.ecg.quality import SHORTEST_S, signal_quality
from echopulse.ecg.stretch import BEFORE_S, clip_start, stretch
from echopulse.ecg.types import ECG
from echopulse.errors import InputError

MOST_WINDOWS = 300
MOST_PIECES = 5  # of a window, which are judged by themselves


def best_stretch(ecg: ECG, seconds: float) -> ECG:
    """The `seconds` whose best lead has the highest quality, once the electrodes have settled; the earliest of equals.

    Windows overlap by half, or lie as far apart as 300 of them allow. The provenance says which was taken.
    """
    if not (np.isfinite(seconds) and seconds >= SHORTEST_S):
        raise InputError(f"--best {seconds:g}: at least {SHORTEST_S:g} s are expected.")
    spare = ecg.duration_s - seconds
    if spare < -0.5 / ecg.rate_hz:
        raise InputError(f"{ecg.name}: {seconds:g} s asked for, but the ECG has {ecg.duration_s:.1f} s; ask for less.")
    count = int(np.clip(np.ceil(2 * spare / seconds) + 1, 1, MOST_WINDOWS))
    settled = max(0.0, clip_start(ecg, seconds) - BEFORE_S - ecg.start_s)  # electrodes that settle look like tall beats
    starts = np.linspace(min(settled, max(spare, 0.0)), max(spare, 0.0), count)
    starts = ecg.start_s + np.floor(starts * ecg.rate_hz) / ecg.rate_hz
    scores = [_score(ecg.crop(float(start), seconds)) for start in starts]
    best = int(np.argmax(np.round(scores, 2)))
    part = ecg.crop(float(starts[best]), seconds)
    words = f"{seconds:g} s from {part.start_s:.2f} s on, quality {scores[best]:.2f}, of {count} windows"
    return replace(part, provenance={**ecg.provenance, "best": words})


def _score(part: ECG) -> float:
    """The quality of the best lead, whose worst piece counts: a burst of noise must not hide among clear beats."""
    pieces = int(np.clip(part.duration_s / SHORTEST_S, 1, MOST_PIECES))
    length = part.duration_s / pieces
    quality = signal_quality(part)
    for piece in range(pieces if pieces > 1 else 0):
        first = part.start_s + piece * length
        quality = np.minimum(quality, signal_quality(stretch(part, first, first + length)))
    return float(quality.max() + 1e-3 * quality.mean())  # of windows with one lead as good, the one with better others
