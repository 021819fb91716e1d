"""Attention, rotary positions in seconds and the time-aligned reading of a memory."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def rotary(x: Tensor, times_s: Tensor, slowest_s: float = 16.0, fastest_s: float = 0.25) -> Tensor:
    """Turns pairs of channels of x [..., n, heads, d] by angles that grow with times_s [..., n] (Su et al. 2021).

    Periods are spread geometrically between `fastest_s` and `slowest_s`: from a fraction of a beat to several.
    """
    pairs = x.shape[-1] // 2
    periods = slowest_s * (fastest_s / slowest_s) ** torch.linspace(0, 1, pairs, device=x.device)
    angle = (times_s.float()[..., None] * (2 * torch.pi / periods))[..., None, :]
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    a, b = x[..., :pairs], x[..., pairs:]
    return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)


def attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
    """softmax(q kᵀ / √d + bias) v over [..., n, heads, d]; returns [..., n, heads · d].

    Written out: the fused kernel's backward pass in bfloat16 on a CPU is several times slower than three products.
    """
    q, k, v = (x.transpose(-3, -2) for x in (q, k, v))  # [..., heads, n, d]
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
    if bias is not None:
        scores = scores + bias
    out = scores.softmax(-1).to(v.dtype) @ v
    return out.transpose(-3, -2).flatten(-2)


class SelfAttention(nn.Module):
    """Multi-head attention over the second last axis of [..., n, width], with rotary positions when times are given."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, times_s: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).unbind(-3)
        if times_s is not None:
            q, k = rotary(q, times_s), rotary(k, times_s)
        return self.out(attend(q, k, v, bias))


class TimedCrossAttention(nn.Module):
    """Queries with a time in seconds read a memory whose tokens carry theirs.

    Each head looks around its own lag: logit -= ((t_memory - t_query - lag) / spread)² / 2, lag and spread learned.
    At the start the lags cover the span from `earliest_s` to `latest_s`, so that every head already reads a
    different moment of the memory; content is learned on top. Any rates of memory and queries will do.
    """

    def __init__(self, width: int, memory_width: int, heads: int, earliest_s: float = -0.26, latest_s: float = 0.14):
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(memory_width, 2 * width)
        self.lag_s = nn.Parameter(torch.linspace(earliest_s, latest_s, heads))
        self.log_spread = nn.Parameter(torch.full((heads,), 0.035).log())

    def forward(self, x: Tensor, times_s: Tensor, memory: Tensor, memory_times_s: Tensor) -> Tensor:
        """x [b, n, width] at times_s [b, n]; memory [b, m, memory_width] at memory_times_s [b, m], NaN where absent."""
        absent = memory_times_s.isnan()[:, None, None, :]
        apart = memory_times_s.float().nan_to_num(0.0)[:, None, :] - times_s[:, :, None].float()
        off = (apart[:, None] - self.lag_s[:, None, None]) / self.log_spread.exp()[:, None, None]
        bias = (-0.5 * off * off).clamp(min=-30)  # [b, heads, n, m]; far tokens: a last resort, never minus infinity
        bias = bias.masked_fill(absent, -1e4)
        q = self.query(x).unflatten(-1, (self.heads, -1))
        k, v = self.key_value(memory).unflatten(-1, (2, self.heads, -1)).unbind(-3)
        return attend(q, k, v, bias)


class FeedForward(nn.Sequential):
    """Two linear layers with GELU between them."""

    def __init__(self, width: int, ratio: float = 4.0):
        hidden = int(width * ratio)
        super().__init__(nn.Linear(width, hidden), nn.GELU(approximate="tanh"), nn.Linear(hidden, width))


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Affine modulation of layer-normed x (Peebles & Xie 2023, adaptive layer norm)."""
    return F.layer_norm(x, x.shape[-1:]) * (1 + scale) + shift
