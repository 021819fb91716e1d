"""What the decoder of key frame and motion learns besides the picture: how far tissue has come from the key."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from echopulse.model.grain import above_background
from echopulse.model.motion import bend
from echopulse.train.grain import SHOWN

WEIGHTS = {"displacement": 0.05}


def motion_losses(displacement: Tensor, pictures: Tensor, motion: Tensor) -> dict[str, Tensor]:
    """How far displacements [b, t, g, g, 2] from the first picture are from the true ones, where tissue is visible.

    Of pictures float [b, t, h, w] in 0..1 and the true motion since the frame before [b, t, g, g, 2], both in picture
    heights; the loss is counted in pixels. The first picture does not count: its displacement is none.
    """
    pictures, pixels = pictures.float(), pictures.shape[-1]
    shown = (pictures - above_background(pictures) > SHOWN).float()
    weight = F.adaptive_avg_pool2d(shown, displacement.shape[2:4])[:, 1:]
    truth = compose_motion(motion.float())
    off = F.smooth_l1_loss(displacement.float() * pixels, truth * pixels, beta=0.25, reduction="none").mean(-1)[:, 1:]
    return {"displacement": (off * weight).sum() / weight.sum().clamp(min=1)}


def compose_motion(motion: Tensor) -> Tensor:
    """Motion since the frame before [b, t, g, g, 2] → displacement since the first frame, the same shape and unit.

    What now lies at a place lay at that place less its motion, and had by then come as far as that earlier place says:
    D_t(x) = m_t(x) + D_{t-1}(x - m_t(x)), with D_0 = 0 whatever came before.
    """
    steps = motion.permute(0, 1, 4, 2, 3).unbind(1)  # t of [b, 2, g, g]
    come = [torch.zeros_like(steps[0])]
    for step in steps[1:]:
        come.append(step + bend(come[-1], step[:, None])[:, 0])
    return torch.stack(come, 1).permute(0, 1, 3, 4, 2)
