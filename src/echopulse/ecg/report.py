"""What was read of an ECG and what is seen in it, as words for people and as plain values for programs."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from echopulse.ecg.quality import quality_per_second, signal_quality
from echopulse.ecg.rhythm import WORDS, rhythm_words
from echopulse.ecg.types import ECG, Beats

GOOD, FAIR = 0.7, 0.4  # below FAIR beats are found by luck
MOST_NOTES = 8


def peak_to_peak_mv(ecg: ECG) -> dict[str, float]:
    """Largest less smallest sample of each lead, millivolts."""
    return {
        lead: float(np.nanmax(row) - np.nanmin(row)) if np.isfinite(row).any() else float("nan")
        for lead, row in zip(ecg.leads, ecg.samples, strict=True)
    }


def as_dictionary(ecg: ECG, beats: Beats) -> dict[str, Any]:
    """Keys leads, rate_hz, start_s, seconds, peak_to_peak_mv, provenance, beats, quality, quality_per_lead,
    quality_per_second (of the clearest lead there) and notes.
    """
    rhythm = rhythm_words(beats)
    return {
        "leads": list(ecg.leads),
        "rate_hz": ecg.rate_hz,
        "start_s": ecg.start_s,
        "seconds": ecg.duration_s,
        "peak_to_peak_mv": peak_to_peak_mv(ecg),
        "provenance": ecg.provenance,
        "beats": {
            "count": len(beats.r_peaks_s),
            "r_peaks_s": beats.r_peaks_s,
            "p_onsets_s": beats.p_onsets_s,
            "t_ends_s": beats.t_ends_s,
            "doubtful": beats.doubtful,
            "heart_rate_bpm": beats.heart_rate_bpm,
            "rhythm": beats.rhythm,
            "rhythm_in_words": rhythm.words,
            "rhythm_in_numbers": rhythm.numbers,
            "provenance": beats.provenance,
        },
        "quality": beats.quality,
        "quality_per_lead": dict(zip(ecg.leads, signal_quality(ecg).tolist(), strict=True)),
        "quality_per_second": quality_per_second(ecg).max(axis=0),
        "notes": [{"time_s": note.time_s, "text": note.text} for note in ecg.notes],
    }


def describe(ecg: ECG, beats: Beats) -> str:
    """Lines for a terminal: what it is, each lead, how each thing was decided, beats, rhythm and quality."""
    leads = f"{len(ecg.leads)} leads" if len(ecg.leads) > 1 else "1 lead"
    begin = f", from {ecg.start_s:.2f} s on" if ecg.start_s else ""
    lines = [
        f"{ecg.name}: {leads}, {ecg.rate_hz:g} Hz, {ecg.duration_s:.2f} s{begin}",
        "",
        "lead    peak to peak  quality",
    ]
    quality = signal_quality(ecg)
    for (lead, size), good in zip(peak_to_peak_mv(ecg).items(), quality, strict=True):
        lines.append(f"{lead:<7} {size:>9.3f} mV {good:>8.2f}")
    lines += ["", "how each thing was decided"]
    width = max(len(key) for key in [*ecg.provenance, "beats"])
    lines += [f"  {key:<{width}}  {text}" for key, text in ecg.provenance.items() if key != "path"]
    lines += [f"  {'beats':<{width}}  {key}: {text}" for key, text in beats.provenance.items()]
    lines += ["", f"beats    {_beats(beats)}", f"rhythm   {rhythm_words(beats).words}"]
    lines.append(f"quality  {beats.quality:.2f} of 1: {_how_good(beats.quality)}")
    if ecg.notes:
        lines.append(f"notes    {_notes(ecg)}")
    return "\n".join(lines)


def headline(ecg: ECG, beats: Beats) -> str:
    """Rate and rhythm on one line."""
    rate = f"{beats.heart_rate_bpm:.0f}/min, " if np.isfinite(beats.heart_rate_bpm) else ""
    return rate + WORDS.get(beats.rhythm, beats.rhythm)


def _beats(beats: Beats) -> str:
    count = len(beats.r_peaks_s)
    if not count:
        return "none"
    doubtful = int(np.sum(beats.doubtful))
    doubts = f" ({doubtful} doubtful)" if doubtful else ""
    words = f"{count}{doubts}, from {beats.r_peaks_s[0]:.2f} s to {beats.r_peaks_s[-1]:.2f} s"
    if count > 1:
        shortest, longest = beats.rr_s.min(), beats.rr_s.max()
        words += f", {beats.heart_rate_bpm:.0f}/min (intervals {shortest:.2f} to {longest:.2f} s)"
    return words


def _how_good(quality: float) -> str:
    if quality >= GOOD:
        return "clear"
    return "fair" if quality >= FAIR else "poor, do not trust the beats"


def _notes(ecg: ECG) -> str:
    if len(ecg.notes) <= MOST_NOTES:
        return "; ".join(f"{note.time_s:.2f} s {note.text}" for note in ecg.notes)
    kinds = Counter(note.text for note in ecg.notes).most_common(MOST_NOTES)
    return f"{len(ecg.notes)}: " + ", ".join(f"{count} × {text[:40]}" for text, count in kinds)
