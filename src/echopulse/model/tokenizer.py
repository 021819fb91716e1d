"""A clip becomes few tokens and tokens become a clip; strictly causal in time.

The first picture stands alone and every four later ones share a latent frame (1 + 4k). Time is folded into
channels at the input, so that the costly convolutions run once per latent frame at a quarter of the size.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from echopulse.errors import InputError
from echopulse.model.config import TokenizerConfig
from echopulse.model.grain import Grain, GrainHead, GrainPainter, add_grain
from echopulse.model.quantizer import LookupFreeQuantizer, Quantized
from echopulse.model.types import bits_to_ids, ids_to_bits

PATCH = 4


class ChannelNorm(nn.Module):
    """Root-mean-square norm over channels of [n, c, h, w]: local in space and time, hence causal."""

    def __init__(self, channels: int):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt((x * x).mean(1, keepdim=True) + 1e-6) * self.scale


class CausalBlock(nn.Module):
    """Residual 3×3 convolution in space, then a mix of this latent frame with the two before it."""

    def __init__(self, channels: int, in_time: bool):
        super().__init__()
        self.norm = ChannelNorm(channels)
        self.space = nn.Conv2d(channels, channels, 3, padding=1)
        self.time = nn.Conv2d(3 * channels if in_time else channels, channels, 1)
        nn.init.zeros_(self.time.weight)
        nn.init.zeros_(self.time.bias)
        self.in_time = in_time

    def forward(self, x: Tensor, latent_frames: int) -> Tensor:  # x [b·t, c, h, w]
        inner = F.silu(self.space(F.silu(self.norm(x))))
        if self.in_time:
            inner = _with_past(inner, latent_frames)
        return x + self.time(inner)


def _with_past(x: Tensor, latent_frames: int) -> Tensor:
    """[b·t, c, h, w] → [b·t, 3c, h, w]: each frame beside the two before it, the first repeated into the past."""
    frames = x.unflatten(0, (-1, latent_frames))
    first = frames[:, :1]
    before = torch.cat([first, frames[:, :-1]], 1)
    earlier = torch.cat([first, before[:, :-1]], 1)
    return torch.cat([frames, before, earlier], 2).flatten(0, 1).contiguous(memory_format=torch.channels_last)


class Tokenizer(nn.Module):
    """Encoder, lookup-free quantizer and decoder.

    Pictures are float [b, t, h, w] in 0..1 with t = 1 + 4k; bits are float [b, k + 1, h/16, w/16, bits] of ±1.
    """

    def __init__(self, config: TokenizerConfig):
        super().__init__()
        self.config = config
        w1, w2, w3 = config.widths
        d1, d2, d3 = config.depths
        folded = config.frames_per_latent * PATCH**2
        self.encoder_in = nn.Conv2d(folded, w1, 3, padding=1)
        self.encoder = nn.ModuleList(
            [CausalBlock(w1, False) for _ in range(d1)]
            + [nn.Conv2d(w1, w2, 2, stride=2)]
            + [CausalBlock(w2, True) for _ in range(d2)]
            + [nn.Conv2d(w2, w3, 2, stride=2)]
            + [CausalBlock(w3, True) for _ in range(d3)]
        )
        self.encoder_out = nn.Conv2d(w3, config.bits, 1)
        self.quantizer = LookupFreeQuantizer(config.bits)
        self.decoder_in = nn.Conv2d(config.bits, w3, 3, padding=1)
        self.decoder = nn.ModuleList(
            [CausalBlock(w3, True) for _ in range(d3)]
            + [nn.Sequential(nn.Conv2d(w3, 4 * w2, 1), nn.PixelShuffle(2))]
            + [CausalBlock(w2, True) for _ in range(d2)]
            + [nn.Sequential(nn.Conv2d(w2, 4 * w1, 1), nn.PixelShuffle(2))]
            + [CausalBlock(w1, False) for _ in range(d1)]
        )
        self.decoder_out = nn.Conv2d(w1, folded, 3, padding=1)
        self.grain_head = GrainHead(w1, config.frames_per_latent) if config.grain else None
        self.to(memory_format=torch.channels_last)

    def features(self, pictures: Tensor) -> Tensor:
        """float [b, 1 + 4k, h, w] in 0..1 → float [b, k + 1, h/16, w/16, bits] before quantization."""
        b, t, h, w = pictures.shape
        per = self.config.frames_per_latent
        if (t - 1) % per or h != self.config.size or w != self.config.size:
            raise InputError(
                f"The tokenizer takes 1 + {per}k pictures of {self.config.size}×{self.config.size}; got {t} of {h}×{w}."
            )
        padded = torch.cat([pictures[:, :1].expand(-1, per - 1, -1, -1), pictures], 1)
        latent_frames = padded.shape[1] // per
        x = padded.reshape(b * latent_frames, per, h, w) * 2 - 1
        x = F.pixel_unshuffle(x, PATCH).contiguous(memory_format=torch.channels_last)
        x = _run(self.encoder, self.encoder_in(x), latent_frames)
        return self.encoder_out(x).unflatten(0, (b, latent_frames)).permute(0, 1, 3, 4, 2)

    def quantize(self, pictures: Tensor) -> Quantized:
        """Pictures → bits with their losses, for training."""
        return self.quantizer(self.features(pictures))

    def encode(self, pictures: Tensor) -> Tensor:
        """float [b, 1 + 4k, h, w] in 0..1 → ids int64 [b, k + 1, h/16, w/16]."""
        return bits_to_ids(self.quantizer.normalise(self.features(pictures)))

    def ascend(self, bits: Tensor) -> Tensor:
        """Bits [b, t', h', w', bits] → the decoder's finest features [b · t', c, h / 4, w / 4]."""
        x = bits.flatten(0, 1).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
        return _run(self.decoder, self.decoder_in(x), bits.shape[1])

    def picture(self, features: Tensor, latent_frames: int) -> Tensor:
        """What `ascend` gives → pictures float [b, 1 + 4(t' - 1), h, w], not clamped, without grain."""
        x = F.pixel_shuffle(self.decoder_out(F.silu(features)), PATCH).float() * 0.5 + 0.5
        x = x.unflatten(0, (-1, latent_frames)).flatten(1, 2)
        return x[:, self.config.frames_per_latent - 1 :]

    def decode_bits(self, bits: Tensor) -> Tensor:
        """Bits [b, t', h', w', bits] → pictures float [b, 1 + 4(t' - 1), h, w], not clamped, without grain."""
        return self.picture(self.ascend(bits), bits.shape[1])

    def decode(self, ids: Tensor, grain_seed: int | None = None) -> Tensor:
        """ids int64 [b, t', h', w'] → pictures float [b, 1 + 4(t' - 1), h, w] in 0..1.

        Without a seed, or if the weights know no grain, the picture in the mean: nearest to what was encoded.
        """
        bits = ids_to_bits(ids, self.config.bits)
        features = self.ascend(bits)
        pictures = self.picture(features, bits.shape[1]).clamp(0, 1)
        if grain_seed is None or self.grain_head is None:
            return pictures
        painter = GrainPainter(len(ids), self.config.size, seed=grain_seed, device=pictures.device)
        return add_grain(pictures, painter(self.grain(features, bits.shape[1])))

    def grain(self, features: Tensor, latent_frames: int) -> Grain:
        """What `ascend` gives → the grain to be drawn. ValueError where the weights know none."""
        if self.grain_head is None:
            raise ValueError("these weights know no grain")
        return self.grain_head(features, latent_frames)


def _run(layers: nn.ModuleList, x: Tensor, latent_frames: int) -> Tensor:
    for layer in layers:
        x = layer(x, latent_frames) if isinstance(layer, CausalBlock) else layer(x)
    return x
