"""Does a minute of video stay the same heart? EF and picture at its end against its beginning, and what borders show.

Of every heart the first picture and the ECG are given, as in the main condition, but the clip goes on. Pictures are
compared at end-diastole, so that a heart that stands still cannot pass for one that stays the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from echopulse.echo import Clip
from echopulse.evaluate.bench import Bench
from echopulse.evaluate.hearts import Heart, hearts_of, simulate_held_out
from echopulse.evaluate.held_out import median_of
from echopulse.evaluate.keys import Figure, at_most
from echopulse.evaluate.known import mean_known
from echopulse.evaluate.metrics import ssim
from echopulse.evaluate.results import Results
from echopulse.evaluate.together import Counted, OnStep
from echopulse.model.windows import plan_windows

HEARTS, SECONDS, SEED = 4, 60.0, 970_000
END_S = 10.0  # at either end, which are compared
PICTURES = 8  # at end-diastole at most, of either end
FRAMES_PER_LATENT = 4
OPENING_FRAMES = 5  # that are simulated: the first is the picture that is given

FIGURES = {
    "long.ef_drift": Figure("", "EF of the last ten seconds against the first, absolute, median", at_most(0.02)),
    "long.ssim_first": Figure("", "likeness (SSIM) of pictures at end-diastole within the first ten seconds, median"),
    "long.ssim_fall": Figure("", "how much less like those the last ten seconds are, median of hearts", at_most(0.03)),
    "long.rate_difference_bpm": Figure("/min", "heart rate, video against ECG over the whole clip, median of hearts"),
    "long.border_kink": Figure(
        "", "acceleration of the area where windows meet over elsewhere, median of hearts", at_most(1.2)
    ),
    "long.border_kink_alike": Figure("", "the same over that where other latent frames meet, median of hearts"),
    "long.latent_kink": Figure(
        "", "acceleration of the area where latent frames of a window meet over that within them, median of hearts"
    ),
}


def held_out_for_long(seconds: float, *, clips: int = HEARTS, seed: int = SEED, **options) -> list[Heart]:
    """Hearts of the held-out kind that beat, with their first picture and an ECG of `seconds` after it."""
    found: list[Heart] = []
    while len(found) < clips:
        made = simulate_held_out(clips, seed, frames=OPENING_FRAMES, ecg_after_s=seconds + 1, **options)
        found += [heart for heart in hearts_of(made, len(found)) if heart.moving]
        seed += 1
    return found[:clips]


def long_scores(
    bench: Bench,
    hearts: Sequence[Heart],
    *,
    seconds: float = SECONDS,
    fps: float,
    window: int | None = None,
    on_step: OnStep = lambda _: None,
) -> Results:
    """All of `FIGURES`; those of window borders for a model whose `window` is known."""
    work = Counted(on_step, len(hearts))
    frames = round(seconds * fps)

    def one(heart: Heart) -> dict[str, float]:
        made = bench.generate(
            heart.ecg, -heart.ecg_start_s, frames, leads=heart.leads, first=heart.frames[0], view=heart.view, ef=None,
            seed=heart.seed,
        )  # fmt: skip
        return examine(made, heart, bench.measure, fps, window)

    found = bench.each(one, hearts, work)
    results = Results.of({"n": len(hearts)})
    for name in found[0]:
        results |= median_of(name, [clip[name] for clip in found])
    return results


def examine(
    frames: np.ndarray, heart: Heart, measure: Callable[[Clip], object], fps: float, window: int | None
) -> dict[str, float]:
    """The figures of one long clip, uint8 [t, h, w]."""
    times = np.arange(len(frames)) / fps
    seen = measure(Clip(frames, times, heart.view, heart.spacing_cm, synthetic=True))
    at = times[seen.ed_frames]
    early, late = at < END_S, at >= times[-1] - END_S
    pictures = torch.from_numpy(frames).float() / 255
    first = seen.ed_frames[early][:PICTURES]
    alike = likeness(pictures, first, first)
    peaks = heart.r_peaks_s[(heart.r_peaks_s >= 0) & (heart.r_peaks_s <= times[-1])]
    given = 60 * (len(peaks) - 1) / np.ptp(peaks) if len(peaks) > 1 else np.nan
    shown = 60 * (len(at) - 1) / np.ptp(at) if len(at) > 1 else np.nan
    found = {
        "ef_drift": abs(mean_known(seen.ef_per_beat[late]) - mean_known(seen.ef_per_beat[early])),
        "ssim_first": alike,
        "ssim_fall": alike - likeness(pictures, first, seen.ed_frames[late][-PICTURES:]),
        "rate_difference_bpm": abs(shown - given),
    }
    if window is not None:
        areas = np.where(np.isfinite(seen.volumes), seen.areas_cm2, np.nan)
        borders, latent = border_frames(len(frames), window), np.arange(1, len(frames), FRAMES_PER_LATENT)
        others = np.setdiff1d(latent, borders)
        found["border_kink"] = border_kink(areas, borders)
        found["border_kink_alike"] = border_kink(areas, borders, others)
        found["latent_kink"] = border_kink(areas, others, latent + FRAMES_PER_LATENT // 2)
    return found


def likeness(pictures: torch.Tensor, some: np.ndarray, others: np.ndarray) -> float:
    """Mean SSIM of pictures at `some` indices with those at `others`, no picture with itself; NaN without a pair."""
    pairs = [(a, b) for a in some for b in others if a != b]
    if not pairs:
        return float("nan")
    left, right = (pictures[list(side)] for side in zip(*pairs, strict=True))
    return ssim(left, right)


def border_frames(frames: int, window: int, frames_per_latent: int = FRAMES_PER_LATENT) -> np.ndarray:
    """The first frame of every window but the first, of a clip of so many frames, int [k]."""
    latents = 1 + -(-(frames - 1) // frames_per_latent)
    plans = [plan for plan in plan_windows(latents, window) if not plan.first]
    begins = np.array([plan.latents[plan.known] for plan in plans], int)
    return begins * frames_per_latent - (frames_per_latent - 1)


def border_kink(areas: np.ndarray, borders: np.ndarray, others: np.ndarray | None = None) -> float:
    """Mean absolute second difference of areas [t] across the borders over that elsewhere; NaN where one is missing.

    A border is the first frame after it, int [k]. Elsewhere: across `others`, or everywhere but at the borders.
    """
    bend = np.abs(np.diff(areas, 2))  # bend[t - 1] is at frame t
    across, beside = (np.zeros(len(bend), bool) for _ in range(2))
    for place, firsts in ((across, borders), (beside, others)):
        for frame in () if firsts is None else (firsts - 1, firsts):
            place[frame[(frame >= 1) & (frame <= len(bend))] - 1] = True
    elsewhere = mean_known(bend[~across if others is None else beside & ~across])
    return mean_known(bend[across]) / elsewhere if elsewhere > 0 else float("nan")
