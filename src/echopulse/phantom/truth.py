"""What is known exactly about simulated examinations, gathered from all the stages that know it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from echopulse.phantom.anatomy.deformation import spatial_points
from echopulse.phantom.anatomy.heart import AnatomyParameters
from echopulse.phantom.anatomy.planes import VIEW_ANGLES
from echopulse.phantom.anatomy.shapes import endocardial_profile, half_width_cm, true_section
from echopulse.phantom.anatomy.wall import heart_shape
from echopulse.phantom.mechanics import contract, valve_times
from echopulse.phantom.parameters import PhantomParameters
from echopulse.phantom.types import CONDUCTIONS, PATHOLOGIES, RHYTHMS, VIEWS, Motion, Rhythm, Truth

if TYPE_CHECKING:
    from echopulse.phantom.scan import Scan

CONTOUR_POINTS = 48  # from annulus to apex


def exact_truth(
    parameters: PhantomParameters, rhythm: Rhythm, motion: Motion, times_s: Tensor, seen: Scan
) -> Truth:
    """Everything that is known about b examinations; `motion` and `seen` at the frame times [t]."""
    device = motion.volume_ml.device
    anatomy = parameters.anatomy.to(device)
    patients = parameters.patients.to(device)
    gls, mapse = _longitudinal(parameters, rhythm, motion)
    events = valve_times(rhythm, parameters.mechanics.to(device))
    standing = ~rhythm.beats.any(1)
    return Truth(
        labels=seen.labels,
        volume_ml=motion.volume_ml,
        mitral_opening=motion.mitral_opening,
        aortic_opening=motion.aortic_opening,
        tricuspid_opening=motion.tricuspid_opening,
        lv_length_cm=heart_shape(anatomy, motion).length_cm,
        ef_per_beat=1 - motion.esv_beat_ml / motion.edv_beat_ml,
        gls_per_beat=gls,
        mapse_cm_per_beat=mapse,
        ed_times_s=events.mitral_closure_s,
        es_times_s=events.ejection_end_s,
        r_peaks_s=rhythm.r_peak,
        p_onsets_s=rhythm.p_onset,
        q_onsets_s=rhythm.q_onset,
        t_ends_s=rhythm.t_end,
        atria_s=rhythm.atria_s,
        origin=rhythm.origin,
        times_s=times_s,
        sector=seen.sector,
        pixel_spacing_cm=seen.pixel_spacing_cm,
        view=_names(VIEWS, parameters.probe.view),
        ef=torch.where(standing, 0.0, motion.ef),
        edv_ml=motion.edv_ml,
        rhythm=_names(RHYTHMS, patients.rhythm),
        conduction=_names(CONDUCTIONS, patients.conduction),
        pathology=_names(PATHOLOGIES, patients.pathology),
        displacement_cm=seen.displacement_cm,
    )


def _names(choices: tuple[str, ...], indices: Tensor) -> tuple[str, ...]:
    return tuple(choices[index] for index in indices.tolist())


def _longitudinal(parameters: PhantomParameters, rhythm: Rhythm, motion: Motion) -> tuple[Tensor, Tensor]:
    """Longitudinal strain of the view's endocardium and descent of the annulus in cm, [b, n] each, NaN padded."""
    device = motion.volume_ml.device
    anatomy, mechanics = parameters.anatomy.to(device), parameters.mechanics.to(device)
    events = torch.cat((motion.ejection_onset_s, motion.ejection_end_s), 1)
    there = events.isfinite()
    moved = contract(rhythm, mechanics, events.nan_to_num(0.0))
    shape = heart_shape(anatomy, moved)
    X, Y, Z = _endocardium(anatomy, parameters.probe.view.to(device))
    now = torch.stack(spatial_points(anatomy, shape, moved, X[:, None], Y[:, None], Z[:, None]), -1)  # [b, 2n, p, 3]
    arc = now.diff(dim=2).norm(dim=-1).sum(2)
    nan = torch.full_like(arc, math.nan)
    arc_ed, arc_es = torch.where(there, arc, nan).chunk(2, 1)
    length_ed, length_es = torch.where(there, shape.length_cm, nan).chunk(2, 1)
    across = torch.tensor([VIEW_ANGLES[name] is None for name in VIEWS])[parameters.probe.view.cpu()].to(device)
    return torch.where(across[:, None], math.nan, arc_es / arc_ed - 1), length_ed - length_es


def _endocardium(anatomy: AnatomyParameters, view: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Points [b, p] of the reference endocardium in the plane of the view, from annulus over the apex to annulus."""
    down = torch.linspace(1, 0, CONTOUR_POINTS, device=view.device).square()  # denser at the apex
    part = torch.cat((down, down.flip(0)[1:]))
    side = torch.ones_like(part)
    side[:CONTOUR_POINTS] = -1
    tau, bullet = anatomy.tau[:, None], anatomy.bullet[:, None]
    profile = endocardial_profile(part, tau, bullet).clamp_min(0).sqrt()
    half = half_width_cm(anatomy)[:, None] * profile * side
    angle = torch.tensor([VIEW_ANGLES[name] or 0.0 for name in VIEWS], device=view.device)[view][:, None]
    Z = part * anatomy.length_cm[:, None]
    X, Y = true_section(anatomy, half * angle.cos(), half * angle.sin(), Z)
    return X, Y, Z
