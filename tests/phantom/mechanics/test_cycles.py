"""Valves move when they should, given the ECG."""

import pytest
import torch

from echopulse.phantom.mechanics import valve_times
from echopulse.phantom.mechanics.cycles import find_cycles
from echopulse.phantom.rhythm.timing import systolic_intervals

HEALTHY = {"pathology": "healthy", "conduction": "normal", "rhythm": "sinus"}
FRAME_S = 1 / 30


@pytest.mark.parametrize("rate", [45, 60, 75, 90, 110, 130])
def test_mean_ejection_time_follows_the_regression(heart, rate):
    made = heart(80, steady=True, heart_rate_bpm=rate, ef=torch.linspace(0.5, 0.7, 80), **HEALTHY)
    ejection = made.motion.ejection_end_s - made.motion.ejection_onset_s
    assert ejection.nanmean() == pytest.approx(systolic_intervals(torch.tensor(60.0 / rate))[1].item(), abs=0.010)


def test_end_diastole_is_at_the_r_peak_or_up_to_fifty_milliseconds_later(heart):
    made = heart(400)
    lag = (valve_times(made.beats, made.pump).mitral_closure_s - made.beats.r_peak)[made.beats.beats]
    assert ((lag > -FRAME_S) & (lag < 0.050 + FRAME_S)).float().mean() > 0.99
    assert 0.015 < lag.median() < 0.040


def test_valves_move_in_their_order(heart):
    made = heart(300)
    times = valve_times(made.beats, made.pump)
    seen = made.beats.beats
    contraction = (times.ejection_onset_s - times.mitral_closure_s)[seen]
    ejection = (times.ejection_end_s - times.ejection_onset_s)[seen]
    relaxation = (find_cycles(made.beats, made.pump)[0].early_start - times.ejection_end_s)[seen]
    assert contraction.min() >= 0.015 and contraction.max() < 0.11
    assert ejection.min() >= 0.079 and ejection.max() < 0.40
    assert relaxation.min() > 0 and 0.07 < relaxation.median() < 0.11
    assert (times.mitral_closure_s.diff(dim=1)[seen[:, 1:]] > 0).all()


def test_end_systole_is_near_the_end_of_t_and_where_the_rate_puts_it(heart):
    made = heart(400, rhythm="sinus")
    end, seen = made.motion.ejection_end_s, made.beats.beats
    assert (end - made.beats.t_end)[seen].abs().max() <= 0.040
    memory = made.beats.rr_before
    predicted = made.beats.q_onset + sum(systolic_intervals(memory))
    assert ((end - predicted)[seen].abs() < FRAME_S).float().mean() > 0.95


def test_weak_hearts_start_late_and_eject_briefly(heart):
    strong, weak = (heart(steady=True, heart_rate_bpm=70, ef=ef, **HEALTHY).motion for ef in (0.65, 0.25))
    assert (weak.ejection_onset_s - strong.ejection_onset_s).nanmedian() > 0.02
    assert (weak.ejection_end_s - strong.ejection_end_s).nanmedian().abs() < 0.005


def test_a_wide_qrs_delays_ejection(heart):
    pins = HEALTHY | {"heart_rate_bpm": 70, "ef": 0.5}
    usual, wide = (heart(steady=True, **(pins | {"conduction": name})) for name in ("normal", "lbbb"))
    lag = [(made.motion.ejection_onset_s - made.beats.q_onset).nanmedian() for made in (usual, wide)]
    assert 0.010 < lag[1] - lag[0] < 0.050
