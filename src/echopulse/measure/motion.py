"""How an apical outline shortens: its longitudinal strain and the descent of the mitral annulus."""

from __future__ import annotations

import numpy as np

from echopulse.echo.ventricle import CHORDS_PER_DISC, DISCS, Chords
from echopulse.measure.cycle import Cycles, smooth_curve


def contour_lengths(chords: Chords) -> np.ndarray:
    """Length of the endocardium from annulus over the apex to annulus, float64 [t], px; NaN where there is none.

    The two sides of the outline are taken for mirror images about the long axis: 2 sum sqrt(dh² + (dw/2)²) over the
    discs, w their widths, from the apex, where the width is 0, to the base. Single diameters follow the pixels' steps,
    so that they are averaged disc by disc.
    """
    widths = chords.diameters.reshape(len(chords.diameters), DISCS, CHORDS_PER_DISC).mean(2)
    places = (np.arange(DISCS) + 0.5) / DISCS
    ends = np.concatenate([[0.0], places, [1.0]])
    base = widths[:, -1] + 0.5 * (widths[:, -1] - widths[:, -2])  # the lowest disc's trend, half a disc further
    half = np.column_stack([np.zeros(len(widths)), widths, np.maximum(base, 0.0)]) / 2  # [t, 22]
    steps = np.hypot(np.diff(ends) * chords.height[:, None], np.diff(half, axis=1))
    return 2 * steps.sum(1)


def strain_per_beat(times_s: np.ndarray, lengths: np.ndarray, cycles: Cycles) -> np.ndarray:
    """Longitudinal strain L_es / L_ed - 1 of a contour of length L [t], float64 [k], a fraction, negative (GLS).

    Voigt et al. 2015, EACVI/ASE definitions of strain; here of the endocardium of one view, from its outline. ED and ES
    are those of the cycles, the lengths read from a smoothed curve.
    """
    curve = smooth_curve(times_s, lengths)
    with np.errstate(invalid="ignore"):
        return curve[cycles.es_frames] / curve[cycles.ed_frames] - 1


def annulus_descent(times_s: np.ndarray, chords: Chords, cycles: Cycles) -> np.ndarray:
    """How far the base of the long axis moves towards the apex from ED to ES, float64 [k], px.

    The middle of the annulus stands in for its two hinges; the apex hardly moves.
    """
    columns, rows = (smooth_curve(times_s, chords.base[:, place]) for place in (0, 1))
    moved = np.column_stack([(line[cycles.es_frames] - line[cycles.ed_frames]) for line in (columns, rows)])
    return -(moved * chords.axis[cycles.ed_frames]).sum(1) if len(moved) else np.zeros(0)
