"""How alike two clips are, pixel by pixel.

Frames are float tensors [t, h, w] (or [h, w]) in 0..1. A sector mask, bool [h, w] or [t, h, w], restricts every
figure to the part of the picture that holds an image; the black around it flatters MSE and PSNR and upsets SSIM.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from echopulse.errors import InputError

SSIM_WINDOW = 11
EDGE = SSIM_WINDOW // 2
SSIM_SIGMA = 1.5
SSIM_K1, SSIM_K2 = 0.01, 0.03
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # finest first (Wang et al. 2003)


def mse(frames: torch.Tensor, reference: torch.Tensor, sector: torch.Tensor | None = None) -> float:
    """Mean squared error."""
    frames, reference = _pair(frames, reference)
    return _mean((frames - reference) ** 2, sector)


def mae(frames: torch.Tensor, reference: torch.Tensor, sector: torch.Tensor | None = None) -> float:
    """Mean absolute error."""
    frames, reference = _pair(frames, reference)
    return _mean((frames - reference).abs(), sector)


def psnr(frames: torch.Tensor, reference: torch.Tensor, sector: torch.Tensor | None = None) -> float:
    """Peak signal-to-noise ratio in dB of the clip as a whole, -10 log10(MSE).

    Infinite for equal clips, NaN where no pixel counts.
    """
    error = mse(frames, reference, sector)
    return math.inf if error == 0 else -10 * math.log10(error)


def ssim(frames: torch.Tensor, reference: torch.Tensor, sector: torch.Tensor | None = None) -> float:
    """Mean structural similarity over frames (Wang et al. 2004): Gaussian window 11x11, sigma 1.5, K = 0.01, 0.03.

    Population (co)variances; only windows that lie wholly in the picture count, and of these, with a sector, only those
    centred in it. scikit-image calls this `gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
    data_range=1`.
    """
    similarity = ssim_map(frames, reference)
    if sector is not None:
        sector = sector[..., EDGE:-EDGE, EDGE:-EDGE]
    return _mean(similarity, sector)


def ssim_map(frames: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """Structural similarity around every pixel that is at least 5 pixels from the border, [t, h - 10, w - 10]."""
    luminance, structure = _likeness(*_pair(frames, reference))
    return luminance * structure


def smallest_side(scales: int = len(SCALE_WEIGHTS)) -> int:
    """Pixels along the shorter side that `ms_ssim` needs: the window has to fit at the coarsest scale."""
    return SSIM_WINDOW * 2 ** (scales - 1)


def ms_ssim(
    frames: torch.Tensor, reference: torch.Tensor, sector: torch.Tensor | None = None, scales: int = len(SCALE_WEIGHTS)
) -> float:
    """Mean over frames of the structural similarity over several scales (Wang, Simoncelli and Bovik 2003).

    Contrast and structure of every scale, each halved from the one before by 2x2 means, raised to `SCALE_WEIGHTS` and
    multiplied; negative ones count as 0. The coarsest brings the luminance too, and as few pixels are left there the
    picture is mirrored at its border, so that a window stands around each (as in torchmetrics). All five scales need
    176 pixels. Fewer take the first weights, scaled to sum to 1: name the figure after them. 128 pixels allow four.
    """
    if not 1 <= scales <= len(SCALE_WEIGHTS):
        raise InputError(f"{scales} scales: MS-SSIM has 1 to {len(SCALE_WEIGHTS)}.")
    x, y = _pair(frames, reference)
    side = min(x.shape[-2:])
    if side < smallest_side(scales):
        fit = max((n for n in range(1, scales) if smallest_side(n) <= side), default=0)
        advice = f"larger pictures or scales={fit}" if fit else "larger pictures"
        raise InputError(
            f"pictures of {x.shape[-2]} x {x.shape[-1]}: MS-SSIM over {scales} scales needs {smallest_side(scales)} "
            f"pixels a side; give {advice}."
        )
    weights = [weight / sum(SCALE_WEIGHTS[:scales]) for weight in SCALE_WEIGHTS[:scales]]
    mask = None if sector is None else sector.to(x).expand_as(x)
    value = torch.ones(len(x), dtype=x.dtype, device=x.device)
    for scale, weight in enumerate(weights):
        if scale:
            x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
            mask = None if mask is None else F.avg_pool2d(mask, 2)
        if scale < scales - 1:
            part, centres = _likeness(x, y)[1], None if mask is None else mask[:, EDGE:-EDGE, EDGE:-EDGE]
        else:
            luminance, structure = _likeness(*(F.pad(v[:, None], (EDGE,) * 4, mode="reflect")[:, 0] for v in (x, y)))
            part, centres = luminance * structure, mask
        value = value * _frame_means(part, centres).clamp(min=0) ** weight
    return float(value.mean())


def _likeness(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """SSIM's two factors around every pixel that the window fits around: luminance; contrast and structure."""
    if min(x.shape[-2:]) < SSIM_WINDOW:
        raise ValueError(f"SSIM needs at least {SSIM_WINDOW} x {SSIM_WINDOW} pixels, got {tuple(x.shape[-2:])}")
    mean_x, mean_y, mean_xx, mean_yy, mean_xy = (_window_mean(v) for v in (x, y, x * x, y * y, x * y))
    variance_x, variance_y = mean_xx - mean_x**2, mean_yy - mean_y**2
    covariance = mean_xy - mean_x * mean_y
    c1, c2 = SSIM_K1**2, SSIM_K2**2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    return luminance, (2 * covariance + c2) / (variance_x + variance_y + c2)


def _frame_means(values: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """Means [t] of values [t, h, w], of those that are at least half in the mask [t, h, w]."""
    if mask is None:
        return values.mean((1, 2))
    weight = (mask >= 0.5).to(values)
    return (values * weight).sum((1, 2)) / weight.sum((1, 2))  # NaN where nothing is left


def _pair(frames: torch.Tensor, reference: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Both as float64 [t, h, w]: variances are differences of means, which float32 spoils in even areas."""
    if frames.shape != reference.shape or frames.ndim not in (2, 3):
        raise ValueError(f"clips must be [t, h, w] of one shape, got {tuple(frames.shape)}, {tuple(reference.shape)}")
    if not (frames.is_floating_point() and reference.is_floating_point()):
        raise ValueError(f"clips must be float in 0..1, got {frames.dtype} and {reference.dtype}")
    shape = (-1, *frames.shape[-2:])
    return frames.double().reshape(shape), reference.double().reshape(shape)


def _mean(values: torch.Tensor, sector: torch.Tensor | None) -> float:
    if sector is None:
        return float(values.mean())
    weight = sector.to(values).expand_as(values)
    return float((values * weight).sum() / weight.sum()) if weight.any() else math.nan


def _window_mean(values: torch.Tensor) -> torch.Tensor:
    """Gaussian-weighted mean around each pixel, only where the window fits: [t, h, w] -> [t, h - 10, w - 10]."""
    offsets = torch.arange(SSIM_WINDOW, dtype=values.dtype, device=values.device) - SSIM_WINDOW // 2
    kernel = torch.exp(-0.5 * (offsets / SSIM_SIGMA) ** 2)
    kernel = kernel / kernel.sum()
    x = F.conv2d(values[:, None], kernel[None, None, :, None])
    return F.conv2d(x, kernel[None, None, None, :])[:, 0]
