"""The segmenter's shapes and promises, on a tiny network; how well the trained one does is for evaluation."""

import numpy as np
import pytest
import torch

from echopulse.measure.learning import degrade, segmentation_loss
from echopulse.measure.segmenter import Segmenter, SegmenterConfig, keep_cavity, segment

TINY = SegmenterConfig(size=32, channels=(8, 8, 8), groups=4)


class Threshold(torch.nn.Module):
    """Stands in for a trained network: dark is cavity."""

    def __init__(self, size: int = 128):
        super().__init__()
        self.config = SegmenterConfig(size=size)
        self.head = torch.nn.Conv2d(1, 1, 1)

    def forward(self, frames):
        assert frames.shape[1:] == (self.config.size,) * 2
        return 20 * (0.5 - frames)


def blob(height: int, width: int, row: int, column: int, radius: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return (y - row) ** 2 + (x - column) ** 2 <= radius**2


def test_the_network_gives_a_logit_per_pixel_and_is_small():
    network = Segmenter()
    assert 0.3e6 < sum(p.numel() for p in network.parameters()) < 0.5e6
    assert network(torch.rand(1, 128, 128)).shape == (1, 128, 128)


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match="divisible"):
        SegmenterConfig(size=100)
    with pytest.raises(ValueError, match=r"\[b, 32, 32\]"):
        Segmenter(TINY)(torch.rand(1, 64, 64))
    with pytest.raises(ValueError, match="uint8"):
        segment(Segmenter(TINY), np.zeros((1, 32, 32), np.float32))


def test_a_frame_is_segmented_the_same_alone_and_in_company():
    network = Segmenter(TINY).eval()
    frames = torch.rand(5, 32, 32)
    assert torch.allclose(network(frames)[3:4], network(frames[3:4]), atol=1e-5)


def test_it_learns_what_it_is_shown():
    torch.manual_seed(0)
    network = Segmenter(TINY)
    mask = torch.from_numpy(np.stack([blob(32, 32, 14, 12, 6), blob(32, 32, 18, 20, 5)]))
    frames = (~mask).float() * 0.5 + 0.2 * torch.rand(2, 32, 32)
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-2)
    for _ in range(30):
        loss = segmentation_loss(network(frames), mask)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.5
    masks, confidence = segment(network, (frames * 255).to(torch.uint8).numpy())
    assert (masks == mask.numpy()).mean() > 0.97
    assert (confidence > 0.6).all()


@pytest.mark.parametrize(("height", "width"), [(128, 128), (64, 64), (96, 160), (240, 200)])
def test_pictures_of_any_size_come_back_in_their_own(height, width):
    truth = blob(height, width, height // 2, width // 2 + 6, height // 5)
    frames = np.where(truth, 0, 255).astype(np.uint8)[None].repeat(3, 0)
    masks, confidence = segment(Threshold(), frames)
    assert masks.shape == (3, height, width) and masks.dtype == bool and confidence.shape == (3,)
    overlap = 2 * (masks[0] & truth).sum() / (masks[0].sum() + truth.sum())
    assert overlap > 0.97 and (confidence > 0.95).all()


def test_a_picture_without_a_ventricle_has_an_empty_mask_and_no_confidence():
    masks, confidence = segment(Threshold(), np.full((2, 128, 128), 255, np.uint8))
    assert not masks.any() and (confidence == 0).all()


def test_an_unsure_outline_has_less_confidence():
    truth = blob(128, 128, 60, 70, 25)
    frames = np.stack([np.where(truth, 0, 255), np.where(truth, 110, 140)]).astype(np.uint8)
    _, confidence = segment(Threshold(), frames)
    assert confidence[1] < confidence[0] - 0.2


def test_the_largest_piece_is_kept_and_its_holes_are_filled():
    big = blob(64, 64, 30, 30, 15)
    masks = np.stack([big & ~blob(64, 64, 28, 28, 3) | blob(64, 64, 55, 55, 5), blob(64, 64, 5, 5, 1), big])
    kept = keep_cavity(masks)
    assert (kept[0] == big).all() and not kept[1].any() and (kept[2] == big).all()


def test_segmenting_leaves_the_network_in_its_mode():
    network = Segmenter(TINY).train()
    segment(network, np.zeros((1, 32, 32), np.uint8))
    assert network.training


def test_the_loss_is_small_for_the_truth_and_large_for_its_opposite():
    mask = torch.from_numpy(blob(32, 32, 16, 16, 8))[None]
    sure = torch.where(mask, 12.0, -12.0)
    assert segmentation_loss(sure, mask) < 0.01
    assert segmentation_loss(-sure, mask) > 5
    nothing = torch.zeros(1, 32, 32, dtype=torch.bool)
    assert segmentation_loss(torch.full((1, 32, 32), -12.0), nothing) < 0.01


def test_degraded_pictures_stay_pictures_and_come_again_with_the_seed():
    frames = torch.rand(8, 32, 32)
    first, again, other = (degrade(frames, torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert first.shape == frames.shape and first.dtype == torch.float32
    assert first.min() >= 0 and first.max() <= 1
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(degrade(frames, torch.Generator().manual_seed(1), strength=0), frames)
    changed = (first != frames).flatten(1).any(1)
    assert changed.any() and not changed.all()  # some are left as they are
    whole = degrade((frames * 255).to(torch.uint8), torch.Generator().manual_seed(1))
    assert whole.max() <= 1
