"""From the ECG encoder's tokens back to the signal, one lead at a time; needed while the encoder learns, not after."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from echopulse.model.config import EcgEncoderConfig

LOOK = 17  # samples that a lead's look is told by at once: 85 ms at 200 Hz
LOOK_STRIDE = 4


class SignalDecoder(nn.Module):
    """Each token and the look of a lead → the samples of that lead that the token stands for.

    The encoder takes the mean over leads and does not know which ones it hears. So the decoder is told what a lead
    looks like: how strongly each of some shapes occurs in it, a mean over all that is known, without any time. When
    something happens it can learn from the tokens alone, and from one token at a time.
    """

    def __init__(self, config: EcgEncoderConfig):
        super().__init__()
        self.stride = config.stride
        self.look = nn.Conv1d(1, config.width, LOOK, stride=LOOK_STRIDE, padding=LOOK // 2)
        self.say = nn.Sequential(
            nn.Linear(2 * config.width, config.width), nn.GELU(),
            nn.Linear(config.width, config.width), nn.GELU(),
            nn.Linear(config.width, config.stride),
        )  # fmt: skip

    def forward(self, tokens: Tensor, signal: Tensor, present: Tensor) -> Tensor:
        """tokens [b, m, d] and the signal [b, l, n], normalised, where it is `present`: [b, l, n], n = m · stride."""
        b, leads, n = signal.shape
        shapes = F.gelu(self.look((signal * present).reshape(b * leads, 1, n))).unflatten(0, (b, leads))
        weight = present[:, :, None, ::LOOK_STRIDE].to(shapes.dtype)
        look = (shapes * weight).sum(-1) / weight.sum(-1).clamp(min=1)  # [b, l, d]
        m = tokens.shape[1]
        both = [tokens[:, None].expand(-1, leads, -1, -1), look[:, :, None].expand(-1, -1, m, -1).to(tokens.dtype)]
        return self.say(torch.cat(both, -1)).flatten(2)
