"""Losses that need no network: nothing for equal pictures, something else for others, and what each asks for."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from echopulse.train.losses.gradients import gradient_loss
from echopulse.train.losses.moving import FULL, moving_weight
from echopulse.train.losses.speckle import background, speckle_loss, texture
from echopulse.train.losses.wavelets import haar, wavelet_loss


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rayleigh(seed: int, along: float = 0.8, across: float = 1.4, size: int = 96) -> Tensor:
    """Fully developed speckle [1, 1, size, size] of mean 0.3: the envelope of blurred complex noise."""
    place = torch.arange(-6, 7).float()
    field = torch.randn(2, 1, size + 12, size + 12, generator=rng(seed))
    for sigma, shape in ((along, (1, 1, -1, 1)), (across, (1, 1, 1, -1))):
        kernel = torch.exp(-0.5 * (place / sigma) ** 2)
        field = F.conv2d(field, kernel.reshape(shape))
    envelope = field.square().sum(0, keepdim=True).sqrt()
    return 0.3 * envelope / envelope.mean()


@pytest.mark.parametrize("loss", [gradient_loss, wavelet_loss, speckle_loss])
def test_a_loss_is_zero_for_equal_pictures_positive_for_others_and_pulls_at_what_was_made(loss):
    true = torch.rand(2, 3, 32, 32, generator=rng(0))
    made = (0.5 + 0.2 * torch.rand(2, 3, 32, 32, generator=rng(1))).requires_grad_()
    assert float(loss(true, true)) == 0
    found = loss(made, true)
    found.backward()
    assert float(found.detach()) > 0
    assert bool(made.grad.isfinite().all()) and float((made.grad != 0).float().mean()) > 0.9


def test_a_step_against_the_gradient_makes_every_loss_smaller():
    true = torch.rand(1, 2, 32, 32, generator=rng(0))
    for loss in (gradient_loss, wavelet_loss, speckle_loss):
        made = torch.full_like(true, 0.5) + 0.05 * torch.randn(true.shape, generator=rng(1))
        made.requires_grad_()
        before = loss(made, true)
        (gradient,) = torch.autograd.grad(before, made)
        better = made.detach() - 0.02 * gradient / gradient.abs().max()
        assert float(loss(better, true)) < float(before.detach())


# --- derivatives ---


def test_the_gradient_loss_of_a_ramp_is_its_slope_and_an_offset_costs_nothing():
    ramp = (torch.arange(16.0) / 100).expand(1, 1, 16, 16)
    assert float(gradient_loss(ramp, torch.zeros_like(ramp), scales=1)) == pytest.approx(0.01 / 2)  # across alone
    assert float(gradient_loss(ramp, torch.zeros_like(ramp), scales=2)) == pytest.approx((0.01 + 0.02) / 4)
    assert float(gradient_loss(ramp + 0.3, ramp)) == pytest.approx(0, abs=1e-7)


# --- wavelets ---


def test_the_haar_bands_keep_the_energy_and_tell_directions_apart():
    picture = torch.rand(2, 8, 6, generator=rng(3))
    coarse, details = haar(picture)
    assert coarse.shape == (2, 4, 3) and details.shape == (3, 2, 4, 3)
    assert float(coarse.square().sum() + details.square().sum()) == pytest.approx(float(picture.square().sum()))
    stripes = torch.tensor([[1.0, 0.0]]).expand(4, 2).repeat(1, 2)  # change across
    assert haar(stripes)[1].abs().sum((1, 2)).tolist() == [4, 0, 0]
    assert haar(stripes.T)[1].abs().sum((1, 2)).tolist() == [0, 4, 0]


def test_odd_sides_have_no_haar_bands():
    with pytest.raises(ValueError, match=r"even sides, got \(5, 4\)"):
        haar(torch.zeros(5, 4))


def test_an_even_offset_shows_in_the_last_band_alone():
    offset = torch.full((1, 1, 16, 16), 0.2)
    assert float(wavelet_loss(offset, torch.zeros_like(offset), levels=3)) == pytest.approx(0.2 / 4)


# --- speckle ---


def test_two_draws_of_one_speckle_are_alike_and_fog_is_not():
    one, other = rayleigh(0), rayleigh(1)
    fog = F.avg_pool2d(F.pad(one, (2,) * 4, mode="reflect"), 5, 1)
    assert F.l1_loss(fog, one) < F.l1_loss(other, one)  # to a pixel's error fog is the better picture
    chance, lost = float(speckle_loss(other, one)), float(speckle_loss(fog, one))
    assert lost > 8 * chance and lost > 0.8


def test_speckle_of_another_grain_is_told_from_the_same_grain():
    coarse, fine = rayleigh(2, 1.6, 2.8), rayleigh(3, 0.8, 1.4)
    same, other = speckle_loss(rayleigh(4, 1.6, 2.8), coarse), speckle_loss(fine, coarse)
    assert float(other) > 2 * float(same)


def test_the_contrast_is_that_of_rayleigh_and_correlations_fall_faster_along_the_narrow_beam():
    speckle = rayleigh(5, 0.6, 2.0, size=160)
    contrast, correlations = texture(speckle, torch.ones_like(speckle))
    assert float(contrast.mean()) == pytest.approx(0.52, abs=0.08)  # sqrt(4 / pi - 1), less what the background takes
    down_1, down_2, across_1, across_2 = correlations.mean((0, 2, 3)).tolist()
    assert across_1 > down_1 + 0.2 and down_1 > down_2 and across_1 > across_2


def test_only_tissue_is_judged():
    true = rayleigh(6)
    true[..., :48] = 0.0
    made = true.clone()
    made[..., :32] += 0.05 * torch.rand(96, 32, generator=rng(7))  # beyond what any background reaches
    assert float(speckle_loss(made, true)) == 0
    assert float(speckle_loss(made, torch.zeros_like(true))) == 0


def test_black_pictures_have_a_finite_gradient():
    made = torch.zeros(1, 2, 32, 32, requires_grad=True)
    speckle_loss(made, torch.rand(1, 2, 32, 32, generator=rng())).backward()
    assert bool(made.grad.isfinite().all())


def test_the_background_of_an_even_picture_is_itself():
    even = torch.full((1, 1, 20, 20), 0.4)
    assert torch.allclose(background(even), even)


# --- motion ---


def test_what_moves_counts_more_by_the_strength_and_what_stands_still_counts_once():
    clip = torch.zeros(1, 4, 2, 2)
    clip[0, ::2, 0, 0] = 2 * FULL  # 0.15 off its mean: the most
    clip[0, ::2, 0, 1] = FULL  # half of it
    clip[..., 1, 0] = 0.7  # bright, but still
    weight = moving_weight(clip, 3.0)
    assert weight[0, :, 0, 0].tolist() == pytest.approx([4.0] * 4)
    assert weight[0, :, 0, 1].tolist() == pytest.approx([2.5] * 4)
    assert weight[0, :, 1].eq(1).all() and moving_weight(clip, 0.0).eq(1).all()
