"""A clip becomes few tokens and tokens become a clip; strictly causal in time.

The first picture stands alone and every four later ones share a latent frame (1 + 4k). Time is folded into
channels at the input, so that the costly convolutions run once per latent frame at a quarter of the size.

What is causal can be done piece by piece: the blocks that mix time need two latent frames of the past, which the
chunked forms hand on from chunk to chunk, and with them the key where later pictures are bent from the first (see
`motion`), so that the result is that of the whole clip.
"""

from collections.abc import Iterable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from echopulse.errors import InputError
from echopulse.model.config import TokenizerConfig
from echopulse.model.grain import GrainHead, GrainPainter, add_grain
from echopulse.model.motion import PATCH, Key, KeyAndMotion
from echopulse.model.quantizer import Quantized, make_quantizer

Past = list[Tensor | None]  # for each layer what it needs of the past: [b, 2, c, h, w] where it mixes time


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

    def forward(self, x: Tensor, latent_frames: int, past: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """x [b·t, c, h, w] and the last two frames of the chunk before → the same of this chunk."""
        inner = F.silu(self.space(F.silu(self.norm(x))))
        if self.in_time:
            inner, past = _with_past(inner, latent_frames, past)
        return x + self.time(inner), past


def _with_past(x: Tensor, latent_frames: int, past: Tensor | None) -> tuple[Tensor, Tensor]:
    """[b·t, c, h, w] → [b·t, 3c, h, w], each frame beside the two before it, and the last two frames [b, 2, c, h, w].

    Where a clip begins, its first frame is repeated into the past.
    """
    frames = x.unflatten(0, (-1, latent_frames))
    past = frames[:, :1].expand(-1, 2, -1, -1, -1) if past is None else past
    every = torch.cat([past, frames], 1)
    beside = torch.cat([frames, every[:, 1:-1], every[:, :-2]], 2).flatten(0, 1)
    last = every[:, -2:].clone()  # a view would keep all frames in memory
    return beside.contiguous(memory_format=torch.channels_last), last


class Tokenizer(nn.Module):
    """Encoder, quantizer and decoder.

    Pictures are float [b, t, h, w] in 0..1 with t = 1 + 4k; ids are int64 [b, k + 1, h', w'], a token for 16 (or
    `patch`) pixels each way, and the codes that the decoder reads in their place float [b, k + 1, h', w', channels].
    """

    def __init__(self, config: TokenizerConfig):
        super().__init__()
        self.config = config
        w1, w2, w3 = config.widths
        d1, d2, d3 = config.depths
        folded = config.frames_per_latent * PATCH**2
        last = config.patch // 8  # the third stage has a quarter of the second's places, or as many
        self.encoder_in = nn.Conv2d(folded, w1, 3, padding=1)
        self.encoder = nn.ModuleList(
            [CausalBlock(w1, False) for _ in range(d1)]
            + [nn.Conv2d(w1, w2, 2, stride=2)]
            + [CausalBlock(w2, True) for _ in range(d2)]
            + [nn.Conv2d(w2, w3, last, stride=last)]
            + [CausalBlock(w3, True) for _ in range(d3)]
        )
        self.encoder_out = nn.Conv2d(w3, config.code_channels, 1)
        self.quantizer = make_quantizer(config)
        self.decoder_in = nn.Conv2d(config.code_channels, w3, 3, padding=1)
        self.decoder = nn.ModuleList(
            [CausalBlock(w3, True) for _ in range(d3)]
            + [nn.Sequential(nn.Conv2d(w3, last**2 * w2, 1), nn.PixelShuffle(last))]
            + [CausalBlock(w2, True) for _ in range(d2)]
            + [nn.Sequential(nn.Conv2d(w2, 4 * w1, 1), nn.PixelShuffle(2))]
            + [CausalBlock(w1, False) for _ in range(d1)]
        )
        if config.decoder == "motion":
            self.decoder_motion = KeyAndMotion(w1, config.frames_per_latent)
        else:
            self.decoder_out = nn.Conv2d(w1, folded, 3, padding=1)
        self.grain_head = GrainHead(w1, config.frames_per_latent) if config.grain else None
        self.to(memory_format=torch.channels_last)

    def features(self, pictures: Tensor) -> Tensor:
        """float [b, 1 + 4k, h, w] in 0..1 → float [b, k + 1, h', w', channels] before quantization."""
        self._check(pictures.shape[1], pictures)
        return self._features(self._with_lead(pictures), None)[0]

    def quantize(self, pictures: Tensor) -> Quantized:
        """Pictures → codes, ids and losses, for training."""
        return self.quantizer(self.features(pictures))

    def encode(self, pictures: Tensor) -> Tensor:
        """float [b, 1 + 4k, h, w] in 0..1 → ids int64 [b, k + 1, h', w']."""
        return self.quantizer.to_ids(self.features(pictures))

    def encode_chunks(self, chunks: Iterable[Tensor]) -> Iterator[Tensor]:
        """Pictures float [b, any number, h, w] in order → their ids, each latent frame as soon as its pictures are in.

        Together what `encode` makes of all pictures. InputError where these were not 1 + 4k.
        """
        per, past, waiting, count = self.config.frames_per_latent, None, None, 0
        for pictures in chunks:
            self._check(1, pictures)  # how many they are shows at the end
            count += pictures.shape[1]
            pictures = self._with_lead(pictures) if waiting is None else torch.cat([waiting, pictures], 1)
            whole = pictures.shape[1] // per * per
            waiting = pictures[:, whole:]
            if whole:
                features, past = self._features(pictures[:, :whole], past)
                yield self.quantizer.to_ids(features)
        if waiting is not None:
            self._check(count, waiting)

    def decode_codes(self, codes: Tensor) -> Tensor:
        """Codes [b, t', h', w', channels] → pictures float [b, 1 + 4(t' - 1), h, w], not clamped, without grain."""
        return self.picture(self.ascend(codes)[0], codes.shape[1])

    def ascend(self, codes: Tensor, past: Past | None = None) -> tuple[Tensor, Past]:
        """Codes → the decoder's finest features [b · t', c, h / 4, w / 4], and what the next chunk needs to know."""
        x = codes.flatten(0, 1).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
        return _run(self.decoder, self.decoder_in(x), codes.shape[1], past)

    def key(self, features: Tensor, latent_frames: int) -> Key | None:
        """What the pictures of later chunks need of a clip that begins with these features; plain ones nothing."""
        return self.decoder_motion.key(features, latent_frames) if self.config.decoder == "motion" else None

    def picture(self, features: Tensor, latent_frames: int, *, begins: bool = True, key: Key | None = None) -> Tensor:
        """What `ascend` gives → pictures, not clamped, without grain; where a clip `begins` without the lead.

        A chunk that goes on needs the `key` of the clip's first one.
        """
        if self.config.decoder == "motion":
            if key is None and not begins:
                raise ValueError("latent frames that go on with a clip need its key")
            key = key or self.key(features, latent_frames)
            return self.decoder_motion(features, latent_frames, key, begins=begins)
        x = F.pixel_shuffle(self.decoder_out(F.silu(features)), PATCH).float() * 0.5 + 0.5
        lead = self.config.frames_per_latent - 1 if begins else 0
        return x.unflatten(0, (-1, latent_frames)).flatten(1, 2)[:, lead:]

    def decode(self, ids: Tensor, grain_seed: int | None = None) -> Tensor:
        """ids int64 [b, t', h', w'] → pictures float [b, 1 + 4(t' - 1), h, w] in 0..1.

        Without a seed, or if the weights know no grain, the picture in the mean: nearest to what was encoded.
        """
        return next(self.decode_chunks([ids], grain_seed))

    def decode_chunks(self, chunks: Iterable[Tensor], grain_seed: int | None = None) -> Iterator[Tensor]:
        """ids int64 [b, any number, h', w'] in order → their pictures; together what `decode` makes of all ids."""
        past, painter, key = None, None, None
        for ids in chunks:
            begins, latent_frames = past is None, ids.shape[1]
            features, past = self.ascend(self.quantizer.to_codes(ids), past)
            key = self.key(features, latent_frames) if begins else key
            pictures = self.picture(features, latent_frames, begins=begins, key=key).clamp(0, 1)
            if grain_seed is not None and self.grain_head is not None:
                if painter is None:
                    painter = GrainPainter(len(ids), self.config.size, seed=grain_seed, device=pictures.device)
                pictures = add_grain(pictures, painter(self.grain_head(features, latent_frames, begins=begins)))
            yield pictures

    def _check(self, count: int, pictures: Tensor) -> None:
        per, size, (h, w) = self.config.frames_per_latent, self.config.size, pictures.shape[-2:]
        if (count - 1) % per or h != size or w != size:
            raise InputError(f"The tokenizer takes 1 + {per}k pictures of {size}×{size}; got {count} of {h}×{w}.")

    def _with_lead(self, pictures: Tensor) -> Tensor:
        """The clip with its first picture repeated in front, so that a latent frame has its full number."""
        return torch.cat([pictures[:, :1].expand(-1, self.config.frames_per_latent - 1, -1, -1), pictures], 1)

    def _features(self, pictures: Tensor, past: Past | None) -> tuple[Tensor, Past]:
        """Pictures [b, 4k, h, w] → features [b, k, h', w', channels], and what the next chunk needs to know."""
        b, t, h, w = pictures.shape
        per = self.config.frames_per_latent
        x = pictures.reshape(b * t // per, per, h, w) * 2 - 1
        x = F.pixel_unshuffle(x, PATCH).contiguous(memory_format=torch.channels_last)
        x, past = _run(self.encoder, self.encoder_in(x), t // per, past)
        return self.encoder_out(x).unflatten(0, (b, t // per)).permute(0, 1, 3, 4, 2), past


def _run(layers: nn.ModuleList, x: Tensor, latent_frames: int, past: Past | None) -> tuple[Tensor, Past]:
    following: Past = []
    for layer, before in zip(layers, past or [None] * len(layers), strict=True):
        x, last = layer(x, latent_frames, before) if isinstance(layer, CausalBlock) else (layer(x), None)
        following.append(last)
    return x, following
