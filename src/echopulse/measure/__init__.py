"""Measuring the left ventricle in a clip: outline it, compute volumes, find the beats.

The same instrument is held to simulated, real and generated clips. It learned from simulated hearts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from echopulse.errors import InputError
from echopulse.measure.cycle import (
    Cycles,
    ejection_fraction_overall,
    find_cycles,
    phase_times,
    smooth_curve,
)
from echopulse.measure.segmenter import Segmenter, SegmenterConfig, segment
from echopulse.measure.types import Measurement
from echopulse.measure.volumes import Volumes, measure_volumes

if TYPE_CHECKING:
    from echopulse.echo.types import Clip

__all__ = [
    "Cycles", "Measurement", "Segmenter", "SegmenterConfig", "Volumes", "ejection_fraction_overall", "find_cycles",
    "measure_clip", "measure_masks", "measure_volumes", "phase_times", "segment", "smooth_curve",
]


def measure_clip(clip: Clip, segmenter: Segmenter) -> Measurement:
    """Outline the left ventricle in every frame of an apical clip and measure it; ml if the pixel spacing is known."""
    if clip.view is not None and clip.view not in ("a4c", "a2c"):
        raise InputError(f"view {clip.view}: the left ventricle is measured in apical views (a4c, a2c) only")
    masks, confidence = segment(segmenter, clip.frames)
    return measure_masks(masks, clip.times_s, pixel_spacing_cm=clip.pixel_spacing_cm, confidence=confidence)


def measure_masks(masks: np.ndarray, times_s: np.ndarray, *, pixel_spacing_cm: float | None = None,
                  confidence: np.ndarray | None = None) -> Measurement:
    """Volumes and beats from outlines that are already there: masks bool [t, h, w] at times [t] in seconds.

    Without a pixel spacing the height of the picture counts as one unit of length. Without a confidence the outlines
    count as certain (the phantom's own).
    """
    masks, times = np.asarray(masks, dtype=bool), np.asarray(times_s, dtype=np.float64)
    pixel_size = 1.0 / masks.shape[1] if pixel_spacing_cm is None else pixel_spacing_cm
    volumes = measure_volumes(masks, pixel_size)
    cycles = find_cycles(times, volumes.simpson)
    return Measurement(
        times_s=times, masks=masks, areas_cm2=volumes.areas, volumes=volumes.simpson,
        volumes_area_length=volumes.area_length, volume_unit="relative" if pixel_spacing_cm is None else "ml",
        ed_frames=cycles.ed_frames, es_frames=cycles.es_frames, ef_per_beat=cycles.ef_per_beat,
        confidence=np.ones(len(times)) if confidence is None else confidence)
