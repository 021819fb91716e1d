"""The ejection fraction from volumes at any moments, where the ECG says how full the ventricle is then.

A ventricle whose fullness is s (1 filled, 0 emptied by a usual beat) holds EDV · (1 - EF · (1 - s)). So two volumes
at different fullness tell the EF, whether or not they are end-diastole and end-systole, whatever the unit, and in a
rhythm where no two beats are alike; more of them tell it better. What was expected before (`EfExpectation`) counts as
much as it is sure.
"""

from __future__ import annotations

import torch
from torch import Tensor

from echopulse.measure.expected_ef import ExpectedEf

GRID = torch.linspace(0.0, 0.9, 181)
NO_EXPECTATION = ExpectedEf(torch.tensor([0.45]), torch.tensor([10.0]))


def ef_by_ecg(
    log_volume: Tensor, fullness: Tensor, noise: float, expected: ExpectedEf = NO_EXPECTATION
) -> ExpectedEf:
    """The EF given log volumes [b, n] of moments at which the ventricle is so full, [b, n]: mean and SD, [b] each.

    NaN volumes do not count. `noise` is the standard deviation of a log volume by itself; what all of a clip have in
    common does not matter. `expected` is what is expected without them, b or one of it.
    """
    known = log_volume.isfinite()
    grid = GRID.to(log_volume)
    holds = (1 - grid[:, None] * (1 - fullness[:, None])).clamp(min=0.02).log()  # [b, g, n]
    off = torch.where(known[:, None], log_volume.nan_to_num()[:, None] - holds, torch.zeros_like(holds))
    count = known.sum(1).clamp(min=1)[:, None]
    mean = off.sum(2) / count
    apart = torch.where(known[:, None], off - mean[..., None], torch.zeros_like(off)).square().sum(2)
    before = ((grid - expected.mean.to(grid)[:, None]) / expected.sd.to(grid)[:, None]).square()
    chance = (-(apart / noise**2 + before) / 2).softmax(1)  # [b, g]
    middle = chance @ grid
    return ExpectedEf(middle, ((chance @ grid.square()) - middle.square()).clamp(min=0).sqrt())
