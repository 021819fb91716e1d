"""Weights on disk come back as they were, or are refused in a sentence that names the file."""

import json
from dataclasses import replace

import pytest
import torch
from torch import nn

from echopulse.errors import InputError
from echopulse.model.checkpoint import load_config, load_weights, save_config, save_weights
from echopulse.model.config import PRESETS, GeneratorConfig, TokenizerConfig, config_from_dict
from echopulse.model.generator import Generator
from echopulse.model.tokenizer import Tokenizer


def network(width: int = 5) -> nn.Module:
    torch.manual_seed(width)
    return nn.Sequential(nn.Linear(3, width), nn.BatchNorm1d(width))


def test_weights_come_back_exactly_as_float32(tmp_path):
    made = network()
    made[1].running_mean.fill_(0.123456)
    save_weights(made, tmp_path / "net", torch.float32)
    again = load_weights(network(), tmp_path / "net")
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in made.state_dict().items())
    assert not again.training


def test_half_precision_rounds_matrices_but_not_statistics_and_biases(tmp_path):
    made = network()
    made[1].running_var.fill_(1.0009765)
    save_weights(made, tmp_path / "net")
    again = load_weights(network(7)[:0].append(network()[0]).append(network()[1]), tmp_path / "net").state_dict()
    assert torch.equal(again["1.running_var"], made[1].running_var) and torch.equal(again["0.bias"], made[0].bias)
    assert torch.equal(again["0.weight"], made[0].weight.detach().bfloat16().float())


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_every_preset_survives_the_trip_through_json(tmp_path, preset):
    save_config(tmp_path, **PRESETS[preset])
    read = load_config(tmp_path)
    assert config_from_dict(TokenizerConfig, read["tokenizer"]) == PRESETS[preset]["tokenizer"]
    assert config_from_dict(GeneratorConfig, read["generator"]) == PRESETS[preset]["generator"]


def test_a_whole_generator_gives_the_same_state_back(tmp_path):
    torch.manual_seed(0)
    made = Generator(PRESETS["tiny"]["generator"])
    save_weights(made, tmp_path / "generator", torch.float32)
    torch.manual_seed(1)
    again = load_weights(Generator(PRESETS["tiny"]["generator"]), tmp_path / "generator").state_dict()
    assert all(torch.equal(value, again[name]) for name, value in made.state_dict().items())


def test_a_second_network_is_described_beside_the_first(tmp_path):
    save_config(tmp_path, tokenizer=PRESETS["tiny"]["tokenizer"])
    save_config(tmp_path, generator=PRESETS["tiny"]["generator"], name="two")
    assert set(load_config(tmp_path)) == {"tokenizer", "generator", "name"}


def test_missing_weights_are_named(tmp_path):
    with pytest.raises(InputError, match=r"net\.safetensors: no such weights"):
        load_weights(network(), tmp_path / "net")


@pytest.mark.parametrize("keep", [0, 5, 200])
def test_a_damaged_file_is_named(tmp_path, keep):
    save_weights(network(), tmp_path / "net")
    path = tmp_path / "net.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match=r"net\.safetensors: not a whole safetensors file"):
        load_weights(network(), tmp_path / "net")


def test_another_architecture_is_named_with_the_first_difference(tmp_path):
    save_weights(network(5), tmp_path / "net")
    with pytest.raises(InputError, match=r"another architecture .*0\.weight differs"):
        load_weights(network(6), tmp_path / "net")
    with pytest.raises(InputError, match="another architecture"):
        load_weights(nn.Linear(3, 5), tmp_path / "net")
    with pytest.raises(InputError, match="another architecture"):
        load_weights(Tokenizer(PRESETS["tiny"]["tokenizer"]), tmp_path / "net")


def test_more_weights_than_the_network_has_are_refused_by_the_superfluous_name(tmp_path):
    save_weights(network(5), tmp_path / "net")
    with pytest.raises(InputError, match=r"1\.\w+ differs"):
        load_weights(network(5)[:1], tmp_path / "net")


def test_a_folder_without_config_and_one_with_a_broken_config_are_named(tmp_path):
    with pytest.raises(InputError, match="no config.json here"):
        load_config(tmp_path)
    (tmp_path / "config.json").write_text("{ half")
    with pytest.raises(InputError, match=r"config\.json: not JSON"):
        load_config(tmp_path)


def test_a_key_of_a_newer_version_is_refused():
    values = json.loads(json.dumps({"size": 32, "colour": True}))
    with pytest.raises(InputError, match=r"unknown keys \['colour'\] for TokenizerConfig"):
        config_from_dict(TokenizerConfig, values)


def test_a_tokenizer_from_before_other_quantizers_is_read_as_it_was():
    values = {"size": 32, "frames_per_latent": 4, "bits": 12, "widths": [8, 12, 16], "depths": [1, 1, 1], "fps": 25.0}
    config = config_from_dict(TokenizerConfig, values)
    assert (config.quantizer, config.codebook_size, config.code_channels) == ("lfq", 2**12, 12)
    names = {name for name in Tokenizer(config).state_dict() if name.startswith("quantizer.")}
    assert names == {"quantizer.norm.running_mean", "quantizer.norm.running_var", "quantizer.norm.num_batches_tracked"}


@pytest.mark.parametrize("choice", [{"quantizer": "fsq", "levels": (8, 5, 4)}, {"quantizer": "vq", "codes": 100}])
def test_other_quantizers_come_back_with_the_same_tokens(tmp_path, choice):
    torch.manual_seed(0)
    config = replace(PRESETS["tiny"]["tokenizer"], **choice)
    made = Tokenizer(config).eval()
    save_weights(made, tmp_path / "tokenizer", torch.float32)
    save_config(tmp_path, tokenizer=config)
    again = Tokenizer(config_from_dict(TokenizerConfig, load_config(tmp_path)["tokenizer"]))
    load_weights(again, tmp_path / "tokenizer")
    clip = torch.rand(1, 5, 32, 32)
    assert torch.equal(made.encode(clip), again.encode(clip))


def test_what_is_none_is_taken_out_of_a_config_that_held_it(tmp_path):
    save_config(tmp_path, name="one", licences={"ecg_encoder": "CC BY-NC 4.0"})
    save_config(tmp_path, name="other", licences=None)
    assert load_config(tmp_path) == {"name": "other"}
