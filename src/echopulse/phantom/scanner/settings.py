"""How a clip was acquired: what the examiner set, what the machine is, and what stood in the beam's way."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Generator, Tensor

from echopulse.phantom.priors import apply_pins, chance, check_prior, normal, uniform
from echopulse.phantom.types import Batch, about


@dataclass(frozen=True)
class ScannerParameters(Batch):
    """Settings and artefacts of b clips; every tensor is [b], float32. Levels are dB relative to white."""

    # What the picture shows
    half_angle_rad: Tensor = about("half the angle of the sector")
    skin_radius_cm: Tensor = about("radius of the arc at which the sector begins")
    top: Tensor = about("row of the sector's highest point, relative to the picture's height")
    bottom: Tensor = about("row of the deepest arc, relative to the picture's height")
    # The beam
    frequency_mhz: Tensor = about("received frequency")
    harmonic: Tensor = about("1 second harmonic: narrower, cleaner near the skin, weaker far from it; 0 fundamental")
    aperture_cm: Tensor = about("width of the transducer: the wider, the narrower the beam")
    focus: Tensor = about("depth of the transmit focus, relative to the picture's depth")
    smoothing: Tensor = about("what the machine adds to the pulse's length: width at half height, relative to depth")
    side_lobe_db: Tensor = about("side lobes, relative to the main lobe")
    ghost_db: Tensor = about("echo of an echo, relative to the first")
    ghost_cm: Tensor = about("how much deeper the echo of an echo appears")
    tail_cm: Tensor = about("ringing behind strong reflectors")
    # What the machine does with the echoes
    gain_db: Tensor = about("gain")
    dynamic_range_db: Tensor = about("dynamic range")
    reject: Tensor = about("grey value below which all is black")
    curve: Tensor = about("grey map: 0 straight, 1 a parabola that makes dark shades darker")
    contrast: Tensor = about("grey map: how S-shaped")
    speckle_weight: Tensor = about("1 the envelope of a single look; less as compounding leaves it")
    persistence_s: Tensor = about("time over which noise changes")
    # Unevenness
    swing_db: Tensor = about("slow unevenness of brightness in depth and angle")
    slope_db: Tensor = about("what depth compensation left over, first to last sample")
    tgc_db: Tensor = about("wrongly set sliders of the depth compensation")
    streak_db: Tensor = about("unevenness from beam to beam")
    patch_db: Tensor = about("unevenness of the echoes: what lies in front weakens what lies behind")
    seam_db: Tensor = about("step between the parts of a picture put together from several beats")
    # Shadows: of ribs, lung, and at the sector's sides
    steer_db: Tensor = about("what a beam at the edge loses by being steered there")
    left_db: Tensor = about("shadow at the left side")
    right_db: Tensor = about("shadow at the right side")
    side_width: Tensor = about("width of the sides' shadows, relative to the half angle")
    rib_db: Tensor = about("shadow of a rib")
    rib_place: Tensor = about("place of a rib's shadow: -1 left edge, 1 right edge")
    rib_width: Tensor = about("width of a rib's shadow, relative to the half angle")
    rib_edge: Tensor = about("softness of that shadow's edge, relative to the half angle")
    lung_db: Tensor = about("a curtain of lung over one side")
    lung_place: Tensor = about("edge of the lung's curtain halfway through a breath; its sign is the side")
    lines_db: Tensor = about("B-lines in the lung's curtain")
    # What stands still or drifts before the heart
    clutter_db: Tensor = about("haze of the near field at the skin")
    clutter_cm: Tensor = about("depth over which the near field's haze fades")
    bands_db: Tensor = about("reverberation of the chest wall: bright parallel bands")
    bands_cm: Tensor = about("distance of the bands")
    ring_db: Tensor = about("ring-down at the transducer")
    ring_cm: Tensor = about("reach of the ring-down")
    haze_db: Tensor = about("veil that moves with the heart beat")
    haze_cm: Tensor = about("depth of the veil's middle")
    haze_s: Tensor = about("time over which the veil's grain changes, and speckle that flickers")
    flicker: Tensor = about("speckle that does not stay with the tissue, relative to what does")
    noise_db: Tensor = about("receiver noise at the deepest sample")


def draw_scanner(n: int, generator: Generator, prior: str = "clinical", **pinned: Any) -> ScannerParameters:
    """Settings and artefacts of n acquisitions; "easy" has a high gain and none of the artefacts.

    Widths, levels and how often an artefact appears are plausible, not counted; they were tuned by eye and by the grey
    statistics of clinical clips, and spread wider than those.
    """
    check_prior(prior)
    harmonic = chance(n, 0.75, generator).float()
    values = {
        "half_angle_rad": uniform(n, 0.56, 0.79, generator),
        "skin_radius_cm": uniform(n, 0.2, 1.4, generator),
        "top": uniform(n, 0.005, 0.06, generator),
        "bottom": uniform(n, 0.90, 0.985, generator),
        "frequency_mhz": normal(n, 2.4, 0.4, generator, 1.6, 3.6) + 0.8 * harmonic,
        "harmonic": harmonic,
        "aperture_cm": uniform(n, 1.3, 2.0, generator),
        "focus": uniform(n, 0.45, 0.85, generator),
        "smoothing": uniform(n, 0.018, 0.031, generator),
        "side_lobe_db": uniform(n, -46, -30, generator),
        "ghost_db": uniform(n, -44, -20, generator),
        "ghost_cm": uniform(n, 0.5, 2.5, generator),
        "tail_cm": uniform(n, 0.0, 0.5, generator),
        "gain_db": normal(n, 2.0, 2.8, generator, -3, 8),
        "dynamic_range_db": uniform(n, 50, 66, generator),
        "reject": uniform(n, 0.05, 0.20, generator),
        "curve": uniform(n, 0.3, 0.8, generator),
        "contrast": uniform(n, 0.0, 0.4, generator),
        "speckle_weight": uniform(n, 0.5, 0.9, generator),
        "persistence_s": uniform(n, 0.02, 0.05, generator),
        "swing_db": uniform(n, 1.5, 4.5, generator),
        "slope_db": normal(n, 0, 4, generator, -9, 9),
        "tgc_db": uniform(n, 0.3, 2.5, generator),
        "streak_db": uniform(n, 0.3, 1.5, generator),
        "patch_db": uniform(n, 1.0, 4.5, generator),
        "seam_db": uniform(n, 0.6, 2.5, generator) * chance(n, 0.04, generator),
        "steer_db": uniform(n, 2, 12, generator),
        "left_db": uniform(n, 0, 26, generator) * chance(n, 0.75, generator),
        "right_db": uniform(n, 0, 24, generator) * chance(n, 0.65, generator),
        "side_width": uniform(n, 0.12, 0.6, generator),
        "rib_db": uniform(n, 6, 26, generator) * chance(n, 0.3, generator),
        "rib_place": uniform(n, -0.95, 0.95, generator),
        "rib_width": uniform(n, 0.08, 0.28, generator),
        "rib_edge": uniform(n, 0.02, 0.2, generator),
        "lung_db": uniform(n, 10, 30, generator) * chance(n, 0.2, generator),
        "lung_place": uniform(n, 0.4, 0.9, generator) * (1 - 2 * chance(n, 0.3, generator).float()),
        "lines_db": uniform(n, -40, -26, generator),
        "clutter_db": uniform(n, -34, -20, generator),
        "clutter_cm": uniform(n, 1.0, 3.2, generator),
        "bands_db": uniform(n, -46, -20, generator),
        "bands_cm": uniform(n, 0.5, 1.6, generator),
        "ring_db": uniform(n, -32, -12, generator),
        "ring_cm": uniform(n, 0.15, 0.5, generator),
        "haze_db": normal(n, -44, 6, generator, -60, -36),
        "haze_cm": uniform(n, 2.5, 7, generator),
        "haze_s": uniform(n, 0.02, 0.07, generator),
        "flicker": uniform(n, 0.28, 0.68, generator),
        "noise_db": uniform(n, -57, -43, generator),
    }
    # The examiner turns the gain until the walls show, whatever dynamic range and reject are.
    values["gain_db"] += 0.3 * (57 - values["dynamic_range_db"]) + 25 * (values["reject"] - 0.125)
    if prior == "easy":
        flat = torch.zeros(n)
        silent = ("slope_db", "left_db", "right_db", "rib_db", "lung_db", "swing_db", "streak_db", "tgc_db", "seam_db")
        values |= {name: flat for name in (*silent, "patch_db", "steer_db", "tail_cm", "flicker")}
        values |= {"gain_db": flat + 6, "noise_db": flat - 72, "speckle_weight": flat + 0.5}
        values |= {name: flat - 70 for name in ("clutter_db", "bands_db", "ring_db", "haze_db")}
        values |= {name: flat - 50 for name in ("ghost_db", "side_lobe_db")}
        values |= {"dynamic_range_db": flat + 50}
    return ScannerParameters(**apply_pins(values, pinned, "scanner"))


def as_received(settings: ScannerParameters) -> ScannerParameters:
    """The settings with what tissue harmonic imaging changes written into them.

    The harmonic grows on the way and only where the beam is strong: near-field clutter, reverberation and side lobes
    weaken, the beam narrows, and its signal is smaller against the noise (Averkiou, Roundhill and Powers 1997).
    """
    h = settings.harmonic
    return replace(
        settings,
        clutter_db=settings.clutter_db - 7 * h,
        bands_db=settings.bands_db - 8 * h,
        haze_db=settings.haze_db - 4 * h,
        ghost_db=settings.ghost_db - 6 * h,
        side_lobe_db=settings.side_lobe_db - 6 * h,
        noise_db=settings.noise_db + 2 * h,
        gain_db=settings.gain_db - 0.5 * h,
    )


def beam_width_rad(settings: ScannerParameters) -> Tensor:
    """[b]: full width at half maximum of the beam at its focus, about 1.2 wavelengths over the aperture (textbook).

    Of a harmonic beam, which the fundamental of half the frequency makes, it is wider by about 2 / sqrt(2).
    """
    wavelength_cm = 0.154 / settings.frequency_mhz
    return 1.2 * wavelength_cm / settings.aperture_cm * (1 + (math.sqrt(2) - 1) * settings.harmonic)
