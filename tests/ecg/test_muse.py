"""GE MUSE documents, made here: rhythm and not median, counts to millivolts, four leads that follow from two."""

import base64
import zlib

import numpy as np
import pytest

from echopulse.ecg import read_ecg
from echopulse.errors import InputError

HEADER = '<?xml version="1.0" encoding="ISO-8859-1"?><!DOCTYPE RestingECG SYSTEM "restecg.dtd">'
WHEN = "<AcquisitionTime>13:15:18</AcquisitionTime><AcquisitionDate>05-10-2021</AcquisitionDate>"


def counts(seed, n=1500):
    return (200 * np.sin(np.arange(n) / 30) ** 15 + np.random.default_rng(seed).integers(-5, 5, n)).astype("<i2")


def lead(name, values, per_count="4.88", units="MICROVOLTS", checksum=None):
    packed = values.tobytes()
    checksum = zlib.crc32(packed) if checksum is None else checksum
    return (
        f"<LeadData><LeadID>{name}</LeadID><LeadAmplitudeUnitsPerBit>{per_count}</LeadAmplitudeUnitsPerBit>"
        f"<LeadAmplitudeUnits>{units}</LeadAmplitudeUnits><LeadSampleSize>2</LeadSampleSize>"
        f"<LeadSampleCountTotal>{len(values)}</LeadSampleCountTotal><LeadDataCRC32>{checksum}</LeadDataCRC32>"
        f"<WaveFormData>\n{base64.encodebytes(packed).decode()}</WaveFormData></LeadData>"
    )


def wave(*leads, kind="Rhythm", base="500", exponent="0"):
    rate = f"<SampleBase>{base}</SampleBase><SampleExponent>{exponent}</SampleExponent>"
    return f"<Waveform><WaveformType>{kind}</WaveformType>{rate}{''.join(leads)}</Waveform>"


def document(*parts):
    who = "<PatientDemographics><PatientLastName>M\u00fcller</PatientLastName></PatientDemographics>"
    text = f"{HEADER}<RestingECG>{who}<TestDemographics>{WHEN}</TestDemographics>{''.join(parts)}</RestingECG>"
    return text.encode("latin-1")


def test_the_rhythm_is_read_and_four_leads_follow():
    eight = [lead(name, counts(i)) for i, name in enumerate("I II V1 V2 V3 V4 V5 V6".split())]
    ecg = read_ecg(document(wave(lead("I", counts(9, 5000)), kind="Median"), wave(*eight)))
    assert ecg.leads == tuple("I II III aVR aVL aVF V1 V2 V3 V4 V5 V6".split())
    assert ecg.samples.shape == (12, 1500) and ecg.rate_hz == 500
    assert np.allclose(ecg.samples[0], counts(0) * 0.00488, atol=1e-6)
    assert np.allclose(ecg.samples[2], (counts(1) - counts(0)) * 0.00488, atol=1e-6)
    assert ecg.provenance["recorded"] == "2021-05-10 13:15:18" and "doubts" not in ecg.provenance
    assert "ller" not in str(ecg.provenance) + str(ecg.notes)


def test_the_exponent_scales_the_rate_and_the_unit_is_the_files():
    ecg = read_ecg(document(wave(lead("II", counts(0), "0.005", "MILLIVOLTS"), base="25", exponent="1")))
    assert ecg.rate_hz == 250 and np.allclose(ecg.samples[0], counts(0) * 0.005, atol=1e-6)


def test_what_the_user_says_wins():
    ecg = read_ecg(document(wave(lead("II", counts(0)))), rate_hz=1000 / 3, unit="nV")
    assert ecg.rate_hz == 1000 / 3 and np.allclose(ecg.samples[0], counts(0) * 4.88e-6)


def test_statements_and_complexes_become_notes_but_not_who_confirmed_them():
    said = "".join(
        f"<DiagnosisStatement><StmtText>{words}</StmtText></DiagnosisStatement>"
        for words in ("Sinus rhythm", "Confirmed by SMITH, JOHN")
    )
    beats = "<QRSTimesTypes><QRS><Type>0</Type><Time>808</Time></QRS><QRS><Time>99999</Time></QRS></QRSTimesTypes>"
    ecg = read_ecg(document(f"<OriginalDiagnosis>{said}</OriginalDiagnosis>", beats, wave(lead("II", counts(0)))))
    assert [(note.time_s, note.text) for note in ecg.notes] == [(0.0, "Sinus rhythm"), (0.808, "QRS, type 0")]


def test_a_wrong_checksum_is_told():
    ecg = read_ecg(document(wave(lead("II", counts(0), checksum=5))))
    assert "checksum of lead II" in ecg.provenance["doubts"]


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([], "without a rhythm waveform .it holds none"),
        ([wave(lead("I", counts(0)), kind="Median")], "without a rhythm waveform .it holds Median"),
        ([wave()], "no samples"),
        ([wave(lead("I", counts(0)), base="0")], "usable sampling rate"),
        ([wave(lead("I", counts(0)), exponent="400")], "usable sampling rate"),
        ([wave(lead("I", counts(0)).replace("</WaveFormData>", "A</WaveFormData>"))], "samples of lead I are damaged"),
        ([wave(lead("I", counts(0)).replace("Size>2<", "Size>3<"))], "samples of 3 bytes"),
    ],
)
def test_what_cannot_be_read_is_told_in_one_sentence(parts, words):
    with pytest.raises(InputError, match=r"^the ECG: .*" + words):
        read_ecg(document(*parts))
