"""A clip in, a measurement out, whatever the view."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from echopulse.echo.ventricle import area_length_volumes, find_chords
from echopulse.errors import InputError
from echopulse.measure.cycle import Cycles, find_cycles, fractions_of
from echopulse.measure.motion import annulus_descent, contour_lengths, strain_per_beat
from echopulse.measure.recurrence import recurrence_rate_bpm
from echopulse.measure.segmenter import Segmenter, outline_all
from echopulse.measure.types import Measurement
from echopulse.measure.walls import measure_walls
from echopulse.phantom.priors import OTHER_NAMES
from echopulse.phantom.types import APICAL_VIEWS, VIEWS

if TYPE_CHECKING:
    from echopulse.echo.types import Clip


def measure_clip(clip: Clip, segmenter: Segmenter) -> Measurement:
    """Outline the heart in every frame of a clip and measure it; in cm and ml if the pixel spacing is known.

    A view that is not known is guessed, if the weights can. InputError for a view that is no name of VIEWS.
    """
    view = OTHER_NAMES.get(clip.view, clip.view)
    if view is not None and view not in VIEWS:
        raise InputError(f"view {clip.view}: expected one of {', '.join(VIEWS)}.")
    if view is not None and view not in APICAL_VIEWS and segmenter.config.classes == 1:
        raise InputError(f"view {clip.view}: these weights outline the left ventricle in apical views (a4c, a2c) only.")
    found = outline_all(segmenter, clip.frames, clip.times_s)
    guessed = view is None and found.views is not None
    measured = measure_masks(
        found.ventricle, clip.times_s, pixel_spacing_cm=clip.pixel_spacing_cm, confidence=found.confidence,
        labels=found.labels if segmenter.config.classes > 1 else None, view=found.view if guessed else view,
        view_confidence=float(found.views.max()) if guessed else None, read_volumes=found.volumes,
    )  # fmt: skip
    if np.isfinite(measured.heart_rate_bpm) or not measured.masks.any():
        return measured
    return replace(measured, recurrence_bpm=recurrence_rate_bpm(clip.frames, measured.times_s))


def measure_masks(
    masks: np.ndarray,
    times_s: np.ndarray,
    *,
    pixel_spacing_cm: float | None = None,
    confidence: np.ndarray | None = None,
    labels: np.ndarray | None = None,
    view: str | None = None,
    view_confidence: float | None = None,
    read_volumes: np.ndarray | None = None,
) -> Measurement:
    """Volumes and beats from outlines that are already there: masks bool [t, h, w] at times [t] in seconds.

    Without a pixel spacing the height of the picture counts as one unit of length. Without a confidence the outlines
    count as certain (the phantom's own). A view of None is taken for an apical one. Labels, uint8 [t, h, w], are needed
    for the walls; `read_volumes` [t], in cubed pixels, are what a network read off the pictures of an apical view.
    """
    masks, times = np.asarray(masks, dtype=bool), np.asarray(times_s, dtype=np.float64)
    pixel = 1.0 / masks.shape[1] if pixel_spacing_cm is None else pixel_spacing_cm
    areas = masks.sum((1, 2)) * pixel**2
    shared = {
        "times_s": times, "masks": masks, "areas_cm2": areas, "view": view, "view_confidence": view_confidence,
        "volume_unit": "relative" if pixel_spacing_cm is None else "ml", "labels": labels,
        "confidence": np.ones(len(times)) if confidence is None else confidence,
    }  # fmt: skip
    if view is None or view in APICAL_VIEWS:
        return _apical(shared, pixel, read_volumes)
    cycles = find_cycles(times, np.where(areas > 0, areas, np.nan))
    nothing, per_beat = np.full(len(times), np.nan), np.full(len(cycles.ed_frames), np.nan)
    walls = measure_walls(labels, pixel) if view == "plax" and labels is not None else None
    return Measurement(
        **shared, **_frames_of(cycles), volumes=nothing, volumes_area_length=nothing, ef_per_beat=per_beat,
        area_change_per_beat=cycles.ef_per_beat, walls=walls,
    )  # fmt: skip


def _apical(shared: dict, pixel: float, read_volumes: np.ndarray | None) -> Measurement:
    times = shared["times_s"]
    chords = find_chords(shared["masks"])
    plain = chords.volumes * pixel**3
    calibrated = None if read_volumes is None else np.where(np.isfinite(plain), read_volumes * pixel**3, np.nan)
    cycles = find_cycles(times, plain)
    return Measurement(
        **shared, **_frames_of(cycles), volumes=plain,
        volumes_area_length=area_length_volumes(shared["areas_cm2"], chords.length * pixel),
        ef_per_beat=cycles.ef_per_beat, volumes_calibrated=calibrated,
        ef_per_beat_calibrated=None if calibrated is None else fractions_of(times, calibrated, cycles),
        area_change_per_beat=fractions_of(times, np.where(np.isfinite(plain), shared["areas_cm2"], np.nan), cycles),
        apex=chords.apex, annulus=chords.base, gls_per_beat=strain_per_beat(times, contour_lengths(chords), cycles),
        annulus_descent_per_beat=annulus_descent(times, chords, cycles) * pixel,
    )  # fmt: skip


def _frames_of(cycles: Cycles) -> dict[str, np.ndarray]:
    return {"ed_frames": cycles.ed_frames, "es_frames": cycles.es_frames}
