"""An ECG as a DICOM waveform, on the clock of the cine loops that belong to it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from echopulse import __version__
from echopulse.data.records import SHORT_NOTICE, ecg_notice
from echopulse.ecg.waveform import save, sop_class, waveform_group
from echopulse.phantom import PhantomClips

FIRST_SAMPLE = "20000101000000"  # the date of every simulated recording


def clock(seconds: float) -> str:
    """DICOM date and time, `seconds` after the first sample of the ECG."""
    moment = datetime.strptime(FIRST_SAMPLE, "%Y%m%d%H%M%S") + timedelta(seconds=seconds)
    return moment.strftime("%Y%m%d%H%M%S.%f")


def write_waveform(
    made: PhantomClips, i: int, path: Path, number: int, describe_patient: Callable[[Any, PhantomClips, int, int], None]
) -> None:
    """The ECG of clip i, a microvolt a count if it fits (see `waveform_group`).

    A recording that the heart followed is called what it is: the name is the simulated patient's, the machine unknown.
    """
    from pydicom.dataset import Dataset
    from pydicom.uid import generate_uid

    ecg = made.ecg_of(i)
    group = waveform_group(replace(ecg, start_s=0.0))
    dataset = Dataset()
    describe_patient(dataset, made, i, number)
    dataset.SOPClassUID = sop_class(ecg)
    dataset.SOPInstanceUID = generate_uid(entropy_srcs=[hashlib.sha256(group.WaveformData).hexdigest(), str(made.seed)])
    dataset.Modality = "ECG"
    dataset.SyntheticData = "YES" if made.ecg_source is None else "NO"
    if made.ecg_source is None:
        dataset.Manufacturer, dataset.ManufacturerModelName = "EchoPulse", "simulated heart"
        dataset.SoftwareVersions, dataset.SeriesDescription = __version__, f"ECG, {SHORT_NOTICE}"
    else:
        dataset.Manufacturer, dataset.InstitutionName = "", ""
        dataset.SeriesDescription = "recorded ECG that the simulated heart followed"
    dataset.StudyComments = ecg_notice(made)
    dataset.SeriesInstanceUID = generate_uid(entropy_srcs=[str(dataset.StudyInstanceUID), "ecg"])
    dataset.SeriesNumber, dataset.InstanceNumber = 2, 1
    dataset.AcquisitionDateTime = clock(0.0)
    dataset.AcquisitionContextSequence = []
    dataset.WaveformSequence = [group]
    save(dataset, path)
