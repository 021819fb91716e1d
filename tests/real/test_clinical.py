"""Clinics' own files as carts and archives wrote them: DICOM, HL7 aECG, GE MUSE, Philips XML."""

import os
from pathlib import Path

import numpy as np
import pytest

from echopulse.ecg import find_beats, read_ecg
from echopulse.errors import InputError

SAMPLES = Path(os.environ.get("ECHOPULSE_SAMPLES", Path(__file__).resolve().parents[3] / "shared" / "samples"))
pytestmark = pytest.mark.skipif(not (SAMPLES / "ecg").is_dir(), reason=f"real recordings: {SAMPLES} is missing")
TWELVE = set("I II III aVR aVL aVF V1 V2 V3 V4 V5 V6".split())
FILES = {
    "dicom/waveform_ecg.dcm": (10000, 1000, "2013-01-25 10:59:19", 60000 / 982),
    "aecg/fda_subject1_0.xml": (5000, 500, "2002-11-22 09:10:00", None),
    "aecg/hl7_2003_Example_aECG.xml": (5000, 500, "2002-11-22 09:10:00", None),
    "muse/easyRecg_muse_ecg1.xml": (5000, 500, "2021-05-10 13:15:18", 60),
    "philips/129DYPRG_v1_03.XML": (5264, 500, "2011-12-01 07:27:34", 41),
    "philips/3191723_ZZDEMOPTONLY_v1-04.xml": (5300, 500, "2010-01-19 15:19:22", None),
}


def needs(name):
    path = SAMPLES / name
    if not path.exists():
        pytest.skip(f"real recording {path} is missing")
    return path


@pytest.mark.parametrize("name", FILES)
def test_twelve_leads_in_millivolts_at_the_rate_the_device_counted(name):
    samples, rate_hz, recorded, bpm = FILES[name]
    ecg = read_ecg(needs(f"ecg/{name}"))
    assert set(ecg.leads) == TWELVE and ecg.samples.shape == (12, samples) and ecg.rate_hz == rate_hz
    assert ecg.provenance["recorded"] == recorded
    rows = dict(zip(ecg.leads, ecg.samples, strict=True))
    assert np.abs(rows["III"] - rows["II"] + rows["I"]).max() < 0.02  # Einthoven: leads are what they are called
    assert np.abs(rows["aVR"] + (rows["I"] + rows["II"]) / 2).max() < 0.02
    assert 0.4 < np.ptp(rows["II"]) < 4
    beats = find_beats(ecg)
    assert beats.rhythm == "sinus"
    if bpm is not None:
        assert beats.heart_rate_bpm == pytest.approx(bpm, abs=1)


def test_notes_lie_where_the_beats_are():
    for name, words, tolerance_s in (
        ("dicom/waveform_ecg.dcm", "Fiducial Point", 0.03),
        ("muse/easyRecg_muse_ecg1.xml", "QRS, type 0", 0.03),
    ):
        ecg = read_ecg(needs(f"ecg/{name}"))
        noted = np.array([note.time_s for note in ecg.notes if note.text == words])
        found = find_beats(ecg).r_peaks_s
        assert len(noted) >= 9 and np.abs(found[:, None] - noted[None]).min(axis=0).max() < tolerance_s
    ecg = read_ecg(needs("ecg/aecg/fda_subject1_0.xml"))
    onset, end = (next(note.time_s for note in ecg.notes if note.text == f"QRS {what}") for what in ("onset", "end"))
    assert onset < find_beats(ecg).r_peaks_s[0] < end


def test_nobody_is_named():
    for name, people in (
        ("dicom/waveform_ecg.dcm", ("Anonymous", "642341", "19710123")),
        ("aecg/fda_subject1_0.xml", ("Clark", "subject1\"", "19530508", "JMK")),
        ("muse/easyRecg_muse_ecg1.xml", ("TEST 05", "JAX01234", "LAST")),
        ("philips/3191723_ZZDEMOPTONLY_v1-04.xml", ("ZZDEMO", "9999", "1950-01-01")),
    ):
        ecg = read_ecg(needs(f"ecg/{name}").read_bytes())
        said = f"{ecg.provenance} {ecg.notes}"
        assert len(said) > 200 and not [word for word in people if word in said]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ecg/aecg/fda_empty.xml", "holds no series"),
        ("ecg/aecg/fda_minimum_aecg.xml", "0.0 s of ECG at 500 Hz"),
        ("echo/dicom/pydicom_examples_ybr_color.dcm", "pictures .modality US, frames: 30. .*echopulse measure"),
        ("echo/dicom/OBXXXX1A_rle_2frame.dcm", "pictures .modality US, frames: 2"),
        ("echo/dicom/MR_truncated.dcm", "pictures .modality MR"),
    ],
)
def test_what_holds_no_ecg_is_told_in_one_sentence(name, words):
    path = needs(name)
    with pytest.raises(InputError, match=words) as caught:
        read_ecg(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)
