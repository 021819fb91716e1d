"""The ECG encoder by itself: what is hidden stays hidden, only that is judged, and it is told better than by a line."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from echopulse.data.recordings import Recordings
from echopulse.errors import InputError
from echopulse.model.config import PRESETS
from echopulse.model.ecg_encoder import EcgEncoder
from echopulse.model.networks import load_ecg_encoder
from echopulse.model.signal_decoder import SignalDecoder
from echopulse.train import Run, Settings, recipes, sources
from echopulse.train.ecg_alone import EcgEncoderTask
from echopulse.train.ecg_encoder import EcgTask
from echopulse.train.masked_ecg import HIDDEN_S, hide_stretches, mean_where, tell_hidden, window_samples

CONFIG = PRESETS["tiny"]["generator"]
RATE = CONFIG.ecg.rate_hz


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def write_beats(path, seed, seconds=12.0):
    """A table of seconds and mV: a regular heart, 60 to 100 beats a minute."""
    time = np.arange(round(seconds * 100)) / 100
    draw = np.random.default_rng(seed)
    period = draw.uniform(0.6, 1.0)
    wave = 0.002 * draw.standard_normal(len(time))
    for r in np.arange(0.3, seconds, period):
        wave += np.exp(-(((time - r) / 0.03) ** 2)) + 0.4 * np.exp(-(((time - r - 0.25) / 0.06) ** 2))
    table = np.column_stack([time, wave])
    np.savetxt(path, table, delimiter=",", header="time_s,I_mV", comments="", fmt="%.4f")
    return path


@pytest.fixture(scope="module")
def ecg_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ecgs")
    for seed in range(6):
        write_beats(folder / f"{seed}.csv", seed)
    (folder / "empty.csv").write_text("")
    return folder


@pytest.fixture(scope="module")
def recordings(ecg_folder) -> Recordings:
    return Recordings({f"{seed}.csv": ecg_folder / f"{seed}.csv" for seed in range(6)}, rate_hz=RATE)


@pytest.fixture
def networks():
    torch.manual_seed(0)
    return EcgEncoder(CONFIG.ecg).eval(), SignalDecoder(CONFIG.ecg).eval()


# --- hidden stretches ---


def test_stretches_last_from_three_tenths_of_a_second_to_a_whole_one_and_never_meet():
    token_s = 0.04
    hidden = hide_stretches(200, 82, token_s, rng())
    assert 0.3 < float(hidden.float().mean()) < 0.5
    edges = torch.diff(torch.nn.functional.pad(hidden.int(), (1, 1)), dim=1)
    assert edges.eq(1).sum(1).tolist() == [2] * 200  # 3.28 s hold two
    lengths = torch.cat([(edges[i] == -1).nonzero() - (edges[i] == 1).nonzero() for i in range(200)])
    least, most = (round(seconds / token_s) for seconds in HIDDEN_S)
    assert int(lengths.min()) == least and int(lengths.max()) == most


@pytest.mark.parametrize("tokens", [2, 5, 12])
def test_of_an_ecg_shorter_than_a_stretch_something_stays_known(tokens):
    hidden = hide_stretches(20, tokens, 0.04, rng())
    assert bool(hidden.any(1).all()) and not bool(hidden.all(1).any())


def test_what_is_hidden_reaches_neither_encoder_nor_decoder(networks):
    heard = torch.randn(3, 2, 656, generator=rng())
    heard[1, 1] = torch.nan
    hidden = hide_stretches(3, 82, 0.04, rng()).repeat_interleave(8, 1)
    changed = torch.where(hidden[:, None], heard + 50 * torch.randn(heard.shape, generator=rng(1)), heard)
    with torch.no_grad():
        first, second = (tell_hidden(*networks, ecg, heard, hidden)[0] for ecg in (heard, changed))
        third = tell_hidden(*networks, heard + torch.where(hidden[:, None], 0.0, 0.3 * heard), heard, hidden)[0]
    assert torch.equal(first, second) and first.shape == heard.shape
    fourth = tell_hidden(*networks, heard.flip(-1), heard, hidden)[0]
    assert torch.allclose(first, third, atol=1e-4)  # nor does the gain of what is known
    assert not torch.allclose(first, fourth, atol=1e-2)


def test_only_what_is_hidden_and_was_recorded_is_judged(networks):
    truth = torch.randn(2, 2, 656, generator=rng())
    truth[0, 1], truth[1, :, 300:420] = torch.nan, torch.nan
    hidden = hide_stretches(2, 82, 0.04, rng()).repeat_interleave(8, 1)
    said, target, judged = tell_hidden(*networks, truth, truth, hidden)
    assert torch.equal(judged, hidden[:, None] & truth.isfinite()) and bool(judged.any())
    error = (said - target).square()
    loss = mean_where(error, judged)
    assert float(loss.detach()) == pytest.approx(float(error[judged].mean().detach()), rel=1e-5)
    gradient = torch.autograd.grad(loss, said)[0]
    assert bool((gradient[judged] != 0).all()) and not bool(gradient[~judged].any())
    assert float(mean_where(error, torch.zeros_like(judged)).detach()) == 0


def test_wander_and_gain_of_a_recording_do_not_change_what_is_to_be_told(networks):
    time = torch.arange(656) / RATE
    truth = torch.exp(-((((time % 0.8) - 0.4) / 0.02) ** 2)).expand(1, 1, -1)
    wandering = 3 * (truth + 2 + 0.2 * torch.sin(2 * torch.pi * 0.1 * time))
    hidden = hide_stretches(1, 82, 0.04, rng()).repeat_interleave(8, 1)
    first, second = (tell_hidden(*networks, ecg, ecg, hidden)[1] for ecg in (truth, wandering))
    assert float((first - second)[..., 200:-200].abs().max()) < 0.1


def test_a_decoder_tells_one_lead_from_another_by_its_look(networks):
    _, decoder = networks
    spikes = torch.zeros(1, 2, 656)
    spikes[0, 0, ::100], spikes[0, 1, ::100] = 1.0, -1.0
    with torch.no_grad():
        said = decoder(torch.zeros(1, 82, CONFIG.ecg.width), spikes, torch.ones_like(spikes, dtype=torch.bool))
        later = decoder(torch.zeros(1, 82, CONFIG.ecg.width), spikes.roll(4, -1), torch.ones(1, 2, 656) > 0)
    assert said.shape == (1, 2, 656) and not torch.allclose(said[:, 0], said[:, 1])
    assert torch.allclose(said, later, atol=1e-3)  # but not when anything happens


# --- learning ---


def test_it_learns_to_tell_hidden_beats_better_than_a_mean_or_a_straight_line(recordings, tmp_path):
    task = EcgEncoderTask(replace(CONFIG, window=5), None, (recordings, recordings), batch=6)
    task.hidden.loss = quiet_loss(task.hidden)
    scores = Run(task, Settings(steps=60, warmup=5, learning_rate=1e-2, ema=0.9, evaluate_every=60), tmp_path).train()
    assert scores["hidden_error"] < 0.8 * min(scores["hidden_error_mean"], scores["hidden_error_straight"])
    assert scores["hidden_error_mean"] > 0.01


def quiet_loss(hidden):
    """The loss on the recordings as they are, whose batches repeat after eight steps."""

    def loss(encoder, decoder, draw):
        draw = rng(draw.initial_seed() % 8)
        truth = hidden.recordings.draw(hidden.batch, hidden.samples, draw, vary=False)
        said, target, judged = hidden._tell(encoder, decoder, truth, truth, draw)
        return mean_where((said - target).square(), judged)

    return loss


@pytest.mark.parametrize("kind", ["recorded", "simulated", "both"])
def test_the_same_seed_gives_the_same_batch_and_every_weight_that_is_used_a_gradient(kind, recordings, toy_bank):
    banks = None if kind == "recorded" else (toy_bank, toy_bank)
    task = EcgEncoderTask(CONFIG, banks, None if kind == "simulated" else (recordings, recordings), batch=4)
    (first, scalars), (again, _), (other, _) = (task.loss(seed) for seed in (5, 5, 6))
    assert float(first.detach()) == float(again.detach()) != float(other.detach())
    assert set(scalars) == {"recorded": {"hidden"}, "simulated": {"heart"}, "both": {"heart", "hidden"}}[kind]
    first.backward()
    still = {name for name, value in task.model.named_parameters() if value.grad is None}
    assert still == ({"encoder.head.weight", "encoder.head.bias"} if kind == "recorded" else set())
    assert (task.model.decoder is None) == (kind == "simulated")
    task.model.eval()
    with torch.no_grad():
        scores = task.evaluate(task.model)
    assert ("volume_r_median" in scores) == (kind != "recorded")
    assert ("hidden_error" in scores) == (kind != "simulated")


def test_noise_is_heard_only_where_it_is_asked_for(toy_bank):
    plain, asked, noisy = (
        EcgTask(CONFIG, toy_bank, toy_bank, batch=8, **options) for options in ({}, {"noisy": False}, {"noisy": True})
    )
    with torch.no_grad():
        assert float(plain.loss(1)[0]) == float(asked.loss(1)[0]) != float(noisy.loss(1)[0])


def test_a_window_is_as_long_as_what_the_generator_hears():
    assert window_samples(CONFIG) == 656
    assert window_samples(replace(CONFIG, window=5)) == 528


def test_a_run_that_was_killed_goes_on_to_the_same_bits(recordings, toy_bank, tmp_path):
    def run(folder, killed_at=None, resume=False):
        task = EcgEncoderTask(CONFIG, (toy_bank, toy_bank), (recordings, recordings), batch=2)
        training = Run(task, replace(settings, checkpoint_every_s=-1.0), tmp_path / folder, resume=resume)

        def on_step(step, progress, scalars):
            if step == killed_at:
                raise KeyboardInterrupt

        try:
            training.train(on_step)
        except KeyboardInterrupt:
            return None
        return training.averaged_model().state_dict()

    settings = Settings(steps=4, warmup=1, evaluate_every=4)
    whole = run("whole")
    assert run("killed", killed_at=3) is None
    resumed = run("killed", resume=True)
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())


# --- the recipe ---


pytestmark = pytest.mark.usefixtures("quick")


def test_a_bank_and_a_folder_of_ecgs_give_an_encoder_that_a_generator_begins_with(bank_folder, ecg_folder, tmp_path):
    told = []
    scores, model = recipes.train(
        "ecg-encoder", data=str(bank_folder), more=[str(ecg_folder)], preset="tiny", steps=2, run=tmp_path / "e",
        batch=24, on_skip=lambda name, reason: told.append(name),
    )  # fmt: skip
    assert {"volume_r_median", "hidden_error", "hidden_error_straight", "utilisation"} <= set(scores)
    assert told == ["empty.csv"] and scores["skipped"] == 1  # of 48 draws from seven files one at least is of it
    assert sorted(path.name for path in model.iterdir()) == ["config.json", "ecg_encoder.safetensors"]
    assert set(json.loads((model / "config.json").read_text())) == {"name", "ecg_encoder"}
    weights = load_file(model / "ecg_encoder.safetensors")
    assert set(weights) == set(EcgEncoder(CONFIG.ecg).state_dict())  # the decoder is gone
    shared = {"data": str(bank_folder), "preset": "tiny", "steps": 1, "learning_rate": 0.0}
    _, tokens = recipes.train("tokenizer", run=tmp_path / "t", **shared)
    _, made = recipes.train("generator", run=tmp_path / "g", tokenizer_folder=tokens, ecg_encoder=model, **shared)
    heard = load_file(made / "generator.safetensors")
    assert all(torch.equal(heard[f"ecg_encoder.{name}"], value) for name, value in weights.items())
    assert not (tmp_path / "g" / "ecg").exists()  # nothing was trained first
    _, again = recipes.train("ecg-encoder", run=tmp_path / "a", start_from=made, seed=3, **shared)  # and back
    assert all(
        torch.equal(weights[name], value) for name, value in load_file(again / "ecg_encoder.safetensors").items()
    )


def test_a_run_is_resumed_with_recordings_alone_and_what_is_skipped_is_written_down(tmp_path):
    folder = tmp_path / "ecgs"
    folder.mkdir()
    for name in ("a", "b", "c"):
        write_beats(folder / f"{name}.csv", 1)
    for number in range(20):
        (folder / f"empty{number}.csv").write_text("")
    shared = {"data": str(folder), "preset": "tiny", "batch": 16}
    scores, _ = recipes.train("ecg-encoder", run=tmp_path / "e", steps=1, **shared)
    skipped = json.loads((tmp_path / "e" / "skipped.json").read_text())
    assert scores["skipped"] == len(skipped) > 5 and all("0 bytes" in reason for reason in skipped.values())
    more, _ = recipes.train("ecg-encoder", run=tmp_path / "e", steps=2, resume=True, **shared)
    assert more["hidden_error"] != scores["hidden_error"]


def test_what_cannot_be_is_refused_in_one_sentence_before_any_work(bank_folder, ecg_folder, tiny_model, tmp_path):
    def refused(words, what="ecg-encoder", **options):
        options = {"preset": "tiny", "data": str(ecg_folder)} | options
        with pytest.raises(InputError, match=words):
            recipes.train(what, run=tmp_path / "no", **options)
        assert not (tmp_path / "no" / "checkpoint.safetensors").exists()

    (tmp_path / "nothing").mkdir()
    refused("a folder without any ECG; this version reads", data=str(tmp_path / "nothing"))
    refused("no such folder; give one with ECG files", data=str(tmp_path / "none"))
    refused("one bank .* and one folder of ECG files at most", more=[str(tiny_model)])
    refused("one bank .* and one folder of ECG files at most", data="phantom", more=[str(bank_folder)])
    refused("only a generator learns from several banks; give the tokenizer one", what="tokenizer", more=["phantom"])
    refused("it is what a new generator begins with", ecg_encoder=tiny_model)
    refused("without --from is needed", what="generator", ecg_encoder=tiny_model, start_from=tiny_model)
    refused("--rate 250: it is that of ECG files", what="measurer", rate_hz=250.0)
    refused("--rate 250: it is that of ECG files", data=str(bank_folder), rate_hz=250.0)
    refused("A sampling rate of 5 Hz was given", rate_hz=5.0)
    refused("--guidance 3: it is built into a generator, not into the ecg-encoder", guidance=3.0)
    generator = {"what": "generator", "data": str(bank_folder), "tokenizer_folder": tiny_model}
    (tmp_path / "nothing" / "config.json").write_text("{}")
    refused(
        "no ecg_encoder; give the folder that `train ecg-encoder` wrote", ecg_encoder=tmp_path / "nothing", **generator
    )
    _, other = recipes.train("ecg-encoder", preset="tiny", data=str(bank_folder), steps=1, run=tmp_path / "e")
    config = json.loads((other / "config.json").read_text())
    config["ecg_encoder"]["heads"] = 4
    (other / "config.json").write_text(json.dumps(config))
    refused("an ECG encoder of another size .*train both with the same --preset", ecg_encoder=other, **generator)
    with pytest.raises(InputError, match="an ECG encoder of another size"):
        load_ecg_encoder(tiny_model, PRESETS["small"]["generator"].ecg)


def test_the_phantom_is_simulated_in_small_pictures_for_its_ecgs(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "workers", lambda device: 1)
    asked = []

    def fill(folder, clips, **options):
        asked.append((clips, options["size"]))
        raise InputError("asked for")

    monkeypatch.setattr(sources, "fill_bank", fill)
    with pytest.raises(InputError, match="asked for"):
        recipes.train("ecg-encoder", preset="small", clips=32, run=tmp_path / "e")
    assert asked == [(32, sources.ECG_PICTURES)]
