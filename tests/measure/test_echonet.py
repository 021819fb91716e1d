"""EchoNet-Dynamic's networks as their published weights name them; on untrained weights, for none may be bundled."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from echopulse.echo.types import Clip
from echopulse.errors import InputError
from echopulse.measure.echonet import (
    EchoNetEjection,
    EchoNetSegmentation,
    echonet_ef,
    echonet_masks,
    load_ejection,
    load_segmentation,
)


@pytest.fixture(scope="module")
def judges():
    return EchoNetSegmentation().eval(), EchoNetEjection().eval()


def test_the_networks_have_as_many_weights_as_the_published_architectures(judges):
    # DeepLabv3-ResNet-50 without its auxiliary head, 39,638,869 of 21 classes, and R(2+1)D-18, 31,505,325 of 400
    # (torchvision's tables of models), each with an output of one instead
    segmentation, ejection = (sum(p.numel() for p in judge.parameters()) for judge in judges)
    assert segmentation == 42_004_074 - 2_365_205 - 20 * 257
    assert ejection == 31_505_325 - 399 * 513


@pytest.mark.parametrize(
    ("judge", "name", "shape"),
    [
        (0, "backbone.conv1.weight", (64, 3, 7, 7)),
        (0, "backbone.layer3.5.bn2.running_var", (256,)),
        (0, "backbone.layer4.0.downsample.0.weight", (2048, 1024, 1, 1)),
        (0, "classifier.0.convs.0.0.weight", (256, 2048, 1, 1)),
        (0, "classifier.0.convs.3.1.weight", (256,)),
        (0, "classifier.0.convs.4.1.weight", (256, 2048, 1, 1)),
        (0, "classifier.0.project.0.weight", (256, 1280, 1, 1)),
        (0, "classifier.4.bias", (1,)),
        (1, "stem.0.weight", (45, 3, 1, 7, 7)),
        (1, "stem.3.weight", (64, 45, 3, 1, 1)),
        (1, "layer1.0.conv1.0.0.weight", (144, 64, 1, 3, 3)),
        (1, "layer2.0.conv1.0.3.weight", (128, 230, 3, 1, 1)),
        (1, "layer2.0.conv2.0.1.bias", (230,)),
        (1, "layer4.0.downsample.0.weight", (512, 256, 1, 1, 1)),
        (1, "layer4.1.conv2.1.num_batches_tracked", ()),
        (1, "fc.weight", (1, 512)),
    ],
)
def test_parts_bear_the_names_and_shapes_of_the_published_files(judges, judge, name, shape):
    assert tuple(judges[judge].state_dict()[name].shape) == shape


def test_a_file_as_it_is_published_is_taken_and_any_other_refused(judges, tmp_path):
    published = {f"module.{name}": value for name, value in judges[1].state_dict().items()}
    save_file(published, tmp_path / "ef.safetensors")
    loaded = load_ejection(tmp_path / "ef.safetensors").state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in judges[1].state_dict().items())
    with pytest.raises(InputError, match="not EchoNet-Dynamic's segmentation network.*give the published"):
        load_segmentation(tmp_path / "ef.safetensors")
    save_file({**published, "module.fc.weight": torch.zeros(400, 512)}, tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="fc.weight differs"):
        load_ejection(tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="no such file"):
        load_ejection(tmp_path / "absent.pt")


def test_masks_come_back_in_the_size_of_the_picture(judges):
    masks = echonet_masks(judges[0], np.zeros((1, 64, 96), np.uint8))
    assert masks.shape == (1, 64, 96) and masks.dtype == bool


def test_the_ef_is_the_mean_over_windows_of_32_frames_at_25_a_second():
    seen = []

    def network(x):
        seen.append(x)
        return x.new_full((1,), 40.0 + 20 * len(seen))

    frames = np.full((120, 128, 128), 200, np.uint8)
    clip = Clip(frames, np.arange(120) / 50)  # 2.4 s, 60 frames at 25/s: windows from 0 and 16
    assert echonet_ef(network, clip) == pytest.approx(0.7)
    assert [tuple(x.shape) for x in seen] == [(1, 3, 32, 112, 112)] * 2
    assert seen[0].mean().item() == pytest.approx((200 - 32.7) / 50, abs=1e-4)
    seen.clear()
    assert echonet_ef(network, Clip(frames[:30], np.arange(30) / 25)) == pytest.approx(0.6)
    assert seen[0][0, 0, 30:].mean().item() == pytest.approx(-32.7 / 50, abs=1e-4)  # black at the end
