"""ST-MEM against inputs and outputs of the original code, with weights of toy size, and the names of the full one."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from echopulse.model.ecg_checkpoints import load_published_ecg
from echopulse.model.ecg_config import PUBLISHED_ECG, StMemConfig
from echopulse.model.st_mem import StMem


@pytest.fixture(scope="module")
def released(samples: Path) -> Path:
    folder = samples.parent / "released-checkpoint"
    if not folder.is_dir():
        pytest.skip(f"the stand-in for the published checkpoint: {folder} is missing")
    return folder


def test_the_toy_weights_give_the_original_embedding(released, monkeypatch):
    sizes = json.loads((released / "tiny-config.json").read_text())["ecg_encoder"]
    config = StMemConfig(
        patch=sizes["patch_size"], patches=sizes["seq_len"] // sizes["patch_size"], features=sizes["width"],
        depth=sizes["depth"], heads=sizes["heads"], mlp=sizes["mlp_dim"],
    )  # fmt: skip
    monkeypatch.setitem(PUBLISHED_ECG, "st-mem", config)
    network = load_published_ecg("st-mem", released / "tiny-weights.safetensors").network
    known = load_file(released / "tiny-io.safetensors")
    with torch.no_grad():
        found = network.embedding(known["ecg"])
    assert torch.allclose(found, known["ecg_embedding"], atol=1e-4)
    other = known["ecg"].flip(1)
    assert not torch.allclose(network.embedding(other), known["ecg_embedding"], atol=1e-2)


def test_the_full_size_has_the_published_names_and_shapes(released):
    keys = json.loads((released / "full-size-keys.json").read_text())
    published = {
        name.removeprefix("encode_ekg."): shape for name, shape in keys.items() if name.startswith("encode_ekg.")
    }
    with torch.device("meta"):
        own = {name: list(value.shape) for name, value in StMem(PUBLISHED_ECG["st-mem"]).state_dict().items()}
    assert own == {name: shape for name, shape in published.items() if not name.startswith("head.")}
