"""Whose heart it is: function first, then the rhythm, ECG, shape and scars that go with such a function in life.

The numbers here are plausible, not epidemiology: they tie the ECG and the look at end-diastole to the ejection
fraction (EF) about as loosely as life does, so that both carry some information about it and neither all.
"""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass, fields
from typing import Any

import torch
from torch import Generator, Tensor

from echopulse.phantom.definitions import possible_names
from echopulse.phantom.priors import (
    NAMES,
    apply_pins,
    check_prior,
    log_normal,
    normal,
    truncated_normal,
    uniform,
)
from echopulse.phantom.types import CONDUCTIONS, PATHOLOGIES, RHYTHMS, TERRITORIES, Patients

EF_CELL = 0.01
EF_EDGES = torch.arange(10, 80, dtype=torch.float64) / 100  # lower edges of the cells of the joint table
EVEN_EF = (0.15, 0.75)  # the `uniform` prior's span


@dataclass(frozen=True)
class _Disease:
    """What a disease makes of a heart; factors are relative to a healthy one."""

    share: float  # of all hearts under `clinical`
    ef: float  # mean
    ef_sd: float
    edv: float
    wall: float
    sphericity: float
    voltage: float
    age: float  # years older than the mean
    female: float  # share of women


_DISEASES = {
    #                       share   ef  ef_sd   edv  wall  spher  volt  age  female
    "healthy": _Disease(0.41, 0.62, 0.055, 1.00, 1.00, 1.00, 1.00, -4.0, 0.52),
    "hypertensive": _Disease(0.15, 0.59, 0.08, 0.98, 1.25, 1.00, 1.25, 8.0, 0.50),  # concentric growth
    "ischaemic": _Disease(0.18, 0.42, 0.12, 1.05, 0.93, 1.02, 0.90, 10.0, 0.35),  # scars; remodelled by the EF links
    "dilated": _Disease(0.13, 0.27, 0.08, 1.22, 0.85, 1.07, 0.92, 2.0, 0.40),  # large, round, thin-walled
    "hypertrophic": _Disease(0.07, 0.68, 0.07, 0.82, 1.65, 0.95, 1.50, -2.0, 0.45),  # small cavity, high voltage
    "restrictive": _Disease(0.06, 0.50, 0.10, 0.85, 1.45, 0.98, 0.50, 14.0, 0.40),  # as amyloid: thick, low voltage
}

# Share of each rhythm among hearts of normal and of poor function, in percent, and its mean ventricular rate:
# median [1/min], spread of the logarithm, lowest, highest.
_RHYTHMS = {
    "sinus": (58.0, 46.0, 69, 0.16, 48, 100),
    "af": (12.0, 21.0, 86, 0.25, 55, 150),
    "pvc": (7.0, 11.0, 72, 0.17, 50, 105),
    "asystole": (3.0, 3.0, 70, 0.15, 50, 100),  # its rate is never seen
    "tachycardia": (3.0, 6.0, 114, 0.10, 100, 150),
    "bradycardia": (4.0, 2.0, 51, 0.10, 35, 59),
    "flutter": (2.0, 2.5, 105, 0.22, 75, 150),
    "pac": (3.5, 2.5, 72, 0.17, 50, 105),
    "bigeminy": (1.5, 2.0, 72, 0.15, 55, 100),
    "av_block_1": (2.5, 2.5, 66, 0.17, 45, 100),
    "wenckebach": (1.5, 1.0, 62, 0.15, 45, 85),
    "mobitz_2": (1.0, 1.2, 47, 0.18, 32, 70),
    "av_block_3": (1.5, 1.5, 38, 0.13, 28, 48),
    "vt": (0.7, 2.5, 160, 0.11, 130, 200),
    "pause": (1.5, 1.2, 62, 0.15, 45, 90),
}
# Share among hearts of normal and of poor function in percent; QRS duration [s]: mean, sd, lowest, highest.
_CONDUCTIONS = {
    "normal": (92.5, 63.0, 0.090, 0.010, 0.070, 0.118),
    "lbbb": (2.2, 22.0, 0.146, 0.012, 0.122, 0.190),  # by far the commonest block of a failing heart
    "rbbb": (4.0, 6.0, 0.138, 0.011, 0.120, 0.170),
    "paced": (1.3, 9.0, 0.162, 0.014, 0.130, 0.200),
}
_ISCHAEMIC_TERRITORIES = (0.12, 0.45, 0.17, 0.26)  # none (all three vessels), LAD, LCX, RCA
_NEVER = 1e-9  # of what the table rules out; keeps contradictory pins drawable


class _Settled(dict[str, Tensor]):
    """What is known of the patients so far: every value as drawn, or as pinned."""

    def __init__(self, pinned: dict[str, Any]) -> None:
        super().__init__()
        self.pinned = pinned

    def settle(self, name: str, drawn: Tensor) -> Tensor:
        pins = {name: self.pinned[name]} if name in self.pinned else {}
        self.update(apply_pins({name: drawn}, pins, "patient"))
        return self[name]

    def numbers(self, n: int) -> dict[str, Tensor]:
        """Of the pinned ones those that are no names, float32 [n]."""
        pins = {name: value for name, value in self.pinned.items() if name not in NAMES}
        return apply_pins(dict.fromkeys(pins, torch.zeros(n)), pins, "patient")


def draw_patients(n: int, generator: Generator, prior: str = "clinical", **pinned: Any) -> Patients:
    """n patients; a value given by name takes the place of the one drawn, and the rest is drawn to go with it.

    Rhythm, conduction, pathology and territory are given as names, lists of names, or indices. Each of them, given
    without an EF, tells about the EF: it is drawn from p(EF | what was given), out of one joint table.
    """
    check_prior(prior)
    names = [field.name for field in fields(Patients)]
    apply_pins(dict.fromkeys(names, torch.zeros(n)), pinned, "patient")  # refuses what cannot be, before any draw
    known = _Settled(pinned)
    shown_ef = _draw_function(n, generator, prior, known)
    _draw_heart(n, generator, known, shown_ef)
    _draw_electricity(n, generator, known, shown_ef)
    known.settle("breath_hz", normal(n, 0.25, 0.06, generator, 0.12, 0.42))
    known.settle("breath_phase", uniform(n, 0, 2 * math.pi, generator))
    return Patients(**{name: known[name] for name in names})


def _draw_function(n: int, generator: Generator, prior: str, known: _Settled) -> Tensor:
    """EF and pathology out of their joint table, then the names that depend on them.

    The EF [n] that disease, size, shape and voltage go with: the heart's own, and under `independent` a stranger's.
    """
    tables = {
        "conduction": _by_function([row[:2] for row in _CONDUCTIONS.values()], prior)[:, None],  # [cells, 1, names]
        "rhythm": _by_function([row[:2] for row in _RHYTHMS.values()], prior)[:, None],
        "territory": _territories()[None],  # [1, pathologies, names]
    }
    weights = _joint(prior).expand(n, -1, -1)  # [n, cells, pathologies]
    for name, table in tables.items():
        if name in known.pinned:
            given = apply_pins({name: torch.zeros(n, dtype=torch.int64)}, {name: known.pinned[name]}, "patient")[name]
            weights = weights * table[..., given].movedim(-1, 0)
    everyone = torch.arange(n)
    disease = torch.arange(len(PATHOLOGIES)).expand(n, -1)
    if "pathology" in known.pinned:
        given = apply_pins({"pathology": disease[:, 0]}, {"pathology": known.pinned["pathology"]}, "patient")
        weights = weights * (disease == given["pathology"][:, None])[:, None]

    cell = _pick(weights.sum(2), generator)
    ef = known.settle("ef", (EF_EDGES[cell] + EF_CELL * torch.rand(n, generator=generator)).float())
    cell = (torch.searchsorted(EF_EDGES, ef.double(), right=True) - 1).clamp_min(0)
    shown_ef = ef
    if prior == "independent":
        shown_ef = uniform(n, *EVEN_EF, generator)
        cell = (torch.searchsorted(EF_EDGES, shown_ef.double(), right=True) - 1).clamp_min(0)
    pathology = known.settle("pathology", _pick(weights[everyone, cell], generator))
    for name, table in tables.items():
        rows = table.expand(len(EF_EDGES), len(PATHOLOGIES), -1)[cell, pathology]
        known.settle(name, _pick(rows * possible_names(name, known.numbers(n), n), generator))
    return shown_ef


def _draw_heart(n: int, generator: Generator, known: _Settled, shown_ef: Tensor) -> None:
    """Age and sex, then the size, shape and scars of a heart with that disease and function."""
    af = known["rhythm"] == RHYTHMS.index("af")
    disease = _Disease(*torch.tensor([astuple(_DISEASES[name]) for name in PATHOLOGIES])[known["pathology"]].T)
    lost = (0.58 - shown_ef).clamp_min(0)  # of the EF; what remodelling goes with
    female = known.settle("female", (torch.rand(n, generator=generator) < disease.female).float())
    known.settle("age_years", (normal(n, 55, 16, generator, 18, 84) + disease.age + 7 * af).clamp(18, 92))

    size = torch.where(female > 0, 82.0, 108.0) * disease.edv  # middle of the normal ranges of ASE/EACVI 2015
    known.settle("edv_ml", (size * (1 + 1.35 * lost) * log_normal(n, 1.0, 0.14, generator, 0.5, 1.8)).clamp(40, 350))
    wall = disease.wall * (1 - 0.35 * lost) * log_normal(n, 1.0, 0.10, generator, 0.7, 1.4)
    known.settle("wall", wall.clamp(0.6, 2.2))
    sphericity = disease.sphericity * (1 + 0.45 * lost) * log_normal(n, 1.0, 0.05, generator, 0.85, 1.2)
    known.settle("sphericity", sphericity.clamp(0.8, 1.4))

    bad = known["territory"] > 0
    motion = (0.55 - 1.7 * (lost - 0.1) + normal(n, 0.0, 0.22, generator, -0.5, 0.5)).clamp(-0.4, 0.95)
    known.settle("territory_motion", torch.where(bad, motion, 1.0))
    scar = (0.40 + 1.1 * (lost - 0.1) + normal(n, 0.0, 0.20, generator, -0.5, 0.5)).clamp(0, 1)
    known.settle("scar", torch.where(bad, scar, 0.0))


def _draw_electricity(n: int, generator: Generator, known: _Settled, shown_ef: Tensor) -> None:
    """Rate, QRS duration and voltage that go with the rhythm, conduction, disease and function."""
    disease = _Disease(*torch.tensor([astuple(_DISEASES[name]) for name in PATHOLOGIES])[known["pathology"]].T)
    rhythms = torch.tensor([_RHYTHMS[name] for name in RHYTHMS], dtype=torch.float64)[known["rhythm"]]
    _, _, median, spread, low, high = rhythms.T
    median = median * torch.exp(0.8 * (0.55 - shown_ef))  # a weak heart makes up for its small strokes
    rate = torch.exp(truncated_normal(median.log(), spread, low.log(), high.log(), generator))
    known.settle("heart_rate_bpm", rate)
    widths = torch.tensor([_CONDUCTIONS[name] for name in CONDUCTIONS], dtype=torch.float64)[known["conduction"]]
    _, _, mean, sd, low, high = widths.T
    mean = mean + 0.08 * (0.55 - shown_ef).clamp_min(0)
    known.settle("qrs_s", truncated_normal(mean, sd, low, high, generator))
    weaker = 1 - 0.9 * (0.55 - shown_ef).clamp_min(0)
    voltage = disease.voltage * weaker * log_normal(n, 1.0, 0.18, generator, 0.5, 2.0)
    known.settle("voltage", voltage.clamp(0.2, 2.5))


def _joint(prior: str) -> Tensor:
    """p(EF, pathology) up to a factor, float64 [cells, pathologies]."""
    middle = EF_EDGES[:, None] + EF_CELL / 2
    share, mean, sd = torch.tensor([astuple(_DISEASES[name])[:3] for name in PATHOLOGIES], dtype=torch.float64).T
    if prior == "easy":
        share = torch.where(torch.arange(len(PATHOLOGIES)) == 0, 1.0, _NEVER**2)  # even where a low EF is pinned
    joint = share * (torch.exp(-0.5 * ((middle - mean) / sd).square()) / sd + _NEVER)
    if prior in ("uniform", "independent"):
        low, high = EVEN_EF
        even = ((middle > low) & (middle < high)) + _NEVER
        joint = even * joint / joint.sum(1, keepdim=True)
    return joint


def _by_function(percents: list[tuple[float, float]], prior: str) -> Tensor:
    """p(name | EF), float64 [cells, names], from the shares among hearts of normal and of poor function."""
    normal_share, poor_share = torch.tensor(percents, dtype=torch.float64).T
    if prior == "easy":  # the first name only
        normal_share = poor_share = torch.where(torch.arange(len(percents)) == 0, 1.0, _NEVER)
    poor = torch.sigmoid((0.40 - EF_EDGES[:, None]) / 0.045)
    table = (1 - poor) * normal_share + poor * poor_share
    return table / table.sum(1, keepdim=True)


def _territories() -> Tensor:
    """p(territory | pathology), float64 [pathologies, territories]."""
    table = torch.full((len(PATHOLOGIES), len(TERRITORIES)), _NEVER, dtype=torch.float64)
    table[:, 0] = 1.0
    table[PATHOLOGIES.index("ischaemic")] = torch.tensor(_ISCHAEMIC_TERRITORIES, dtype=torch.float64)
    return table


def _pick(weights: Tensor, generator: Generator) -> Tensor:
    """int64 [n]: for each row of `weights` [n, k] a column, in proportion to its weight."""
    edges = weights.cumsum(1)
    level = torch.rand(len(weights), 1, generator=generator, dtype=torch.float64) * edges[:, -1:]
    return torch.searchsorted(edges, level, right=True)[:, 0].clamp_max(weights.shape[1] - 1)
