"""What is measured in a clip."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from echopulse.measure.cycle import heart_rate_from_phases, is_irregular


@dataclass(frozen=True, eq=False)
class Walls:
    """What a parasternal long axis shows across the left ventricle, float64 [t] each; NaN where it cannot be seen.

    In cm where the pixel spacing is known, else in heights of the picture.
    """

    septum: np.ndarray
    cavity: np.ndarray
    posterior: np.ndarray


@dataclass(frozen=True, eq=False)
class Measurement:
    """The left ventricle of one clip of t frames with k whole contractions.

    With the clip's pixel spacing known, lengths are in cm, areas in cm² and volumes in ml. Without it all are
    `"relative"`: the height of the picture counts as one unit of length. Fractions are the same either way. Volumes and
    all that follows from them are NaN in views that do not show the whole long axis (PLAX, PSAX).

    Attributes:
        times_s: float64 [t], time of every frame in seconds.
        masks: bool [t, h, w], the cavity.
        areas_cm2: float64 [t].
        volumes: float64 [t], single-plane Simpson (20 discs); NaN where no ventricle was found.
        volumes_area_length: float64 [t], 8 A² / (3 pi L); NaN where no ventricle was found.
        volume_unit: `"ml"` or `"relative"`.
        ed_frames, es_frames: int [k], paired: end-diastole and the end-systole that follows it.
        ef_per_beat: float64 [k], fractions, by Simpson's rule.
        confidence: float64 [t], 0..1, how sure the segmenter was of its outline.
        view: one of VIEWS, given or guessed; None: unknown, read as an apical view.
        view_confidence: how sure the guess was, 0..1; None where the view was given.
        labels: uint8 [t, h, w], index into LABELS, every chamber; None where only the ventricle is known.
        volumes_calibrated: float64 [t], Simpson's corrected by what was learned on simulated hearts; None where the
            weights hold no such correction or the view allows none.
        ef_per_beat_calibrated: float64 [k], by those; None likewise.
        area_change_per_beat: float64 [k], fractional area change, of the cavity as seen.
        apex, annulus: float64 [t, 2], (column, row) of the ends of the long axis; NaN where there is none.
        gls_per_beat: float64 [k], longitudinal strain of the outline, a fraction, negative in a heart that shortens.
        annulus_descent_per_beat: float64 [k], of the annulus towards the apex, cm or relative.
        walls: diameters in a parasternal long axis; None in other views.
        recurrence_bpm: heart rate from the pictures' coming again, where the clip shows no two EDs or ESs; else NaN.
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
    view: str | None = None
    view_confidence: float | None = None
    labels: np.ndarray | None = None
    volumes_calibrated: np.ndarray | None = None
    ef_per_beat_calibrated: np.ndarray | None = None
    area_change_per_beat: np.ndarray | None = None
    apex: np.ndarray | None = None
    annulus: np.ndarray | None = None
    gls_per_beat: np.ndarray | None = None
    annulus_descent_per_beat: np.ndarray | None = None
    walls: Walls | None = None
    recurrence_bpm: float = float("nan")

    @property
    def ef(self) -> float:
        """Median ejection fraction over the beats by Simpson's rule; NaN if no whole contraction was seen."""
        return _median(self.ef_per_beat)

    @property
    def ef_calibrated(self) -> float:
        """The same by the calibrated volumes; NaN where there are none."""
        return _median(self.ef_per_beat_calibrated)

    @property
    def gls(self) -> float:
        """Median longitudinal strain over the beats, a fraction below 0; NaN where there is none."""
        return _median(self.gls_per_beat)

    @property
    def area_change(self) -> float:
        """Median fractional area change over the beats; NaN where there is none."""
        return _median(self.area_change_per_beat)

    @property
    def heart_rate_bpm(self) -> float:
        """60 over the usual interval from ED to ED and from ES to ES; with fewer than two beats `recurrence_bpm`."""
        rate = heart_rate_from_phases(self.times_s[self.ed_frames], self.times_s[self.es_frames])
        return rate if np.isfinite(rate) else self.recurrence_bpm

    @property
    def rate_is_rough(self) -> bool:
        """Whether the heart rate is that of the pictures' coming again, for want of a second ED or ES."""
        return bool(np.isfinite(self.recurrence_bpm))

    @property
    def is_irregular(self) -> bool:
        """Whether the beats that were found follow each other irregularly; then very short ones may be missing."""
        return is_irregular(self.times_s[self.ed_frames], self.times_s[self.es_frames])


def _median(values: np.ndarray | None) -> float:
    known = np.zeros(0) if values is None else values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else float("nan")
