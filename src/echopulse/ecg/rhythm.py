"""What a rhythm is, from the times of its beats: one label, or plain words with the numbers behind them. No diagnosis.

    sinus      P waves before the beats
    ectopic    P waves before most beats, and beats that come early or look different
    irregular  no P waves, irregular intervals (as in atrial fibrillation)
    regular    no P waves found, regular intervals
    none       no beats at all: a flat line
    unknown    fewer than three beats
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from echopulse.ecg.types import Beats

EARLY = 0.85  # a beat came early when its interval is less than this share of those around it
PAUSE_S = 2.0  # an interval that long is a pause at any rate
SLOW_BPM, FAST_BPM = 50.0, 100.0
PIECE_S = 600.0  # of a long recording that get words of their own
CLEAR_P = 0.88  # of simulated hearts (20 dB, 12 and 2 leads) 96 % of P waves reach it, and 8 % of f waves taken for P
WORDS = {
    "sinus": "regular, with a P wave before the beats",
    "ectopic": "regular but for ectopic or early beats",
    "irregular": "irregular without P waves, as in atrial fibrillation",
    "regular": "regular, no P waves found",
    "none": "no beats",
    "unknown": "too few beats to tell",
}


@dataclass(frozen=True)
class RhythmWords:
    """A rhythm in words, the numbers that led to them, and for a long recording the same of its pieces.

    numbers  beats, doubtful, ectopic, early, pauses (counts); heart_rate_bpm; jumps_percent (median difference of
             successive intervals over the usual one); with_p_percent; longest_interval_s; irregular_percent (of the
             pieces' beats)
    pieces   (start_s, stop_s, words) each; none for a recording of up to ten minutes
    """

    words: str
    numbers: dict[str, float]
    pieces: tuple[tuple[float, float, str], ...] = ()

    def __str__(self) -> str:
        return self.words


def rhythm_words(beats: Beats) -> RhythmWords:
    """The rhythm of found beats in plain words, with the numbers; ten minutes at a time where they last longer."""
    peaks = beats.r_peaks_s
    if not len(peaks):
        return RhythmWords(WORDS["none"], {"beats": 0})
    edges = np.array([peaks[0], np.nextafter(peaks[-1], np.inf)])
    if peaks[-1] - peaks[0] > PIECE_S:
        edges = np.linspace(*edges, int(np.ceil((peaks[-1] - peaks[0]) / PIECE_S)) + 1)
    labels, words, numbers, spans = [], [], [], []
    for start, stop in zip(edges, edges[1:], strict=False):
        part = slice(*np.searchsorted(peaks, (start, stop)))
        if not len(peaks[part]):
            continue
        label, own = _judged(beats, part)
        labels.append(label)
        numbers.append(own)
        words.append(_in_words(label, own))
        spans.append((float(start), float(stop)))
    if len(spans) == 1:
        return RhythmWords(words[0], numbers[0])
    together = _together(beats, labels, numbers)
    pieces = tuple((*span, said) for span, said in zip(spans, words, strict=True))
    return RhythmWords(_of_pieces(labels, numbers, together), together, pieces)


def _judged(beats: Beats, part: slice) -> tuple[str, dict[str, float]]:
    """Label and numbers of some of the beats."""
    peaks, odd = beats.r_peaks_s[part], beats.ectopic[part]
    with_p = np.isfinite(beats.p_onsets_s[part])
    rr = np.diff(peaks)
    heard = ~across_gap(peaks, beats.gaps_s)
    known = rr[heard]
    numbers = {
        "beats": float(len(peaks)),
        "doubtful": float(beats.doubtful[part].sum()),
        "ectopic": float(odd.sum()),
        "early": float((came_early(rr) & heard[:-1] & heard[1:] & ~odd[1:-1]).sum()) if len(rr) > 1 else 0.0,
        "pauses": float((known >= PAUSE_S).sum()),
        "with_p_percent": round(100 * float(with_p[~odd].mean()), 1) if not odd.all() else 0.0,
    }
    if len(known):
        numbers["heart_rate_bpm"] = round(float(60 / np.median(known)), 1)
        numbers["longest_interval_s"] = round(float(known.max()), 2)
        numbers["jumps_percent"] = round(100 * jumps(rr, odd, heard), 1)
    return name_rhythm(peaks, odd, with_p, beats.gaps_s), numbers


def _in_words(label: str, numbers: dict[str, float]) -> str:
    """One line, e.g. "62/min, irregular without P waves, as in atrial fibrillation (intervals jump by 18 %, ...)"."""
    rate = numbers.get("heart_rate_bpm")
    if rate is None:
        return f"{numbers['beats']:.0f} beat, {WORDS['unknown']}"
    pace = "slow, " if rate < SLOW_BPM else "fast, " if rate > FAST_BPM else ""
    said = f"{rate:.0f}/min, {pace}{WORDS[label]} (successive intervals differ by {numbers['jumps_percent']:.0f} %, "
    said += f"P waves before {numbers['with_p_percent']:.0f} % of the usual beats)"
    return said + _counts(numbers)


def _counts(numbers: dict[str, float]) -> str:
    said = ""
    if numbers["ectopic"]:
        said += f"; {numbers['ectopic']:.0f} of {numbers['beats']:.0f} beats of another shape (ectopic)"
    if numbers["early"]:
        said += f"; {numbers['early']:.0f} early of the usual shape"
    if numbers["pauses"]:
        number = f"{numbers['pauses']:.0f} pauses" if numbers["pauses"] > 1 else "a pause"
        said += f"; {number} of {PAUSE_S:g} s or more, up to {numbers['longest_interval_s']:.1f} s"
    if numbers["doubtful"]:
        number = f"{numbers['doubtful']:.0f} beats" if numbers["doubtful"] > 1 else "a beat"
        said += f"; {number} doubtful"
    return said


def _together(beats: Beats, labels: list[str], numbers: list[dict[str, float]]) -> dict[str, float]:
    counts = {name: sum(own[name] for own in numbers) for name in ("beats", "doubtful", "ectopic", "early")}
    known = np.diff(beats.r_peaks_s)[~across_gap(beats.r_peaks_s, beats.gaps_s)]
    usual = ~beats.ectopic
    irregular = sum(own["beats"] for label, own in zip(labels, numbers, strict=True) if label == "irregular")
    return {
        **counts,
        "pauses": float((known >= PAUSE_S).sum()),
        "with_p_percent": round(100 * float(np.isfinite(beats.p_onsets_s[usual]).mean()), 1) if usual.any() else 0.0,
        "heart_rate_bpm": round(float(60 / np.median(known)), 1),
        "longest_interval_s": round(float(known.max()), 2),
        "jumps_percent": round(float(np.median([own.get("jumps_percent", 0.0) for own in numbers])), 1),
        "irregular_percent": round(100 * irregular / counts["beats"], 1),
    }


def _of_pieces(labels: list[str], numbers: list[dict[str, float]], together: dict[str, float]) -> str:
    rates = [own["heart_rate_bpm"] for own in numbers if "heart_rate_bpm" in own]
    shares = sorted(((labels.count(label), label) for label in set(labels)), reverse=True)
    said = "; ".join(f"{count} of {len(labels)} pieces {WORDS[label]}" for count, label in shares)
    return f"{together['heart_rate_bpm']:.0f}/min ({min(rates):.0f} to {max(rates):.0f}), {said}" + _counts(together)


def name_rhythm(
    peaks_s: np.ndarray,
    odd: np.ndarray,
    with_p: np.ndarray,
    gaps_s: np.ndarray | None = None,
    p_clarity: float = 1.0,
) -> str:
    """One of the labels of this module's docstring.

    peaks_s float64 [beats]; odd bool [beats], of another shape; with_p bool [beats]; intervals across the gaps
    float64 [k, 2] do not count; p_clarity as in `Waves`, 0 where P waves are too low to say, 1 where only
    those are left that were believed.
    """
    rr = np.diff(peaks_s)
    heard = ~across_gap(peaks_s, gaps_s)
    if heard.sum() < 2:
        return "unknown"
    early = came_early(rr) & heard[:-1] & heard[1:]
    ordinary = ~odd
    share = float(np.mean(with_p[ordinary])) if ordinary.any() else 0.0
    wobble = jumps(rr, odd, heard)
    # a sinus node does not jump by 15 % from beat to beat; what looks like P waves then are fibrillation waves, unless
    # they are alike before all beats, as where beats are dropped or early
    alike = p_clarity >= CLEAR_P and share >= 0.7
    if wobble > 0.08 and share < 0.7 or wobble > 0.15 and odd.mean() < 0.15 and not alike:
        return "irregular"
    if share >= 0.5:
        return "ectopic" if odd.any() or early.any() and not 0.08 <= wobble <= 0.15 else "sinus"
    return "ectopic" if odd.any() and wobble < 0.08 else "regular"


def came_early(rr: np.ndarray) -> np.ndarray:
    """bool [beats - 2]: the beat after an interval came early, which a longer one follows.

    Breathing shortens several intervals in a row.
    """
    around = np.array([np.median(rr[max(0, i - 3) : i + 4]) for i in range(len(rr))])
    return (rr[:-1] < EARLY * around[:-1]) & (rr[1:] > 1.08 * around[1:])


def jumps(rr: np.ndarray, odd: np.ndarray, heard: np.ndarray) -> float:
    """Median difference of successive intervals over the usual one, without those around beats of another shape."""
    usual = float(np.median(rr[heard]))
    calm = heard & ~(odd[1:] | odd[:-1])
    chosen = rr[calm] if calm.sum() >= 3 else rr[heard]
    return float(np.median(np.abs(np.diff(chosen))) / usual) if len(chosen) > 2 else 0.0


def across_gap(peaks_s: np.ndarray, gaps_s: np.ndarray | None) -> np.ndarray:
    """bool [beats - 1]: the interval after a beat has a gap in it, so that a beat may be missing."""
    crossed = np.zeros(max(len(peaks_s) - 1, 0), dtype=bool)
    for first, stop in np.zeros((0, 2)) if gaps_s is None else gaps_s:
        crossed |= (peaks_s[:-1] < stop) & (peaks_s[1:] > first)
    return crossed
