"""Simulated clips as a scanner's monitor shows them: depth marks, words, and the ECG burned in."""

from __future__ import annotations

import numpy as np

from echopulse.phantom.scanner.overlays import Look, Screen, draw_look, print_overlays
from echopulse.phantom.simulate import PhantomClips, stream

SCREEN = (800, 600)  # pixels across and down
LOOK_STREAM = 20  # of a seed, for the looks of the screen


def print_screen(made: PhantomClips, i: int, *, size: tuple[int, int] = SCREEN, look: Look | None = None) -> Screen:
    """Clip i on a monitor of `size` (width, height) pixels, with the first lead of its ECG.

    `look` arranges the screen; without one, it is that of a machine which the clips' seed decides. Raises InputError
    for screens of fewer than 128 pixels either way.
    """
    clip, ecg = made.clip(i), made.ecg_of(i)
    return print_overlays(
        clip.frames, clip.sector, clip.times_s, pixel_spacing_cm=clip.pixel_spacing_cm,
        look=look or draw_look(stream(made.seed, LOOK_STREAM)), ecg=(np.nan_to_num(ecg.samples[0]), ecg.times_s),
        size=size, heart_rate_bpm=heart_rate(made, i), fps=made.fps,
    )  # fmt: skip


def heart_rate(made: PhantomClips, i: int) -> float | None:
    """60 over the median interval of the beats around clip i; None where there are fewer than two."""
    peaks = made.truth.r_peaks_s[i].cpu().numpy()
    intervals = np.diff(np.sort(peaks[np.isfinite(peaks)]))
    return float(60 / np.median(intervals)) if len(intervals) else None
