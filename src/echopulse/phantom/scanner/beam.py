"""The beam's blur on the polar grid: short along the depth, wider across it, widest away from the focus."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from echopulse.phantom.scanner.settings import ScannerParameters, beam_width_rad
from echopulse.phantom.texture import blur_matrix

DEPTHS, BEAMS = 128, 96  # the polar grid
FWHM = 2.3548  # of a Gaussian, in standard deviations
CYCLES = 3.0  # length of the pulse
WIDEST = 5.0  # width of the widest beam relative to the one at the focus
SIDE_LOBE_BEAMS = 9.0  # standard deviation of the side lobes' smear


@dataclass(frozen=True)
class Blur:
    """What turns scatterers into echoes, for the channels (clean amplitude, real, imaginary).

    Clean rows sum to one, so that amplitudes stay; the others have unit sum of squares, so that white noise keeps its
    power.
    """

    axial: Tensor  # [b, 1, 3, depths, depths], from the left
    narrow: Tensor  # [b, 1, 3, beams, beams], from the right
    wide: Tensor  # likewise
    narrow_share: Tensor  # [b, 1, 3, depths, 1]
    wide_share: Tensor

    def __call__(self, field: Tensor) -> Tensor:
        """Echoes of scatterers, [b, t, 3, depths, beams] both.

        Two lateral blurs mixed by depth stand for one whose width changes with it.
        """
        mixed = (field @ self.narrow).mul_(self.narrow_share).addcmul_(field @ self.wide, self.wide_share)
        return self.axial @ mixed


def _unit_rows(kernel: Tensor) -> tuple[Tensor, Tensor]:
    """A positive kernel [b, n, n] with rows of unit sum, and with rows of unit sum of squares."""
    return kernel / kernel.sum(-1, keepdim=True), kernel / (kernel * kernel).sum(-1, keepdim=True).sqrt()


def _axial(settings: ScannerParameters, depth_cm: Tensor) -> Tensor:
    """[b, depths, depths]: the pulse, its ringing, and the ghost of every echo."""
    per_cm = (DEPTHS - 1) / depth_cm
    pulse_cm = CYCLES * 0.077 / settings.frequency_mhz  # half a wavelength per cycle: the way is gone twice
    sigma = (pulse_cm.square() + (settings.smoothing * depth_cm).square()).sqrt() * per_cm / FWHM
    spread = 0.04 * settings.frequency_mhz  # the deep tissue has taken the high frequencies, the pulse is longer
    pulse = blur_matrix(sigma.clamp_min(0.6), DEPTHS, spread)
    pulse = pulse / pulse.amax(-1, keepdim=True)
    place = torch.arange(DEPTHS, device=depth_cm.device, dtype=torch.float32)
    later = (place[:, None] - place[None, :]).clamp_min(0)  # how much deeper the row is than the column
    tail = 0.08 * torch.exp(-later / (settings.tail_cm * per_cm + 0.05)[:, None, None]) * (later > 0)
    lag = (later - (settings.ghost_cm * per_cm)[:, None, None]) / (1.3 * sigma)[:, None, None]
    ghost = torch.exp(settings.ghost_db * 0.1151293)[:, None, None] * (torch.exp(-0.5 * lag * lag) - 1e-5).clamp_min(0)
    return pulse + tail + ghost


def _lateral(settings: ScannerParameters, sigma: Tensor) -> Tensor:
    """[b, beams, beams]: main lobe of `sigma` [b] beams and its side lobes, which smear whatever is bright."""
    main = blur_matrix(sigma, BEAMS)
    main = main / main.amax(-1, keepdim=True)
    side = blur_matrix(torch.full_like(sigma, SIDE_LOBE_BEAMS), BEAMS)
    side = side / side.amax(-1, keepdim=True)
    return main + torch.exp(settings.side_lobe_db * 0.1151293)[:, None, None] * side


def beam_widening(settings: ScannerParameters, depth_cm: Tensor) -> Tensor:
    """[b, depths]: width of the beam in radians relative to that at its focus.

    Away from the focus F the wave of an aperture D is spread over the angle D |1/r - 1/F|; dynamic focusing on
    reception takes most of it away.
    """
    r = torch.linspace(0, 1, DEPTHS, device=depth_cm.device) * depth_cm[:, None]
    focus = (settings.focus * depth_cm)[:, None]
    spread = 0.2 * settings.aperture_cm[:, None] * (1 / r.clamp_min(0.3) - 1 / focus).abs()
    return (1 + (spread / beam_width_rad(settings)[:, None]).square()).sqrt().clamp_max(WIDEST)


def beam_blur(settings: ScannerParameters, depth_cm: Tensor) -> Blur:
    """The blur of b acquisitions that reach `depth_cm` [b] deep."""
    per_rad = (BEAMS - 1) / (2 * settings.half_angle_rad)
    sigma = (beam_width_rad(settings) * per_rad / FWHM).clamp_min(0.6)
    clean_axial, axial = _unit_rows(_axial(settings, depth_cm))
    narrow, wide = (_unit_rows(_lateral(settings, sigma * factor)) for factor in (1.0, WIDEST))
    share = (beam_widening(settings, depth_cm).square() - 1) / (WIDEST**2 - 1)  # variances mix in proportion
    middle = BEAMS // 2
    common = (narrow[1][:, middle] * wide[1][:, middle]).sum(-1)[:, None]
    power = ((1 - share).square() + share.square() + 2 * share * (1 - share) * common).sqrt()
    shares = [torch.stack((part, part / power, part / power), 1)[:, None, :, :, None] for part in (1 - share, share)]
    sides = [torch.stack((clean, full, full), 1)[:, None].mT.contiguous() for clean, full in (narrow, wide)]
    return Blur(torch.stack((clean_axial, axial, axial), 1)[:, None], *sides, *shares)
