"""DICOM waveforms, made here with pydicom: the group that counts, units and codes, and what is refused."""

import io
import zlib

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from echopulse.ecg import read_ecg
from echopulse.errors import InputError

TWELVE_LEAD, GENERAL, AMBULATORY = (f"1.2.840.10008.5.1.4.1.1.9.1.{i}" for i in (1, 2, 3))
HEMODYNAMIC = "1.2.840.10008.5.1.4.1.1.9.2.1"


def counts(seed, n=1500):
    return (200 * np.sin(np.arange(n) / 30) ** 15 + np.random.default_rng(seed).integers(-5, 5, n)).astype("<i2")


def dataset(**elements):
    made = Dataset()
    for key, value in elements.items():
        setattr(made, key, value)
    return made


def code(value, scheme, meaning):
    return dataset(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


def channel(value="2:1", scheme="MDC", meaning="Lead", unit="uV", sensitivity="5", correction="1", baseline="0"):
    return dataset(
        ChannelSourceSequence=[code(value, scheme, meaning)],
        ChannelSensitivity=sensitivity,
        ChannelSensitivityUnitsSequence=[code(unit, "UCUM", unit)],
        ChannelSensitivityCorrectionFactor=correction,
        ChannelBaseline=baseline,
        WaveformBitsStored=16,
    )


def group(channels, rows, label="RHYTHM", origin="ORIGINAL", rate="500", **more):
    made = dataset(
        WaveformOriginality=origin,
        NumberOfWaveformChannels=len(channels),
        NumberOfWaveformSamples=len(rows[0]),
        SamplingFrequency=rate,
        MultiplexGroupLabel=label,
        ChannelDefinitionSequence=channels,
        WaveformBitsAllocated=16,
        WaveformSampleInterpretation="SS",
        **more,
    )
    made.WaveformData = np.stack(rows, axis=1).tobytes()
    made["WaveformData"].VR = "OW"
    return made


def saved(*groups, kind=TWELVE_LEAD, syntax=ExplicitVRLittleEndian, **elements):
    made = dataset(SOPClassUID=kind, SOPInstanceUID="1.2.3", PatientName="Nobody", Modality="ECG", **elements)
    if groups:
        made.WaveformSequence = list(groups)
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = syntax
    file = io.BytesIO()
    made.save_as(file, enforce_file_format=True)
    return file.getvalue()


def test_the_rhythm_is_read_and_the_median_beat_is_not():
    median = group([channel()], [counts(9, 3000)], "MEDIAN BEAT", "DERIVED")
    rhythm = group([channel("2:1"), channel("2:62")], [counts(0), counts(1)])
    ecg = read_ecg(saved(median, rhythm, AcquisitionDateTime="20130125105919.5"))
    assert ecg.leads == ("I", "aVR") and ecg.rate_hz == 500
    assert np.allclose(ecg.samples, np.stack([counts(0), counts(1)]) * 0.005)
    assert ecg.provenance["recorded"] == "2013-01-25 10:59:19.500" and "group 2 of 2" in ecg.provenance["part"]
    assert "Nobody" not in str(ecg)


@pytest.mark.parametrize(
    ("unit", "sensitivity", "millivolts"), [("uV", "5", 0.005), ("mV", "0.005", 0.005), ("V", "0.000005", 0.005),
                                            ("nV", "5000", 0.005)]
)  # fmt: skip
def test_sensitivity_times_correction_plus_baseline(unit, sensitivity, millivolts):
    one = channel(unit=unit, sensitivity=sensitivity, correction="2", baseline=sensitivity)
    ecg = read_ecg(saved(group([one], [counts(0)]), kind=AMBULATORY))
    assert np.allclose(ecg.samples[0], (2 * counts(0).astype(float) + 1) * millivolts, atol=1e-5)
    assert "ambulatory" in ecg.provenance["format"]


@pytest.mark.parametrize(
    ("value", "scheme", "meaning", "name"),
    [
        ("5.6.3-9-1", "SCPECG", "Lead I (Einthoven)", "I"),
        ("5.6.3-9-64", "SCPECG", "", "aVF"),
        ("2:3", "MDC", "", "V1"),
        ("MDC_ECG_LEAD_AVL", "MDC", "", "aVL"),
        ("99", "LOCAL", "Lead V4", "V4"),
        ("2:0", "MDC", "Lead MCL1", "Lead MCL1"),
    ],
)
def test_a_lead_is_known_by_its_code_or_by_its_meaning(value, scheme, meaning, name):
    assert read_ecg(saved(group([channel(value, scheme, meaning)], [counts(0)]), kind=GENERAL)).leads == (name,)


def test_what_the_user_says_wins():
    ecg = read_ecg(saved(group([channel()], [counts(0)])), rate_hz=250, unit="mV")
    assert ecg.rate_hz == 250 and np.allclose(ecg.samples[0], counts(0) * 5.0)


def test_groups_that_follow_one_another_are_joined_on_one_clock():
    first = group([channel("2:1")], [counts(0)], MultiplexGroupTimeOffset="0")
    second = group([channel("2:3")], [counts(1)], MultiplexGroupTimeOffset="3000")
    ecg = read_ecg(saved(first, second))
    assert ecg.leads == ("I", "V1") and ecg.samples.shape == (2, 3000)
    assert np.isnan(ecg.samples[1, :1500]).all() and np.allclose(ecg.samples[1, 1500:], counts(1) * 0.005)


def test_a_group_that_begins_later_keeps_its_time_and_an_impossible_offset_does_not_count():
    ecg = read_ecg(saved(group([channel("2:1")], [counts(0)], MultiplexGroupTimeOffset="3125")))
    assert ecg.start_s == 3.125 and "3.125 s after" in ecg.provenance["offset"]
    part = read_ecg(saved(group([channel("2:1")], [counts(0)], MultiplexGroupTimeOffset="3125")), at_s=4.125, seconds=2)
    assert part.start_s == 4.125 and np.array_equal(part.samples, ecg.crop(4.125, 2).samples)
    for offset in ("-5000", "1e300"):
        assert read_ecg(saved(group([channel("2:1")], [counts(0)], MultiplexGroupTimeOffset=offset))).start_s == 0


def test_padding_is_a_gap():
    values = counts(0)
    values[100:200] = -32768
    made = group([channel()], [values])
    made.add_new(0x5400100A, "OW", b"\x00\x80")
    assert np.flatnonzero(np.isnan(read_ecg(saved(made)).samples[0])).tolist() == list(range(100, 200))


def test_of_a_catheter_laboratory_only_surface_leads_are_kept():
    pressure, inside = channel("2:0", meaning="Aortic pressure", unit="mm[Hg]"), channel("2:0", meaning="His d")
    channels = [channel("2:2"), pressure, inside]
    ecg = read_ecg(saved(group(channels, [counts(0), counts(1), counts(2)]), kind=HEMODYNAMIC))
    assert ecg.leads == ("II",)


def test_annotations_become_notes():
    at = dataset(
        ReferencedWaveformChannels=[1, 0],
        ConceptNameCodeSequence=[code("5.10.3-3", "SCPECG", "QRS Onset")],
        TemporalRangeType="POINT",
        ReferencedSamplePositions=251,
    )
    of_all = dataset(ReferencedWaveformChannels=[1, 0], UnformattedTextValue="sinus rhythm")
    who = dataset(ReferencedWaveformChannels=[1, 0], UnformattedTextValue="Confirmed by Dr. Smith")
    other = dataset(ReferencedWaveformChannels=[2, 0], UnformattedTextValue="of the median beat")
    made = saved(group([channel()], [counts(0)]), WaveformAnnotationSequence=[at, who, other, of_all])
    assert [(note.time_s, note.text) for note in read_ecg(made).notes] == [(0.0, "sinus rhythm"), (0.5, "QRS Onset")]


def test_a_deflated_file_is_read_and_a_bomb_refused():
    made = saved(group([channel()], [counts(0)]), syntax=DeflatedExplicitVRLittleEndian)
    assert np.allclose(read_ecg(made).samples[0], counts(0) * 0.005)
    start = 144 + int.from_bytes(made[140:144], "little")
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = packer.compress(bytes(30 << 20)) + packer.flush()
    with pytest.raises(InputError, match="unpacks to more than"):
        read_ecg(made[:start] + bomb)


def test_a_file_of_pictures_is_refused_with_advice(tmp_path):
    (tmp_path / "echo.dcm").write_bytes(saved(kind="1.2.840.10008.5.1.4.1.1.3.1", Rows=8, Columns=8, NumberOfFrames=30))
    with pytest.raises(InputError, match=r"echo\.dcm: a DICOM file of pictures .*frames: 30.*echopulse measure"):
        read_ecg(tmp_path / "echo.dcm")


def test_what_cannot_be_read_is_told_in_one_sentence():
    bad_rate = group([channel()], [counts(0)], rate="0")
    huge = group([channel()], [counts(0)])
    huge.NumberOfWaveformSamples = 10**9
    uneven = group([channel()], [counts(0)])
    uneven.NumberOfWaveformChannels = 3
    whole = saved(group([channel()], [counts(0)]))
    for data, words in (
        (saved(), "without a waveform"),
        (saved(bad_rate), "sampling frequency of 0 Hz"),
        (saved(huge), "at most 100000000 values"),
        (saved(uneven), "3 channels .1 described"),
        (saved(group([channel()], [counts(0)], "MEDIAN BEAT", "DERIVED")), "without an ECG rhythm"),
        (saved(group([channel(unit="mm[Hg]")], [counts(0)])), "without an ECG rhythm"),
        (whole[:300], "DICOM"),
        (b"\0" * 128 + b"DICM", "cut short"),
    ):
        with pytest.raises(InputError, match=r"^the ECG: .*" + words) as caught:
            read_ecg(data)
        assert "\n" not in str(caught.value)


def test_fewer_samples_than_stated_are_read_and_told():
    short = group([channel()], [counts(0)])
    short.NumberOfWaveformSamples = 5000
    ecg = read_ecg(saved(short))
    assert ecg.samples.shape == (1, 1500) and "1500 of the 5000" in ecg.provenance["end"]
    cut = read_ecg(saved(group([channel()], [counts(0)]))[:-100])
    assert cut.samples.shape == (1, 1450) and "1450 of the 1500" in cut.provenance["end"]


def test_more_items_or_pieces_than_an_ecg_has_are_refused(monkeypatch):
    many = [dataset(UnformattedTextValue="beat") for _ in range(60)]
    made = saved(group([channel()], [counts(0)]), WaveformAnnotationSequence=many)
    assert len(read_ecg(made).notes) == 60
    monkeypatch.setattr("echopulse.ecg.readers.dicom.MOST_ITEMS", 50)
    with pytest.raises(InputError, match="^the ECG: a DICOM sequence of more than 50 items"):
        read_ecg(made)
    monkeypatch.setattr("echopulse.ecg.readers.dicom.MOST_READS", 10)
    with pytest.raises(InputError, match="^the ECG: more than .* 10 pieces of DICOM"):
        read_ecg(made)
