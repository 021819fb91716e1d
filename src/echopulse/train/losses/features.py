"""Pictures compared through the eyes of a frozen network, at every depth at which it looks."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from echopulse.evaluate.metrics.perceptual import PerceptualNetwork
from echopulse.measure.segmenter import Segmenter, neighbours


def feature_distance(made: list[Tensor], true: list[Tensor]) -> Tensor:
    """Squared distance of features [n, c, ...], each place's scaled to length 1: a scalar, 0..4, mean over the levels.

    It is LPIPS before its heads (Zhang et al. 2018, eq. 1).
    """
    apart = [
        (F.normalize(a.float(), dim=1) - F.normalize(b.float(), dim=1)).square().sum(1).mean()
        for a, b in zip(made, true, strict=True)
    ]
    return torch.stack(apart).mean()


def measurer_loss(measurer: Segmenter, made: Tensor, true: Tensor, shown: Tensor, fps: float) -> Tensor:
    """How far apart the measurer finds pictures `shown` (int [k]) of clips [b, t, h, w] in 0..1 of `fps` a second.

    Feature matching (Johnson et al. 2016) on every level of its way down. Each picture is read together with those
    before and after it that the measurer asks for, so walls count, and how they move.
    """
    with torch.no_grad():
        levels = measurer.encode(_beside(measurer, true, shown, fps))
    return feature_distance(measurer.encode(_beside(measurer, made, shown, fps)), levels)


def _beside(measurer: Segmenter, clips: Tensor, shown: Tensor, fps: float) -> Tensor:
    """Pictures `shown` of every clip as the measurer reads them, [b * k, 1 or 3, size, size]."""
    count, size = clips.shape[1], measurer.config.size
    times_s = torch.arange(count).numpy() / fps
    around = torch.from_numpy(neighbours(count, times_s, measurer.config.context_s))
    read = clips[:, around[shown].to(clips.device)].flatten(0, 1)
    if read.shape[-1] != size:
        read = F.interpolate(read, (size, size), mode="bilinear", antialias=read.shape[-1] > size)
    return read


def lpips_loss(network: PerceptualNetwork, made: Tensor, true: Tensor) -> Tensor:
    """LPIPS of pictures [b, t, h, w] in 0..1, a scalar; grey goes into all three colours (see `metrics.perceptual`)."""
    a, b = ((2 * clip - 1).flatten(0, 1)[:, None].expand(-1, 3, -1, -1) for clip in (made, true))
    return network(a, b).float().mean()


def video_loss(network: nn.Module, made: Tensor, true: Tensor) -> Tensor:
    """How far apart the video network of the FVD finds clips [b, t, h, w] in 0..1, a scalar, as `feature_distance`.

    Called by the published file's own convention: three colours, 0..255, resized and rescaled inside.
    """

    def seen(clips: Tensor) -> Tensor:
        colours = 255 * clips[:, None].expand(-1, 3, -1, -1, -1)
        return network(colours, rescale=True, resize=True, return_features=True)

    with torch.no_grad():
        features = seen(true)
    return feature_distance([seen(made)], [features])
