"""The tokenizer's recipe: say the picture again, most of all where it moves."""

from collections.abc import Iterator, Mapping
from typing import Protocol

import torch
from torch import Tensor

from echopulse.errors import InputError
from echopulse.evaluate.reconstruction import reconstruction_scores
from echopulse.model.config import TokenizerConfig
from echopulse.model.grain import measure_beams
from echopulse.model.quantizer import codebook_use, live_bits
from echopulse.model.tokenizer import Tokenizer
from echopulse.model.types import ids_to_bits
from echopulse.train.grain import grain_losses
from echopulse.train.losses.balance import Balancer
from echopulse.train.losses.judges import Judges
from echopulse.train.losses.picture import ADVERSARY_FROM, picture_losses
from echopulse.train.losses.weights import loss_weights
from echopulse.train.motion import motion_losses
from echopulse.train.state import under


class Clips(Protocol):
    """Where batches come from: a bank of simulated clips, or anybody's videos."""

    def draw(self, count: int, frames: int, generator: torch.Generator) -> Tensor:
        """uint8 [count, frames, h, w], of the tokenizer's size and drawn by the generator alone."""

    def first(self, count: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The same clips every time, at most `count`: uint8 [t, h, w], each with the part that counts, bool [h, w]."""

    def refresh(self) -> int:
        """Takes in what has arrived since; returns how many clips came."""


class TokenizerTask:
    """Stretches of `frames` pictures, held to every loss whose weight is above 0.

    `weights` change those of `losses.weights`, by the names under which the losses are logged; with `balance` they are
    shares of the gradient at the decoder's output. `judges` are the networks that some losses look through. After
    `adversary_from` of the run there is an adversary, if `adversarial` has a weight. `model` is a tokenizer that has
    learned already, of the same configuration; without it one begins by chance. With `keep_tokens` only the decoder
    learns, so that a generator of these tokens can go on with it. With `keep_grain` what draws grain stays as it is,
    which clips will do for that do not say how tissue moves.
    """

    name = "tokenizer"

    def __init__(
        self,
        config: TokenizerConfig,
        bank: Clips,
        held_out: Clips,
        *,
        batch: int = 6,
        frames: int = 13,
        device: str = "cpu",
        seed: int = 0,
        model: Tokenizer | None = None,
        weights: Mapping[str, float] | None = None,
        balance: bool = False,
        judges: Judges | None = None,
        adversary_from: float = ADVERSARY_FROM,
        keep_tokens: bool = False,
        keep_grain: bool = False,
    ):
        torch.manual_seed(seed)
        self.config = config
        self.model = (model or Tokenizer(config)).to(device)
        self.bank, self.held_out = bank, held_out
        self.batch, self.frames, self.device = batch, frames, device
        self.keep_tokens, self.keep_grain = keep_tokens, keep_grain
        self.learns_grain = config.grain and not keep_grain
        if self.learns_grain:
            self.beams = measure_beams(config.size)
            if model is None:  # one that was given stays as it is, since adapters go by its hash
                self.model.grain_head.spreads.copy_(self.beams.spreads)
        elif config.grain:
            self.model.grain_head.requires_grad_(False)
        self.weights = loss_weights(config, weights)
        self.of_picture = picture_losses(
            self.weights, judges or Judges(), fps=config.fps, size=config.size, frames=frames,
            adversary_from=adversary_from, device=device,
        )  # fmt: skip
        self.balancer = Balancer() if balance else None
        self.progress = 0.0
        if keep_tokens:
            for part in (self.model.encoder_in, self.model.encoder, self.model.encoder_out, self.model.quantizer):
                part.requires_grad_(False)

    def on_progress(self, progress: float, step: int) -> None:
        """Takes in new clips now and then; holds the quantizer's statistics still for the last tenth."""
        self.progress = progress
        if step % 200 == 199:
            self.bank.refresh()
        if progress > 0.9 or self.keep_tokens:
            self.model.quantizer.eval()

    def pictures_of(self, draw: torch.Generator) -> tuple[Tensor, Tensor | None]:
        """float [batch, frames, h, w] in 0..1, each clip with a gain of its own.

        And the motion of the tissue in it, float [batch, frames, g, g, 2], where the tokenizer learns grain or motion.
        """
        motion = None
        if self.learns_grain or self.config.decoder == "motion":
            frames, motion = self.bank.draw_moving(self.batch, self.frames, draw)
            motion = motion.to(self.device).float()
        else:
            frames = self.bank.draw(self.batch, self.frames, draw)
        frames = frames.to(self.device).float() / 255
        gain = 0.85 + 0.3 * torch.rand(self.batch, 1, 1, 1, generator=draw)
        return (frames * gain.to(self.device)).clamp(0, 1), motion

    def loss(self, seed: int) -> tuple[Tensor, dict[str, float]]:
        draw = torch.Generator().manual_seed(seed)
        pictures, motion = self.pictures_of(draw)
        quantized = self.model.quantize(pictures)
        features, _ = self.model.ascend(quantized.codes)
        again = self.model.picture(features, quantized.codes.shape[1])
        learn = self.model.training
        of_picture = self.of_picture(again, pictures, draw, progress=self.progress, learn=learn)
        others = {} if self.keep_tokens else dict(quantized.losses)
        if self.config.decoder == "motion":
            displacement = self.model.decoder_motion.displacement(features, quantized.codes.shape[1])
            others |= motion_losses(displacement, pictures, motion)
        if self.learns_grain:
            grain = self.model.grain_head(features, quantized.codes.shape[1])
            others |= grain_losses(grain, pictures, again, motion, self.beams)
        scalars = {name: float(value.detach()) for name, value in (of_picture | others).items()}
        scalars |= self.of_picture.scalars
        scalars["live_bits"] = float(live_bits(ids_to_bits(quantized.ids, self.config.id_bits)))
        scalars["perplexity"] = codebook_use(quantized.ids, self.config.codebook_size).perplexity
        if self.balancer and learn:
            total = self.balancer.combine(of_picture, self.weights, again)
        else:
            total = sum(self.weights[name] * value for name, value in of_picture.items())
        return sum((self.weights[name] * value for name, value in others.items()), total), scalars

    def extra_state(self) -> dict[str, Tensor]:
        """What the losses need to go on beside the model, and their weights."""
        asked = self._asked().items()
        tensors = {f"weights.{name}": torch.tensor(weight, dtype=torch.float64) for name, weight in asked}
        if self.of_picture.adversary:
            tensors |= {f"adversary.{name}": value for name, value in self.of_picture.adversary.state().items()}
        if self.balancer:
            tensors |= {f"balance.{name}": value for name, value in self.balancer.state().items()}
        return tensors

    def load_extra_state(self, tensors: dict[str, Tensor]) -> None:
        """Goes on from what `extra_state` gave; InputError where the run began with other losses.

        A checkpoint from before losses were kept has none, and goes on with those asked for.
        """
        asked = self._asked()
        for name, weight in under("weights.", tensors).items():
            if float(weight) != asked.get(name):
                began, now = f"{name}={float(weight):g}", f"{name}={asked.get(name, 0):g}"
                raise InputError(f"this run began with {began}, not {now}; to go on give the options of its beginning.")
        if self.of_picture.adversary and (state := under("adversary.", tensors)):
            self.of_picture.adversary.load(state)
        if self.balancer:
            self.balancer.load(under("balance.", tensors))

    def _asked(self) -> dict[str, float]:
        kept = {"keep_tokens": float(self.keep_tokens), "keep_grain": float(self.keep_grain)}
        return self.weights | {"balance": float(self.balancer is not None)} | kept

    def evaluate(self, model: Tokenizer, clips: int = 16) -> dict[str, float]:
        return reconstruction_scores(model, self.held_out.first(clips), self.device).scores

    def pictures(self, model: Tokenizer) -> Tensor:
        """Three held-out clips, each above what became of it, every fourth frame; below that, if known, with grain."""
        rows = []
        for clip, _ in self.held_out.first(3):
            span = 1 + (len(clip) - 1) // self.config.frames_per_latent * self.config.frames_per_latent
            frames = clip[:span].to(self.device).float() / 255
            ids = model.encode(frames[None])
            rows += [frames, model.decode(ids)[0]] + ([model.decode(ids, 0)[0]] if self.config.grain else [])
        return strips(rows)


def strips(clips: list[Tensor], every: int = 4, most: int = 10) -> Tensor:
    """Clips float [t, h, w] in 0..1 as rows of every `every`-th frame: one sheet uint8 [h, w]."""
    rows = [torch.cat(list(clip[::every][:most].float().cpu()), 1) for clip in clips]
    return (torch.cat(rows, 0).clamp(0, 1) * 255).round().to(torch.uint8)
