"""The volume read off the picture: where it starts, what it may change, and what it learns."""

import math

import numpy as np
import pytest
import torch

from echopulse.measure import Segmenter, SegmenterConfig, measure_masks
from echopulse.measure.segmenter import outline_all
from echopulse.measure.volume_head import LARGEST, VolumeHead, ellipse_of, volume_loss
from echopulse.phantom.types import LABELS

CONFIG = SegmenterConfig(size=32, channels=(8, 8, 8), groups=4, classes=7, context_s=0.08, volumes=True)
LONG, SHORT = 24.0, 12.0  # semi-axes in pixels


def logits_of(mask: np.ndarray) -> torch.Tensor:
    """Sure of the left ventricle within the mask and of the outside around it, [1, 7, h, w]."""
    labels = torch.from_numpy(mask.astype(np.int64) * LABELS.index("lv"))[None]
    return 40.0 * torch.nn.functional.one_hot(labels, len(LABELS)).permute(0, 3, 1, 2)


def tilted_ellipse(turn: float) -> np.ndarray:
    y, x = np.mgrid[:96, :96] - 47.5
    along, across = x * math.cos(turn) + y * math.sin(turn), y * math.cos(turn) - x * math.sin(turn)
    return (along / LONG) ** 2 + (across / SHORT) ** 2 <= 1


@pytest.mark.parametrize("turn", [0.0, 0.7, math.pi / 2])
def test_area_and_axes_are_those_of_an_ellipse_however_it_lies(turn):
    found = [float(value) for value in ellipse_of(torch.from_numpy(tilted_ellipse(turn)).float()[None])]
    assert found == pytest.approx([math.pi * LONG * SHORT, 2 * LONG, 2 * SHORT], rel=0.01)


def test_untrained_it_says_the_area_length_volume_and_never_strays_by_more_than_its_bound():
    head = VolumeHead(4, 4, len(LABELS)).eval()
    inputs = torch.rand(1, 4, 6, 6), torch.rand(1, 4, 48, 48), logits_of(tilted_ellipse(0.3))
    spheroid = 4 / 3 * math.pi * LONG * SHORT**2  # what area-length gives for an ellipse
    with torch.no_grad():
        assert float(head(*inputs).exp()) == pytest.approx(spheroid, rel=0.02)
        head.layers[-1].bias.fill_(100.0)
        assert float(head(*inputs).exp()) == pytest.approx(spheroid * math.exp(LARGEST), rel=0.02)


def test_a_picture_without_a_ventricle_gives_a_number_and_a_gradient_all_the_same():
    head = VolumeHead(4, 4, len(LABELS))
    logits = logits_of(np.zeros((32, 32), bool)).requires_grad_()
    read = head(torch.zeros(1, 4, 2, 2), torch.zeros(1, 4, 16, 16), logits)
    read.sum().backward()
    assert read.isfinite().all() and logits.grad.isfinite().all()


def test_the_loss_is_nothing_for_the_truth_and_sees_the_share_that_is_left():
    truth = torch.tensor([[5.0, 4.2]])
    assert float(volume_loss(truth, truth)) == 0
    together, apart = truth + 0.05, truth + torch.tensor([[0.05, -0.05]])
    assert 0 < float(volume_loss(together, truth)) < float(volume_loss(apart, truth))


def test_it_learns_the_volumes_it_is_shown():
    torch.manual_seed(0)
    head = VolumeHead(4, 4, len(LABELS))
    finest, logits = torch.rand(16, 4, 48, 48), logits_of(tilted_ellipse(0)).expand(16, -1, -1, -1)
    coarsest = torch.randn(16, 4, 6, 6)
    with torch.no_grad():
        truth = head(coarsest, finest, logits) + 0.3 * torch.tanh(3 * coarsest.mean((1, 2, 3)))
    optimizer = torch.optim.Adam(head.parameters(), 1e-2)
    losses = []
    for _ in range(60):
        loss = volume_loss(head(coarsest, finest, logits).reshape(-1, 2), truth.reshape(-1, 2))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.1 * losses[0]


def test_volumes_of_a_clip_are_in_its_own_pixels_and_missing_where_no_ventricle_is():
    torch.manual_seed(0)
    network = Segmenter(CONFIG).eval()
    with torch.no_grad():
        network.head.weight.zero_()
        network.head.bias.zero_()
        network.head.bias.view(len(LABELS), 4)[LABELS.index("lv")] = 9.0  # everything is cavity
        small = outline_all(network, np.zeros((3, 32, 32), np.uint8), np.arange(3) * 0.08)
        large = outline_all(network, np.zeros((3, 64, 64), np.uint8), np.arange(3) * 0.08)
        assert large.volumes == pytest.approx(8 * small.volumes, rel=0.01)
        network.head.bias.view(len(LABELS), 4)[LABELS.index("lv")] = -9.0
        assert np.isnan(outline_all(network, np.zeros((3, 32, 32), np.uint8)).volumes).all()


def test_a_measurement_carries_both_volumes():
    y, x = np.mgrid[:128, :128] - 64
    masks = np.stack([(y < 20) & ((y / 40) ** 2 + (x / (20 - 3 * t)) ** 2 <= 1) for t in (0, 1, 2, 2, 1, 0)])
    masks[5] = False
    read = np.linspace(2e4, 1e4, 6)
    found = measure_masks(masks, np.arange(6) * 0.04, view="a2c", pixel_spacing_cm=0.1, read_volumes=read)
    assert found.volumes_calibrated[:5] == pytest.approx(read[:5] * 0.001) and np.isnan(found.volumes_calibrated[5])
    assert measure_masks(masks, np.arange(6) * 0.04, view="a2c").volumes_calibrated is None
