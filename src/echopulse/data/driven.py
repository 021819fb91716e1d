"""A real recording that simulated hearts follow: its beats, P waves and rhythm, with its own ECG beside the clip."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from echopulse.ecg import find_beats, read_ecg
from echopulse.ecg.stretch import clip_start, stretch
from echopulse.ecg.types import ECG, Beats
from echopulse.errors import InputError
from echopulse.phantom import PhantomClips
from echopulse.phantom.limits import LIMITS

CONTEXT_S = 10.0  # of ECG on either side of a clip: enough to judge the rhythm, little enough to be quick
BEFORE_S, AFTER_S = 1.6, 0.4  # of ECG that go with a clip, as with a simulated one


@dataclass(frozen=True)
class Drive:
    """What a recording gives to the hearts that follow it; times in seconds from the clip's first frame."""

    ecg: ECG  # the stretch that belongs to the clip
    r_peaks_s: np.ndarray  # float64 [k]
    p_onsets_s: np.ndarray | None  # float64 [k], NaN where a beat has no P wave; None: not found, placed as usual
    rhythm: str  # one of the phantom's
    heart_rate_bpm: float

    def options(self) -> dict[str, Any]:
        """What `simulate` takes."""
        p_onsets = None if self.p_onsets_s is None else torch.from_numpy(self.p_onsets_s).float()
        peaks = torch.from_numpy(self.r_peaks_s).float()
        pins = {"rhythm": self.rhythm, "heart_rate_bpm": float(np.clip(self.heart_rate_bpm, *LIMITS["heart_rate_bpm"]))}
        return {**pins, "r_peaks_s": peaks, "p_onsets_s": p_onsets}

    def put_into(self, made: PhantomClips) -> PhantomClips:
        """The clips with the recording itself for their ECG."""
        n = len(made.frames)
        return replace(
            made,
            ecg=torch.from_numpy(self.ecg.samples).expand(n, -1, -1),
            ecg_times_s=torch.from_numpy(self.ecg.times_s).float(),
            ecg_rate_hz=self.ecg.rate_hz,
            lead_names=(self.ecg.leads,) * n,
        )


def follow(
    path: Path, seconds: float, *, at_s: float | None = None, leads: int | tuple[str, ...] | None = None
) -> Drive:
    """What the recording at `path` gives to a clip of `seconds` that begins `at_s` into it.

    By default it begins where a generated clip would: 1.6 s after the electrodes have settled. `leads`: names of leads,
    or how many of the first ones, to keep; all by default.
    """
    ecg = read_ecg(path)
    begin = clip_start(ecg, seconds, at_s)
    beats = find_beats(stretch(ecg, begin - CONTEXT_S, begin + seconds + CONTEXT_S))
    kept = _chosen(stretch(ecg, begin - BEFORE_S, begin + seconds + AFTER_S), leads)
    return Drive(
        ecg=replace(kept, start_s=kept.start_s - begin),
        r_peaks_s=beats.r_peaks_s - begin,
        p_onsets_s=None if beats.rhythm in ("regular", "unknown") else beats.p_onsets_s - begin,
        rhythm=_phantom_rhythm(beats),
        heart_rate_bpm=beats.heart_rate_bpm if len(beats.r_peaks_s) > 1 else 75.0,
    )


def _phantom_rhythm(beats: Beats) -> str:
    """The phantom's nearest name: early beats that look like the others come from the atria."""
    if beats.rhythm == "ectopic":
        return "pac" if beats.provenance.get("ectopic", "none") == "none" else "pvc"
    return "af" if beats.rhythm == "irregular" else "sinus"


def _chosen(ecg: ECG, leads: int | tuple[str, ...] | None) -> ECG:
    if leads is None:
        return ecg
    if isinstance(leads, int):
        rows = list(range(min(leads, len(ecg.leads))))
    else:
        names = [name.lower() for name in ecg.leads]
        if missing := [name for name in leads if name.lower() not in names]:
            raise InputError(f"{ecg.name}: no lead {missing[0]!r}; it has {', '.join(ecg.leads)}.")
        rows = [names.index(name.lower()) for name in leads]
    return replace(ecg, samples=ecg.samples[rows], leads=tuple(ecg.leads[row] for row in rows))
