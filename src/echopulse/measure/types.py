"""What is measured in a clip."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from echopulse.measure.cycle import heart_rate_from_phases


@dataclass(frozen=True, eq=False)
class Measurement:
    """The left ventricle of one clip of t frames with k whole contractions.

    With the clip's pixel spacing known, areas are in cm² and volumes in ml. Without it both are `"relative"`: the
    height of the picture counts as one unit of length. Ejection fractions are the same either way.

    Attributes:
        times_s: float64 [t], time of every frame in seconds.
        masks: bool [t, h, w], the cavity.
        areas_cm2: float64 [t].
        volumes: float64 [t], single-plane Simpson (20 discs); NaN where no ventricle was found.
        volumes_area_length: float64 [t], 8 A² / (3 pi L); NaN where no ventricle was found.
        volume_unit: `"ml"` or `"relative"`.
        ed_frames, es_frames: int [k], paired: end-diastole and the end-systole that follows it.
        ef_per_beat: float64 [k], fractions.
        confidence: float64 [t], 0..1, how sure the segmenter was of its outline.
    """

    times_s: np.ndarray
    masks: np.ndarray
    areas_cm2: np.ndarray
    volumes: np.ndarray
    volumes_area_length: np.ndarray
    volume_unit: str
    ed_frames: np.ndarray
    es_frames: np.ndarray
    ef_per_beat: np.ndarray
    confidence: np.ndarray

    @property
    def ef(self) -> float:
        """Median ejection fraction over the beats; NaN if no whole contraction was seen."""
        return float(np.median(self.ef_per_beat)) if len(self.ef_per_beat) else float("nan")

    @property
    def heart_rate_bpm(self) -> float:
        """60 over the median interval from ED to ED and from ES to ES; NaN with fewer than two beats."""
        return heart_rate_from_phases(self.times_s[self.ed_frames], self.times_s[self.es_frames])
