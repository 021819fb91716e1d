"""Hearts that follow a real recording: its beats, its P waves, its rhythm, and its own samples beside the clip."""

import json

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


def test_a_flat_line_is_a_standing_heart_where_that_is_allowed_and_refused_elsewhere(tmp_path):
    flat = write_recording(tmp_path / "flat.csv", beats=())
    table = np.loadtxt(flat, delimiter=",", skiprows=1)
    table[:, 1:] = 0.1
    np.savetxt(flat, table, delimiter=",", header="time_s,I_mV,II_mV", comments="", fmt="%.5f")
    with pytest.raises(InputError, match="a flat line .* or say --allow-flat"):
        follow(flat, 1.0)
    assert follow(flat, 1.0, allow_flat=True).options() == {"rhythm": "asystole"}
    export(tmp_path / "out", 1, ecg=flat, allow_flat=True, seconds=0.2, size=16)
    facts = json.loads((tmp_path / "out" / "00000.json").read_text())
    assert facts["rhythm"] == "asystole" and facts["beats"] == [] and facts["ecg_source"]["recording"] == "flat.csv"
    with pytest.raises(InputError, match="this format is for hearts that beat"):
        export(tmp_path / "other", 1, form="camus", ecg=flat, allow_flat=True, seconds=0.2, size=16)


def test_a_recording_without_a_rate_is_taken_at_the_rate_that_is_given(recording, tmp_path):
    np.save(tmp_path / "bare.npy", read_ecg(recording).samples[0])
    with pytest.raises(InputError, match="--rate"):
        follow(tmp_path / "bare.npy", 2.0)
    drive = follow(tmp_path / "bare.npy", 2.0, at_s=3.0, rate_hz=RATE)
    assert np.allclose(drive.r_peaks_s[: len(BEATS)] + 3.0, BEATS, atol=0.02)
    assert follow(tmp_path / "bare.npy", 2.0, at_s=3.0, rate_hz=2 * RATE).heart_rate_bpm == pytest.approx(150, abs=4)


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
        assert record.fs == RATE and record.sig_name == ["I", "II"]
        assert record.comments[0] == "ECG of the recording sinus.csv from 1.400 s on; not for diagnosis"
        expected = read_ecg(recording).samples[:, round(1.4 * RATE) : round(4.6 * RATE)].T
        assert np.abs(record.p_signal - expected).max() < 1e-3


FORMS_AND_FACTS = {
    "pairs": "00000.json", "echonet": "Truth/SYNTHETIC000000.json",
    "camus": "database_nifti/patient0001/patient0001.json", "dicom": "00000.json",
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS_AND_FACTS)
def test_the_facts_say_that_the_pictures_are_simulated_and_the_ecg_is_not(recording, tmp_path, by_hand, form):
    export(tmp_path, 1, form=form, ecg=recording, at_s=3.0, seconds=0.8, size=64)
    known = json.loads((tmp_path / FORMS_AND_FACTS[form]).read_text())
    for facts in known if isinstance(known, list) else [known]:
        assert facts["ecg_source"] == {"recording": "sinus.csv", "first_frame_at_s": 3.0}
        assert facts["notice"].startswith("SYNTHETIC pictures") and "the recording sinus.csv" in facts["notice"]
        assert not [name for name in facts["parameters"] if name.startswith("electrocardiogram.")]
    texts = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(str(recording.parent).encode() in text for text in texts)  # a name, never a path
    assert json.loads((tmp_path / "simulation.json").read_text())["ecg_file"] == "sinus.csv"


def test_the_nouns_say_whose_ecg_it_is(recording, make_heart):
    made = follow(recording, 1.2, at_s=3.0).put_into(make_heart(seconds=1.2))
    ecg, clip = made.ecg_of(0), made.clip(0)
    assert "recording sinus.csv" in ecg.provenance["source"] and ecg.name == "sinus.csv" and ecg.leads == ("I", "II")
    assert clip.synthetic and clip.provenance["source"] == "simulated heart and scanner"
    assert "recording sinus.csv" in clip.provenance["beats"]
    assert make_heart().ecg_of(0).provenance["source"] == "simulated heart"


def test_a_dicom_waveform_of_a_recording_names_no_machine_that_simulates(recording, tmp_path, by_hand):
    import pydicom

    export(tmp_path, 1, form="dicom", ecg=recording, at_s=3.0, seconds=0.4, size=64)
    ecg, cine = (pydicom.dcmread(tmp_path / f"00000_{name}.dcm") for name in ("ecg", "a4c"))
    assert ecg.Manufacturer == "" and ecg.InstitutionName == "" and "ManufacturerModelName" not in ecg
    assert "recorded ECG" in ecg.SeriesDescription and "recording sinus.csv" in ecg.StudyComments
    assert cine.ManufacturerModelName == "simulated heart and scanner" and "SYNTHETIC pictures" in cine.ImageComments
    assert str(ecg.PatientName) == "SYNTHETIC^PHANTOM" and ecg.StudyInstanceUID == cine.StudyInstanceUID


def test_a_file_name_of_any_letters_reaches_every_header(recording, tmp_path, by_hand):
    import wfdb

    odd = tmp_path / "Herzstück é.csv"
    odd.write_bytes(recording.read_bytes())
    for form in ("pairs", "dicom"):
        export(tmp_path / form, 1, form=form, ecg=odd, at_s=3.0, seconds=0.4, size=64)
        assert "Herzst" in wfdb.rdrecord(str(tmp_path / form / "00000")).comments[0]
        assert "Herzst" in json.loads((tmp_path / form / "simulation.json").read_text())["ecg_file"]


def test_all_views_of_a_study_follow_the_same_beats_beside_the_same_ecg(recording, tmp_path):
    export(tmp_path, 1, form="dicom", ecg=recording, at_s=3.0, seconds=0.2, size=32, views=["a4c", "plax", "psax"])
    first, *others = json.loads((tmp_path / "00000.json").read_text())
    assert [first["view"], *(other["view"] for other in others)] == ["a4c", "plax", "psax_papillary"]
    assert all(other["beats"][k]["r_peak_s"] == beat["r_peak_s"] and other["ecg_source"] == first["ecg_source"]
               for other in others for k, beat in enumerate(first["beats"]))  # fmt: skip
    found = np.array([beat["r_peak_s"] for beat in first["beats"]]) + 3.0
    assert all(np.abs(found - beat).min() < 0.02 for beat in BEATS[BEATS < 13])


def test_a_conduction_that_is_asked_for_holds_against_the_recordings(recording, tmp_path, by_hand):
    export(tmp_path / "own", 1, ecg=recording, at_s=3.0, seconds=0.4, size=32)
    export(tmp_path / "asked", 1, ecg=recording, at_s=3.0, seconds=0.4, size=32, pins={"conduction": "lbbb"})
    assert by_hand[0]["conduction"] == "normal" and by_hand[-1]["conduction"] == "lbbb"


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
