"""The tokenizer's recipe with its losses on: what they were stays to the bit, and a kill costs nothing but time."""

from dataclasses import replace

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from echopulse.errors import InputError
from echopulse.evaluate.metrics.perceptual import PerceptualNetwork
from echopulse.measure.segmenter import Segmenter, SegmenterConfig
from echopulse.model.config import PRESETS
from echopulse.model.grain import Beams
from echopulse.train.grain import grain_losses
from echopulse.train.loop import Run, Settings
from echopulse.train.losses.judges import Judges
from echopulse.train.losses.weights import ON_DEMAND
from echopulse.train.tokenizer import TokenizerTask

CONFIG = PRESETS["tiny"]["tokenizer"]
SETTINGS = Settings(steps=5, warmup=2, learning_rate=3e-3, evaluate_every=100, checkpoint_every_s=-1.0)
LEARNING = {"weights": {"adversarial": 0.1, "speckle": 0.05, "gradient": 0.5}, "balance": True}


class Shades(nn.Module):
    """Stands in for a video network: the mean of every frame."""

    def forward(self, x, rescale: bool, resize: bool, return_features: bool):
        return x.mean((1, 3, 4))


def task(bank, **options) -> TokenizerTask:
    return TokenizerTask(CONFIG, bank, bank, **{"batch": 2, "frames": 5} | options)


class Killed(Exception):
    """What `kill -9` looks like from inside."""


def killed_at(step: int):
    def on_step(now: int, *_) -> None:
        if now == step:
            raise Killed

    return on_step


@pytest.mark.parametrize("quantizer", ["lfq", "fsq", "vq"])
def test_by_default_the_loss_is_to_the_bit_what_it_was_before_there_were_others(toy_bank, quantizer):
    config = replace(CONFIG, quantizer=quantizer, codes=64)
    now = TokenizerTask(config, toy_bank, toy_bank, batch=2, frames=5)
    now.model.eval()
    with torch.no_grad():
        found, scalars = now.loss(7)
        draw = torch.Generator().manual_seed(7)
        frames = toy_bank.draw(2, 5, draw).float() / 255
        pictures = (frames * (0.85 + 0.3 * torch.rand(2, 1, 1, 1, generator=draw))).clamp(0, 1)
        quantized = now.model.quantize(pictures)
        error = now.model.decode_codes(quantized.codes) - pictures
        weight = 1 + 2 * ((pictures - pictures.mean(1, keepdim=True)).abs() / 0.15).clamp(max=1)
        terms = {"l1": (error.abs() * weight).mean(), "mse": (error.square() * weight).mean(), **quantized.losses}
        own = {"lfq": {"commitment": 0.01, "entropy": 0.01}, "fsq": {}, "vq": {"commitment": 0.25}}[quantizer]
        weights = {"l1": 1.0, "mse": 2.0, **own}
        before = sum(weights[name] * value for name, value in terms.items())
    assert torch.equal(found, before)
    assert set(scalars) == {*terms, "live_bits", "perplexity"}


def test_with_grain_too_the_loss_is_to_the_bit_what_it_was(toy_bank, monkeypatch):
    draw = torch.Generator().manual_seed(3)
    beams = Beams(*torch.rand(3, 7, 7, generator=draw))  # measuring them takes a second
    monkeypatch.setattr("echopulse.train.tokenizer.measure_beams", lambda size: beams)
    motion = 0.01 * torch.randn(4, 65, 8, 8, 2, generator=draw)
    moving = replace(toy_bank, tensors=toy_bank.tensors | {"motion": motion.half()})
    now = TokenizerTask(replace(CONFIG, grain=True), moving, moving, batch=2, frames=5)
    now.model.eval()
    with torch.no_grad():
        found, scalars = now.loss(7)
        pictures, motion = now.pictures_of(torch.Generator().manual_seed(7))
        quantized = now.model.quantize(pictures)
        features, _ = now.model.ascend(quantized.codes)
        again = now.model.picture(features, quantized.codes.shape[1])
        weight = 1 + 2 * ((pictures - pictures.mean(1, keepdim=True)).abs() / 0.15).clamp(max=1)
        error = again - pictures
        terms = {"l1": (error.abs() * weight).mean(), "mse": (error.square() * weight).mean(), **quantized.losses}
        terms |= grain_losses(now.model.grain_head(features, 2), pictures, again, motion, now.beams)
        weights = {"l1": 1.0, "mse": 2.0, "commitment": 0.01, "entropy": 0.01}
        weights |= {"motion": 0.05, "strength": 0.05, "beam": 0.02, "keep": 0.02}
        before = sum(weights[name] * value for name, value in terms.items())
    assert torch.equal(found, before) and set(scalars) == {*terms, "live_bits", "perplexity"}


def test_losses_that_are_off_draw_no_weights(toy_bank):
    plain, adversarial = task(toy_bank), task(toy_bank, weights={"adversarial": 0.1})
    assert plain.of_picture.adversary is None
    for name, value in plain.model.state_dict().items():
        assert torch.equal(value, adversarial.model.state_dict()[name])


def test_weight_zero_switches_a_loss_off(toy_bank):
    without = task(toy_bank, weights={"l1": 0, "mse": 0, "commitment": 0, "entropy": 0})
    assert float(without.loss(0)[0].detach()) == 0
    some = task(toy_bank, weights={"l1": 0, "mse": 0, "commitment": 0, "entropy": 0, "gradient": 3.0})
    loss, scalars = some.loss(0)
    assert float(loss.detach()) == pytest.approx(3 * scalars["gradient"])


def test_one_iteration_of_the_recipe_with_every_loss_on(toy_bank, tmp_path):
    torch.manual_seed(1)
    measurer = Segmenter(SegmenterConfig(size=32, channels=(8, 8, 8), groups=4))
    alex = PerceptualNetwork("alex")
    for head in alex.heads:
        nn.init.ones_(head)
    judges = Judges(measurer, alex, Shades())
    frozen = {name: value.clone() for name, value in (measurer.state_dict() | alex.state_dict()).items()}
    every = dict.fromkeys(ON_DEMAND, 0.1)
    everything = task(toy_bank, weights=every, balance=True, judges=judges, adversary_from=0.0)
    before = {name: value.clone() for name, value in everything.model.named_parameters()}
    told = {}
    Run(everything, replace(SETTINGS, steps=1), tmp_path).train(lambda step, progress, scalars: told.update(scalars))
    assert {"l1", "mse", "commitment", "entropy", "adversary", *ON_DEMAND} <= set(told)
    assert all(torch.isfinite(torch.tensor(value)) for value in told.values())
    moved = {name for name, value in everything.model.named_parameters() if not torch.equal(value, before[name])}
    assert "encoder_in.weight" in moved and "decoder_out.weight" in moved
    assert all(torch.equal(value, frozen[name]) for name, value in (measurer.state_dict() | alex.state_dict()).items())
    kept = {name.split(".")[0] for name in load_file(tmp_path / "checkpoint.safetensors")}
    assert kept == {"model", "average", "optimizer", "extra"}


def test_the_adversary_starts_late(toy_bank):
    late = task(toy_bank, weights={"adversarial": 0.1}, adversary_from=0.5)
    late.model.train()
    critics = {name: value.clone() for name, value in late.of_picture.adversary.critics.state_dict().items()}

    def untouched() -> bool:
        now = late.of_picture.adversary.critics.state_dict()
        return all(torch.equal(value, critics[name]) for name, value in now.items())

    late.on_progress(0.49, 0)
    _, scalars = late.loss(0)
    assert not {"adversarial", "adversary", "lecam"} & set(scalars) and untouched()
    late.on_progress(0.5, 1)
    _, scalars = late.loss(0)
    assert {"adversarial", "adversary", "lecam"} <= set(scalars) and not untouched()


def test_judged_without_training_the_adversary_and_the_shares_stay_as_they_are(toy_bank):
    watched = task(toy_bank, **LEARNING, adversary_from=0.0)
    watched.model.eval()
    before = {name: value.clone() for name, value in watched.extra_state().items()}
    with torch.no_grad():
        first, again = (float(watched.loss(3)[0]) for _ in range(2))
    assert first == again
    after = watched.extra_state()
    assert set(after) == set(before) and all(torch.equal(value, after[name]) for name, value in before.items())


def test_a_killed_run_goes_on_with_adversary_and_shares_to_the_same_bits(toy_bank, tmp_path):
    whole = Run(task(toy_bank, **LEARNING), SETTINGS, tmp_path / "whole")
    whole.train()
    with pytest.raises(Killed):
        Run(task(toy_bank, **LEARNING), SETTINGS, tmp_path / "killed").train(killed_at(4))
    resumed = Run(task(toy_bank, **LEARNING), SETTINGS, tmp_path / "killed", resume=True)
    assert resumed.step == 3 and resumed.task.of_picture.adversary.optimizer.state_dict()["state"]
    resumed.train()
    ends = [load_file(tmp_path / name / "checkpoint.safetensors") for name in ("whole", "killed")]
    assert set(ends[0]) == set(ends[1])
    differ = [name for name in ends[0] if not torch.equal(ends[0][name], ends[1][name])]
    assert not differ
    assert any(name.startswith("extra.adversary.optimizer") for name in ends[0])


def test_a_run_is_not_resumed_with_other_losses(toy_bank, tmp_path):
    Run(task(toy_bank, weights={"speckle": 0.1}), replace(SETTINGS, steps=1), tmp_path).train()
    with pytest.raises(InputError, match="began with speckle=0.1, not speckle=0; to go on give the options"):
        Run(task(toy_bank), SETTINGS, tmp_path, resume=True)
    with pytest.raises(InputError, match="began with balance=0, not balance=1"):
        Run(task(toy_bank, weights={"speckle": 0.1}, balance=True), SETTINGS, tmp_path, resume=True)


def test_a_checkpoint_from_before_losses_were_kept_goes_on(toy_bank, tmp_path):
    Run(task(toy_bank), replace(SETTINGS, steps=2), tmp_path).train()
    path = tmp_path / "checkpoint.safetensors"
    with safe_open(path, "pt") as file:
        about = file.metadata()
    old = {name: value for name, value in load_file(path).items() if not name.startswith("extra.")}
    save_file(old, path, metadata=about)
    for options in ({}, LEARNING):
        resumed = Run(task(toy_bank, **options), SETTINGS, tmp_path, resume=True)
        assert resumed.step == 2
        assert torch.equal(resumed.task.model.encoder_in.weight, old["model.encoder_in.weight"])


def test_unknown_losses_missing_networks_and_single_frames_are_refused(toy_bank):
    with pytest.raises(InputError, match="loss ssim: this tokenizer knows l1"):
        task(toy_bank, weights={"ssim": 1.0})
    with pytest.raises(InputError, match="loss video: .* --perceptual i3d=FILE"):
        task(toy_bank, weights={"video": 1.0})
    with pytest.raises(InputError, match="two frames or more"):
        task(toy_bank, weights={"adversarial": 1.0}, frames=1)
