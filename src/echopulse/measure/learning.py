"""What the segmenter learns by: its loss, and pictures made worse so that it also reads soft, generated ones."""

from __future__ import annotations

import torch
import torch.nn.functional as F

BLUR_RADIUS = 6


def segmentation_loss(logits: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Binary cross-entropy plus one minus the soft Dice overlap, a scalar; logits and masks [b, h, w].

    Dice is taken per picture, so that a small systolic cavity counts as much as a large diastolic one; where
    there is no cavity at all only the cross-entropy speaks.
    """
    mask = mask.to(logits.dtype)
    entropy = F.binary_cross_entropy_with_logits(logits, mask)
    probability = logits.sigmoid()
    overlap = 2 * (probability * mask).sum((1, 2)) / ((probability + mask).sum((1, 2)) + 1)
    present = mask.flatten(1).amax(1)
    return entropy + ((1 - overlap) * present).sum() / present.sum().clamp(min=1)


def degrade(frames: torch.Tensor, generator: torch.Generator, strength: float = 1.0) -> torch.Tensor:
    """Blur, fade, re-gain and roughen pictures [b, h, w] (uint8, or float in 0..1); float32 [b, h, w] in 0..1.

    Every picture draws its own: Gaussian blur of 0 to 2.5 px (as a tokenizer blurs), a smooth gain field that fades
    parts of the wall, gain 0.5 to 1.8, gamma 0.7 to 1.4, a haze that lifts the blood, white and coarse noise. A quarter
    of the pictures stay as they are. `strength` scales it all; 0 changes nothing. The numbers are drawn on the
    generator's device (the CPU, as a rule), so they are the same on every machine.
    """
    if frames.dtype == torch.uint8:
        frames = frames.float() / 255
    b, height, width = frames.shape

    def uniform(low: float, high: float) -> torch.Tensor:
        draw = torch.rand(b, 1, 1, generator=generator, device=generator.device).to(frames.device)
        return low + (high - low) * draw

    def normal(rows: int, columns: int) -> torch.Tensor:
        field = torch.randn(b, 1, rows, columns, generator=generator, device=generator.device).to(frames.device)
        if (rows, columns) != (height, width):
            field = F.interpolate(field, (height, width), mode="bicubic", align_corners=False)
        return field[:, 0]

    amount = strength * (uniform(0, 1) > 0.25)
    worse = _blur(frames, amount[:, 0, 0] * uniform(0, 2.5)[:, 0, 0])
    worse = worse * torch.exp(amount * (uniform(0, 0.5) * normal(5, 5) + uniform(-0.7, 0.6)))
    worse = worse.clamp(min=0) ** torch.exp(amount * uniform(-0.35, 0.35))
    worse = worse + amount * uniform(0, 1) ** 3 * 0.15 * (normal(4, 4) + 1).clamp(min=0) * (frames > 0)
    coarse = normal(max(2, height // 4), max(2, width // 4))
    # noise mostly where there is picture: the black outside of a sector stays nearly black
    worse = worse + amount * (worse.clamp(0, 1) + 0.1) * (uniform(0, 0.25) * normal(height, width)
                                                          + uniform(0, 0.2) * coarse)
    return worse.clamp(0, 1)


def _blur(frames: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """Gaussian blur of pictures [b, h, w], each with its own sigma [b] in pixels."""
    b = len(frames)
    offsets = torch.arange(-BLUR_RADIUS, BLUR_RADIUS + 1, device=frames.device, dtype=frames.dtype)
    kernel = torch.exp(-0.5 * (offsets / sigma.clamp(min=0.05)[:, None]) ** 2)
    kernel = kernel / kernel.sum(1, keepdim=True)  # [b, k]
    x = F.pad(frames[None], (BLUR_RADIUS,) * 4, mode="reflect")
    x = F.conv2d(x, kernel[:, None, None, :], groups=b)
    return F.conv2d(x, kernel[:, None, :, None], groups=b)[0]
