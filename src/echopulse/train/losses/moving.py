"""Where a picture moves an error counts more: a leaflet is a few pixels, and a mean over the picture forgets it."""

from torch import Tensor

FULL = 0.15  # grey value 0..1 away from its mean over the stretch, from which on a pixel counts the most


def moving_weight(pictures: Tensor, strength: float) -> Tensor:
    """What the error of each pixel of pictures [b, t, h, w] in 0..1 counts: 1 where it stands still.

    It grows with the distance from the pixel's mean over t, up to 1 + `strength`.
    """
    moving = (pictures - pictures.mean(1, keepdim=True)).abs()
    return 1 + strength * (moving / FULL).clamp(max=1)
