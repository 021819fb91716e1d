"""The measurer's own table: matching of beats, figures held against the hand's, and an oracle."""

import numpy as np
import pytest

from echopulse.evaluate.measuring import (
    FIGURES,
    LOOKS,
    Examination,
    examine,
    summarize_examinations,
)
from echopulse.measure import measure_masks
from echopulse.phantom import simulate
from echopulse.phantom.types import LABELS

LOOK = dict.fromkeys((*LOOKS, "harmonic"), 0.0)


def examination(**changes) -> Examination:
    values = {
        "view": "a4c", "guessed": "a4c", "look": LOOK, "dice": {"lv": [0.9, 1.0]}, "confidence": [0.8, 0.9],
        "ef_true": [0.5, 0.6, 0.55], "ef_found": [0.6, 0.7, 0.6], "ef_calibrated": [0.5, 0.6, 0.55],
        "medians": (0.55, 0.65, 0.55), "ed_frames": [0.5, -1.5], "es_frames": [np.nan, 2.0],
    }  # fmt: skip
    return Examination(**{**values, **changes})


def test_the_figures_of_two_clips_are_those_of_the_hand():
    other = examination(
        view="plax", guessed="psax_mitral", dice={"lv": [0.7, np.nan]}, ef_true=[0.3], ef_found=[0.2],
        ef_calibrated=[0.34], ed_frames=[], es_frames=[], look=LOOK | {"gain_db": 1.0},
    )  # fmt: skip
    scores = summarize_examinations([examination(), other]).scores
    assert scores["dice.lv"] == pytest.approx((0.9 + 1.0 + 0.7) / 3) and scores["dice.lv.n"] == 3
    assert scores["views_right"] == 0.5
    assert scores["ef_simpson.mae"] == pytest.approx((0.05 + 0.1) / 2)  # medians 0.6 of 0.55, 0.2 of 0.3
    assert scores["ef_simpson.bias"] == pytest.approx((0.05 - 0.1) / 2)
    spread = np.var([0.55, 0.3])
    assert scores["ef.r2"] == pytest.approx(1 - (0.0 + 0.04**2) / 2 / spread)
    assert scores["ed_frames.median_abs"] == pytest.approx(1.0)
    assert scores["es_frames.n"] == 1 and scores["es_frames.missing"] == 1
    assert scores["view.plax.dice.lv"] == pytest.approx(0.7)
    assert scores["confidence.error"] == pytest.approx((0.1 + 0.1 + 0.1) / 3)
    assert set(LABELS[1:]) & {key.split(".")[-1] for key in scores if ".dice." in key}


def test_every_figure_is_explained_and_the_bars_are_the_projects():
    scores = summarize_examinations([examination()] * 6).under("measurer").scores
    bare = [key for key in scores if not key.endswith((".n", ".missing")) and key not in FIGURES]
    assert not bare
    bars = {key: figure.bar.value for key, figure in FIGURES.items() if figure.bar}
    assert bars == {
        "measurer.dice.lv": 0.94, "measurer.ef.mae": 0.02, "measurer.ef.r2": 0.96,
        "measurer.ed_frames.median_abs": 1, "measurer.es_frames.median_abs": 1,
    }  # fmt: skip


def test_an_oracle_overlaps_wholly_and_finds_every_beat_in_its_place():
    made = simulate(1, seed=990_500, frames=50, size=64, view="a4c", rhythm="sinus", heart_rate_bpm=75.0, ef=0.6)
    labels = made.truth.labels[0].numpy()

    def oracle(clip):
        shown = labels[: len(clip.frames)]
        return measure_masks(shown == LABELS.index("lv"), clip.times_s, labels=shown, view=clip.view)

    found = examine(made, 0, oracle)
    assert min(found.dice["lv"]) == 1.0 and found.beats_missed == 0 and len(found.ef_true) >= 1
    assert np.abs(np.subtract(found.ef_true, found.ef_found)).max() < 0.08  # one plane
    assert np.nanmax(np.abs(found.ed_frames)) < 1 and np.nanmax(np.abs(found.es_frames)) < 1
    assert found.guessed == ""
