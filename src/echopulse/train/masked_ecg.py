"""Masked signal modelling: stretches of an ECG are hidden, and what the encoder makes of the rest has to tell them.

After He et al. 2022 (masked autoencoders, arXiv 2111.06377) and, for ECGs, Na et al. 2024 (ST-MEM, arXiv 2402.09450).
As in Xie et al. 2022 (SimMIM, arXiv 2111.09886) the encoder keeps a token where something is hidden, and what turns
tokens into signal is small: so it is the encoder that has to know where in the beat every moment lies. Hidden samples
are absent to it, as is what lies before a recording begins.
"""

import torch
from torch import Tensor

from echopulse.data.recordings import Recordings
from echopulse.ecg.types import fill_gaps
from echopulse.model.config import GeneratorConfig
from echopulse.model.ecg_encoder import EcgEncoder, normalise_leads
from echopulse.model.signal_decoder import SignalDecoder
from echopulse.model.windows import AFTER_S, BEFORE_S
from echopulse.train.augment import add_noise, change_gain, forget_past, turn_over

HIDDEN_S = (0.3, 1.0)  # of a stretch
EVERY_S = 1.64  # one stretch is hidden in so much of an ECG: two fifths of all
WINDOWS = 64  # that the held-out error is a mean of


def window_samples(config: GeneratorConfig) -> int:
    """As many samples as the generator hears with one of its windows, in whole tokens."""
    seconds = BEFORE_S + AFTER_S + (config.window - 1) * config.latent_seconds
    return int(round(seconds * config.ecg.rate_hz)) // config.ecg.stride * config.ecg.stride


def hide_stretches(count: int, tokens: int, token_s: float, draw: torch.Generator) -> Tensor:
    """bool [count, tokens]: which tokens are hidden, of `HIDDEN_S` each time, with something known between them."""
    parts = max(1, round(tokens * token_s / EVERY_S))
    edges = torch.linspace(0, tokens, parts + 1).round().long()
    index = torch.arange(tokens)
    hidden = torch.zeros(count, tokens, dtype=torch.bool)
    least, most = (max(1, round(seconds / token_s)) for seconds in HIDDEN_S)
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        room = int(high - low) - 1  # the last token of a part stays known
        longest = min(most, room)
        shortest = min(least, longest)
        length = torch.randint(shortest, longest + 1, (count, 1), generator=draw)
        first = low + (torch.rand(count, 1, generator=draw) * (room - length + 1)).long()
        hidden |= (index >= first) & (index < first + length)
    return hidden


def tell_hidden(
    encoder: EcgEncoder, decoder: SignalDecoder, heard: Tensor, truth: Tensor, hidden: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """What is said of ECGs [b, l, n] `heard` in mV, the truth of them, and where to judge it (bool), all [b, l, n].

    hidden bool [b, n] never reaches encoder or decoder. `truth` is the same in mV without noise; it is judged as
    `normalise_leads` leaves it, so that wander and gain do not count.
    """
    known = heard.masked_fill(hidden[:, None], torch.nan)
    memory = encoder(known, torch.zeros(len(known), device=known.device))
    rate_hz = encoder.config.rate_hz
    with torch.autocast(known.device.type, enabled=False):
        signal = normalise_leads(known.float(), known.isfinite(), rate_hz)
        target = normalise_leads(truth.float(), truth.isfinite(), rate_hz)
    said = decoder(memory.tokens, signal, known.isfinite()).float()
    return said, target, hidden[:, None] & truth.isfinite()


def mean_where(values: Tensor, where: Tensor) -> Tensor:
    """The mean of the values at `where`; 0 if that is nowhere."""
    return torch.where(where, values, 0.0).sum() / where.sum().clamp(min=1)


class MaskedEcg:
    """Batches of recordings with hidden stretches: the loss of an encoder and a decoder, and how they are judged."""

    def __init__(
        self, config: GeneratorConfig, recordings: Recordings, held_out: Recordings, *, batch: int, device: str
    ):
        self.config, self.recordings, self.held_out = config.ecg, recordings, held_out
        self.samples, self.batch, self.device = window_samples(config), batch, device

    def loss(self, encoder: EcgEncoder, decoder: SignalDecoder, draw: torch.Generator) -> Tensor:
        """Mean squared error of the normalised signal over what is hidden."""
        rate_hz = self.config.rate_hz
        truth = self.recordings.draw(self.batch, self.samples, draw)
        truth = forget_past(change_gain(turn_over(truth, draw), draw), rate_hz, BEFORE_S, draw)
        heard = add_noise(truth, rate_hz, draw)
        said, target, judged = self._tell(encoder, decoder, heard, truth, draw)
        return mean_where((said - target).square(), judged)

    def evaluate(self, encoder: EcgEncoder, decoder: SignalDecoder) -> dict[str, float]:
        """The same error on held-out recordings, and those of saying the mean and of straight lines across."""
        draw = torch.Generator().manual_seed(0)
        truth = self.held_out.draw(WINDOWS, self.samples, draw, vary=False)
        said, target, judged = (x.cpu() for x in self._tell(encoder, decoder, truth, truth, draw))
        gaps = target.masked_fill(judged | truth.isnan(), torch.nan)
        straight = torch.stack([torch.from_numpy(fill_gaps(one.numpy())) for one in gaps]).float()
        level = gaps.nanmean(-1, keepdim=True).nan_to_num().expand_as(target)
        answers = {"hidden_error": said, "hidden_error_mean": level, "hidden_error_straight": straight}
        return {name: float(mean_where((answer - target).square(), judged)) for name, answer in answers.items()}

    def _tell(
        self, encoder: EcgEncoder, decoder: SignalDecoder, heard: Tensor, truth: Tensor, draw: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        stride = self.config.stride
        tokens = hide_stretches(len(heard), self.samples // stride, stride / self.config.rate_hz, draw)
        hidden = tokens.repeat_interleave(stride, 1)
        return tell_hidden(encoder, decoder, *(x.to(self.device) for x in (heard, truth, hidden)))
