"""An ECG as a DICOM waveform: the parts that every file of ours shares."""

from __future__ import annotations

from typing import Any

import numpy as np

from echopulse.ecg.counts import counts_per_mv, to_counts
from echopulse.ecg.leads import LEAD_NUMBERS
from echopulse.ecg.types import ECG

GENERAL_ECG = "1.2.840.10008.5.1.4.1.1.9.1.2"
TWELVE_LEAD_ECG = "1.2.840.10008.5.1.4.1.1.9.1.1"
EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
TWELVE_LEADS = frozenset("I II III aVR aVL aVF V1 V2 V3 V4 V5 V6".split())
MISSING = -32768


def sop_class(ecg: ECG) -> str:
    """The class of DICOM file that holds these leads."""
    return TWELVE_LEAD_ECG if set(ecg.leads) == TWELVE_LEADS else GENERAL_ECG


def waveform_group(ecg: ECG) -> Any:
    """All leads as one multiplex group (a pydicom Dataset) of 16 bits, a microvolt a count if it fits.

    Gaps have the padding value, which is told only where there are any. The group begins `start_s` after the file's
    reference time.
    """
    from pydicom.dataset import Dataset

    gain = counts_per_mv(ecg.samples)
    counts = to_counts(ecg.samples, gain, MISSING).astype("<i2")
    group = Dataset()
    group.MultiplexGroupTimeOffset = f"{1000 * ecg.start_s:.10g}"
    group.WaveformOriginality = "ORIGINAL"
    group.NumberOfWaveformChannels, group.NumberOfWaveformSamples = counts.shape[1], counts.shape[0]
    group.SamplingFrequency = f"{ecg.rate_hz:.12g}"
    group.MultiplexGroupLabel = "RHYTHM"
    group.ChannelDefinitionSequence = [_channel(name, gain) for name in ecg.leads]
    group.WaveformBitsAllocated, group.WaveformSampleInterpretation = 16, "SS"
    if not np.isfinite(ecg.samples).all():
        group.WaveformPaddingValue = np.array([MISSING], "<i2").tobytes()
        group["WaveformPaddingValue"].VR = "OW"
    group.WaveformData = counts.tobytes()
    group["WaveformData"].VR = "OW"
    return group


def save(dataset: Any, path: Any) -> None:
    """Write a dataset as a DICOM file."""
    from pydicom.dataset import FileMetaDataset

    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = EXPLICIT_LITTLE_ENDIAN
    dataset.save_as(path, enforce_file_format=True)


def _channel(lead: str, gain: float) -> Any:
    from pydicom.dataset import Dataset

    channel = Dataset()
    channel.ChannelLabel = lead[:16]
    meaning = f"Lead {lead}" if lead in LEAD_NUMBERS else lead[:64]
    channel.ChannelSourceSequence = [_code(f"2:{LEAD_NUMBERS.get(lead, 0)}", "MDC", meaning)]
    channel.ChannelSensitivity, channel.ChannelSensitivityCorrectionFactor = f"{1000 / gain:.10g}", "1"
    channel.ChannelSensitivityUnitsSequence = [_code("uV", "UCUM", "microvolt")]
    channel.ChannelBaseline, channel.ChannelSampleSkew, channel.WaveformBitsStored = "0", "0", 16
    return channel


def _code(value: str, scheme: str, meaning: str) -> Any:
    from pydicom.dataset import Dataset

    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code
