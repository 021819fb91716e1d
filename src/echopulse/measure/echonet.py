"""A second judge: the segmentation and EF networks that EchoNet-Dynamic has published, where a user supplies them.

Ouyang et al. 2020, "Video-based AI for beat-to-beat assessment of cardiac function", Nature 580. They learned from
real patients, so that they owe nothing to our simulator. The two architectures are written down here as the published
weights name their parts: DeepLabv3 on a ResNet-50 (Chen et al. 2017) and R(2+1)D-18 (Tran et al. 2018).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from echopulse.errors import InputError
from echopulse.published import Source, read_state_dict

if TYPE_CHECKING:
    from echopulse.echo.types import Clip

SIZE = 112
MEAN, SPREAD = 32.7, 50.0  # of the grey values 0..255 of its training clips, as users of the networks report them
EF_FRAMES, EF_RATE_HZ = 32, 25.0  # every second frame of clips at about 50 frames/s
FRAMES_AT_ONCE = 8
SEGMENTATION = Source("EchoNet-Dynamic's segmentation network", "deeplabv3_resnet50_random.pt")
REGRESSION = Source("EchoNet-Dynamic's EF network", "r2plus1d_18_32_2_pretrained.pt")


class _Bottleneck(nn.Module):
    def __init__(self, inputs: int, width: int, stride: int, dilation: int, reshape: bool):
        super().__init__()
        outputs = 4 * width
        self.conv1, self.bn1 = nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, dilation, dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        if reshape:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )
        else:
            self.downsample = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        return F.relu(self.bn3(self.conv3(y)) + self.downsample(x))


class _ResNet50(nn.Module):
    """The backbone at an eighth of the resolution: the last two stages widen their reach instead of shrinking."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
        inputs = 64
        for number, (width, blocks, stride, first, dilation) in enumerate(
            ((64, 3, 1, 1, 1), (128, 4, 2, 1, 1), (256, 6, 1, 1, 2), (512, 3, 1, 2, 4)), 1
        ):
            stage = [_Bottleneck(inputs, width, stride, first, True)]
            stage += [_Bottleneck(4 * width, width, 1, dilation, False) for _ in range(blocks - 1)]
            setattr(self, f"layer{number}", nn.Sequential(*stage))
            inputs = 4 * width

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))


def _unit(inputs: int, outputs: int, kernel: int, dilation: int = 1) -> list[nn.Module]:
    padding = dilation if kernel == 3 else 0
    return [
        nn.Conv2d(inputs, outputs, kernel, padding=padding, dilation=dilation, bias=False),
        nn.BatchNorm2d(outputs), nn.ReLU(),
    ]  # fmt: skip


class _Pyramid(nn.Module):
    """Atrous spatial pyramid pooling: one pixel, three reaches, and the whole picture."""

    def __init__(self, inputs: int, width: int = 256):
        super().__init__()
        reaches = [nn.Sequential(*_unit(inputs, width, 3, dilation)) for dilation in (12, 24, 36)]
        pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), *_unit(inputs, width, 1))
        self.convs = nn.ModuleList([nn.Sequential(*_unit(inputs, width, 1)), *reaches, pooled])
        self.project = nn.Sequential(*_unit(5 * width, width, 1), nn.Dropout(0.5))

    def forward(self, x: Tensor) -> Tensor:
        seen = [convolve(x) for convolve in self.convs]
        seen[-1] = seen[-1].expand_as(seen[0])
        return self.project(torch.cat(seen, 1))


class EchoNetSegmentation(nn.Module):
    """Normalised pictures [b, 3, 112, 112] -> logits [b, 112, 112] of the left ventricle."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = _ResNet50()
        self.classifier = nn.Sequential(_Pyramid(2048), *_unit(256, 256, 3), nn.Conv2d(256, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        coarse = self.classifier(self.backbone(x))
        return F.interpolate(coarse, x.shape[-2:], mode="bilinear", align_corners=False)[:, 0]


def _in_space_then_time(inputs: int, outputs: int, middle: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(inputs, middle, (1, 3, 3), (1, stride, stride), (0, 1, 1), bias=False),
        nn.BatchNorm3d(middle), nn.ReLU(),
        nn.Conv3d(middle, outputs, (3, 1, 1), (stride, 1, 1), (1, 0, 0), bias=False),
    )  # fmt: skip


class _BasicBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        # as many weights as a full 3x3x3 convolution from inputs to outputs has
        middle = (inputs * outputs * 27) // (inputs * 9 + 3 * outputs)
        self.conv1 = nn.Sequential(
            _in_space_then_time(inputs, outputs, middle, stride), nn.BatchNorm3d(outputs), nn.ReLU()
        )
        self.conv2 = nn.Sequential(_in_space_then_time(outputs, outputs, middle, 1), nn.BatchNorm3d(outputs))
        if stride != 1:
            self.downsample = nn.Sequential(nn.Conv3d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm3d(outputs))
        else:
            self.downsample = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.conv2(self.conv1(x)) + self.downsample(x))


class EchoNetEjection(nn.Module):
    """Normalised clips [b, 3, 32, 112, 112] -> EF [b] in percent."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv3d(3, 45, (1, 7, 7), (1, 2, 2), (0, 3, 3), bias=False), nn.BatchNorm3d(45), nn.ReLU(),
            nn.Conv3d(45, 64, (3, 1, 1), 1, (1, 0, 0), bias=False), nn.BatchNorm3d(64), nn.ReLU(),
        )  # fmt: skip
        stages = (64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 2)
        for number, (inputs, outputs, stride) in enumerate(stages, 1):
            blocks = _BasicBlock(inputs, outputs, stride), _BasicBlock(outputs, outputs, 1)
            setattr(self, f"layer{number}", nn.Sequential(*blocks))
        self.fc = nn.Linear(512, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer4(self.layer3(self.layer2(self.layer1(self.stem(x)))))
        return self.fc(x.mean((2, 3, 4)))[:, 0]


def load_segmentation(path: str | Path, sha256: str | None = None) -> EchoNetSegmentation:
    """The published segmentation network from a user's file; InputError where it holds another."""
    return _load(EchoNetSegmentation(), read_state_dict(path, SEGMENTATION, sha256), path, SEGMENTATION)


def load_ejection(path: str | Path, sha256: str | None = None) -> EchoNetEjection:
    """The published EF network from a user's file; InputError where it holds another."""
    return _load(EchoNetEjection(), read_state_dict(path, REGRESSION, sha256), path, REGRESSION)


def _load(model: nn.Module, state: Mapping[str, Tensor], path: str | Path, source: Source) -> nn.Module:
    state = {name.removeprefix("module."): value for name, value in state.items()}
    expected = model.state_dict()
    wrong = [name for name, value in expected.items() if name not in state or state[name].shape != value.shape]
    wrong += [name for name in state if name not in expected]
    if wrong:
        raise InputError(
            f"{path}: not {source.name}, of which {wrong[0]} differs ({len(wrong)} of {len(expected)} entries); "
            f"give the published {source.file}."
        )
    model.load_state_dict(state)
    return model.eval()


@torch.inference_mode()
def echonet_masks(network: EchoNetSegmentation, frames: np.ndarray) -> np.ndarray:
    """The left ventricle in frames uint8 [t, h, w] of any size, bool [t, h, w], as EchoNet-Dynamic's judge sees it."""
    pictures = torch.from_numpy(np.ascontiguousarray(frames))
    found = [network(_prepared(part)[:, None].expand(-1, 3, -1, -1)) for part in pictures.split(FRAMES_AT_ONCE)]
    logits = F.interpolate(torch.cat(found)[:, None], frames.shape[1:], mode="bilinear", align_corners=False)
    return (logits[:, 0] > 0).numpy()


@torch.inference_mode()
def echonet_ef(network: EchoNetEjection, clip: Clip) -> float:
    """EF, a fraction, of an A4C clip: the mean over windows of 32 frames at 25/s, half a window apart.

    Clips shorter than a window end in black, as in the network's training.
    """
    times = np.arange(0, clip.duration_s, 1 / EF_RATE_HZ) + clip.times_s[0]
    nearest = np.abs(times[:, None] - clip.times_s).argmin(1)
    pictures = _prepared(torch.from_numpy(np.ascontiguousarray(clip.frames[nearest])))
    black = (0 - MEAN) / SPREAD
    pictures = F.pad(pictures, (0, 0, 0, 0, 0, max(0, EF_FRAMES - len(pictures))), value=black)
    starts = range(0, len(pictures) - EF_FRAMES + 1, EF_FRAMES // 2)
    found = [network(pictures[None, None, at : at + EF_FRAMES].expand(-1, 3, -1, -1, -1)) for at in starts]
    return float(torch.cat(found).mean()) / 100


def _prepared(frames: Tensor) -> Tensor:
    """uint8 [t, h, w] -> normalised float32 [t, 112, 112]."""
    small = F.interpolate(frames[:, None].float(), (SIZE, SIZE), mode="bilinear", antialias=True)[:, 0]
    return (small - MEAN) / SPREAD
