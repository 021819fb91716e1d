"""The cavity cut along and across its long axis: where a piece is missing, there and nowhere else it shows."""

import math

import numpy as np
import pytest
import torch

from echopulse.measure.regions import SLICES, STRETCHES, long_axis, seen_in_regions, what_regions_show
from echopulse.measure.volume_head import ellipse_of
from echopulse.phantom.types import LABELS

SIDE, LONG, SHORT = 96, 30.0, 14.0  # pixels; semi-axes


def leaning_ellipse(turn: float) -> np.ndarray:
    """Its long axis turned clockwise from upright; 1 inside."""
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    along, across = x * math.sin(turn) - y * math.cos(turn), x * math.cos(turn) + y * math.sin(turn)
    return ((along / LONG) ** 2 + (across / SHORT) ** 2 <= 1).astype(np.float32)


def logits_of(mask: np.ndarray) -> torch.Tensor:
    labels = torch.from_numpy((mask > 0) * LABELS.index("lv"))[None]
    return 40.0 * torch.nn.functional.one_hot(labels, len(LABELS)).permute(0, 3, 1, 2)


def shares(mask: np.ndarray) -> np.ndarray:
    """Of the area in slices [left or right, base to apex]."""
    shown = what_regions_show(torch.zeros(1, 4, SIDE // 2, SIDE // 2), logits_of(mask))[0]
    begin = 2 * STRETCHES * 4
    return shown[begin : begin + 2 * SLICES].reshape(2, SLICES).numpy()


@pytest.mark.parametrize("turn", [-0.6, 0.0, 0.3, 1.2])
def test_the_axis_points_upwards_however_the_ventricle_leans(turn):
    chance = torch.from_numpy(leaning_ellipse(turn))[None]
    centre, direction = long_axis(chance, ellipse_of(chance)[0])
    assert centre[0].tolist() == pytest.approx([(SIDE - 1) / 2] * 2, abs=0.05)
    assert direction[0].tolist() == pytest.approx([math.sin(turn), -math.cos(turn)], abs=0.01)


@pytest.mark.parametrize("turn", [0.0, 0.5])
def test_the_slices_of_an_ellipse_share_its_area_evenly_left_and_right(turn):
    found = shares(leaning_ellipse(turn))
    assert found.sum() == pytest.approx(1, abs=1e-4)
    assert found[0] == pytest.approx(found[1], abs=0.005) and found[0] == pytest.approx(found[0, ::-1], abs=0.005)


def test_a_piece_that_is_missing_shows_on_its_side_at_its_height():
    whole = leaning_ellipse(0.0)
    bitten = whole.copy()
    bitten[30:40, 50:] = 0  # right of the axis, towards the apex
    change = (shares(bitten) * bitten.sum() - shares(whole) * whole.sum()) / whole.sum()
    assert np.unravel_index(change.argmin(), change.shape) == (1, 5)
    assert change.min() < -0.03 and np.abs(change[0]).max() < 0.02


def test_features_at_the_edge_are_told_by_side_and_height():
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    soft = 6 * (1 - np.hypot(y / LONG, x / SHORT))
    logits = torch.zeros(1, len(LABELS), SIDE, SIDE)
    logits[0, LABELS.index("lv")] = torch.from_numpy(soft)
    finest = torch.zeros(1, 1, SIDE // 2, SIDE // 2)
    finest[..., SIDE // 4 :] = 1.0  # shines on the right alone
    edges = what_regions_show(finest, logits)[0, : 2 * STRETCHES].reshape(2, STRETCHES)
    assert edges[1].min() > 0.8 and edges[0].max() < 0.2


def test_a_picture_without_a_ventricle_gives_as_many_numbers():
    nothing = logits_of(np.zeros((SIDE, SIDE))).expand(2, -1, -1, -1)
    shown = what_regions_show(torch.rand(2, 4, SIDE // 2, SIDE // 2), nothing)
    assert shown.shape == (2, seen_in_regions(4)) and bool(shown.isfinite().all())
