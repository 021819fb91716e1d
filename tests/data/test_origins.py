"""Where the beats of a recording began, told from recordings whose beats are known."""

import numpy as np
import pytest

from echopulse.data.driven import follow
from echopulse.data.origins import judge_origins, qrs_width_s
from echopulse.data.records import write_table
from echopulse.ecg import find_beats, read_ecg
from echopulse.phantom import simulate
from echopulse.phantom.types import ORIGINS

RECORDED = {"frames": 1, "size": 16, "ecg_before_s": 1.0, "ecg_after_s": 14.0, "leads": ("I", "II", "V1", "V5")}
QUIET = {"prior": "easy", "ef": 0.6, "heart_rate_bpm": 70.0}


def recorded(path, seed=2, **pins):
    """A recording that the phantom made, as a CSV, and the truth of it."""
    made = simulate(1, seed=seed, **RECORDED, **QUIET, **pins)
    write_table(made.ecg_of(0), path)
    return path, made.truth


def told(drive, truth, start_s=-1.0):
    """(true origin, origin said) of every beat of the drive; its clip began `at_s` after the file's first sample."""
    true = truth.r_peaks_s[0].numpy()
    beats = drive.r_peaks_s + drive.source.at_s + start_s
    nearest = [int(np.nanargmin(np.abs(true - beat))) for beat in beats]
    assert all(abs(true[k] - beat) < 0.1 for k, beat in zip(nearest, beats, strict=True))
    return [(ORIGINS[int(truth.origin[0, k])], name) for k, name in zip(nearest, drive.origins, strict=True)]


@pytest.mark.parametrize("rhythm", ["pvc", "bigeminy"])
def test_the_ventricles_own_beats_are_called_so(tmp_path, rhythm):
    path, truth = recorded(tmp_path / "ecg.csv", rhythm=rhythm, conduction="normal")
    drive = follow(path, 2.0, at_s=3.0)
    pairs = told(drive, truth)
    assert set(pairs) == {("sinus", "sinus"), ("ventricular", "ventricular")}
    assert drive.rhythm == rhythm and drive.conduction == "normal"
    own = np.array(drive.origins) == "ventricular"
    assert np.isnan(drive.p_onsets_s[own]).all() and np.isfinite(drive.p_onsets_s[~own]).mean() > 0.8


@pytest.mark.parametrize("seed", [0, 1], ids=["every third beat", "now and then"])
def test_early_narrow_beats_come_from_the_atria(tmp_path, seed):
    path, truth = recorded(tmp_path / "ecg.csv", seed=seed, rhythm="pac", conduction="normal")
    drive = follow(path, 2.0, at_s=3.0)
    assert set(told(drive, truth)) == {("sinus", "sinus"), ("atrial", "atrial")} and drive.rhythm == "pac"


@pytest.mark.parametrize(("conduction", "said"), [("normal", "normal"), ("lbbb", "lbbb"), ("rbbb", "rbbb")])
def test_wide_complexes_throughout_are_a_block_and_no_ectopics(tmp_path, conduction, said):
    path, _ = recorded(tmp_path / "ecg.csv", rhythm="sinus", conduction=conduction)
    drive = follow(path, 2.0, at_s=3.0)
    assert drive.conduction == said and drive.rhythm == "sinus" and set(drive.origins) == {"sinus"}


def test_a_fast_rhythm_of_wide_complexes_is_the_ventricles(tmp_path):
    made = simulate(1, seed=1, **RECORDED, prior="easy", rhythm="vt", conduction="normal", heart_rate_bpm=150.0)
    write_table(made.ecg_of(0), tmp_path / "ecg.csv")
    drive = follow(tmp_path / "ecg.csv", 2.0, at_s=3.0)
    right = [true == said for true, said in told(drive, made.truth)]  # sinus beats are captured in between
    assert drive.rhythm == "vt" and np.mean(right) > 0.9


def test_the_width_of_a_qrs_is_measured_from_its_first_to_its_last_slope():
    times = np.arange(2500) / 250
    peaks = np.arange(200, 2400, 200)
    for sigma in (0.012, 0.030):
        row = np.exp(-(((times[:, None] - times[peaks]) / sigma) ** 2)).sum(1)
        # a Gaussian's slope falls to 15 % of its steepest at 1.87 sigma; the filter and 4 ms samples widen it
        assert qrs_width_s(row[None], peaks) == pytest.approx(2 * 1.87 * sigma, abs=0.02)
    assert qrs_width_s(np.sin(2 * np.pi * 5 * times)[None], peaks) == np.inf


def test_a_heart_that_follows_an_ectopic_beat_ejects_less_with_it(tmp_path):
    path, _ = recorded(tmp_path / "ecg.csv", rhythm="pvc", conduction="normal")
    drive = follow(path, 3.0, at_s=3.0)
    heart = {"seed": 4, "prior": "easy", "view": "a4c", "frames": 1, "size": 16}
    truth = simulate(1, **heart, **drive.options()).truth
    own = truth.origin[0] == ORIGINS.index("ventricular")
    assert int(own.sum()) == drive.origins.count("ventricular") > 0
    ejected = truth.ef_per_beat[0]
    assert ejected[own].nanmean() < 0.8 * ejected[~own].nanmean()


def test_the_one_ventricular_beat_of_record_100_is_found_among_its_sinus_beats(samples):
    ecg = read_ecg(samples / "ecg/wfdb/100.hea").crop(1505, 28)
    beats = find_beats(ecg)
    names = judge_origins(ecg, beats).beats
    (own,) = (k for k, name in enumerate(names) if name == "ventricular")
    assert beats.r_peaks_s[own] == pytest.approx(546792 / 360, abs=0.1) and names.count("sinus") == len(names) - 1
