"""Measuring the heart in a clip: outline it, compute volumes and diameters, find the beats.

The same instrument is held to simulated, real and generated clips. It learned from simulated hearts.
"""

from echopulse.measure.biplane import Biplane, measure_biplane
from echopulse.measure.cycle import (
    Cycles,
    ejection_fraction_overall,
    find_cycles,
    phase_times,
    smooth_curve,
)
from echopulse.measure.reading import measure_clip, measure_masks
from echopulse.measure.segmenter import Outlines, Segmenter, SegmenterConfig, outline_all, segment
from echopulse.measure.types import Measurement, Walls
from echopulse.measure.volumes import Volumes, measure_volumes

__all__ = [
    "Biplane", "Cycles", "Measurement", "Outlines", "Segmenter", "SegmenterConfig", "Volumes", "Walls",
    "ejection_fraction_overall", "find_cycles", "measure_biplane", "measure_clip", "measure_masks", "measure_volumes",
    "outline_all", "phase_times", "segment", "smooth_curve",
]  # fmt: skip
