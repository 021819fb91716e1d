"""From scatterers to grey pictures: blur, envelope, compression, grey map, scan conversion.

Everything is computed on a polar grid (depth x beam), where a phased array's blur is nearly the same everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from echopulse.phantom.scanner.artefacts import Restless, clutter, gain_field, restless, shade
from echopulse.phantom.scanner.beam import BEAMS, DEPTHS, Blur, beam_blur
from echopulse.phantom.scanner.settings import ScannerParameters, as_received

DB = 20 / math.log(10)  # decibels per natural logarithm of amplitude


@dataclass(frozen=True)
class Acquisition:
    """All that stays the same through a clip; centimetres are to the right of and below the probe."""

    settings: ScannerParameters
    depth_cm: Tensor  # [b], of the picture, from the skin
    x_cm: Tensor  # [b, depths, beams], the polar samples
    y_cm: Tensor
    screen_x_cm: Tensor  # [b, size, size], the picture's pixels
    screen_y_cm: Tensor
    pixel_spacing_cm: Tensor  # [b], pixels are square
    sector: Tensor  # bool [b, size, size]
    cover: Tensor  # [b, 1, size, size], 0..1, how much of a pixel lies in the sector
    screen: Tensor  # [b, size, size, 2], the pixels in the polar grid, -1..1
    blur: Blur
    restless: Restless
    static: Tensor  # [b, 1, 3, depths, beams], scatterers that stand still
    shades: Tensor  # [b, 2, depths, beams], weakening of the echoes, breathed out and breathed in
    offset: Tensor  # [b, 1, depths, beams], grey value of an amplitude of 1


def prepare(
    settings: ScannerParameters, depth_cm: Tensor, size: int, generators: Sequence[Generator]
) -> Acquisition:
    """Acquisitions that reach `depth_cm` [b] below the skin, shown on `size` x `size` pixels.

    Random numbers come from the CPU, those of each clip from a generator of its own, so that every device and every
    batch shows the same clip.
    """
    settings = as_received(settings)
    device = depth_cm.device
    half, skin = settings.half_angle_rad[:, None, None], settings.skin_radius_cm[:, None, None]
    depth = depth_cm[:, None, None]
    radius = torch.linspace(0, 1, DEPTHS, device=device)[None, :, None] * depth + skin
    angle = torch.linspace(-1, 1, BEAMS, device=device)[None, None, :] * half

    # The sector begins on an arc around a point above the skin; its ends lie higher than its middle.
    rise = skin * (1 - half.cos())
    spacing = (depth + rise) / ((settings.bottom - settings.top)[:, None, None] * size)
    place = torch.arange(size, device=device, dtype=torch.float32) + 0.5
    x = ((place[None, None, :] - 0.5 * size) * spacing).expand(-1, size, -1)
    y = ((place[None, :, None] - settings.top[:, None, None] * size) * spacing - rise).expand(-1, -1, size)
    far, theta = (x * x + (y + skin).square()).sqrt(), torch.atan2(x, y + skin)
    across, down = theta / half, (far - skin) * (2 / depth) - 1

    inside = torch.minimum((1 - across.abs()) * half * far, (1 - down.abs()) * 0.5 * depth)  # cm from the edge
    cover = (inside / spacing + 0.5).clamp(0, 1)

    moving = restless(settings, depth_cm, generators)
    span = settings.dynamic_range_db[:, None, None]
    gain = gain_field(settings, generators) + settings.gain_db[:, None, None]
    return Acquisition(
        settings=settings,
        depth_cm=depth_cm,
        x_cm=radius * angle.sin(),
        y_cm=radius * angle.cos() - skin,
        screen_x_cm=x,
        screen_y_cm=y,
        pixel_spacing_cm=spacing[:, 0, 0],
        sector=cover > 0,
        cover=cover[:, None],
        screen=torch.stack((across, down), -1),
        blur=beam_blur(settings, depth_cm),
        restless=moving,
        static=clutter(settings, depth_cm, moving.haze[:, 0], generators)[:, None],
        shades=torch.stack(shade(settings, generators), 1),
        offset=((gain + span) / span)[:, None],
    )


def _fit(value: Tensor) -> Tensor:
    return value[:, None, None, None]


def shift_along_beam(
    points: tuple[Tensor, Tensor, Tensor], painted: tuple[Tensor, Tensor, Tensor], origin: Tensor
) -> Tensor:
    """How much farther along the beam the tissue lies than where it was painted, cm [b, t, depths, beams].

    `points` are where the polar samples are now and `painted` where their tissue was painted (x, y, z each
    [b, t, depths, beams]); `origin` [b, t, 3] is the probe's place.
    """
    beam = [place - origin[..., k, None, None] for k, place in enumerate(points)]
    shift = sum(way * (now - then) for way, now, then in zip(beam, points, painted, strict=True))
    return shift * (beam[0] * beam[0] + beam[1] * beam[1] + beam[2] * beam[2]).clamp_min(0.1).rsqrt()


def rotate_phase(field: Tensor, shift_cm: Tensor, settings: ScannerParameters) -> Tensor:
    """The field [b, t, 3, depths, beams] with its phase turned as tissue turns it that has moved along the beam.

    `shift_cm` [b, t, depths, beams] is how much farther from the probe it lies than where it was painted. An equal
    shift of all changes nothing to be seen; strain within the pulse decorrelates speckle. A quarter of the full
    4 pi / wavelength is taken, since persistence hides most of it.
    """
    turn = shift_cm * _fit(math.pi * settings.frequency_mhz / 0.154)
    cos, sin = turn.cos(), turn.sin()
    clean, real, imaginary = field.unbind(2)
    return torch.stack((clean, real * cos - imaginary * sin, real * sin + imaginary * cos), 2)


def envelope_power(echoes: Tensor, weight: Tensor) -> Tensor:
    """[b, t, depths, beams]: detected power of echoes [b, t, 3, depths, beams].

    A compound of several looks has the power of one look, by `weight` [b], and for the rest the power expected of all:
    bright grains pale, and the black nulls between them fill up.
    """
    clean, real, imaginary = echoes.unbind(2)
    power = (real * real).addcmul_(imaginary, imaginary)
    return power.mul_(_fit(weight)).addcmul_(clean * _fit(1 - weight), clean)


def grey_map(level: Tensor, settings: ScannerParameters) -> Tensor:
    """Grey values 0..1 of levels where 1 is white: reject, then a cubic between straight, parabola and S."""
    reject = _fit(settings.reject)
    x = ((level - reject) * (1 / (1 - reject))).clamp_(0, 1)
    bend, contrast = _fit(settings.curve), _fit(settings.contrast)
    return x * (1 + (x - 1) * (bend - contrast * (x - 0.5)))


def form_image(
    acquisition: Acquisition,
    field: Tensor,
    times_s: Tensor,
    pulse: Tensor | None = None,
    breath: Tensor | None = None,
    shift_cm: Tensor | None = None,
    rounded: bool = True,
) -> Tensor:
    """Pictures uint8 [b, t, size, size] of scatterers `field` [b, t, 3, depths, beams] at `times_s` [t].

    The field's channels are the amplitude without speckle, and its real and imaginary part with it, which moves with
    the tissue. `pulse` [b, t], 0..1, is what of the heart beat the haze follows; `breath` [b, t], 1 in and -1 out, is
    what the lung follows, which else stays halfway; `shift_cm` is explained at `rotate_phase`. Not `rounded` the
    pictures are float32 0..255, in which a value that is not a number would show.
    """
    settings = acquisition.settings
    if shift_cm is not None:
        field = rotate_phase(field, shift_cm, settings)
    out, covered = acquisition.shades[:, None, 0], acquisition.shades[:, None, 1]
    slid = 0.5 if breath is None else (0.5 + 0.5 * breath)[..., None, None]
    field = torch.addcmul(acquisition.static, field, torch.lerp(out, covered, slid)[:, :, None])
    acquisition.restless.add_to(field, times_s, pulse)
    power = envelope_power(acquisition.blur(field), settings.speckle_weight)
    level = torch.log(power.add_(1e-12)).mul_(_fit(0.5 * DB / settings.dynamic_range_db)).add_(acquisition.offset)
    grey = grey_map(level, settings)
    picture = F.grid_sample(grey, acquisition.screen, mode="bilinear", padding_mode="border", align_corners=True)
    picture.mul_(acquisition.cover).mul_(255)
    return picture.add_(0.5).to(torch.uint8) if rounded else picture
