"""The tokenizer's promises, on a tiny network with random weights: strictly causal, 1 + 4k, nothing else."""

from dataclasses import replace

import pytest
import torch

from echopulse.errors import InputError
from echopulse.model.config import PRESETS, TokenizerConfig
from echopulse.model.tokenizer import Tokenizer

CONFIG = PRESETS["tiny"]["tokenizer"]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    """Random weights; the time mixers, which start at zero, are woken up so that leaks through time would show."""
    torch.manual_seed(0)
    network = Tokenizer(CONFIG)
    for name, parameter in network.named_parameters():
        if ".time." in name:
            torch.nn.init.normal_(parameter, std=0.2)
    return network.eval()


def pictures(frames: int, seed: int = 0, clips: int = 1) -> torch.Tensor:
    return torch.rand(clips, frames, CONFIG.size, CONFIG.size, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def features_of(tokenizer: Tokenizer, clip: torch.Tensor) -> torch.Tensor:
    return tokenizer.features(clip)


@pytest.mark.parametrize("frames", [1, 5, 9, 13])
def test_one_and_four_k_frames_become_one_and_k_latent_frames_and_come_back(tokenizer, frames):
    ids = tokenizer.encode(pictures(frames))
    assert ids.shape == (1, 1 + (frames - 1) // 4, CONFIG.grid, CONFIG.grid) and ids.dtype == torch.int64
    assert CONFIG.latent_frames(frames) == ids.shape[1]
    assert 0 <= int(ids.min()) and int(ids.max()) < 2**CONFIG.bits
    again = tokenizer.decode(ids).detach()
    assert again.shape == (1, frames, CONFIG.size, CONFIG.size)
    assert 0 <= float(again.min()) and float(again.max()) <= 1


@pytest.mark.parametrize(("frames", "latents"), [(1, 1), (2, 2), (5, 2), (6, 3), (65, 17), (100, 26)])
def test_latent_frames_are_enough_for_any_number_of_pictures(frames, latents):
    assert TokenizerConfig().latent_frames(frames) == latents


@pytest.mark.parametrize("shape", [(2, 32, 32), (4, 32, 32), (5, 64, 64), (5, 32, 48)])
def test_other_sizes_are_refused_saying_what_was_got_and_expected(tokenizer, shape):
    with pytest.raises(InputError, match=r"1 \+ 4k pictures of 32×32; got"):
        tokenizer.encode(torch.zeros(1, *shape))


def test_later_frames_never_change_earlier_tokens(tokenizer):
    clip, other = pictures(13), pictures(13, seed=1)
    for latent in range(1, 4):
        first_changed = 4 * latent - 3
        mixed = torch.cat([clip[:, :first_changed], other[:, first_changed:]], 1)
        a, b = features_of(tokenizer, clip), features_of(tokenizer, mixed)
        assert torch.equal(a[:, :latent], b[:, :latent])
        assert not torch.allclose(a[:, latent], b[:, latent])


def test_tokens_do_depend_on_the_frames_before(tokenizer):
    clip, other = pictures(13), pictures(13, seed=1)
    mixed = torch.cat([other[:, :9], clip[:, 9:]], 1)
    assert not torch.allclose(features_of(tokenizer, clip)[:, 3], features_of(tokenizer, mixed)[:, 3])


def test_encoding_a_prefix_gives_the_prefix_of_the_encoding(tokenizer):
    clip = pictures(13)
    assert torch.equal(tokenizer.encode(clip)[:, :2], tokenizer.encode(clip[:, :5]))


def test_decoding_a_prefix_gives_the_prefix_of_the_decoding(tokenizer):
    ids = torch.randint(2**CONFIG.bits, (1, 4, CONFIG.grid, CONFIG.grid), generator=torch.Generator().manual_seed(0))
    whole = tokenizer.decode(ids)
    for latents in (1, 2, 3):
        part = tokenizer.decode(ids[:, :latents])
        assert torch.allclose(part, whole[:, : part.shape[1]], atol=1e-6)


def test_clips_of_a_batch_do_not_see_each_other(tokenizer):
    two = pictures(5, clips=2)
    assert torch.equal(tokenizer.encode(two)[1], tokenizer.encode(two[1:])[0])


def test_training_gradients_reach_the_first_layer_through_the_codes(tokenizer):
    quantized = tokenizer.quantize(pictures(5))
    tokenizer.decode_codes(quantized.codes).mean().backward()
    assert float(tokenizer.encoder_in.weight.grad.abs().sum()) > 0
    tokenizer.zero_grad()


# --- piece by piece ---


@pytest.mark.parametrize("sizes", [(1, 1, 1, 1), (2, 2), (1, 3), (3, 1), (4,)])
def test_decoding_in_chunks_is_decoding_the_whole(tokenizer, sizes):
    ids = torch.randint(2**CONFIG.bits, (2, 4, CONFIG.grid, CONFIG.grid), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        chunks = list(tokenizer.decode_chunks(ids.split(sizes, 1)))
        assert [chunk.shape[1] for chunk in chunks] == [4 * size - 3 * (not index) for index, size in enumerate(sizes)]
        assert torch.allclose(torch.cat(chunks, 1), tokenizer.decode(ids), atol=1e-5, rtol=0)


@pytest.mark.parametrize("sizes", [(1, 4, 4, 4), (5, 8), (2, 2, 9), (13,), (3, 1, 1, 1, 7)])
def test_encoding_in_chunks_is_encoding_the_whole_whatever_their_lengths(tokenizer, sizes):
    clip = pictures(13)
    with torch.inference_mode():
        assert torch.equal(torch.cat(list(tokenizer.encode_chunks(clip.split(sizes, 1))), 1), tokenizer.encode(clip))


def test_encoding_in_chunks_gives_each_latent_frame_as_soon_as_its_pictures_are_in(tokenizer):
    given = []

    def arriving():
        for picture in pictures(9).split(1, 1):
            given.append(picture)
            yield picture

    with torch.inference_mode():
        assert [len(given) for _ in tokenizer.encode_chunks(arriving())] == [1, 5, 9]


def test_a_stream_that_breaks_off_within_a_latent_frame_or_changes_its_size_is_refused(tokenizer):
    with pytest.raises(InputError, match=r"1 \+ 4k pictures of 32×32; got 7 of 32×32"):
        list(tokenizer.encode_chunks(pictures(7).split(3, 1)))
    with pytest.raises(InputError, match="64×64"):
        list(tokenizer.encode_chunks([pictures(5), torch.zeros(1, 4, 64, 64)]))


@pytest.mark.parametrize("choice", [{"quantizer": "fsq", "levels": (8, 5, 4)}, {"quantizer": "vq", "codes": 100}])
def test_other_quantizers_make_the_same_tokenizer(choice):
    torch.manual_seed(0)
    config = replace(CONFIG, **choice)
    network = Tokenizer(config)
    quantized = network.quantize(pictures(5))
    network.decode_codes(quantized.codes).mean().backward()
    assert float(network.encoder_in.weight.grad.abs().sum()) > 0
    ids = network.eval().encode(pictures(9))
    assert ids.shape == (1, 3, CONFIG.grid, CONFIG.grid) and int(ids.max()) < config.codebook_size
    assert network.decode(ids).shape == (1, 9, CONFIG.size, CONFIG.size)
