"""A generator that hears through published ECG weights, from the command's words to clips and streams."""

import json
import shutil
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from echopulse.data import Bank
from echopulse.errors import InputError
from echopulse.evaluate.bench import Bench
from echopulse.evaluate.ceiling import looked_and_heard
from echopulse.evaluate.controls import given_to
from echopulse.evaluate.hearts import hearts_of, simulate_held_out
from echopulse.live import cut
from echopulse.model.config import PRESETS
from echopulse.model.ecg_config import PUBLISHED_ECG, EcgFounderConfig, StMemConfig
from echopulse.model.ecg_encoders import FrozenEcgEncoder
from echopulse.model.ecg_founder import EcgFounder, published_shapes
from echopulse.model.st_mem import StMem
from echopulse.phantom.rhythm.leads import LEADS
from echopulse.pipeline import EchoPulse, Sampling
from echopulse.train import recipes
from echopulse.train.ecg_encoder import EcgTask, ecg_windows
from echopulse.train.familiarity import fit_familiarity
from echopulse.train.generator import GeneratorTask
from echopulse.train.settings import BATCH, SETTINGS
from echopulse.train.sources import HELD_OUT_SEED
from tests.test_pipeline import an_ecg

QUICK = Sampling(steps=1, guidance=1.0)
TINY = {
    "st-mem": StMemConfig(features=16, depth=1, heads=2, mlp=24, patches=6),
    "ecgfounder": EcgFounderConfig(first=8, channels=(8, 8, 16), blocks=(1, 1, 1), group_width=4, heard=(1, 2)),
}
GENERATOR = PRESETS["tiny"]["generator"]
PLACES = torch.tensor([[1, 10], [0, 6], [11, -1], [1, 10]])


@pytest.fixture(scope="module", autouse=True)
def small():
    """Published networks at toy size, and a step of each recipe."""
    with pytest.MonkeyPatch.context() as patch:
        for kind, config in TINY.items():
            patch.setitem(PUBLISHED_ECG, kind, config)
        patch.setitem(SETTINGS, "ecg", replace(SETTINGS["ecg"], steps=1))
        for name in BATCH:
            patch.setitem(BATCH, name, 2)
        patch.setattr(recipes, "fit_familiarity", partial(fit_familiarity, windows=16, usual=16))
        yield


@pytest.fixture(scope="module")
def named_bank(toy_bank):
    """The toy bank as newer shards hold it: with the places of its leads."""
    return replace(toy_bank, tensors=toy_bank.tensors | {"lead": PLACES})


@pytest.fixture(scope="module")
def bank_folder(named_bank, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bank")
    about = {"fps": "25.0", "ecg_rate_hz": "200.0", "ecg_start_s": "-1.6"}
    (folder / "held-out").mkdir()
    for name in ("shard-000000-00000", *(f"held-out/shard-{HELD_OUT_SEED:06d}-0000{i}" for i in range(2))):
        save_file(named_bank.tensors, folder / f"{name}.safetensors", metadata=about)
    return folder


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The published files, at toy size with random weights."""
    folder = tmp_path_factory.mktemp("published")
    torch.manual_seed(0)
    torch.save({"model": StMem(TINY["st-mem"]).state_dict()}, folder / "st-mem.pth")
    torch.manual_seed(0)
    own = EcgFounder(TINY["ecgfounder"]).state_dict()
    unused = {name: torch.ones(shape) for name, shape in published_shapes(TINY["ecgfounder"]).items()}
    torch.save({"state_dict": unused | own}, folder / "ecgfounder.pth")
    return {kind: folder / f"{kind}.pth" for kind in TINY}


@pytest.fixture(scope="module", params=TINY)
def trained(request, tiny_model, bank_folder, files, tmp_path_factory):
    """A model folder whose generator was trained for a step, with its kind and what it told."""
    folder = tmp_path_factory.mktemp(request.param)
    model, told = folder / "model", []
    model.mkdir()
    for path in tiny_model.iterdir():
        (model / path.name).write_bytes(path.read_bytes())
    recipes.train(
        "generator", data=str(bank_folder), preset="tiny", steps=1, run=folder / "run", out=model,
        tokenizer_folder=tiny_model, ecg_encoder=f"{request.param}={files[request.param]}", on_notice=told.append,
    )  # fmt: skip
    return request.param, model, told


def test_training_gives_a_whole_folder_with_the_published_weights_as_they_were(trained, files):
    kind, model, told = trained
    config = json.loads((model / "config.json").read_text())
    assert config["generator"]["ecg"]["kind"] == kind and config["generator"]["ecg"]["width"] == 32
    assert (
        told == [config["licences"]["ecg_encoder"]] and {"st-mem": "CC BY-NC 4.0", "ecgfounder": "MIT"}[kind] in told[0]
    )
    content = torch.load(files[kind], weights_only=True)
    published = content["model"] if kind == "st-mem" else content["state_dict"]
    held = load_file(model / "generator.safetensors")
    network = {name: value for name, value in held.items() if name.startswith("ecg_encoder.network.")}
    assert network
    for name, value in network.items():
        known = published[name.removeprefix("ecg_encoder.network.")]
        assert torch.equal(value.float(), known.to(value.dtype).float()), name


def test_such_a_folder_makes_clips_and_streams_and_says_its_licence(trained):
    kind, model, _ = trained
    pulse = EchoPulse.from_pretrained(model)
    assert isinstance(pulse.generator.ecg_encoder, FrozenEcgEncoder) and pulse.familiarity is not None
    made = pulse(an_ecg(), seconds=1, seed=1, sampling=QUICK)
    report = made.report()
    assert report["ecg"]["provenance"]["leads heard"] == "L0 as II, a guess: none of these names is a lead's"
    assert made.clip.frames.shape == (25, 32, 32) and report["ecg"]["strangeness"] > 0
    assert report["model"]["licences"] == pulse.licences and set(pulse.licences) == {"ecg_encoder"}
    assert np.array_equal(made.clip.frames, pulse(an_ecg(), seconds=1, seed=1, sampling=QUICK).clip.frames)
    assert [len(block.frames) for block in pulse.stream(cut(an_ecg(6.0), 0.5), sampling=QUICK)][:2] == [33, 20]


def test_the_names_of_leads_reach_the_encoder(trained):
    _, model, _ = trained
    pulse = EchoPulse.from_pretrained(model)
    ecg = replace(an_ecg(leads=4), leads=("V6", "aVR", "Resp", "MLII"))
    heard = pulse.prepare_ecg(ecg)
    assert heard.shape == (12, 1600)
    assert heard.isfinite().all(1).nonzero().flatten().tolist() == [1, 3, 11]
    assert torch.equal(heard[11], torch.from_numpy(ecg.samples[0])) and torch.equal(
        heard[1], torch.from_numpy(ecg.samples[3])
    )
    tokens = [
        pulse.hear(pulse.prepare_ecg(replace(ecg, leads=names)), 2.0).tokens
        for names in (ecg.leads, ("I", "V1", "Resp", "V2"))
    ]
    assert not torch.allclose(*tokens, atol=1e-2)


def test_training_goes_on_with_from_and_needs_no_file_for_it(trained, tiny_model, bank_folder, tmp_path):
    kind, model, _ = trained
    shared = {
        "data": str(bank_folder),
        "preset": "tiny",
        "steps": 1,
        "tokenizer_folder": tiny_model,
        "learning_rate": 0.0,
    }
    _, again = recipes.train("generator", run=tmp_path / "on", start_from=model, **shared)
    before, after = (load_file(folder / "generator.safetensors") for folder in (model, again))
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    config = json.loads((again / "config.json").read_text())
    assert config["generator"]["ecg"]["kind"] == kind and "licences" in config


def test_checkpoints_leave_the_network_out_and_a_run_goes_on_with_the_same_one(
    trained, tiny_model, bank_folder, files, tmp_path
):
    kind, model, _ = trained
    run = tmp_path / "run"
    shutil.copytree(model.parent / "run", run)
    for checkpoint in (run / "checkpoint.safetensors", run / "ecg" / "checkpoint.safetensors"):
        assert any("tokens_in." in name for name in load_file(checkpoint))
        assert not any("network." in name for name in load_file(checkpoint))
    shared = {"data": str(bank_folder), "preset": "tiny", "run": run, "tokenizer_folder": tiny_model, "resume": True}
    with pytest.raises(InputError, match="whose weights a run does not hold; give the --ecg-encoder or --from"):
        recipes.train("generator", **shared)
    content = torch.load(files[kind], weights_only=True)
    state = next(iter(content.values()))
    torch.save({"model": {name: value + 1 for name, value in state.items()}}, tmp_path / "other.pth")
    with pytest.raises(InputError, match=r"those at hand are others \(ecg_encoder.network"):
        recipes.train("generator", ecg_encoder=f"{kind}={tmp_path / 'other.pth'}", **shared)
    _, again = recipes.train("generator", ecg_encoder=f"{kind}={files[kind]}", steps=2, **shared)
    before, after = (load_file(folder / "generator.safetensors") for folder in (model, again))
    network = [name for name in before if ".network." in name]
    assert network and all(torch.equal(before[name], after[name]) for name in network)
    assert not all(torch.equal(value, after[name]) for name, value in before.items())


def test_a_run_that_began_with_from_goes_on_with_it(trained, tiny_model, bank_folder, tmp_path):
    _, model, _ = trained
    shared = {
        "data": str(bank_folder), "preset": "tiny", "run": tmp_path / "on", "tokenizer_folder": tiny_model,
        "start_from": model,
    }  # fmt: skip
    recipes.train("generator", steps=1, **shared)
    _, again = recipes.train("generator", steps=2, resume=True, **shared)
    before, after = (load_file(folder / "generator.safetensors") for folder in (model, again))
    assert all(torch.equal(before[name], after[name]) for name in before if ".network." in name)


def test_the_heart_read_out_trains_the_head_alone(named_bank):
    task = EcgTask(replace(GENERATOR, ecg=replace(TINY["st-mem"], width=32)), named_bank, named_bank, batch=4)
    loss, _ = task.loss(0)
    loss.backward()
    learns = {name.split(".")[0] for name, value in task.model.named_parameters() if value.grad is not None}
    assert learns == {"tokens_in", "mix", "norm", "head"}
    with torch.no_grad():
        assert -1 <= task.evaluate(task.model.eval())["volume_r_median"] <= 1


def test_windows_of_a_bank_hold_leads_in_their_places_after_all_that_training_does(named_bank, toy_bank):
    rows, starts = torch.arange(4), torch.zeros(4, dtype=torch.long)
    plain, placed = (
        ecg_windows(named_bank, rows, starts, 33, torch.Generator().manual_seed(3), augment=True, placed=placed)[0]
        for placed in (False, True)
    )
    assert plain.shape[1] == 2 and placed.shape[1] == len(LEADS)
    for row, places in enumerate(PLACES.tolist()):
        for lead, place in enumerate(places):
            if place >= 0:
                assert torch.equal(plain[row, lead].nan_to_num(9), placed[row, place].nan_to_num(9))
    assert bool(placed[2, :11].isnan().all())
    older = ecg_windows(toy_bank, rows, starts, 33, torch.Generator(), augment=False, placed=True)[0]
    assert older.isfinite().all(-1)[0].nonzero().flatten().tolist() == [1, 10]


def test_training_takes_shards_in_without_a_second_copy_of_the_bank(named_bank, bank_folder):
    bank = Bank.load(bank_folder)
    task = EcgTask(replace(GENERATOR, ecg=replace(TINY["st-mem"], width=32)), bank, named_bank)
    assert task.banks[0] is bank and task.held_out is named_bank
    assert task.loss(0)[0].isfinite()


def test_a_bank_whose_ecgs_have_another_rate_is_refused_in_one_sentence(named_bank, tiny_model):
    from echopulse.model.networks import load_network

    other = replace(named_bank, ecg_rate_hz=250.0)
    tokenizer = load_network(tiny_model, "tokenizer")
    for ecg in (GENERATOR.ecg, replace(TINY["st-mem"], width=32)):
        config = replace(GENERATOR, ecg=ecg)
        for banks in ((other, named_bank), (named_bank, other)):
            for task in (EcgTask, lambda config, *both: GeneratorTask(config, tokenizer, *both)):
                with pytest.raises(InputError, match="ECGs at 250 Hz; this ECG encoder hears 200 Hz, so simulate some"):
                    task(config, *banks)


def test_the_generators_task_trains_with_it(named_bank, tiny_model):
    from echopulse.model.networks import load_network

    config = replace(GENERATOR, ecg=replace(TINY["ecgfounder"], width=32))
    task = GeneratorTask(config, load_network(tiny_model, "tokenizer"), named_bank, named_bank, batch=2)
    loss, _ = task.loss(0)
    loss.backward()
    assert all(value.grad is None for value in task.model.ecg_encoder.network.parameters())
    assert task.model.ecg_encoder.tokens_in[0][1].weight.grad is not None


def test_wrong_words_are_refused_before_anything_is_made(tiny_model, bank_folder, files, tmp_path):
    shared = {"data": str(bank_folder), "preset": "tiny", "run": tmp_path / "run", "tokenizer_folder": tiny_model}
    refused = {
        "ecg-fm=x.pth": "a model folder, st-mem=FILE or ecgfounder=FILE is expected",
        f"st-mem={tmp_path / 'absent.pth'}": "no such file",
        f"st-mem={files['ecgfounder']}": "not the weights of ST-MEM: missing pos_embedding",
    }
    for words, told in refused.items():
        with pytest.raises(InputError, match=told):
            recipes.train("generator", ecg_encoder=words, **shared)
    good = f"st-mem={files['st-mem']}"
    with pytest.raises(InputError, match="what a new generator begins with"):
        recipes.train("generator", ecg_encoder=good, start_from=tiny_model, **shared)
    with pytest.raises(InputError, match="what a new generator begins with"):
        recipes.train("tokenizer", ecg_encoder=good, **{**shared, "tokenizer_folder": None})
    assert not (tmp_path / "run").exists()


def test_its_encoder_is_not_taken_for_one_of_our_own(trained, tiny_model, bank_folder, tmp_path):
    kind, model, _ = trained
    shared = {"data": str(bank_folder), "preset": "tiny", "run": tmp_path / "run", "tokenizer_folder": tiny_model}
    with pytest.raises(InputError, match=f"hears through {kind}; go on with it by --from"):
        recipes.train("generator", ecg_encoder=str(model), **shared)
    assert not (tmp_path / "run").exists()


def test_an_ecg_encoder_of_our_own_does_not_begin_with_published_weights(trained, bank_folder, tmp_path):
    kind, model, _ = trained
    shared = {"data": str(bank_folder), "preset": "tiny", "run": tmp_path / "run"}
    with pytest.raises(InputError, match=f"hears through {kind}, published weights that stand still; leave --from out"):
        recipes.train("ecg-encoder", start_from=model, **shared)
    assert not (tmp_path / "run").exists()


def test_an_evaluation_gives_every_lead_its_own_place(trained):
    _, model, _ = trained
    pulse = EchoPulse.from_pretrained(model)
    heard, fill = [], pulse.generate_ids
    pulse.generate_ids = lambda ecg, *rest, **options: heard.append(ecg) or fill(ecg, *rest, **options, sampling=QUICK)
    (heart,) = hearts_of(simulate_held_out(1, 3, size=32, frames=5, leads=("V6", "aVR", "III")))
    bench = Bench.of(pulse)
    bench.show(heart, heart.ecg)
    given = given_to(heart, heart, "other_lead")
    bench.show(heart, given.ecg, leads=given.leads)
    bench.show(heart, None)
    own, other, none = heard
    assert own.isfinite().all(1).nonzero().flatten().tolist() == [LEADS.index("aVR"), LEADS.index("V6")]
    assert torch.equal(own[11], heart.ecg[0]) and torch.equal(own[3], heart.ecg[1])
    assert other.isfinite().all(1).nonzero().flatten().tolist() == [2] and torch.equal(other[2], heart.other_lead[0])
    assert none is None
    pulse.segmenter = SimpleNamespace(
        config=SimpleNamespace(volumes=True),
        encode=lambda frames: frames, ascend=lambda levels: levels, outline=lambda ascended: ascended,
        look=lambda *_: (torch.zeros(1, 2), torch.zeros(1)),
    )  # fmt: skip
    seen = [looked_and_heard(pulse, replace(heart, leads=leads)) for leads in (heart.leads, ("III", "I"))]
    assert not torch.allclose(*seen, atol=1e-3)
