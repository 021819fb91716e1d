"""Ultrasound DICOM as a scanner sends it: cine loops with the screen around the picture and the ECG burned in.

Beside every study lie its ECG as a DICOM waveform and as a WFDB record. All of it names a patient who is none.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from echopulse import __version__
from echopulse.data.dicom_ecg import FIRST_SAMPLE, clock, write_waveform
from echopulse.data.form import Form
from echopulse.data.pairs import facts
from echopulse.data.records import SHORT_NOTICE, picture_notice, write_record
from echopulse.files import write_json
from echopulse.phantom import PhantomClips
from echopulse.phantom.scanner.overlays import Box, Screen
from echopulse.phantom.screen import heart_rate, print_screen
from echopulse.phantom.types import VIEWS

ULTRASOUND_MULTIFRAME = "1.2.840.10008.5.1.4.1.1.3.1"
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
JPEG_QUALITY = 92
# DICOM PS3.3 C.8.5.5: what a region shows, of what, in which units
TWO_D, WAVEFORM = 1, 4
TISSUE, ECG_TRACE = 1, 10
NO_UNIT, CENTIMETRE, SECOND = 0, 3, 4


def write_cine(made: PhantomClips, i: int, path: Path, number: int) -> None:
    """Clip i as Ultrasound Multi-frame Image Storage, JPEG baseline."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.encaps import encapsulate
    from pydicom.tag import Tag
    from pydicom.uid import generate_uid

    screen = print_screen(made, i)
    pictures = [_jpeg(frame) for frame in screen.frames]
    count, height, width = screen.frames.shape[:3]
    dataset = Dataset()
    describe_patient(dataset, made, i, number)
    dataset.SOPClassUID = ULTRASOUND_MULTIFRAME
    view, contents = made.truth.view[i], hashlib.sha256(b"".join(pictures)).hexdigest()
    dataset.SOPInstanceUID = generate_uid(entropy_srcs=[str(dataset.StudyInstanceUID), view, contents])
    dataset.Modality, dataset.SyntheticData = "US", "YES"
    dataset.SeriesInstanceUID = generate_uid(entropy_srcs=[str(dataset.StudyInstanceUID), "cine"])
    dataset.SeriesNumber, dataset.InstanceNumber = 1, VIEWS.index(view) + 1
    dataset.SeriesDescription = f"{view}, {SHORT_NOTICE}"
    dataset.ImageComments = f"{view}, {picture_notice(made)}"
    dataset.Manufacturer, dataset.ManufacturerModelName = "EchoPulse", "simulated heart and scanner"
    dataset.SoftwareVersions = __version__
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "TTE"]
    dataset.AcquisitionDateTime = clock(-float(made.ecg_times_s[0]))
    dataset.BurnedInAnnotation = "NO"  # there is nobody whom it could name
    dataset.LossyImageCompression, dataset.LossyImageCompressionMethod = "01", "ISO_10918_1"
    raw = screen.frames.nbytes
    dataset.LossyImageCompressionRatio = f"{raw / sum(map(len, pictures)):.1f}"
    dataset.FrameTime = f"{1000 / made.fps:.6f}"
    dataset.FrameIncrementPointer = Tag("FrameTime")
    dataset.CineRate = dataset.RecommendedDisplayFrameRate = max(round(made.fps), 1)
    rate = heart_rate(made, i)
    if rate is not None:
        dataset.HeartRate = round(rate)
    dataset.SequenceOfUltrasoundRegions = _regions(screen)
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "YBR_FULL_422", 0
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = count, height, width
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
    dataset.PixelData = encapsulate(pictures, has_bot=True)
    dataset["PixelData"].VR = "OB"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = JPEG_BASELINE
    dataset.save_as(path, enforce_file_format=True)


def describe_patient(dataset: Any, made: PhantomClips, i: int, number: int) -> None:
    """Who it is, nobody, and the study that all files of one heart belong to."""
    from pydicom.uid import generate_uid

    patients = made.parameters.patients
    beats = hashlib.sha256(made.ecg[i].cpu().numpy().tobytes()).hexdigest()
    dataset.PatientName = "SYNTHETIC^PHANTOM"
    dataset.PatientID = f"PHANTOM-{made.seed}"
    dataset.PatientBirthDate = ""
    dataset.PatientSex = "F" if float(patients.female[i]) > 0.5 else "M"
    dataset.PatientAge = f"{round(float(patients.age_years[i])):03d}Y"
    dataset.StudyInstanceUID = generate_uid(entropy_srcs=[str(made.seed), beats])
    dataset.StudyDate, dataset.StudyTime = FIRST_SAMPLE[:8], FIRST_SAMPLE[8:]
    dataset.ContentDate, dataset.ContentTime = dataset.StudyDate, dataset.StudyTime
    dataset.StudyID, dataset.AccessionNumber, dataset.ReferringPhysicianName = str(number), "", ""
    dataset.StudyDescription = SHORT_NOTICE
    dataset.PatientComments = picture_notice(made)
    dataset.InstitutionName = "none: simulated"


def _jpeg(picture: np.ndarray) -> bytes:
    """uint8 [h, w, 3] as baseline JPEG, colour at half the width, of an even number of bytes."""
    from PIL import Image

    stream_of_bytes = io.BytesIO()
    Image.fromarray(picture).save(stream_of_bytes, "JPEG", quality=JPEG_QUALITY, subsampling="4:2:2")
    return stream_of_bytes.getvalue()


def _regions(screen: Screen) -> list[Any]:
    spacing = screen.pixel_spacing_cm
    regions = [_region(screen.picture, TWO_D, TISSUE, (CENTIMETRE, spacing), (CENTIMETRE, spacing))]
    if screen.strip is not None:
        across, up = (SECOND, screen.seconds_per_pixel), (NO_UNIT, screen.mv_per_pixel)
        regions.append(_region(screen.strip, WAVEFORM, ECG_TRACE, across, up))
    return regions


def _region(box: Box, spatial_format: int, data_type: int, across: tuple[int, float], down: tuple[int, float]) -> Any:
    from pydicom.dataset import Dataset

    region = Dataset()
    region.RegionSpatialFormat, region.RegionDataType, region.RegionFlags = spatial_format, data_type, 0
    region.RegionLocationMinX0, region.RegionLocationMinY0 = box.left, box.top
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = box.left + box.width - 1, box.top + box.height - 1
    region.PhysicalUnitsXDirection, region.PhysicalDeltaX = across
    region.PhysicalUnitsYDirection, region.PhysicalDeltaY = down
    return region


def _files(number: int, views: tuple[str, ...] | None) -> tuple[str, ...]:
    cines = tuple(f"{number:05d}_{view}.dcm" for view in views or ())
    return (*cines, *(f"{number:05d}{ending}" for ending in ("_ecg.dcm", ".hea", ".dat", ".atr", ".json")))


def _write(clips: Sequence[PhantomClips], folder: Path, number: int) -> None:
    for made in clips:
        write_cine(made, 0, folder / f"{number:05d}_{made.truth.view[0]}.dcm", number)
    made = clips[0]
    write_waveform(made, 0, folder / f"{number:05d}_ecg.dcm", number, describe_patient)
    write_record(made, 0, folder, f"{number:05d}")
    write_json([facts(made, 0) for made in clips], folder / f"{number:05d}.json")


DICOM = Form(
    name="dicom", fps=50.0, seconds=2.6, size=256, views=("a4c", "a2c"), study=True, files=_files, write=_write
)
