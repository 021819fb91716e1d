"""How alike two clips are, pixel by pixel.

Frames are float tensors [t, h, w] (or [h, w]) in 0..1. A sector mask, bool [h, w] or [t, h, w], restricts every
figure to the part of the picture that holds an image; the black around it flatters MSE and PSNR and upsets SSIM.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

SSIM_WINDOW = 11
SSIM_SIGMA = 1.5
SSIM_K1, SSIM_K2 = 0.01, 0.03


def mse(frames: torch.Tensor, reference: torch.Tensor, sector: torch.Tensor | None = None) -> float:
    """Mean squared error."""
    frames, reference = _pair(frames, reference)
    return _mean((frames - reference) ** 2, sector)


def mae(frames: torch.Tensor, reference: torch.Tensor, sector: torch.Tensor | None = None) -> float:
    """Mean absolute error."""
    frames, reference = _pair(frames, reference)
    return _mean((frames - reference).abs(), sector)


def psnr(frames: torch.Tensor, reference: torch.Tensor, sector: torch.Tensor | None = None) -> float:
    """Peak signal-to-noise ratio in dB of the clip as a whole, -10 log10(MSE); infinite for equal clips."""
    error = mse(frames, reference, sector)
    return -10 * math.log10(error) if error > 0 else math.inf


def ssim(frames: torch.Tensor, reference: torch.Tensor, sector: torch.Tensor | None = None) -> float:
    """Mean structural similarity over frames (Wang et al. 2004): Gaussian window 11x11, sigma 1.5, K = 0.01, 0.03.

    Population (co)variances; only windows that lie wholly in the picture count, and of these, with a sector, only those
    centred in it. scikit-image calls this `gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
    data_range=1`.
    """
    similarity = ssim_map(frames, reference)
    if sector is not None:
        edge = SSIM_WINDOW // 2
        sector = sector[..., edge:-edge, edge:-edge]
    return _mean(similarity, sector)


def ssim_map(frames: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """Structural similarity around every pixel that is at least 5 pixels from the border, [t, h - 10, w - 10]."""
    x, y = _pair(frames, reference)
    if min(x.shape[-2:]) < SSIM_WINDOW:
        raise ValueError(f"SSIM needs at least {SSIM_WINDOW} x {SSIM_WINDOW} pixels, got {tuple(x.shape[-2:])}")
    mean_x, mean_y, mean_xx, mean_yy, mean_xy = (_window_mean(v) for v in (x, y, x * x, y * y, x * y))
    variance_x, variance_y = mean_xx - mean_x**2, mean_yy - mean_y**2
    covariance = mean_xy - mean_x * mean_y
    c1, c2 = SSIM_K1**2, SSIM_K2**2
    likeness = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    return likeness / ((mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2))


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
