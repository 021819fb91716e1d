"""Hearts that follow a real recording: its beats, its P waves, its rhythm, and its own samples beside the clip."""

import numpy as np
import pytest

from echopulse.data.driven import follow
from echopulse.data.export import export
from echopulse.ecg import read_ecg
from echopulse.errors import InputError

BEATS = np.cumsum([0.7] + [0.8, 0.76, 0.84, 0.79] * 4)  # s from the recording's start
RATE = 250


def write_recording(path, beats=BEATS, p_waves=True, seconds=14.0):
    times = np.arange(round(seconds * RATE)) / RATE
    wave = 0.005 * np.random.default_rng(0).standard_normal(len(times))
    for r in beats:
        wave += 1.2 * np.exp(-(((times - r) / 0.012) ** 2)) + 0.3 * np.exp(-(((times - r - 0.28) / 0.05) ** 2))
        wave += 0.15 * p_waves * np.exp(-(((times - r + 0.16) / 0.025) ** 2))
    table = np.column_stack([times, wave, 0.5 * wave])
    np.savetxt(path, table, delimiter=",", header="time_s,I_mV,II_mV", comments="", fmt="%.5f")
    return path


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    return write_recording(tmp_path_factory.mktemp("ecg") / "sinus.csv")


def test_beats_and_p_waves_are_on_the_clock_of_the_clip(recording):
    drive = follow(recording, 2.0, at_s=3.0)
    assert np.allclose(drive.r_peaks_s[: len(BEATS)] + 3.0, BEATS, atol=0.02) and drive.rhythm == "sinus"
    lead = drive.r_peaks_s - drive.p_onsets_s
    assert 0.1 < np.nanmedian(lead) < 0.3 and drive.heart_rate_bpm == pytest.approx(75, abs=2)


def test_the_ecg_is_the_stretch_itself(recording):
    drive = follow(recording, 2.0, at_s=3.0)
    whole = read_ecg(recording)
    assert drive.ecg.start_s == pytest.approx(-1.6) and drive.ecg.duration_s == pytest.approx(4.0)
    assert np.array_equal(drive.ecg.samples, whole.samples[:, round(1.4 * RATE) : round(5.4 * RATE)])
    assert follow(recording, 2.0, at_s=3.0, leads=("ii",)).ecg.leads == ("II",)
    assert follow(recording, 2.0, at_s=0.5).ecg.start_s == pytest.approx(-0.5)  # as far as there is any


def test_by_default_it_begins_where_a_generated_clip_would(recording):
    assert follow(recording, 2.0).ecg.start_s == pytest.approx(-1.6)


def test_no_p_waves_and_irregular_beats_are_fibrillation(tmp_path):
    beats = np.cumsum(np.random.default_rng(1).uniform(0.45, 1.1, 17))
    drive = follow(write_recording(tmp_path / "af.csv", beats[beats < 13.5], p_waves=False), 2.0)
    assert drive.rhythm == "af" and np.isnan(drive.p_onsets_s).all()


def test_the_phantom_is_driven_and_the_files_hold_the_recording(recording, tmp_path, by_hand):
    import wfdb

    export(tmp_path / "out", 2, ecg=recording, at_s=3.0, seconds=1.2, size=32)
    for call in by_hand:
        assert call["rhythm"] == "sinus" and np.allclose(call["r_peaks_s"][: len(BEATS)] + 3, BEATS, atol=0.02)
    for name in ("00000", "00001"):
        record = wfdb.rdrecord(str(tmp_path / "out" / name))
        assert record.fs == RATE and record.sig_name == ["I", "II"] and "followed" in record.comments[0]
        expected = read_ecg(recording).samples[:, round(1.4 * RATE) : round(4.6 * RATE)].T
        assert np.abs(record.p_signal - expected).max() < 1e-3


def test_another_recording_is_another_setting(recording, tmp_path, by_hand):
    export(tmp_path / "out", 1, ecg=recording, at_s=3.0, seconds=0.4, size=32)
    with pytest.raises(InputError, match="clips made with ecg "):
        export(tmp_path / "out", 1, ecg=recording, at_s=3.5, seconds=0.4, size=32)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"seconds": 20.0}, "20 s asked for, but the ECG has 14.0 s"),
        ({"at_s": 13.5}, "can begin from 0 to 12.0 s; got --at 13.5"),
        ({"leads": ("V9",)}, "no lead 'V9'; it has I, II"),
        ({"pins": {"rhythm": "af"}}, "--set rhythm beside --ecg"),
    ],
)
def test_what_the_recording_does_not_give_is_refused(recording, tmp_path, by_hand, options, words):
    with pytest.raises(InputError, match=words):
        export(tmp_path / "out", 1, ecg=recording, **{"seconds": 2.0, "size": 32, **options})
    assert not (tmp_path / "out").exists()
