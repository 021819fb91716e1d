"""`echopulse adapt`, `--adapter` and `train --from` through `main`."""

from pathlib import Path

import pytest
from safetensors.torch import save_file

from echopulse.cli import main


@pytest.fixture(scope="module")
def look(tiny_model, tmp_path_factory) -> Path:
    """An adapter of the tiny model."""
    import torch

    from echopulse.model.adapter_files import save_adapter
    from echopulse.model.lora import Lora
    from echopulse.model.networks import load_network

    network = load_network(tiny_model, "tokenizer")
    lora = Lora.fresh(network, generator=torch.Generator().manual_seed(0), rank=2)
    for part in lora.parts:
        torch.nn.init.constant_(part.up, 0.1)
    folder = tmp_path_factory.mktemp("adapters") / "look"
    save_adapter(lora, folder, network="tokenizer")
    return folder


def test_generate_uses_the_adapters_it_is_given(run, watch, look):
    import numpy as np

    for name, more in (("bare", []), ("whole", ["--adapter", look]), ("none", ["--adapter", f"{look}:0"])):
        assert run(watch, "--out", f"{name}.npz", *more)[0] == 0
    bare, whole, none = (np.load(f"{name}.npz")["frames"] for name in ("bare", "whole", "none"))
    assert not np.array_equal(bare, whole) and np.array_equal(bare, none)
    assert '"tiny + look"' in Path("whole.json").read_text()


def test_an_adapter_that_is_not_there_is_refused_in_one_sentence(run, watch, tmp_path, assert_one_sentence, files_in):
    code, _, complaint = run(watch, "--adapter", tmp_path / "none")
    assert code == 1 and "adapter_config.json: no such file" in complaint and files_in(Path()) == []
    assert_one_sentence(complaint)


def test_adapters_are_refused_for_what_is_no_model_folder(look, capsys, assert_one_sentence):
    assert main(["evaluate", "--model", "some.module:function", "--adapter", str(look)]) == 1
    complaint = capsys.readouterr().err
    assert_one_sentence(complaint)
    assert "adapters are for model folders" in complaint


def test_merge_writes_a_model_folder_and_replaces_none(tiny_model, look, tmp_path, capsys, assert_one_sentence):
    command = ["adapt", "merge", "--model", str(tiny_model), "--adapter", f"{look}:0.5", "--out", str(tmp_path / "m")]
    assert main(command) == 0
    assert "give it as --model" in capsys.readouterr().out
    assert (tmp_path / "m" / "tokenizer.safetensors").exists() and (tmp_path / "m" / "config.json").exists()
    assert main(command) == 1
    complaint = capsys.readouterr().err
    assert_one_sentence(complaint)
    assert "holds a model already" in complaint


@pytest.fixture
def bank(tmp_path) -> Path:
    """Two clips of noise."""
    import torch

    draw = torch.Generator().manual_seed(0)
    frames = torch.randint(256, (2, 13, 32, 32), generator=draw, dtype=torch.uint8)
    sector = torch.full((2, 32, 4), 255, dtype=torch.uint8)
    about = {"fps": "25.0", "ecg_rate_hz": "200.0", "ecg_start_s": "-1.6"}
    (tmp_path / "bank").mkdir()
    save_file({"frames": frames, "sector": sector}, tmp_path / "bank" / "shard-000000-00000.safetensors", about)
    return tmp_path / "bank"


def test_adapt_tokenizer_writes_an_adapter_that_generate_takes(run, watch, tiny_model, bank, capsys):
    command = ["adapt", "tokenizer", "--model", str(tiny_model), "--data", str(bank), "--run", "r", "--out", "mine"]
    command += ["--steps", "1", "--batch", "1", "--rank", "2", "--alpha", "4", "--layers", "decoder*"]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert said.startswith("mine: mse_before ") and " mse " in said
    assert run(watch, "--adapter", "mine", "--out", "clip.npz")[0] == 0


def test_adapt_refuses_before_any_work(tiny_model, tmp_path, capsys, assert_one_sentence, files_in):
    common = ["adapt", "tokenizer", "--model", str(tiny_model), "--run", str(tmp_path / "r")]
    assert main([*common, "--rank", "0"]) == 1 and main([*common, "--layers", "nothing"]) == 1
    rank, layers = capsys.readouterr().err.splitlines(keepends=True)
    assert_one_sentence(rank)
    assert_one_sentence(layers)
    assert files_in(tmp_path) == []


def test_train_begins_with_given_weights_or_goes_on_but_not_both(tmp_path, monkeypatch, capsys, assert_one_sentence):
    asked = {}

    def train(what, **options):
        asked.update(options)
        return {"mse": 0.5}, Path("model")

    monkeypatch.setattr("echopulse.train.recipes.train", train)
    assert main(["train", "tokenizer", "--from", "there"]) == 0 and asked["start_from"] == Path("there")
    assert main(["train", "tokenizer", "--from", "there", "--resume", str(tmp_path)]) == 1
    assert_one_sentence(capsys.readouterr().err)
    whole = ["train", "measurer", "--from", "there", "--only-volumes"]
    assert main([*whole, "--resume", str(tmp_path)]) == 0  # the segmenter is no part of the run that goes on
    assert asked["only_volumes"] and asked["resume"] and asked["start_from"] == Path("there")
