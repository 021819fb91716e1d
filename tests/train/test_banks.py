"""A generator that learns from banks of several frame rates; from a single one it learns what it always did."""

import json
from dataclasses import replace

import pytest
import torch

from echopulse.data import Bank
from echopulse.errors import InputError
from echopulse.model.checkpoint import save_config, save_weights
from echopulse.model.config import PRESETS
from echopulse.pipeline import EchoPulse
from echopulse.train import recipes, sources
from echopulse.train.banks import own_rate_first, pick, rates_of
from echopulse.train.ecg_encoder import EcgTask, ecg_windows, heart_targets
from echopulse.train.generator import GeneratorTask, draw_windows
from echopulse.train.tokens import TokenCache
from tests.train.conftest import write_bank

TOKENIZER, GENERATOR = PRESETS["tiny"]["tokenizer"], PRESETS["tiny"]["generator"]
ALL_RATES = replace(GENERATOR, rates=(16.0, 50.0))


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def fast(toy_bank) -> Bank:
    """Three clips of the toy bank, as if they had been taken at 50/s."""
    return replace(toy_bank, fps=50.0, tensors={name: value[:3] for name, value in toy_bank.tensors.items()})


# --- one bank ---


def test_of_a_single_bank_nothing_is_drawn_so_that_batches_are_what_they_were_before_there_were_several(toy_bank):
    draw = rng(5)
    before = draw.get_state()
    assert pick([toy_bank], draw) == 0 and torch.equal(draw.get_state(), before)


def test_at_25_frames_a_second_a_seed_names_the_batch_that_it_always_named(tokenizer, toy_bank):
    cache = TokenCache(tokenizer, toy_bank, versions=2)
    windows = draw_windows(toy_bank, cache, GENERATOR.window, 8, rng(5))
    assert windows.far.tolist() == [True] + 7 * [False]
    assert windows.known[:, 0].tolist() == 4 * [True] + 4 * [False]
    assert windows.times_s[:, 0].tolist() == pytest.approx([-1.28] + 7 * [0.0])
    starts = [-1.63, -1.595, -1.59, -1.6, -1.6, -1.6, -1.565, -1.6]
    assert windows.ecg_start_s.tolist() == pytest.approx(starts, abs=1e-4)


# --- several ---


def test_a_step_draws_from_a_bank_by_its_seed_and_in_proportion_to_clips(toy_bank, fast):
    drawn = [pick([toy_bank, fast], rng(seed)) for seed in range(700)]
    assert drawn == [pick([toy_bank, fast], rng(seed)) for seed in range(700)]
    assert sum(drawn) == pytest.approx(300, abs=50)  # of seven clips three are fast


def test_the_bank_at_the_tokenizers_rate_is_the_one_that_training_is_judged_by(toy_bank, fast):
    assert own_rate_first([fast, toy_bank], 25.0) == [toy_bank, fast]
    assert own_rate_first([fast, toy_bank], 30.0) == [fast, toy_bank]
    assert rates_of([fast, toy_bank]) == (25.0, 50.0)


@pytest.mark.parametrize("fps", [16.0, 20.0, 100 / 3, 50.0])
def test_windows_of_any_rate_carry_the_times_of_their_own_pictures(tokenizer, toy_bank, fps):
    bank = replace(toy_bank, fps=fps)
    windows = draw_windows(bank, TokenCache(tokenizer, bank), GENERATOR.window, 64, rng())
    gaps = windows.times_s[:, 2:] - windows.times_s[:, 1:-1]
    assert torch.allclose(gaps, torch.tensor(4 / fps), atol=1e-5)
    assert torch.allclose(windows.times_s[~windows.far, 1], torch.tensor(2.5 / fps), atol=1e-5)
    assert torch.allclose(windows.frame_times_s[:, -1], torch.tensor(32 / fps))
    far = windows.times_s[windows.far, 0]
    assert float(far.min()) >= -min(1.28, 32 / fps) - 1e-5 and bool((far < 0).all())
    assert windows.ecg.shape[-1] == round((2 + 32 / fps) * 200) // 8 * 8


def test_at_another_rate_the_ecg_window_lies_on_the_clips_clock_too(fast):
    starts = torch.tensor([0, 16])
    ecg, start, times, _ = ecg_windows(fast, torch.tensor([1, 1]), starts, 33, rng(), augment=False)
    assert float(times[0, -1]) == pytest.approx(32 / 50)
    for row in range(2):
        peaks = start[row] + ecg[row, 0].topk(3).indices / 200  # spikes stand at whole multiples of 0.8 s
        since = (peaks + starts[row] / 50) / 0.8
        assert (since - since.round()).abs().max() < 0.03


def test_how_fast_a_volume_changes_is_said_per_second(toy_bank):
    rates = {}
    for fps in (25.0, 50.0):
        emptying = 120 * (1 - 0.3 * torch.arange(65) / fps).expand(4, -1)
        truth = {"volume_ml": emptying, "ef": torch.full((4,), 0.6)}
        bank = replace(toy_bank, fps=fps, tensors=toy_bank.tensors | truth)
        rates[fps] = heart_targets(bank, torch.tensor([0]), torch.arange(5, 20)[None])[0, :, 1]
    assert torch.allclose(rates[25.0], rates[50.0], atol=1e-5) and float(rates[25.0].mean()) < -0.01


def test_banks_of_different_rates_train_one_generator_and_its_ecg_encoder(tokenizer, toy_bank, fast):
    slow = replace(toy_bank, fps=16.0)
    task = GeneratorTask(ALL_RATES, tokenizer, toy_bank, toy_bank, more=[fast, slow], batch=2)
    ecg = EcgTask(ALL_RATES, toy_bank, toy_bank, more=[fast, slow], batch=2)
    seconds = set()
    watch = task.model.register_forward_pre_hook(lambda _, given: seconds.add(round(float(given[2][0, 2:4].diff()), 3)))
    for seed in range(12):
        for one in (task, ecg):
            loss, _ = one.loss(seed)
            assert bool(loss.isfinite())
    watch.remove()
    assert seconds == {0.16, 0.08, 0.25}
    task.model.eval()
    with torch.no_grad():
        assert float(task.loss(3)[0]) == float(task.loss(3)[0])


def test_clips_at_a_rate_that_a_generator_has_not_learned_are_refused(tokenizer, toy_bank, fast):
    with pytest.raises(InputError, match="50 frames/s; this generator has learned 25, so simulate some with --fps 25"):
        GeneratorTask(GENERATOR, tokenizer, fast, fast, batch=2)
    too_fast = replace(fast, fps=60.0)
    with pytest.raises(InputError, match="60 frames/s; this generator has learned 16 to 50, so .* --fps 50"):
        GeneratorTask(ALL_RATES, tokenizer, toy_bank, toy_bank, more=[too_fast], batch=2)


# --- the recipe ---


@pytest.fixture
def folders(toy_bank, fast, tokenizer, tmp_path, quick):
    """Banks at 25/s and 50/s on disk, each with held-out clips of its rate beside it, and a model folder."""
    write_bank(toy_bank, tmp_path / "usual"), write_bank(fast, tmp_path / "fast")
    save_weights(tokenizer, tmp_path / "model" / "tokenizer")
    save_config(tmp_path / "model", name="tiny", tokenizer=TOKENIZER)
    return tmp_path


def trained(folders, *data: str, **options):
    paths = [str(folders / one) for one in data]
    quick = {"preset": "tiny", "steps": 1, "run": folders / "run", "tokenizer_folder": folders / "model"}
    return recipes.train("generator", data=paths[0], more=paths[1:], **quick | options)


def test_weights_know_the_rates_between_those_of_their_banks(folders):
    _, model = trained(folders, "fast", "usual")
    assert json.loads((model / "config.json").read_text())["generator"]["rates"] == [25.0, 50.0]
    _, model = trained(folders, "usual", run=folders / "again")
    assert json.loads((model / "config.json").read_text())["generator"]["rates"] == [25.0, 25.0]


@pytest.mark.parametrize(
    ("data", "folder", "options"),
    [(("fast", "usual"), "usual", {}), (("fast",), "fast", {"fps": 50.0, "frames": 65})],
)
def test_held_out_clips_are_of_the_tokenizers_rate_where_a_bank_is_else_of_the_first(
    folders, monkeypatch, data, folder, options
):
    asked = []
    monkeypatch.setattr(sources, "fill_bank", lambda where, clips, **given: asked.append((where, given)))
    trained(folders, *data)
    assert [where for where, _ in asked] == [folders / folder / "held-out"]
    assert {name: value for name, value in asked[0][1].items() if name in ("fps", "frames")} == options


def test_weights_that_go_on_keep_the_rates_that_they_knew_and_say_which_are_not_learned_further(folders):
    def rates(folder):
        return json.loads((folder / "config.json").read_text())["generator"]["rates"]

    told = []
    _, model = trained(folders, "fast", "usual")
    trained(folders, "usual", steps=2, resume=True, on_notice=told.append)
    assert rates(model) == [25.0, 50.0] and len(told) == 1 and "go on with 25 to 25 alone" in told[0]
    _, more = trained(folders, "usual", run=folders / "on", start_from=model, on_notice=told.append)
    assert rates(more) == [25.0, 50.0] and len(told) == 2
    _, usual = trained(folders, "usual", run=folders / "usual-run", on_notice=told.append)
    _, wider = trained(folders, "fast", "usual", run=folders / "wider", start_from=usual, on_notice=told.append)
    assert rates(usual) == [25.0, 25.0] and rates(wider) == [25.0, 50.0] and len(told) == 2


def test_a_model_of_fast_clips_alone_works_at_their_rate(folders, tiny_model):
    config = replace(GENERATOR, rates=(50.0, 50.0))
    pulse = EchoPulse.from_pretrained(tiny_model)
    pulse.generator.config = config
    assert pulse.fps == 50.0


def test_several_banks_are_a_generators_and_each_has_clips_long_enough(folders, toy_bank):
    with pytest.raises(InputError, match="usual: only a generator learns from several banks; give the tokenizer one"):
        recipes.train("tokenizer", data="phantom", more=[str(folders / "usual")], preset="tiny", run=folders / "run")
    frames = ("frames", "lv_mask", "volume_ml", "mitral_opening")
    short = {name: value[:, :29].clone() if name in frames else value for name, value in toy_bank.tensors.items()}
    write_bank(replace(toy_bank, tensors=short, fps=16.0), folders / "short")
    with pytest.raises(InputError, match=r"short: clips of 29 frames; at least 33 frames .*--fps 16 --seconds 4.062`"):
        trained(folders, "usual", "short")


def test_clips_of_another_size_are_told_their_size_and_only_short_ones_their_length(toy_bank):
    sources.check_clips(toy_bank, "bank", 65, 32)
    for window, size, words in (
        (33, 128, "bank: clips of 32×32 pixels; 128×128 pixels are needed, so .*--bank FOLDER --size 128`"),
        (66, 32, "bank: clips of 65 frames; at least 66 frames are needed, so .*FOLDER --fps 25 --seconds 2.64`"),
        (66, 64, "65 frames and 32×32 pixels; at least 66 frames and 64×64 .*--seconds 2.64 --size 64`"),
    ):
        with pytest.raises(InputError, match=words):
            sources.check_clips(toy_bank, "bank", window, size)
