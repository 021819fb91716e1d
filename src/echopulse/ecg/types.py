"""The two nouns of this room: a recording, and the beats found in it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np

from echopulse.errors import InputError


@dataclass(frozen=True)
class Note:
    """What a file says about a moment: its time in seconds from the start of the recording, and the words."""

    time_s: float
    text: str


@dataclass(frozen=True)
class ECG:
    """An electrocardiogram in physical units.

    samples     float32 [leads, n], millivolts; NaN where the recording has a gap
    rate_hz     samples per second
    leads       one name per row ("I", "aVR", "V1", "MLII", ... or "ECG" where the file names none)
    start_s     time of the first sample, in seconds from the start of the whole recording
    provenance  how file, rate, unit, leads and polarity were decided, in plain words; "recorded" says when
    notes       annotations in the file (beats, events, what the device said), in the order of their times
    """

    samples: np.ndarray
    rate_hz: float
    leads: tuple[str, ...]
    start_s: float = 0.0
    provenance: dict[str, str] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()

    def __post_init__(self) -> None:
        samples = np.asarray(self.samples, dtype=np.float32)
        if samples.ndim != 2 or len(samples) != len(self.leads):
            raise ValueError(f"samples must be [leads, n] with {len(self.leads)} leads, got {samples.shape}")
        if not (np.isfinite(self.rate_hz) and self.rate_hz > 0):
            raise InputError(f"A sampling rate of {self.rate_hz} Hz is impossible; give a positive number.")
        object.__setattr__(self, "samples", samples)
        object.__setattr__(self, "rate_hz", float(self.rate_hz))
        object.__setattr__(self, "leads", tuple(self.leads))

    @property
    def name(self) -> str:
        """What to call this recording in a message: its file, or "the ECG"."""
        return self.provenance.get("path", "the ECG")

    @property
    def duration_s(self) -> float:
        return self.samples.shape[1] / self.rate_hz

    @property
    def times_s(self) -> np.ndarray:
        """float64 [n], seconds from the start of the whole recording."""
        return self.start_s + np.arange(self.samples.shape[1]) / self.rate_hz

    def crop(self, start_s: float, seconds: float) -> ECG:
        """The part that begins at `start_s` (on the clock of `times_s`) and lasts `seconds`, with the notes in it."""
        first = round((start_s - self.start_s) * self.rate_hz)
        count = round(seconds * self.rate_hz)
        n = self.samples.shape[1]
        if first < 0 or count < 1 or first + count > n:
            raise InputError(
                f"{self.name}: {seconds:g} s from {start_s:g} s on were asked for, but the ECG runs from "
                f"{self.start_s:g} s to {self.start_s + self.duration_s:.1f} s ({self.duration_s:.1f} s); ask for less."
            )
        begin = self.start_s + first / self.rate_hz
        notes = tuple(note for note in self.notes if begin <= note.time_s < begin + count / self.rate_hz)
        return replace(self, samples=self.samples[:, first : first + count], start_s=begin, notes=notes)

    def resampled(self, rate_hz: float) -> ECG:
        """The same recording at another rate (polyphase filter, so nothing folds back when going down).

        The first sample keeps its time. Gaps (NaN) stay gaps.
        """
        if rate_hz == self.rate_hz:
            return self
        from scipy.signal import resample_poly

        ratio = Fraction(rate_hz / self.rate_hz).limit_denominator(1000)
        gaps = ~np.isfinite(self.samples)
        filled = fill_gaps(self.samples)
        edge = filled[:, :1]  # the filter sees zeros outside: remove the level first so that the ends stay level
        out = resample_poly(filled - edge, ratio.numerator, ratio.denominator, axis=1, padtype="line") + edge
        out = out.astype(np.float32)
        if gaps.any():
            old = np.arange(self.samples.shape[1])
            new = np.minimum(np.arange(out.shape[1]) * ratio.denominator / ratio.numerator, old[-1])
            for row, gap in zip(out, gaps, strict=True):
                row[np.interp(new, old, gap.astype(float)) > 0.5] = np.nan
        # the achieved rate can differ from the wish by the rounding of the ratio: tell the truth
        rate = self.rate_hz * ratio.numerator / ratio.denominator
        rate = rate_hz if abs(rate / rate_hz - 1) < 1e-9 else rate
        return replace(self, samples=out, rate_hz=rate)


@dataclass(frozen=True)
class Beats:
    """What was found in an ECG, one entry per beat.

    All times float64 [beats], seconds on the ECG's clock, NaN where a wave is absent or not found.
    rhythm      "sinus", "ectopic", "irregular", "regular", "none" or "unknown" (see `beats.py`); no diagnosis
    quality     0 (noise) .. 1 (two detectors agree on every beat of a clean signal)
    provenance  which lead and which detectors, and what was mended
    doubtful    bool [beats]: not both detectors found it
    ectopic     bool [beats]: its QRS has another shape than the usual one
    gaps_s      float64 [k, 2]: from when to when no beats could be found, as nothing was recorded
    """

    r_peaks_s: np.ndarray
    p_onsets_s: np.ndarray
    q_onsets_s: np.ndarray
    t_peaks_s: np.ndarray
    t_ends_s: np.ndarray
    rhythm: str
    quality: float
    provenance: dict[str, str] = field(default_factory=dict)
    doubtful: np.ndarray | None = None  # none of them, where it is not given; likewise below
    ectopic: np.ndarray | None = None
    gaps_s: np.ndarray | None = None

    def __post_init__(self) -> None:
        count = len(self.r_peaks_s)
        for name in ("r_peaks_s", "p_onsets_s", "q_onsets_s", "t_peaks_s", "t_ends_s"):
            value = np.asarray(getattr(self, name), dtype=np.float64)
            if value.shape != (count,):
                raise ValueError(f"{name} must hold one time per beat ({count}), got shape {value.shape}")
            object.__setattr__(self, name, value)
        for name in ("doubtful", "ectopic"):
            value = getattr(self, name)
            value = np.zeros(count, dtype=bool) if value is None else np.asarray(value, dtype=bool)
            if value.shape != (count,):
                raise ValueError(f"{name} must hold one bool per beat ({count}), got shape {value.shape}")
            object.__setattr__(self, name, value)
        gaps = np.zeros((0, 2)) if self.gaps_s is None else np.asarray(self.gaps_s, dtype=np.float64)
        object.__setattr__(self, "gaps_s", gaps.reshape(-1, 2))

    @property
    def rr_s(self) -> np.ndarray:
        """Intervals between successive R peaks, float64 [beats - 1], seconds."""
        return np.diff(self.r_peaks_s)

    @property
    def heart_rate_bpm(self) -> float:
        """60 / median RR; NaN with fewer than two beats."""
        return float(60.0 / np.median(self.rr_s)) if len(self.r_peaks_s) > 1 else float("nan")


def fill_gaps(samples: np.ndarray) -> np.ndarray:
    """Straight lines across NaN; the nearest value at the ends, zero where a whole lead is NaN. [leads, n]"""
    filled = np.array(samples, dtype=np.float64)
    at = np.arange(filled.shape[1])
    for row in filled:
        good = np.isfinite(row)
        if not good.all():
            row[:] = np.interp(at, at[good], row[good]) if good.any() else 0.0
    return filled
