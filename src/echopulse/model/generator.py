"""The masked transformer: hidden video tokens in, a distribution over each of their bit groups out."""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from echopulse.model.attention import FeedForward, SelfAttention, TimedCrossAttention, modulate
from echopulse.model.config import GeneratorConfig
from echopulse.model.ecg_encoder import Memory
from echopulse.model.ecg_encoders import build_ecg_encoder
from echopulse.model.types import ids_to_bits

EF_RANGE = (0.05, 0.85)
AGE_RANGE = (18.0, 92.0)  # years; of the simulated patients
BUMPS = 16


@dataclass(frozen=True)
class Conditions:
    """What steers a batch of videos; every part may be absent.

    memory: the encoded ECG; ecg_given bool [b] (False: the trained null memory takes its place);
    ef float [b], NaN where not given; view int64 [b], -1 where not given; age_years and female (1, a man 0) float [b],
    NaN where not given.
    """

    memory: Memory
    ecg_given: Tensor
    ef: Tensor
    view: Tensor
    age_years: Tensor
    female: Tensor

    def without_guidance_terms(self) -> "Conditions":
        """The same videos with neither ECG nor EF: the branch that guidance moves away from."""
        return replace(self, ecg_given=torch.zeros_like(self.ecg_given), ef=torch.full_like(self.ef, torch.nan))

    def rows(self, which: Tensor) -> "Conditions":
        """Those of some of the videos, bool [b]."""
        memory = Memory(self.memory.tokens[which], self.memory.times_s[which])
        rest = {name: value[which] for name, value in vars(self).items() if name != "memory"}
        return Conditions(memory, **rest)


@dataclass(frozen=True)
class Patient:
    """Whose heart it is, as far as that is known: age in years, sex "f" or "m"."""

    age_years: float | None = None
    sex: str | None = None

    @property
    def female(self) -> float:
        """1 for a woman, 0 for a man, NaN where the sex is not known."""
        return math.nan if self.sex is None else float(self.sex == "f")


NOBODY = Patient()


class Generator(nn.Module):
    """Axial attention (time, then space) over latent frames, each frame modulated by the ECG around its time.

    A window has `window` slots of one latent frame. Slot 0 is the reference: the clip's first latent frame, either
    right before slot 1 or, in later windows of a long clip, far back (`far` [b] bool).
    """

    def __init__(self, config: GeneratorConfig):
        super().__init__()
        self.config = config
        width = config.width
        self.ecg_encoder = build_ecg_encoder(config.ecg)
        self.null_memory = nn.Parameter(torch.randn(1, config.ecg.width) * 0.02)
        self.token_in = nn.Linear(config.bits + config.groups, width)
        self.place = nn.Parameter(torch.randn(1, 1, config.grid**2, width) * 0.02)
        self.role = nn.Parameter(torch.randn(3, width) * 0.02)  # later frame, reference before, reference far back
        self.ef_in = nn.Sequential(nn.Linear(BUMPS, width), nn.SiLU(), nn.Linear(width, width))
        self.ef_absent = nn.Parameter(torch.randn(width) * 0.02)
        self.view_in = nn.Embedding(len(config.views) + 1, width)
        if config.patient:
            self.patient_in = nn.Sequential(nn.Linear(BUMPS + 2, width), nn.SiLU(), nn.Linear(width, width))
            nn.init.zeros_(self.patient_in[-1].weight)  # weights that know neither age nor sex go on as they were
            nn.init.zeros_(self.patient_in[-1].bias)
        self.blocks = nn.ModuleList(GeneratorBlock(config) for _ in range(config.depth))
        self.head = nn.Linear(width, config.groups * 2**config.group_bits)

    def encode_ecg(self, samples_mv: Tensor, start_s: Tensor) -> Memory:
        """Raw ECG [b, l, n] mV at the encoder's rate, from start_s [b] → memory."""
        return self.ecg_encoder(samples_mv, start_s)

    def forward(self, ids: Tensor, hidden: Tensor, times_s: Tensor, far: Tensor, conditions: Conditions) -> Tensor:
        """Logits of every group of every token.

        ids int64 [b, t, h, w]; hidden bool [b, t, h, w, groups], True where a group's bits are to be filled in;
        times_s float [b, t], the middle of each latent frame in the ECG's seconds; far bool [b].
        Returns float [b, t, h, w, groups, 2^group_bits].
        """
        config = self.config
        b, t = ids.shape[:2]
        shown = (~hidden).float()
        bits = ids_to_bits(ids, config.bits) * shown.repeat_interleave(config.group_bits, -1)
        x = self.token_in(torch.cat([bits, shown], -1)).flatten(2, 3) + self.place  # [b, t, s, d]
        role = torch.zeros(b, t, dtype=torch.long, device=ids.device)
        role[:, 0] = 1 + far.long()
        x = x + self.role[role][:, :, None]
        steady = self._scalars(conditions)[:, None]  # [b, 1, d]
        memory, memory_times = self._memory(conditions, times_s)
        start = times_s[:, 1:2]
        clock = torch.where(far[:, None] & (role > 0), start - 8 * config.latent_seconds, times_s) - start
        for block in self.blocks:
            x = block(x, clock, times_s, memory, memory_times, steady)
        logits = self.head(modulate(x, torch.zeros_like(x), torch.zeros_like(x)))
        return logits.float().reshape(b, t, config.grid, config.grid, config.groups, -1)

    def _scalars(self, conditions: Conditions) -> Tensor:
        ef = self.ef_in(_bumps(conditions.ef.nan_to_num(0.5), EF_RANGE)).float()
        steady = torch.where(conditions.ef.isnan()[:, None], self.ef_absent.float(), ef)
        steady = steady + self.view_in(conditions.view + 1)
        if not self.config.patient:
            return steady
        age, sex = conditions.age_years, conditions.female
        known = (~age.isnan())[:, None].to(age.dtype)
        ages = _bumps(age.nan_to_num(50.0), AGE_RANGE) * known
        sexes = torch.stack([sex == 0, sex == 1], -1).to(ages.dtype)
        return steady + self.patient_in(torch.cat([ages, sexes], -1)).float()

    def _memory(self, conditions: Conditions, times_s: Tensor) -> tuple[Tensor, Tensor]:
        """The ECG's tokens with one null token at the end, which is all that is left where no ECG is given."""
        memory = conditions.memory
        null = self.null_memory.to(memory.tokens.dtype)[None].expand(len(memory.tokens), -1, -1)
        given = conditions.ecg_given[:, None]
        times = torch.where(given, memory.times_s, torch.full_like(memory.times_s, torch.nan))
        null_time = torch.where(given, torch.full_like(times_s[:, :1], torch.nan), times_s[:, :1])
        return torch.cat([memory.tokens, null], 1), torch.cat([times, null_time.to(times.dtype)], 1)


def _bumps(value: Tensor, between: tuple[float, float]) -> Tensor:
    """A number [b] as how near it is to each of `BUMPS` places, [b, BUMPS]."""
    centres = torch.linspace(*between, BUMPS, device=value.device)
    width = (between[1] - between[0]) / BUMPS
    return torch.exp(-0.5 * ((value[:, None] - centres) / width) ** 2)


class GeneratorBlock(nn.Module):
    """Time, space, feed-forward; the last two modulated, frame by frame, by the ECG and the scalars."""

    def __init__(self, config: GeneratorConfig):
        super().__init__()
        width = config.width
        self.norm_time = nn.LayerNorm(width)
        self.time = SelfAttention(width, config.heads)
        self.space = SelfAttention(width, config.heads)
        self.mlp = FeedForward(width, config.mlp_ratio)
        self.listen = TimedCrossAttention(width, config.ecg.width, config.ecg_heads)
        self.steer = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 4 * width))
        nn.init.normal_(self.steer[-1].weight, std=0.01)
        nn.init.zeros_(self.steer[-1].bias)

    def forward(
        self, x: Tensor, clock: Tensor, times_s: Tensor, memory: Tensor, memory_times: Tensor, steady: Tensor
    ) -> Tensor:
        # x [b, t, s, d]
        across = x.transpose(1, 2)
        x = x + self.time(self.norm_time(across), clock[:, None].expand(-1, across.shape[1], -1)).transpose(1, 2)
        heard = self.listen(x.mean(2), times_s, memory, memory_times)
        shift_s, scale_s, shift_m, scale_m = self.steer(heard + steady)[:, :, None].chunk(4, -1)
        x = x + self.space(modulate(x, shift_s, scale_s))
        return x + self.mlp(modulate(x, shift_m, scale_m))
