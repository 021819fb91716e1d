"""A measurement in words and as JSON."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from echopulse.files import to_json
from echopulse.measure.cycle import ejection_fraction_overall
from echopulse.measure.types import Measurement

if TYPE_CHECKING:
    from echopulse.echo.types import Clip

NOTICE = "Measured by a network that learned from simulated hearts. Not for diagnosis."
UNSURE = 0.75  # below this expected overlap the outlines are worth a look


def describe(measurement: Measurement, clip: Clip) -> str:
    """A few lines for the screen: what was found in the clip, beat by beat."""
    found = measurement
    lines = [f"{len(found.times_s)} frames, {_or_none(clip.fps, '.3g', ' frames/s')}, view {clip.view or 'unknown'}"]
    seen = np.isfinite(found.volumes)
    if not seen.any():
        return "\n".join([*lines, "No left ventricle was found.", *_marks(clip)])
    unit = "ml" if found.volume_unit == "ml" else "(relative: the clip has no scale)"
    if len(found.ef_per_beat):
        beats = ", ".join(_percent(ef) for ef in found.ef_per_beat)
        lines.append(f"EF {_percent(found.ef)} (beats: {beats})")
        lines.append(f"heart rate {_or_none(found.heart_rate_bpm, '.0f', '/min')}")
        lines.append("      ED s    ES s       EDV       ESV      EF")
        for ed, es, ef in zip(found.ed_frames, found.es_frames, found.ef_per_beat, strict=True):
            lines.append(
                f"{found.times_s[ed]:10.2f}{found.times_s[es]:8.2f}{_volume(found.volumes[ed]):>10}"
                f"{_volume(found.volumes[es]):>10}{_percent(ef):>8}"
            )
        lines.append(f"volumes in {unit}, single-plane Simpson")
    else:
        overall = ejection_fraction_overall(found.times_s, found.volumes)
        lines.append(f"No whole heartbeat was found; from the largest to the smallest volume: {_percent(overall)}")
        lines.append(f"largest volume {_volume(np.nanmax(found.volumes))} {unit}")
    sure = float(np.median(found.confidence[seen]))
    lines.append(f"expected overlap of the outlines {sure:.2f}")
    if sure < UNSURE:
        lines[-1] += "; look at them before you trust this"
    if not seen.all():
        lines.append(f"no ventricle in {int((~seen).sum())} of {len(seen)} frames")
    return "\n".join([*lines, *_marks(clip)])


def _marks(clip: Clip) -> list[str]:
    return ["SYNTHETIC clip.", NOTICE] if clip.synthetic else [NOTICE]


def as_dictionary(measurement: Measurement, clip: Clip) -> dict[str, Any]:
    """Every number of a measurement as JSON types; EF as fractions, what is not a number as None."""
    found = measurement
    values = {
        "frames": len(found.times_s), "fps": clip.fps, "view": clip.view, "synthetic": clip.synthetic,
        "pixel_spacing_cm": clip.pixel_spacing_cm, "ef": found.ef, "ef_per_beat": found.ef_per_beat,
        "ef_overall": ejection_fraction_overall(found.times_s, found.volumes), "heart_rate_bpm": found.heart_rate_bpm,
        "ed_frames": found.ed_frames, "es_frames": found.es_frames, "volume_unit": found.volume_unit,
        "area_unit": "cm2" if found.volume_unit == "ml" else "relative", "times_s": found.times_s,
        "volumes": found.volumes, "volumes_area_length": found.volumes_area_length, "areas": found.areas_cm2,
        "confidence": found.confidence, "notice": NOTICE,
    }  # fmt: skip
    return to_json(values)


def _percent(fraction: float) -> str:
    return _or_none(100 * fraction, ".0f", " %")


def _volume(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 10 else f"{value:.4f}"


def _or_none(value: float, form: str, unit: str) -> str:
    return f"{value:{form}}{unit}" if math.isfinite(value) else "not measurable"
