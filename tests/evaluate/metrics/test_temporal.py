"""Figures of time on clips whose motion is constructed."""

import math

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, shift

from echopulse.errors import InputError
from echopulse.evaluate.metrics.temporal import (
    brightness_spectrum,
    flicker,
    frame_correlation,
    match_blocks,
    pixel_spectrum,
    spectrum_distance,
    warping_error,
)

FPS = 25.0
TIMES = np.arange(50) / FPS


def texture(seed: int = 0, side: int = 40) -> np.ndarray:
    picture = gaussian_filter(np.random.default_rng(seed).normal(size=(side, side)), 1.5)
    return 0.5 + 0.4 * picture / np.abs(picture).max()


def wave(hz: float, amplitude: float = 0.1) -> np.ndarray:
    """A texture whose brightness swings, [50, 40, 40]."""
    return texture() + amplitude * np.sin(2 * np.pi * hz * TIMES)[:, None, None]


def moving(pixels_right: float, frames: int = 6) -> np.ndarray:
    return np.stack([shift(texture(side=60), (0, i * pixels_right), order=3, mode="wrap") for i in range(frames)])


def test_a_swing_of_one_frequency_lies_where_it_should_with_all_its_power():
    found = brightness_spectrum(wave(2.0), FPS)
    assert found.frequencies_hz[found.power.argmax()] == pytest.approx(2.0)
    assert found.power.sum() == pytest.approx(0.1**2 / 2, rel=0.02)  # the variance of a sine (Parseval)
    assert pixel_spectrum(wave(2.0), FPS).power.sum() == pytest.approx(0.1**2 / 2, rel=0.02)


def test_flicker_is_the_share_of_the_power_above_8_hz():
    assert flicker(wave(2.0), FPS) < 1e-3
    assert flicker(wave(10.0), FPS) > 0.999
    both = wave(2.0, 0.1) + wave(10.0, 0.05) - texture()
    assert flicker(both, FPS) == pytest.approx(0.2, abs=0.01)  # 0.05² of 0.05² + 0.1²
    assert flicker(np.repeat(texture()[None], 50, 0), FPS) == 0


def test_grain_drawn_anew_shows_in_the_pixels_and_not_in_the_mean():
    noise = np.random.default_rng(1).normal(0, 0.05, (50, 40, 40))
    noise -= noise.mean((1, 2), keepdims=True)
    clip = wave(2.0, 0.05) + noise
    # White: (12.5 - 8) / 12.5 of its power lies above 8 Hz
    expected = 0.36 * 0.05**2 / (0.05**2 + 0.05**2 / 2)
    assert pixel_spectrum(clip, FPS).share_above(8.0) == pytest.approx(expected, abs=0.02)
    assert flicker(clip, FPS) < 1e-3


def test_a_sector_leaves_the_outside_out():
    clip = wave(2.0)
    clip[::2, :, 20:] += 0.2  # flickers at half the frame rate
    sector = np.zeros((40, 40), bool)
    sector[:, :20] = True
    assert flicker(clip, FPS, sector) < 1e-3
    assert flicker(clip, FPS) == pytest.approx(1 / 3, abs=0.01)  # 0.05² beside 0.1² / 2


def test_correlation_falls_with_noise_by_the_known_amount_and_with_the_lag():
    draw = np.random.default_rng(2)
    still = np.repeat(texture(side=80)[None], 10, 0)
    noisy = still + still[0].std() * draw.normal(size=still.shape)
    assert frame_correlation(still) == pytest.approx(1)
    assert frame_correlation(noisy) == pytest.approx(0.5, abs=0.03)  # as much noise as signal
    clip = moving(0.5)
    assert 1 > frame_correlation(clip) > frame_correlation(clip, lag=2) > frame_correlation(clip, lag=4)
    assert math.isnan(frame_correlation(np.ones((3, 4, 4))))


def test_spectra_are_far_apart_when_motion_is_at_other_frequencies():
    slow, again, fast = (pixel_spectrum(wave(hz), FPS) for hz in (2.0, 2.0, 10.0))
    assert spectrum_distance(slow, again) == 0
    assert spectrum_distance(slow, fast) > 0.99
    assert math.isnan(spectrum_distance(slow, pixel_spectrum(np.ones((50, 4, 4)), FPS)))
    with pytest.raises(InputError, match="do not compare"):
        spectrum_distance(slow, pixel_spectrum(wave(2.0)[:40], FPS))


def test_motion_that_is_given_explains_a_moving_clip():
    clip, flow = moving(0.7), np.zeros((5, 60, 60, 2))
    flow[..., 0] = 0.7
    inside = np.zeros((60, 60), bool)
    inside[5:-5, 5:-5] = True
    still = warping_error(clip, np.zeros_like(flow), inside)
    assert still == pytest.approx(((clip[1:] - clip[:-1]) ** 2)[:, inside].mean(), rel=1e-4)
    assert warping_error(clip, flow, inside) < 0.05 * still
    assert warping_error(clip, -flow, inside) > 2 * still


def test_block_matching_finds_a_whole_shift_and_leaves_redrawn_grain_unexplained():
    clip = moving(2.0)
    flow = match_blocks(clip[:1].astype(np.float32), clip[1:2].astype(np.float32))[0].numpy()
    assert (flow[10:-10, 10:-10] == [2, 0]).all()
    redrawn = np.stack([texture(seed, 60) for seed in range(6)])
    assert warping_error(clip) < 1e-3 < warping_error(redrawn)
    assert warping_error(np.repeat(clip[:1], 4, 0)) < 1e-12
    assert (match_blocks(np.zeros((1, 8, 8)), np.zeros((1, 8, 8))) == 0).all()


def test_eight_bit_frames_count_as_0_to_1_and_pairs_can_be_left_out():
    clip = (255 * moving(1.0)).astype(np.uint8)
    zero = np.zeros((5, 60, 60, 2))
    pairs = ((clip[1:] / 255 - clip[:-1] / 255) ** 2).mean((1, 2))
    assert warping_error(clip, zero) == pytest.approx(pairs.mean(), rel=1e-4)
    assert warping_error(clip, zero, every=2) == pytest.approx(pairs[::2].mean(), rel=1e-4)


def test_what_cannot_be_told_is_refused_with_what_is_needed():
    with pytest.raises(InputError, match="15 frames/s: .* beyond 16"):
        flicker(wave(2.0), 15)
    with pytest.raises(InputError, match="5 frames: at least 8"):
        pixel_spectrum(wave(2.0)[:5], FPS)
    with pytest.raises(InputError, match="sector is empty"):
        flicker(wave(2.0), FPS, np.zeros((40, 40), bool))
    with pytest.raises(InputError, match=r"\(5, 60, 60, 2\) is expected"):
        warping_error(moving(1.0), np.zeros((6, 60, 60, 2)))
    with pytest.raises(InputError, match="1 frame"):
        warping_error(moving(1.0)[:1])
