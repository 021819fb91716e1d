"""The recipes' tasks on a tiny bank: real losses, real gradients, the same batch for the same seed."""

from dataclasses import replace

import pytest
import torch

from echopulse.data import Bank
from echopulse.data.bank import clips_to_tensors
from echopulse.errors import InputError
from echopulse.measure.segmenter import SegmenterConfig
from echopulse.measure.volume_curve import CurveHead
from echopulse.model.config import PRESETS
from echopulse.model.ecg_encoder import EcgEncoder
from echopulse.phantom import simulate
from echopulse.train import Run, Settings
from echopulse.train.ecg_encoder import EcgTask, ecg_windows, heart_targets
from echopulse.train.generator import (
    EcgIgnored,
    GeneratorTask,
    add_pictures,
    draw_windows,
    guidance_held,
    hold_still,
    without_guidance,
)
from echopulse.train.measurer import MeasurerTask, dice, log_pixel_volumes
from echopulse.train.tokenizer import TokenizerTask, strips
from echopulse.train.tokens import TokenCache, still_frames
from echopulse.train.volume_curve import Looks, VolumeCurveTask

TOKENIZER, GENERATOR = PRESETS["tiny"]["tokenizer"], PRESETS["tiny"]["generator"]
MEASURER = SegmenterConfig(size=32, channels=(8, 8, 8), groups=4)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def cache(tokenizer, toy_bank) -> TokenCache:
    return TokenCache(tokenizer, toy_bank, versions=2)


@pytest.fixture
def generator_task(tokenizer, toy_bank) -> GeneratorTask:
    encoder = EcgEncoder(GENERATOR.ecg).state_dict()
    return GeneratorTask(GENERATOR, tokenizer, toy_bank, toy_bank, ecg_weights=encoder, batch=4)


@pytest.fixture
def volumes_task() -> VolumeCurveTask:
    """Four clips, two versions of each; volumes that are read alone are off by what the features say."""
    times, draw = torch.arange(8) * 0.08, rng()
    truth = (8 + 0.25 * torch.cos(2 * torch.pi * times / 0.8)).expand(4, 2, -1)
    seen = torch.randn(4, 2, 8, 5, generator=draw)
    looks = Looks(seen.half(), truth + 0.2 * seen[..., 0], truth, times)
    torch.manual_seed(0)
    return VolumeCurveTask(CurveHead(5, 1, width=16, heads=2), looks, looks, batch=8)


@pytest.fixture(params=["tokenizer", "ecg", "generator", "measurer", "volumes"])
def task(request, toy_bank, generator_task, volumes_task):
    make = {
        "tokenizer": lambda: TokenizerTask(TOKENIZER, toy_bank, toy_bank, batch=2, frames=5),
        "ecg": lambda: EcgTask(GENERATOR, toy_bank, toy_bank, batch=4),
        "generator": lambda: generator_task,
        "measurer": lambda: MeasurerTask(MEASURER, toy_bank, toy_bank, batch=4),
        "volumes": lambda: volumes_task,
    }
    return make[request.param]()


def test_every_task_trains_evaluates_and_shows_itself_in_the_real_loop(task, tmp_path):
    before = {name: value.clone() for name, value in task.model.named_parameters()}
    scores = Run(task, Settings(steps=2, warmup=1, evaluate_every=2), tmp_path).train()
    assert scores and all(isinstance(value, float) for value in scores.values())
    assert any(not torch.equal(value, before[name]) for name, value in task.model.named_parameters())
    assert (tmp_path / "checkpoint.safetensors").exists()


def test_the_same_seed_names_the_same_batch(task):
    task.model.eval()
    with torch.no_grad():
        first, again, other = (float(task.loss(seed)[0]) for seed in (5, 5, 6))
    assert first == again != other


# --- tokenizer ---


def test_the_tokenizers_loss_falls_on_a_batch_it_sees_again_and_again(toy_bank):
    task = TokenizerTask(TOKENIZER, toy_bank, toy_bank, batch=2, frames=5)
    optimizer = torch.optim.Adam(task.model.parameters(), 3e-3)
    losses = []
    for _ in range(25):
        loss, scalars = task.loss(0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(scalars["l1"])
    assert losses[-1] < 0.7 * losses[0]


def test_the_quantizers_statistics_stand_still_in_the_last_tenth(toy_bank):
    task = TokenizerTask(TOKENIZER, toy_bank, toy_bank)
    task.model.train()
    task.on_progress(0.5, 0)
    assert task.model.quantizer.norm.training
    task.on_progress(0.95, 1)
    assert not task.model.quantizer.norm.training and task.model.training


def test_with_tokens_kept_only_the_decoder_learns_and_ids_stay_what_they_are(toy_bank, tmp_path):
    task = TokenizerTask(TOKENIZER, toy_bank, toy_bank, batch=2, frames=5, keep_tokens=True)
    clip = toy_bank.frames[:1, :5].float() / 255
    before = {name: value.clone() for name, value in task.model.state_dict().items()}
    ids = task.model.eval().encode(clip)
    Run(task, Settings(steps=2, warmup=1), tmp_path).train()
    changed = {name for name, value in task.model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed and all(name.startswith("decoder") for name in changed)
    assert torch.equal(task.model.eval().encode(clip), ids)
    other = TokenizerTask(TOKENIZER, toy_bank, toy_bank, batch=2, frames=5)
    with pytest.raises(InputError, match="began with keep_tokens=1, not keep_tokens=0"):
        Run(other, Settings(steps=3), tmp_path, resume=True)


def test_strips_lay_clips_out_in_rows():
    sheet = strips([torch.zeros(9, 4, 5), torch.ones(9, 4, 5)], every=4)
    assert sheet.shape == (8, 15) and sheet.dtype == torch.uint8
    assert int(sheet[:4].max()) == 0 and int(sheet[4:].min()) == 255


# --- measurer ---


def test_dice_is_one_for_equal_masks_none_for_disjoint_ones_and_counts_overlap():
    a = torch.zeros(4, 2, 4, dtype=torch.bool)
    b = a.clone()
    a[0, 0], b[0, 0] = True, True
    a[1, 0], b[1, 1] = True, True
    a[2, 0], b[2, 0, :2] = True, True
    assert dice(a, b).tolist() == pytest.approx([1.0, 0.0, 4 / 6, 1.0])  # the last pair is empty


def labelled_bank(clips: int, frames: int = 2) -> Bank:
    """Simulated A4C clips of 32 pixels with what every pixel shows."""
    made = simulate(clips, seed=5, frames=frames, fps=5.0, size=32, view="a4c", leads=1)
    return Bank(clips_to_tensors(made, labels=True), 5.0, 200.0, 0.0)


WHOLE_MEASURER = replace(MEASURER, classes=7, views=7, context_s=0.2, volumes=True)


def test_the_measurer_of_every_class_learns_labels_views_and_volumes():
    bank = labelled_bank(2)
    task = MeasurerTask(WHOLE_MEASURER, bank, bank, batch=4)
    torch.nn.init.normal_(task.model.volume_head.layers[-1].weight)
    loss, scalars = task.loss(0)
    loss.backward()
    assert scalars["view_loss"] > 0 and scalars["volume_loss"] > 0
    trained = {name for name, value in task.model.named_parameters() if value.grad is not None}
    assert trained == {name for name, _ in task.model.named_parameters()}
    with torch.no_grad():
        scores = task.evaluate(task.model.eval())
    assert set(scores) == {"dice", "dice_degraded", "views_right", "ef_error", "ef_error_median"}


def test_volumes_in_pixels_are_those_of_the_simulator():
    bank = labelled_bank(2)
    found = log_pixel_volumes(bank, torch.tensor([1, 0]), torch.tensor([[0, 1], [1, 1]])).exp()
    assert float(found[0, 1] * bank.spacing_cm[1] ** 3) == pytest.approx(float(bank.volume_ml[1, 1]), rel=1e-4)
    assert found[1, 0] == found[1, 1]


def test_frames_are_shown_with_their_neighbours_of_the_same_clip():
    bank = labelled_bank(2, frames=4)
    task = MeasurerTask(WHOLE_MEASURER, bank, bank, batch=4)
    assert task._around(bank, torch.tensor([[0, 2]])).tolist() == [[[0, 0, 1], [1, 2, 3]]]
    assert MeasurerTask(MEASURER, bank, bank)._around(bank, torch.tensor([[0, 2]])).tolist() == [[[0], [2]]]


# --- the measurer's curve of volumes ---


def test_the_curve_of_volumes_learns_what_reading_frames_alone_got_wrong(volumes_task):
    optimizer = torch.optim.Adam(volumes_task.model.parameters(), 1e-2)
    with torch.no_grad():
        before = volumes_task.evaluate(volumes_task.model)
    assert before["ef_error"] == pytest.approx(before["ef_error_alone"]) and before["ef_error"] > 0.03
    for seed in range(60):
        loss, _ = volumes_task.loss(seed)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        after = volumes_task.evaluate(volumes_task.model)
    assert after["ef_error"] < 0.4 * before["ef_error"] and after["ef_error_alone"] == before["ef_error_alone"]


# --- what the ECG encoder learns ---


def test_heart_targets_are_one_when_full_and_fall_to_zero_in_a_regular_beat(toy_bank):
    frames = torch.arange(65).expand(4, -1)
    volume = heart_targets(toy_bank, torch.arange(4), frames)[..., 0]
    assert volume[:3].amax(1).tolist() == pytest.approx([1, 1, 1], abs=0.01)
    assert volume[:3].amin(1).tolist() == pytest.approx([0, 0, 0], abs=0.05)
    assert torch.allclose(volume[3], torch.ones(65))  # a standing heart stays full


def test_the_ecg_window_lies_on_the_clips_clock(toy_bank):
    starts = torch.tensor([0, 16])
    ecg, start, times, index = ecg_windows(toy_bank, torch.tensor([1, 1]), starts, 33, rng(), augment=False)
    assert start.tolist() == pytest.approx([-1.6, -1.6]) and index[1, 0] == 16
    assert float(times[0, -1]) == pytest.approx(32 / 25)
    for row in range(2):
        peaks = start[row] + ecg[row, 0].topk(3).indices / 200  # spikes stand at whole multiples of 0.8 s
        since = (peaks + starts[row] / 25) / 0.8
        assert (since - since.round()).abs().max() < 0.03


def test_augmentation_moves_the_window_by_whole_samples_and_says_so(toy_bank):
    rows, starts = torch.full((64,), 2), torch.zeros(64, dtype=torch.long)
    ecg, start, _, _ = ecg_windows(toy_bank, rows, starts, 33, rng(), augment=True)
    assert start.unique().numel() > 3 and float((start + 1.6).abs().max()) <= 7 / 200 + 1e-6
    silent = ecg.isnan().all(-1)
    assert 0.2 < float(silent.any(1).float().mean()) < 0.95 and not bool(silent.all(1).any())


# --- generator ---


def test_tokens_of_a_bank_are_encoded_once_the_first_version_untouched(cache, tokenizer, toy_bank):
    assert cache.ids.shape == (4, 2, 17, 2, 2)
    with torch.no_grad():
        ids = tokenizer.encode(toy_bank.frames[:1].float() / 255)
    agree = (cache.ids[:1, 0].long() == ids).float().mean()
    assert float(agree) > 0.8  # exactly, but for bfloat16 where the machine has it


def test_windows_begin_the_clip_or_continue_it_with_the_reference_far_back(cache, toy_bank):
    windows = draw_windows(toy_bank, cache, GENERATOR.window, 256, rng())
    far, known = windows.far, windows.known.sum(1)
    assert 0.2 < float(far.float().mean()) < 0.5
    assert windows.ids.shape == (256, GENERATOR.window, 2, 2)
    begins = windows.times_s[~far]
    assert bool((begins[:, 0] == 0).all()) and torch.allclose(begins[:, 1], torch.tensor(0.1))
    assert bool((windows.times_s[far, 0] < windows.times_s[far, 1] - 0.2).all())
    gaps = windows.times_s[:, 2:] - windows.times_s[:, 1:-1]
    assert torch.allclose(gaps, torch.tensor(0.16), atol=1e-4)
    assert int(known.min()) == 0 and int(known[far].min()) >= 1 and int(known.max()) < GENERATOR.window


def test_a_standing_heart_has_no_ejection_fraction_to_aim_at(cache, toy_bank):
    windows = draw_windows(toy_bank, cache, GENERATOR.window, 4, rng(), augment=False, rows=torch.arange(4))
    assert windows.ef.isnan().tolist() == [False, False, False, True]


def test_later_pictures_are_the_fullest_and_the_emptiest_and_are_known_as_stills(cache, toy_bank):
    rows, latent = torch.arange(3), torch.arange(GENERATOR.window).expand(3, -1)
    ids, known = torch.full((3, GENERATOR.window, 2, 2), -1), latent < 1
    for seed in range(40):
        add_pictures(toy_bank, cache, rows, latent, ids, known, rng(seed))
    volume = toy_bank.volume_ml[rows[:, None], still_frames(latent)]
    for row in range(3):
        given = torch.nonzero(known[row, 1:])[:, 0] + 1
        assert int(volume[row, 1:].argmin()) + 1 in given and int(volume[row, 1:].argmax()) + 1 in given
        for slot in given.tolist():
            which = cache.places[row].tolist().index(slot)
            assert torch.equal(ids[row, slot], cache.stills[row, which, 1].long())
        assert bool((ids[row, ~known[row]] == -1).all())


def test_pictures_are_not_given_to_windows_that_know_no_first_one(cache, toy_bank):
    latent = torch.arange(GENERATOR.window)[None]
    ids, known = torch.zeros(1, GENERATOR.window, 2, 2, dtype=torch.long), latent < 0
    for seed in range(40):
        add_pictures(toy_bank, cache, torch.tensor([0]), latent, ids, known, rng(seed))
    assert not known.any()


def test_what_stands_still_does_so_in_every_slot_under_a_flat_line(cache, toy_bank):
    windows = draw_windows(toy_bank, cache, GENERATOR.window, 4, rng(), augment=False, rows=torch.arange(4))
    stopped, pictures = torch.tensor([True, False, False, True]), torch.tensor([1, 0, 2, 3])
    ids, ecg, heart, ef = (value.clone() for value in (windows.ids, windows.ecg, windows.heart, windows.ef))
    hold_still(cache, torch.arange(4), pictures, stopped, ids, ecg, heart, ef, rng())
    assert torch.equal(ids[0, 0], cache.stills[0, 1, 0].long()) and bool((ids[0, 1:] == ids[0, 1]).all())
    assert float(ecg[0].nan_to_num().abs().max()) < 0.15 and torch.equal(ecg[0].isnan(), windows.ecg[0].isnan())
    assert bool(heart[0].isnan().all()) and bool(ef[0].isnan())
    for before, after in ((windows.ids, ids), (windows.ecg, ecg), (windows.heart, heart)):
        assert torch.equal(before[1:3].nan_to_num(), after[1:3].nan_to_num())


def test_a_still_is_what_the_pipeline_makes_of_a_picture(cache, tokenizer, toy_bank):
    picture = toy_bank.frames[1, still_frames(cache.places[1, 2])].float() / 255
    alone = tokenizer.encode(picture[None, None])[0, 0]
    standing = tokenizer.encode(picture.expand(1, 5, -1, -1))[0, -1]
    assert torch.equal(cache.stills[1, 2].long(), torch.stack([alone, standing]))


def test_the_null_memory_is_trained_by_leaving_the_ecg_out_now_and_then(generator_task):
    trained = 0
    for seed in range(8):
        generator_task.model.zero_grad()
        loss, _ = generator_task.loss(seed)
        loss.backward()
        trained += float(generator_task.model.null_memory.grad.abs().sum()) > 0
    assert 0 < trained < 8


def test_every_parameter_of_the_generator_is_trained(generator_task):
    torch.nn.init.normal_(generator_task.model.patient_in[-1].weight)  # begins at zero, and lets nothing through
    reached: set[str] = set()
    for seed in range(8):
        generator_task.model.zero_grad()
        generator_task.loss(seed)[0].backward()
        for name, parameter in generator_task.model.named_parameters():
            if parameter.grad is not None and float(parameter.grad.abs().sum()) > 0:
                reached.add(name)
    never = {name for name, _ in generator_task.model.named_parameters()} - reached
    assert not never


def test_guidance_is_held_where_sampling_guides_and_not_where_little_is_known():
    hidden = torch.ones(3, 9, 2, 2, 2, dtype=torch.bool)
    hidden[1, 3:] = False  # of the eight frames after the first a quarter is hidden
    hidden[2, 4:] = False  # of five after four none
    known = torch.arange(9) < torch.tensor([[1], [1], [4]])
    held = guidance_held(hidden & ~known[..., None, None, None], known, 3.0)
    assert held.tolist() == [1.0, 3.0, 3.0]
    assert guidance_held(torch.zeros_like(hidden), torch.ones_like(known), 3.0).isfinite().all()  # nothing to fill in
    assert guidance_held(hidden, known, 1.0).tolist() == [1.0, 1.0, 1.0]


def test_what_learns_to_say_the_truth_without_guidance_comes_to_hold_it():
    truth, null = torch.tensor([0.6, 0.3, 0.1]).log(), torch.tensor([0.3, 0.3, 0.4]).log()
    logits = torch.zeros(1, 3, requires_grad=True)
    for _ in range(400):
        plain = without_guidance(logits, null[None], torch.tensor([3.0]))
        (slope,) = torch.autograd.grad(-(truth.exp() * plain.log_softmax(-1)).sum(), logits)
        logits = (logits - 2 * slope).detach().requires_grad_()
    guided = (null + 3 * (truth - null)).softmax(-1)
    assert torch.allclose(logits.softmax(-1)[0], guided, atol=1e-3)


def test_the_gradient_is_that_of_one_answer_and_none_reaches_the_other():
    draw = torch.Generator().manual_seed(0)
    logits, null = (torch.randn(2, 3, generator=draw, requires_grad=True) for _ in range(2))
    plain = without_guidance(logits, null, torch.tensor([3.0, 1.0]))
    assert torch.allclose(plain[0], (null + (logits - null) / 3)[0]) and torch.allclose(plain[1], logits[1])
    slopes = torch.autograd.grad(plain.sum(), (logits, null), allow_unused=True)
    assert torch.equal(slopes[0], torch.ones(2, 3)) and slopes[1] is None


def test_only_rows_that_are_guided_are_asked_twice_and_the_second_time_without_gradient(generator_task):
    task, asked = generator_task, []
    watch = task.model.register_forward_hook(
        lambda _, given, __: asked.append((len(given[0]), torch.is_grad_enabled()))
    )
    losses = {}
    for strength in (1.0, 3.0):
        task.config = replace(task.config, guidance=strength)
        asked.clear()
        losses[strength] = [float(task.loss(seed)[1]["cross_entropy"]) for seed in range(6)]
        seconds = [count for count, learning in asked if not learning]
        assert [count for count, learning in asked if learning] == [task.batch] * 6
        assert bool(seconds) == (strength == 3.0) and all(0 < count <= task.batch for count in seconds)
        assert strength == 1.0 or min(seconds) < task.batch
    watch.remove()
    assert losses[1.0] != losses[3.0]


def test_pictures_of_a_training_are_guided_once(generator_task):
    task, asked = generator_task, []
    watch = task.model.register_forward_hook(lambda *_: asked.append(1))
    counts = {}
    for strength in (1.0, 3.0):
        task.config = task.model.config = replace(task.config, guidance=strength)
        asked.clear()
        with torch.no_grad():
            task.pictures(task.model)
        counts[strength] = len(asked)
    watch.remove()
    assert counts == {1.0: 2 * 12, 3.0: 2 * 8}


def test_a_run_is_not_resumed_with_another_guidance(generator_task, tmp_path):
    Run(generator_task, Settings(steps=1, warmup=1), tmp_path).train()
    generator_task.config = replace(generator_task.config, guidance=3.0)
    with pytest.raises(InputError, match="began with guidance=1, not 3; go on with --guidance 1"):
        Run(generator_task, Settings(steps=2), tmp_path, resume=True)


def test_the_ecg_encoder_starts_from_what_it_has_learned_alone(tokenizer, toy_bank):
    torch.manual_seed(9)
    weights = EcgEncoder(GENERATOR.ecg).state_dict()
    task = GeneratorTask(GENERATOR, tokenizer, toy_bank, toy_bank, ecg_weights=weights, batch=2)
    assert all(torch.equal(value, weights[name]) for name, value in task.model.ecg_encoder.state_dict().items())


def test_an_ecg_that_stays_unheard_stops_the_training(generator_task):
    generator_task.model.eval()
    with torch.no_grad():
        scores = generator_task.evaluate(generator_task.model)
        assert scores["ecg_gap"] < 0.01  # random weights
        generator_task.steps = generator_task.must_part_by
        with pytest.raises(EcgIgnored, match="The ECG encoder is dead"):
            generator_task.evaluate(generator_task.model)
