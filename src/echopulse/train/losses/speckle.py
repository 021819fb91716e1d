"""Texture that looks like speckle and not like fog: its statistics are compared, not its pixels.

Speckle is described by how much it varies around its mean and by how far it is correlated along and across the picture
(Wagner et al. 1983). Two draws of the same speckle agree in both though no pixel agrees, while fog has neither the
contrast nor the short correlation. So this asks for texture of the right kind and does not pay for averaging it away.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

CELL, STEP = 16, 8  # pixels: side of the squares over which statistics are taken, and from one to the next
BACKGROUND = 9  # pixels over which a mean tells texture from what lies under it
SHOWN = 0.06  # grey value 0..1 of the background above which there is tissue
LAGS = (1, 2)  # pixels
CONTRAST_FLOOR = 0.02  # what is smoother counts as no smoother than that
LEAST_ENERGY = 1e-5  # square of a grey value, below which a texture has no correlation
CHANCE = 0.2, 0.1  # how far two draws of one speckle are apart, in log contrast and in correlation


def speckle_loss(made: Tensor, true: Tensor) -> Tensor:
    """How unlike the texture of pictures [b, t, h, w] in 0..1 is to that of the true ones, where these show tissue.

    A scalar: the smooth absolute difference of `texture`, mean over cells by the tissue in them. It is quadratic within
    what differs by chance and linear beyond.
    """
    shown = (background(true) > SHOWN).to(true)
    (contrast, correlations), weight = texture(made, shown), cells(shown).mean(1)
    true_contrast, true_correlations = texture(true, shown)
    varies, lasts = CHANCE
    apart = F.smooth_l1_loss(contrast.log(), true_contrast.log(), beta=varies, reduction="none")
    apart = apart + F.smooth_l1_loss(correlations, true_correlations, beta=lasts, reduction="none").mean(1)
    return (apart * weight).sum() / weight.sum().clamp(min=1)


def texture(pictures: Tensor, shown: Tensor) -> tuple[Tensor, Tensor]:
    """Contrast [b, rows, columns] and correlations [b, 2 * lags, rows, columns] of the cells of pictures [b, t, h, w].

    Contrast is the standard deviation above the background by the mean; correlations are those of neighbours at `LAGS`
    down and across. Both are means over the t pictures and over the pixels of a cell that are `shown` [b, t, h, w].
    """
    above = (pictures - background(pictures)) * shown
    count = cells(shown).mean(1).clamp(min=1e-3)
    energy = cells(above.square()).mean(1) / count
    mean = cells(pictures * shown).mean(1) / count
    contrast = (energy + 1e-8).sqrt() / mean.clamp(min=SHOWN / 2) + CONTRAST_FLOOR
    products = []
    for axis in (-2, -1):
        for lag in LAGS:
            here = above.narrow(axis, 0, above.shape[axis] - lag)
            beyond = above.narrow(axis, lag, above.shape[axis] - lag)
            both = shown.narrow(axis, 0, above.shape[axis] - lag) * shown.narrow(axis, lag, above.shape[axis] - lag)
            pad = (0, 0, 0, lag) if axis == -2 else (0, lag)
            product, pairs = (cells(F.pad(value, pad)).mean(1) for value in (here * beyond, both))
            products.append(product / pairs.clamp(min=1e-3))
    return contrast, torch.stack(products, 1) / (energy + LEAST_ENERGY)[:, None]


def background(pictures: Tensor) -> Tensor:
    """The mean around every pixel of [b, t, h, w]."""
    reach = BACKGROUND // 2
    down = F.avg_pool2d(pictures, (BACKGROUND, 1), 1, (reach, 0), count_include_pad=False)
    return F.avg_pool2d(down, (1, BACKGROUND), 1, (0, reach), count_include_pad=False)


def cells(values: Tensor) -> Tensor:
    """Means of [b, t, h, w] over overlapping squares, [b, t, rows, columns]."""
    return F.avg_pool2d(values, CELL, STEP)
