"""The user's feature networks: they compute what the published ones do, and nothing else is let in."""

import numpy as np
import pytest
import torch
from torch import nn

from echopulse.errors import InputError
from echopulse.evaluate.metrics.inception import Inception
from echopulse.evaluate.metrics.networks import FrameNetwork, load_i3d, load_inception, load_networks
from echopulse.published import file_sha256

# pytorch-fid 0.3.0: InceptionV3([3], use_fid_inception=True) with the weights below, on the picture below
GOLDEN_MEAN, GOLDEN_FIRST = 0.8450969, (0.0, 0.8929837, 10.948955, 2.9934213)


@pytest.fixture(scope="module")
def inception() -> Inception:
    generator, network = torch.Generator().manual_seed(3), Inception()
    state = network.state_dict()
    for name, value in state.items():
        if name.endswith(("running_var", "bn.weight")):
            state[name] = 0.5 + torch.rand(value.shape, generator=generator)
        elif value.ndim == 4:
            state[name] = (2 / value[0].numel()) ** 0.5 * torch.randn(value.shape, generator=generator)
        elif not name.endswith("tracked"):
            state[name] = 0.1 * torch.randn(value.shape, generator=generator)
    network.load_state_dict(state)
    return network.eval()


def picture() -> torch.Tensor:
    return torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(4))


def test_inception_computes_what_the_ported_fid_network_does(inception):
    with torch.inference_mode():
        found = inception(2 * picture() - 1)[0]
    assert found.shape == (2048,)
    assert float(found.mean()) == pytest.approx(GOLDEN_MEAN, rel=1e-4)
    assert found[: len(GOLDEN_FIRST)].tolist() == pytest.approx(GOLDEN_FIRST, rel=1e-4)


def test_frames_reach_inception_as_three_colours_of_299_pixels_in_minus_one_to_one():
    class Seen(nn.Module):
        def forward(self, x):
            return torch.stack([x.amin((1, 2, 3)), x.amax((1, 2, 3)), x[:, 0, 0, 0], x.mean((1, 2, 3))], 1) * (
                x.shape[1:] == (3, 299, 299)
            )

    frames = np.zeros((20, 10, 10), np.uint8)
    frames[3], frames[7, :, 5:] = 255, 255
    found = FrameNetwork(Seen(), "").frames(frames)
    assert found.shape == (20, 4)
    assert found[0].tolist() == [-1] * 4 and found[3].tolist() == [1] * 4
    assert found[7].tolist() == pytest.approx([-1, 1, -1, 0], abs=1e-5)


def test_another_inception_is_refused(tmp_path):
    path = tmp_path / "inception.pth"
    torch.save({"fc.weight": torch.zeros(1000, 2048)}, path)
    with pytest.raises(InputError, match="that of the FID Inception network with 6726825d"):
        load_inception(path)
    with pytest.raises(InputError, match="Conv2d_1a_3x3.conv.weight is absent"):
        load_inception(path, sha256=file_sha256(path))


class Detector(nn.Module):
    """Called as the published I3D is; tells what it was called with."""

    def __init__(self, features: int):
        super().__init__()
        self.features = features

    def forward(self, x, rescale: bool = False, resize: bool = False, return_features: bool = False):
        told = torch.zeros(x.shape[0], self.features)
        if rescale and resize and return_features:
            told[:, 0], told[:, 1], told[:, 2] = x.mean((1, 2, 3, 4)), x.shape[1], x.shape[2]
        return told


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_i3d_is_called_by_its_convention_with_as_many_frames_as_asked(tmp_path):
    torch.jit.script(Detector(400)).save(tmp_path / "i3d.pt")
    network = load_i3d(tmp_path / "i3d.pt", sha256=file_sha256(tmp_path / "i3d.pt"))
    clips = [np.full((20, 8, 8), grey, np.uint8) for grey in (0, 10, 200, 30, 40)]
    clips[2][16:] = 0  # beyond the sixteenth
    found = network.clips(clips, frames=16)
    assert found.shape == (5, 400)
    assert found[:, 0].tolist() == [0, 10, 200, 30, 40] and (found[:, 1:3] == (3, 16)).all()
    with pytest.raises(InputError, match=r"clip 0 has 20 frames: FVD over 128 .*5 of 5"):
        network.clips(clips, frames=128)
    torch.jit.script(Detector(7)).save(tmp_path / "other.pt")
    with pytest.raises(InputError, match="400 a clip"):
        load_i3d(tmp_path / "other.pt").clips(clips)


def test_a_file_that_is_no_torchscript_or_of_another_hash_is_refused(tmp_path):
    (tmp_path / "i3d.pt").write_bytes(b"no program")
    with pytest.raises(InputError, match="no TorchScript"):
        load_i3d(tmp_path / "i3d.pt")
    with pytest.raises(InputError, match="with 0123abcd"):
        load_i3d(tmp_path / "i3d.pt", sha256="0123ABCD")


def test_unknown_names_and_half_an_lpips_are_refused():
    with pytest.raises(InputError, match="resnet: .* inception, i3d"):
        load_networks({"resnet": "x"})
    with pytest.raises(InputError, match="two files"):
        load_networks({"lpips-alex": "x"})
    assert load_networks({}).inception is None
