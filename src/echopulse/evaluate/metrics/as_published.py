"""Scores as the older system computed them ("as published by ECHOPulse 2025"), for like with like and nothing else.

Read from the evaluation scripts in its authors' repository (eval/FiD.py, eval/fvd.py, eval/ssim.py of
levyisthebest/ECHOPulse_Prelease): each generated clip is compared with its own real one, so what is called FID there is
no distance between distributions of many clips, is divided by the number of frames, and what is called FVD comes from a
network for single pictures whose features are scaled for each clip by itself. Known to differ here: the scripts use
Keras' Inception v3 trained on ImageNet, here it is the user's Inception of the FID. No script for PSNR is published, so
there is none here.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F

from echopulse.errors import InputError
from echopulse.evaluate.keys import Figure
from echopulse.evaluate.metrics.distributions import FewSamples, frechet_distance

FRAMES = 11  # of the clips that were scored, which is also what the distance is divided by
FID_SIDE, OTHER_SIDE = 299, 224
LABEL = "as published by ECHOPulse 2025"
FIGURES = {
    "quality.as_published.fid_per_frame": Figure(
        "", f"{LABEL}: Fréchet distance of each clip's frames to its real one's, over 11, mean; no FID"
    ),
    "quality.as_published.fvd_image_network": Figure(
        "", f"{LABEL}: the same at 224 px with every clip's features scaled to 0..1 by themselves; no FVD"
    ),
    "quality.as_published.ssim": Figure("", f"{LABEL}: SSIM of frames enlarged to 224 px, 7 x 7 even window"),
}


def fid_per_frame(real: np.ndarray, generated: np.ndarray, features: Callable[[np.ndarray], np.ndarray]) -> float:
    """Of one pair of clips uint8 [t, h, w]: Fréchet distance of its frames' features [11, d] at 299 px, over 11."""
    return _distance(*(features(_resized(clip, FID_SIDE)) for clip in (real, generated))) / FRAMES


def fvd_image_network(real: np.ndarray, generated: np.ndarray, features: Callable[[np.ndarray], np.ndarray]) -> float:
    """Of one pair: Fréchet distance of features of its frames at 224 px, each clip's scaled to 0..1 by themselves."""
    return _distance(*(_scaled(features(_resized(clip, OTHER_SIDE))) for clip in (real, generated)))


def ssim_224(real: np.ndarray, generated: np.ndarray) -> float:
    """Of one pair: SSIM of frames enlarged to 224 px, mean over frames; scikit-image's defaults on 0..255.

    Even window of 7 x 7, sample (co)variances, K = 0.01 and 0.03, borders of 3 pixels left out.
    """
    x, y = (torch.from_numpy(_resized(clip, OTHER_SIDE)).double()[:, None] for clip in (real, generated))
    mean_x, mean_y, mean_xx, mean_yy, mean_xy = (F.avg_pool2d(v, 7, 1) for v in (x, y, x * x, y * y, x * y))
    sample = 49 / 48
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    variances = sample * (mean_xx - mean_x**2 + mean_yy - mean_y**2)
    covariance = sample * (mean_xy - mean_x * mean_y)
    likeness = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    return float((likeness / ((mean_x**2 + mean_y**2 + c1) * (variances + c2))).mean())


def columns(
    real: Sequence[np.ndarray],
    generated: Sequence[np.ndarray],
    features: Callable[[np.ndarray, int], np.ndarray] | None,
) -> dict[str, list[float]]:
    """Every figure of every pair, by the keys of `FIGURES` without "quality."; without a network only SSIM.

    `features` takes frames uint8 [t, side, side] and the side, and gives float [t, d].
    """
    pairs = list(zip(real, generated, strict=True))
    found = {"as_published.ssim": [ssim_224(*pair) for pair in pairs]}
    if features is not None:
        found["as_published.fid_per_frame"] = [fid_per_frame(*p, lambda x: features(x, FID_SIDE)) for p in pairs]
        found["as_published.fvd_image_network"] = [
            fvd_image_network(*p, lambda x: features(x, OTHER_SIDE)) for p in pairs
        ]
    return found


def _resized(clip: np.ndarray, side: int) -> np.ndarray:
    """The first 11 frames as uint8 [11, side, side], cubic as Pillow does by default."""
    from PIL import Image

    if len(clip) < FRAMES:
        raise InputError(f"a clip of {len(clip)} frames: scores {LABEL} need {FRAMES}; give longer clips.")
    return np.stack([np.asarray(Image.fromarray(frame).resize((side, side))) for frame in clip[:FRAMES]])


def _scaled(features: np.ndarray) -> np.ndarray:
    """Every feature from 0 to 1 over the clip; one that does not vary becomes 0."""
    low, high = features.min(0), features.max(0)
    return (features - low) / np.where(high > low, high - low, 1)


def _distance(real: np.ndarray, generated: np.ndarray) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FewSamples)  # 11 frames of 2048 features are part of the protocol
        return frechet_distance(real, generated)
