"""ECG encoders behind one interface: an ECG [b, l, n] becomes tokens that carry their time, whoever made the network.

The own encoder (`EcgEncoder`) takes any leads and learns as a whole. Published networks are frozen; what learns is a
small head that turns their features into a token every 0.04 s.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from echopulse.model.config import EcgEncoderConfig
from echopulse.model.ecg_config import EcgFounderConfig, StMemConfig
from echopulse.model.ecg_encoder import EcgEncoder, Memory, between_tokens
from echopulse.model.ecg_founder import EcgFounder
from echopulse.model.ecg_input import HEARING, for_encoder
from echopulse.model.st_mem import StMem
from echopulse.phantom.rhythm.leads import LEADS


def build_ecg_encoder(config: EcgEncoderConfig | StMemConfig | EcgFounderConfig) -> nn.Module:
    """The encoder that a generator's configuration names, with weights drawn by chance."""
    return EcgEncoder(config) if config.kind == "own" else FrozenEcgEncoder(config)


class FrozenEcgEncoder(nn.Module):
    """A published network that stands still, and a head that learns to say what the generator needs to hear.

    Every sequence of features gets a norm and a projection of its own, which unfolds what lasts longer than 0.04 s
    into several tokens; all are brought to the generator's grid by straight lines and added.
    """

    TARGETS = EcgEncoder.TARGETS
    GIVEN = ("network",)  # comes from a file whenever a run begins or goes on, so its checkpoints leave it out

    def __init__(self, config: StMemConfig | EcgFounderConfig):
        super().__init__()
        self.config, self.hearing = config, HEARING[config.kind]
        network = StMem(config) if isinstance(config, StMemConfig) else EcgFounder(config)
        self.network = network.requires_grad_(False)
        self.unfold = [max(1, math.ceil(samples / self.hearing.rate_hz / 0.04)) for _, samples in self._sequences()]
        self.tokens_in = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(features), nn.Linear(features, times * config.width))
            for (features, _), times in zip(self._sequences(), self.unfold, strict=True)
        )
        self.mix = nn.Sequential(nn.GELU(), nn.Conv1d(config.width, config.width, 5, padding=2))
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, len(self.TARGETS))

    def forward(self, samples_mv: Tensor, start_s: Tensor, leads: Sequence[str] | None = None) -> Memory:
        """samples_mv [b, l, n] at the configured rate, NaN where a lead or a stretch is absent; start_s [b].

        Twelve leads are those of `LEADS` in their order unless `leads` names them; fewer without names are placed as
        `lead_places` does. A token whose stretch is NaN in every lead gets a NaN time.
        """
        config = self.config
        names = leads or (LEADS if samples_mv.shape[1] == len(LEADS) else ("",) * samples_mv.shape[1])
        count = samples_mv.shape[-1] // config.stride
        with torch.no_grad():
            signal, present = for_encoder(samples_mv, names, config.rate_hz, self.hearing)
            found = self._heard(signal, present)
        seconds = torch.arange(count, device=samples_mv.device) * config.stride / config.rate_hz
        x = sum(
            self._on_grid(features, samples, number, seconds)
            for number, (features, (_, samples)) in enumerate(zip(found, self._sequences(), strict=True))
        )
        x = x + self.mix(x.transpose(1, 2)).transpose(1, 2)
        there = ~samples_mv.isnan()[..., : count * config.stride].all(1).unflatten(-1, (count, -1)).all(-1)
        times = start_s[:, None].float() + seconds
        return Memory(self.norm(x), times.masked_fill(~there, torch.nan))

    def read_out(self, memory: Memory, times_s: Tensor) -> Tensor:
        """What the heart does at times_s [b, t]: [b, t, targets], linear between the memory's tokens."""
        step_s = self.config.stride / self.config.rate_hz
        return between_tokens(self.head(memory.tokens).float(), memory.times_s, times_s, step_s)

    def _sequences(self) -> list[tuple[int, int]]:
        """(features, samples of the network's rate that one lasts) of every sequence that the network gives."""
        config = self.config
        if isinstance(config, StMemConfig):
            return [(config.features, config.patch)]
        return [(config.channels[stage], 2 ** (stage + 2)) for stage in sorted(config.heard)]

    def _heard(self, signal: Tensor, present: Tensor) -> list[Tensor]:
        """Each sequence as [b, m, features]."""
        if isinstance(self.network, StMem):
            return [self.network.tokens(signal, present)]
        return [features.transpose(1, 2) for features in self.network(signal)]

    def _on_grid(self, features: Tensor, samples: int, number: int, seconds: Tensor) -> Tensor:
        """Features [b, m, f], each of so many samples → [b, t, width] at `seconds` [t] after the first sample."""
        times, rate = self.unfold[number], self.hearing.rate_hz
        x = self.tokens_in[number](features).unflatten(-1, (times, -1)).flatten(1, 2)
        step_s = samples / times / rate
        place = ((seconds - ((samples / times - 1) / 2 / rate)) / step_s).clamp(0, x.shape[1] - 1)
        low = place.floor().long().clamp(max=max(0, x.shape[1] - 2))
        part = (place - low)[:, None].to(x.dtype)
        return torch.lerp(x[:, low], x[:, (low + 1).clamp(max=x.shape[1] - 1)], part.expand_as(x[:, low]))
