"""Every parameter of a simulated examination, by name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Any

from torch import Tensor

from echopulse.errors import InputError
from echopulse.phantom.anatomy.heart import AnatomyParameters
from echopulse.phantom.anatomy.planes import ProbeParameters
from echopulse.phantom.limits import LIMITS, YES_OR_NO
from echopulse.phantom.mechanics import MechanicsParameters
from echopulse.phantom.priors import NAMES
from echopulse.phantom.rhythm.electrocardiogram import ElectrocardiogramParameters
from echopulse.phantom.rhythm.timing import RhythmParameters
from echopulse.phantom.scanner.settings import ScannerParameters
from echopulse.phantom.types import MEANING, Batch, Patients

STAGES = {
    "patients": Patients,
    "rhythm": RhythmParameters,
    "electrocardiogram": ElectrocardiogramParameters,
    "mechanics": MechanicsParameters,
    "anatomy": AnatomyParameters,
    "probe": ProbeParameters,
    "scanner": ScannerParameters,
}
UNITS = {
    "s": "s", "cm": "cm", "ml": "ml", "mv": "mV", "db": "dB", "hz": "Hz", "mhz": "MHz", "bpm": "1/min", "rad": "rad",
    "years": "years",
}  # fmt: skip
GUESSES = 3


@dataclass(frozen=True)
class PhantomParameters(Batch):
    """Everything that was drawn for b examinations."""

    patients: Patients
    rhythm: RhythmParameters
    electrocardiogram: ElectrocardiogramParameters
    mechanics: MechanicsParameters
    anatomy: AnatomyParameters
    probe: ProbeParameters
    scanner: ScannerParameters

    def _each(self, change: Any) -> PhantomParameters:
        return PhantomParameters(**{name: getattr(self, name)._each(change) for name in STAGES})

    def of(self, i: int) -> dict[str, Any]:
        """Every parameter of clip i as "stage.name": a number, a list of numbers or a name."""
        named = {}
        for stage in STAGES:
            values = getattr(self, stage)
            for field in fields(values):
                value = getattr(values, field.name)
                if isinstance(value, Tensor):
                    value = value[i].tolist()
                    if field.name in NAMES:
                        value = NAMES[field.name][value]
                else:
                    value = value[i]
                named[f"{stage}.{field.name}"] = value
        return named


def sort_pins(pinned: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Each pinned value under the stages that have a parameter of its name; an unknown name is an InputError.

    What the stages take over from the patient (ejection fraction, volume, ...) belongs to the patient alone.
    Leads are asked for, not pinned.
    """
    names = {stage: {field.name for field in fields(kind)} - {"lead"} for stage, kind in STAGES.items()}
    if "lead" in pinned:
        raise InputError("lead is not a parameter to pin; ask for leads by name or number, as in leads=('II', 'V5').")
    pins: dict[str, dict[str, Any]] = {stage: {} for stage in STAGES}
    for name, value in pinned.items():
        homes = [stage for stage in STAGES if name in names[stage]]
        if not homes:
            near = nearest_names(name, set().union(*names.values()))
            guess = f"did you mean {' or '.join(near)}? " if near else ""
            raise InputError(
                f"the phantom has no parameter {name!r}; {guess}`echopulse simulate --parameters` lists them all."
            )
        for home in homes[:1] if homes[0] == "patients" else homes:
            pins[home][name] = value
    return pins


def nearest_names(name: str, known: Iterable[str]) -> list[str]:
    """The few known names that somebody may have meant: it is a word of them or their initials, or spelt alike."""
    name, known = name.lower(), sorted(known, key=lambda other: (len(other), other))
    words = {other: other.split("_") for other in known}
    longer = [other for other in known if name in words[other]]
    short = [other for other in known if len(name) > 1 and "".join(word[0] for word in words[other]).startswith(name)]
    return list(dict.fromkeys([*longer, *short, *get_close_matches(name, known, GUESSES)]))[:GUESSES]


@dataclass(frozen=True)
class Parameter:
    """What may be pinned, in words: where it belongs, what it means, which values it takes and in which unit."""

    name: str
    stage: str
    meaning: str
    values: str
    unit: str


def list_parameters() -> list[Parameter]:
    """Every parameter that `sort_pins` takes, in the order of the stages, each once."""
    listed: dict[str, Parameter] = {}
    for stage, kind in STAGES.items():
        for field in fields(kind):
            name = field.name
            if name in listed or MEANING not in field.metadata:
                continue
            meaning, unit = field.metadata[MEANING], UNITS.get(name.rpartition("_")[2], "")
            if name in NAMES:
                meaning, values = f"{meaning}: {', '.join(NAMES[name])}", "name"
            else:
                values = "{:g} {} {:g}".format(LIMITS[name][0], "or" if name in YES_OR_NO else "to", LIMITS[name][1])
            listed[name] = Parameter(name, stage, meaning, values, unit)
    return list(listed.values())
