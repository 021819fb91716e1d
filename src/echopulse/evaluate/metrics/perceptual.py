"""LPIPS: the distance between two pictures in the eyes of a network trained to name photographs.

Nothing is bundled or fetched: the user supplies the trunk (torchvision's state dict) and the linear heads that were
fitted to people's judgements. Trained on photographs, so on ultrasound it is a proxy.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from torch import nn

from echopulse.errors import InputError
from echopulse.published import Source, fit, read_state_dict

FRAMES_AT_ONCE = 16
# What the heads were fitted with: colours of pictures in -1..1 are moved and scaled so before the trunk sees them.
SHIFT = (-0.030, -0.088, -0.188)
SCALE = (0.458, 0.448, 0.450)


@dataclass(frozen=True)
class Trunk:
    """A published network as far as LPIPS uses it.

    `layers` are convolutions (inputs, outputs, kernel, stride, padding) or "pool"; all convolutions are followed by a
    rectifier. `taps` are the convolutions, counted from 0, whose rectified outputs are compared.
    """

    layers: tuple[tuple[int, int, int, int, int] | str, ...]
    pool: tuple[int, int]  # kernel and stride
    taps: tuple[int, ...]
    source: Source
    heads: Source
    smallest: int  # pixels along a side


def _vgg16() -> tuple[tuple[int, int, int, int, int] | str, ...]:
    widths = (3, 64, 64, "pool", 128, 128, "pool", 256, 256, 256, "pool", 512, 512, 512, "pool", 512, 512, 512)
    layers, inputs = [], widths[0]
    for width in widths[1:]:
        layers.append(width if width == "pool" else (inputs, width, 3, 1, 1))
        inputs = inputs if width == "pool" else width
    return tuple(layers)


TRUNKS = {
    "alex": Trunk(
        layers=((3, 64, 11, 4, 2), "pool", (64, 192, 5, 1, 2), "pool", (192, 384, 3, 1, 1), (384, 256, 3, 1, 1),
                (256, 256, 3, 1, 1)),
        pool=(3, 2), taps=(0, 1, 2, 3, 4), smallest=31,
        source=Source("torchvision's AlexNet", "alexnet-owt-7be5be79.pth", "7be5be79"),
        heads=Source("the linear heads of LPIPS 0.1 for AlexNet", "alex.pth")),
    "vgg": Trunk(
        layers=_vgg16(), pool=(2, 2), taps=(1, 3, 6, 9, 12), smallest=16,
        source=Source("torchvision's VGG16", "vgg16-397923af.pth", "397923af"),
        heads=Source("the linear heads of LPIPS 0.1 for VGG16", "vgg.pth")),
}  # fmt: skip


class PerceptualNetwork(nn.Module):
    """Trunk and heads; `features` has torchvision's numbering, so that its state dict fits."""

    def __init__(self, kind: str):
        super().__init__()
        trunk = TRUNKS[kind]
        self.kind, self.smallest = kind, trunk.smallest
        layers, convolutions = [], []
        for layer in trunk.layers:
            if layer == "pool":
                layers.append(nn.MaxPool2d(*trunk.pool))
            else:
                inputs, outputs, kernel, stride, padding = layer
                convolutions.append((len(layers) + 1, outputs))  # its rectifier and its width
                layers += [nn.Conv2d(inputs, outputs, kernel, stride, padding), nn.ReLU()]
        self.features = nn.Sequential(*layers)
        self.ends = [convolutions[tap][0] + 1 for tap in trunk.taps]
        self.heads = nn.ParameterList(nn.Parameter(torch.zeros(convolutions[tap][1])) for tap in trunk.taps)
        self.register_buffer("shift", torch.tensor(SHIFT)[:, None, None], persistent=False)
        self.register_buffer("scale", torch.tensor(SCALE)[:, None, None], persistent=False)

    def stages(self, pictures: torch.Tensor) -> list[torch.Tensor]:
        """Pictures [b, 3, h, w] in -1..1 -> compared activations [b, c, h', w'], each pixel's of length 1."""
        x = (pictures - self.shift) / self.scale
        found = []
        for begin, end in pairwise((0, *self.ends)):
            x = self.features[begin:end](x)
            length = x.square().sum(1, keepdim=True).clamp(min=1e-20).sqrt()  # of nothing too, for the gradient's sake
            found.append(x / (length + 1e-10))
        return found

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """Distances [b] of pictures [b, 3, h, w] in -1..1."""
        apart = [
            ((x - y).square() * head[:, None, None]).sum(1).mean((1, 2))
            for x, y, head in zip(self.stages(a), self.stages(b), self.heads, strict=True)
        ]
        return torch.stack(apart).sum(0)


def load_lpips(
    kind: str,
    trunk: str | Path,
    heads: str | Path,
    *,
    trunk_sha256: str | None = None,
    heads_sha256: str | None = None,
) -> PerceptualNetwork:
    """LPIPS 0.1 with an "alex" or "vgg" trunk from the user's files.

    The trunk's hash is checked against the digits in its published name, that of the heads only if `heads_sha256` is
    given; names and shapes always.
    """
    if kind not in TRUNKS:
        raise InputError(f"LPIPS with {kind}: the trunks are {' and '.join(TRUNKS)}.")
    published, network = TRUNKS[kind], PerceptualNetwork(kind)
    state = read_state_dict(trunk, published.source, trunk_sha256)
    fit(network.features, _below("features.", state), trunk)
    weights = read_state_dict(heads, published.heads, heads_sha256)
    given = {name: value.flatten() for name, value in weights.items() if value.ndim == 4 and value.shape[0] == 1}
    fit(network.heads, {_head_number(name): value for name, value in given.items()}, heads)
    return network.requires_grad_(False).eval()


def _below(prefix: str, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def _head_number(name: str) -> str:
    """ "lin3.model.1.weight" -> "3"."""
    return name.removeprefix("lin").partition(".")[0]


@torch.inference_mode()
def lpips(network: PerceptualNetwork, frames: torch.Tensor, reference: torch.Tensor) -> float:
    """Learned perceptual distance, mean over frames (Zhang et al. 2018, eq. 1); 0 for equal pictures.

    Grey frames [t, h, w] (or [h, w]) float in 0..1; grey goes into all three colours.
    """
    if frames.shape != reference.shape or frames.ndim not in (2, 3):
        raise ValueError(f"clips must be [t, h, w] of one shape, got {tuple(frames.shape)}, {tuple(reference.shape)}")
    if min(frames.shape[-2:]) < network.smallest:
        raise InputError(
            f"pictures of {frames.shape[-2]} x {frames.shape[-1]}: LPIPS with {network.kind} needs {network.smallest} "
            "pixels a side; give larger pictures."
        )
    device = network.shift.device
    a, b = (2 * clip.reshape(-1, 1, *clip.shape[-2:]).float() - 1 for clip in (frames, reference))
    found = [
        network(*(part[i : i + FRAMES_AT_ONCE].to(device).expand(-1, 3, -1, -1) for part in (a, b)))
        for i in range(0, len(a), FRAMES_AT_ONCE)
    ]
    return float(torch.cat(found).mean())
