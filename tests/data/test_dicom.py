"""DICOM studies, read back with pydicom and with the project's own reader."""

import numpy as np
import pytest

from echopulse.data.export import export
from echopulse.ecg import read_ecg


@pytest.fixture(scope="module")
def folder(tmp_path_factory, make_heart):
    place = tmp_path_factory.mktemp("dicom")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("echopulse.data.plan.simulate", make_heart)
        export(place, 1, form="dicom", seconds=0.6, size=128, leads=("II", "V5"))
    return place


def test_a_cine_says_what_it_is_of_nobody(folder):
    import pydicom

    cine = pydicom.dcmread(folder / "00000_a4c.dcm")
    assert cine.SOPClassUID == "1.2.840.10008.5.1.4.1.1.3.1" and cine.Modality == "US"
    assert str(cine.PatientName) == "SYNTHETIC^PHANTOM" and cine.PatientBirthDate == "" and cine.PatientAge == "061Y"
    assert cine.NumberOfFrames == 30 and float(cine.FrameTime) == pytest.approx(20) and cine.CineRate == 50
    assert cine.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.50" and cine.LossyImageCompression == "01"
    pixels = cine.pixel_array
    assert pixels.shape == (30, cine.Rows, cine.Columns, 3) and len(np.unique(pixels.reshape(30, -1).mean(1))) > 1


def test_views_and_ecg_of_one_heart_are_one_study(folder):
    import pydicom

    files = [pydicom.dcmread(folder / f"00000_{name}.dcm") for name in ("a4c", "a2c", "ecg")]
    assert len({file.StudyInstanceUID for file in files}) == 1 and len({file.SOPInstanceUID for file in files}) == 3
    assert files[0].SeriesInstanceUID == files[1].SeriesInstanceUID != files[2].SeriesInstanceUID


def test_our_own_reader_finds_times_spacing_and_the_picture(folder):
    import pydicom

    from echopulse.echo import read_clip

    clip = read_clip(folder / "00000_a4c.dcm", size=128)
    assert clip.synthetic  # DICOM's own attribute says so
    assert clip.times_s == pytest.approx(np.arange(30) / 50)
    region = pydicom.dcmread(folder / "00000_a4c.dcm").SequenceOfUltrasoundRegions[0]
    high = region.RegionLocationMaxY1 - region.RegionLocationMinY0 + 1
    assert high * region.PhysicalDeltaY == pytest.approx(15, rel=1e-6)  # the whole picture, as it was simulated
    rows = np.nonzero(clip.sector.any(axis=1))[0]
    assert np.ptp(rows) * clip.pixel_spacing_cm == pytest.approx(0.95 * 15, rel=0.08)  # and its sector


def test_the_strip_lies_where_the_region_says(folder):
    import pydicom

    cine = pydicom.dcmread(folder / "00000_a4c.dcm")
    strip = cine.SequenceOfUltrasoundRegions[1]
    assert (strip.RegionSpatialFormat, strip.RegionDataType, strip.PhysicalUnitsXDirection) == (4, 10, 4)
    box = cine.pixel_array[-1][strip.RegionLocationMinY0 : strip.RegionLocationMaxY1 + 1].astype(int)
    assert box.max() > 120 and strip.RegionLocationMaxY1 < cine.Rows
    assert 0.8 < (strip.RegionLocationMaxX1 - strip.RegionLocationMinX0) * strip.PhysicalDeltaX < 6


def test_the_ecg_is_a_waveform_on_the_clock_of_the_cines(folder):
    import pydicom

    ecg = pydicom.dcmread(folder / "00000_ecg.dcm")
    group = ecg.WaveformSequence[0]
    assert ecg.SOPClassUID == "1.2.840.10008.5.1.4.1.1.9.1.2" and group.SamplingFrequency == 200
    assert [channel.ChannelLabel for channel in group.ChannelDefinitionSequence] == ["II", "V5"]
    peak = ecg.waveform_array(0)[:, 0].argmax() / 200  # microvolts
    assert ecg.waveform_array(0)[:, 0].max() == pytest.approx(500, abs=5) and peak % 0.8 == pytest.approx(0.7, abs=0.01)
    begin = float(pydicom.dcmread(folder / "00000_a4c.dcm").AcquisitionDateTime) - float(ecg.AcquisitionDateTime)
    assert begin == pytest.approx(1.6, abs=0.01)


def test_the_ecg_is_read_back_as_any_other(folder):
    ecg = read_ecg(folder / "00000_ecg.dcm")
    assert ecg.leads == ("II", "V5") and ecg.rate_hz == 200
    assert ecg.samples[0].max() == pytest.approx(0.5, abs=0.005)  # millivolts


def test_twelve_leads_are_stored_as_a_twelve_lead_ecg(tmp_path, by_hand):
    import pydicom

    leads = tuple("I II III aVR aVL aVF V1 V2 V3 V4 V5 V6".split())
    export(tmp_path, 1, form="dicom", seconds=0.2, size=64, leads=leads, views=["plax"])
    assert pydicom.dcmread(tmp_path / "00000_ecg.dcm").SOPClassUID == "1.2.840.10008.5.1.4.1.1.9.1.1"
    assert (tmp_path / "00000_plax.dcm").exists()
