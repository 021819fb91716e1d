"""Every parameter of a simulated examination, by name."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from torch import Tensor

from echopulse.errors import InputError
from echopulse.phantom.anatomy.heart import AnatomyParameters
from echopulse.phantom.anatomy.planes import ProbeParameters
from echopulse.phantom.mechanics import MechanicsParameters
from echopulse.phantom.priors import NAMES
from echopulse.phantom.rhythm.electrocardiogram import ElectrocardiogramParameters
from echopulse.phantom.rhythm.timing import RhythmParameters
from echopulse.phantom.scanner.settings import ScannerParameters
from echopulse.phantom.types import Batch, Patients

STAGES = {
    "patients": Patients,
    "rhythm": RhythmParameters,
    "electrocardiogram": ElectrocardiogramParameters,
    "mechanics": MechanicsParameters,
    "anatomy": AnatomyParameters,
    "probe": ProbeParameters,
    "scanner": ScannerParameters,
}


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
            known = ", ".join(sorted(set().union(*names.values())))
            raise InputError(f"the phantom has no parameter {name!r}; its parameters are {known}.")
        for home in homes[:1] if homes[0] == "patients" else homes:
            pins[home][name] = value
    return pins
