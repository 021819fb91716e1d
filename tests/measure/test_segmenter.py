"""The segmenter's shapes and promises, on a tiny network; how well the trained one does is for evaluation."""

import numpy as np
import pytest
import torch

from echopulse.measure.learning import degrade, place_elsewhere, segmentation_loss
from echopulse.measure.segmenter import LV, Segmenter, SegmenterConfig, keep_cavity, neighbours, outline_all, segment
from echopulse.phantom.types import LABELS, VIEWS
from echopulse.train.measurer_recipe import MEASURER_CHANNELS

TINY = SegmenterConfig(size=32, channels=(8, 8, 8), groups=4)


class Threshold(torch.nn.Module):
    """Stands in for a trained network: dark is cavity."""

    def __init__(self, size: int = 128):
        super().__init__()
        self.config = SegmenterConfig(size=size)
        self.head = torch.nn.Conv2d(1, 1, 1)

    def encode(self, frames):
        assert frames.shape[1:] == (1, self.config.size, self.config.size)
        return [frames[:, 0]]

    def ascend(self, levels):
        return levels[0]

    def outline(self, frames):
        return 20 * (0.5 - frames[:, None])


def blob(height: int, width: int, row: int, column: int, radius: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return (y - row) ** 2 + (x - column) ** 2 <= radius**2


def test_the_network_gives_a_logit_per_pixel_and_is_small():
    network = Segmenter()
    assert 0.3e6 < sum(p.numel() for p in network.parameters()) < 0.5e6
    assert network(torch.rand(1, 128, 128)).shape == (1, 1, 128, 128)


def test_the_network_of_every_class_and_view_stays_below_two_million_parameters():
    config = SegmenterConfig(channels=MEASURER_CHANNELS, classes=len(LABELS), views=len(VIEWS), context_s=0.08)
    network = Segmenter(config)
    assert sum(p.numel() for p in network.parameters()) < 2e6
    levels = network.encode(torch.rand(2, 128, 128))
    assert [tuple(level.shape[2:]) for level in levels] == [(64, 64), (32, 32), (16, 16), (8, 8), (4, 4)]
    assert network.decode(levels).shape == (2, 7, 128, 128) and network.guess_view(levels).shape == (2, 7)


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match="divisible"):
        SegmenterConfig(size=100)
    with pytest.raises(ValueError, match="1 or 7"):
        SegmenterConfig(classes=3)
    with pytest.raises(ValueError, match="need all classes"):
        SegmenterConfig(volumes=True)
    with pytest.raises(ValueError, match=r"\[b, 1, 32, 32\]"):
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
    sure = torch.where(mask, 12.0, -12.0)[:, None]
    assert segmentation_loss(sure, mask) < 0.01
    assert segmentation_loss(-sure, mask) > 5
    nothing = torch.zeros(1, 32, 32, dtype=torch.bool)
    assert segmentation_loss(torch.full((1, 1, 32, 32), -12.0), nothing) < 0.01


def test_the_loss_of_many_classes_weighs_the_ventricle_as_much_as_all_others():
    labels = torch.zeros(1, 32, 32, dtype=torch.uint8)
    labels[0, 4:12, 4:12], labels[0, 16:24, 16:24] = LV, 2
    sure = 24.0 * torch.nn.functional.one_hot(labels.long(), 7).permute(0, 3, 1, 2)
    assert segmentation_loss(sure, labels) < 0.02
    without = {}
    for lost in (LV, 2):
        missed = torch.where(labels == lost, 0, labels)
        wrong = 24.0 * torch.nn.functional.one_hot(missed.long(), 7).permute(0, 3, 1, 2)
        entropy = torch.nn.functional.cross_entropy(wrong, labels.long())
        without[lost] = float(segmentation_loss(wrong, labels) - entropy)
    # two classes are shown: the ventricle weighs as much as the five others would, the wall as one of them
    assert without[LV] == pytest.approx(5 / 6, abs=0.01) and without[2] == pytest.approx(1 / 6, abs=0.01)


def test_a_frame_is_read_with_those_nearest_in_time_and_at_the_ends_with_itself():
    at_25 = neighbours(6, np.arange(6) * 0.04, 0.08)
    assert at_25.tolist() == [[0, 0, 2], [0, 1, 3], [0, 2, 4], [1, 3, 5], [2, 4, 5], [3, 5, 5]]
    at_50 = neighbours(20, np.arange(20) * 0.02, 0.08)
    assert at_50[10].tolist() == [6, 10, 14]
    uneven = neighbours(4, np.array([0.0, 0.07, 0.3, 0.33]), 0.08)
    assert uneven.tolist() == [[0, 0, 1], [0, 1, 1], [2, 2, 3], [2, 3, 3]]
    assert neighbours(3, None, 0.08).tolist() == [[0, 0, 0], [1, 1, 1], [2, 2, 2]]
    assert neighbours(3, np.arange(3) * 0.04, 0).tolist() == [[0], [1], [2]]


def test_the_neighbouring_frames_reach_the_network():
    torch.manual_seed(0)
    network = Segmenter(SegmenterConfig(size=32, channels=(8, 8, 8), groups=4, context_s=0.08))
    frames = torch.rand(1, 3, 32, 32)
    still = frames[:, 1:2].expand(-1, 3, -1, -1)
    assert torch.equal(network(still), network(frames[:, 1])) and not torch.allclose(network(frames), network(still))


def test_moved_pictures_keep_their_labels_in_place():
    labels = torch.from_numpy(np.stack([blob(64, 64, 30, 28, 12)] * 12)).to(torch.uint8)[:, None].repeat(1, 2, 1, 1) * 3
    frames = labels.float() / 3
    moved, kept, grown = place_elsewhere(frames, labels, torch.Generator().manual_seed(0))
    assert set(kept.unique().tolist()) == {0, 3}
    assert ((moved > 0.5) == (kept == 3)).float().mean() > 0.99
    assert torch.equal(kept[:, 0], kept[:, 1])  # the frames of one clip move together
    still = ((moved - frames).abs() < 1e-3).flatten(1).all(1)
    sizes = (kept[:, 0] == 3).flatten(1).sum(1) / (labels[:, 0] == 3).flatten(1).sum(1)
    assert 1 <= still.sum() < 12 and sizes.min() < 0.85 and sizes.max() > 1.1
    assert sizes.numpy() == pytest.approx(grown.square().numpy(), abs=0.1)


def test_every_class_comes_back_and_stray_pieces_of_the_ventricle_do_not():
    class Painted(Threshold):
        def outline(self, frames):
            wanted = (frames * 255 / 30).round().long()
            return 20.0 * torch.nn.functional.one_hot(wanted, 7).permute(0, 3, 1, 2)

    network = Painted()
    network.config = SegmenterConfig(classes=7)
    labels = np.zeros((1, 128, 128), np.uint8)
    labels[0][blob(128, 128, 40, 60, 15)], labels[0][blob(128, 128, 90, 60, 12)] = LV, LABELS.index("la")
    stray = labels.copy()
    stray[0, 10:13, 10:13] = LV
    found = outline_all(network, stray * 30)
    assert (found.labels == labels).all() and (found.ventricle == (labels == LV)).all()
    assert found.view is None and found.confidence[0] > 0.95


def test_the_view_of_a_clip_is_guessed_from_all_its_frames():
    network = Threshold()
    network.config = SegmenterConfig(views=7)
    network.guess_view = lambda levels: torch.eye(7)[[3, 3, 0]][: len(levels[0])] * 4
    found = outline_all(network, np.zeros((3, 128, 128), np.uint8))
    assert found.view == "plax" and found.views.sum() == pytest.approx(1) and found.views[3] > found.views[0] > 0.1


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


def test_the_frames_of_a_clip_are_degraded_alike_but_for_their_noise():
    frames = torch.rand(8, 1, 32, 32).expand(-1, 3, -1, -1)
    worse = degrade(frames, torch.Generator().manual_seed(1))
    between, within = worse.mean((2, 3)).std(0).mean(), worse.mean((2, 3)).std(1).mean()
    assert worse.shape == frames.shape and within < 0.1 * between
    assert not torch.equal(worse[:, 0], worse[:, 1])
