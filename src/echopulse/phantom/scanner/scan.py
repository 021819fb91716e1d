"""The simulated scanner: turns a moving heart into grey B-mode frames, and says exactly where the ventricle was.

Everything is computed on a polar grid (depth x beam), where a phased array's blur is nearly the same everywhere:
tissue and leaflets as a complex field, static clutter, noise; a separable blur; envelope; logarithm; scan conversion.
Speckle sticks to the tissue, because it is painted in material coordinates (`tissue`, `anatomy`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from echopulse.phantom.anatomy.heart import (
    AnatomyParameters,
    LVShape,
    heart_coordinates,
    inside_ventricle,
    lv_shape,
    material_coordinates,
)
from echopulse.phantom.anatomy.tissue import map_grid, paint_tissue
from echopulse.phantom.anatomy.valves import leaflet_texture, paint_leaflets, patch_grid
from echopulse.phantom.priors import apply_pins, chance, check_prior, normal, uniform
from echopulse.phantom.texture import blur_matrix, smooth_field, soft_step, speckle_field
from echopulse.phantom.types import Motion

DEPTHS, BEAMS = 128, 96  # the polar grid
NOISE_FIELDS = 24
DB = 20 / math.log(10)  # decibels per natural logarithm of amplitude
CPU_CHUNK, GPU_CHUNK = 13, 1024  # frames rendered at once: what fits the cache, or fills the device


@dataclass(frozen=True)
class ScannerParameters:
    """How b clips were acquired; every tensor is [b], float32."""

    half_angle_rad: Tensor  # of the sector
    depth_ratio: Tensor  # depth of the picture relative to that of the atrial roof
    top: Tensor  # row of the sector's apex, relative to the picture's height
    bottom: Tensor  # row of the deepest arc
    gain_db: Tensor
    dynamic_range_db: Tensor
    reject: Tensor  # grey value below which all is black, 0..1
    gamma: Tensor
    speckle_weight: Tensor  # 1: raw envelope; less: as compounding and persistence smooth it
    axial_sigma: Tensor  # blur in depth samples
    lateral_sigma: Tensor  # blur in beams
    axial_spread: Tensor  # by how much the axial blur grows to the deepest sample
    gain_swing_db: Tensor  # slow unevenness
    slope_db: Tensor  # what depth compensation left over, first to last sample
    streak_db: Tensor  # unevenness from beam to beam
    shadow_left_db: Tensor
    shadow_right_db: Tensor
    shadow_width: Tensor  # of the sides' shadows, relative to the half angle
    wedge_db: Tensor  # a rib's shadow
    wedge_place: Tensor  # -1 left edge, 1 right edge
    wedge_width: Tensor
    clutter_db: Tensor  # near-field haze at the skin
    clutter_cm: Tensor  # depth over which it fades
    reverberation: Tensor  # 0..1, how much of it lies in stripes
    ring_db: Tensor  # ring-down at the transducer
    noise_db: Tensor  # receiver noise at the skin
    noise_rise_db: Tensor  # its rise to the deepest sample
    drift_cm: Tensor  # how far the probe sways
    drift_frames: Tensor  # over how many frames
    drift_phase: Tensor  # rad

    def to(self, device: torch.device | str) -> ScannerParameters:
        return ScannerParameters(**{name: value.to(device) for name, value in vars(self).items()})

    def rows(self, which: slice | Tensor) -> ScannerParameters:
        """The settings of some of the clips."""
        return ScannerParameters(**{name: value[which] for name, value in vars(self).items()})


def draw_scanner(n: int, generator: Generator, prior: str = "clinical", **pinned: Any) -> ScannerParameters:
    """Settings and artefacts of n acquisitions; "easy" has a high gain and none of the artefacts."""
    check_prior(prior)
    values = {
        "half_angle_rad": uniform(n, 0.56, 0.76, generator),
        "depth_ratio": uniform(n, 1.06, 1.28, generator),
        "top": uniform(n, 0.005, 0.06, generator),
        "bottom": uniform(n, 0.90, 0.985, generator),
        "gain_db": normal(n, 5.5, 3.5, generator, -4, 12),
        "dynamic_range_db": uniform(n, 46, 62, generator),
        "reject": uniform(n, 0.05, 0.20, generator),
        "gamma": uniform(n, 1.1, 1.8, generator),
        "speckle_weight": uniform(n, 0.28, 0.68, generator),
        "axial_sigma": uniform(n, 0.9, 1.5, generator),
        "lateral_sigma": uniform(n, 0.9, 1.5, generator),
        "axial_spread": uniform(n, 0.0, 0.5, generator),
        "gain_swing_db": uniform(n, 1.5, 4.5, generator),
        "slope_db": normal(n, 0, 4, generator, -9, 9),
        "streak_db": uniform(n, 0.3, 1.8, generator),
        "shadow_left_db": uniform(n, 0, 26, generator) * chance(n, 0.75, generator),
        "shadow_right_db": uniform(n, 0, 24, generator) * chance(n, 0.65, generator),
        "shadow_width": uniform(n, 0.12, 0.6, generator),
        "wedge_db": uniform(n, 4, 18, generator) * chance(n, 0.3, generator),
        "wedge_place": uniform(n, -0.9, 0.9, generator),
        "wedge_width": uniform(n, 0.1, 0.3, generator),
        "clutter_db": uniform(n, -34, -20, generator),
        "clutter_cm": uniform(n, 1.0, 3.2, generator),
        "reverberation": uniform(n, 0.1, 0.8, generator),
        "ring_db": uniform(n, -34, -14, generator),
        "noise_db": uniform(n, -70, -51, generator),
        "noise_rise_db": uniform(n, 2, 14, generator),
        "drift_cm": uniform(n, 0.0, 0.16, generator),
        "drift_frames": uniform(n, 60, 160, generator),
        "drift_phase": uniform(n, 0, 2 * math.pi, generator),
    }
    if prior == "easy":
        flat = torch.zeros(n)
        silent = ("slope_db", "shadow_left_db", "shadow_right_db", "wedge_db", "drift_cm", "gain_swing_db", "streak_db")
        values |= {name: flat for name in silent}
        values |= {"gain_db": flat + 6, "clutter_db": flat - 60, "noise_db": flat - 74, "noise_rise_db": flat + 2}
        values |= {"speckle_weight": flat + 0.5, "dynamic_range_db": flat + 50}
    return ScannerParameters(**apply_pins(values, pinned, "scanner"))


@dataclass(frozen=True)
class Scan:
    """What the scanner shows and the truth beneath it."""

    frames: Tensor  # uint8 [b, t, h, w]
    lv_mask: Tensor  # bool [b, t, h, w], the cavity from apex to annulus plane
    sector: Tensor  # bool [b, h, w]
    pixel_spacing_cm: Tensor  # float32 [b], pixels are square


def depth_cm(anatomy: AnatomyParameters, scanner: ScannerParameters) -> Tensor:
    """[b]: how deep the picture reaches; the examiner sets it so that the atria are just in it."""
    heart = (anatomy.length_cm + anatomy.la_height_cm) * anatomy.tilt_rad.cos()
    return (anatomy.apex_depth_cm + heart) * scanner.depth_ratio


def pixel_spacing_cm(anatomy: AnatomyParameters, scanner: ScannerParameters, size: int) -> Tensor:
    """[b]: side of a pixel of a square picture of `size` rows."""
    return depth_cm(anatomy, scanner) / ((scanner.bottom - scanner.top) * size)


def _fit(value: Tensor) -> Tensor:
    return value[:, None, None]


def _gain_field(scanner: ScannerParameters, generators: Sequence[Generator]) -> Tensor:
    """dB [b, depths, beams]: unevenness, shadows and what depth compensation left over."""
    device = scanner.gain_db.device
    slow = smooth_field(generators, (4, 5), (DEPTHS, BEAMS), device)
    streaks = smooth_field(generators, (3, 28), (DEPTHS, BEAMS), device)
    beam = torch.linspace(-1, 1, BEAMS, device=device)[None, None, :]
    deep = torch.linspace(0, 1, DEPTHS, device=device)[None, :, None]
    width = _fit(scanner.shadow_width) * (1 + 0.25 * slow)
    field = _fit(scanner.gain_swing_db) * slow + _fit(scanner.streak_db) * streaks
    field = field + _fit(scanner.slope_db) * (deep - 0.5)
    field = field - 14 * (1 - deep / 0.22).clamp_min(0)  # near the probe the beams overlap and add up
    field = field - _fit(scanner.shadow_left_db) * (1 - (beam + 1) / width).clamp(0, 1)
    field = field - _fit(scanner.shadow_right_db) * (1 - (1 - beam) / width).clamp(0, 1)
    wedge = (1 - (beam - _fit(scanner.wedge_place)).abs() / _fit(scanner.wedge_width)).clamp(0, 1)
    return field - _fit(scanner.wedge_db) * soft_step(wedge - 0.35, 0.5) * soft_step(deep - 0.15, 0.15)


def _clutter(scanner: ScannerParameters, depth: Tensor, generators: Sequence[Generator]) -> Tensor:
    """[b, 3, depths, beams]: what stands still before the heart: haze, its stripes, and the transducer's ring."""
    device = depth.device
    speckle = speckle_field(generators, (DEPTHS, BEAMS), device)
    cloud = smooth_field(generators, (9, 6), (DEPTHS, BEAMS), device)
    stripes = smooth_field(generators, (34, 3), (DEPTHS, BEAMS), device)
    r = torch.linspace(0, 1, DEPTHS, device=device)[None, :, None] * depth[:, None, None]
    level = _fit(scanner.clutter_db) + 4 * cloud + 7 * _fit(scanner.reverberation) * stripes
    level = level - 8.7 * (r - 0.4) / _fit(scanner.clutter_cm)
    ring = _fit(scanner.ring_db) + 5 * (6.2832 * r / 0.33).cos() - 60 * (r - 0.25).clamp_min(0)
    amplitude = torch.exp(torch.maximum(level, ring).clamp(-90, 0) / DB)
    return torch.cat((amplitude[:, None], amplitude[:, None] * speckle), 1)


@dataclass(frozen=True)
class _View:
    """All that stays the same through a clip."""

    w: Tensor  # heart coordinates of the polar grid [b, 1, depths, beams]
    z: Tensor
    tissue: Tensor  # [b, 3, h, w]
    leaflets: Tensor  # texture [b, 3, p]
    leaflet_grid: Tensor
    static: Tensor  # [b, 1, 3, depths, beams]
    noise_level: Tensor  # [b, 1, 1, depths, 1]
    axial: Tensor  # blur [b, 1, 1, depths, depths]
    lateral: Tensor
    offset: Tensor  # [b, 1, depths, beams], grey value of an amplitude of 1
    screen: Tensor  # polar coordinates of the picture's pixels [b, size, size, 2]
    sector: Tensor  # [b, size, size]
    screen_w: Tensor  # heart coordinates of the pixels [b, 1, size, size]
    screen_z: Tensor


def _prepare(
    anatomy: AnatomyParameters, scanner: ScannerParameters, size: int, generators: Sequence[Generator]
) -> _View:
    device = anatomy.view.device
    depth, half = depth_cm(anatomy, scanner), scanner.half_angle_rad
    r = torch.linspace(0, 1, DEPTHS, device=device)[None, :, None] * depth[:, None, None]
    angle = torch.linspace(-1, 1, BEAMS, device=device)[None, None, :] * half[:, None, None]
    w, z = heart_coordinates(anatomy, r * angle.sin(), r * angle.cos())

    spacing = pixel_spacing_cm(anatomy, scanner, size)[:, None, None]
    place = torch.arange(size, device=device, dtype=torch.float32) + 0.5
    x = (place[None, None, :] - 0.5 * size) * spacing
    y = (place[None, :, None] - scanner.top[:, None, None] * size) * spacing
    x, y = x.expand(-1, size, -1), y.expand(-1, -1, size)
    radius, theta = (x * x + y * y).sqrt(), torch.atan2(x, y)
    across, down = theta / half[:, None, None], radius * (2 / depth[:, None, None]) - 1
    sector = (across.abs() <= 1) & (down <= 1)
    screen_w, screen_z = heart_coordinates(anatomy, x, y)

    noise = scanner.noise_db[:, None] + scanner.noise_rise_db[:, None] * torch.linspace(0, 1, DEPTHS, device=device)
    span = scanner.dynamic_range_db[:, None, None]
    offset = (_gain_field(scanner, generators) + scanner.gain_db[:, None, None] + span) / span
    axial = blur_matrix(scanner.axial_sigma, DEPTHS, scanner.axial_spread)
    lateral = blur_matrix(scanner.lateral_sigma, BEAMS).transpose(1, 2)
    clean_axial, clean_lateral = axial / axial.sum(2, keepdim=True), lateral / lateral.sum(1, keepdim=True)
    return _View(
        w=w[:, None],
        z=z[:, None],
        tissue=paint_tissue(anatomy, generators),
        leaflets=leaflet_texture(generators, device),
        leaflet_grid=patch_grid(anatomy, w, z),
        static=_clutter(scanner, depth, generators)[:, None],
        noise_level=torch.exp(noise / DB)[:, None, None, :, None],
        axial=torch.stack((clean_axial, axial, axial), 1)[:, None],
        lateral=torch.stack((clean_lateral, lateral, lateral), 1)[:, None],
        offset=offset[:, None],
        screen=torch.stack((across, down), -1),
        sector=sector,
        screen_w=screen_w[:, None],
        screen_z=screen_z[:, None],
    )


def _sway(scanner: ScannerParameters, frames: Tensor) -> Tensor:
    """[b, t, 2] in cm: the slow wandering of the heart in the picture, breath and hand together."""
    turn = 2 * math.pi * frames[None, :] / scanner.drift_frames[:, None] + scanner.drift_phase[:, None]
    sway = torch.stack((turn.sin(), (1.31 * turn + 1).cos() * 0.8), -1)
    return sway * scanner.drift_cm[:, None, None]


def _render(
    anatomy: AnatomyParameters,
    scanner: ScannerParameters,
    view: _View,
    motion: Motion,
    shape: LVShape,
    shift: Tensor,
    noise: Tensor,
) -> tuple[Tensor, Tensor]:
    """Frames uint8 and masks bool [b, t, h, w] of some of a clip's times; `noise` is [b, t, 2, depths, beams]."""
    b, t = shape.length_cm.shape
    dw, dz = shift[..., 0, None, None], shift[..., 1, None, None]
    w0, z0 = material_coordinates(anatomy, shape, motion, view.w - dw, view.z - dz)
    grid = map_grid(w0, z0).reshape(b, t * DEPTHS, BEAMS, 2)
    field = F.grid_sample(view.tissue, grid, mode="bilinear", padding_mode="border", align_corners=True)
    field = field.reshape(b, 3, t, DEPTHS, BEAMS).transpose(1, 2)
    patch = paint_leaflets(anatomy, shape, motion, view.leaflets, shift).flatten(1, 2)
    leaflets = F.grid_sample(patch, view.leaflet_grid, mode="bilinear", padding_mode="zeros", align_corners=True)
    field = field + leaflets.reshape(b, t, 3, DEPTHS, BEAMS) + view.static
    field[:, :, 1:] += noise * view.noise_level
    field[:, :, :1] += view.noise_level
    field = view.axial @ (field @ view.lateral)

    clean, real, imaginary = field.unbind(2)
    envelope = torch.log(real * real + imaginary * imaginary + 1e-12)
    weight = _fit(scanner.speckle_weight)[:, None]
    span = DB / _fit(scanner.dynamic_range_db)[:, None]
    grey = envelope * (0.5 * weight * span) + torch.log(clean + 1e-6) * ((1 - weight) * span) + view.offset
    reject = _fit(scanner.reject)[:, None]
    grey = ((grey - reject) / (1 - reject)).clamp(0, 1).pow(_fit(scanner.gamma)[:, None])
    picture = F.grid_sample(grey, view.screen, mode="bilinear", padding_mode="border", align_corners=True)
    picture = (picture * 255 + 0.5) * view.sector[:, None]
    mask = inside_ventricle(anatomy, shape, view.screen_w - dw, view.screen_z - dz)
    return picture.to(torch.uint8), mask


def scan(
    anatomy: AnatomyParameters, scanner: ScannerParameters, motion: Motion, *, size: int = 128, generator: Generator
) -> Scan:
    """Pictures of b hearts at the t times of `motion`, on the device where the parameters are.

    Random numbers come from the CPU, for each clip from a seed of its own, so that every device shows the same clip.
    """
    device = anatomy.view.device
    b, t = motion.volume_ml.shape
    shape = lv_shape(anatomy, motion)
    group, step = (1, CPU_CHUNK) if device.type == "cpu" else (min(b, max(1, GPU_CHUNK // t)), t)
    bank = speckle_field([generator] * NOISE_FIELDS, (DEPTHS, BEAMS), device)
    chosen = torch.randint(NOISE_FIELDS, (b, t), generator=generator).to(device)
    sign = (torch.randint(2, (b, t), generator=generator) * 2 - 1).to(device)[..., None, None, None]
    seeds = torch.randint(2**62, (b,), generator=generator).tolist()
    generators = [Generator().manual_seed(seed) for seed in seeds]
    shift = _sway(scanner, torch.arange(t, device=device, dtype=torch.float32))
    frames, masks, sectors = [], [], []
    for start in range(0, b, group):
        rows = slice(start, start + group)
        own, settings, moves = anatomy.rows(rows), scanner.rows(rows), motion.rows(rows)
        view = _prepare(own, settings, size, generators[rows])
        sectors.append(view.sector)
        clip = []
        for first in range(0, t, step):
            when = slice(first, min(first + step, t))
            part = Motion(**{k: v[:, when] if v.ndim == 2 and v.shape[1] == t else v for k, v in vars(moves).items()})
            piece = LVShape(shape.length_cm[rows, when], shape.half_width_cm[rows, when])
            noise = bank[chosen[rows, when]] * sign[rows, when]
            clip.append(_render(own, settings, view, part, piece, shift[rows, when], noise))
        frames.append(torch.cat([piece for piece, _ in clip], 1))
        masks.append(torch.cat([piece for _, piece in clip], 1))
    spacing = pixel_spacing_cm(anatomy, scanner, size)
    return Scan(torch.cat(frames), torch.cat(masks), torch.cat(sectors), spacing)
