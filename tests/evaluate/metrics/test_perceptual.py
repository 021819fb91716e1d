"""LPIPS against the values of its authors' package, with made-up weights in both."""

import hashlib

import pytest
import torch

from echopulse.errors import InputError
from echopulse.evaluate.metrics.perceptual import PerceptualNetwork, load_lpips, lpips

# lpips 0.1.4: LPIPS(net=kind, pretrained=False) with the weights below, on the pictures below
GOLDEN = {"alex": 0.87212199, "vgg": 0.85088104}


def made_up(kind: str) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """A trunk's state dict in torchvision's names, and heads in LPIPS's."""
    generator = torch.Generator().manual_seed(7)
    network = PerceptualNetwork(kind)
    trunk = {"classifier.1.weight": torch.zeros(1)}
    for name, value in network.features.state_dict().items():
        spread = (2 / value[0].numel()) ** 0.5 if value.ndim == 4 else 0.1
        trunk[f"features.{name}"] = spread * torch.randn(value.shape, generator=generator)
    heads = {
        f"lin{i}.model.1.weight": torch.rand(1, len(head), 1, 1, generator=generator)
        for i, head in enumerate(network.heads)
    }
    return trunk, heads


def pictures() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(8)
    return torch.rand(2, 40, 48, generator=generator), torch.rand(2, 40, 48, generator=generator)


def saved(tmp_path, trunk, heads):
    torch.save(trunk, tmp_path / "trunk.pth")
    torch.save(heads, tmp_path / "heads.pth")
    digest = hashlib.sha256((tmp_path / "trunk.pth").read_bytes()).hexdigest()
    return tmp_path / "trunk.pth", tmp_path / "heads.pth", digest


@pytest.mark.parametrize("kind", GOLDEN)
def test_lpips_is_that_of_its_authors(kind):
    trunk, heads = made_up(kind)
    network = PerceptualNetwork(kind).eval()
    network.features.load_state_dict({name[9:]: value for name, value in trunk.items() if name[:9] == "features."})
    for head, value in zip(network.heads, heads.values(), strict=True):
        head.data = value.flatten()
    a, b = pictures()
    assert lpips(network, a, b) == pytest.approx(GOLDEN[kind], abs=1e-4)
    assert lpips(network, a, a) == 0


def test_the_users_files_are_read_by_their_published_names(tmp_path):
    state, weights = made_up("alex")
    trunk, heads, digest = saved(tmp_path, state, weights)
    a, b = pictures()
    assert lpips(load_lpips("alex", trunk, heads, trunk_sha256=digest), a, b) == pytest.approx(GOLDEN["alex"], abs=1e-4)


def test_weights_that_are_not_the_published_ones_are_refused(tmp_path):
    trunk, heads, digest = saved(tmp_path, *made_up("alex"))
    with pytest.raises(InputError, match=f"{digest[:8]}.* AlexNet with 7be5be79"):
        load_lpips("alex", trunk, heads)
    with pytest.raises(InputError, match="heads.pth: its SHA-256"):
        load_lpips("alex", trunk, heads, trunk_sha256=digest, heads_sha256="0123456789")
    with pytest.raises(InputError, match=r"trunk.pth: 0.weight is \(64, 3, 11, 11\), expected \(64, 3, 3, 3\)"):
        load_lpips("vgg", trunk, heads, trunk_sha256=digest)
    with pytest.raises(InputError, match=r"trunk.pth: 0 is absent, expected \(64,\)"):
        load_lpips("alex", trunk, trunk, trunk_sha256=digest)
    with pytest.raises(InputError, match="alex and vgg"):
        load_lpips("squeeze", trunk, heads)


def test_pictures_that_are_too_small_are_refused():
    with pytest.raises(InputError, match="31 pixels"):
        lpips(PerceptualNetwork("alex"), torch.zeros(1, 24, 24), torch.zeros(1, 24, 24))
