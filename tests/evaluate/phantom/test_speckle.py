"""Blocks that are moved by a known amount are found there; blocks that were swapped are not."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, shift

from echopulse.evaluate.phantom import speckle

EVERYWHERE = np.ones((96, 96), bool)


def grain(seed: int = 0) -> np.ndarray:
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=(96, 96)), 1.5)
    return 0.4 + 0.1 * noise / noise.std()


def moved(right: float, down: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    flow = np.tile(np.array([right, down]), (96, 96, 1))
    return grain(), shift(grain(), (down, right), order=3, mode="nearest"), flow


@pytest.mark.parametrize(("right", "down"), [(0, 0), (1.0, -2.0), (0.4, 1.3), (-2.6, 0.7)])
def test_a_known_shift_is_followed(right, down):
    errors = speckle.tracking_errors(*moved(right, down)[:2], EVERYWHERE, moved(right, down)[2])
    assert len(errors) > 100 and np.median(errors) < 0.15


def test_unrelated_frames_are_not_followed():
    flow = np.zeros((96, 96, 2))
    assert np.median(speckle.tracking_errors(grain(0), grain(1), EVERYWHERE, flow)) > 0.5


def test_the_wrong_truth_is_an_error():
    first, second, flow = moved(1.5, 0)
    assert np.median(speckle.tracking_errors(first, second, EVERYWHERE, -flow)) > 2.5


def test_stray_motion_counts_only_what_should_stand_still():
    first, second, flow = moved(1.0, 0)
    assert len(speckle.stray_motion(first, second, EVERYWHERE, flow)) == 0
    assert np.median(speckle.stray_motion(first, second, EVERYWHERE, 0 * flow)) == pytest.approx(1, abs=0.1)
    assert np.median(speckle.stray_motion(first, first, EVERYWHERE, 0 * flow)) < 0.05


def test_flow_from_one_frame_to_the_next_is_that_of_the_tissue():
    rows, columns = np.mgrid[:96, :96].astype(float)
    # Stretched about the centre by 1.10 at first and by 1.12 then: tissue X is now at s X.
    before, after = (np.stack([(columns - 48) * (1 - 1 / s), (rows - 48) * (1 - 1 / s)], -1) for s in (1.10, 1.12))
    flow = speckle.flow_between(before, after)
    expected = (columns - 48) * (1.12 / 1.10 - 1)
    assert np.abs(flow[20:-20, 20:-20, 0] - expected[20:-20, 20:-20]).max() < 0.01


def test_blocks_in_the_dark_are_left_out():
    assert len(speckle.match_blocks(0.1 * grain(), 0.1 * grain(), EVERYWHERE).centres) == 0


def test_rayleigh_amplitudes_have_rayleigh_figures():
    rng = np.random.default_rng(0)
    amplitude = np.hypot(*rng.normal(size=(2, 200_000)))
    assert speckle.envelope_ratio(amplitude) == pytest.approx(1.913, abs=0.01)
    assert speckle.envelope_spread_db(amplitude) == pytest.approx(5.57, abs=0.03)
    assert speckle.envelope_ratio(amplitude**2) < 1.5
