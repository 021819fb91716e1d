"""A small network that says of every patch of a picture how real it looks, and halves without aliasing."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTHS = (24, 48, 96)
GROUPS = 8


class BlurPool(nn.Module):
    """Halves pictures [n, c, h, w] after a binomial blur over three pixels each way (Zhang 2019).

    A convolution that strides alone sees other pixels when speckle moves by one, and a critic that does so punishes
    where texture lies rather than what it is like.
    """

    def forward(self, x: Tensor) -> Tensor:
        pairs = F.avg_pool2d(x, 2, 1, padding=1, count_include_pad=False)
        return F.avg_pool2d(pairs, 2)  # means of pairs of pairs: 1, 2, 1


class PatchCritic(nn.Module):
    """Pictures [n, 1, h, w] → the higher the more real, [n, 1, h/8, w/8], for patches of 45 pixels (Isola et al. 2017).

    Group norms: no picture judges another, and nothing of them has to be kept but the weights.
    """

    def __init__(self, widths: tuple[int, ...] = WIDTHS):
        super().__init__()
        layers: list[nn.Module] = []
        for number, (inputs, outputs) in enumerate(zip((1, *widths[:-1]), widths, strict=True)):
            layers.append(nn.Conv2d(inputs, outputs, 3, padding=1))
            if number:
                layers.append(nn.GroupNorm(GROUPS, outputs))
            layers += [nn.LeakyReLU(0.2), BlurPool()]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 3, padding=1))
        self.to(memory_format=torch.channels_last)

    def forward(self, pictures: Tensor) -> Tensor:
        return self.layers(pictures)
