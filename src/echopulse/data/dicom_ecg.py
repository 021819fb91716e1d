"""An ECG as a DICOM waveform, on the clock of the cine loops that belong to it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from echopulse import __version__
from echopulse.data.records import LARGEST_COUNT, SHORT_NOTICE, counts_per_mv, ecg_notice
from echopulse.ecg.leads import LEAD_NUMBERS
from echopulse.phantom import PhantomClips

GENERAL_ECG = "1.2.840.10008.5.1.4.1.1.9.1.2"
TWELVE_LEAD_ECG = "1.2.840.10008.5.1.4.1.1.9.1.1"
EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
FIRST_SAMPLE = "20000101000000"  # the date of every simulated recording
TWELVE_LEADS = frozenset("I II III aVR aVL aVF V1 V2 V3 V4 V5 V6".split())


def clock(seconds: float) -> str:
    """DICOM date and time, `seconds` after the first sample of the ECG."""
    moment = datetime.strptime(FIRST_SAMPLE, "%Y%m%d%H%M%S") + timedelta(seconds=seconds)
    return moment.strftime("%Y%m%d%H%M%S.%f")


def write_waveform(
    made: PhantomClips, i: int, path: Path, number: int, describe_patient: Callable[[Any, PhantomClips, int, int], None]
) -> None:
    """The ECG of clip i, a microvolt a count if it fits (see `counts_per_mv`); a gap has the value 0.

    A recording that the heart followed is called what it is: the name is the simulated patient's, the machine unknown.
    """
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import generate_uid

    ecg = made.ecg_of(i)
    gain = counts_per_mv(ecg.samples)
    counts = np.rint(np.nan_to_num(ecg.samples.T) * gain)  # [n, leads]
    counts = counts.clip(-LARGEST_COUNT, LARGEST_COUNT).astype("<i2")
    dataset = Dataset()
    describe_patient(dataset, made, i, number)
    dataset.SOPClassUID = TWELVE_LEAD_ECG if set(ecg.leads) == TWELVE_LEADS else GENERAL_ECG
    dataset.SOPInstanceUID = generate_uid(entropy_srcs=[hashlib.sha256(counts.tobytes()).hexdigest(), str(made.seed)])
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
    group = Dataset()
    group.MultiplexGroupTimeOffset = "0"
    group.WaveformOriginality = "ORIGINAL"
    group.NumberOfWaveformChannels, group.NumberOfWaveformSamples = counts.shape[1], counts.shape[0]
    group.SamplingFrequency = f"{ecg.rate_hz:.10g}"
    group.MultiplexGroupLabel = "RHYTHM"
    group.ChannelDefinitionSequence = [_channel(name, gain) for name in ecg.leads]
    group.WaveformBitsAllocated, group.WaveformSampleInterpretation = 16, "SS"
    group.WaveformData = counts.tobytes()
    group["WaveformData"].VR = "OW"
    dataset.WaveformSequence = [group]
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = EXPLICIT_LITTLE_ENDIAN
    dataset.save_as(path, enforce_file_format=True)


def _channel(lead: str, gain: float) -> Any:
    from pydicom.dataset import Dataset

    channel = Dataset()
    channel.ChannelLabel = lead
    channel.ChannelSourceSequence = [_code(f"2:{LEAD_NUMBERS.get(lead, 0)}", "MDC", f"Lead {lead}")]
    channel.ChannelSensitivity, channel.ChannelSensitivityCorrectionFactor = f"{1000 / gain:.10g}", "1"
    channel.ChannelSensitivityUnitsSequence = [_code("uV", "UCUM", "microvolt")]
    channel.ChannelBaseline, channel.ChannelSampleSkew, channel.WaveformBitsStored = "0", "0", 16
    return channel


def _code(value: str, scheme: str, meaning: str) -> Any:
    from pydicom.dataset import Dataset

    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code
