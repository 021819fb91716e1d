"""What the segmenter learns by: its loss, and pictures made worse and framed otherwise.

It so learns to read soft, generated pictures and those of other machines.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from echopulse.measure.segmenter import LV

BLUR_RADIUS = 6


def segmentation_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy plus one minus the soft Dice overlap, a scalar; logits [b, classes, h, w], labels [b, h, w].

    Of one class, labels are bool: the left ventricle. Else they are indices into LABELS, Dice is the mean over the
    classes but the outside, and the ventricle counts as much as all others together. Dice is taken per picture, so that
    a small systolic cavity counts as much as a large diastolic one; classes that a picture does not show have none.
    """
    if logits.shape[1] == 1:
        logits = torch.cat([torch.zeros_like(logits), logits], 1)
    labels = labels.long()
    entropy = F.cross_entropy(logits, labels)
    probability = logits.softmax(1)[:, 1:]
    truth = F.one_hot(labels, logits.shape[1])[..., 1:].permute(0, 3, 1, 2).to(logits.dtype)
    both, sizes = (probability * truth).sum((2, 3)), (probability + truth).sum((2, 3))
    missed = 1 - 2 * both / (sizes + 1)  # [b, classes - 1]
    weight = truth.flatten(2).amax(2)
    weight[:, LV - 1] *= max(1, logits.shape[1] - 2)
    return entropy + (missed * weight).sum() / weight.sum().clamp(min=1)


def place_elsewhere(frames: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Pictures [b, k, h, w] (float) and labels [b, m, h, w] zoomed by 0.72 to 1.3, turned by up to 0.2 rad, shifted by
    up to an eighth, as other machines frame the sector; all of one row alike. A third stays where it is.

    Returns pictures, labels and by how much lengths in the picture have grown, float [b].
    """
    b = len(frames)

    def uniform(low: float, high: float) -> Tensor:
        return (low + (high - low) * torch.rand(b, generator=generator, device=generator.device)).to(frames.device)

    amount = (uniform(0, 1) > 1 / 3).float()
    grown, turn = torch.exp(amount * uniform(-0.33, 0.26)), amount * uniform(-0.2, 0.2)
    shift = [amount * uniform(-0.25, 0.25) for _ in range(2)]
    cosine, sine = turn.cos() / grown, turn.sin() / grown
    rows = [torch.stack([cosine, -sine, shift[0]], 1), torch.stack([sine, cosine, shift[1]], 1)]
    grid = F.affine_grid(torch.stack(rows, 1), [b, 1, *frames.shape[2:]], align_corners=False)
    moved = F.grid_sample(frames, grid, align_corners=False)
    kept = F.grid_sample(labels.to(frames.dtype), grid, mode="nearest", align_corners=False)
    return moved, kept.to(labels.dtype), grown


def degrade(frames: Tensor, generator: torch.Generator, strength: float = 1.0) -> Tensor:
    """Blur, fade, re-gain and roughen pictures (uint8, or float in 0..1), [b, h, w] or the frames of clips
    [b, k, h, w]; float32 in 0..1.

    Every picture or clip draws its own: Gaussian blur of 0 to 2.5 px (as a tokenizer blurs), a smooth gain field that
    fades parts of the wall, gain 0.5 to 1.8, gamma 0.7 to 1.4, a haze that lifts the blood, white and coarse noise (the
    noise anew in every frame). A quarter of the pictures stay as they are. `strength` scales it all; 0 changes nothing.
    The numbers are drawn on the generator's device (the CPU, as a rule), so they are the same on every machine.
    """
    if frames.dtype == torch.uint8:
        frames = frames.float() / 255
    shape = frames.shape
    frames = frames.reshape(len(frames), -1, *shape[-2:])
    b, moments, height, width = frames.shape

    def uniform(low: float, high: float) -> Tensor:
        draw = torch.rand(b, 1, 1, 1, generator=generator, device=generator.device).to(frames.device)
        return low + (high - low) * draw

    def normal(rows: int, columns: int, count: int = 1) -> Tensor:
        field = torch.randn(b, count, rows, columns, generator=generator, device=generator.device).to(frames.device)
        if (rows, columns) != (height, width):
            field = F.interpolate(field, (height, width), mode="bicubic", align_corners=False)
        return field

    amount = strength * (uniform(0, 1) > 0.25)
    worse = _blur(frames, amount.flatten() * uniform(0, 2.5).flatten())
    worse = worse * torch.exp(amount * (uniform(0, 0.5) * normal(5, 5) + uniform(-0.7, 0.6)))
    worse = worse.clamp(min=0) ** torch.exp(amount * uniform(-0.35, 0.35))
    worse = worse + amount * uniform(0, 1) ** 3 * 0.15 * (normal(4, 4) + 1).clamp(min=0) * (frames > 0)
    coarse = normal(max(2, height // 4), max(2, width // 4), moments)
    # noise mostly where there is picture: the black outside of a sector stays nearly black
    worse = worse + amount * (worse.clamp(0, 1) + 0.1) * (
        uniform(0, 0.25) * normal(height, width, moments) + uniform(0, 0.2) * coarse
    )
    return worse.clamp(0, 1).reshape(shape)


def _blur(frames: Tensor, sigma: Tensor) -> Tensor:
    """Gaussian blur of clips [b, k, h, w], each with its own sigma [b] in pixels."""
    b, moments = frames.shape[:2]
    offsets = torch.arange(-BLUR_RADIUS, BLUR_RADIUS + 1, device=frames.device, dtype=frames.dtype)
    kernel = torch.exp(-0.5 * (offsets / sigma.clamp(min=0.05)[:, None]) ** 2)
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(moments, 0)  # [b * k, offsets]
    x = F.pad(frames.flatten(0, 1)[None], (BLUR_RADIUS,) * 4, mode="reflect")
    x = F.conv2d(x, kernel[:, None, None, :], groups=b * moments)
    return F.conv2d(x, kernel[:, None, :, None], groups=b * moments)[0].unflatten(0, (b, moments))
