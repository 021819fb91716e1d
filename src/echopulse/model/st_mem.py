"""ST-MEM (Na et al. 2024): a transformer over short patches of twelve leads, named as in its published weights."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from echopulse.model.ecg_config import StMemConfig
from echopulse.phantom.rhythm.leads import LEADS

LEAD_II = LEADS.index("II")


class StMem(nn.Module):
    """ECG [b, 12, n] as `for_encoder` gives it → one token of every patch of every lead.

    All leads stand in one sequence, each between two separators. Its weights know positions up to `patches`; what is
    longer is heard in pieces.
    """

    def __init__(self, config: StMemConfig):
        super().__init__()
        self.config = config
        width = config.features
        self.to_patch_embedding = nn.Sequential(
            nn.Identity(), nn.LayerNorm(config.patch), nn.Linear(config.patch, width), nn.LayerNorm(width)
        )
        self.pos_embedding = nn.Parameter(torch.randn(1, config.patches + 2, width) * 0.02)
        self.sep_embedding = nn.Parameter(torch.randn(width) * 0.02)
        self.lead_embeddings = nn.ParameterList(nn.Parameter(torch.randn(width) * 0.02) for _ in LEADS)
        for i in range(config.depth):
            self.add_module(f"block{i}", _Block(width, config.heads, config.mlp))
        self.norm = nn.LayerNorm(width)

    def forward(self, signal: Tensor) -> Tensor:
        """[b, 12, n] → tokens [b, 12, m, features] before the last norm; the last patch is filled up with zeros."""
        patch, most = self.config.patch, self.config.patches
        whole = F.pad(signal, (0, -signal.shape[-1] % patch)).unflatten(-1, (-1, patch))
        return torch.cat([self._tokens(part) for part in whole.split(most, 2)], 2)

    def tokens(self, signal: Tensor, present: Tensor) -> Tensor:
        """[b, m, features]: of every patch the mean over the leads that are present there, with the last norm."""
        there = F.pad(present, (0, -present.shape[-1] % self.config.patch)).unflatten(-1, (-1, self.config.patch))
        weight = there.any(-1)[..., None].to(signal.dtype)
        return self.norm((self(signal) * weight).sum(1) / weight.sum(1).clamp(min=1))

    def embedding(self, signal: Tensor) -> Tensor:
        """[b, features]: the one vector that ECHOPulse (Li et al. 2025) took, the mean over lead II with the last norm.

        There the trace of a clip was z-scored, repeated 16 times and stretched to 2250 samples, in lead II alone.
        """
        return self.norm(self(signal)[:, LEAD_II].mean(1))

    def _tokens(self, patches: Tensor) -> Tensor:
        b, leads, m, _ = patches.shape
        x = self.to_patch_embedding(patches) + self.pos_embedding[:, None, 1 : m + 1]
        first, last = ((self.sep_embedding + self.pos_embedding[0, at]).expand(b, leads, 1, -1) for at in (0, -1))
        x = torch.cat([first, x, last], 2) + torch.stack(list(self.lead_embeddings))[:, None]
        x = x.flatten(1, 2)
        for i in range(self.config.depth):
            x = self.get_submodule(f"block{i}")(x)
        return x.unflatten(1, (leads, m + 2))[:, :, 1:-1]


class _Block(nn.Module):
    def __init__(self, width: int, heads: int, mlp: int):
        super().__init__()
        self.attn = _Normed(width, _Attention(width, heads))
        self.ff = _Normed(width, _FeedForward(width, mlp))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(x)
        return x + self.ff(x)


class _Normed(nn.Module):
    def __init__(self, width: int, inner: nn.Module):
        super().__init__()
        self.norm, self.fn = nn.LayerNorm(width), inner

    def forward(self, x: Tensor) -> Tensor:
        return self.fn(self.norm(x))


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.to_qkv = nn.Linear(width, 3 * width)
        self.to_out = nn.Sequential(nn.Linear(width, width))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.to_qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return self.to_out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class _FeedForward(nn.Module):
    def __init__(self, width: int, mlp: int):
        super().__init__()
        # The published names count a dropout, which a frozen network does without.
        self.net = nn.Sequential(nn.Linear(width, mlp), nn.GELU(), nn.Identity(), nn.Linear(mlp, width))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)
