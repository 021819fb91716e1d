"""The older system's own scores, by its published protocol."""

import numpy as np
import pytest
from PIL import Image
from skimage.metrics import structural_similarity

from echopulse.errors import InputError
from echopulse.evaluate.metrics import as_published


def clip(seed: int, frames: int = 12) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (frames, 28, 28)).astype(np.uint8)


def two_means(frames: np.ndarray) -> np.ndarray:
    """Stands in for a network: mean grey of the leftmost and the rightmost quarter."""
    quarter = frames.shape[2] // 4
    return np.stack([frames[:, :, :quarter].mean((1, 2)), frames[:, :, -quarter:].mean((1, 2))], 1)


def grey(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    frames = np.zeros((len(left), 16, 16), np.uint8)
    frames[:, :, :8], frames[:, :, 8:] = left[:, None, None], right[:, None, None]
    return frames


def test_ssim_is_scikit_images_default_on_enlarged_frames():
    a, b = clip(0), clip(1) // 2 + clip(0) // 2
    large = [[np.asarray(Image.fromarray(f).resize((224, 224))) for f in part[:11]] for part in (a, b)]
    expected = np.mean([structural_similarity(x, y) for x, y in zip(*large, strict=True)])
    assert as_published.ssim_224(a, b) == pytest.approx(expected, abs=1e-4)
    assert as_published.ssim_224(a, a) == pytest.approx(1)


def test_fid_per_frame_is_a_pairs_distance_over_eleven():
    ramp, still = np.arange(11) * 10, np.full(11, 50)
    real, generated = grey(ramp, still), grey(ramp + 22, still + 44)
    # the same spread: only the means differ, by 22 and 44
    assert as_published.fid_per_frame(real, generated, two_means) == pytest.approx((22**2 + 44**2) / 11, rel=0.01)


def test_fvd_of_the_image_network_is_blind_to_brightness_as_each_clip_is_scaled_by_itself():
    ramp, still = np.arange(11) * 10, np.full(11, 50)
    real, brighter = grey(ramp, ramp[::-1]), grey(ramp + 40, ramp[::-1] + 60)
    assert as_published.fvd_image_network(real, brighter, two_means) == pytest.approx(0, abs=1e-3)
    # scaled to 0..1 each half of a real one has mean 1/2 and variance 0.11; a constant one has 0 and 0
    assert as_published.fvd_image_network(real, grey(ramp, still), two_means) == pytest.approx(0.25 + 0.11, abs=2e-3)


def test_columns_hold_every_pair_under_labelled_keys():
    pairs = [clip(0), clip(1)], [clip(1), clip(1)]
    found = as_published.columns(*pairs, lambda frames, side: two_means(frames))
    assert {f"quality.{key}" for key in found} == set(as_published.FIGURES)
    assert found["as_published.fid_per_frame"][1] == pytest.approx(0, abs=1e-6)
    assert list(as_published.columns(*pairs, None)) == ["as_published.ssim"]
    assert all("as published by ECHOPulse 2025" in figure.meaning for figure in as_published.FIGURES.values())


def test_clips_shorter_than_the_papers_are_refused():
    with pytest.raises(InputError, match="10 frames: .* need 11"):
        as_published.ssim_224(clip(0, 10), clip(1, 10))
