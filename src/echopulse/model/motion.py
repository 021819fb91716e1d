"""The decoder's last step where later pictures are the first one, moved: what sticks to tissue is not coded again.

The clip's first latent frame is the key. Every later picture bends the key's texture along a displacement field that is
read off the decoder's features of both, and takes through a gate from its own features what the key does not show
(valves, shadows, tissue that came into the plane).

A displacement says at each place how far what lies there has come from where it lay in the key, to the right and
downwards in picture heights. It is said at a quarter of the picture's size; the texture is bent at the full size, for
a shift by less than a cell is no shift of features that hold a cell's pixels side by side.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PATCH = 4  # pixels along a side of a feature's cell
TEXTURE = 8  # channels that are bent
FARTHEST = 0.25  # picture heights


@dataclass(frozen=True, eq=False)
class Key:
    """What all later pictures need of b clips' first latent frames.

    Attributes:
        texture: [b, TEXTURE, h, w], to be bent.
        seen: [b, hidden, h / 4, w / 4], the key's side of the comparison that tells the displacement.
    """

    texture: Tensor
    seen: Tensor


class KeyAndMotion(nn.Module):
    """The decoder's finest features [b · t', c, h / 4, w / 4] → pictures [b, t, h, w], not clamped."""

    def __init__(self, channels: int, frames_per_latent: int, hidden: int = 48):
        super().__init__()
        self.per = frames_per_latent
        self.key_texture = nn.Conv2d(channels, TEXTURE * PATCH**2, 3, padding=1)
        self.own_texture = nn.Conv2d(channels, self.per * TEXTURE * PATCH**2, 1)
        self.seen_then = nn.Conv2d(channels, hidden, 3, padding=1, bias=False)
        self.seen_now = nn.Conv2d(channels, hidden, 3, padding=1)
        self.move = nn.Conv2d(hidden, self.per * 3, 3, padding=1)  # displacement and gate of every picture
        self.out = nn.Conv2d(TEXTURE, 1, 3, padding=1)
        nn.init.zeros_(self.move.weight)
        nn.init.zeros_(self.move.bias)

    def key(self, features: Tensor, latent_frames: int) -> Key:
        """The key of clips that begin with these features."""
        first = F.silu(features.unflatten(0, (-1, latent_frames))[:, 0])
        return Key(_unfold(self.key_texture(first), 1), self.seen_then(first))

    def displacement(self, features: Tensor, latent_frames: int) -> Tensor:
        """How far each picture of clips that begin here lies from its key, [b, t, h / 4, w / 4, 2]; 0 in the first."""
        later, _ = self._later(F.silu(features), latent_frames, self.key(features, latent_frames), begins=True)
        return F.pad(later.permute(0, 1, 3, 4, 2), (0, 0, 0, 0, 0, 0, 1, 0))

    def forward(self, features: Tensor, latent_frames: int, key: Key, *, begins: bool) -> Tensor:
        """Of a clip that `begins` here with its key, or of latent frames that go on with one."""
        parts = [self._show(key.texture[:, None])] if begins else []
        if latent_frames > begins:
            features = F.silu(features)
            displacement, gate = self._later(features, latent_frames, key, begins=begins)
            bent = bend(key.texture, displacement)
            gate = torch.sigmoid(_enlarge(gate, bent.shape[-2:]))
            own = self.own_texture(_without_key(features, latent_frames, begins))
            own = _unfold(own, self.per).unflatten(0, bent.shape[:2]).float()
            parts.append(self._show(torch.lerp(bent, own, gate)))
        return torch.cat(parts, 1)

    def _show(self, texture: Tensor) -> Tensor:
        """Texture [b, n, TEXTURE, h, w] → pictures [b, n, h, w]."""
        return self.out(F.silu(texture.flatten(0, 1)))[:, 0].float().unflatten(0, texture.shape[:2]) * 0.5 + 0.5

    def _later(self, features: Tensor, latent_frames: int, key: Key, *, begins: bool) -> tuple[Tensor, Tensor]:
        """Of every picture after the key its displacement [b, n, 2, g, g] and its gate's logit [b, n, 1, g, g]."""
        b, later = len(key.seen), latent_frames - begins
        seen = self.seen_now(_without_key(features, latent_frames, begins)).unflatten(0, (b, later))
        moved = self.move(F.silu(seen + key.seen[:, None]).flatten(0, 1)).float()
        moved = moved.unflatten(1, (self.per, 3)).unflatten(0, (b, later)).flatten(1, 2)
        return FARTHEST * torch.tanh(moved[:, :, :2]), moved[:, :, 2:]


def bend(pictures: Tensor, displacement: Tensor) -> Tensor:
    """Pictures [b, c, h, w] as n displacements [b, n, 2, g, g] move them, float32 [b, n, c, h, w].

    What lies beyond the border is what lies at the border.
    """
    b, n = displacement.shape[:2]
    height, width = pictures.shape[-2:]
    row, column = ((torch.arange(k, device=pictures.device) + 0.5) / k * 2 - 1 for k in (height, width))
    own = torch.stack(torch.meshgrid(column, row, indexing="xy"), -1)
    scale = own.new_tensor([2 * height / width, 2.0])  # picture heights to -1..1
    way = _enlarge(displacement.float(), (height, width)).permute(0, 1, 3, 4, 2)
    places = (own - scale * way).flatten(1, 2)  # the n pictures below each other, so that none is copied n times
    moved = F.grid_sample(pictures.float(), places, align_corners=False, padding_mode="border")
    return moved.unflatten(2, (n, height)).transpose(1, 2)


def _without_key(features: Tensor, latent_frames: int, begins: bool) -> Tensor:
    return features.unflatten(0, (-1, latent_frames))[:, int(begins) :].flatten(0, 1)


def _unfold(cells: Tensor, pictures: int) -> Tensor:
    """[n, pictures · c · PATCH², g, g] → [n · pictures, c, g · PATCH, g · PATCH]: a pixel shuffle in one copy."""
    n, _, rows, columns = cells.shape
    cells = cells.reshape(n * pictures, -1, PATCH, PATCH, rows, columns)
    return cells.permute(0, 1, 4, 2, 5, 3).reshape(n * pictures, -1, rows * PATCH, columns * PATCH)


def _enlarge(fields: Tensor, size: tuple[int, int]) -> Tensor:
    """[b, n, c, g, g] → [b, n, c, *size]."""
    large = F.interpolate(fields.flatten(0, 1), size, mode="bilinear", align_corners=False)
    return large.unflatten(0, fields.shape[:2])
