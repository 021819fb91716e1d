"""Losses by frozen networks: zero for equal pictures, a gradient into the picture alone, wrong files refused."""

from pathlib import Path

import pytest
import torch
from torch import nn

from echopulse.errors import InputError
from echopulse.evaluate.metrics.perceptual import PerceptualNetwork, lpips
from echopulse.measure.segmenter import Segmenter, SegmenterConfig, load_segmenter
from echopulse.model.config import PRESETS
from echopulse.train.losses.features import feature_distance, lpips_loss, measurer_loss, video_loss
from echopulse.train.losses.judges import Judges, load_judges
from echopulse.train.losses.weights import loss_weights

ALL = torch.arange(5)


class Detector(nn.Module):
    """Called as the published video network is: shades, brightness and change of a clip."""

    def forward(self, x, rescale: bool = False, resize: bool = False, return_features: bool = False):
        assert rescale and resize and return_features
        grey = x[:, 0] / 255
        shades = torch.nn.functional.adaptive_avg_pool2d(grey.mean(1), (4, 4)).flatten(1)
        change = (grey[:, 1:] - grey[:, :-1]).abs().mean((1, 2, 3))
        return torch.cat([shades, change[:, None]], 1)


def clips(seed: int) -> torch.Tensor:
    return torch.rand(2, 5, 32, 32, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def judges() -> Judges:
    torch.manual_seed(0)
    measurer = SegmenterConfig(size=32, channels=(8, 8, 8), groups=4, classes=7, context_s=0.08)
    alex = PerceptualNetwork("alex")
    for head in alex.heads:
        nn.init.uniform_(head)
    return Judges(Segmenter(measurer), alex, Detector())


LOSSES = {
    "measurer": lambda judges, made, true: measurer_loss(judges.measurer, made, true, ALL, 25.0),
    "lpips": lambda judges, made, true: lpips_loss(judges.lpips, made, true),
    "video": lambda judges, made, true: video_loss(judges.video, made, true),
}


@pytest.mark.parametrize("name", LOSSES)
def test_a_frozen_network_finds_equal_pictures_equal_and_pulls_at_what_was_made_alone(judges, name):
    made, true = clips(0).requires_grad_(), clips(1)
    assert float(LOSSES[name](judges, true, true)) == 0
    loss = LOSSES[name](judges, made, true)
    loss.backward()
    assert 0 < float(loss.detach()) and float(made.grad.abs().sum()) > 0 and bool(made.grad.isfinite().all())
    network = getattr(judges, name)
    assert not network.training and all(p.grad is None and not p.requires_grad for p in network.parameters())


def test_features_are_compared_by_direction_level_by_level():
    x, y = torch.tensor([[[2.0], [0.0]]]), torch.tensor([[[0.0], [5.0]]])
    assert float(feature_distance([x], [3 * x])) == 0
    assert float(feature_distance([x, x], [y, x])) == pytest.approx((2 + 0) / 2)
    assert float(feature_distance([x], [-x])) == pytest.approx(4)


def test_lpips_as_a_loss_is_lpips_as_a_figure(judges):
    a, b = clips(0), clips(1)
    assert float(lpips_loss(judges.lpips, a[:1], b[:1])) == pytest.approx(lpips(judges.lpips, a[0], b[0]), rel=1e-5)


def test_black_pictures_have_a_finite_gradient_through_lpips():
    dead = PerceptualNetwork("alex").requires_grad_(False)
    for layer in dead.features:
        if isinstance(layer, nn.Conv2d):
            nn.init.constant_(layer.bias, -10.0)  # no unit fires anywhere
    for head in dead.heads:
        nn.init.ones_(head)
    made = clips(0).requires_grad_()
    lpips_loss(dead, made, clips(1)).backward()
    assert bool(made.grad.isfinite().all())


def test_the_measurer_reads_neighbours_so_a_heart_that_stands_still_is_another(judges):
    true = clips(1)
    still = true[:, 2:3].expand(-1, 5, -1, -1)
    assert float(measurer_loss(judges.measurer, still, true, torch.tensor([2]), 25.0)) > 1e-3


def test_pictures_of_another_size_are_brought_to_the_measurers(judges):
    made = torch.rand(1, 5, 48, 48, generator=torch.Generator().manual_seed(0)).requires_grad_()
    measurer_loss(judges.measurer, made, made.detach().flip(-1), torch.tensor([0, 3]), 25.0).backward()
    assert float(made.grad.abs().sum()) > 0


# --- what a user supplies ---


def weights(**changes: float) -> dict[str, float]:
    return loss_weights(PRESETS["tiny"]["tokenizer"], changes)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_networks_come_from_the_users_files_and_the_measurer_from_a_model_folder(tiny_model, tmp_path):
    torch.jit.script(Detector()).save(tmp_path / "i3d.pt")
    found = load_judges(weights(measurer=1, video=1), {"i3d": tmp_path / "i3d.pt"}, tiny_model)
    assert found.lpips is None and found.measurer.config == load_segmenter(tiny_model).config
    made = clips(0).requires_grad_()
    video_loss(found.video, made, clips(1)).backward()
    assert float(made.grad.abs().sum()) > 0
    nothing = load_judges(weights(), {}, Path("nowhere"))  # nothing is opened that nothing looks through
    assert (nothing.measurer, nothing.lpips, nothing.video) == (None, None, None)


def test_wrong_files_are_refused_in_one_sentence(tiny_model, tmp_path):
    (tmp_path / "x.pth").write_bytes(b"no weights")
    file = tmp_path / "x.pth"

    def refused(words, asked, files, folder=tiny_model):
        with pytest.raises(InputError, match=words) as refusal:
            load_judges(weights(**asked), files, folder)
        assert "\n" not in str(refusal.value) and str(refusal.value).endswith(".")

    refused("AlexNet with 7be5be79", {"lpips": 1}, {"lpips-alex": file, "lpips-heads": file})
    refused("two files", {"lpips": 1}, {"lpips-alex": file})
    refused("no TorchScript", {"video": 1}, {"i3d": file})
    refused("--perceptual inception: no network for a loss", {"video": 1}, {"inception": file})
    refused("--perceptual i3d: no loss looks through it; add --loss video", {"lpips": 1}, {"i3d": file})
    refused("no config.json here", {"measurer": 1}, {}, tmp_path)
    (tmp_path / "config.json").write_text("{}")
    refused("no measurer", {"measurer": 1}, {}, tmp_path)


def test_a_loss_whose_network_is_missing_or_too_coarse_is_refused(judges):
    with pytest.raises(InputError, match="loss measurer: .* missing; give a model folder"):
        Judges().check(weights(measurer=1), 128)
    with pytest.raises(InputError, match="loss lpips: .* --perceptual lpips-alex=FILE"):
        Judges().check(weights(lpips=1), 128)
    with pytest.raises(InputError, match="needs 31 pixels a side, this tokenizer's pictures have 16"):
        judges.check(weights(lpips=1), 16)
    Judges().check(weights(), 16)
    judges.check(weights(lpips=1, measurer=1, video=1), 32)
