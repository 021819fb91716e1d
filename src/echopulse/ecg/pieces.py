"""The beats of a recording of hours, found a piece at a time: each has its own best lead and its own thresholds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from echopulse.ecg.quality import is_flat
from echopulse.ecg.rhythm import name_rhythm
from echopulse.ecg.types import ECG, Beats

PIECE_S, OVERLAP_S = 600.0, 10.0
PER_BEAT = ("r_peaks_s", "p_onsets_s", "q_onsets_s", "t_peaks_s", "t_ends_s", "doubtful", "ectopic")


def no_beats(why: str, gaps_s: np.ndarray | None = None) -> Beats:
    """None, and why."""
    empty = np.zeros(0)
    return Beats(
        empty, empty, empty, empty, empty, rhythm="none", quality=0.0, provenance={"lead": why}, gaps_s=gaps_s
    )


def beats_in_pieces(ecg: ECG, find: Callable[[ECG], Beats]) -> Beats:
    """What `find` finds in ten minutes at a time, with ten seconds more on either side to look at."""
    stop_s = ecg.start_s + ecg.duration_s
    edges = np.linspace(ecg.start_s, stop_s, int(np.ceil(ecg.duration_s / PIECE_S)) + 1)
    found = []
    for first, last in zip(edges, edges[1:], strict=False):
        begin, end = max(first - OVERLAP_S, ecg.start_s), min(last + OVERLAP_S, stop_s)
        part = ecg.crop(begin, end - begin)
        if is_flat(part):  # and so it is where nothing was recorded
            found.append(no_beats("a flat line", np.array([[first, last]])))
        else:
            found.append(_between(find(part), first, last if last < stop_s else np.inf))
    joined = {name: np.concatenate([getattr(piece, name) for piece in found]) for name in PER_BEAT}
    gaps_s = np.concatenate([piece.gaps_s for piece in found])
    some = [piece for piece in found if len(piece.r_peaks_s)]
    if not some:
        return no_beats("all leads", gaps_s)
    leads = sorted({piece.provenance["lead"].split()[0] for piece in some})
    agreed = 100 * float(1 - joined["doubtful"].mean())
    provenance = {
        "lead": f"{', '.join(leads)} for R, chosen anew in each of {len(found)} pieces",
        "detectors": f"{some[0].provenance['detectors'].partition(' agree ')[0]} agree on {agreed:.1f} % of the beats",
        "ectopic": " ".join(f"{time:.2f}" for time in joined["r_peaks_s"][joined["ectopic"]]) or "none",
    }
    rhythm = name_rhythm(joined["r_peaks_s"], joined["ectopic"], np.isfinite(joined["p_onsets_s"]), gaps_s)
    quality = float(np.average([piece.quality for piece in some], weights=[len(piece.r_peaks_s) for piece in some]))
    return Beats(**joined, rhythm=rhythm, quality=quality, provenance=provenance, gaps_s=gaps_s)


def _between(beats: Beats, first_s: float, stop_s: float) -> Beats:
    """Those whose R peak comes from `first_s` to before `stop_s`, and the gaps there."""
    inside = (beats.r_peaks_s >= first_s) & (beats.r_peaks_s < stop_s)
    gaps_s = np.clip(beats.gaps_s, first_s, stop_s)
    cut = {name: getattr(beats, name)[inside] for name in PER_BEAT}
    return replace(beats, **cut, gaps_s=gaps_s[gaps_s[:, 1] > gaps_s[:, 0]])
