"""Good samples meet their bars; each fault that was built in misses the bar that is there for it."""

import numpy as np
import pytest

from echopulse.evaluate.phantom import figures
from echopulse.evaluate.phantom.image import REFERENCE_GREYS, REFERENCE_SHARES
from echopulse.evaluate.phantom.rows import missed

RNG = np.random.default_rng(0)
N = 200


def near(value, spread):
    return value + spread * RNG.uniform(-1, 1, N)


def events():
    beats = {"ed_lag": np.zeros(N), "onset": near(0.06, 0.01), "es": near(0.0, 0.02), "es_t": near(0.01, 0.02),
             "sinus": np.ones(N, bool), "wide": np.zeros(N, bool), "held": np.zeros(N, bool),
             "ef": near(0.6, 0.05)}  # fmt: skip
    return beats | {"step": near(0.08, 0.02), "calm": near(0.07, 0.02), "jump": near(0.07, 0.01)}


def pictures():
    shares = (np.arange(100_000) + 0.5) / 100_000
    greys = np.round(255 * np.interp(shares, REFERENCE_SHARES, REFERENCE_GREYS)).astype(int)
    values = {"mean": near(0.1, 0.03), "black": near(0.57, 0.1),
              "neighbour": near(0.955, 0.02), "lowest": near(0.9, 0.02),
              "down": near(5, 0.5), "across": near(5, 0.5), "contrast": near(0.3, 0.03), "gradient": near(0.3, 0.03),
              "tracking": near(0.2, 0.1), "pair": near(0.2, 0.1), "stray": near(0.03, 0.02)}  # fmt: skip
    return values | {"counts": np.bincount(greys, minlength=256)}


def envelope():
    return {"amplitude": np.hypot(*np.random.default_rng(1).normal(size=(2, 300_000)))}


def names(rows):
    return {row.name for row in missed(rows)}


def event_rows(women=-0.005, **changed):
    steady, ejection = {"drift": np.zeros(9)}, {"men": np.full((10, 9), 0.004), "women": np.full((10, 9), women)}
    return figures.event_rows(events() | changed, steady, ejection)


def picture_rows(**changed):
    return figures.picture_rows(pictures() | changed, envelope())


def test_sound_hearts_and_pictures_meet_every_bar():
    assert not names(event_rows()) and not names(picture_rows())


def test_jittered_end_systole_is_found_out():
    jitter = np.random.default_rng(2).normal(0, 0.05, N)
    assert names(event_rows(es=events()["es"] + jitter, es_t=events()["es_t"] + jitter)) == {
        "es.systole.p99", "es.t_end",
    }  # fmt: skip


def test_beats_held_at_the_end_of_t_are_told():
    held = np.arange(N) % 4 == 0
    values = {row.name: row.value for row in event_rows(held=held)}
    assert values["es.t_end.held"] == 25


def test_late_end_diastole_and_jumping_volumes_are_found_out():
    assert "ed.lag.p99" in names(event_rows(ed_lag=np.full(N, 0.1)))
    assert "ed.onset.p99" in names(event_rows(onset=near(0.12, 0.01)))
    assert names(event_rows(women=-0.015)) == {"lvet.women"}
    assert names(event_rows(calm=np.array([0.3]), jump=np.array([0.9]))) == {"step.calm", "jump"}


@pytest.mark.parametrize(
    ("changed", "found"),
    [({"neighbour": np.full(N, 0.4)}, {"frames.r", "frames.r.lowest"}),  # frames in the wrong order
     ({"neighbour": np.full(N, 0.999)}, {"frames.r"}),  # a still picture
     ({"lowest": np.array([0.9, 0.8])}, {"frames.pair.lowest"}),  # one jump in one clip
     ({"pair": np.full(N, 1.2)}, {"speckle.error"}),  # grain that stands still in moving tissue
     ({"stray": np.full(N, 0.8)}, {"still.motion"}),
     ({"mean": np.full(N, 0.3), "black": np.full(N, 0.1)}, {"grey.mean", "grey.black"}),
     ({"counts": np.eye(256, dtype=int)[128]}, {"grey.distance"}),
     ({"down": np.full(N, np.nan)}, {"grain.down"})],
)  # fmt: skip
def test_faulty_pictures_are_found_out(changed, found):
    assert names(picture_rows(**changed)) == found


def test_squared_amplitudes_are_no_envelope():
    rows = figures.picture_rows(pictures(), {"amplitude": envelope()["amplitude"] ** 2})
    assert {"envelope.ratio", "envelope.spread"} <= names(rows)


def test_volumes_muscle_filling_leads_and_information():
    study = {"biplane": near(0.01, 0.005), "single": near(0.01, 0.005), "ef": near(0, 1), "ef_single": near(0, 1),
             "regional": np.arange(N) % 2 == 0}  # fmt: skip
    assert not names(figures.volume_rows(study, study))
    assert names(figures.volume_rows(study | {"biplane": near(0.04, 0.005)}, study)) == {"volume.biplane.p95"}
    muscle = {"thickening": near(0.45, 0.1), "mapse": near(1.35, 0.2), "wall": near(0.01, 0.005),
              "apex": near(0.1, 0.05)}  # fmt: skip
    assert not names(figures.muscle_rows(muscle, muscle))
    assert names(figures.muscle_rows(muscle, muscle | {"wall": near(0.1, 0.01)})) == {"wall.volume"}
    kick, waves = {"delay": near(0.06, 0.015)}, {"af": np.ones(5), "sinus": np.full(5, 2)}
    memory = {"r": near(0.74, 0.05), "weak": near(-0.6, 0.1), "strong": near(0.2, 0.1)}
    assert not names(figures.filling_rows(kick, waves, memory))
    assert names(figures.filling_rows(kick, waves | {"af": np.full(5, 2)}, memory)) == {"af.waves"}
    found = {"clean": np.array([[100, 100, 0, 98]]), "noisy": np.array([[97, 100, 2, 90]]), "narrow": np.array([True])}
    leads = {"narrow": near(0.003, 0.002), "wide": near(0.02, 0.01), "largest": near(0.01, 0.01)}
    rhythms = {"rhythm": np.array([1, 0, 1]), "clean": np.array([[9, 10, 0, 9], [10, 10, 0, 9], [7, 10, 0, 9]])}
    assert not names(rows := figures.recording_rows(leads, found, rhythms))
    values = {row.name: row.value for row in rows if row.name.startswith("neurokit.rhythm.")}
    assert values == {"neurokit.rhythm.sinus": 100, "neurokit.rhythm.af": 80}
    assert names(figures.recording_rows(leads | {"narrow": near(0.02, 0.01)}, found, rhythms)) == {"leads.p95"}
    truth = RNG.uniform(0.15, 0.75, 2000)
    told = {name: {"ef": truth, "told": truth + RNG.normal(0, 0.1, 2000)} for name in ("ecg", "picture", "both")}
    even = {"ef": truth, "seen": truth + np.where(np.arange(2000) % 4, 0.0, 0.06)}
    assert not names(rows := figures.information_rows(told, even))
    values = {row.name: row.value for row in rows}
    assert values["uniform.seen.apart"] == 25 and 0 < values["uniform.seen.beyond"] < 10
    told["both"]["told"] = truth
    constant = {"ef": np.full(9, 0.6), "seen": np.full(9, 0.6)}
    assert names(figures.information_rows(told, constant)) == {"r2.both", "uniform"}
