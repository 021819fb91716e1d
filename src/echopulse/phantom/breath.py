"""One heart, one breath: rhythm, electrocardiogram, probe and lung all follow it, each as far as it does.

Breathing in, the heart beats faster, the leads see less of it, it sinks away from the breastbone towards an apical
probe, and the lung slides before it. All of these turn with the breath, without a lag of their own.
"""

from __future__ import annotations

import math

from torch import Tensor


def inhaled(breath_hz: Tensor, breath_phase: Tensor, times_s: Tensor) -> Tensor:
    """[b, t]: how far b hearts have breathed at `times_s` ([t] or [b, t], s from the first frame); 1 in, -1 out."""
    return (2 * math.pi * breath_hz[:, None] * times_s + breath_phase[:, None]).sin()
