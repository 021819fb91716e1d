"""Draws from the distributions that the phantom's parameters come from, all on the CPU, all from a given generator."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Generator, Tensor

from echopulse.errors import InputError
from echopulse.phantom.types import CONDUCTIONS, PATHOLOGIES, RHYTHMS, TERRITORIES, VIEWS

PRIORS = ("easy", "clinical", "uniform")
LIMITS = {  # beyond them a heart is no heart
    "ef": (0.03, 0.86),
    "edv_ml": (20, 500),
    "heart_rate_bpm": (25, 220),
    "age_years": (16, 100),
    "female": (0, 1),
    "wall": (0.5, 2.5),
    "sphericity": (0.7, 1.5),
    "territory_motion": (-0.6, 1.2),
    "scar": (0, 1),
    "qrs_s": (0.05, 0.24),
    "ectopic_qrs_s": (0.10, 0.24),
    "pr_s": (0.10, 0.60),
    "qt_offset_s": (-0.10, 0.20),
    "sinus_bpm": (25, 220),
    "group": (2, 12),
    "pause_s": (1, 15),
    "flutter_hz": (3, 7.5),
    "fibrillation_hz": (3, 12),
    "mains_hz": (40, 70),
    "recorder_gain": (-20, 20),
    "voltage": (0.05, 4),
    "ivct_s": (0.0, 0.15),
    "ivrt_s": (0.02, 0.25),
    "early_filling_s": (0.1, 0.6),
    "atrial_share": (0, 0.6),
    "atrial_delay_s": (0, 0.15),
    "atrial_kick_s": (0.06, 0.25),
    "ectopic_force": (0.1, 1.2),
    "la_emptying": (0, 0.9),
    "ra_emptying": (0, 0.9),
    "peak_twist_rad": (-0.5, 0.5),
    "septal_flash_cm": (-1, 1),
    "ectopic_flash_cm": (-1, 1),
    "half_angle_rad": (0.2, 0.9),
    "skin_radius_cm": (0, 8),
    "top": (0, 0.3),
    "bottom": (0.5, 1),
    "frequency_mhz": (1, 10),
    "harmonic": (0, 1),
    "aperture_cm": (0.5, 4),
    "focus": (0.1, 1.2),
    "smoothing": (0, 0.1),
    "side_lobe_db": (-90, -6),
    "ghost_db": (-90, -6),
    "ghost_cm": (0.1, 10),
    "tail_cm": (0, 3),
    "gain_db": (-40, 40),
    "dynamic_range_db": (20, 120),
    "reject": (0, 0.8),
    "curve": (0, 0.8),
    "contrast": (0, 0.4),
    "speckle_weight": (0, 1),
    "persistence_s": (0.005, 1),
    "haze_s": (0.005, 2),
    "flicker": (0, 2),
    "clutter_cm": (0.2, 10),
    "bands_cm": (0.2, 10),
    "ring_cm": (0.05, 2),
    "rib_edge": (0.005, 1),
    "side_width": (0.02, 2),
    "breath_s": (1, 20),
    "length_cm": (4, 14),
    "tau": (0.2, 0.7),
    "bullet": (-0.4, 0.6),
    "ovality": (0.85, 1.18),
    "bend_x_cm": (-0.8, 0.8),
    "bend_y_cm": (-0.8, 0.8),
    "shortening": (0, 0.3),
    "wall_cm": (0.3, 3),
    "septal_ratio": (0.5, 2.5),
    "apical_wall_cm": (0.2, 2),
    "rv_width_cm": (1, 8),
    "rv_wall_cm": (0.1, 2),
    "rv_shortening": (0, 0.5),
    "la_height_cm": (2, 10),
    "la_width_cm": (2, 10),
    "la_depth_cm": (2, 10),
    "la_squeeze": (0, 0.35),
    "ra_height_cm": (2, 10),
    "ra_width_cm": (1.5, 10),
    "atrial_septum_cm": (0.05, 1.5),
    "atrial_wobble": (-1, 1),
    "veins": (0, 1),
    "aorta_cm": (1.5, 6),
    "aorta_lean_rad": (-0.2, 0.8),
    "papillary": (0, 1),
    "opening_rad": (0, 1.6),
    "foreshortening": (0, 0.4),
    "off_axis": (0, 2),
    "rotation_rad": (-0.8, 0.8),
    "aside_cm": (-3, 3),
    "tilt_rad": (-0.8, 0.8),
    "aim_cm": (-4, 4),
    "gap_cm": (0.1, 5),
    "level": (0.05, 1.2),
    "roll_rad": (-0.8, 1.2),
    "depth_cm": (6, 30),
    "drift_cm": (0, 2),
    "drift_s": (0.5, 60),
    "breath_cm": (0, 2),
    "breath_rad": (-0.2, 0.2),
    "breath_hz": (0.05, 1),
}
NAMES = {  # parameters whose values are names; stored as indices
    "rhythm": RHYTHMS,
    "conduction": CONDUCTIONS,
    "pathology": PATHOLOGIES,
    "territory": TERRITORIES,
    "view": VIEWS,
}
OTHER_NAMES = {"psax": "psax_papillary"}
Shape = int | tuple[int, ...]


def check_prior(prior: str) -> None:
    """Raise where `prior` is none of the known names."""
    if prior not in PRIORS:
        raise InputError(f"prior {prior!r} is unknown; choose one of {', '.join(PRIORS)}.")


def _shape(shape: Shape) -> tuple[int, ...]:
    return (shape,) if isinstance(shape, int) else shape


def uniform(shape: Shape, low: float, high: float, generator: Generator) -> Tensor:
    """float32 `shape`, evenly spread over [low, high)."""
    return low + (high - low) * torch.rand(_shape(shape), generator=generator)


def log_uniform(shape: Shape, low: float, high: float, generator: Generator) -> Tensor:
    """float32 `shape`, whose logarithm is evenly spread."""
    return torch.exp(uniform(shape, math.log(low), math.log(high), generator))


def normal(
    shape: Shape, mean: float, sd: float, generator: Generator, low: float = -math.inf, high: float = math.inf
) -> Tensor:
    """float32 `shape`, Gaussian cut off (not heaped up) at `low` and `high`."""
    edges = torch.special.ndtr((torch.tensor([low, high], dtype=torch.float64) - mean) / sd)
    level = edges[0] + (edges[1] - edges[0]) * torch.rand(_shape(shape), generator=generator, dtype=torch.float64)
    return (mean + sd * torch.special.ndtri(level.clamp(1e-9, 1 - 1e-9))).float()


def log_normal(shape: Shape, median: float, sigma: float, generator: Generator, low: float, high: float) -> Tensor:
    """float32 `shape`, log-normal cut off at `low` and `high`; `sigma` is the spread of the logarithm."""
    return torch.exp(normal(shape, math.log(median), sigma, generator, math.log(low), math.log(high)))


def chance(shape: Shape, probability: float, generator: Generator) -> Tensor:
    """bool `shape`, True with the given probability."""
    return torch.rand(_shape(shape), generator=generator) < probability


def choice(shape: Shape, weights: Iterable[float], generator: Generator) -> Tensor:
    """int64 `shape` of indices, each drawn in proportion to its weight."""
    edges = torch.tensor(list(weights), dtype=torch.float64).cumsum(0)
    level = torch.rand(_shape(shape), generator=generator, dtype=torch.float64) * edges[-1]
    return torch.searchsorted(edges, level, right=True).clamp_max(len(edges) - 1)


def truncated_normal(mean: Tensor, sd: Tensor, low: Tensor, high: Tensor, generator: Generator) -> Tensor:
    """float32 [n], Gaussian like `normal`, each with a mean, spread and edges [n] of its own."""
    shape = torch.broadcast_shapes(mean.shape, sd.shape, low.shape, high.shape)
    below, above = (torch.special.ndtr((edge.double() - mean) / sd) for edge in (low, high))
    level = below + (above - below) * torch.rand(shape, generator=generator, dtype=torch.float64)
    drawn = (mean + sd * torch.special.ndtri(level.clamp(1e-9, 1 - 1e-9))).float()
    return torch.maximum(torch.minimum(drawn, high.float()), low.float())  # where the mean lies far outside


def index_of(name: str, value: Any) -> Tensor:
    """int64 scalar or [n] from a rhythm, conduction, pathology, territory or view (see `NAMES`).

    `value` is one of the names, a list of them, an index, indices, or a list that mixes both.
    """
    choices = NAMES[name]
    if isinstance(value, Tensor):
        value = value.tolist()
    several = not isinstance(value, str) and isinstance(value, Iterable)
    indices = []
    for item in value if several else [value]:
        item = OTHER_NAMES.get(item, item) if isinstance(item, str) else item
        if isinstance(item, str) and item in choices:
            indices.append(choices.index(item))
        elif not isinstance(item, str) and item in range(len(choices)):
            indices.append(int(item))
        else:
            raise InputError(f"{name} {item!r} is unknown; choose one of {', '.join(choices)}.")
    return torch.tensor(indices if several else indices[0])


def apply_pins(values: dict[str, Tensor], pinned: dict[str, Any], stage: str) -> dict[str, Tensor]:
    """`values` with the pinned ones replaced by the number, tensor or name given for them.

    Pins are applied after drawing, so that pinning one value leaves the draws of the others as they were.
    """
    unknown = sorted(set(pinned) - set(values))
    if unknown:
        names = ", ".join(sorted(values))
        raise InputError(f"the {stage} has no parameter {unknown[0]!r}; its parameters are {names}.")
    replaced = dict(values)
    for name, value in pinned.items():
        drawn = values[name]
        given = index_of(name, value) if name in NAMES else _number(name, value, drawn.dtype, stage)
        low, high = LIMITS.get(name, (-math.inf, math.inf))
        if not bool(((given >= low) & (given <= high)).all()):
            raise InputError(f"the {stage}'s {name} lies between {low:g} and {high:g}; got {value}.")
        while 0 < given.ndim < drawn.ndim:
            given = given[..., None]
        if given.ndim and given.shape[0] not in (1, drawn.shape[0]):
            raise InputError(
                f"{given.shape[0]} values of {name} were given for {drawn.shape[0]} hearts; give one, or one for each."
            )
        replaced[name] = given.expand(drawn.shape).clone()
    return replaced


def _number(name: str, value: Any, dtype: torch.dtype, stage: str) -> Tensor:
    try:
        given = torch.as_tensor(value, dtype=dtype)
    except (TypeError, ValueError) as error:
        raise InputError(f"the {stage}'s {name} is a number; got {value!r}.") from error
    if not bool(given.isfinite().all()):
        raise InputError(f"the {stage}'s {name} is a number; got {value!r}.")
    return given
