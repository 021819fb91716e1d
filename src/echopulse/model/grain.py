"""Grain: the speckle that a scanner draws on tissue and that few tokens cannot say.

Speckle is noise to a tokenizer: at 64 tokens for four pictures it comes out as fog. But it is noise of a known kind.
Scatterers stick to the tissue and move with it; the beam blurs them, narrow along the beam and wide across it; the
receiver shows the logarithm of the envelope. So the tokens say where the tissue moves and how strong and how wide the
grain is, and the grain itself is drawn anew from a seed: white scatterers on a polar grid, carried along by the motion
found, blurred, detected and compressed as in a scanner (Wagner et al. 1983, speckle statistics). Tokens that say the
picture in the mean keep the smallest error; with its grain it looks and moves as an echocardiogram does.

Lengths are in picture heights and times in frames; the beams are taken to leave a point just above the picture's top.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

DEPTHS, BEAMS = 160, 160
REACH = 1.25  # depth of the polar grid, picture heights
HALF_ANGLE = math.radians(60)
PROBE = -0.04  # of the beams' common point, below the picture's top
COMPOUND = 0.3  # of the power is that of one look, the rest is its mean: what spatial compounding leaves of the nulls
EVEN = 41  # samples of the polar grid over which the power is brought to one
NEAR, FAR = 0.04, 0.14  # from the beams' common point: between these grain sets in, since nearer by beams overlap
BACKGROUND_PX = 2.5  # standard deviation of the Gaussian that tells grain from what lies under it
LEAST_SIGMA, LARGEST_SIGMA = 0.5, 4.0  # of the beam, samples of the polar grid
SIGMAS = tuple(LEAST_SIGMA * (LARGEST_SIGMA / LEAST_SIGMA) ** (k / 6) for k in range(7))  # beams that are measured
LAG = 2  # samples of the polar grid, at which correlations tell the beam
SETTLING = 0.01  # per frame: scatterers drift back, so that small errors of motion do not add up for ever
FADING = 0.05  # grey value 0..1 below which grain fades with the picture
STRONGEST = 0.25  # grey values 0..1
FASTEST = 0.06  # picture heights per frame


@dataclass(frozen=True, eq=False)
class Grain:
    """What is to be drawn on b clips of t frames.

    Attributes:
        motion: float32 [b, t, g, g, 2], how far tissue has moved since the frame before, to the right and downwards,
            picture heights.
        strength: float32 [b, t, g, g], standard deviation of the grain, grey values 0..1.
        gain: float32 [b], one over the standard deviation that grain of this beam has before it is scaled.
        beam: float32 [b, 2], standard deviations of the beam's blur along and across it, samples of the polar grid.
        keep: float32 [b], correlation of the scatterers with those of the frame before, 0..1.
    """

    motion: Tensor
    strength: Tensor
    beam: Tensor
    gain: Tensor
    keep: Tensor

    def between(self, when: slice) -> Grain:
        """The same at some of the frames."""
        return replace(self, motion=self.motion[:, when], strength=self.strength[:, when])


class GrainHead(nn.Module):
    """The decoder's finest features [b * t', c, g, g] -> `Grain` of b clips of 1 + 4(t' - 1) frames.

    Beam and correlation are read off the first latent frame alone; whoever draws keeps those of the clip's beginning,
    so that they stay the same however it goes on.
    """

    def __init__(self, channels: int, frames_per_latent: int, hidden: int = 48):
        super().__init__()
        self.frames_per_latent = frames_per_latent
        self.local = nn.Sequential(
            nn.Conv2d(channels, hidden, 3, padding=1), nn.SiLU(), nn.Conv2d(hidden, 3 * frames_per_latent, 3, padding=1)
        )
        self.whole = nn.Sequential(nn.Linear(2 * channels, hidden), nn.SiLU(), nn.Linear(hidden, 3))
        for layer in (self.local[-1], self.whole[-1]):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.register_buffer("spreads", torch.ones(len(SIGMAS), len(SIGMAS)))  # see `measure_beams`

    def forward(self, features: Tensor, latent_frames: int, *, begins: bool = True) -> Grain:
        """Of a whole clip, or where it does not `begins` here, of latent frames that go on with one."""
        lead = self.frames_per_latent - 1 if begins else 0  # the first latent frame of a clip holds one picture
        per = self.frames_per_latent
        said = self.local(features).float().unflatten(0, (-1, latent_frames)).unflatten(2, (per, 3))
        said = said.flatten(1, 2)[:, lead:]  # [b, t, 3, g, g]
        first = features.unflatten(0, (-1, latent_frames))[:, 0].float().flatten(2)
        with torch.autocast(features.device.type, enabled=False):
            whole = self.whole(torch.cat([first.mean(2), first.std(2)], 1))
        beam = LEAST_SIGMA * (LARGEST_SIGMA / LEAST_SIGMA) ** torch.sigmoid(whole[:, :2])
        return Grain(
            motion=FASTEST * torch.tanh(said[:, :, :2]).permute(0, 1, 3, 4, 2),
            strength=STRONGEST * torch.sigmoid(said[:, :, 2] - 2),
            beam=beam,
            gain=1 / at_beam(self.spreads.float(), beam),
            keep=torch.sigmoid(whole[:, 2] + 2),
        )


class GrainPainter:
    """Draws the grain of one batch of clips, block after block: blocks give what the whole at once would give."""

    def __init__(self, clips: int, size: int, *, seed: int = 0, device: torch.device | str = "cpu"):
        self.generators = [Generator().manual_seed(seed + clip) for clip in range(clips)]
        self.size, self.device = size, device
        self.scatterers = self._white()
        self.shift: Tensor | None = None  # [b, 2, g, g], where tissue lies from where it began
        self.begun: dict[str, Tensor] = {}  # beam, gain and keep of the first block

    def __call__(self, grain: Grain) -> Tensor:
        """Grain of the next frames, float32 [b, t, size, size], zero in the mean."""
        self.begun = self.begun or {name: getattr(grain, name) for name in ("beam", "gain", "keep")}
        with torch.autocast(torch.device(self.device).type, enabled=False):
            return self._draw(replace(grain, **self.begun))

    def _draw(self, grain: Grain) -> Tensor:
        points, pixels = (place.to(self.device) for place in polar_grid(self.size))
        b, t = grain.strength.shape[:2]
        fields = torch.stack([self._next(grain, k, points) for k in range(t)], 1)  # [b, t, 2, depths, beams]
        power = _blurred(fields, grain.beam).square().sum(2) / 2
        # scatterers looked up between their samples are alike, so that a beam adds them up to more than one
        power = power / _local_mean(power)
        level = torch.log(COMPOUND * power + (1 - COMPOUND))
        screen = F.grid_sample(level, pixels.expand(b, -1, -1, -1), align_corners=False)
        screen = above_background(screen) * far_enough(self.size).to(screen)
        strength = F.interpolate(grain.strength, (self.size, self.size), mode="bilinear", align_corners=False)
        return screen * strength * grain.gain[:, None, None, None]

    def _white(self) -> Tensor:
        drawn = [torch.randn(2, DEPTHS, BEAMS, generator=generator) for generator in self.generators]
        return torch.stack(drawn).to(self.device)

    def _next(self, grain: Grain, k: int, points: Tensor) -> Tensor:
        """Scatterers [b, 2, depths, beams] of frame k where they now lie, before the beam."""
        motion = 2 * grain.motion[:, k].permute(0, 3, 1, 2)  # from picture heights to -1..1
        b, g = len(motion), motion.shape[-1]
        if self.shift is None:
            self.shift = torch.zeros_like(motion)
        else:
            place = _centres(g, motion.device) - motion.permute(0, 2, 3, 1)
            before = F.grid_sample(self.shift, place, align_corners=False, padding_mode="border")
            self.shift = (1 - SETTLING) * before + motion
            keep = grain.keep[:, None, None, None]
            self.scatterers = keep * self.scatterers + (1 - keep * keep).sqrt() * self._white()
        shift = F.grid_sample(self.shift, points.expand(b, -1, -1, -1), align_corners=False, padding_mode="border")
        return _look_up(self.scatterers, points - shift.permute(0, 2, 3, 1))


@dataclass(frozen=True, eq=False)
class Beams:
    """Grain as beams of `SIGMAS` along (rows) and across (columns) draw it, float32 [7, 7] each.

    `spreads` are standard deviations before scaling, `along` and `across` correlations at `LAG` polar samples.
    """

    spreads: Tensor
    along: Tensor
    across: Tensor


@cache
def measure_beams(size: int, draws: int = 6) -> Beams:
    """Draws grain with every beam and measures it; a second's work, which trained weights carry with them."""
    sigmas = torch.tensor(SIGMAS)
    cells = torch.zeros(draws, 1, 4, 4)
    found = torch.zeros(3, len(sigmas), len(sigmas))
    for row, along in enumerate(sigmas):
        for column, across in enumerate(sigmas):
            beam = torch.stack([along, across]).expand(draws, 2)
            still = Grain(torch.zeros(draws, 1, 4, 4, 2), cells + 1, beam, torch.ones(draws), torch.ones(draws))
            drawn = GrainPainter(draws, size)(still)
            middle = slice(size // 4, size - size // 8)
            found[0, row, column] = drawn[..., middle, middle].std()
            weight = torch.zeros_like(drawn)
            weight[..., middle, middle] = 1
            energy, *products = grain_products(drawn, weight)
            found[1:, row, column] = torch.stack(products).mean(1) / energy.mean()
    return Beams(*found)


def at_beam(table: Tensor, beam: Tensor) -> Tensor:
    """A table of `Beams` between its entries, [b] for beams [b, 2]."""
    place = (beam / LEAST_SIGMA).log() / math.log(LARGEST_SIGMA / LEAST_SIGMA) * 2 - 1
    grid = place.flip(1)[None, :, None]  # (column, row)
    found = F.grid_sample(table[None, None], grid, align_corners=True, padding_mode="border")
    return found[0, 0, :, 0]


def beam_of(along: Tensor, across: Tensor, beams: Beams, steps: int = 61) -> Tensor:
    """The beam [b, 2] whose grain comes nearest to correlations `along` and `across` [b]."""
    fine = LEAST_SIGMA * (LARGEST_SIGMA / LEAST_SIGMA) ** torch.linspace(0, 1, steps)
    tried = torch.cartesian_prod(fine, fine)
    said = torch.stack([at_beam(beams.along, tried), at_beam(beams.across, tried)], 1)
    wanted = torch.stack([along, across], 1).cpu()
    return tried[torch.cdist(wanted, said).argmin(1)].to(along.device)


def grain_products(grain: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Energy of grain [b, t, h, w] and its products with itself `LAG` samples farther along and across the beam, [b].

    All three are means over the polar grid where `weight` [b, t, h, w] is.
    """
    points, _ = polar_grid(grain.shape[-1])
    b, t = grain.shape[:2]
    points = points.to(grain.device)[None].expand(b * t, -1, -1, -1)
    both = torch.stack([grain.flatten(0, 1), weight.flatten(0, 1).to(grain.dtype)], 1)
    polar = F.grid_sample(both, points, align_corners=False).unflatten(0, (b, t))
    value, there = polar[:, :, 0], polar[:, :, 1] > 0.5
    products = []
    for here, beyond in (
        ((..., slice(None), slice(None)),) * 2,
        ((..., slice(None, -LAG), slice(None)), (..., slice(LAG, None), slice(None))),
        ((..., slice(None), slice(None, -LAG)), (..., slice(None), slice(LAG, None))),
    ):
        pairs = value[here] * value[beyond] * (there[here] & there[beyond])
        count = (there[here] & there[beyond]).flatten(1).sum(1).clamp(min=1)
        products.append(pairs.flatten(1).sum(1) / count)
    return tuple(products)


def add_grain(pictures: Tensor, grain: Tensor) -> Tensor:
    """Pictures [b, t, h, w] in 0..1 with their grain, in 0..1.

    It fades where they do, so that black stays black, as below a scanner's threshold, and edges keep their line.
    """
    return (pictures + grain * (pictures / FADING).clamp(max=1)).clamp(0, 1)


def above_background(pictures: Tensor) -> Tensor:
    """Pictures [b, t, h, w] less what a Gaussian blur leaves of them: grain, edges and valves."""
    radius = int(3 * BACKGROUND_PX + 0.5)
    kernel = _gaussian(torch.tensor([BACKGROUND_PX], device=pictures.device), radius)
    kernel = (kernel / kernel.sum()).to(pictures.dtype)
    flat = F.pad(pictures.flatten(0, 1)[:, None], (radius,) * 4, mode="reflect")
    blurred = F.conv2d(F.conv2d(flat, kernel[:, None, :, None]), kernel[:, None, None, :])
    return pictures - blurred[:, 0].unflatten(0, pictures.shape[:2])


@cache
def polar_grid(size: int) -> tuple[Tensor, Tensor]:
    """Polar samples in the picture [depths, beams, 2], pixels in the polar grid [size, size, 2]; (x, y) in -1..1."""
    far = (torch.arange(DEPTHS) + 0.5) / DEPTHS * REACH
    angle = _centres_1d(BEAMS) * HALF_ANGLE
    x, y = far[:, None] * angle.sin(), far[:, None] * angle.cos() + PROBE
    points = torch.stack([2 * x, 2 * y - 1], -1)
    row, column = torch.meshgrid((torch.arange(size) + 0.5) / size, _centres_1d(size) / 2, indexing="ij")
    return points, _to_polar(torch.stack([2 * column, 2 * row - 1], -1))


@cache
def far_enough(size: int) -> Tensor:
    """How much of its grain each pixel shows, [size, size]: 0 at the probe, 1 from `FAR` on."""
    _, pixels = polar_grid(size)
    far = (pixels[..., 1] + 1) * (REACH / 2)
    return ((far - NEAR) / (FAR - NEAR)).clamp(0, 1)


def _to_polar(places: Tensor) -> Tensor:
    """(x, y) in the picture -> (across, down) in the polar grid, both -1..1."""
    x, y = places[..., 0] / 2, (places[..., 1] + 1) / 2 - PROBE
    return torch.stack([torch.atan2(x, y) / HALF_ANGLE, (x * x + y * y).sqrt() * (2 / REACH) - 1], -1)


def _look_up(scatterers: Tensor, places: Tensor) -> Tensor:
    """White noise [b, 2, depths, beams] between its samples, at places [b, depths, beams, 2] in the picture.

    Interpolated noise is weaker halfway between samples; the weights' length makes up for it.
    """
    polar = _to_polar(places)
    found = F.grid_sample(scatterers, polar, align_corners=False, padding_mode="border")
    power = torch.ones_like(polar[..., 0])
    for axis, count in ((0, BEAMS), (1, DEPTHS)):
        sample = ((polar[..., axis] + 1) * count / 2 - 0.5).clamp(0, count - 1)
        part = sample - sample.floor()
        power = power * (part.square() + (1 - part).square())
    return found * power.rsqrt()[:, None]


def _blurred(fields: Tensor, beam: Tensor) -> Tensor:
    """Fields [b, t, 2, depths, beams] after the beam [b, 2], of unit power; beyond the grid there is nothing.

    As products with banded matrices, which a CPU does ten times faster than convolutions of one channel.
    """
    along, across = (_band(beam[:, axis], count)[:, None, None] for axis, count in enumerate((DEPTHS, BEAMS)))
    return along @ fields @ across.transpose(-1, -2)


def _local_mean(power: Tensor) -> Tensor:
    """Means over EVEN x EVEN samples of the grid [b, t, depths, beams], fewer at its rim."""
    along = F.avg_pool2d(power, (EVEN, 1), 1, (EVEN // 2, 0), count_include_pad=False)
    return F.avg_pool2d(along, (1, EVEN), 1, (0, EVEN // 2), count_include_pad=False)


def _band(sigma: Tensor, count: int) -> Tensor:
    """Matrices [b, count, count] that blur by Gaussians of sigma [b] and keep the power of white noise."""
    radius = int(3 * LARGEST_SIGMA + 0.5)
    kernel = _gaussian(sigma, radius)
    kernel = kernel / kernel.square().sum(1, keepdim=True).sqrt()
    apart = torch.arange(count, device=sigma.device)
    apart = apart[:, None] - apart + radius
    return torch.where((apart >= 0) & (apart <= 2 * radius), kernel[:, apart.clamp(0, 2 * radius)], 0.0)


def _gaussian(sigma: Tensor, radius: int) -> Tensor:
    """[b, 2 * radius + 1] for sigma [b]."""
    place = torch.arange(-radius, radius + 1, device=sigma.device, dtype=torch.float32)
    return torch.exp(-0.5 * (place / sigma[:, None]) ** 2)


def _centres_1d(count: int) -> Tensor:
    return (torch.arange(count) + 0.5) / count * 2 - 1


def _centres(count: int, device: torch.device) -> Tensor:
    """(x, y) of the cells' centres, [1, count, count, 2]."""
    one = _centres_1d(count).to(device)
    return torch.stack(torch.meshgrid(one, one, indexing="xy"), -1)[None]
