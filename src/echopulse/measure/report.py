"""A measurement in words and as JSON."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from echopulse.files import to_json
from echopulse.measure.biplane import Biplane
from echopulse.measure.cycle import ejection_fraction_overall
from echopulse.measure.types import Measurement
from echopulse.phantom.types import APICAL_VIEWS

if TYPE_CHECKING:
    from echopulse.echo.types import Clip

NOTICE = "Measured by a network that learned from simulated hearts. Not for diagnosis."
UNSURE = 0.75  # below this expected overlap the outlines are worth a look
SHORT_BEATS = "The beats are irregular: very short ones may be merged with the one before and missing from rate and EF."


def describe(measurement: Measurement, clip: Clip) -> str:
    """A few lines for the screen: what was found in the clip, beat by beat."""
    found = measurement
    lines = [f"{len(found.times_s)} frames, {_or_none(clip.fps, '.3g', ' frames/s')}, {_view(found, clip)}"]
    if found.view is not None and found.view not in APICAL_VIEWS:
        return "\n".join([*lines, *_across(found), *_marks(clip)])
    seen = np.isfinite(found.volumes)
    if not seen.any():
        return "\n".join([*lines, "No left ventricle was found.", *_marks(clip)])
    unit = "ml" if found.volume_unit == "ml" else "(relative: the clip has no scale)"
    if len(found.ef_per_beat):
        beats = ", ".join(_percent(ef) for ef in found.ef_per_beat)
        lines.append(f"EF {_percent(found.ef)} (beats: {beats})")
        if np.isfinite(found.ef_calibrated):
            lines.append(f"EF {_percent(found.ef_calibrated)} with volumes calibrated on simulated hearts")
        lines.append(_rate(found))
        lines.append("      ED s    ES s       EDV       ESV      EF")
        for ed, es, ef in zip(found.ed_frames, found.es_frames, found.ef_per_beat, strict=True):
            lines.append(
                f"{found.times_s[ed]:10.2f}{found.times_s[es]:8.2f}{_volume(found.volumes[ed]):>10}"
                f"{_volume(found.volumes[es]):>10}{_percent(ef):>8}"
            )
        lines.append(f"volumes in {unit}, single-plane Simpson")
        if np.isfinite(found.gls):
            lines.append(f"longitudinal strain of the outline {_or_none(100 * found.gls, '.1f', ' %')}")
    else:
        overall = ejection_fraction_overall(found.times_s, found.volumes)
        lines.append(f"No whole heartbeat was found; from the largest to the smallest volume: {_percent(overall)}")
        lines.append(f"largest volume {_volume(np.nanmax(found.volumes))} {unit}")
        if np.isfinite(found.heart_rate_bpm):
            lines.append(_rate(found))
    sure = float(np.median(found.confidence[seen]))
    lines.append(f"expected overlap of the outlines {sure:.2f}")
    if sure < UNSURE:
        lines[-1] += "; look at them before you trust this"
    if not seen.all():
        lines.append(f"no ventricle in {int((~seen).sum())} of {len(seen)} frames")
    lines += caveats_of(found)
    return "\n".join([*lines, *_marks(clip)])


def caveats_of(measurement: Measurement) -> list[str]:
    """What has to be known to read the numbers aright, a sentence each."""
    return [SHORT_BEATS] if measurement.is_irregular else []


def _view(found: Measurement, clip: Clip) -> str:
    if found.view_confidence is None:
        return f"view {found.view or clip.view or 'unknown'}"
    return f"view {found.view}, guessed ({_percent(found.view_confidence)} sure)"


def _rate(found: Measurement) -> str:
    words = f"heart rate {_or_none(found.heart_rate_bpm, '.0f', '/min')}"
    return words + (", roughly: from when the pictures come again" if found.rate_is_rough else "")


def _across(found: Measurement) -> list[str]:
    """What can be said of a view that does not show the whole long axis: areas and diameters, no volume."""
    seen = found.areas_cm2 > 0
    if not seen.any():
        return ["No left ventricle was found."]
    lines = ["no volume or EF: this view does not show the whole long axis"]
    unit = "cm" if found.volume_unit == "ml" else "(relative: the clip has no scale)"
    if len(found.ed_frames):
        lines.append(_rate(found))
        areas = [float(np.median(found.areas_cm2[frames])) for frames in (found.ed_frames, found.es_frames)]
        square = "cm²" if found.volume_unit == "ml" else unit
        lines.append(f"cavity {_length(areas[0])} {square} at ED, {_length(areas[1])} at ES: "
                     f"area change {_percent(found.area_change)}")  # fmt: skip
    else:
        lines.append("No whole heartbeat was found.")
    if found.walls is not None and len(found.ed_frames):
        for phase, frames in (("ED", found.ed_frames), ("ES", found.es_frames)):
            sizes = [_typical(values[frames]) for values in
                     (found.walls.septum, found.walls.cavity, found.walls.posterior)]  # fmt: skip
            lines.append(f"{phase}: septum {sizes[0]}, cavity {sizes[1]}, posterior wall {sizes[2]} {unit}")
    sure = f"expected overlap of the outlines {float(np.median(found.confidence[seen])):.2f}"
    return [*lines, sure, *caveats_of(found)]


def _typical(values: np.ndarray) -> str:
    known = values[np.isfinite(values)]
    return _length(float(np.median(known))) if len(known) else "not seen"


def _length(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 0.5 else f"{value:.1f}"


def _marks(clip: Clip) -> list[str]:
    return ["SYNTHETIC clip.", NOTICE] if clip.synthetic else [NOTICE]


def as_dictionary(measurement: Measurement, clip: Clip) -> dict[str, Any]:
    """Every number of a measurement as JSON types; EF as fractions, what is not a number as None."""
    found = measurement
    values = {
        "frames": len(found.times_s), "fps": clip.fps, "view": clip.view, "synthetic": clip.synthetic,
        "pixel_spacing_cm": clip.pixel_spacing_cm, "ef": found.ef, "ef_per_beat": found.ef_per_beat,
        "ef_overall": ejection_fraction_overall(found.times_s, found.volumes), "heart_rate_bpm": found.heart_rate_bpm,
        "heart_rate_is_rough": found.rate_is_rough, "caveats": caveats_of(found),
        "ed_frames": found.ed_frames, "es_frames": found.es_frames, "volume_unit": found.volume_unit,
        "area_unit": "cm2" if found.volume_unit == "ml" else "relative", "times_s": found.times_s,
        "volumes": found.volumes, "volumes_area_length": found.volumes_area_length, "areas": found.areas_cm2,
        "confidence": found.confidence, "notice": NOTICE, "view_measured_as": found.view,
        "view_confidence": found.view_confidence, "ef_calibrated": found.ef_calibrated, "gls": found.gls,
        "area_change": found.area_change, "volumes_calibrated": found.volumes_calibrated,
        "ef_per_beat_calibrated": found.ef_per_beat_calibrated, "gls_per_beat": found.gls_per_beat,
        "area_change_per_beat": found.area_change_per_beat,
        "annulus_descent_per_beat": found.annulus_descent_per_beat, "apex": found.apex, "annulus": found.annulus,
        "walls": None if found.walls is None else vars(found.walls),
    }  # fmt: skip
    return to_json(values)


def describe_biplane(biplane: Biplane) -> str:
    """Two lines for the screen: the volumes of two views together."""
    unit = "ml" if biplane.unit == "ml" else "(relative: the clips have no scale)"
    edv, esv = (_volume(float(np.median(values))) for values in (biplane.edv, biplane.esv))
    lines = [f"biplane: EF {_percent(biplane.ef)}, EDV {edv}, ESV {esv} {unit}, {len(biplane.edv)} pairs of beats"]
    if biplane.foreshortened:
        lines.append(f"the long axes differ by {_percent(biplane.length_difference)}: one view is foreshortened")
    return "\n".join(lines)


def biplane_as_dictionary(biplane: Biplane) -> dict[str, Any]:
    """Every number of two views together as JSON types."""
    return to_json(vars(biplane) | {"ef": biplane.ef, "foreshortened": biplane.foreshortened})


def _percent(fraction: float) -> str:
    return _or_none(100 * fraction, ".0f", " %")


def _volume(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 10 else f"{value:.4f}"


def _or_none(value: float, form: str, unit: str) -> str:
    return f"{value:{form}}{unit}" if math.isfinite(value) else "not measurable"
