"""Published weights of ECG networks, from the files in which their authors give them: checked name by name.

Nothing in such a file is executed: it is read as plain tensors only (`published.read_state_dict`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from echopulse.errors import InputError
from echopulse.model.ecg_config import LICENCES, PUBLISHED_ECG, EcgFounderConfig, StMemConfig
from echopulse.model.ecg_encoders import FrozenEcgEncoder
from echopulse.model.ecg_founder import EcgFounder, published_shapes
from echopulse.model.st_mem import StMem
from echopulse.published import Source, read_state_dict, renamed, shown

SOURCES = {
    "st-mem": Source("ST-MEM", "encoder.pth or the weights of ECHOPulse"),
    "ecgfounder": Source("ECGFounder", "12_lead_ECGFounder.pth"),
}
# Under which of its prefixes a checkpoint holds the network, and what else it then holds: other networks, the decoder
# that ST-MEM was trained with (which knows the encoder's first layer by a second name), and networks of losses.
PREFIXES = {
    "encode_ekg.": ("cvivit.", "maskgit.", "i3d.", "loss_fn_lpips.", "discr."),
    "encoder.": ("decoder_", "mask_embedding", "to_decoder_embedding.", "to_patch_embedding."),
}
CLASSIFIERS = ("head.", "dense.")  # not used, so they may be of any number of classes, or absent
NAMED_AT_MOST = 24  # of names that differ: a file of another network has hundreds


@dataclass(frozen=True)
class PublishedEcg:
    """A published network with its weights, its configuration, and its licence in a sentence."""

    config: StMemConfig | EcgFounderConfig
    network: nn.Module
    licence: str


def parse_ecg_encoder(text: str) -> tuple[str, Path]:
    """The kind and the file in st-mem=FILE or ecgfounder=FILE, or "own" and a folder.

    InputError for other kinds, or where the file is not there.
    """
    kind, equals, name = text.partition("=")
    if text not in PUBLISHED_ECG and (not equals or Path(text).is_dir()):
        return "own", Path(text)
    if kind not in PUBLISHED_ECG or not name:
        expected = " or ".join(f"{kind}=FILE" for kind in PUBLISHED_ECG)
        raise InputError(f"--ecg-encoder {text}: a model folder, {expected} is expected.")
    if not Path(name).is_file():
        raise InputError(f"--ecg-encoder {text}: no such file; give {SOURCES[kind].file}, as its authors publish it.")
    return kind, Path(name)


def load_published_ecg(kind: str, path: Path) -> PublishedEcg:
    """The network `kind` with the weights in a file of PyTorch's or in safetensors, frozen.

    Raises InputError where the file is damaged, holds more than plain tensors or numbers that are none, and names what
    is missing, unknown or of another shape in it, against all of the published network.
    """
    config = PUBLISHED_ECG[kind]
    state = without_prefix(read_state_dict(path, SOURCES[kind]), path, SOURCES[kind])
    state = {name: value for name, value in state.items() if not name.startswith(CLASSIFIERS)}
    if isinstance(config, StMemConfig):
        network: nn.Module = StMem(config)
        expected = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    else:
        network, expected = EcgFounder(config), published_shapes(config)
    if wrong := differences(state, expected):
        raise InputError(f"{path}: not the weights of {SOURCES[kind].name}: {wrong}; give {SOURCES[kind].file}.")
    weights = {name: state[name].to(torch.float32) for name in network.state_dict()}
    if broken := [name for name, value in weights.items() if not bool(value.isfinite().all())]:
        raise InputError(
            f"{path}: NaN or infinite numbers in {_listed(broken)}; fetch {SOURCES[kind].file} again, as its authors "
            "publish it."
        )
    network.load_state_dict(weights)
    return PublishedEcg(config, network.requires_grad_(False).eval(), LICENCES[kind])


def without_prefix(state: Mapping[str, Tensor], path: Path, source: Source) -> dict[str, Tensor]:
    """The network's own names, where a checkpoint holds it among others; all names where it does not.

    InputError where that leaves two tensors under one name.
    """
    for prefix, others in PREFIXES.items():
        if any(name.startswith(prefix) for name in state):
            own = {
                name: value
                for name, value in state.items()
                if name.startswith(prefix) or not name.startswith(others)
            }
            return renamed(own, lambda name, prefix=prefix: name.removeprefix(prefix), path, source)
    return dict(state)


def differences(state: Mapping[str, Tensor], expected: Mapping[str, tuple[int, ...]]) -> str:
    """What is missing, unknown or of another shape, by name, in words; empty where nothing is."""
    groups = {
        "missing": [shown(name) for name in expected if name not in state],
        "unknown": [shown(name) for name in state if name not in expected],
        "of another shape": [
            f"{shown(name)} ({list(state[name].shape)} for {list(shape)})"
            for name, shape in expected.items()
            if name in state and tuple(state[name].shape) != shape
        ],
    }
    return "; ".join(f"{how} {_listed(names)}" for how, names in groups.items() if names)


def _listed(names: list[str]) -> str:
    more = len(names) - NAMED_AT_MOST
    return ", ".join(names[:NAMED_AT_MOST]) + (f" and {more} more" if more > 0 else "")


def with_network(encoder: FrozenEcgEncoder, published: PublishedEcg) -> FrozenEcgEncoder:
    """The encoder with the published network's weights in place of chance; its head stays as it is."""
    encoder.network.load_state_dict(published.network.state_dict())
    return encoder
