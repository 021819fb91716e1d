"""Grain: drawn as strong and as wide as asked, carried by the tissue, the same in blocks as at once."""

from dataclasses import replace

import pytest
import torch

from echopulse.model.config import PRESETS
from echopulse.model.grain import (
    LARGEST_SIGMA,
    SIGMAS,
    Grain,
    GrainHead,
    GrainPainter,
    above_background,
    add_grain,
    at_beam,
    beam_of,
    far_enough,
    grain_products,
    measure_beams,
)
from echopulse.model.tokenizer import Tokenizer
from echopulse.train.grain import carry, grain_losses

SIZE = 64


@pytest.fixture(scope="module")
def beams():
    return measure_beams(SIZE, draws=2)


def grain(frames: int = 6, *, strength=0.1, beam=(1.0, 2.0), keep=1.0, right=0.0, gain=1.0) -> Grain:
    motion = torch.zeros(1, frames, 8, 8, 2)
    motion[..., 0] = right
    return Grain(motion, torch.full((1, frames, 8, 8), strength), torch.tensor([beam]), torch.tensor([gain]),
                 torch.tensor([keep]))  # fmt: skip


def middle(pictures: torch.Tensor) -> torch.Tensor:
    return pictures[..., SIZE // 4 : -SIZE // 4, SIZE // 4 : -SIZE // 4]


def likeness(one: torch.Tensor, other: torch.Tensor) -> float:
    return float(torch.corrcoef(torch.stack([middle(one).flatten(), middle(other).flatten()]))[0, 1])


def test_it_is_as_strong_as_asked_whatever_the_beam(beams):
    for beam in ((0.7, 1.0), (1.0, 2.5), (2.0, 2.0)):
        gain = float(1 / at_beam(beams.spreads, torch.tensor([beam])))
        drawn = GrainPainter(1, SIZE)(grain(8, beam=beam, keep=0.0, gain=gain))
        assert float(middle(drawn).std()) == pytest.approx(0.1, rel=0.2)
        assert abs(float(middle(drawn).mean())) < 0.01


def test_a_wide_beam_draws_wide_grain_and_the_beam_is_told_from_it(beams):
    assert (beams.along[1:, 0] > beams.along[:-1, 0]).all() and (beams.across[0, 1:] > beams.across[0, :-1]).all()
    wanted = torch.tensor([[SIGMAS[2], SIGMAS[4]], [SIGMAS[3], SIGMAS[1]]])
    found = beam_of(at_beam(beams.along, wanted), at_beam(beams.across, wanted), beams)
    assert (found / wanted).log().abs().max() < 0.05


def test_without_motion_it_stands_still_and_without_memory_it_is_new_every_frame():
    still = GrainPainter(1, SIZE)(grain())[0]
    assert torch.allclose(still[0], still[5], atol=1e-6)
    new = GrainPainter(1, SIZE)(grain(keep=0.0))[0]
    assert abs(likeness(new[0], new[1])) < 0.25


def test_it_moves_with_the_tissue():
    step = 1 / SIZE  # one pixel a frame
    drawn = GrainPainter(1, SIZE)(grain(right=step, beam=(1.5, 2.5)))[0]
    followed = torch.roll(drawn[0], 4, dims=1)
    assert likeness(followed, drawn[4]) > 0.7 > likeness(drawn[0], drawn[4]) + 0.3


@pytest.mark.parametrize("stretch", [-0.05, 0.05])
def test_it_stays_as_strong_where_tissue_has_closed_in_or_spread_for_a_second(stretch):
    """Without the power brought to one it would be three and one and a half times as strong by then."""
    place = (torch.arange(16) + 0.5) / 16 - 0.5
    motion = stretch * torch.stack(torch.meshgrid(place, place, indexing="xy"), -1).expand(1, 30, -1, -1, -1)
    drawn = GrainPainter(1, SIZE)(replace(grain(30), motion=motion))[0]
    assert float(middle(drawn[-1]).std() / middle(drawn[0]).std()) == pytest.approx(1, abs=0.3)


def test_it_sets_in_away_from_the_probe_and_fades_with_the_picture():
    size = 128
    shown = far_enough(size)
    assert shown[0, size // 2] < 0.05 and (shown[size // 4 :] == 1).all()
    below = shown[:, size // 2]
    assert (below.diff() >= 0).all() and ((0 < below) & (below < 1)).any()
    drawn = GrainPainter(1, size)(grain(1))[0, 0]
    assert float(drawn[0, size // 2 - 2 : size // 2 + 2].abs().max()) < 0.1 * float(drawn.std())
    ramp = torch.tensor([0.0, 0.0125, 0.025, 0.5]).view(1, 1, 1, 4)
    added = (add_grain(ramp, torch.full_like(ramp, 0.01)) - ramp).flatten()
    assert added.tolist() == pytest.approx([0, 0.0025, 0.005, 0.01], abs=1e-6)


@torch.inference_mode()
def test_a_tokenizer_draws_in_chunks_what_it_draws_at_once():
    torch.manual_seed(0)
    config = replace(PRESETS["tiny"]["tokenizer"], grain=True)
    tokenizer = Tokenizer(config).eval()
    for layer in (tokenizer.grain_head.local[-1], tokenizer.grain_head.whole[-1]):
        torch.nn.init.normal_(layer.weight, std=0.5)
    draw = torch.Generator().manual_seed(1)
    ids = torch.randint(config.codebook_size, (2, 4, config.grid, config.grid), generator=draw)
    at_once = tokenizer.decode(ids, 3)
    assert float((at_once - tokenizer.decode(ids)).abs().max()) > 0.02
    for sizes in ((1, 1, 1, 1), (1, 3), (3, 1)):
        chunks = torch.cat(list(tokenizer.decode_chunks(ids.split(sizes, 1), 3)), 1)
        assert torch.allclose(chunks, at_once, atol=1e-5)


def test_blocks_give_what_the_whole_gives_and_a_seed_gives_the_same():
    whole = grain(7, keep=0.9, right=0.01)
    at_once = GrainPainter(1, SIZE, seed=3)(whole)
    painter = GrainPainter(1, SIZE, seed=3)
    blocks = torch.cat([painter(whole.between(slice(0, 1))), painter(whole.between(slice(1, 5))),
                        painter(whole.between(slice(5, 7)))], 1)  # fmt: skip
    assert torch.allclose(blocks, at_once, atol=1e-6)
    assert not torch.allclose(GrainPainter(1, SIZE, seed=4)(whole), at_once, atol=1e-3)


def test_clips_of_one_batch_are_drawn_as_each_by_itself():
    one = grain(3, beam=(1.0, 1.5), keep=0.8, right=0.01)
    other = replace(grain(3, beam=(2.0, 3.0), keep=0.5), strength=one.strength * 2)
    both = Grain(**{name: torch.cat([getattr(one, name), getattr(other, name)]) for name in vars(one)})
    drawn = GrainPainter(2, SIZE, seed=5)(both)
    assert torch.allclose(drawn[:1], GrainPainter(1, SIZE, seed=5)(one), atol=1e-5)
    assert torch.allclose(drawn[1:], GrainPainter(1, SIZE, seed=6)(other), atol=1e-5)


def test_black_stays_black_and_pictures_stay_within_bounds():
    pictures = torch.tensor([0.0, 0.5, 0.99]).view(1, 3, 1, 1).expand(-1, -1, SIZE, SIZE)
    shown = add_grain(pictures, 0.3 * torch.ones(1, 3, SIZE, SIZE))
    assert shown[:, 0].max() == 0 and shown.max() <= 1 and float(shown[0, 1, 0, 0]) == pytest.approx(0.8)


def test_the_head_says_one_beam_for_the_whole_clip_and_stays_within_its_bounds():
    torch.manual_seed(0)
    head = GrainHead(12, 4)
    for layer in (head.local[-1], head.whole[-1]):
        torch.nn.init.normal_(layer.weight, std=3.0)
    features = torch.randn(2 * 3, 12, 8, 8)
    said = head(features, 3)
    assert said.motion.shape == (2, 9, 8, 8, 2) and said.strength.shape == (2, 9, 8, 8)
    assert said.beam.min() >= 0.5 and said.beam.max() <= LARGEST_SIGMA and 0 <= said.keep.min() <= said.keep.max() <= 1
    shorter = head(features.unflatten(0, (2, 3))[:, :2].flatten(0, 1), 2)
    assert torch.equal(shorter.beam, said.beam) and torch.allclose(shorter.motion, said.motion[:, :5])


def test_what_is_drawn_is_what_the_losses_ask_for(beams):
    """Grain drawn on a flat grey field, held against the picture: the losses are small where it is said rightly."""
    said = grain(9, strength=0.08, beam=(1.0, 2.0), keep=0.9, right=0.008)
    said = replace(said, gain=1 / at_beam(beams.spreads, said.beam))
    flat = torch.full((1, 9, SIZE, SIZE), 0.5)
    pictures = add_grain(flat, GrainPainter(1, SIZE)(said))
    right = grain_losses(said, pictures, flat, said.motion, beams)
    wrong = grain_losses(
        Grain(-said.motion, said.strength / 3, said.beam.flip(1) * 1.5, said.gain, said.keep - 0.6),
        pictures, flat, said.motion, beams)  # fmt: skip
    assert all(float(right[name]) < 0.5 * float(wrong[name]) for name in right)
    assert set(right) == {"motion", "strength", "beam", "keep"}


def test_no_grain_is_missed_where_the_reconstruction_has_it_all(beams):
    picture = add_grain(torch.full((1, 5, SIZE, SIZE), 0.5), GrainPainter(1, SIZE)(grain(5, gain=2.0)))
    still = torch.zeros(1, 5, 8, 8, 2)
    nothing = replace(grain(5), strength=torch.zeros(1, 5, 8, 8))
    assert float(grain_losses(nothing, picture, picture, still, beams)["strength"]) == 0


def test_carrying_follows_the_motion_and_the_background_holds_no_grain():
    row = torch.arange(SIZE).float()
    picture = torch.sin(row / 3)[None].expand(SIZE, -1)
    moved = torch.roll(picture, 2, dims=1)
    motion = torch.zeros(1, 2, 8, 8, 2)
    motion[..., 0] = 2 / SIZE
    found = carry(torch.stack([picture, moved])[None], motion)[0, 0]
    assert torch.allclose(middle(found), middle(moved), atol=0.02)
    slope = (row / SIZE).expand(1, 1, SIZE, -1)
    assert float(middle(above_background(slope)).abs().max()) < 1e-4


def test_products_of_white_noise_with_its_neighbours_vanish():
    torch.manual_seed(0)
    noise = torch.randn(1, 4, 2 * SIZE, 2 * SIZE)
    energy, along, across = grain_products(noise, torch.ones_like(noise))
    assert abs(float(along / energy)) < 0.15 and abs(float(across / energy)) < 0.35  # polar samples share pixels
