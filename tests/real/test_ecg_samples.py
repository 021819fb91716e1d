"""Recordings as people have them: read, refused for the right reason, beats where the annotators saw them."""

import os
import time
from pathlib import Path

import numpy as np
import pytest

from echopulse.ecg import clean_ecg, find_beats, list_ecg_files, read_ecg
from echopulse.errors import InputError

SAMPLES = Path(os.environ.get("ECHOPULSE_SAMPLES", Path(__file__).resolve().parents[3] / "shared" / "samples"))
ECGS = SAMPLES / "ecg"
pytestmark = pytest.mark.skipif(not ECGS.is_dir(), reason=f"real recordings: {ECGS} is missing")


def needs(name):
    """The path of a sample; a test whose file was not copied is skipped by the file's name."""
    path = ECGS / name
    if not (path.exists() or path.with_suffix(".hea").exists()):
        pytest.skip(f"real recording {path} is missing")
    return path


@pytest.mark.parametrize(
    ("name", "shape", "rate_hz", "first_lead"),
    [
        ("wfdb/100", (2, 650000), 360, "MLII"),
        ("wfdb/100_3chan.hea", (3, 999), 360, "I"),
        ("wfdb/A00001.mat", (1, 9000), 300, "ECG"),
        ("wfdb/A00004", (1, 9000), 300, "ECG"),
        ("wfdb/JS20003", (12, 5000), 500, "I"),
        ("wfdb/00001_lr.dat", (12, 1000), 100, "I"),
        ("wfdb/s0010_re", (15, 38400), 1000, "I"),
        ("apple/apple_en.csv", (1, 15360), 512, "I"),
        ("apple/apple_de.csv", (1, 15360), 511.422, "I"),
        ("apple/apple_ja.csv", (1, 15360), 512, "I"),
        ("apple/apple_nl_comma_rate_name_row_removed.csv", (1, 15360), 511.023, "I"),
        ("apple/heartlens_sample_ecg_2_zh.csv", (1, 15360), 512, "I"),
        ("broken/semicolon_time_value.csv", (1, 5120), 512, "ECG"),
        ("broken/utf16le_bom.csv", (1, 5120), 512, "I"),
        ("broken/latin1_micro_sign.csv", (1, 5120), 512, "I"),
        ("broken/decimal_comma.csv", (1, 5120), 512, "I"),
        ("broken/unit_says_uV_values_mV.csv", (1, 5120), 512, "I"),
        ("text/biosppy_ecg.txt", (1, 15000), 1000, "ECG"),
        ("wearables/polar_sensor_logger_H10_ECG.txt", (1, 3900), 130, "ECG"),
    ],
)
def test_recordings_are_read_in_millivolts(name, shape, rate_hz, first_lead):
    ecg = read_ecg(needs(name))
    assert ecg.samples.shape == shape and ecg.leads[0] == first_lead
    assert ecg.rate_hz == pytest.approx(rate_hz, rel=1e-3)
    assert 0.2 < np.ptp(clean_ecg(ecg.crop(0, 2.5)).samples[0]) < 12
    assert {"path", "format", "rate", "unit", "leads"} <= set(ecg.provenance)


@pytest.mark.parametrize(
    ("name", "rate_hz"),
    [
        ("broken/lead1_int16_no_units.npy", 512),
        ("broken/lead1_T_by_1_float64_nan.npy", 512),
        ("broken/12lead_12xN_only_lead1.npy", 512),
        ("broken/no_header_one_column_mV.csv", 512),
        ("text/heartpy_e0103.csv", 250),
        ("text/tereshchenko_testing_ecg_12lead.txt", 500),
    ],
)
def test_recordings_without_a_rate_need_one(name, rate_hz):
    with pytest.raises(InputError, match="sampling rate"):
        read_ecg(needs(name))
    ecg = read_ecg(needs(name), rate_hz=rate_hz)
    assert 0.3 < np.nanpercentile(np.abs(ecg.samples), 99.9) < 5
    assert 55 < find_beats(ecg.crop(0, 9.5)).heart_rate_bpm < 65


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("broken/empty.csv", "empty"),
        ("broken/header_only.csv", "without any sample"),
        ("broken/12726_header_without_dat.hea", "12726.dat"),
        ("broken/apple_ecg_git_lfs_pointer.csv", "git-LFS"),
        ("broken/too_short_1s.csv", "1.0 s of ECG"),
    ],
)
def test_what_cannot_be_read_is_named(name, words):
    with pytest.raises(InputError) as caught:
        read_ecg(needs(name))
    assert words in str(caught.value) and str(ECGS / name) in str(caught.value)


def test_a_flat_recording_is_read_but_has_no_beats():
    ecg = read_ecg(needs("broken/flat_zero.csv"))
    with pytest.raises(InputError, match="flat line"):
        find_beats(ecg)
    assert find_beats(ecg, allow_flat=True).rhythm == "none"


def test_record_100_agrees_with_its_annotators():
    import wfdb

    ecg = read_ecg(needs("wfdb/100"))
    notes = wfdb.rdann(str(needs("wfdb/100")), "atr")
    beat = np.isin(notes.symbol, ["N", "A", "V"])
    true = notes.sample[beat] / notes.fs
    found = find_beats(ecg).r_peaks_s
    inner = (true > 0.2) & (true < ecg.duration_s - 0.2)
    missed = np.array([np.abs(found - t).min() for t in true[inner]])
    extra = np.array([np.abs(true - t).min() for t in found])
    assert (missed > 0.05).sum() == 0 and (extra > 0.05).sum() == 0
    assert np.median(missed) < 0.003


def test_record_100_has_one_ventricular_beat():
    beats = find_beats(read_ecg(needs("wfdb/100")).crop(1500, 30))
    assert beats.rhythm == "ectopic" and beats.provenance["ectopic"] == "1518.87"


@pytest.mark.parametrize(
    ("name", "rhythm", "beats", "bpm"),
    [
        ("wfdb/A00004", "irregular", 31, 65),
        ("wfdb/JS20003", "ectopic", 19, 116),
        ("wfdb/JS20000", "ectopic", 19, 116),
        ("wfdb/00001_lr", "sinus", 11, 64),
        ("wfdb/s0010_re", "sinus", 51, 81),
        ("apple/heartlens_sample_ecg_2_zh.csv", "sinus", 36, 73),
        ("apple/apple_health_like.truth.csv", "ectopic", 33, 66),
    ],
)
def test_rhythm_and_rate(name, rhythm, beats, bpm):
    ecg = read_ecg(needs(name))
    found = find_beats(ecg)
    assert found.rhythm == rhythm and abs(len(found.r_peaks_s) - beats) <= 1
    assert found.heart_rate_bpm == pytest.approx(bpm, abs=2) and found.quality > 0.7
    t_end = np.nanmedian(found.t_ends_s - found.r_peaks_s)
    assert 0.22 < t_end < 0.42 and np.isfinite(found.t_ends_s).mean() > 0.9
    if rhythm == "irregular":
        assert np.isnan(found.p_onsets_s).all()
    else:
        p = found.p_onsets_s - found.r_peaks_s
        assert np.isfinite(p).mean() > 0.8 and -0.26 < np.nanmedian(p) < -0.12


def test_the_damaged_copies_have_the_beats_of_the_whole_one():
    whole = find_beats(read_ecg(needs("broken/decimal_comma.csv"))).r_peaks_s
    for name in ("mains_50Hz", "baseline_wander", "reversed_polarity", "saturated_clipped", "latin1_micro_sign"):
        beats = find_beats(read_ecg(needs(f"broken/{name}.csv")))
        assert len(beats.r_peaks_s) == len(whole), name
        assert np.abs(beats.r_peaks_s - whole).max() < (0.05 if name == "saturated_clipped" else 0.012), name
    gap = find_beats(read_ecg(needs("broken/nan_gap_text.csv"))).r_peaks_s
    assert len(gap) == len(whole) - 1  # the beat inside the gap


def test_clipping_is_named():
    assert "clipping" in read_ecg(needs("broken/saturated_clipped.csv")).provenance
    assert "clipping" not in read_ecg(needs("wfdb/A00004")).provenance


def test_reversed_polarity_is_turned_over():
    assert "turned over" in clean_ecg(read_ecg(needs("broken/reversed_polarity.csv"))).provenance["polarity"]


def test_the_contact_transient_of_a_watch_is_named_and_not_counted():
    ecg = read_ecg(needs("apple/heartlens_sample_ecg_2_zh.csv"))
    assert "settle" in ecg.provenance["start"] and ecg.duration_s == 30
    assert find_beats(ecg).r_peaks_s[0] > 1.2


def test_thirty_seconds_take_less_than_one():
    find_beats(read_ecg(needs("wfdb/A00004")))  # the imports
    start = time.perf_counter()
    find_beats(clean_ecg(read_ecg(needs("wfdb/s0010_re")).crop(0, 30)))
    assert time.perf_counter() - start < 1.5  # 0.3 s on two idle cores


def test_the_folder_lists_every_record_once():
    files = list_ecg_files(needs("wfdb"))
    assert [file.name for file in files] == sorted(
        f"{name}.hea" for name in "00001_lr 100 100_3chan A00001 A00004 JS20000 JS20003 s0010_re".split()
    )
    assert [file.name for file in list_ecg_files(needs("scp"))] == ["example.scp"]
