"""How much of what the machine can do a training step uses: its operations per second over a matrix product's."""

import time
from collections.abc import Callable

import torch
from torch.utils.flop_counter import FlopCounterMode

from echopulse.model.precision import mixed_precision

SIDES = {"cpu": 1024, "cuda": 8192}  # of the square matrices whose product is timed
REPEATS = 3


def count_operations(step: Callable[[], object]) -> int:
    """Floating point operations of a step, forward and backward, as torch counts them (products and convolutions)."""
    with FlopCounterMode(display=False) as counter:
        step()
    return counter.get_total_flops()


def best_rate(device: torch.device) -> float:
    """Operations per second of a large matrix product in the type that training computes in: the best of a few."""
    side = SIDES.get(device.type, SIDES["cpu"])
    a = torch.randn(side, side, device=device)
    fastest = float("inf")
    with torch.no_grad(), mixed_precision(device):
        for _ in range(1 + REPEATS):  # the first warms up
            started = time.perf_counter()
            float((a @ a)[0, 0])
            fastest = min(fastest, time.perf_counter() - started)
    return 2 * side**3 / fastest
