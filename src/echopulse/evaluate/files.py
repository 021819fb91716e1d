"""Real ECG files: there is no true video to compare with, but the beats must be the ECG's.

Sinus rhythms have to keep the rate, the maxima and the minima; irregular ones the order of their intervals.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from echopulse.ecg import find_beats, read_ecg
from echopulse.ecg.stretch import around
from echopulse.errors import InputError
from echopulse.evaluate.beats import beat_figures

if TYPE_CHECKING:
    from echopulse.pipeline import EchoPulse, Generation

SECONDS = 4.0
IRREGULAR_SECONDS = 10.0  # more intervals to correlate
REGULAR = ("sinus", "regular")


def file_scores(
    pulse: EchoPulse, paths: Sequence[Path], *, start: str = "phantom", seed: int = 0, on_step=lambda _: None
) -> dict[str, float | str]:
    """`files.NAME.*` for every file and `beats.*` over all of them. A file that fails is counted and its error kept."""
    scores: dict[str, float | str] = {}
    found: list[dict[str, float | str]] = []
    failed = 0
    for number, (path, name) in enumerate(zip(paths, names_of(paths), strict=True)):
        try:
            figures = one_file(pulse, path, start=start, seed=seed)
            found.append(figures)
        except (InputError, OSError) as error:
            figures = {"error": " ".join(str(error).split())}
            failed += 1
        scores |= {f"files.{name}.{key}": value for key, value in figures.items()}
        on_step((number + 1) / len(paths))
    return scores | aggregate(found) | {"beats.files": len(paths), "beats.failed": failed}


def one_file(pulse: EchoPulse, path: Path, *, start: str, seed: int) -> dict[str, float | str]:
    """Generate from a file by the public road, measure, and hold the video's beats against the ECG's."""
    ecg = read_ecg(path)
    made = pulse(ecg, seconds=min(SECONDS, ecg.duration_s), start=start, seed=seed)
    rhythm = rhythm_within(made)
    if rhythm not in REGULAR and ecg.duration_s > SECONDS:
        made = pulse(ecg, seconds=min(IRREGULAR_SECONDS, ecg.duration_s), start=start, seed=seed)
    measured = made.measure()
    figures = beat_figures(made.beats.r_peaks_s, made.clip.times_s, measured.volumes)
    return {
        "rhythm": rhythm, "seconds": made.clip.duration_s, **figures, "ef": measured.ef,
        "frames_without_ventricle": float(np.mean(~np.isfinite(measured.volumes))),
    }  # fmt: skip


def rhythm_within(made: Generation) -> str:
    """The rhythm of the clip itself: an ectopic beat seconds before or after it does not spare it the sinus bars."""
    if made.beats.rhythm != "ectopic":
        return made.beats.rhythm
    clip = around(made.ecg, made.clip.times_s[0], made.clip.times_s[-1], context_s=0.2)
    try:
        return find_beats(clip).rhythm
    except InputError:
        return made.beats.rhythm


def aggregate(found: Sequence[dict[str, float | str]]) -> dict[str, float]:
    """The worst of the regular rhythms' figures and of the irregular ones' interval correlations; NaN stays NaN."""
    regular = [figures for figures in found if figures["rhythm"] in REGULAR]
    irregular = [figures for figures in found if figures["rhythm"] == "irregular"]
    others = len(found) - len(regular) - len(irregular)
    counts = {"regular": len(regular), "irregular": len(irregular), "others": others}
    scores: dict[str, float] = {f"beats.{kind}": count for kind, count in counts.items()}
    if regular:
        scores["beats.regular.rate_difference_bpm.largest"] = float(np.max([f["rate_difference_bpm"] for f in regular]))
        for key in ("r_with_maximum", "beats_with_minimum"):
            scores[f"beats.regular.{key}.smallest"] = float(np.min([f[key] for f in regular]))
    if irregular:
        scores["beats.irregular.interval_r.smallest"] = float(np.min([f["interval_r"] for f in irregular]))
    return scores


def names_of(paths: Sequence[Path]) -> list[str]:
    """A name for every file that is fit for a key: its stem, with its folder where two stems are alike."""
    stems = [path.stem for path in paths]
    names = [path.stem if stems.count(path.stem) == 1 else f"{path.parent.name}_{path.stem}" for path in paths]
    return [name.replace(".", "_") for name in names]
