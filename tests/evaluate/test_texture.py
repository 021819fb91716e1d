"""Figures of grain on made grain: finer and coarser, fading, standing still, and gone."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from echopulse.evaluate.texture import FIGURES, grain_correlation, texture_of

SECTOR = np.ones((96, 96), bool)


def grainy(sigma: float = 1.2, strength: float = 0.1, frames: int = 13, keep: float = 1.0, seed: int = 0) -> np.ndarray:
    """Grain of that width on grey tissue; `keep` is how much of it stays from frame to frame."""
    draw = np.random.default_rng(seed)
    field, shown = draw.standard_normal((96, 96)), []
    for _ in range(frames):
        fine = gaussian_filter(field, sigma)
        shown.append(0.4 + strength * fine / fine.std())
        field = keep * field + np.sqrt(1 - keep**2) * draw.standard_normal((96, 96))
    return np.stack(shown)


def test_coarser_grain_is_wider_and_stronger_grain_has_more_contrast():
    fine, coarse, strong = (texture_of(grainy(*kind), SECTOR) for kind in ((1.0, 0.1), (1.8, 0.1), (1.0, 0.14)))
    assert coarse["down"] > 1.4 * fine["down"] and coarse["across"] > 1.4 * fine["across"]
    assert strong["contrast"] == pytest.approx(1.4 * fine["contrast"], rel=0.1)
    assert fine["down"] == pytest.approx(2 * np.sqrt(np.log(2)) * 2 * 1.0, rel=0.15)  # of a Gaussian's square


def test_grain_that_stays_lasts_and_grain_that_is_drawn_anew_does_not():
    assert texture_of(grainy(), SECTOR)["lasting"] == pytest.approx(1)
    assert texture_of(grainy(keep=0.8), SECTOR)["lasting"] == pytest.approx(0.8, abs=0.06)
    assert abs(texture_of(grainy(keep=0.0), SECTOR)["lasting"]) < 0.15


def test_a_blurred_clip_has_lost_contrast_and_is_wider():
    sharp = grainy()
    blurred = np.stack([gaussian_filter(frame, 1.5) for frame in sharp])
    before, after = texture_of(sharp, SECTOR), texture_of(blurred, SECTOR)
    assert after["contrast"] < 0.75 * before["contrast"] and after["down"] > 1.3 * before["down"]


def test_a_clip_without_tissue_has_no_contrast_to_speak_of():
    dark = texture_of(np.zeros((13, 96, 96)), SECTOR)
    assert set(dark) == set(FIGURES) and np.isnan(dark["contrast"]) and np.isnan(dark["lasting"])
    assert np.isnan(grain_correlation(np.zeros((96, 96)), np.ones((96, 96)), SECTOR))
