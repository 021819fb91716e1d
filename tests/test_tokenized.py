"""A clip of any size and rate becomes tokens and a clip again: its times stay, and strangers' tokens are refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from echopulse.echo import Clip
from echopulse.errors import InputError
from echopulse.model.config import PRESETS, TokenizerConfig
from echopulse.model.tokenizer import Tokenizer
from echopulse.tokenized import (
    at_rate,
    compare,
    decode,
    hash_of_tokenizer,
    load_tokens,
    save_tokens,
    side_by_side,
    tokenize,
)

CONFIG = PRESETS["tiny"]["tokenizer"]


def network(config: TokenizerConfig = CONFIG, seed: int = 0) -> Tokenizer:
    torch.manual_seed(seed)
    return Tokenizer(config).eval()


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return network()


def made_clip(frames: int = 10, fps: float = 25.0, start_s: float = 1.5, size: int = 32) -> Clip:
    """A disc in a dark picture whose brightness rises by 100 grey levels a second."""
    place = np.arange(size) - size / 2
    disc = place[:, None] ** 2 + place**2 < (0.4 * size) ** 2
    values = 60 + 100 * np.arange(frames) / fps
    return Clip(
        (disc * values[:, None, None]).round().astype(np.uint8), start_s + np.arange(frames) / fps, view="a4c",
        pixel_spacing_cm=0.5, sector=disc, provenance={"path": "clip.mp4"},
    )  # fmt: skip


@pytest.mark.parametrize("fps", [10.0, 25.0, 30.0, 50.0])
def test_any_rate_is_brought_to_the_models_and_every_picture_stays_at_its_time(fps):
    clip = at_rate(made_clip(int(fps), fps), 25.0)
    assert len(clip.frames) == 1 + int((int(fps) - 1) / fps * 25 + 1e-6) and clip.times_s[0] == 1.5
    assert np.allclose(np.diff(clip.times_s), 0.04)
    assert np.abs(clip.frames[:, 16, 16] - (60 + 100 * (clip.times_s - 1.5))).max() <= 1
    assert (clip.view, clip.pixel_spacing_cm) == ("a4c", 0.5)


def test_a_clip_of_the_models_rate_stays_as_it_is_and_uneven_times_are_evened():
    clip = made_clip()
    assert np.array_equal(at_rate(clip, 25.0).frames, clip.frames)
    uneven = replace(clip, frames=clip.frames[[0, 1, 4, 9]], times_s=clip.times_s[[0, 1, 4, 9]])
    assert np.abs(at_rate(uneven, 25.0).frames.astype(int) - clip.frames).max() <= 1


@pytest.mark.parametrize("frames", [1, 2, 5, 10])
def test_any_number_of_pictures_comes_back_at_the_same_times(tokenizer, frames):
    clip = made_clip(frames)
    tokenized = tokenize(tokenizer, clip)
    assert tokenized.tokens.ids.shape == (CONFIG.latent_frames(frames), 2, 2)
    again = decode(tokenizer, tokenized)
    assert again.frames.shape == clip.frames.shape and np.allclose(again.times_s, clip.times_s)
    assert again.synthetic and again.view == "a4c" and again.provenance["path"] == "clip.mp4"


def test_latent_frames_carry_the_time_of_their_pictures_and_bits_are_counted(tokenizer):
    tokenized = tokenize(tokenizer, made_clip(9))
    assert tokenized.tokens.times_s.tolist() == pytest.approx([1.5, 1.5 + 0.1, 1.5 + 0.26])
    assert tokenized.bits_per_second == pytest.approx(3 * 4 * 14 * 25 / 9)


@pytest.mark.parametrize("chunk", [1, 2, 3])
def test_chunks_change_nothing(tokenizer, chunk):
    clip = made_clip(23)
    whole, parts = tokenize(tokenizer, clip, chunk=100), tokenize(tokenizer, clip, chunk=chunk)
    assert torch.equal(whole.tokens.ids, parts.tokens.ids)
    told = []
    frames = decode(tokenizer, whole, chunk=chunk, on_step=told.append).frames
    assert np.abs(frames.astype(int) - decode(tokenizer, whole, chunk=100).frames).max() <= 1
    assert len(told) == -(-7 // chunk)


def test_tokens_survive_the_disk(tokenizer, tmp_path):
    tokenized = tokenize(tokenizer, made_clip())
    save_tokens(tokenized, tmp_path / "tokens.npz")
    again = load_tokens(tmp_path / "tokens.npz")
    assert torch.equal(again.tokens.ids, tokenized.tokens.ids) and again.tokens.ids.dtype == torch.int64
    assert torch.equal(again.tokens.times_s, tokenized.tokens.times_s)
    assert replace(again, tokens=None) == replace(tokenized, tokens=None)
    assert [path.name for path in tmp_path.iterdir()] == ["tokens.npz"]


def test_what_holds_no_tokens_is_refused_in_a_sentence(tokenizer, tmp_path):
    with pytest.raises(InputError, match="no such file; give what"):
        load_tokens(tmp_path / "none.npz")
    path = tmp_path / "t.npz"
    save_tokens(tokenize(tokenizer, made_clip()), path)
    whole = path.read_bytes()
    for content in (b"", b"PK", whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(InputError, match="holds no tokens"):
            load_tokens(path)
    np.savez(path, frames=np.zeros((2, 4, 4), np.uint8), times=np.zeros(2))
    with pytest.raises(InputError, match="holds no tokens"):
        load_tokens(path)
    save_tokens(replace(tokenize(tokenizer, made_clip()), codes=3), path)
    with pytest.raises(InputError, match="holds no tokens"):
        load_tokens(path)


def test_tokens_of_another_tokenizer_are_refused(tokenizer):
    tokenized = tokenize(tokenizer, made_clip())
    other = network(seed=1)
    with pytest.raises(InputError, match=rf"{hash_of_tokenizer(tokenizer)}, not of {hash_of_tokenizer(other)}; give"):
        decode(other, tokenized)
    assert hash_of_tokenizer(network()) == hash_of_tokenizer(tokenizer)
    levels = (replace(CONFIG, quantizer="fsq", levels=levels) for levels in ((8, 5, 4), (5, 8, 4)))
    assert len({hash_of_tokenizer(network(config)) for config in levels}) == 2  # the same weights


def test_grain_is_drawn_where_it_is_known_in_any_chunks_and_refused_elsewhere(tokenizer):
    with pytest.raises(InputError, match="has not learned to draw it"):
        decode(tokenizer, tokenize(tokenizer, made_clip()), grain_seed=0)
    grained = network(replace(CONFIG, grain=True))
    tokenized = tokenize(grained, made_clip())
    mean, drawn, pieces = (decode(grained, tokenized, **how).frames.astype(int) for how in (
        {}, {"grain_seed": 0}, {"grain_seed": 0, "chunk": 1}
    ))  # fmt: skip
    assert np.abs(drawn - mean).max() > 2 and np.abs(drawn - pieces).max() <= 1


def test_losses_are_those_of_the_pictures_and_of_the_sector_alone():
    clip = made_clip(20)
    same = compare(clip, clip)
    assert same.mse == 0 and same.ssim == pytest.approx(1) and same.sector_ssim == pytest.approx(1)
    darker = replace(clip, frames=np.where(clip.sector, clip.frames - 20, clip.frames).astype(np.uint8))
    loss, share = compare(clip, darker, at_once=8), clip.sector.mean()
    assert loss.mse == pytest.approx(share * (20 / 255) ** 2, rel=1e-4)
    assert loss.sector_psnr_db == pytest.approx(-20 * np.log10(20 / 255), abs=1e-3)
    assert loss.psnr_db == pytest.approx(-10 * np.log10(loss.mse))


def test_the_sheet_has_both_rows_and_few_columns():
    short, long = (side_by_side(made_clip(count), decoded=made_clip(count)) for count in (10, 400))
    assert short.shape[0] == long.shape[0] and short.dtype == np.uint8
    assert short.shape[1] < long.shape[1] < 2200
