"""Where the electrodes are: twelve leads of one dipole."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from echopulse.errors import InputError
from echopulse.phantom.priors import chance, log_normal

LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
OTHER_NAMES = {"MLII": "II", "MLI": "I", "ML2": "II"}  # Holter leads are placed much like those
MEASURED = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")  # the limb leads left out follow from I and II
# Dower, Machado and Osborne 1980, "On deriving the electrocardiogram from vectorcardiographic leads": what each lead
# measured sees of a dipole along x (to the left), y (to the feet) and z (to the back).
DOWER = (
    (0.632, -0.235, 0.059),
    (0.235, 1.066, -0.132),
    (-0.515, 0.157, -0.917),
    (0.044, 0.164, -1.387),
    (0.882, 0.098, -1.277),
    (1.213, 0.127, -0.601),
    (1.125, 0.127, -0.086),
    (0.831, 0.076, 0.230),
)
# How often a recording of few leads is of which lead; monitors show II, watches I.
HABIT = (0.20, 0.30, 0.04, 0.03, 0.03, 0.04, 0.07, 0.05, 0.05, 0.05, 0.09, 0.05)
NOT_HEARD = -1
EASY_ORDER = ("II", "V5", "I", "V4", "V6", "V3", "aVF", "V2", "V1", "III", "aVL", "aVR")


def lead_index(names: Sequence[str]) -> Tensor:
    """int64 [l], indices into `LEADS`."""
    known = {name.upper(): index for index, name in enumerate(LEADS)}
    indices = []
    for name in names:
        key = str(OTHER_NAMES.get(str(name).upper(), name)).upper()
        if key not in known:
            raise InputError(f"lead {name!r} is unknown; choose among {', '.join(LEADS)}.")
        indices.append(known[key])
    if not indices:
        raise InputError(f"no lead was asked for; choose among {', '.join(LEADS)}.")
    return torch.tensor(indices)


def lead_places(names: Sequence[str]) -> tuple[int, ...]:
    """Where each lead of a recording stands among `LEADS`; -1 where it is none of them.

    Where no name is known, as in recordings of one nameless lead, they take the places in the order in which few leads
    are usually recorded: II, V5, I, ... `named_places` does not guess.
    """
    found = named_places(names)
    if all(place == NOT_HEARD for place in found):
        usual = [LEADS.index(name) for name in EASY_ORDER]
        return tuple(usual[i] if i < len(usual) else NOT_HEARD for i in range(len(found)))
    return found


def named_places(names: Sequence[str]) -> tuple[int, ...]:
    """Where each lead stands among `LEADS` by its name alone, -1 for any other; of two of one name the first counts."""
    known = {name.upper(): place for place, name in enumerate(LEADS)}
    spelled = [str(name).strip().upper() for name in names]
    found = [known.get(OTHER_NAMES.get(name, name).upper(), NOT_HEARD) for name in spelled]
    return tuple(NOT_HEARD if place in found[:i] else place for i, place in enumerate(found))


def draw_leads(n: int, leads: int | Sequence[str], generator: Generator, prior: str = "clinical") -> Tensor:
    """int64 [n, l], indices into `LEADS`: the leads named, or as many different ones as asked for, as habit has it."""
    odds = torch.rand((n, len(LEADS)), generator=generator).clamp_min(1e-12).log() / torch.tensor(HABIT)
    if isinstance(leads, str):
        leads = (leads,)
    if not isinstance(leads, int):
        return lead_index(leads).expand(n, -1).clone()
    if not 1 <= leads <= len(LEADS):
        raise InputError(f"{leads} leads were asked for; from 1 to {len(LEADS)} can be recorded.")
    if prior == "easy":
        return lead_index(EASY_ORDER[:leads]).expand(n, -1).clone()
    return odds.topk(leads, dim=1).indices  # the first ones of a weighted shuffle (Efraimidis and Spirakis 2006)


def draw_lead_vectors(n: int, generator: Generator, prior: str = "clinical") -> Tensor:
    """float32 [n, 12, 3]: what each of `LEADS` sees of the dipole, for n bodies and placements of their electrodes.

    Bodies differ in how far the electrodes are from the heart, electrodes in where they are stuck on: mostly a little
    off, sometimes far. Einthoven's and Goldberger's laws hold exactly, as they do for any placement.
    """
    usual = torch.tensor(DOWER).expand(n, -1, -1)
    length = usual.norm(dim=-1, keepdim=True)
    body = log_normal((n, 1, 1), 1.0, 0.12, generator, 0.7, 1.4)
    reach = log_normal((n, len(MEASURED), 1), 1.0, 0.16, generator, 0.6, 1.6)
    off = torch.randn((n, len(MEASURED), 3), generator=generator).clamp(-2.5, 2.5)
    chest = torch.tensor([name.startswith("V") for name in MEASURED])[:, None]
    far = chance((n, len(MEASURED), 1), 0.08, generator)
    wrong = torch.where(far & chest, 0.35, torch.where(chest, 0.10, 0.06))
    if prior == "easy":
        body, reach, wrong = torch.ones_like(body), torch.ones_like(reach), torch.zeros_like(wrong)
    measured = body * reach * (usual + wrong * length * off)
    return twelve(measured)


def twelve(measured: Tensor) -> Tensor:
    """[..., 12, k] in the order of `LEADS` from [..., 8, k] in that of `MEASURED`.

    III = II - I (Einthoven); aVR = -(I + II)/2, aVL = I - II/2, aVF = II - I/2 (Goldberger).
    """
    one, two = measured[..., 0, :], measured[..., 1, :]
    limb = torch.stack([one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2], -2)
    return torch.cat([limb, measured[..., 2:, :]], -2)
