"""From the words of a command to a model folder: one real iteration of every recipe, and what is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from echopulse.errors import InputError
from echopulse.measure.segmenter import Segmenter, SegmenterConfig, load_segmenter
from echopulse.model.checkpoint import save_config, save_weights
from echopulse.model.config import PRESETS
from echopulse.model.networks import load_network
from echopulse.model.tokenizer import Tokenizer
from echopulse.pipeline import EchoPulse
from echopulse.train import recipes, sources
from echopulse.train.begin import begin_with
from echopulse.train.measurer_recipe import MEASURER_SEQUENCE
from echopulse.train.tokenizer import TokenizerTask
from echopulse.train.volume_curve import without_curve_head

pytestmark = pytest.mark.usefixtures("quick")


def test_the_three_recipes_make_a_folder_that_the_pipeline_loads(bank_folder, tmp_path):
    model = tmp_path / "model"
    shared = {"data": str(bank_folder), "preset": "tiny", "steps": 1, "out": model}
    told: list[float] = []
    recipes.train("tokenizer", run=tmp_path / "t", on_progress=told.append, **shared)
    recipes.train("measurer", run=tmp_path / "m", **shared)
    scores, folder = recipes.train("generator", run=tmp_path / "g", tokenizer_folder=model, **shared)
    assert folder == model and "ecg_gap" in scores and told == [1.0]
    assert sorted(path.name for path in model.iterdir()) == [
        "config.json", "familiarity.safetensors", "generator.safetensors", "measurer.safetensors",
        "tokenizer.safetensors",
    ]  # fmt: skip
    config = json.loads((model / "config.json").read_text())
    assert set(config) == {"name", "tokenizer", "measurer", "generator", "familiarity"}
    assert config["name"] == "echopulse-tiny"
    pulse = EchoPulse.from_pretrained(model)
    assert pulse.generator.config.grid == 2 and pulse.strangeness(torch.zeros(1, 2000), 2.0, 2.0) > 0


def test_the_measurer_simulates_clips_of_its_own_with_every_label(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "MEASURER_HELD_OUT", 4)
    monkeypatch.setattr(sources, "workers", lambda device: 1)
    monkeypatch.setitem(sources.MEASURER_CLIPS, "frames", 2)
    scores, model = recipes.train("measurer", preset="tiny", clips=4, steps=1, run=tmp_path / "m")
    config = json.loads((model / "config.json").read_text())["measurer"]
    assert config["classes"] == 7 and config["views"] == 7 and config["volumes"]
    assert config["sequence"] == MEASURER_SEQUENCE
    assert {"dice", "dice_degraded", "views_right", "ef_error", "curve_ef_error"} <= set(scores)
    made = {path.name for path in (tmp_path / "m" / "bank").iterdir()}
    assert made == {f"shard-00000{seed}-00000.safetensors" for seed in range(3)}


@pytest.fixture(scope="module")
def measurer_folder(tmp_path_factory):
    """An untrained measurer of 32 pixels that reads volumes frame by frame."""
    folder = tmp_path_factory.mktemp("measurer")
    torch.manual_seed(0)
    config = SegmenterConfig(32, (8, 8, 8), 4, classes=7, context_s=0.08, volumes=True)
    save_weights(Segmenter(config), folder / "measurer")
    save_config(folder, name="tiny one", measurer=config)
    return folder


def test_a_measurer_may_learn_the_curve_of_volumes_alone(bank_folder, measurer_folder, tmp_path):
    shared = {"data": str(bank_folder), "only_volumes": True, "steps": 2}
    told: list[float] = []
    scores, model = recipes.train(
        "measurer", run=tmp_path / "v", start_from=measurer_folder, on_progress=told.append, **shared
    )
    assert {"ef_error", "ef_error_alone"} <= set(scores) and told == sorted(told) and told[-1] == 1
    before, after = (load_file(folder / "measurer.safetensors") for folder in (measurer_folder, model))
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert {name.split(".")[0] for name in set(after) - set(before)} == {"curve_head"}
    config = json.loads((model / "config.json").read_text())
    assert config["measurer"]["sequence"] == MEASURER_SEQUENCE and config["name"] == "tiny one"
    assert load_segmenter(model).config.sequence == MEASURER_SEQUENCE
    recipes.train("measurer", run=tmp_path / "again", start_from=model, **shared)  # a curve head gives way to a new one
    plain = without_curve_head(load_segmenter(model))
    begin_with(plain, model, "measurer")
    with pytest.raises(InputError, match="another architecture than this recipe's"):
        begin_with(Segmenter(), model, "measurer")


def test_the_curve_of_volumes_needs_a_measurer_that_reads_volumes(bank_folder, measurer_folder, tmp_path):
    shared = {"data": str(bank_folder), "run": tmp_path / "v", "only_volumes": True}
    with pytest.raises(InputError, match="--only-volumes: `train measurer --from MODEL` is needed"):
        recipes.train("measurer", **shared)
    with pytest.raises(InputError, match="--only-volumes: `train measurer --from MODEL` is needed"):
        recipes.train("tokenizer", start_from=measurer_folder, **shared)
    save_config(tmp_path / "old", measurer=SegmenterConfig(32, (8, 8, 8), 4))
    with pytest.raises(InputError, match="no such weights"):
        recipes.train("measurer", start_from=tmp_path / "old", **shared)
    save_weights(Segmenter(SegmenterConfig(32, (8, 8, 8), 4)), tmp_path / "old" / "measurer")
    with pytest.raises(InputError, match="reads no volumes that could be corrected"):
        recipes.train("measurer", start_from=tmp_path / "old", **shared)
    save_config(tmp_path / "none", name="nothing")
    with pytest.raises(InputError, match="no measurer; give a folder"):
        recipes.train("measurer", start_from=tmp_path / "none", **shared)
    assert not (tmp_path / "v").exists()


def test_a_run_may_begin_with_the_weights_of_another(bank_folder, tmp_path):
    shared = {"data": str(bank_folder), "preset": "tiny", "steps": 1}
    recipes.train("tokenizer", run=tmp_path / "t", **shared)
    model = tmp_path / "t" / "model"
    generator = {"tokenizer_folder": model, "learning_rate": 0.0} | shared
    recipes.train("generator", run=tmp_path / "g", out=model, **generator)
    _, again = recipes.train("generator", run=tmp_path / "again", start_from=model, seed=5, **generator)
    first, second = (load_file(folder / "generator.safetensors") for folder in (model, again))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not (tmp_path / "again" / "ecg").exists()  # its ECG encoder came with it
    with pytest.raises(InputError, match="no such weights"):
        recipes.train("measurer", run=tmp_path / "m", start_from=model, **shared)
    with pytest.raises(InputError, match="none: no config.json here"):
        recipes.train("tokenizer", preset="tiny", run=tmp_path / "n", start_from=tmp_path / "none")
    assert not (tmp_path / "n").exists()


def test_guidance_built_into_a_generator_stays_with_its_weights(bank_folder, tmp_path):
    shared = {"data": str(bank_folder), "preset": "tiny", "steps": 1}
    recipes.train("tokenizer", run=tmp_path / "t", **shared)
    model = tmp_path / "t" / "model"
    shared |= {"tokenizer_folder": model}
    recipes.train("generator", run=tmp_path / "g", out=model, guidance=3.0, **shared)
    _, again = recipes.train("generator", run=tmp_path / "again", start_from=model, **shared)
    assert json.loads((again / "config.json").read_text())["generator"]["guidance"] == 3.0
    recipes.train("generator", run=tmp_path / "again", resume=True, **shared | {"steps": 2})  # goes on with it too
    assert not (tmp_path / "again" / "ecg").exists()
    for strength in (0.5, float("nan"), 11):
        with pytest.raises(InputError, match=f"--guidance {strength:g}: from 1, which is none, to 10"):
            recipes.train("generator", run=tmp_path / "n", guidance=strength, **shared)
    with pytest.raises(InputError, match="--guidance 3: it is built into a generator, not into the tokenizer"):
        recipes.train("tokenizer", run=tmp_path / "n", guidance=3.0, preset="tiny")


def test_tokens_can_only_be_kept_of_a_tokenizer_that_is_there(tmp_path):
    for what in ("tokenizer", "measurer"):
        with pytest.raises(InputError, match="--keep-tokens: `train tokenizer --from MODEL` is needed"):
            recipes.train(what, run=tmp_path / "n", keep_tokens=True, preset="tiny")


def test_a_generator_without_a_tokenizer_is_refused(bank_folder, tmp_path):
    with pytest.raises(InputError, match="--tokenizer FOLDER is needed"):
        recipes.train("generator", data=str(bank_folder), preset="tiny", run=tmp_path / "g")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="no tokenizer; give the folder"):
        recipes.train("generator", data=str(bank_folder), preset="tiny", run=tmp_path / "g", tokenizer_folder=tmp_path)


def test_an_unknown_preset_and_a_run_that_is_not_there_are_refused_before_any_work(tmp_path):
    with pytest.raises(InputError, match="--preset huge: expected one of tiny, small, base"):
        recipes.train("tokenizer", preset="huge", run=tmp_path / "run")
    with pytest.raises(InputError, match="no checkpoint.safetensors here to resume from"):
        recipes.train("tokenizer", preset="tiny", run=tmp_path / "run", resume=True)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "asked", [{"steps": -1}, {"steps": 0}, {"minutes": -1.0}, {"minutes": float("nan")}, {"batch": 0}, {"clips": 0}]
)
def test_lengths_and_batches_below_one_are_refused_before_any_work(asked, tmp_path):
    name = next(iter(asked))
    with pytest.raises(InputError, match=f"--{name} .*: a number above 0 is expected"):
        recipes.train("tokenizer", preset="tiny", run=tmp_path / "run", **asked)
    with pytest.raises(InputError, match="--learning-rate -1: a number that is not below 0"):
        recipes.train("tokenizer", preset="tiny", run=tmp_path / "run", learning_rate=-1.0)
    assert not (tmp_path / "run").exists()


def test_a_bank_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match="none: no such folder; give one with videos, or a bank from"):
        recipes.train("tokenizer", data=str(tmp_path / "none"), preset="tiny", run=tmp_path / "run")


@pytest.fixture
def films(tmp_path):
    """Three clips of noise and one file that is none."""
    av = pytest.importorskip("av")
    folder = tmp_path / "films"
    folder.mkdir()
    for number in range(3):
        noise = np.random.default_rng(number).integers(0, 255, (8, 40, 48, 3), np.uint8)
        with av.open(str(folder / f"{number}.mp4"), "w") as container:
            stream = container.add_stream("libx264", rate=20)
            stream.width, stream.height, stream.pix_fmt = 48, 40, "yuv420p"
            for picture in noise:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode())
    (folder / "broken.webm").write_text("no video")
    return folder


@pytest.mark.parametrize("quantizer", ["lfq:12", "fsq:8,5,4", "vq:64"])
def test_a_tokenizer_learns_from_videos_with_any_quantizer_and_names_what_it_skipped(films, tmp_path, quantizer):
    told = []
    scores, model = recipes.train(
        "tokenizer", data=str(films), preset="tiny", quantizer=quantizer, steps=6, run=tmp_path / "t",
        on_skip=lambda name, reason: told.append(name),
    )  # fmt: skip
    assert told == ["broken.webm"] and scores["skipped"] == 1 and scores["perplexity"] >= 1
    assert "cannot be decoded" in json.loads((tmp_path / "t" / "skipped.json").read_text())["broken.webm"]
    assert load_network(model, "tokenizer").config.quantizer == quantizer[: quantizer.index(":")]


def test_the_generator_fits_itself_to_the_tokenizers_bits_or_refuses_them(bank_folder, tmp_path):
    shared = {"data": str(bank_folder), "preset": "tiny", "steps": 1}
    _, sixteen = recipes.train("tokenizer", quantizer="lfq:16", run=tmp_path / "t16", **shared)
    recipes.train("generator", run=tmp_path / "g", tokenizer_folder=sixteen, out=sixteen, **shared)
    config = json.loads((sixteen / "config.json").read_text())["generator"]
    assert (config["groups"], config["group_bits"]) == (2, 8)
    _, odd = recipes.train("tokenizer", quantizer="fsq:8,8,5", run=tmp_path / "t", **shared)
    with pytest.raises(InputError, match=r"a tokenizer of 320 codes: .* needs 2\^n codes"):
        recipes.train("generator", run=tmp_path / "g2", tokenizer_folder=odd, **shared)
    with pytest.raises(InputError, match="chosen when the tokenizer is trained"):
        recipes.train("generator", quantizer="lfq:16", run=tmp_path / "g3", tokenizer_folder=sixteen, **shared)


def test_a_folder_without_clips_or_videos_is_refused(tmp_path):
    with pytest.raises(InputError, match="no shard-.* and no videos here"):
        recipes.train("tokenizer", data=str(tmp_path), preset="tiny", run=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_losses_are_chosen_by_name_and_those_of_others_networks_need_their_files(bank_folder, tiny_model, tmp_path):
    shared = {"data": str(bank_folder), "preset": "tiny", "steps": 1}
    told: list[str] = []
    asked = {"losses": {"measurer": 0.1, "speckle": 0.05}, "balance": True, "measurer_folder": tiny_model}
    monitor = TokenizerTask.loss

    def loss(task, seed):
        total, scalars = monitor(task, seed)
        told.extend(scalars)
        return total, scalars

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TokenizerTask, "loss", loss)
        recipes.train("tokenizer", run=tmp_path / "t", **asked, **shared)
    assert {"measurer", "speckle"} <= set(told) and "wavelet" not in told

    def refused(words, what="tokenizer", **options):
        with pytest.raises(InputError, match=words):
            recipes.train(what, run=tmp_path / "no", **options, **shared)
        assert not (tmp_path / "no").exists()

    refused("loss fog: this tokenizer knows l1, mse", losses={"fog": 1.0})
    refused("loss lpips: .* give --perceptual lpips-alex=FILE", losses={"lpips": 1.0})
    refused("no loss looks through it; add --loss measurer", measurer_folder=tiny_model)
    refused("they are a tokenizer's, not the measurer's", what="measurer", losses={"l1": 1.0})
    refused("they are a tokenizer's, not the generator's", what="generator", balance=True)


# --- tokens and decoders of other kinds ---


def test_small_patches_and_the_motion_decoder_are_trained_kept_and_read_by_a_generator(moving_folder, tmp_path):
    shared = {"data": str(moving_folder), "preset": "tiny", "steps": 1}
    scores, model = recipes.train(
        "tokenizer", patch=8, decoder="motion", quantizer="lfq:18", run=tmp_path / "t", **shared
    )
    config = load_network(model, "tokenizer").config
    assert (config.patch, config.decoder, config.bits, config.grid) == (8, "motion", 18, 4) and scores["mse"] > 0
    recipes.train("generator", run=tmp_path / "g", tokenizer_folder=model, out=model, **shared)
    recipes.train("measurer", run=tmp_path / "m", out=model, **shared)
    fitted = json.loads((model / "config.json").read_text())["generator"]
    assert (fitted["grid"], fitted["groups"], fitted["group_bits"]) == (4, 2, 9)
    assert EchoPulse.from_pretrained(model).tokenizer.config == config


def test_a_decoder_of_motion_may_begin_with_a_plain_tokenizer_and_not_the_other_way(moving_folder, tmp_path):
    shared = {"data": str(moving_folder), "preset": "tiny", "steps": 1, "learning_rate": 0.0}
    _, plain = recipes.train("tokenizer", run=tmp_path / "t", **shared)
    _, moved = recipes.train("tokenizer", decoder="motion", start_from=plain, seed=5, run=tmp_path / "m", **shared)
    first, second = (load_file(folder / "tokenizer.safetensors") for folder in (plain, moved))
    both = [name for name in first if name in second and not name.startswith("quantizer")]
    assert all(torch.equal(first[name], second[name]) for name in both) and len(both) > 20
    assert {name.split(".")[0] for name in set(first) ^ set(second)} == {"decoder_out", "decoder_motion"}
    _, grained = recipes.train(
        "tokenizer", decoder="motion", grain=True, start_from=moved, run=tmp_path / "g", **shared
    )
    third = load_file(grained / "tokenizer.safetensors")
    assert all(torch.equal(second[name], third[name]) for name in second if not name.startswith("quantizer"))
    assert {name.split(".")[0] for name in set(third) - set(second)} == {"grain_head"}
    for words, choice in (("--decoder plain", {"decoder": "plain"}), ("--patch 8", {"patch": 8})):
        with pytest.raises(InputError, match=f"{words}: the tokenizer in .*/model is of another arch"):
            recipes.train("tokenizer", start_from=moved, run=tmp_path / "other", **choice, **shared)
    assert not (tmp_path / "other").exists()


def test_a_training_that_begins_with_weights_takes_over_what_they_are_made_of(films, tmp_path):
    shared, model = {"steps": 1, "learning_rate": 0.0}, tmp_path / "model"
    config = replace(PRESETS["tiny"]["tokenizer"], grain=True, bits=12, patch=8)
    torch.manual_seed(0)
    save_weights(Tokenizer(config), model / "tokenizer")
    save_config(model, name="echopulse-tiny", tokenizer=config)
    told, run = [], tmp_path / "on"
    onward = {"data": str(films), "run": run, "on_notice": told.append}
    _, again = recipes.train("tokenizer", start_from=model, **onward, **shared)
    assert load_network(again, "tokenizer").config == load_network(model, "tokenizer").config
    assert json.loads((again / "config.json").read_text())["name"] == "echopulse-tiny"
    before, after = (load_file(folder / "tokenizer.safetensors") for folder in (model, again))
    grain = [name for name in before if name.startswith("grain_head.")]
    assert grain and all(torch.equal(before[name], after[name]) for name in grain)
    assert len(told) == 1 and "films: these clips do not say how tissue moves, so the" in told[0]
    _, resumed = recipes.train("tokenizer", resume=True, **onward, **shared | {"steps": 2})  # no --from
    assert load_network(resumed, "tokenizer").config == load_network(model, "tokenizer").config
    with pytest.raises(InputError, match="--preset base: the tokenizer in .*/model is of other sizes; leave"):
        recipes.train("tokenizer", start_from=model, preset="base", data=str(films), run=tmp_path / "n", **shared)
    assert not (tmp_path / "n").exists()


def test_a_generator_goes_on_at_the_sizes_of_its_weights(moving_folder, tmp_path):
    shared = {"data": str(moving_folder), "steps": 1, "learning_rate": 0.0}
    _, model = recipes.train("tokenizer", preset="tiny", run=tmp_path / "t", **shared)
    recipes.train("generator", preset="tiny", tokenizer_folder=model, out=model, run=tmp_path / "g", **shared)
    _, again = recipes.train("generator", tokenizer_folder=model, start_from=model, run=tmp_path / "on", **shared)
    first, second = (load_file(folder / "generator.safetensors") for folder in (model, again))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_run_that_is_there_is_refused_before_anything_is_simulated(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "fill_bank", None)  # whoever simulates fails
    (tmp_path / "checkpoint.safetensors").touch()
    for what in ("tokenizer", "measurer", "ecg-encoder", "generator"):
        with pytest.raises(InputError, match="holds a run already; go on with --resume .* by --run"):
            recipes.train(what, run=tmp_path, out=tmp_path / "new", tokenizer_folder=tmp_path)


@pytest.mark.parametrize("what", ["tokenizer", "generator", "measurer", "ecg-encoder", "steering"])
def test_data_that_is_not_there_is_called_missing_whatever_is_trained(what, tiny_model, tmp_path):
    with pytest.raises(InputError, match="bank: no such folder; give .*a bank from `echopulse simulate"):
        recipes.train(what, data=str(tmp_path / "bank"), run=tmp_path / "run", start_from=tiny_model)
    (tmp_path / "bank").touch()
    with pytest.raises(InputError, match="bank: a file, no folder; give"):
        recipes.train(what, data=str(tmp_path / "bank"), run=tmp_path / "run", start_from=tiny_model)


def test_decoders_and_patches_that_cannot_be_are_refused_in_one_sentence(bank_folder, films, tmp_path):
    shared = {"preset": "tiny", "steps": 1, "run": tmp_path / "run"}
    with pytest.raises(InputError, match="--decoder motion: it is learned from simulated shards"):
        recipes.train("tokenizer", data=str(films), decoder="motion", **shared)
    with pytest.raises(InputError, match="do not say how tissue moves; make some with"):
        recipes.train("tokenizer", data=str(bank_folder), decoder="motion", **shared)
    with pytest.raises(InputError, match="patch 4: a token shows 16 or 8 pixels"):
        recipes.train("tokenizer", data=str(bank_folder), patch=4, **shared)
    with pytest.raises(InputError, match="decoder 'bent': expected one of plain, motion"):
        recipes.train("tokenizer", data=str(bank_folder), decoder="bent", **shared)
    for choice in ({"patch": 8}, {"decoder": "motion"}):
        with pytest.raises(InputError, match="chosen when the tokenizer is trained, not the generator"):
            recipes.train("generator", data=str(bank_folder), **choice, **shared)
    assert not (tmp_path / "run").exists()
