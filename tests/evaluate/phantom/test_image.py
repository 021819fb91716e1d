"""Figures of pictures whose greys, grain and change are known."""

import numpy as np
import pytest

from echopulse.evaluate.phantom import image


def grain(sigma_down: float, sigma_across: float, size: int = 128) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    noise = np.random.default_rng(0).normal(size=(size, size))
    fine = gaussian_filter(noise, (sigma_down, sigma_across))
    return 0.5 + 0.1 * fine / fine.std()


EVERYWHERE = np.ones((128, 128), bool)


def test_mean_and_black_fraction():
    frames = np.array([[[0.0, 0.05], [0.5, 0.45]]])
    assert image.grey_figures(frames) == pytest.approx({"mean": 0.25, "black": 0.5})


def test_pictures_with_the_reference_distribution_have_no_distance():
    shares = (np.arange(100_000) + 0.5) / 100_000
    greys = np.interp(shares, image.REFERENCE_SHARES, image.REFERENCE_GREYS)
    counts = image.grey_counts(np.round(255 * greys).astype(np.uint8))
    assert image.reference_distance(counts) < 0.003
    brighter = image.grey_counts(np.round(255 * np.minimum(greys + 0.1, 1)).astype(np.uint8))
    assert image.reference_distance(brighter) == pytest.approx(0.1, abs=0.005)
    assert image.reference_distance(image.grey_counts(np.zeros(9, np.uint8))) > 0.05


def test_neighbouring_frames_are_alike_and_shuffled_ones_are_not():
    base = grain(2, 2)
    frames = np.stack([np.roll(base, k, 1) for k in range(20)])
    alike = image.neighbour_correlations(frames).mean()
    shuffled = image.neighbour_correlations(frames[np.random.default_rng(0).permutation(20)]).mean()
    assert alike > 0.9 and shuffled < 0.5


def test_width_of_the_grain_each_way():
    down, across = image.grain_widths(grain(1.2, 0.8), EVERYWHERE)
    # White noise after a Gaussian of sigma s correlates over exp(-d^2 / (4 s^2)): 3.33 s wide at half height.
    assert down == pytest.approx(3.33 * 1.2, rel=0.12)
    assert across == pytest.approx(3.33 * 0.8, rel=0.12)


def test_contrast_and_gradient_of_a_grating():
    x = np.arange(128)
    stripes = np.tile(0.5 + 0.2 * np.sin(2 * np.pi * x / 3.5), (128, 1))
    assert image.local_contrast(stripes, EVERYWHERE) == pytest.approx(0.2 / 2**0.5 / 0.5, rel=0.05)
    assert np.isnan(image.local_contrast(np.zeros((128, 128)), EVERYWHERE))
    ramp = np.tile(x / 127, (128, 1))
    assert image.gradient_over_mean(ramp) == pytest.approx(1 / 127 / 0.5, rel=1e-3)
