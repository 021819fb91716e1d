"""What names of rhythms, conductions and diseases mean in numbers, so that pins cannot contradict each other.

Only what a name means by definition stands here; a combination that is merely rare is nobody's mistake.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from echopulse.errors import InputError
from echopulse.phantom.priors import NAMES
from echopulse.phantom.types import TERRITORIES

ROUNDING = 1e-5  # relative, of numbers that lie on a border
NONE = TERRITORIES.index("none")


@dataclass(frozen=True)
class Definition:
    """Where `kind` is `name`, `number` lies from `low` to `high`, both included; nowhere if `low` is above `high`."""

    kind: str
    name: str
    number: str  # or a name by its index
    low: float
    high: float
    words: str

    def holds(self, values: Tensor) -> Tensor:
        """bool, of the same shape: whether these values of `number` go with the name."""
        slack = ROUNDING * values.abs()
        return (values + slack >= self.low) & (values - slack <= self.high)

    def concerns(self, values: Tensor) -> Tensor:
        """bool, of the same shape: which of these indices of `kind` are the name."""
        return values == NAMES[self.kind].index(self.name)


DEFINITIONS = (
    Definition("rhythm", "asystole", "heart_rate_bpm", math.inf, -math.inf, "a heart in asystole has no rate"),
    Definition("rhythm", "bradycardia", "heart_rate_bpm", 0, 60, "a bradycardia has at most 60/min"),
    Definition("rhythm", "tachycardia", "heart_rate_bpm", 100, math.inf, "a tachycardia has at least 100/min"),
    Definition("rhythm", "vt", "heart_rate_bpm", 100, math.inf, "a ventricular tachycardia has at least 100/min"),
    Definition("rhythm", "av_block_1", "pr_s", 0.2, math.inf, "in a first-degree block PR is at least 0.2 s"),
    Definition("rhythm", "bigeminy", "ectopic_period", 2, 2, "in bigeminy every 2nd beat is an ectopic"),
    Definition("conduction", "normal", "qrs_s", 0, 0.12, "a normally conducted QRS lasts at most 0.12 s"),
    Definition("conduction", "lbbb", "qrs_s", 0.12, math.inf, "in a bundle branch block QRS lasts at least 0.12 s"),
    Definition("conduction", "rbbb", "qrs_s", 0.12, math.inf, "in a bundle branch block QRS lasts at least 0.12 s"),
    # Reduced up to 0.40, preserved from 0.50: universal definition of heart failure (Bozkurt et al. 2021).
    Definition("pathology", "healthy", "ef", 0.4, 1, "a healthy heart ejects at least 0.4"),
    Definition("pathology", "dilated", "ef", 0, 0.5, "a dilated cardiomyopathy ejects at most 0.5"),
    Definition("pathology", "healthy", "territory", NONE, NONE, "a healthy heart has territory none"),
)


def refuse_contradictions(pinned: dict[str, Tensor]) -> None:
    """InputError where two pinned values, each with a row per heart, cannot be true of the same heart."""
    for rule in DEFINITIONS:
        if rule.kind not in pinned or rule.number not in pinned:
            continue
        values = pinned[rule.number]
        wrong = values[rule.concerns(pinned[rule.kind]) & ~rule.holds(values)]
        if len(wrong):
            value = NAMES[rule.number][int(wrong[0])] if rule.number in NAMES else f"{float(wrong[0]):g}"
            raise InputError(
                f"{rule.kind}={rule.name} and {rule.number}={value} contradict each other: {rule.words}; change one of "
                "them or leave it out."
            )


def possible_names(kind: str, pinned: dict[str, Tensor], hearts: int) -> Tensor:
    """bool [hearts, names]: which names of a kind the numbers pinned for each heart, [hearts], leave possible."""
    possible = torch.ones(hearts, len(NAMES[kind]), dtype=torch.bool)
    for rule in DEFINITIONS:
        if rule.kind == kind and rule.number in pinned:
            possible[:, NAMES[kind].index(rule.name)] &= rule.holds(pinned[rule.number])
    return possible


def reconciled(pinned: dict[str, Any]) -> dict[str, Any]:
    """Pins that contradict nothing: numbers moved to the nearest that goes with the names, or left out if none does."""
    pinned = dict(pinned)
    for rule in DEFINITIONS:
        if pinned.get(rule.kind) != rule.name or rule.number not in pinned:
            continue
        if rule.low > rule.high:
            del pinned[rule.number]
        elif rule.number in NAMES:
            pinned[rule.number] = NAMES[rule.number][int(rule.low)]
        elif isinstance(pinned[rule.number], Tensor):
            pinned[rule.number] = pinned[rule.number].clamp(rule.low, rule.high)
        else:
            pinned[rule.number] = min(max(pinned[rule.number], rule.low), rule.high)
    return pinned
