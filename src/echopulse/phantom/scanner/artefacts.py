"""What spoils a picture: uneven gain, shadows of rib and lung, clutter before the heart, haze and noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from echopulse.phantom.scanner.beam import BEAMS, DEPTHS
from echopulse.phantom.scanner.settings import ScannerParameters
from echopulse.phantom.steps import soft_step
from echopulse.phantom.texture import evens, smooth_field, speckle_field

PER_DB = math.log(10) / 20  # natural logarithm of an amplitude per decibel
GRAIN_MARGIN = (40, 32)  # samples by which the bank of noise is larger than a picture
TURNS = 64  # after so many changes the noise comes again
B_LINES = 3
STANDING_HAZE = 0.64  # share of the haze's power whose grain stays


def amplitude(level_db: Tensor) -> Tensor:
    """Linear amplitude of a level in dB."""
    return torch.exp(level_db * PER_DB)


def _fit(value: Tensor) -> Tensor:
    return value[:, None, None]


def _axes(device: torch.device) -> tuple[Tensor, Tensor]:
    """Depth 0..1 [1, depths, 1] and beam -1..1 [1, 1, beams]."""
    deep = torch.linspace(0, 1, DEPTHS, device=device)[None, :, None]
    return deep, torch.linspace(-1, 1, BEAMS, device=device)[None, None, :]


def gain_field(settings: ScannerParameters, generators: Sequence[Generator]) -> Tensor:
    """dB [b, depths, beams]: what the machine's gain does wrong; echoes, clutter and noise alike."""
    device = settings.gain_db.device
    deep, beam = _axes(device)
    slow = smooth_field(generators, (4, 5), (DEPTHS, BEAMS), device)
    streaks = smooth_field(generators, (3, 28), (DEPTHS, BEAMS), device) * soft_step(deep - 0.2, 0.3)
    sliders = smooth_field(generators, (8, 1), (DEPTHS, BEAMS), device)
    parts = evens(generators, (1, 1), device)
    field = _fit(settings.swing_db) * slow + _fit(settings.streak_db) * streaks + _fit(settings.tgc_db) * sliders
    field = field + _fit(settings.slope_db) * (deep - 0.5)
    seams = ((beam + 1) * (1 + parts)).floor() % 2 - 0.5  # two to four parts side by side
    return field + _fit(settings.seam_db) * seams


def shade(settings: ScannerParameters, generators: Sequence[Generator]) -> tuple[Tensor, Tensor]:
    """Amplitudes [b, depths, beams] by which echoes are weakened: breathed out, and in, when the lung covers more."""
    device = settings.gain_db.device
    deep, beam = _axes(device)
    slow, patches = (smooth_field(generators, cells, (DEPTHS, BEAMS), device) for cells in ((4, 5), (7, 15)))
    ragged = smooth_field(generators, (1, 30), (DEPTHS, BEAMS), device)
    behind = patches.clamp_min(0).cumsum(1) * (4 / DEPTHS)  # what has been lost on the way
    loss = _fit(settings.patch_db) * (behind - behind.mean((1, 2), keepdim=True) - 0.5 * patches)
    loss = loss + _fit(settings.steer_db) * beam.square().square()
    width = _fit(settings.side_width) * (1 + 0.25 * slow)
    loss = loss + _fit(settings.left_db) * (1 - (beam + 1) / width).clamp(0, 1)
    loss = loss + _fit(settings.right_db) * (1 - (1 - beam) / width).clamp(0, 1)
    near = 0.06 + 0.02 * ragged
    rib = soft_step(0.5 * _fit(settings.rib_width) - (beam - _fit(settings.rib_place)).abs(), _fit(settings.rib_edge))
    loss = loss + _fit(settings.rib_db) * rib * soft_step(deep - near, 0.05)
    loss = loss + 16 * (1 - deep / 0.16).clamp_min(0)  # near the skin the beam is not yet a beam
    side = settings.lung_place.sign()
    shades = []
    for slide in (-0.06, 0.06):
        inside = _fit(side) * beam - _fit(settings.lung_place.abs() - slide) + 0.15 * (0.5 - deep)
        lung = soft_step(inside, 0.05) * soft_step(deep - 0.12, 0.06)
        shades.append(amplitude(-(loss + _fit(settings.lung_db) * lung)))
    return shades[0], shades[1]


def clutter(
    settings: ScannerParameters, depth_cm: Tensor, haze: Tensor, generators: Sequence[Generator]
) -> Tensor:
    """[b, 3, depths, beams]: what stands still before the heart: chest wall, its reverberation, ring-down, B-lines.

    `haze` [b, depths, beams] is the amplitude of the veil, of which a share stands still too.
    """
    device = depth_cm.device
    deep, beam = _axes(device)
    speckle = speckle_field(generators, (DEPTHS, BEAMS), device)
    cloud, layers, lit = (
        smooth_field(generators, cells, (DEPTHS, BEAMS), device) for cells in ((9, 6), (30, 4), (3, 4))
    )
    places = evens(generators, (B_LINES, 1, 1), device)
    phase = evens(generators, (1, 1), device)
    r = deep * _fit(depth_cm)
    level = _fit(settings.clutter_db) + 4 * cloud + 3.5 * layers - 8.7 * (r - 0.4) / _fit(settings.clutter_cm)

    wave = (math.tau * (r / _fit(settings.bands_cm) + 0.04 * lit)).cos().clamp_min(0)
    bands = _fit(settings.bands_db) + 20 * (wave - 1) + 5 * lit - 4 * (beam * 1.3).square()
    bands = bands - 6 * (r / _fit(settings.bands_cm) - 1)  # every further multiple is weaker

    ring = (math.tau * (r / (0.8 * _fit(settings.ring_cm)) + phase)).cos()
    ring = _fit(settings.ring_db) + 7 * ring - 9 * r / _fit(settings.ring_cm) - 5 * beam.square()
    ring = ring - 60 * (0.12 - r).clamp_min(0) / 0.12  # the picture begins dark

    side = settings.lung_place.sign()
    beams = _fit(settings.lung_place.abs()) + 0.08 + places.transpose(0, 1) * (1 - _fit(settings.lung_place.abs()))
    lines = ((_fit(side) * beam - beams) / 0.035).square().amin(0)
    lines = _fit(settings.lines_db) - 5 * lines - 10 * deep - 90 * (_fit(settings.lung_db) <= 0)
    lines = lines - 80 * (0.12 - deep).clamp_min(0) / 0.12

    loudest = torch.maximum(torch.maximum(level, ring), torch.maximum(bands, lines))
    strength = amplitude(loudest.clamp(-90, 0))
    clean, grainy = strength + STANDING_HAZE * haze, strength + math.sqrt(STANDING_HAZE) * haze
    return torch.cat((clean[:, None], grainy[:, None] * speckle), 1)


@dataclass(frozen=True)
class Restless:
    """What changes of its own accord: receiver noise everywhere, and haze that drifts before the heart."""

    grains: Tensor  # [b, 2, depths + margin, beams + margin], white complex noise of unit power
    places: Tensor  # int64 [b, 2, TURNS, 2], where in it the picture's noise and haze are read
    signs: Tensor  # [b, 2, TURNS]
    period_s: Tensor  # [b, 2], time after which noise and haze are new
    noise: Tensor  # amplitude [b, 1, depths, 1]
    haze: Tensor  # amplitude [b, 1, depths, beams]
    cloud: Tensor  # [b, 1, depths, beams], by how much of itself the haze comes and goes
    flicker: Tensor  # [b, 1, 1, 1], amplitude of fresh speckle relative to the tissue
    turn: Tensor  # [b, 1], rad: where its coming and going begins

    def _grain(self, which: int, times_s: Tensor) -> Tensor:
        """[b, t, 2, depths, beams]: noise (0) or haze (1) of unit power, which keeps changing."""
        steps = times_s[None] / self.period_s[:, which, None]
        first = steps.floor()
        share = (steps - first) * (0.5 * math.pi)
        rows = torch.arange(len(steps), device=steps.device)[:, None]
        windows = self.grains.unfold(2, DEPTHS, 1).unfold(3, BEAMS, 1)  # [b, 2, i, j, depths, beams]
        parts = []
        for turn, weight in ((first, share.cos()), (first + 1, share.sin())):
            index = turn.long() % TURNS
            place = self.places[rows, which, index]  # [b, t, 2]
            weight = (weight * self.signs[rows, which, index])[..., None, None, None]
            parts.append(windows[rows, :, place[..., 0], place[..., 1]] * weight)
        return parts[0].add_(parts[1])

    def add_to(self, field: Tensor, times_s: Tensor, pulse: Tensor | None = None) -> None:
        """Noise, haze and flicker at times [t], in place, on a field [b, t, 3, depths, beams].

        `pulse` [b, t], 0..1, is what of the heart beat the haze follows.
        """
        sway = (times_s[None] * 5.1 + self.turn).sin() * 0.5
        if pulse is not None:
            sway = sway + (pulse - 0.5)
        haze = self.haze * (1 + self.cloud * sway[..., None, None])  # [b, t, depths, beams]
        fresh = torch.addcmul(haze * math.sqrt(1 - STANDING_HAZE), field[:, :, 0], self.flicker)
        field[:, :, 1:].addcmul_(self._grain(1, times_s), fresh[:, :, None])
        field[:, :, 1:].addcmul_(self._grain(0, times_s), self.noise[:, :, None])
        field[:, :, 0] += haze.mul_(1 - STANDING_HAZE).add_(self.noise)


def restless(settings: ScannerParameters, depth_cm: Tensor, generators: Sequence[Generator]) -> Restless:
    """Noise and haze of b acquisitions."""
    device = depth_cm.device
    deep, _ = _axes(device)
    margins = torch.tensor(GRAIN_MARGIN)
    size = (DEPTHS + GRAIN_MARGIN[0], BEAMS + GRAIN_MARGIN[1])
    grains = speckle_field(generators, size, device)
    places = (evens(generators, (2, TURNS, 2), "cpu") * (margins + 1)).long()
    signs = (evens(generators, (2, TURNS), device) < 0.5).float() * 2 - 1
    level, cloud = (smooth_field(generators, cells, (DEPTHS, BEAMS), device) for cells in ((5, 5), (6, 6)))
    turn = evens(generators, (1,), device) * math.tau
    r = deep * _fit(depth_cm)
    # Depth compensation lifts the noise with the echoes (0.5 dB per cm and MHz, both ways) until it has no more gain.
    lift = 1.0 * _fit(settings.frequency_mhz) * (_fit(depth_cm) - r)
    noise = amplitude(_fit(settings.noise_db) - 0.4 * lift.clamp_max(35))
    haze = _fit(settings.haze_db) + 4 * level - 6 * ((r - _fit(settings.haze_cm)) / 3.0).square().clamp_max(5)
    return Restless(
        grains=grains,
        places=places.to(device),
        signs=signs,
        period_s=torch.stack((settings.persistence_s, settings.haze_s), 1),
        noise=noise[:, None],
        haze=amplitude(haze)[:, None],
        cloud=(0.5 * cloud.clamp(-1.6, 1.6))[:, None],
        flicker=settings.flicker[:, None, None, None],
        turn=turn,
    )
