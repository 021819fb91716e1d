"""Displacements: composed from motion frame by frame, and learned where tissue is visible."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from echopulse.data import Bank
from echopulse.data.bank import clips_to_tensors
from echopulse.errors import InputError
from echopulse.model.config import PRESETS
from echopulse.model.motion import bend
from echopulse.phantom import simulate
from echopulse.phantom.types import LABELS
from echopulse.train.motion import compose_motion, motion_losses
from echopulse.train.tokenizer import TokenizerTask

CONFIG = replace(PRESETS["tiny"]["tokenizer"], decoder="motion")
GRID = 16


@pytest.fixture(scope="module")
def made():
    return simulate(2, seed=3, frames=13, size=64, view="a4c", leads=1, displacement=True)


@pytest.fixture(scope="module")
def moving_bank() -> Bank:
    small = simulate(2, seed=3, frames=13, size=32, view="a4c", leads=1, displacement=True)
    return Bank(clips_to_tensors(small, motion=True), 25.0, 200.0, 0.0)


def test_translations_add_up_whatever_the_first_frames_motion_was():
    steps = torch.tensor([[9.0, 9.0], [0.02, 0.0], [0.01, -0.03], [-0.05, 0.01]])
    found = compose_motion(steps[None, :, None, None].expand(2, -1, GRID, GRID, -1))
    expected = torch.tensor([[0.0, 0.0], [0.02, 0.0], [0.03, -0.03], [-0.02, -0.02]])
    assert found.shape == (2, 4, GRID, GRID, 2)
    assert torch.allclose(found, expected[None, :, None, None].expand_as(found), atol=1e-6)


def test_tissue_takes_the_displacement_that_it_had_along_with_it():
    """The left half moved once; then all goes three cells to the right, and the border of the halves with it."""
    motion = torch.zeros(1, 3, GRID, GRID, 2)
    motion[:, 1, :, :8, 1] = 0.04
    motion[:, 2, ..., 0] = 3 / GRID
    found = compose_motion(motion)[0, 2]
    assert torch.allclose(found[..., 0], torch.tensor(3 / GRID))
    assert torch.allclose(found[:, :11, 1], torch.tensor(0.04), atol=1e-6)
    assert torch.allclose(found[:, 11:, 1], torch.tensor(0.0), atol=1e-6)


def test_composed_motion_of_a_simulated_heart_is_how_far_it_lies_from_its_first_frame(made):
    spacing = made.truth.pixel_spacing_cm[:, None, None, None, None]
    lies = made.truth.displacement_cm / spacing  # pixels
    truth = F.avg_pool2d(lies.flatten(0, 1).permute(0, 3, 1, 2), 4).permute(0, 2, 3, 1).unflatten(0, lies.shape[:2])
    truth = truth - truth[:, :1]
    tensors = clips_to_tensors(made, motion=True)
    found = compose_motion(tensors["motion"].float()) * 64
    assert float(truth.norm(dim=-1).amax()) > 2  # there is something to be composed
    off = (found - truth).norm(dim=-1)
    assert float(off.mean()) < 0.05 and float(off.quantile(0.99)) < 0.5


def test_the_composed_motion_carries_a_simulated_hearts_muscle_along(made):
    """Muscle keeps its speckle: bent along the true displacement the first picture is nearer to the later ones."""
    tensors = clips_to_tensors(made, motion=True)
    frames = tensors["frames"].float() / 255
    field = compose_motion(tensors["motion"].float()).permute(0, 1, 4, 2, 3)
    bent = bend(frames[:, :1], field)[:, :, 0]
    far = (made.truth.labels == LABELS.index("myocardium")) & (made.truth.displacement_cm.norm(dim=-1) > 0.4)
    assert int(far.sum()) > 300
    still, moved = ((pictures - frames).square()[far].mean() for pictures in (frames[:, :1].expand_as(frames), bent))
    assert float(moved) < 0.6 * float(still)


def test_the_loss_is_none_for_the_truth_counts_pixels_and_looks_only_at_what_is_visible():
    motion = torch.zeros(1, 3, GRID, GRID, 2)
    motion[:, 1:, ..., 0] = 1 / 64
    pictures = torch.zeros(1, 3, 64, 64)
    pictures[..., :32] = 0.5
    truth = compose_motion(motion)
    assert float(motion_losses(truth, pictures, motion)["displacement"]) == 0
    wrong = truth.clone()
    wrong[:, :, :, 9:] += 7  # in the dark, beyond the edge
    wrong[:, 0] += 7  # the first picture is its own key
    assert float(motion_losses(wrong, pictures, motion)["displacement"]) == 0
    off = truth + torch.tensor([2 / 64, 0.0])
    # smooth l1 of 2 px with beta 0.25, mean over right and down
    assert float(motion_losses(off, pictures, motion)["displacement"]) == pytest.approx((2 - 0.125) / 2, rel=1e-4)
    assert float(motion_losses(truth, 0 * pictures, motion)["displacement"]) == 0  # nothing is visible


def drifting_bank() -> Bank:
    """Four clips of one textured disc that drifts to the right, left, down and up by a pixel a frame."""
    size, frames = 32, 9
    place = torch.arange(size) + 0.5
    ways = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]) / size
    pictures = torch.zeros(4, frames, size, size)
    for clip, (right, down) in enumerate(ways.tolist()):
        for k in range(frames):
            x, y = place - 16 - k * right * size, place[:, None] - 16 - k * down * size
            pictures[clip, k] = (x**2 + y**2 < 64) * (0.5 + 0.2 * torch.sin(x) * torch.cos(y))
    tensors = {
        "frames": (pictures * 255).to(torch.uint8),
        "motion": ways[:, None, None, None].expand(-1, frames, 8, 8, -1).to(torch.float16),
    }
    return Bank(tensors, 25.0, 200.0, 0.0)


def test_the_tokenizer_learns_which_way_things_go_beside_the_picture():
    bank = drifting_bank()
    task = TokenizerTask(CONFIG, bank, bank, batch=4, frames=9)
    optimizer = torch.optim.Adam(task.model.parameters(), 5e-3)
    told = []
    for step in range(90):
        loss, scalars = task.loss(step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        told.append(scalars)
    first, last = ({name: sum(row[name] for row in rows) / 8 for name in ("displacement", "l1")}
                   for rows in (told[:8], told[-8:]))  # fmt: skip
    assert last["displacement"] < 0.7 * first["displacement"]  # one answer for all four ways gains nothing
    assert last["l1"] < 0.5 * first["l1"]


def test_motion_and_grain_are_learned_together(moving_bank):
    task = TokenizerTask(replace(CONFIG, grain=True), moving_bank, moving_bank, batch=2, frames=5)
    loss, scalars = task.loss(0)
    loss.backward()
    assert {"displacement", "motion", "strength", "beam", "keep"} <= set(scalars)
    for head in (task.model.decoder_motion.move, task.model.grain_head.local[-1]):
        assert float(head.weight.grad.abs().sum()) > 0
    model = task.model.eval()
    ids = model.encode(moving_bank.frames[:1, :9].float() / 255)
    with torch.inference_mode():
        plain, grained = model.decode(ids), model.decode(ids, grain_seed=0)
        chunks = torch.cat(list(model.decode_chunks(ids.split(1, 1), grain_seed=0)), 1)
    assert not torch.allclose(plain, grained, atol=1e-3) and torch.allclose(chunks, grained, atol=1e-4)


def test_both_decoders_are_shown_the_same_clips(moving_bank):
    plain, motion = (
        TokenizerTask(replace(CONFIG, decoder=kind), moving_bank, moving_bank, batch=2, frames=5)
        for kind in ("plain", "motion")
    )
    (one, without), (two, moves) = (task.pictures_of(torch.Generator().manual_seed(7)) for task in (plain, motion))
    assert torch.equal(one, two) and without is None and moves.shape == (2, 5, 8, 8, 2)


def test_clips_that_do_not_say_how_tissue_moves_are_refused(toy_bank):
    with pytest.raises(InputError, match="do not say how tissue moves"):
        TokenizerTask(CONFIG, toy_bank, toy_bank, batch=2, frames=5).loss(0)
