"""Key and motion: pictures bent as asked, in chunks as at once, causal, and gradients that reach all of it."""

from dataclasses import replace

import pytest
import torch

from echopulse.errors import InputError
from echopulse.model.config import PRESETS, TokenizerConfig
from echopulse.model.motion import FARTHEST, KeyAndMotion, _unfold, bend
from echopulse.model.tokenizer import Tokenizer

CONFIG = replace(PRESETS["tiny"]["tokenizer"], decoder="motion")
SIZE = 64


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    """Random weights; what starts at zero is woken up, so that leaks through time and motion would show."""
    torch.manual_seed(0)
    network = Tokenizer(CONFIG)
    for name, parameter in network.named_parameters():
        if ".time." in name or ".move." in name:
            torch.nn.init.normal_(parameter, std=0.2)
    return network.eval()


def tokens(latents: int, clips: int = 2, seed: int = 0) -> torch.Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randint(2**CONFIG.bits, (clips, latents, CONFIG.grid, CONFIG.grid), generator=draw)


def inner(pictures: torch.Tensor) -> torch.Tensor:
    return pictures[..., 12:-12, 12:-12]


# --- bending ---


def test_a_displacement_moves_the_picture_right_and_down_also_by_half_a_pixel():
    row, column = torch.meshgrid(torch.arange(SIZE) + 0.5, torch.arange(SIZE) + 0.5, indexing="ij")

    def hill(right: float, down: float) -> torch.Tensor:
        return torch.exp(-((column - 30 - right) ** 2 + (row - 34 - down) ** 2) / 50)

    asked = [(6.0, 0.0), (0.0, -3.0), (2.5, 4.25)]  # pixels
    field = torch.tensor(asked)[None, :, :, None, None].expand(-1, -1, -1, 16, 16) / SIZE
    found = bend(torch.stack([hill(0, 0), 2 * hill(0, 0)])[None], field)
    assert found.shape == (1, 3, 2, SIZE, SIZE)
    for moved, (right, down) in zip(found[0], asked, strict=True):
        assert torch.allclose(moved[0], hill(right, down), atol=0.01)
        assert torch.allclose(moved[1], 2 * hill(right, down), atol=0.02)


def test_without_displacement_nothing_moves_and_clips_of_a_batch_move_apart():
    pictures = torch.rand(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    field = torch.zeros(2, 1, 2, 16, 16)
    field[1, :, 0] = 1 / SIZE
    found = bend(pictures, field)[:, 0]
    assert torch.allclose(found[0], pictures[0], atol=1e-5)
    assert torch.allclose(found[1, :, :, 1:], pictures[1, :, :, :-1], atol=1e-4)


def test_a_picture_that_is_not_square_is_moved_in_picture_heights_too():
    pictures = torch.rand(1, 1, 32, 48, generator=torch.Generator().manual_seed(0))
    field = torch.zeros(1, 1, 2, 8, 12)
    field[:, :, 0] = 2 / 32
    assert torch.allclose(bend(pictures, field)[0, 0, :, :, 2:], pictures[0, :, :, :-2], atol=1e-4)


def test_with_the_gate_shut_and_a_known_displacement_the_decoder_draws_the_key_moved():
    """Four pixels to the right for all later pictures; the own texture must not show."""
    torch.manual_seed(1)
    step = KeyAndMotion(8, 4)
    with torch.no_grad():
        step.move.bias.view(4, 3)[:] = torch.tensor([float(torch.atanh(torch.tensor(4 / SIZE / FARTHEST))), 0.0, -30.0])
        features = torch.randn(2 * 3, 8, SIZE // 4, SIZE // 4)
        pictures = step(features, 3, step.key(features, 3), begins=True)
        said = step.displacement(features, 3)
    assert pictures.shape == (2, 9, SIZE, SIZE) and said.shape == (2, 9, SIZE // 4, SIZE // 4, 2)
    assert not said[:, 0].any() and torch.allclose(said[:, 1:, ..., 0], torch.tensor(4 / SIZE))
    for later in range(1, 9):
        assert torch.allclose(inner(pictures[:, later, :, 4:]), inner(pictures[:, 0, :, :-4]), atol=1e-3)


def test_cells_unfold_as_in_a_pixel_shuffle_of_each_picture():
    cells = torch.rand(3, 2 * 5 * 16, 4, 6, generator=torch.Generator().manual_seed(0))
    expected = torch.nn.functional.pixel_shuffle(cells.unflatten(1, (2, -1)).flatten(0, 1), 4)
    assert torch.equal(_unfold(cells, 2), expected)


# --- the tokenizer's promises, kept with this decoder ---


@pytest.mark.parametrize("frames", [1, 5, 9])
def test_any_number_of_latent_frames_comes_back_also_a_single_picture(tokenizer, frames):
    clip = torch.rand(2, frames, CONFIG.size, CONFIG.size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        again = tokenizer.decode(tokenizer.encode(clip))
    assert again.shape == clip.shape and again.isfinite().all() and float(again.std()) > 0


@pytest.mark.parametrize("sizes", [(1, 1, 1, 1, 1), (2, 3), (1, 4), (4, 1), (5,)])
def test_decoding_in_chunks_is_decoding_the_whole(tokenizer, sizes):
    ids = tokens(5)
    with torch.inference_mode():
        chunks = list(tokenizer.decode_chunks(ids.split(sizes, 1)))
        assert [chunk.shape[1] for chunk in chunks] == [4 * size - 3 * (not index) for index, size in enumerate(sizes)]
        assert torch.allclose(torch.cat(chunks, 1), tokenizer.decode(ids), atol=1e-5, rtol=0)


def test_a_chunk_that_goes_on_without_its_key_is_refused(tokenizer):
    features, _ = tokenizer.ascend(tokenizer.quantizer.to_codes(tokens(2)))
    with pytest.raises(ValueError, match="need its key"):
        tokenizer.picture(features, 2, begins=False)


@torch.inference_mode()
def test_later_tokens_never_change_earlier_pictures_and_the_key_changes_all(tokenizer):
    ids, other = tokens(4), tokens(4, seed=1)
    whole = tokenizer.decode(ids)
    for latent in (1, 2, 3):
        mixed = tokenizer.decode(torch.cat([ids[:, :latent], other[:, latent:]], 1))
        same = 4 * latent - 3
        assert torch.equal(mixed[:, :same], whole[:, :same])
        assert not torch.allclose(mixed[:, same], whole[:, same])
    codes, far = (tokenizer.quantizer.to_codes(torch.cat([first[:, :1], ids[:, 1:]], 1)) for first in (ids, other))
    features, _ = tokenizer.ascend(codes)
    keys = [tokenizer.key(tokenizer.ascend(these)[0], 4) for these in (codes, far)]
    one, two = (tokenizer.picture(features, 4, begins=False, key=key) for key in keys)
    assert all(not torch.allclose(one[:, k], two[:, k]) for k in range(16))


@torch.inference_mode()
def test_in_bfloat16_the_picture_is_nearly_the_same_and_chunks_still_agree(tokenizer):
    ids = tokens(4)
    exact = tokenizer.decode(ids)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = tokenizer.decode(ids)
        chunks = torch.cat(list(tokenizer.decode_chunks(ids.split(1, 1))), 1)
    assert rounded.dtype == torch.float32 and float((rounded - exact).abs().mean()) < 0.02
    assert float((chunks - rounded).abs().mean()) < 0.01


def test_training_reaches_every_weight_of_the_decoder_and_the_first_of_the_encoder():
    torch.manual_seed(0)
    network = Tokenizer(CONFIG)
    assert not hasattr(network, "decoder_out")  # no weight that nothing uses
    torch.nn.init.normal_(network.decoder_motion.move.weight, std=0.1)  # it begins at zero and then lets nothing by
    clip = torch.rand(1, 9, CONFIG.size, CONFIG.size, generator=torch.Generator().manual_seed(0))
    network.decode_codes(network.quantize(clip).codes).square().mean().backward()
    for name, parameter in network.decoder_motion.named_parameters():
        assert float(parameter.grad.abs().sum()) > 0, name
    assert float(network.encoder_in.weight.grad.abs().sum()) > 0


def test_it_begins_with_a_still_key_half_mixed_with_its_own_picture_and_gradient_moves_it():
    torch.manual_seed(0)
    step = KeyAndMotion(8, 4)
    features = torch.randn(3, 8, 8, 8)
    assert not step.displacement(features, 3).any() and step.displacement(features, 1).shape == (3, 1, 8, 8, 2)
    step(features, 3, step.key(features, 3), begins=True).square().mean().backward()
    moves = step.move.weight.grad.unflatten(0, (4, 3))
    assert (moves.abs().flatten(2).sum(2) > 0).all()  # right, down and gate of each of the four pictures


# --- what may be chosen ---


def test_unknown_decoders_and_patches_are_refused_in_one_sentence():
    with pytest.raises(InputError, match="decoder 'warp': expected one of plain, motion."):
        TokenizerConfig(decoder="warp")
    for patch in (4, 0, 32):
        with pytest.raises(InputError, match=f"patch {patch}: a token shows 16 or 8 pixels along its side."):
            TokenizerConfig(patch=patch)


@pytest.mark.parametrize("decoder", ["plain", "motion"])
def test_small_patches_make_four_times_as_many_tokens(decoder):
    torch.manual_seed(0)
    config = replace(CONFIG, patch=8, decoder=decoder)
    network = Tokenizer(config).eval()
    clip = torch.rand(1, 9, config.size, config.size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        ids = network.encode(clip)
        assert ids.shape == (1, 3, 4, 4) and config.grid == 2 * CONFIG.grid
        assert network.decode(ids).shape == clip.shape
        assert torch.allclose(
            torch.cat(list(network.decode_chunks(ids.split(1, 1))), 1), network.decode(ids), atol=1e-5
        )
