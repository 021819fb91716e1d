"""Adapters trained for real, one iteration at a time, and what the other look's benchmark prints."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from echopulse.data import Bank
from echopulse.echo import Clip, write_clip
from echopulse.errors import InputError
from echopulse.model.adapter_files import attach
from echopulse.model.checkpoint import load_config, save_config, save_weights
from echopulse.model.config import PRESETS
from echopulse.model.lora import Lora
from echopulse.model.networks import load_network
from echopulse.model.tokenizer import Tokenizer
from echopulse.pipeline import EchoPulse
from echopulse.train import adapt as adapting
from echopulse.train import transfer
from echopulse.train.adapt import AdapterTask, merge_adapters, split_bank
from echopulse.train.loop import Run, Settings, read_log
from echopulse.train.tokenizer import TokenizerTask
from tests.train.conftest import write_bank

CONFIG = PRESETS["tiny"]["tokenizer"]


def adapt(model, bank_folder, run, what="tokenizer", **options):
    quick = {"data": str(bank_folder), "steps": 2, "batch": 2, "rank": 2, "learning_rate": 0.01}
    return adapting.adapt(what, model, run=run, **quick | options)


def noise_videos(folder):
    """Three short clips of noise, as files."""
    folder.mkdir()
    draw = np.random.default_rng(0)
    for number in range(3):
        frames = draw.integers(0, 255, (16, 48, 48), dtype=np.uint8)
        write_clip(Clip(frames, np.arange(16) / 25), folder / f"{number}.mp4", plain=True)
    return folder


def test_an_adapter_is_trained_logged_and_written_and_the_model_is_left_alone(tiny_model, bank_folder, tmp_path):
    before = (tiny_model / "tokenizer.safetensors").read_bytes()
    told: list[float] = []
    scores, folder = adapt(tiny_model, bank_folder, tmp_path / "run", on_progress=told.append, steps=10)
    assert folder == tmp_path / "run" / "adapter" and told[-1] == 1.0
    assert {"mse_before", "mse", "psnr"} <= set(scores) and scores["mse"] != scores["mse_before"]
    assert (tiny_model / "tokenizer.safetensors").read_bytes() == before
    run = tmp_path / "run"
    assert {"log.jsonl", "checkpoint.safetensors", "samples"} <= {path.name for path in run.iterdir()}
    assert read_log(run)[0]["step"] == 10
    kept = {name.split(".")[1] for name in load_file(run / "checkpoint.safetensors") if name.startswith("model.")}
    assert kept == {"parts"}  # the adapter alone
    assert json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"] == "tiny"


def test_the_pipeline_takes_the_adapter_and_can_leave_it_out(tiny_model, bank_folder, tmp_path):
    _, folder = adapt(tiny_model, bank_folder, tmp_path / "run", out=tmp_path / "look")
    bare, pulse = EchoPulse.from_pretrained(tiny_model), EchoPulse.from_pretrained(tiny_model, adapters=[folder])
    assert pulse.name == "tiny + look" and not pulse.tokenizer.training
    weight = pulse.tokenizer.decoder_in.weight
    assert not torch.equal(weight, bare.tokenizer.decoder_in.weight)
    with pulse.adapters["tokenizer"].off():
        assert torch.equal(weight, bare.tokenizer.decoder_in.weight)
    clip = torch.rand(1, 5, 32, 32, generator=torch.Generator().manual_seed(0))  # tokens mean what they meant
    assert torch.equal(pulse.tokenizer.encode(clip), bare.tokenizer.encode(clip))
    assert torch.equal(pulse.generator.head.weight, bare.generator.head.weight)


def test_a_generators_adapter_is_trained_taken_and_left_out(tiny_model, bank_folder, tmp_path):
    scores, folder = adapt(tiny_model, bank_folder, tmp_path / "run", "generator", out=tmp_path / "weak", steps=3)
    assert scores["cross_entropy_0.6_true"] != scores["cross_entropy_0.6_true_before"]
    bare, pulse = EchoPulse.from_pretrained(tiny_model), EchoPulse.from_pretrained(tiny_model, adapters=[folder])
    own, other = pulse.generator.state_dict(), bare.generator.state_dict()
    changed = {name for name, value in own.items() if not torch.equal(value, other[name])}
    assert changed and all(name.startswith(("blocks.", "head.")) for name in changed)  # what hears the ECG stays
    with pulse.adapters["generator"].off():
        assert all(torch.equal(value, other[name]) for name, value in pulse.generator.state_dict().items())


def test_a_generator_is_not_adapted_to_videos_or_to_views_that_it_does_not_know(
    tiny_model, toy_bank, tmp_path
):
    (tmp_path / "videos").mkdir()
    with pytest.raises(InputError, match=r"videos: no shard-\*.safetensors here"):
        adapt(tiny_model, tmp_path / "videos", tmp_path / "run", "generator")
    others = write_bank(replace(toy_bank, tensors=toy_bank.tensors | {"view": torch.full((4,), 3)}), tmp_path / "plax")
    with pytest.raises(InputError, match="other views than a4c, a2c"):
        adapt(tiny_model, others, tmp_path / "run", "generator")


@pytest.mark.parametrize("what", ["tokenizer", "generator"])
@pytest.mark.parametrize(
    "asked", [{"steps": 0}, {"minutes": -1.0}, {"batch": -3}, {"clips": 0}, {"learning_rate": float("nan")}]
)
def test_impossible_numbers_are_refused_before_any_work(tiny_model, bank_folder, tmp_path, what, asked):
    name = next(iter(asked)).replace("_", "-")
    with pytest.raises(InputError, match=f"--{name} .*: a number"):
        adapt(tiny_model, bank_folder, tmp_path / "run", what, **asked)
    assert not (tmp_path / "run").exists()


def test_a_merged_folder_gives_what_model_and_adapter_give(tiny_model, bank_folder, tmp_path):
    _, folder = adapt(tiny_model, bank_folder, tmp_path / "run", out=tmp_path / "look")
    merged = merge_adapters(tiny_model, [(folder, 0.5)], tmp_path / "merged")
    one = EchoPulse.from_pretrained(tiny_model, adapters=[(folder, 0.5)]).tokenizer.state_dict()
    again = EchoPulse.from_pretrained(merged)
    assert all(torch.equal(value, one[name]) for name, value in again.tokenizer.state_dict().items())
    assert again.name == "tiny + look:0.5" and load_config(merged)["generator"] == load_config(tiny_model)["generator"]
    for name in ("generator", "measurer"):
        assert (merged / f"{name}.safetensors").read_bytes() == (tiny_model / f"{name}.safetensors").read_bytes()
    with pytest.raises(InputError, match="holds a model already"):
        merge_adapters(tiny_model, [folder], merged)
    with pytest.raises(InputError, match="made for weights with the hash"):
        merge_adapters(merged, [folder], tmp_path / "twice")
    assert not (tmp_path / "twice").exists()


def test_what_could_not_be_trained_is_refused_before_any_work(tiny_model, bank_folder, tmp_path):
    def refused(words, **options):
        with pytest.raises(InputError, match=words):
            adapt(tiny_model, bank_folder, **{"run": tmp_path / "run"} | options)
        assert not (tmp_path / "run").exists()

    refused("rank 0", rank=0)
    refused("layers 'nowhere'", layers="nowhere")
    refused("no checkpoint.safetensors here to resume from", resume=True)
    refused("none: no such folder; give one with videos, or a bank", data=str(tmp_path / "none"))
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "adapter_model.safetensors").touch()
    refused("there holds an adapter already", out=tmp_path / "there")
    (tmp_path / "there" / "checkpoint.safetensors").touch()
    refused("there holds a run already; go on with --resume .*there, or .* by --run", run=tmp_path / "there")
    with pytest.raises(InputError, match="no config.json here"):
        adapt(tmp_path, bank_folder, tmp_path / "run")


def test_a_run_goes_on_with_the_same_adapter_and_no_other(tiny_model, bank_folder, tmp_path):
    run = tmp_path / "run"
    _, folder = adapt(tiny_model, bank_folder, run)
    first = load_file(folder / "adapter_model.safetensors")
    adapt(tiny_model, bank_folder, run, resume=True)  # it has ended: the same adapter is written again
    again = load_file(folder / "adapter_model.safetensors")
    assert all(torch.equal(first[name], again[name]) for name in first)
    with pytest.raises(InputError, match="rank 2, .* not of tokenizer adapter .*rank 3"):
        adapt(tiny_model, bank_folder, run, resume=True, rank=3)


def test_anybodys_videos_will_do(tiny_model, tmp_path):
    mine = noise_videos(tmp_path / "mine")
    (mine / "broken.mp4").write_bytes(b"no video")
    told = []
    quick = {"steps": 1, "batch": 24, "rank": 1, "on_skip": lambda name, reason: told.append(name)}
    scores, folder = adapting.adapt("tokenizer", tiny_model, data=str(mine), run=tmp_path / "run", **quick)
    assert (folder / "adapter_model.safetensors").exists() and "mse_before" in scores
    assert told == ["broken.mp4"] and scores["skipped"] == 1  # of 24 draws from a few files one at least is of it


def test_a_tokenizer_of_motion_is_adapted_on_shards_that_say_how_tissue_moves(toy_bank, tmp_path):
    model, bank = tmp_path / "model", tmp_path / "bank"
    config = replace(CONFIG, decoder="motion")
    torch.manual_seed(0)
    save_weights(Tokenizer(config), model / "tokenizer")
    save_config(model, tokenizer=config)
    motion = torch.full((4, 65, 8, 8, 2), 0.01, dtype=torch.float16)
    write_bank(replace(toy_bank, tensors=toy_bank.tensors | {"motion": motion}), bank)
    _, folder = adapt(model, bank, tmp_path / "run")
    assert (folder / "adapter_model.safetensors").exists()
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "a.mp4").touch()
    with pytest.raises(InputError, match="films: videos; a tokenizer with the decoder of motion learns from simulated"):
        adapt(model, tmp_path / "films", tmp_path / "other")


@pytest.mark.parametrize("learned", [True, False])
def test_a_tokenizer_with_grain_is_adapted_without_a_change_of_its_own(toy_bank, tmp_path, learned):
    model, bank = tmp_path / "model", tmp_path / "bank"
    config = replace(CONFIG, grain=True)
    motion = torch.full((4, 65, 8, 8, 2), 0.01, dtype=torch.float16)
    moving = replace(toy_bank, tensors=toy_bank.tensors | {"motion": motion})
    torch.manual_seed(0)
    network = TokenizerTask(config, moving, moving).model if learned else Tokenizer(config)
    save_weights(network, model / "tokenizer")  # in bfloat16, which rounds how strong grain of each beam is
    save_config(model, tokenizer=config)
    spreads = load_network(model, "tokenizer").grain_head.spreads
    assert bool((spreads != 1).any()) == learned
    write_bank(moving, bank)
    _, folder = adapt(model, bank, tmp_path / "run")
    attached = load_network(model, "tokenizer")
    attach({"tokenizer": attached}, [folder])
    assert not torch.equal(attached.decoder_in.weight, load_network(model, "tokenizer").decoder_in.weight)
    assert torch.equal(attached.grain_head.spreads, spreads)
    merged = load_network(merge_adapters(model, [folder], tmp_path / "merged"), "tokenizer")
    assert all(torch.equal(value, attached.state_dict()[name]) for name, value in merged.state_dict().items())


@pytest.mark.parametrize("kind", ["videos", "bank"])
def test_clips_that_do_not_say_how_tissue_moves_teach_the_picture_and_leave_grain_alone(bank_folder, tmp_path, kind):
    model, told = tmp_path / "model", []
    config = replace(CONFIG, grain=True)
    torch.manual_seed(0)
    save_weights(Tokenizer(config), model / "tokenizer")
    save_config(model, tokenizer=config)
    data = bank_folder if kind == "bank" else noise_videos(tmp_path / "videos")
    _, folder = adapt(model, data, tmp_path / "run", layers="*", on_notice=told.append)
    assert len(told) == 1 and "how tissue moves, so the weights that draw grain stay as they are" in told[0]
    plain, adapted = (load_network(model, "tokenizer") for _ in range(2))
    attach({"tokenizer": adapted}, [folder])
    same = {name for name, value in plain.state_dict().items() if torch.equal(value, adapted.state_dict()[name])}
    assert "decoder_in.weight" not in same
    assert {name for name in plain.state_dict() if name.startswith("grain_head.")} <= same


def test_a_decoder_of_motion_is_not_adapted_on_shards_that_do_not_say_how_tissue_moves(bank_folder, tmp_path):
    config = replace(CONFIG, decoder="motion")
    save_weights(Tokenizer(config), tmp_path / "model" / "tokenizer")
    save_config(tmp_path / "model", tokenizer=config)
    with pytest.raises(InputError, match="do not say how tissue moves; make some with .*--displacement"):
        adapt(tmp_path / "model", bank_folder, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_training_an_adapter_leaves_the_network_where_it_was(toy_bank, tmp_path):
    torch.manual_seed(1)
    model = Tokenizer(CONFIG).eval()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    lora = Lora.fresh(model, generator=torch.Generator().manual_seed(0), rank=2, layers="decoder*")
    task = AdapterTask(TokenizerTask(CONFIG, toy_bank, toy_bank, batch=2, model=model), lora)
    Run(task, Settings(steps=3, warmup=1, learning_rate=0.01), tmp_path).train()
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert all(float(part.up.detach().abs().sum()) > 0 for part in lora.parts)


def test_the_last_eighth_of_a_bank_is_held_out(toy_bank):
    many = Bank({"frames": torch.arange(17)[:, None]}, 25.0, 200.0, -1.6)
    learn, held = split_bank(many)
    assert learn.frames[:, 0].tolist() == list(range(14)) and held.frames[:, 0].tolist() == [14, 15, 16]
    assert [len(part) for part in split_bank(Bank({"frames": torch.zeros(1000, 1)}, 25.0, 200.0, -1.6))] == [936, 64]
    with pytest.raises(InputError, match="at least two"):
        split_bank(Bank({"frames": torch.zeros(1, 1)}, 25.0, 200.0, -1.6))


def test_another_look_is_learned_three_ways_and_told_as_a_table(tmp_path, monkeypatch):
    monkeypatch.setattr(transfer, "usable_cores", lambda: 1)
    told: list[float] = []
    quick = {"config": CONFIG, "clips": 2, "held_out": 2, "first_steps": 2, "steps": 1, "batch": 1, "rank": 1}
    rows = transfer.domain_transfer(tmp_path, on_progress=told.append, **quick)
    nothing, adapter, everything = rows
    assert (nothing.trained, everything.trained) == (0.0, 1.0) and 0 < adapter.trained < 0.2
    assert adapter.fall == pytest.approx(1 - adapter.mse_b / nothing.mse_b) and nothing.fall == 0
    assert len({row.mse_b for row in rows}) == 3 and told == sorted(told) and told[-1] == 1.0
    table = transfer.to_table(rows).splitlines()
    assert len(table) == 5 and table[3].startswith("| adapter of rank 1 |")
    again = transfer.domain_transfer(tmp_path, **quick)  # it goes on where it stopped: at the end
    assert [(row.way, row.mse_b, row.mse_a) for row in again] == [(row.way, row.mse_b, row.mse_a) for row in rows]


def test_a_look_may_be_learned_by_a_tokenizer_that_is_there_already(tiny_model, tmp_path, monkeypatch):
    monkeypatch.setattr(transfer, "usable_cores", lambda: 1)
    start = load_network(tiny_model, "tokenizer")
    quick = {"clips": 2, "held_out": 2, "steps": 1, "batch": 1, "rank": 1}
    rows = transfer.domain_transfer(tmp_path, start=start, **quick)
    assert len(rows) == 3 and not (tmp_path / "first").exists()
