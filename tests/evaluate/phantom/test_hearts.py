"""Samples of drawn hearts: each gives what its rows need, and a few hearts already show the right physiology."""

import numpy as np
import torch

from echopulse.evaluate.phantom import hearts, muscle


def test_events_of_every_kind_of_beat():
    events = hearts.sample_events(8, seed=1, seconds=3.0)
    assert len(events["step"]) == len(events["jump"]) == 8
    assert len(events["es"]) == len(events["ed_lag"]) == len(events["sinus"]) > 10
    assert np.nanmedian(np.abs(events["es"])) < 0.06 and np.nanmedian(events["ed_lag"]) == 0


def test_constant_rhythm_does_not_drift_and_rates_set_the_ejection_time():
    assert hearts.sample_steady(6, seed=2)["drift"].max() < 0.005
    assert hearts.sample_ejection(6, seed=3)["women"].shape == (len(hearts.RATES), 6)


def test_beats_at_the_border_of_their_t_wave_are_told():
    events = hearts.sample_events(30, seed=4, seconds=2.0)
    held, after = events["held"], events["es_t"]
    assert held.dtype == bool and 0 < held.mean() < 0.3
    assert np.abs(after[held][:, None] - [-0.120, -0.030, 0.036]).min(1).max() < 1e-5
    inside = after[events["sinus"] & ~held]
    assert len(inside) and inside.min() > -0.030 and inside.max() < 0.036


def test_the_beats_of_an_even_prior_scatter_about_what_was_drawn():
    even = hearts.sample_even(200, seed=8)
    assert len(even["ef"]) == len(even["seen"]) > 150 and 0.15 <= even["ef"].min() and even["ef"].max() <= 0.75
    assert np.nanmedian(np.abs(even["seen"] - even["ef"])) < 0.02 < np.nanmax(np.abs(even["seen"] - even["ef"]))


def test_kick_waves_and_memory():
    assert np.isfinite(hearts.sample_kick(6, seed=4)["delay"]).any()
    waves = hearts.sample_waves(4, seed=5)
    assert set(waves["af"]) == {1} and set(waves["sinus"]) == {2}
    memory = hearts.sample_memory(3, seed=6)
    assert memory["r"].shape == (3,) and (memory["weak"] < 0).all()


def test_the_wall_thickens_and_keeps_its_volume():
    found = muscle.sample_muscle(2, 7, ef=0.6, pathology="healthy", conduction="normal")
    assert (found["wall"] < 0.03).all() and (found["thickening"] > 0.2).all() and (found["mapse"] > 0.8).all()


def test_hearts_are_those_that_the_seed_says():
    first, again = (hearts.beating(3, 9, 2.0).volume(torch.zeros(1)) for _ in range(2))
    assert np.array_equal(first, again)
