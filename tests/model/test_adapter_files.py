"""Adapters on disk: PEFT's layout, read by PEFT where it is installed, and refused where they do not belong."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from echopulse.errors import InputError
from echopulse.model.adapter_files import attach, load_adapter, named_with, parse_spec, save_adapter
from echopulse.model.config import PRESETS
from echopulse.model.generator import Generator
from echopulse.model.lora import Adapters, Lora
from echopulse.model.tokenizer import Tokenizer

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"


def tokenizer(seed: int = 0) -> Tokenizer:
    torch.manual_seed(seed)
    return Tokenizer(PRESETS["tiny"]["tokenizer"]).eval()


def generator() -> Generator:
    torch.manual_seed(0)
    return Generator(PRESETS["tiny"]["generator"]).eval()


def learned(network: nn.Module, seed: int = 0, layers: str = "*") -> Lora:
    draw = torch.Generator().manual_seed(seed)
    lora = Lora.fresh(network, generator=draw, rank=3, alpha=5.0, layers=layers)
    for part in lora.parts:
        nn.init.normal_(part.up, std=0.2, generator=draw)
    return lora


def clip() -> torch.Tensor:
    return torch.rand(1, 5, 32, 32, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def features(network: nn.Module) -> torch.Tensor:
    return network.features(clip())


@pytest.fixture
def folder(tmp_path):
    save_adapter(learned(tokenizer()), tmp_path / "look", network="tokenizer", base_name="echopulse-tiny")
    return tmp_path / "look"


def test_the_folder_holds_pefts_two_files_with_pefts_names(folder):
    assert sorted(path.name for path in folder.iterdir()) == [CONFIG, WEIGHTS]
    config, tensors = json.loads((folder / CONFIG).read_text()), load_file(folder / WEIGHTS)
    assert config["peft_type"] == "LORA" and (config["r"], config["lora_alpha"]) == (3, 5.0)
    assert config["base_model_name_or_path"] == "echopulse-tiny"
    assert tensors["base_model.model.decoder.0.space.lora_A.weight"].shape == (3, 16, 3, 3)
    assert tensors["base_model.model.decoder.0.space.lora_B.weight"].shape == (16, 3, 1, 1)
    with safe_open(folder / WEIGHTS, "pt") as file:
        assert file.metadata()["network"] == "tokenizer" and len(file.metadata()["base"]) == 16


def test_what_was_saved_gives_the_same_output(folder):
    first, again = tokenizer(), tokenizer()
    Adapters(first).add(learned(tokenizer()))
    name, lora = load_adapter(folder, {"generator": generator(), "tokenizer": again})
    Adapters(again).add(lora)
    assert name == "tokenizer" and torch.equal(features(again), features(first))


def test_attached_adapters_are_merged_by_their_weights_into_the_networks_they_are_for(folder, tmp_path):
    networks = {"tokenizer": tokenizer(), "generator": generator()}
    save_adapter(learned(networks["generator"], layers="head"), tmp_path / "g", network="generator")
    bare, head = features(networks["tokenizer"]), networks["generator"].head.weight.clone()
    attached = attach(networks, [folder, (tmp_path / "g", 0.5)])
    assert set(attached) == {"tokenizer", "generator"} and all(one.merged for one in attached.values())
    assert not torch.equal(features(networks["tokenizer"]), bare)
    assert not torch.equal(networks["generator"].head.weight, head)
    with attached["tokenizer"].off():
        assert torch.equal(features(networks["tokenizer"]), bare)
    assert attached["generator"].members[0][1] == 0.5


def test_where_one_of_several_is_refused_none_is_merged(folder, tmp_path):
    network = tokenizer()
    bare = features(network)
    with pytest.raises(InputError, match="no such file"):
        attach({"tokenizer": network}, [folder, tmp_path / "none"])
    assert torch.equal(features(network), bare)


def rewritten(folder, **values):
    config = json.loads((folder / CONFIG).read_text()) | values
    (folder / CONFIG).write_text(json.dumps(config))


def retensored(folder, change):
    with safe_open(folder / WEIGHTS, "pt") as file:
        header = file.metadata()
    tensors = load_file(folder / WEIGHTS)
    change(tensors)
    save_file(tensors, folder / WEIGHTS, metadata=header)


KEY = "base_model.model.encoder_in.lora_A.weight"


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda f: (f / CONFIG).unlink(), "adapter_config.json: no such file; an adapter's folder holds"),
        (lambda f: (f / WEIGHTS).unlink(), "adapter_model.safetensors: no such file"),
        (lambda f: (f / CONFIG).write_text("{ half"), "adapter_config.json: not JSON"),
        (lambda f: (f / CONFIG).write_text("[1]"), "says no peft_type LORA"),
        (lambda f: rewritten(f, peft_type="IA3"), "says no peft_type LORA"),
        (lambda f: rewritten(f, use_dora=True), "use_dora is true; only plain LoRA"),
        (lambda f: rewritten(f, bias="all"), 'bias is "all"; only plain LoRA'),
        (lambda f: rewritten(f, init_lora_weights="pissa"), 'init_lora_weights is "pissa"; only plain LoRA'),
        (lambda f: rewritten(f, r=0), "rank 0: an adapter needs a rank of at least 1"),
        (lambda f: rewritten(f, r="3"), "rank '3'"),
        (lambda f: rewritten(f, lora_alpha=None), "alpha None: a positive number"),
        (lambda f: rewritten(f, r=4), "matrices for .* expected 4×"),
        (lambda f: (f / WEIGHTS).write_bytes((f / WEIGHTS).read_bytes()[:300]), "not a whole safetensors file"),
        (lambda f: retensored(f, lambda t: t.pop(KEY)), "one of the two matrices for encoder_in is missing"),
        (lambda f: retensored(f, lambda t: t.update(extra=t[KEY].clone())), "holds extra; expected are"),
        (lambda f: retensored(f, lambda t: t.clear()), "holds no weights"),
        (lambda f: retensored(f, lambda t: t[KEY].fill_(torch.nan)), "values for encoder_in that are no numbers"),
    ],
)
def test_what_is_no_adapter_of_ours_is_refused_by_name_in_one_sentence(folder, spoil, words):
    spoil(folder)
    with pytest.raises(InputError, match=words) as refused:
        load_adapter(folder, {"tokenizer": tokenizer()})
    assert "look" in str(refused.value) and str(refused.value).endswith(".")


def test_an_adapter_of_another_model_is_refused(folder, tmp_path):
    with pytest.raises(InputError, match="look: the adapter was made for weights with the hash"):
        load_adapter(folder, {"tokenizer": tokenizer(1)})
    with pytest.raises(InputError, match="an adapter of the tokenizer; only generator can take one here"):
        load_adapter(folder, {"generator": generator()})
    save_adapter(learned(nn.Sequential(nn.Linear(3, 2))), tmp_path / "other", network="tokenizer")
    with pytest.raises(InputError, match="changes 0, which this network has not"):
        load_adapter(tmp_path / "other", {"tokenizer": tokenizer()})


def test_a_weight_may_stand_behind_a_folders_name(tmp_path):
    assert parse_spec("look") == (tmp_path / "look").relative_to(tmp_path)
    folder, weight = parse_spec("out/look:0.5")
    assert folder.name == "look" and weight == 0.5
    (tmp_path / "a:1").mkdir()
    assert parse_spec(str(tmp_path / "a:1")) == tmp_path / "a:1"
    with pytest.raises(InputError, match="--adapter look:much: expected FOLDER or FOLDER:WEIGHT"):
        parse_spec("look:much")


def test_a_models_name_says_which_adapters_it_has():
    assert named_with("small", ["out/look", ("out/sharp", 0.5)]) == "small + look + sharp:0.5"
    assert named_with("small", []) == "small"


def test_peft_loads_the_folder_onto_the_same_network_and_gives_the_same_output(folder):
    peft = pytest.importorskip("peft", reason="peft is not installed")
    ours = tokenizer()
    _, lora = load_adapter(folder, {"tokenizer": ours})
    Adapters(ours).add(lora)
    theirs = peft.PeftModel.from_pretrained(tokenizer(), folder).get_base_model()
    assert torch.allclose(features(theirs), features(ours), rtol=0, atol=1e-6)
    ids = torch.arange(8).reshape(1, 2, 2, 2)
    with torch.no_grad():
        assert torch.allclose(theirs.decode(ids), ours.decode(ids), rtol=0, atol=1e-6)


def test_peft_adapts_only_the_layers_named_and_not_those_whose_names_end_alike(tmp_path):
    peft = pytest.importorskip("peft", reason="peft is not installed")
    network = generator()  # "blocks.0.mlp.0" is the end of "ecg_encoder.blocks.0.mlp.0" too
    save_adapter(learned(network, layers="blocks.0.mlp.0"), tmp_path / "g", network="generator")
    theirs = peft.PeftModel.from_pretrained(generator(), tmp_path / "g").get_base_model()
    adapted = [name for name, module in theirs.named_modules() if hasattr(module, "lora_A")]
    assert adapted == ["blocks.0.mlp.0"]


def test_what_peft_has_saved_loads_here_and_gives_the_same_output(tmp_path):
    peft = pytest.importorskip("peft", reason="peft is not installed")
    settings = peft.LoraConfig(r=2, lora_alpha=6, target_modules=["space", "encoder_in"])
    theirs = peft.get_peft_model(tokenizer(), settings).eval()
    for name, value in theirs.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(value, std=0.2)
    theirs.save_pretrained(tmp_path / "theirs")
    ours = tokenizer()
    name, lora = load_adapter(tmp_path / "theirs", {"generator": generator(), "tokenizer": ours})
    Adapters(ours).add(lora)
    assert name == "tokenizer"
    assert torch.allclose(features(ours), features(theirs.get_base_model()), rtol=0, atol=1e-6)
