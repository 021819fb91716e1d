"""ECGFounder (Li et al. 2024): convolutions in stages, with the names of its published weights.

The published network has batch norms in its weights that it does not use (`use_bn=False`), and a classifier after the
last stage; both are left out here.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from echopulse.model.ecg_config import EcgFounderConfig
from echopulse.phantom.rhythm.leads import LEADS

NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


class EcgFounder(nn.Module):
    """ECG [b, 12, n] as `for_encoder` gives it → what each stage in `heard` makes of it."""

    def __init__(self, config: EcgFounderConfig):
        super().__init__()
        self.config = config
        self.first_conv = _SameConv(len(LEADS), config.first, config.kernel, stride=2)
        stages, before = [], config.first
        for channels, blocks in list(zip(config.channels, config.blocks, strict=True))[: max(config.heard) + 1]:
            stages.append(_Stage(before, channels, blocks, config, first=not stages))
            before = channels
        self.stage_list = nn.ModuleList(stages)

    def forward(self, signal: Tensor) -> list[Tensor]:
        """Features [b, channels, m] of the stages heard, in their order; one of stage s lasts 2^(s+2) samples."""
        x = F.silu(self.first_conv(signal))
        found = []
        for number, stage in enumerate(self.stage_list):
            x = stage(x)
            if number in self.config.heard:
                found.append(x)
        return found


class _Stage(nn.Module):
    def __init__(self, before: int, channels: int, blocks: int, config: EcgFounderConfig, *, first: bool):
        super().__init__()
        self.block_list = nn.ModuleList(
            _Block(channels if i else before, channels, config, halve=i == 0, plain=first and i == 0)
            for i in range(blocks)
        )

    def forward(self, x: Tensor) -> Tensor:
        for block in self.block_list:
            x = block(x)
        return x


class _Block(nn.Module):
    """Narrow, wide and narrow convolutions, channels weighed by their means over time, and the way around them."""

    def __init__(self, before: int, channels: int, config: EcgFounderConfig, *, halve: bool, plain: bool):
        super().__init__()
        self.halve, self.plain, self.more = halve, plain, channels - before
        self.conv1 = _SameConv(before, channels, 1)
        self.conv2 = _SameConv(
            channels, channels, config.kernel, stride=2 if halve else 1, groups=channels // config.group_width
        )
        self.conv3 = _SameConv(channels, channels, 1)
        self.se_fc1 = nn.Linear(channels, channels // 2)
        self.se_fc2 = nn.Linear(channels // 2, channels)

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv1(x if self.plain else F.silu(x))
        out = self.conv3(F.silu(self.conv2(F.silu(out))))
        weight = self.se_fc2(F.silu(self.se_fc1(out.mean(-1)))).sigmoid()
        around = F.max_pool1d(F.pad(x, (0, 1)), 2) if self.halve else x
        around = F.pad(around, (0, 0, self.more // 2, self.more - self.more // 2))
        return out * weight[..., None] + around


class _SameConv(nn.Module):
    """A convolution whose output has a sample for every `stride` samples, zeros around, one more of them after."""

    def __init__(self, before: int, channels: int, kernel: int, stride: int = 1, groups: int = 1):
        super().__init__()
        self.conv = nn.Conv1d(before, channels, kernel, stride=stride, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        (kernel,), (stride,), n = self.conv.kernel_size, self.conv.stride, x.shape[-1]
        missing = max(0, (-(-n // stride) - 1) * stride + kernel - n)
        return self.conv(F.pad(x, (missing // 2, missing - missing // 2)))


def published_shapes(config: EcgFounderConfig) -> dict[str, tuple[int, ...]]:
    """Every name in the published weights but the classifier's, with its shape: all stages, and the unused norms."""
    shapes: dict[str, tuple[int, ...]] = {}

    def conv(name: str, *shape: int) -> None:
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = shape, shape[:1]

    def norm(name: str, channels: int) -> None:
        shapes.update({f"{name}.{part}": () if part == NORM[-1] else (channels,) for part in NORM})

    conv("first_conv.conv", config.first, len(LEADS), config.kernel)
    norm("first_bn", config.first)
    before = config.first
    for stage, (channels, blocks) in enumerate(zip(config.channels, config.blocks, strict=True)):
        for block in range(blocks):
            name = f"stage_list.{stage}.block_list.{block}"
            norm(f"{name}.bn1", before)
            conv(f"{name}.conv1.conv", channels, before, 1)
            norm(f"{name}.bn2", channels)
            conv(f"{name}.conv2.conv", channels, config.group_width, config.kernel)
            norm(f"{name}.bn3", channels)
            conv(f"{name}.conv3.conv", channels, channels, 1)
            conv(f"{name}.se_fc1", channels // 2, channels)
            conv(f"{name}.se_fc2", channels, channels // 2)
            before = channels
    return shapes
