"""A clip as a file of tokens, and back: what anybody's echo costs in bits and loses on the way."""

from __future__ import annotations

import json
import math
import os
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from echopulse.echo import Clip
from echopulse.echo.sector import find_sector
from echopulse.errors import InputError
from echopulse.evaluate.identity import hash_of_networks, hash_of_settings
from echopulse.evaluate.metrics import mse, ssim
from echopulse.model.precision import mixed_precision
from echopulse.model.tokenizer import Tokenizer
from echopulse.model.types import Tokens
from echopulse.model.windows import latent_times

CHUNK = 16  # latent frames at once: memory does not grow with the clip
SECTOR_FRAMES = 8  # from which a sector is found that nobody gave
COLUMNS = 16  # of a sheet


@dataclass(frozen=True)
class Tokenized:
    """A clip as tokens: `frames` pictures at `fps` from `start_s` on (the last latent frame may hold more).

    tokenizer: hash of the weights that made the tokens and that alone can read them; codes: size of their codebook;
    facts: view, pixel spacing and provenance of the clip.
    """

    tokens: Tokens
    fps: float
    frames: int
    tokenizer: str
    codes: int
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def start_s(self) -> float:
        """The time of the first picture."""
        return float(self.tokens.times_s[0])

    @property
    def bits_per_second(self) -> float:
        """Of the ids, each taking log2 of the codebook's size, over the time that the pictures fill."""
        return self.tokens.ids.numel() * math.log2(self.codes) * self.fps / self.frames


def hash_of_tokenizer(tokenizer: Tokenizer) -> str:
    """16 hexadecimal digits of all that gives ids their meaning: the weights and the levels that stand in none."""
    levels = list(tokenizer.config.levels) if tokenizer.config.quantizer == "fsq" else []
    return hash_of_settings({"levels": levels, "weights": hash_of_networks([tokenizer])})


def at_rate(clip: Clip, fps: float) -> Clip:
    """The clip at `fps` from its first picture on, blended linearly between the two nearest in time."""
    count = 1 + int((clip.times_s[-1] - clip.times_s[0]) * fps + 1e-6)
    times_s = clip.times_s[0] + np.arange(count) / fps
    place = np.interp(times_s, clip.times_s, np.arange(len(clip.times_s)))
    low = np.minimum((place + 1e-6).astype(int), max(0, len(clip.frames) - 2))
    part = np.round(place - low, 6)
    frames = np.empty((count, *clip.frames.shape[1:]), np.uint8)
    for index, (first, share) in enumerate(zip(low, part, strict=True)):
        one, other = clip.frames[first], clip.frames[min(first + 1, len(clip.frames) - 1)]
        frames[index] = np.rint(one * (1 - share) + other * share) if share else one
    kept = {"view": clip.view, "pixel_spacing_cm": clip.pixel_spacing_cm, "sector": clip.sector}
    return Clip(frames, times_s, synthetic=clip.synthetic, provenance=clip.provenance, **kept)


@torch.inference_mode()
def tokenize(tokenizer: Tokenizer, clip: Clip, *, chunk: int = CHUNK) -> Tokenized:
    """The tokens of a clip of the tokenizer's size and rate (`at_rate`); the last picture is held to fill up."""
    config = tokenizer.config
    missing = -(len(clip.frames) - 1) % config.frames_per_latent
    frames = np.concatenate([clip.frames, clip.frames[-1:].repeat(missing, 0)])
    device = next(tokenizer.parameters()).device
    ids = []
    with mixed_precision(device):
        pictures = (part[None].to(device).float() / 255 for part in _chunks(frames, chunk * config.frames_per_latent))
        ids = [part[0].cpu() for part in tokenizer.encode_chunks(pictures)]
    whole = torch.cat(ids)
    times_s = clip.times_s[0] + latent_times(torch.arange(len(whole)), config.frames_per_latent, config.fps).double()
    facts = {"view": clip.view, "pixel_spacing_cm": clip.pixel_spacing_cm, "provenance": clip.provenance}
    tokens = Tokens(whole, times_s)
    return Tokenized(tokens, config.fps, len(clip.frames), hash_of_tokenizer(tokenizer), config.codebook_size, facts)


def decode(
    tokenizer: Tokenizer,
    tokenized: Tokenized,
    *,
    chunk: int = CHUNK,
    grain_seed: int | None = None,
    on_step: Callable[[float], None] = lambda _: None,
) -> Clip:
    """The clip that the tokens stand for, marked as synthetic: a network drew it.

    In the mean, nearest to what was encoded; with a `grain_seed` as it looks, with the speckle that tokens cannot hold.
    Raises InputError where another tokenizer made them, or for grain of a tokenizer that knows none.
    """
    if grain_seed is not None and not tokenizer.config.grain:
        raise InputError("grain: this tokenizer has not learned to draw it; leave it out or train one with --grain.")
    mine = hash_of_tokenizer(tokenizer)
    if tokenized.tokenizer != mine:
        raise InputError(
            f"these tokens are of the tokenizer {tokenized.tokenizer}, not of {mine}; give the folder of the former as "
            "--model."
        )
    device, ids = next(tokenizer.parameters()).device, tokenized.tokens.ids
    frames = []
    with torch.inference_mode(), mixed_precision(device):
        for pictures in tokenizer.decode_chunks((part[None].to(device) for part in ids.split(chunk)), grain_seed):
            frames.append((pictures[0].float() * 255).round().to(torch.uint8).cpu().numpy())
            on_step(len(frames) * chunk / len(ids))
    return Clip(
        np.concatenate(frames)[: tokenized.frames],
        tokenized.start_s + np.arange(tokenized.frames) / tokenized.fps,
        view=tokenized.facts.get("view"),
        pixel_spacing_cm=tokenized.facts.get("pixel_spacing_cm"),
        synthetic=True,
        provenance={**tokenized.facts.get("provenance", {}), "decoded by the tokenizer": tokenized.tokenizer},
    )


def _chunks(frames: np.ndarray, length: int) -> Iterator[Tensor]:
    for first in range(0, len(frames), length):
        yield torch.from_numpy(frames[first : first + length])


def save_tokens(tokenized: Tokenized, path: Path) -> None:
    """An .npz, whole or not at all: ids int32 [t', h', w'], times float64 [t'], and the rest as JSON in `about`."""
    about = {name: value for name, value in vars(tokenized).items() if name != "tokens"}
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            np.savez_compressed(
                file,
                ids=tokenized.tokens.ids.numpy().astype(np.int32),
                times=tokenized.tokens.times_s.numpy(),
                about=np.array(json.dumps(about, default=str)),
            )
        os.replace(partial, path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error}); choose another place.") from error
    finally:
        partial.unlink(missing_ok=True)


def load_tokens(path: Path) -> Tokenized:
    """What `save_tokens` wrote; raises InputError for anything else."""
    if not path.is_file():
        raise InputError(f"{path}: no such file; give what `echopulse tokenize` wrote.")
    try:
        with np.load(path, allow_pickle=False) as stored:
            ids, times, about = stored["ids"], stored["times"], json.loads(str(stored["about"]))
        tokens = Tokens(torch.from_numpy(ids.astype(np.int64)), torch.from_numpy(times.astype(np.float64)))
        tokenized = Tokenized(tokens, **about)
        wrong = ids.ndim != 3 or times.shape != ids.shape[:1] or not 0 < tokenized.frames or ids.min() < 0
        if wrong or ids.max() >= tokenized.codes:
            raise ValueError("arrays that do not fit each other")
    except (ValueError, TypeError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: holds no tokens of a clip; give what `echopulse tokenize` wrote.") from error
    return tokenized


@dataclass(frozen=True)
class Loss:
    """What a decoded clip differs in from the one that went in: pictures in 0..1, SSIM with a window of 11 pixels.

    The `sector_` figures are of the part that the scanner draws; NaN where it is not known.
    """

    mse: float
    psnr_db: float
    ssim: float
    sector_psnr_db: float
    sector_ssim: float


def compare(original: Clip, decoded: Clip, *, at_once: int = 64) -> Loss:
    """The errors of `decoded` against `original`, frame by frame."""
    sector = original.sector if original.sector is not None else find_sector(original.frames[:SECTOR_FRAMES])
    inside = None if sector is None else torch.from_numpy(sector)
    sums, count = np.zeros(4), len(original.frames)
    for first in range(0, count, at_once):
        one, other = (torch.from_numpy(c.frames[first : first + at_once]).float() / 255 for c in (original, decoded))
        found = [mse(other, one), ssim(other, one), math.nan, math.nan]
        if inside is not None:
            found[2:] = mse(other, one, inside), ssim(other, one, inside)
        sums += np.asarray(found) * len(one)
    whole, alike, part, part_alike = (float(value) for value in sums / count)
    return Loss(whole, _decibels(whole), alike, _decibels(part), part_alike)


def _decibels(error: float) -> float:
    return math.inf if error == 0 else -10 * math.log10(error)


def side_by_side(original: Clip, **others: Clip) -> np.ndarray:
    """The clip above, what became of it below, each under its name, every few frames: a sheet uint8 [h, w, 3]."""
    from echopulse.echo import strip_sheet

    every = max(4, math.ceil(len(original.frames) / COLUMNS))
    names = ["original", *(name.replace("_", " ") for name in others)]
    return strip_sheet([original, *others.values()], names, every_s=every / original.fps)
