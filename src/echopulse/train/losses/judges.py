"""Frozen networks through whose eyes pictures are compared: the measurer, and others' that a user supplies."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from echopulse.errors import InputError
from echopulse.evaluate.metrics.networks import load_networks
from echopulse.evaluate.metrics.perceptual import PerceptualNetwork
from echopulse.measure.segmenter import Segmenter, load_segmenter

FILES = ("lpips-alex", "lpips-vgg", "lpips-heads", "i3d")  # as `evaluate --features` names them


@dataclass(frozen=True, eq=False)
class Judges:
    """Each under the name of its loss; None where nothing asks for it. They learn nothing."""

    measurer: Segmenter | None = None
    lpips: PerceptualNetwork | None = None
    video: nn.Module | None = None

    def __post_init__(self) -> None:
        for network in (self.measurer, self.lpips, self.video):
            if network is not None:
                network.eval()
                for parameter in network.parameters():  # TorchScript has no requires_grad_ of the whole
                    parameter.requires_grad = False

    def check(self, weights: Mapping[str, float], size: int) -> None:
        """InputError where a loss lacks its network, or pictures of `size` pixels are too small for it."""
        needs = {
            "measurer": "a model folder with a measurer",
            "lpips": "--perceptual lpips-alex=FILE,lpips-heads=FILE (or lpips-vgg)",
            "video": "--perceptual i3d=FILE",
        }
        for name, remedy in needs.items():
            if weights[name] and getattr(self, name) is None:
                raise InputError(f"loss {name}: it looks through a network that is missing; give {remedy}.")
        if weights["lpips"] and size < self.lpips.smallest:
            raise InputError(
                f"loss lpips: LPIPS with {self.lpips.kind} needs {self.lpips.smallest} pixels a side, this tokenizer's "
                f"pictures have {size}."
            )


def load_judges(
    weights: Mapping[str, float], files: Mapping[str, Path], measurer: Path, device: torch.device | str = "cpu"
) -> Judges:
    """The networks that these weights ask for: others' from `files` by name, the measurer from a model folder.

    InputError for a name that is none of `FILES`, for a file that is not what is published under it, and for one that
    no loss would look through.
    """
    if unknown := [name for name in files if name not in FILES]:
        raise InputError(f"--perceptual {unknown[0]}: no network for a loss; the names are {', '.join(FILES)}.")
    for name in files:
        loss = "video" if name == "i3d" else "lpips"
        if not weights[loss]:
            raise InputError(f"--perceptual {name}: no loss looks through it; add --loss {loss}=WEIGHT.")
    networks = load_networks(files)
    return Judges(
        measurer=load_segmenter(measurer).to(device) if weights["measurer"] else None,
        lpips=networks.lpips.to(device) if networks.lpips else None,
        video=networks.i3d.network.to(device) if networks.i3d else None,
    )
