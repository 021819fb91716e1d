"""A raw ECG of any leads becomes a sequence of tokens that carry their time in seconds."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from echopulse.model.attention import FeedForward, SelfAttention
from echopulse.model.config import EcgEncoderConfig

WANDER_S = 1.2
FLOOR_MV = 0.08  # below this a lead counts as silent: a flat line must stay flat and not become amplified noise


@dataclass(frozen=True)
class Memory:
    """What the generator knows of the ECG: tokens [b, m, d] at times_s [b, m], NaN where there is none."""

    tokens: Tensor
    times_s: Tensor


def normalise_leads(samples_mv: Tensor, present: Tensor, rate_hz: float) -> Tensor:
    """[b, l, n] mV → each lead without its slow wander, over the larger of its 99th percentile and a floor, within ±4.

    The wander is the mean over `WANDER_S` around each sample that is present, so that recordings, live streams and
    simulations reach the network in the same way whatever filtered them before.
    """
    width = int(WANDER_S * rate_hz) | 1
    filled = torch.where(present, samples_mv, torch.zeros_like(samples_mv))

    def around(x: Tensor) -> Tensor:
        return F.avg_pool1d(x, width, stride=1, padding=width // 2)

    level = around(filled) / around(present.to(filled.dtype)).clamp(min=1e-6)
    centred = (filled - level) * present
    scale = torch.quantile(centred.abs(), 0.99, dim=-1, keepdim=True).clamp(min=FLOOR_MV)
    return (centred / scale).clamp(-4, 4)


class EcgEncoder(nn.Module):
    """Strided convolutions on each lead alone, their mean over leads, then self-attention with rotary seconds.

    Trained before the generator to tell, at every token, what the heart is doing (`read_out`): through the masked
    loss alone it stays dead for hundreds of steps without any sign of it.
    """

    TARGETS = ("volume", "volume_rate", "mitral_opening")

    def __init__(self, config: EcgEncoderConfig):
        super().__init__()
        self.config = config
        narrow, wide = config.stem
        self.stem = nn.Sequential(
            nn.Conv1d(2, narrow, 9, stride=2, padding=4),
            nn.GELU(),
            nn.Conv1d(narrow, wide, 9, stride=2, padding=4),
            nn.GELU(),
            nn.Conv1d(wide, config.width, 9, stride=2, padding=4),
            nn.GELU(),
        )
        self.mix = nn.Conv1d(config.width, config.width, 5, padding=2)
        self.blocks = nn.ModuleList(EcgBlock(config.width, config.heads) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, len(self.TARGETS))

    def forward(self, samples_mv: Tensor, start_s: Tensor) -> Memory:
        """samples_mv [b, l, n] at the configured rate, NaN where a lead or a stretch is absent; start_s [b].

        n should be a multiple of the stride; a token whose stretch is NaN in every lead gets a NaN time.
        """
        present = ~samples_mv.isnan()
        with torch.autocast(samples_mv.device.type, enabled=False):
            signal = normalise_leads(samples_mv.float(), present, self.config.rate_hz)
        slope = torch.diff(signal, dim=-1, prepend=signal[..., :1]) * 4
        b, leads, n = signal.shape
        features = self.stem(torch.stack([signal, slope], 2).flatten(0, 1)).unflatten(0, (b, leads))  # [b, l, d, m]
        weight = present.any(-1).to(features.dtype)[:, :, None, None]
        pooled = (features * weight).sum(1) / weight.sum(1).clamp(min=1)
        x = (pooled + self.mix(pooled)).transpose(1, 2)
        index = torch.arange(x.shape[1], device=x.device)
        times = start_s[:, None].float() + (index * self.config.stride / self.config.rate_hz)[None]
        token_present = present.any(1)[:, : x.shape[1] * self.config.stride].unflatten(-1, (x.shape[1], -1)).any(-1)
        bias = torch.zeros_like(times).masked_fill(~token_present, -1e4)[:, None, None, :]
        for block in self.blocks:
            x = block(x, times, bias)
        return Memory(self.norm(x), times.masked_fill(~token_present, torch.nan))

    def read_out(self, memory: Memory, times_s: Tensor) -> Tensor:
        """What the heart does at times_s [b, t]: [b, t, targets], linear between the memory's tokens."""
        step_s = self.config.stride / self.config.rate_hz
        return between_tokens(self.head(memory.tokens).float(), memory.times_s, times_s, step_s)


def between_tokens(values: Tensor, token_times_s: Tensor, times_s: Tensor, step_s: float) -> Tensor:
    """Values [b, m, d] of tokens `step_s` apart at times_s [b, t]: [b, t, d], linear between them.

    token_times_s [b, m] may be NaN; beyond the ends the nearest token counts.
    """
    start = token_times_s.nan_to_num(torch.inf).amin(1, keepdim=True)
    first = token_times_s.isnan().float().argmin(1, keepdim=True)
    place = (first + (times_s - start) / step_s).clamp(0, values.shape[1] - 1.001)
    low = place.floor().long()
    part = (place - low)[..., None].to(values.dtype)
    low = low[..., None].expand(-1, -1, values.shape[-1])
    return values.gather(1, low) * (1 - part) + values.gather(1, low + 1) * part


class EcgBlock(nn.Module):
    """Self-attention over time, then a feed-forward layer; both residual and pre-normed."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.norm_time = nn.LayerNorm(width)
        self.time = SelfAttention(width, heads)
        self.norm_mlp = nn.LayerNorm(width)
        self.mlp = FeedForward(width, 3.0)

    def forward(self, x: Tensor, times_s: Tensor, bias: Tensor) -> Tensor:
        x = x + self.time(self.norm_time(x), times_s, bias)
        return x + self.mlp(self.norm_mlp(x))
