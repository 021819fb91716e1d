"""The heart's dipole: what loops P, QRS and T draw in space.

Each wave is a sum of Gaussians of time with a vector each (after Sameni et al. 2007, "Multichannel ECG and noise
modeling"), in the axes x to the left, y to the feet, z to the back. A QRS has six of them, timed in parts of its
duration. The vectors were chosen so that Dower's leads of them look as the textbook has the twelve leads of each kind
of conduction.
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from echopulse.phantom.priors import chance, log_normal, normal, uniform
from echopulse.phantom.rhythm.intervals import ECTOPIC_PEAK_AT, peak_at
from echopulse.phantom.types import CONDUCTIONS, PATHOLOGIES, TERRITORIES, Patients

# Each row: when (parts of the QRS), how wide (standard deviation, same unit), then the vector in mV and its spread.
_QRS = {
    "normal": (
        #  at  width     x      y      z     sx    sy    sz
        (0.16, 0.085, -0.15, 0.02, -0.38, 0.10, 0.09, 0.13),  # septum: r in V1, q in I and V6
        (0.40, 0.120, 1.30, 0.62, 0.34, 0.0, 0.0, 0.0),  # free wall: R; its direction is drawn apart
        (0.66, 0.100, -0.10, -0.12, 0.66, 0.14, 0.16, 0.22),  # base: S in V1 to V3
        (0.86, 0.070, 0.0, 0.0, 0.10, 0.10, 0.10, 0.12),
    ),
    "lbbb": (
        (0.16, 0.085, 0.22, 0.10, -0.06, 0.10, 0.08, 0.15),
        (0.40, 0.135, 0.88, 0.38, 0.72, 0.14, 0.18, 0.18),  # septum from right to left, slowly: no q
        (0.66, 0.125, 0.88, 0.10, 1.10, 0.16, 0.18, 0.22),  # free wall late: the second hump of the notch
        (0.88, 0.080, 0.22, 0.0, 0.25, 0.10, 0.08, 0.12),
    ),
    "rbbb": (
        (0.10, 0.050, -0.15, 0.02, -0.36, 0.10, 0.09, 0.11),
        (0.28, 0.080, 1.25, 0.60, 0.34, 0.0, 0.0, 0.0),
        (0.46, 0.070, -0.05, -0.10, 0.50, 0.12, 0.13, 0.16),
        (0.74, 0.115, -0.62, -0.05, -0.62, 0.15, 0.15, 0.15),  # right ventricle last: R' in V1, broad S in I and V6
    ),
    "paced": (
        (0.15, 0.080, 0.15, -0.30, 0.10, 0.15, 0.15, 0.15),
        (0.42, 0.125, 0.75, -1.05, 0.60, 0.35, 0.20, 0.25),  # from the right ventricle's apex upwards: superior axis
        (0.68, 0.110, 0.45, -0.60, 0.80, 0.30, 0.20, 0.25),
        (0.88, 0.075, 0.10, -0.10, 0.20, 0.15, 0.15, 0.15),
    ),
}
PACED = CONDUCTIONS.index("paced")
BUMPS = 6  # the four above, a notch, and what a scar leaves out
# Which way each coronary artery's wall lies: the front, the left side, below.
_TOWARDS = {"none": (0.0, 0.0, 0.0), "lad": (0.15, 0.05, -0.99), "lcx": (0.95, -0.15, 0.25), "rca": (-0.05, 0.98, 0.12)}
_T_SHARE = {"normal": 0.0, "lbbb": 1.0, "rbbb": 0.35, "paced": 1.0}  # how far T turns against a wide QRS


def draw_qrs(patients: Patients, vectors: Tensor, generator: Generator, easy: bool) -> tuple[Tensor, Tensor, Tensor]:
    """When [b, g], how wide [b, g] (parts of the QRS) and which way [b, g, 3] mV the bumps of a conducted QRS go.

    `vectors` [b, 12, 3] are the leads: the bumps are timed so that the limb leads peak at the beat's fiducial.
    """
    n = len(patients.ef)
    table = torch.tensor([_QRS[name] for name in CONDUCTIONS])[patients.conduction]  # [b, 4, 8]
    spread = 0.4 if easy else 1.0
    bumps = table[..., 2:5] + spread * table[..., 5:8] * _gaussian((n, 4, 3), generator)
    vector = _free_wall(patients, bumps[:, 1], generator, spread)
    # An axis turned to the left comes from a late upper front: activation begins downwards, which leaves an r in II.
    upwards = (0.25 - torch.atan2(vector[:, 1], vector[:, 0])).clamp(0, 1) * (patients.conduction != PACED)
    first = bumps[:, 0] + upwards[:, None] * torch.tensor([0.0, 0.45, 0.0])
    bumps = torch.cat([first[:, None], vector[:, None], bumps[:, 2:]], 1)
    turned = _rotation(n, generator, (0.06, 0.05, 0.10), spread)
    tall = log_normal(n, 1.0, 0.18 * spread, generator, 0.55, 1.8) * patients.voltage
    bumps = tall[:, None, None] * torch.einsum("bij,bgj->bgi", turned, bumps)

    size = bumps[:, 1].norm(dim=-1)[:, None]
    # Fragments of the complex: a notch or slur somewhere behind the peak.
    slur = 0.10 * size * _gaussian((n, 3), generator) * chance((n, 1), 0.0 if easy else 0.35, generator)
    slur_at = uniform(n, 0.62, 0.95, generator)
    scarred = 0.85 * size * _lost_to_scar(patients, generator)
    normal_scale = torch.where(patients.conduction == CONDUCTIONS.index("rbbb"), 0.68, 1.0)
    at = torch.cat([table[..., 0], slur_at[:, None], (0.24 * normal_scale)[:, None]], 1)
    width = torch.cat([table[..., 1], torch.full((n, 1), 0.09), (0.095 * normal_scale)[:, None]], 1)
    width = width * (1 + 0.10 * spread * _gaussian((n, 1), generator))
    at = at + 0.02 * spread * _gaussian((n, BUMPS), generator)
    mv = torch.cat([bumps, slur[:, None], scarred[:, None]], 1)
    return _peak_on_time(at, width, mv, vectors, peak_at(patients.conduction)), width, mv


def draw_ectopic(patients: Patients, vectors: Tensor, generator: Generator) -> tuple[Tensor, Tensor, Tensor]:
    """The same of a beat that spreads from somewhere in a ventricle: any direction, tall, slurred."""
    n = len(patients.ef)
    direction = torch.randn((n, 3), generator=generator)
    direction = direction / direction.norm(dim=-1, keepdim=True).clamp_min(1e-3)
    # Most arise near the outflow tract or the septum and run downwards or upwards: seldom along z alone.
    direction = direction * torch.tensor([1.0, 1.25, 0.75])
    size = log_normal(n, 1.35, 0.28, generator, 0.6, 2.6) * patients.voltage.sqrt()
    main = size[:, None] * direction
    aside = 0.25 * size[:, None, None] * _gaussian((n, BUMPS, 3), generator)
    along = torch.stack(
        [
            uniform(n, 0.0, 0.35, generator),
            torch.ones(n),
            uniform(n, -0.45, 0.8, generator),
            uniform(n, -0.2, 0.2, generator),
            torch.zeros(n),
            torch.zeros(n),
        ],
        1,
    )
    mv = along[..., None] * main[:, None] + aside * torch.tensor([0.5, 0.3, 1.0, 0.5, 0.0, 0.0])[:, None]
    at = torch.tensor([0.16, 0.40, 0.68, 0.88, 0.5, 0.5]).expand(n, -1) + 0.03 * _gaussian((n, BUMPS), generator)
    width = torch.tensor([0.09, 0.16, 0.14, 0.08, 0.1, 0.1]) * (1 + 0.1 * _gaussian((n, 1), generator))
    return _peak_on_time(at, width, mv, vectors, torch.full((n,), ECTOPIC_PEAK_AT)), width, mv


def draw_repolarisation(
    patients: Patients, qrs_mv: Tensor, width: Tensor, generator: Generator, easy: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Vectors [b, 3] mV of the ST segment, of T, and of T's early part, that go with a QRS."""
    n = len(patients.ef)
    spread = 0.4 if easy else 1.0
    main = qrs_mv[:, 1]
    size = main.norm(dim=-1, keepdim=True)
    # T points where R does, but further to the front.
    forwards = torch.tensor([-0.12, 0.0, -0.62]) + 0.16 * spread * _gaussian((n, 3), generator)
    along = main / size.clamp_min(1e-3) + forwards
    tall = log_normal((n, 1), 0.33, 0.28 * spread, generator, 0.15, 0.75)
    concordant = tall * size.clamp_min(0.5) * along / along.norm(dim=-1, keepdim=True).clamp_min(1e-3)
    area = (qrs_mv * width[..., None]).sum(1) / 0.12  # net direction of depolarisation
    against = torch.tensor([_T_SHARE[name] for name in CONDUCTIONS])[patients.conduction][:, None]
    discordant = -uniform((n, 1), 0.16, 0.32, generator) * area
    late = patients.conduction == CONDUCTIONS.index("rbbb")
    discordant = torch.where(late[:, None], -0.35 * qrs_mv[:, 3], discordant)
    t = torch.where(late[:, None], concordant + discordant, (1 - against) * concordant + against * discordant)

    # Strain turns T against R where the wall is thick; illness of any kind flattens it.
    name = patients.pathology
    strained = torch.zeros(n)
    for which, odds in (("hypertensive", 0.3), ("hypertrophic", 0.6), ("dilated", 0.25), ("restrictive", 0.2)):
        hit = chance(n, 0.0 if easy else odds, generator)
        strained = torch.where((name == PATHOLOGIES.index(which)) & hit, 1.0, strained)
    anyone = chance(n, 0.0 if easy else 0.06, generator).float()
    turned = torch.maximum(strained, anyone)[:, None] * uniform((n, 1), 0.6, 1.7, generator)
    plain = (patients.conduction == CONDUCTIONS.index("normal"))[:, None]
    t = torch.where(plain, (1 - turned) * t, t)
    flat = torch.where(chance((n, 1), 0.0 if easy else 0.15, generator), uniform((n, 1), 0.15, 0.6, generator), 1.0)
    t = flat * t
    strain_st = -0.07 * turned * strained[:, None] * main

    towards = torch.tensor([_TOWARDS[name] for name in TERRITORIES])[patients.territory]
    injury = patients.scar[:, None] * towards
    t = t - uniform((n, 1), 0.0, 0.45, generator) * injury
    acute = chance((n, 1), 0.0 if easy else 0.25, generator) * normal((n, 1), 0.10, 0.12, generator, -0.15, 0.4)
    st = strain_st + acute * (towards * (patients.scar[:, None] > 0) + 0.15 * injury)
    st = st + 0.35 * discordant * against * uniform((n, 1), 0.1, 0.6, generator)
    st = st + 0.018 * spread * _gaussian((n, 3), generator) + 0.08 * t * uniform((n, 1), 0, 1, generator)
    biphasic = chance((n, 1), 0.0 if easy else 0.10, generator) * uniform((n, 1), -0.8, 0.5, generator)
    early = biphasic * t * (1 + 0.3 * _gaussian((n, 3), generator))
    return st, t, early


def draw_p(qrs_mv: Tensor, generator: Generator, easy: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Vectors [b, 3] mV of the P wave's right and left atrial halves, and of a P that begins elsewhere in the atria.

    `qrs_mv` [b, g, 3]: a body that makes the QRS small makes P small too, though not as much.
    """
    n = len(qrs_mv)
    spread = 0.4 if easy else 1.0
    tall = log_normal((n, 1), 0.72, 0.22 * spread, generator, 0.35, 1.4)
    tall = tall * (qrs_mv[:, 1].norm(dim=-1, keepdim=True) / 1.5).clamp(0.2, 1.5).sqrt()
    right = torch.tensor([0.055, 0.100, -0.045]) + spread * 0.020 * _gaussian((n, 3), generator)
    left = torch.tensor([0.090, 0.050, 0.065]) + spread * 0.022 * _gaussian((n, 3), generator)
    wide = chance((n, 1), 0.0 if easy else 0.12, generator)  # a large left atrium: notched in II, deep in V1
    left = torch.where(wide, 1.45 * left, left)
    other = torch.randn((n, 3), generator=generator) * torch.tensor([0.08, 0.11, 0.05])
    other = other + 0.04 * torch.sign(other)
    return tall * right, tall * left, tall * other


def _free_wall(patients: Patients, usual: Tensor, generator: Generator, spread: float) -> Tensor:
    """The main vector [b, 3]: where bundle branch block does not set it, its direction follows the electrical axis."""
    n = len(usual)
    off = chance(n, 0.05 if spread == 1.0 else 0.0, generator)
    axis = torch.where(off, uniform(n, -42, 72, generator), normal(n, 33, 12 * spread, generator, 2, 60))
    back = normal(n, 15, 10 * spread, generator, -12, 42)
    axis, back = axis * math.pi / 180, back * math.pi / 180
    length = log_normal(n, 1.5, 0.24 * spread, generator, 0.7, 2.8)
    flat = length * back.cos()
    free = torch.stack([flat * axis.cos(), flat * axis.sin(), length * back.sin()], 1)
    fast = (patients.conduction == CONDUCTIONS.index("normal")) | (patients.conduction == CONDUCTIONS.index("rbbb"))
    return torch.where(fast[:, None], free, usual)


def _lost_to_scar(patients: Patients, generator: Generator) -> Tensor:
    """[b, 3], relative to R: what early activation loses in a scar points away from it, which draws a Q wave there."""
    n = len(patients.ef)
    towards = torch.tensor([_TOWARDS[name] for name in TERRITORIES])[patients.territory]
    depth = patients.scar * uniform(n, 0.35, 1.25, generator)
    return -depth[:, None] * (towards + 0.12 * (patients.scar[:, None] > 0) * _gaussian((n, 3), generator))


def _peak_on_time(at: Tensor, width: Tensor, mv: Tensor, vectors: Tensor, wanted: Tensor) -> Tensor:
    """`at` [b, g] shifted so that lead II, or a far taller limb lead, peaks when `wanted` [b] of the QRS is over."""
    u = torch.linspace(0.05, 0.95, 181)
    bumps = torch.exp(-0.5 * ((u - at[..., None]) / width[..., None]).square())  # [b, g, u]
    dipole = torch.einsum("bgd,bgu->bdu", mv, bumps)
    limb = torch.einsum("bld,bdu->blu", vectors[:, :6], dipole).abs()
    tallest = limb.amax(-1)  # [b, 6]
    two = tallest[:, 1] >= 0.5 * tallest.amax(1)
    lead = torch.where(two, 1, tallest.argmax(1))
    seen = limb[torch.arange(len(lead)), lead]
    peak = u[seen.argmax(-1)]
    return at + (wanted - peak).clamp(-0.2, 0.2)[:, None]


def _rotation(n: int, generator: Generator, about: tuple[float, float, float], spread: float) -> Tensor:
    """[n, 3, 3] rotations by small random angles [rad] about x, y and z."""
    angle = spread * torch.tensor(about) * _gaussian((n, 3), generator)
    turn = torch.zeros(n, 3, 3)
    turn[:, 0, 1], turn[:, 0, 2], turn[:, 1, 2] = -angle[:, 2], angle[:, 1], -angle[:, 0]
    return torch.linalg.matrix_exp(turn - turn.transpose(1, 2))


def _gaussian(shape: tuple[int, ...], generator: Generator) -> Tensor:
    """Standard normal `shape`, none beyond 2.5."""
    return torch.randn(shape, generator=generator).clamp(-2.5, 2.5)
