"""A real recording that simulated hearts follow: its beats, P waves and rhythm, with its own ECG beside the clip."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from echopulse.data.origins import judge_origins
from echopulse.ecg import find_beats, read_ecg
from echopulse.ecg.stretch import clip_start, stretch
from echopulse.ecg.types import ECG
from echopulse.errors import InputError
from echopulse.phantom import PhantomClips
from echopulse.phantom.limits import LIMITS
from echopulse.phantom.simulate import EcgSource

CONTEXT_S = 10.0  # of ECG on either side of a clip: enough to judge the rhythm, little enough to be quick
BEFORE_S, AFTER_S = 1.6, 0.4  # of ECG that go with a clip, as with a simulated one
WITHOUT_P = ("ventricular", "escape")  # what looks like a P wave before these beats belongs to none of them


@dataclass(frozen=True)
class Drive:
    """What a recording gives to the hearts that follow it; times in seconds from the clip's first frame."""

    ecg: ECG  # the stretch that belongs to the clip
    r_peaks_s: np.ndarray  # float64 [k]
    p_onsets_s: np.ndarray | None  # float64 [k], NaN where a beat has no P wave; None: not found, placed as usual
    origins: tuple[str, ...]  # where each of the k beats began, names out of the phantom's
    rhythm: str  # one of the phantom's
    conduction: str | None  # likewise; None where the leads do not tell
    heart_rate_bpm: float
    source: EcgSource

    def options(self) -> dict[str, Any]:
        """What `simulate` takes."""
        if not len(self.r_peaks_s):
            return {"rhythm": self.rhythm}  # asystole
        p_onsets = None if self.p_onsets_s is None else torch.from_numpy(self.p_onsets_s).float()
        peaks = torch.from_numpy(self.r_peaks_s).float()
        pins = {"rhythm": self.rhythm, "heart_rate_bpm": float(np.clip(self.heart_rate_bpm, *LIMITS["heart_rate_bpm"]))}
        if self.conduction is not None:
            pins["conduction"] = self.conduction
        return {**pins, "r_peaks_s": peaks, "p_onsets_s": p_onsets, "origins": self.origins}

    def put_into(self, made: PhantomClips) -> PhantomClips:
        """The clips with the recording itself for their ECG."""
        n = len(made.frames)
        return replace(
            made,
            ecg=torch.from_numpy(self.ecg.samples).expand(n, -1, -1),
            ecg_times_s=torch.from_numpy(self.ecg.times_s).float(),
            ecg_rate_hz=self.ecg.rate_hz,
            lead_names=(self.ecg.leads,) * n,
            ecg_source=self.source,
        )


def follow(
    path: Path,
    seconds: float,
    *,
    at_s: float | None = None,
    leads: int | tuple[str, ...] | None = None,
    rate_hz: float | None = None,
    allow_flat: bool = False,
) -> Drive:
    """What the recording at `path` gives to a clip of `seconds` that begins `at_s` into it.

    By default it begins where a generated clip would: 1.6 s after the electrodes have settled. `leads`: names of leads,
    or how many of the first ones, to keep; all by default. `rate_hz` is needed where the file does not say it. A flat
    line is refused unless `allow_flat`; hearts that follow one stand still.
    """
    ecg = read_ecg(path, rate_hz=rate_hz)
    begin = clip_start(ecg, seconds, at_s)
    around = stretch(ecg, begin - CONTEXT_S, begin + seconds + CONTEXT_S)
    beats = find_beats(around, allow_flat)
    judged = judge_origins(around, beats)
    own = np.isin(judged.beats, WITHOUT_P)
    # P waves may be there all the same, also where many early beats were taken for fibrillation
    unseen = beats.rhythm in ("regular", "unknown") or beats.rhythm == "irregular" and judged.rhythm != "af"
    kept = _chosen(stretch(ecg, begin - BEFORE_S, begin + seconds + AFTER_S), leads)
    return Drive(
        ecg=replace(kept, start_s=kept.start_s - begin),
        r_peaks_s=beats.r_peaks_s - begin,
        p_onsets_s=None if unseen else np.where(own, np.nan, beats.p_onsets_s - begin),
        origins=judged.beats,
        rhythm=judged.rhythm,
        conduction=judged.conduction,
        heart_rate_bpm=beats.heart_rate_bpm if len(beats.r_peaks_s) > 1 else 75.0,
        source=EcgSource(Path(ecg.name).name, begin - ecg.start_s),
    )


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
