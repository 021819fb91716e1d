"""Ultrasound DICOM files as films: grey cine loops, decoded frame by frame.

Colour Doppler, other modalities and files without pictures are refused, each in one sentence. What is
burned into the picture beside the sector (names, dates, institution) never gets past the reader.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from echopulse.echo.films import Film
from echopulse.errors import InputError

ASSUMED_FPS = 30.0
TISSUE_2D = 1  # Region Spatial Format "2D" and Region Data Type "Tissue", DICOM PS3.3 C.8.5.5
CENTIMETRE = 3  # Physical Units X Direction, DICOM PS3.3 C.8.5.5


def open_dicom(path: Path) -> Film:
    """An ultrasound DICOM file, still or cine; frame times from Frame Time (Vector) or a stated rate."""
    import pydicom
    from pydicom.errors import InvalidDicomError

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # charset and value remarks that do not concern the picture
        try:
            dataset = pydicom.dcmread(path)
            modality = str(dataset.get("Modality", "unknown"))
            has_pixels = "PixelData" in dataset
            count = int(dataset.get("NumberOfFrames") or 1)
        except (InvalidDicomError, OSError, ValueError, AttributeError, EOFError) as error:
            raise InputError(f"{path}: the DICOM file cannot be read ({error}); export it again.") from error
    if modality != "US":
        raise InputError(
            f"{path}: a DICOM file of modality {modality}{'' if has_pixels else ' without pictures'}; "
            "ultrasound (US) is expected."
        )
    if not has_pixels:
        raise InputError(f"{path}: a DICOM file without pictures; an ultrasound image or cine loop is expected.")
    times_s, how_times = _frame_times(dataset, count)
    spacing_cm, how_spacing = _pixel_spacing(dataset)
    provenance = {"format": "DICOM", "times": how_times, "pixel_spacing_cm": how_spacing}
    own = {"synthetic": str(dataset.get("SyntheticData", "")) == "YES"}  # DICOM PS3.3 C.12.1.1
    return Film(_pictures(path, dataset, times_s), spacing_cm, own=own, provenance=provenance, blank_outside=True)


def _pictures(path: Path, dataset: Any, times_s: np.ndarray) -> Iterator[tuple[np.ndarray, float]]:
    from pydicom.pixels import apply_color_lut, iter_pixels

    interpretation = str(dataset.get("PhotometricInterpretation", ""))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        frames = iter_pixels(dataset)  # YBR becomes RGB in here: a second conversion would turn it green
        for time_s in times_s:
            try:
                frame = next(frames)
            except StopIteration:
                return
            except Exception as error:  # every decoder raises its own kind on damaged data
                found = str(error).splitlines()[0][:120]
                raise InputError(f"{path}: the pictures cannot be decoded ({found}); export the file again.") from error
            if interpretation == "PALETTE COLOR":
                frame = apply_color_lut(frame, dataset)
            yield _eight_bit(frame, dataset, invert=interpretation == "MONOCHROME1"), float(time_s)


def _eight_bit(frame: np.ndarray, dataset: Any, invert: bool) -> np.ndarray:
    """Any integer depth to uint8, by the bits that are stored (palettes: 16)."""
    if frame.dtype == np.uint8:
        grey = frame
    else:
        bits = 16 if "PALETTE" in str(dataset.get("PhotometricInterpretation", "")) else int(dataset.BitsStored)
        grey = np.clip(frame.astype(np.float32) * (255.0 / (2**bits - 1)), 0, 255).astype(np.uint8)
    return 255 - grey if invert else grey


def _frame_times(dataset: Any, count: int) -> tuple[np.ndarray, str]:
    """Frame times in seconds from the first frame, float64 [count], and how they were decided."""
    vector = dataset.get("FrameTimeVector")
    if vector is not None:
        steps = np.atleast_1d(np.asarray(vector, dtype=np.float64)) / 1000.0  # [i]: from frame i-1 to frame i
        if len(steps) == count and count > 1 and np.all(steps[1:] > 0):
            return np.cumsum(steps) - steps[0], "DICOM Frame Time Vector"
    if float(dataset.get("FrameTime") or 0) > 0:
        return np.arange(count) * float(dataset.FrameTime) / 1000.0, "DICOM Frame Time"
    for name, words in (("CineRate", "Cine Rate"), ("RecommendedDisplayFrameRate", "Recommended Display Frame Rate")):
        if float(dataset.get(name) or 0) > 0:
            return np.arange(count) / float(dataset.get(name)), f"DICOM {words}"
    return np.arange(count) / ASSUMED_FPS, f"not in the file; {ASSUMED_FPS:g} frames/s assumed"


def _pixel_spacing(dataset: Any) -> tuple[float | None, str]:
    """Pixel size in cm of the 2-D tissue region, and how it was decided."""
    for region in dataset.get("SequenceOfUltrasoundRegions") or []:
        if region.get("RegionSpatialFormat") != TISSUE_2D or region.get("PhysicalUnitsXDirection") != CENTIMETRE:
            continue
        if region.RegionLocationMaxX1 > dataset.Columns or region.RegionLocationMaxY1 > dataset.Rows:
            return None, "not known: the ultrasound region lies outside the picture, which was rescaled"
        across, down = abs(float(region.PhysicalDeltaX)), abs(float(region.PhysicalDeltaY))  # some vendors sign them
        if min(across, down) > 0 and abs(across - down) <= 0.02 * down:
            return down, "DICOM ultrasound region"
        return None, "not known: the ultrasound region's pixels are not square"
    return None, "not known: no calibrated ultrasound region"
