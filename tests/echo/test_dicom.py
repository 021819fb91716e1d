"""Ultrasound DICOM: times and spacing as the file states them, one colour conversion, nothing burned in."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from echopulse.echo import Clip, read_clip, read_frame
from echopulse.errors import InputError


def dicom(path: Path, pixels: np.ndarray, **elements: Any) -> Path:
    """Write uint8 pixels [t, h, w] as an uncompressed ultrasound file."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, UltrasoundMultiFrameImageStorage, generate_uid

    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = UltrasoundMultiFrameImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = generate_uid()
    dataset.Modality = "US"
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    dataset.PixelData = pixels.tobytes()
    for name, value in elements.items():
        if value is None:
            delattr(dataset, name)
        else:
            setattr(dataset, name, value)
    dataset.save_as(path, enforce_file_format=True)
    return path


def region(**elements: Any) -> list[Any]:
    from pydicom.dataset import Dataset

    item = Dataset()
    standard = {
        "RegionSpatialFormat": 1, "RegionDataType": 1, "PhysicalUnitsXDirection": 3, "PhysicalUnitsYDirection": 3,
        "RegionLocationMinX0": 0, "RegionLocationMinY0": 0, "RegionLocationMaxX1": 63, "RegionLocationMaxY1": 63,
        "PhysicalDeltaX": 0.2, "PhysicalDeltaY": 0.2,
    }  # fmt: skip
    for name, value in (standard | elements).items():
        setattr(item, name, value)
    return [item]


def test_a_cine_loop_is_read(clip: Clip, tmp_path: Path) -> None:
    loop = read_clip(dicom(tmp_path / "a.dcm", clip.frames, FrameTime=40.0), size=64)
    inside = loop.sector & clip.sector
    assert np.array_equal(loop.frames[:, inside], clip.frames[:, inside])
    assert loop.fps == pytest.approx(25.0) and not loop.synthetic


def test_the_frame_time_vector_gives_uneven_times(clip: Clip, tmp_path: Path) -> None:
    vector = [33.0, 50.0, 33.0, 50.0, 33.0, 50.0, 33.0, 50.0, 33.0, 50.0]  # the first is no interval
    loop = read_clip(dicom(tmp_path / "a.dcm", clip.frames, FrameTimeVector=vector))
    assert loop.times_s[:4].tolist() == pytest.approx([0.0, 0.05, 0.083, 0.133])


@pytest.mark.parametrize(
    ("elements", "fps", "words"),
    [
        ({"CineRate": 50}, 50.0, "Cine Rate"),
        ({"RecommendedDisplayFrameRate": 20}, 20.0, "Recommended"),
        ({}, 30.0, "assumed"),
    ],
)
def test_without_frame_times_the_rate_is_decided_and_said(
    clip: Clip, tmp_path: Path, elements: dict, fps: float, words: str
) -> None:
    loop = read_clip(dicom(tmp_path / "a.dcm", clip.frames, **elements))
    assert loop.fps == pytest.approx(fps) and words in loop.provenance["times"]


@pytest.mark.parametrize(
    ("elements", "spacing"),
    [
        ({}, 0.2),
        ({"PhysicalDeltaX": -0.2}, 0.2),  # some vendors sign it
        ({"RegionLocationMaxX1": 595}, None),  # the pixels were rescaled, the box was not
        ({"PhysicalDeltaX": 0.3}, None),
        ({"PhysicalUnitsXDirection": 4}, None),
        ({"RegionSpatialFormat": 3}, None),
    ],
)
def test_the_pixel_spacing_is_taken_where_it_can_be_trusted(
    clip: Clip, tmp_path: Path, elements: dict, spacing: float | None
) -> None:
    path = dicom(tmp_path / "a.dcm", clip.frames, SequenceOfUltrasoundRegions=region(**elements))
    assert read_clip(path, size=64).pixel_spacing_cm == (None if spacing is None else pytest.approx(spacing))


def test_burned_in_text_does_not_get_past_the_reader(clip: Clip, tmp_path: Path) -> None:
    screen = np.zeros((3, 120, 90), np.uint8)
    screen[:, 30:94, 13:77] = clip.frames[:3]
    screen[:, 34:38, 14:30:2] = 220  # a name, inside the square but outside the sector
    frame = read_frame(dicom(tmp_path / "a.dcm", screen))
    assert frame[:20, :40].max() == 0 and frame.max() > 60


def test_inverted_grey_is_turned(clip: Clip, tmp_path: Path) -> None:
    path = dicom(tmp_path / "a.dcm", 255 - clip.frames, PhotometricInterpretation="MONOCHROME1")
    frame = read_frame(path, size=64)
    assert abs(float(frame.mean()) - float(clip.frames[0].mean())) < 1.0


@pytest.mark.parametrize(
    ("elements", "words"),
    [
        ({"Modality": "MR"}, "modality MR; ultrasound"),
        ({"Modality": "ECG", "PixelData": None}, "modality ECG without pictures"),
        ({"PixelData": None}, "without pictures"),
        ({"PixelData": bytes(64)}, "cannot be decoded"),
    ],
)
def test_what_is_no_ultrasound_loop_is_refused(clip: Clip, tmp_path: Path, elements: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_frame(dicom(tmp_path / "a.dcm", clip.frames, **elements))
