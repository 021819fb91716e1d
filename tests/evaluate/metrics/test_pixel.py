"""Picture metrics against values worked out by hand, and against scikit-image and torchmetrics."""

import math

import numpy as np
import pytest
import torch
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio, structural_similarity
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

from echopulse.errors import InputError
from echopulse.evaluate.metrics import mae, ms_ssim, mse, psnr, ssim, ssim_map
from echopulse.evaluate.metrics.pixel import SCALE_WEIGHTS


def textured(side: int, seed: int = 0) -> torch.Tensor:
    """Two pictures of coarse and fine grain, [2, side, side]."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(2, 1, 12, 12, generator=generator)
    fine = torch.rand(2, side, side, generator=generator)
    return 0.7 * torch.nn.functional.interpolate(coarse, (side, side), mode="bilinear")[:, 0] + 0.3 * fine


def test_errors_of_a_known_difference():
    a = torch.zeros(2, 16, 16)
    b = a.clone()
    b[0] = 0.2
    assert mse(a, b) == pytest.approx(0.02)
    assert mae(a, b) == pytest.approx(0.1)
    assert psnr(a, b) == pytest.approx(-10 * math.log10(0.02))
    assert psnr(a, a) == math.inf
    assert math.isnan(psnr(a, torch.full_like(a, math.nan)))


def test_a_sector_leaves_the_outside_out():
    a, b = torch.zeros(3, 16, 16), torch.zeros(3, 16, 16)
    b[:, :, :4] = 0.5
    sector = torch.zeros(16, 16, dtype=torch.bool)
    sector[:, :8] = True
    assert mse(a, b) == pytest.approx(0.25 / 4)
    assert mse(a, b, sector) == pytest.approx(0.25 / 2)
    assert mae(a, b, sector) == pytest.approx(0.25)
    assert psnr(a, b, sector) == pytest.approx(-10 * math.log10(0.125))
    assert mse(a, b, ~sector) == 0
    assert mse(a, b, sector[None].expand(3, 16, 16)) == pytest.approx(0.125)
    nowhere = torch.zeros(16, 16, dtype=torch.bool)
    assert math.isnan(mse(a, b, nowhere)) and math.isnan(psnr(a, a, nowhere))


def test_ssim_of_equal_clips_is_one_and_falls_with_noise():
    clip = torch.rand(2, 24, 24, generator=torch.Generator().manual_seed(0))
    noise = torch.randn(2, 24, 24, generator=torch.Generator().manual_seed(1))
    assert ssim(clip, clip) == pytest.approx(1)
    values = [ssim(clip, (clip + s * noise).clamp(0, 1)) for s in (0.02, 0.1, 0.4)]
    assert 1 > values[0] > values[1] > values[2] > 0


def test_ssim_of_even_pictures_is_the_luminance_term():
    a, b = torch.full((1, 16, 16), 0.3), torch.full((1, 16, 16), 0.6)
    expected = (2 * 0.3 * 0.6 + 0.01**2) / (0.3**2 + 0.6**2 + 0.01**2)
    assert ssim(a, b) == pytest.approx(expected, abs=1e-6)


def test_ssim_of_a_negative_checkerboard_is_the_structure_term_with_its_sign():
    board = torch.from_numpy(0.5 + 0.25 * (-1.0) ** np.add.outer(np.arange(31), np.arange(31)))[None]
    # The window averages a checkerboard to its mean; variance 1/16, covariance -1/16, equal means.
    c2 = 0.03**2
    assert ssim(board, 1 - board) == pytest.approx((-2 / 16 + c2) / (2 / 16 + c2), abs=2e-3)


def test_ssim_at_one_pixel_is_the_formula_written_out():
    generator = np.random.default_rng(3)
    x, y = generator.random((11, 11)), generator.random((11, 11))
    line = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    weight = np.outer(line, line) / np.outer(line, line).sum()
    mx, my = (weight * x).sum(), (weight * y).sum()
    vx, vy, cov = (weight * (x - mx) ** 2).sum(), (weight * (y - my) ** 2).sum(), (weight * (x - mx) * (y - my)).sum()
    expected = (2 * mx * my + 1e-4) * (2 * cov + 9e-4) / ((mx**2 + my**2 + 1e-4) * (vx + vy + 9e-4))
    assert ssim_map(torch.from_numpy(x), torch.from_numpy(y)).item() == pytest.approx(expected, rel=1e-9)


def test_ssim_in_a_sector_ignores_what_is_wrong_outside():
    a = torch.rand(1, 40, 40, generator=torch.Generator().manual_seed(0))
    b = a.clone()
    b[:, :, 28:] = 0
    sector = torch.zeros(40, 40, dtype=torch.bool)
    sector[:, :20] = True
    assert ssim(a, b, sector) == pytest.approx(1)
    assert ssim(a, b) < 0.9


def test_unlike_clips_are_refused():
    with pytest.raises(ValueError, match="one shape"):
        mse(torch.zeros(2, 16, 16), torch.zeros(3, 16, 16))
    with pytest.raises(ValueError, match="float"):
        mse(torch.zeros(2, 16, 16, dtype=torch.uint8), torch.zeros(2, 16, 16, dtype=torch.uint8))
    with pytest.raises(ValueError, match="11 x 11"):
        ssim(torch.zeros(1, 8, 8), torch.zeros(1, 8, 8))


def test_errors_and_ssim_are_those_of_scikit_image():
    a, b = textured(48), textured(48, seed=1)
    x, y = a.double().numpy(), b.double().numpy()
    options = dict(gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1)
    by_frame = [structural_similarity(*pair, **options) for pair in zip(x, y, strict=True)]
    assert mse(a, b) == pytest.approx(mean_squared_error(x, y), abs=1e-6)
    assert psnr(a, b) == pytest.approx(peak_signal_noise_ratio(x, y, data_range=1), abs=1e-4)
    assert ssim(a, b) == pytest.approx(np.mean(by_frame), abs=1e-4)


@pytest.mark.parametrize(("side", "scales"), [(180, 5), (128, 4), (129, 3)])
def test_ms_ssim_is_that_of_torchmetrics(side, scales):
    a = textured(side)
    b = (0.8 * a + 0.2 * textured(side, seed=1)).clamp(0, 1)
    weights = tuple(weight / sum(SCALE_WEIGHTS[:scales]) for weight in SCALE_WEIGHTS[:scales])
    expected = multiscale_structural_similarity_index_measure(
        a[:, None].double(), b[:, None].double(), data_range=1.0, betas=weights, normalize="relu"
    )
    assert 0.3 < expected < 0.99
    assert ms_ssim(a, b, scales=scales) == pytest.approx(float(expected), abs=1e-4)


def test_ms_ssim_of_even_pictures_is_the_luminance_to_the_weight_of_the_coarsest_scale():
    a, b = torch.full((1, 96, 96), 0.3), torch.full((1, 96, 96), 0.6)
    luminance = (2 * 0.3 * 0.6 + 1e-4) / (0.3**2 + 0.6**2 + 1e-4)
    weight = SCALE_WEIGHTS[2] / sum(SCALE_WEIGHTS[:3])
    assert ms_ssim(a, b, scales=3) == pytest.approx(luminance**weight, abs=1e-9)


def test_ms_ssim_in_a_sector_ignores_the_outside():
    a, b = textured(96), textured(96)
    b[:, :, 80:] = 0
    sector = torch.zeros(96, 96, dtype=torch.bool)
    sector[:, :32] = True
    assert ms_ssim(a, b, sector, scales=3) == pytest.approx(1)
    assert ms_ssim(a, b, scales=3) < 0.95


def test_ms_ssim_says_which_size_it_needs():
    with pytest.raises(InputError, match=r"128 x 128: .* 5 scales needs 176 .* scales=4"):
        ms_ssim(torch.zeros(1, 128, 128), torch.zeros(1, 128, 128))
    with pytest.raises(InputError, match="1 to 5"):
        ms_ssim(torch.zeros(1, 128, 128), torch.zeros(1, 128, 128), scales=6)
