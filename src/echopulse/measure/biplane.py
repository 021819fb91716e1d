"""Two apical clips of one heart, at right angles, make one volume: the biplane method of discs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from echopulse.echo.ventricle import biplane_volumes
from echopulse.errors import InputError
from echopulse.measure.types import Measurement

LENGTHS_AGREE = 0.2  # the guidelines doubt a pair of views whose long axes differ by more (Lang et al. 2015)


@dataclass(frozen=True, eq=False)
class Biplane:
    """End-diastolic and end-systolic volume of one heart from two views; k pairs of beats.

    Attributes:
        edv, esv: float64 [k], in `unit`.
        ef_per_beat: float64 [k], fractions.
        unit: `"ml"` or `"relative"` (the height of the picture counts as one unit of length).
        length_difference: share by which the end-diastolic long axes differ, median; above 0.2 one is foreshortened.
    """

    edv: np.ndarray
    esv: np.ndarray
    ef_per_beat: np.ndarray
    unit: str
    length_difference: float

    @property
    def ef(self) -> float:
        """Median over the pairs of beats."""
        return float(np.median(self.ef_per_beat))

    @property
    def foreshortened(self) -> bool:
        """Whether the two long axes differ too much to be one heart's."""
        return self.length_difference > LENGTHS_AGREE


def measure_biplane(a4c: Measurement, a2c: Measurement) -> Biplane:
    """The method of discs in two planes (20 discs, Lang et al. 2015) at the ED and ES of paired beats.

    The clips were taken one after the other, so beat i of one stands beside beat i of the other, as many as both have:
    phases are matched, times are not. InputError where a view is another, one clip has a scale and the other not, or
    either shows no whole beat.
    """
    for found, view in ((a4c, "a4c"), (a2c, "a2c")):
        if found.view not in (view, None):
            raise InputError(f"view {found.view} where {view} is expected; biplane volumes need an a4c and an a2c.")
        if not len(found.ed_frames):
            raise InputError(f"no whole heartbeat in the {view} clip; biplane volumes need one in either clip.")
    if a4c.volume_unit != a2c.volume_unit:
        raise InputError(
            "one clip has a pixel spacing and the other has none; biplane volumes need two clips of one scale."
        )
    pairs = min(len(a4c.ed_frames), len(a2c.ed_frames))
    volumes = [_volumes(a4c, a2c, phase, pairs) for phase in ("ed_frames", "es_frames")]
    lengths = [_lengths(found, found.ed_frames[:pairs]) for found in (a4c, a2c)]
    apart = np.abs(lengths[0] - lengths[1]) / np.maximum(*lengths)
    return Biplane(*volumes, 1 - volumes[1] / volumes[0], a4c.volume_unit, float(np.median(apart)))


def _volumes(a4c: Measurement, a2c: Measurement, phase: str, pairs: int) -> np.ndarray:
    masks = [found.masks[getattr(found, phase)[:pairs]] for found in (a4c, a2c)]
    return biplane_volumes(*masks, _pixel(a4c), _pixel(a2c))


def _lengths(found: Measurement, frames: np.ndarray) -> np.ndarray:
    return np.linalg.norm(found.annulus[frames] - found.apex[frames], axis=1) * _pixel(found)


def _pixel(found: Measurement) -> float:
    """Side of a pixel in the measurement's unit of length, from areas that are already there."""
    counts = found.masks.sum((1, 2))
    fullest = int(counts.argmax())
    return float(np.sqrt(found.areas_cm2[fullest] / counts[fullest]))
