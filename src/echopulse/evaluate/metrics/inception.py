"""The network of the Fréchet inception distance: TensorFlow's Inception of December 2015, as ported to PyTorch.

It is Inception v3 (Szegedy et al. 2016) with quirks that the weights were trained with: averages beside a border leave
out what lies beyond it, and the last block takes maxima where the one before takes averages. Parameters are named as
in torchvision, which the ported file follows.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

FEATURES = 2048
CLASSES = 1008  # of the unused last layer, which comes with the weights
SIDE = 299


@dataclass(frozen=True)
class Conv:
    """A convolution, a batch norm and a rectifier; padded to keep the size, but where it strides."""

    name: str
    width: int
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    padded: bool = True


@dataclass(frozen=True)
class Fork:
    """Two convolutions of one input, side by side."""

    left: Conv
    right: Conv


Branch = tuple["Conv | Fork | str", ...]  # a word is a pooling, see `_pool`


def _chain(name: str, *steps: tuple[int, tuple[int, int]], stride: int = 1) -> Branch:
    """Convolutions name_1, name_2, ... of (width, kernel), the last with this stride."""
    last = len(steps)
    return tuple(Conv(f"{name}_{i}", *step, stride if i == last else 1) for i, step in enumerate(steps, 1))


ONE, THREE, FIVE, WIDE, TALL = (1, 1), (3, 3), (5, 5), (1, 7), (7, 1)


def _at_35(pooled: int) -> tuple[Branch, ...]:
    return (
        (Conv("branch1x1", 64),),
        _chain("branch5x5", (48, ONE), (64, FIVE)),
        _chain("branch3x3dbl", (64, ONE), (96, THREE), (96, THREE)),
        ("average", Conv("branch_pool", pooled)),
    )


def _at_17(narrow: int) -> tuple[Branch, ...]:
    return (
        (Conv("branch1x1", 192),),
        _chain("branch7x7", (narrow, ONE), (narrow, WIDE), (192, TALL)),
        _chain("branch7x7dbl", (narrow, ONE), (narrow, TALL), (narrow, WIDE), (narrow, TALL), (192, WIDE)),
        ("average", Conv("branch_pool", 192)),
    )


def _at_8(pool: str) -> tuple[Branch, ...]:
    def fork(name: str) -> Fork:
        return Fork(Conv(f"{name}a", 384, (1, 3)), Conv(f"{name}b", 384, (3, 1)))

    return (
        (Conv("branch1x1", 320),),
        (Conv("branch3x3_1", 384), fork("branch3x3_2")),
        (*_chain("branch3x3dbl", (448, ONE), (384, THREE)), fork("branch3x3dbl_3")),
        (pool, Conv("branch_pool", 192)),
    )


BLOCKS: dict[str, tuple[Branch, ...]] = {
    "Mixed_5b": _at_35(32),
    "Mixed_5c": _at_35(64),
    "Mixed_5d": _at_35(64),
    "Mixed_6a": (
        (Conv("branch3x3", 384, THREE, 2),),
        _chain("branch3x3dbl", (64, ONE), (96, THREE), (96, THREE), stride=2),
        ("halve",),
    ),
    "Mixed_6b": _at_17(128),
    "Mixed_6c": _at_17(160),
    "Mixed_6d": _at_17(160),
    "Mixed_6e": _at_17(192),
    "Mixed_7a": (
        _chain("branch3x3", (192, ONE), (320, THREE), stride=2),
        _chain("branch7x7x3", (192, ONE), (192, WIDE), (192, TALL), (192, THREE), stride=2),
        ("halve",),
    ),
    "Mixed_7b": _at_8("average"),
    "Mixed_7c": _at_8("largest"),
}
STEM: Branch = (
    Conv("Conv2d_1a_3x3", 32, THREE, 2),
    Conv("Conv2d_2a_3x3", 32, THREE, padded=False),
    Conv("Conv2d_2b_3x3", 64, THREE),
    "halve",
    Conv("Conv2d_3b_1x1", 80),
    Conv("Conv2d_4a_3x3", 192, THREE, padded=False),
    "halve",
)


def _pool(how: str, x: torch.Tensor) -> torch.Tensor:
    if how == "halve":
        return F.max_pool2d(x, 3, 2)
    if how == "largest":
        return F.max_pool2d(x, 3, 1, 1)
    return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


class _Convolution(nn.Module):
    def __init__(self, inputs: int, plan: Conv):
        super().__init__()
        padding = tuple(side // 2 for side in plan.kernel) if plan.padded and plan.stride == 1 else 0
        self.conv = nn.Conv2d(inputs, plan.width, plan.kernel, plan.stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(plan.width, eps=1e-3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.bn(self.conv(x)))


class _Branches(nn.Module):
    """Branches of one input, side by side along the channels."""

    def __init__(self, inputs: int, branches: tuple[Branch, ...]):
        super().__init__()
        self.branches, self.width = branches, 0
        for branch in branches:
            self.width += self._add(inputs, branch)

    def _add(self, width: int, branch: Branch) -> int:
        """Makes a branch's convolutions and gives its width."""
        for step in branch:
            if isinstance(step, str):
                continue
            parts = (step.left, step.right) if isinstance(step, Fork) else (step,)
            for part in parts:
                self.add_module(part.name, _Convolution(width, part))
            width = sum(part.width for part in parts)
        return width

    def _step(self, step: Conv | Fork | str, x: torch.Tensor) -> torch.Tensor:
        if isinstance(step, str):
            return _pool(step, x)
        if isinstance(step, Fork):
            return torch.cat([self._step(step.left, x), self._step(step.right, x)], 1)
        return self.get_submodule(step.name)(x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = []
        for branch in self.branches:
            y = x
            for step in branch:
                y = self._step(step, y)
            found.append(y)
        return torch.cat(found, 1)


class Inception(_Branches):
    """Pictures [b, 3, 299, 299] in -1..1 -> features [b, 2048], the means of the last block over the picture."""

    def __init__(self):
        super().__init__(3, (STEM,))
        width = self.width
        for name, branches in BLOCKS.items():
            block = _Branches(width, branches)
            self.add_module(name, block)
            width = block.width
        self.fc = nn.Linear(FEATURES, CLASSES)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        x = super().forward(pictures)
        for name in BLOCKS:
            x = self.get_submodule(name)(x)
        return x.mean((2, 3))
