"""The muscle of drawn hearts through one systole: does it keep its volume, does it thicken, does its apex stay?"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from echopulse.evaluate.phantom.hearts import Arrays, beating
from echopulse.evaluate.phantom.wall import relative_change, wall_thickness, wall_volume
from echopulse.phantom.anatomy.deformation import material_points
from echopulse.phantom.anatomy.heart import AnatomyParameters, draw_anatomy
from echopulse.phantom.anatomy.shapes import epicardium, lv_cavity
from echopulse.phantom.anatomy.wall import heart_shape
from echopulse.phantom.mechanics import contract
from echopulse.phantom.parameters import sort_pins
from echopulse.phantom.simulate import stream

MOMENTS = 3  # from end-diastole to end-systole


def sample_muscle(n: int, seed: int, **pinned: Any) -> Arrays:
    """Per heart, from ED to ES of one beat: `thickening` and `wall` volume (relative), `mapse` (cm), `apex` (cm)."""
    hearts = beating(n, seed, 2.0, rhythm="sinus", **pinned)
    anatomy = draw_anatomy(hearts.patients, stream(seed, 3), **sort_pins(pinned)["anatomy"])
    table = hearts.beats
    beat = [int(np.flatnonzero(row > 0)[0]) for row in table["onset"]]
    times = torch.tensor([[table["onset"][i, k], table["end"][i, k]] for i, k in enumerate(beat)]).float()
    times = torch.lerp(times[:, :1], times[:, 1:], torch.linspace(0, 1, MOMENTS)[None])  # [n, t], ED first
    motion = contract(hearts.rhythm, hearts.mechanics, times)
    shape = heart_shape(anatomy, motion)
    columns: dict[str, list[float]] = {name: [] for name in ("thickening", "wall", "mapse", "apex")}
    for i in range(n):
        one, form, moves = anatomy.rows(slice(i, i + 1)), shape.rows(slice(i, i + 1)), motion.rows(slice(i, i + 1))

        def inside(x: Tensor, y: Tensor, z: Tensor, one=one, form=form, moves=moves) -> Tensor:
            x0, y0, z0 = material_points(one, form, moves, x, y, z)
            return _in_wall(one, x0, y0, z0)

        length = form.length_cm
        thick = wall_thickness(inside, 0.5 * length)
        volume = wall_volume(inside, 0.62 * float(length.max()) + 1.5, length)
        columns["thickening"].append(float(relative_change(thick)))
        columns["wall"].append(float((volume / volume[:, :1] - 1).abs().max()))
        columns["mapse"].append(float(length[0, 0] - length[0, -1]))
        columns["apex"].append(_apex_path(one, form, moves))
    return {name: np.array(column) for name, column in columns.items()}


def _in_wall(anatomy: AnatomyParameters, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """bool: points of the reference heart between the ventricle's two surfaces, above the annulus plane."""
    below = z <= anatomy.length_cm[:, None, None, None]
    return (epicardium(anatomy, x, y, z) < 0) & (lv_cavity(anatomy, x, y, z) > 0) & below


def _apex_path(anatomy: AnatomyParameters, shape: Any, motion: Any) -> float:
    """cm: the farthest that the apical muscle lies from its place in the reference heart."""
    depth = torch.linspace(0, 1, 4)[None] * -anatomy.apical_wall_cm[:, None]
    z = depth[:, None, None]
    x = torch.zeros_like(z)
    x0, y0, z0 = material_points(anatomy, shape, motion, x, x, z)
    return float((x0.square() + y0.square() + (z0 - z).square()).sqrt().max())
