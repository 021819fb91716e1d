"""What the truth of a clip can be asked for besides what it holds: outlines and Simpson's volumes."""

import pytest
import torch

from echopulse.phantom import simulate


@pytest.fixture(scope="module")
def truth():
    return simulate(2, seed=3, prior="easy", view="a4c", frames=3, fps=5.0, size=96).truth


def test_contours_enclose_the_cavity_of_every_frame(truth):
    lines = truth.contours()
    assert lines.shape == (2, 3, 64, 2) and lines.dtype == torch.float32
    x, y = lines.double().unbind(-1)
    enclosed = 0.5 * (x * y.roll(-1, -1) - y * x.roll(-1, -1)).sum(-1)
    assert enclosed.numpy() == pytest.approx(truth.lv_mask.sum((2, 3)).numpy(), rel=0.02)


def test_simpson_sees_the_volume_of_an_easy_heart(truth):
    volumes = truth.simpson_ml()
    assert volumes.shape == (2, 3) and volumes.dtype == torch.float32
    assert (volumes / truth.volume_ml - 1).abs().max() < 0.1


def test_some_of_the_clips_are_those_of_all(truth):
    assert torch.equal(truth.contours(slice(1, 2))[0], truth.contours()[1])
    assert torch.equal(truth.simpson_ml(slice(1, 2))[0], truth.simpson_ml()[1])
    assert truth.contours(slice(0, 1), points=10).shape == (1, 3, 10, 2)


def test_short_axes_have_an_outline_but_no_simpson():
    truth = simulate(1, seed=3, prior="easy", view="psax_papillary", frames=1, size=64).truth
    assert truth.simpson_ml().isnan().all() and truth.contours().isfinite().all()


def test_a_frame_without_a_cavity_has_neither(truth):
    labels = truth.labels.clone()
    labels[0, 1] = 0
    empty = type(truth)(**vars(truth) | {"labels": labels})
    assert empty.contours()[0, 1].isnan().all() and empty.simpson_ml()[0].isnan().tolist() == [False, True, False]
