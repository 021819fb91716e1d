"""Pairs hold a clip, its ECG and everything that is true of it, as other programs read them."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest

from echopulse.data.dicom import describe_patient
from echopulse.data.dicom_ecg import write_waveform
from echopulse.data.export import export
from echopulse.data.pairs import write_pair
from echopulse.data.records import column_name
from echopulse.ecg import read_ecg
from echopulse.echo import read_clip, write_clip
from echopulse.phantom.types import LABELS


@pytest.fixture
def written(heart, tmp_path):
    write_pair(heart, 0, tmp_path / "00000")
    return tmp_path / "00000"


def test_the_npz_holds_labels_outlines_volumes_events_and_valves(written, heart):
    with np.load(written.with_suffix(".npz")) as stored:
        held = {name: stored[name] for name in stored.files}
    assert held["frames"].shape == held["labels"].shape == (60, 64, 64)
    assert tuple(held["label_names"]) == LABELS and held["lv_outline"].shape == (60, 64, 2)
    assert np.allclose(held["volume_ml"], heart.truth.volume_ml[0]) and held["aortic_opening"].shape == (60,)
    assert json.loads(str(held["clip"]))["pixel_spacing_cm"] == pytest.approx(15 / 64)
    for name in ("ef_per_beat", "gls_per_beat", "mapse_cm_per_beat", "ed_times_s", "p_onsets_s", "q_onsets_s"):
        assert held[name].shape == (5,)


def test_the_page_about_formats_names_every_key_that_is_written(written, make_heart, tmp_path, by_hand, repository):
    page = (repository / "docs" / "formats.md").read_text(encoding="utf-8")
    with np.load(written.with_suffix(".npz")) as stored:
        keys = {*stored.files, "displacement_cm"}
    export(tmp_path / "camus", 1, form="camus", seconds=1.2, size=64)
    export(tmp_path / "echonet", 1, form="echonet", seconds=1.2)
    (first, *_) = json.loads((tmp_path / "camus/database_nifti/patient0001/patient0001.json").read_text())
    traced = json.loads((tmp_path / "echonet/Truth/SYNTHETIC000000.json").read_text())
    keys |= {*first, *traced, *first["beats"][0], *json.loads((tmp_path / "camus/simulation.json").read_text())}
    assert {key for key in keys if f"`{key}`" not in page} == set()


def test_simpson_sees_the_volume_of_a_round_heart(written):
    with np.load(written.with_suffix(".npz")) as stored:
        assert np.abs(stored["simpson_ml"] / stored["volume_ml"] - 1).max() < 0.05


def test_simpson_is_silent_where_no_long_axis_is_seen(tmp_path, make_heart):
    write_pair(make_heart(view="psax_papillary"), 0, tmp_path / "x")
    with np.load(tmp_path / "x.npz") as stored:
        assert np.isnan(stored["simpson_ml"]).all() and np.isfinite(stored["lv_outline"]).all()


def test_wfdb_reads_the_record_and_the_beats_in_it(written, heart):
    import wfdb

    record = wfdb.rdrecord(str(written))
    assert record.fs == 200 and record.sig_name == ["I", "II"] and set(record.units) == {"mV"}
    assert np.abs(record.p_signal.T - heart.ecg[0].numpy()).max() < 1e-3
    assert any("SYNTHETIC" in comment for comment in record.comments)
    beats = wfdb.rdann(str(written), "atr")
    assert beats.symbol == ["+", "N", "N", "N"] and beats.aux_note[0].strip("\0") == "(N"
    assert beats.sample.tolist() == [0, 140, 340, 500]  # R peaks at -0.9, 0.1 and 0.9 s; the last one lies outside


def test_a_small_film_is_the_same_bytes_every_time(make_heart, tmp_path):
    films, path = set(), tmp_path / "a.mp4"
    for attempt in range(12):
        scratch = [np.random.default_rng(k).random(1 << (10 + k)) for k in range(attempt)]  # other memory every time
        write_clip(make_heart(seed=3, seconds=0.2, fps=25.0, size=32).clip(0), path, plain=True, force=True)
        films.add(path.read_bytes())
        del scratch
    assert len(films) == 1


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only Linux lets a process choose its cores")
def test_the_files_are_the_same_bytes_however_many_cores_there_are(make_heart, tmp_path):
    heart, cores = make_heart(size=128), os.sched_getaffinity(0)
    for name, some in (("one", {min(cores)}), ("all", cores)):
        (tmp_path / name).mkdir()
        os.sched_setaffinity(0, some)
        try:
            write_pair(heart, 0, tmp_path / name / "00000")
        finally:
            os.sched_setaffinity(0, cores)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "all" / path.name).read_bytes(), path.name


@pytest.mark.parametrize("largest_mv", [32.7, 33.0, 400.0, 5e6])
def test_an_ecg_of_any_size_fits_into_its_files(make_heart, tmp_path, largest_mv):
    import pydicom
    import wfdb

    heart = make_heart()
    heart = replace(heart, ecg=heart.ecg / heart.ecg.max() * -largest_mv)
    write_pair(heart, 0, tmp_path / "x")
    found = wfdb.rdrecord(str(tmp_path / "x")).p_signal.T
    step = 0.001 if largest_mv < 32.767 else largest_mv / 3276.7
    assert np.abs(found - heart.ecg[0].numpy()).max() <= step
    write_waveform(heart, 0, tmp_path / "x.dcm", 0, describe_patient)
    microvolts = pydicom.dcmread(tmp_path / "x.dcm").waveform_array(0).T
    assert np.abs(microvolts / 1000 - heart.ecg[0].numpy()).max() <= step


@pytest.mark.parametrize(
    ("lead", "column"),
    [("II", "II_mV"), ("Lead I", "Lead_I_mV"), ("I_mV", "I_mV"), ("mV", "ECG_mV"), ("chest, left", "chest_left_mV")],
)
def test_a_column_names_its_lead_and_its_unit_once(lead, column):
    assert column_name(lead) == column


def test_ectopic_beats_paced_beats_and_blocks_have_codes_of_their_own(make_heart):
    from echopulse.data.records import beat_annotations, rhythm_code

    longer = make_heart(frames=100)
    assert beat_annotations(longer.truth, 0, longer.ecg_of(0))[1] == ["N", "N", "N", "V"]
    object.__setattr__(longer.truth, "conduction", ("lbbb",))
    assert beat_annotations(longer.truth, 0, longer.ecg_of(0))[1] == ["L", "L", "L", "V"]
    object.__setattr__(longer.truth, "rhythm", ("af",))
    assert rhythm_code(longer.truth, 0) == "(AFIB"


def test_our_own_readers_read_them(written, heart):
    ecg = read_ecg(written.with_suffix(".csv"))
    assert ecg.rate_hz == pytest.approx(200, abs=0.1) and np.abs(ecg.samples - heart.ecg[0].numpy()).max() < 1e-3
    assert np.abs(read_ecg(written.with_suffix(".hea")).samples - heart.ecg[0].numpy()).max() < 1e-3
    clip = read_clip(written.with_suffix(".mp4"))
    assert len(clip.frames) == 60 and clip.synthetic and clip.fps == pytest.approx(50)


def test_the_json_names_every_parameter_and_every_beat(written):
    known = json.loads(written.with_suffix(".json").read_text())
    assert known["parameters"]["patients.age_years"] == 61 and "SYNTHETIC" in known["notice"]
    assert [beat["origin"] for beat in known["beats"]] == ["sinus"] * 3 + ["ventricular"]
    assert known["beats"][1]["r_peak_s"] == pytest.approx(0.1)
