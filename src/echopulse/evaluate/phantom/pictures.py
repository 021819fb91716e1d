"""Examinations with pictures: drawn, scanned and measured, a small batch at a time; frames are not kept."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from echopulse.echo.ventricle import biplane_volumes, find_chords
from echopulse.evaluate.phantom import image, speckle
from echopulse.evaluate.phantom.extremes import all_finite, truth_finite
from echopulse.evaluate.phantom.hearts import Arrays
from echopulse.evaluate.phantom.volumes import VolumeErrors, volume_errors
from echopulse.phantom.scanner.beam import BEAMS, DEPTHS, beam_blur
from echopulse.phantom.scanner.settings import draw_scanner
from echopulse.phantom.simulate import PhantomClips, simulate, simulate_study, stream
from echopulse.phantom.texture import speckle_field
from echopulse.phantom.types import CONDUCTIONS, LABELS

APICAL = ["a4c", "a2c"]  # the views that the reference pictures show
FPS = 30.0
FRAMES = 24
FOLLOWED = (5, 13)  # frames from which blocks are followed to the next
LOOKED_AT = (0, 12)  # frames whose grain is measured
STUDY_FRAMES, STUDY_FPS = 6, 5.0
# The plane holds the whole long axis, and stays there.
ON_AXIS = {"foreshortening": 0.0, "off_axis": 0.0, "drift_cm": 0.0, "breath_cm": 0.0, "breath_rad": 0.0}
ROUND = {"territory": "none", "conduction": "normal", "ovality": 1.0, "bend_x_cm": 0.0, "bend_y_cm": 0.0}


def sample_pictures(n: int, seed: int) -> Arrays:
    """Of n apical clips at 30 frames/s: per clip `mean`, `black`, `neighbour`, `lowest`, `down`, `across`, `contrast`,
    `gradient`, `finite`; per followed block `tracking` (px); per pair of frames `pair` (median px); per still block
    `stray` (px); and the grey values' `counts` [256].
    """
    clips = simulate(n, frames=FRAMES, fps=FPS, seed=seed, view=APICAL, displacement=True)
    columns: dict[str, list[Any]] = {"finite": (all_finite(clips.ecg) & truth_finite(clips.truth)).tolist()}

    def note(name: str, value: Any) -> None:
        columns.setdefault(name, []).append(value)

    greys = clips.frames.numpy()
    for i in range(n):
        frames, sector = greys[i] / np.float32(255), clips.truth.sector[i].numpy()
        for name, value in image.grey_figures(frames).items():
            note(name, value)
        neighbours = image.neighbour_correlations(frames)
        note("neighbour", neighbours.mean())
        note("lowest", neighbours.min())
        grain = [image.grain_widths(frames[k].astype(np.float64), sector) for k in LOOKED_AT]
        note("down", np.mean([down for down, _ in grain]))
        note("across", np.mean([across for _, across in grain]))
        note("contrast", np.nanmean([image.local_contrast(frames[k].astype(np.float64), sector) for k in LOOKED_AT]))
        note("gradient", np.mean([image.gradient_over_mean(frames[k].astype(np.float64)) for k in LOOKED_AT]))
        for k in FOLLOWED:
            tracking, stray = _follow(clips, i, k)
            note("tracking", tracking)
            note("pair", np.median(tracking) if len(tracking) else np.nan)
            note("stray", stray)
    joined = {name: np.concatenate(columns.pop(name)) for name in ("tracking", "stray")}
    return {name: np.array(values) for name, values in columns.items()} | joined | {"counts": image.grey_counts(greys)}


def _follow(clips: PhantomClips, i: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Tracking errors in the muscle and stray motion outside the heart, from frame k of clip i to the next, px."""
    assert clips.truth.displacement_cm is not None
    spacing = float(clips.truth.pixel_spacing_cm[i])
    before, after = clips.truth.displacement_cm[i, k : k + 2].double().numpy() / spacing
    flow = speckle.flow_between(before, after)
    first, second = clips.frames[i, k : k + 2].numpy() / 255.0
    labels, sector = clips.truth.labels[i, k].numpy(), clips.truth.sector[i].numpy()
    muscle = (labels == LABELS.index("myocardium")) & sector
    outside = (labels == LABELS.index("outside")) & sector
    return speckle.tracking_errors(first, second, muscle, flow), speckle.stray_motion(first, second, outside, flow)


def sample_study(n: int, seed: int) -> Arrays:
    """Of n hearts through two planes on their axis: `biplane` and `single` (A4C alone), the size of the volume's error
    per frame, relative; `ef` and `ef_single` errors in points; and `regional`: whether a wall moves unlike the rest.
    """
    study = simulate_study(n, views=APICAL, frames=STUDY_FRAMES, fps=STUDY_FPS, seed=seed, **ON_AXIS)
    four, two = (study[view] for view in APICAL)
    columns: dict[str, list[Any]] = {name: [] for name in ("biplane", "single", "ef", "ef_single")}
    for i in range(n):
        masks = [part.truth.lv_mask[i].numpy() for part in (four, two)]
        spacing = [float(part.truth.pixel_spacing_cm[i]) for part in (four, two)]
        both = volume_errors(biplane_volumes(*masks, *spacing), four.truth.volume_ml[i].double().numpy())
        columns["biplane"].append(np.abs(both.volume))
        columns["ef"].append(both.ef_points)
        one = _single_plane(four, i)
        columns["single"].append(np.abs(one.volume))
        columns["ef_single"].append(one.ef_points)
    patients = four.parameters.patients
    regional = (patients.territory > 0) | (patients.conduction != CONDUCTIONS.index("normal"))
    return {name: np.array(values) for name, values in columns.items()} | {"regional": regional.numpy()}


def sample_round(n: int, seed: int) -> Arrays:
    """`single` and `ef_single` as in `sample_study`, of hearts of round section and even motion: one plane will do."""
    clips = simulate(n, view="a4c", frames=STUDY_FRAMES, fps=STUDY_FPS, seed=seed, **ON_AXIS, **ROUND)
    errors = [_single_plane(clips, i) for i in range(n)]
    return {"single": np.abs([error.volume for error in errors]),
            "ef_single": np.array([error.ef_points for error in errors])}  # fmt: skip


def _single_plane(clips: PhantomClips, i: int) -> VolumeErrors:
    spacing = float(clips.truth.pixel_spacing_cm[i])
    measured = find_chords(clips.truth.lv_mask[i].numpy()).volumes * spacing**3
    return volume_errors(measured, clips.truth.volume_ml[i].double().numpy())


def sample_envelope(n: int, seed: int) -> Arrays:
    """Amplitudes [k] of even scatterers after the beams of n drawn scanners, the edges of the polar grid left out."""
    settings = draw_scanner(n, stream(seed, 4))
    generators = [stream(seed, 100 + i) for i in range(n)]
    white = speckle_field(generators, (DEPTHS, BEAMS), "cpu")
    field = torch.cat([torch.zeros(n, 1, DEPTHS, BEAMS), white], 1)[:, None]
    echoes = beam_blur(settings, torch.full((n,), 16.0))(field)[:, 0, 1:]
    amplitude = echoes.square().sum(1).sqrt()[:, 12:-12, 12:-12]
    return {"amplitude": (amplitude / amplitude.square().mean((1, 2), keepdim=True).sqrt()).flatten().numpy()}
