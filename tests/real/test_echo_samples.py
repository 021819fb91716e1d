"""Real ultrasound files: what is a grey sector is read, everything else is refused in one sentence."""

import os
from pathlib import Path

import numpy as np
import pytest

from echopulse.echo import read_clip, read_frame
from echopulse.errors import InputError

SAMPLES = Path(os.environ.get("ECHOPULSE_SAMPLES") or Path(__file__).resolve().parents[3] / "shared" / "samples")
DICOM = SAMPLES / "echo" / "dicom"
APICAL = "pydicom_examples_ybr_color.dcm"


def sample(path: Path) -> Path:
    if not path.exists():
        pytest.skip(f"sample {path.name} is not here")
    return path


def test_a_real_apical_loop_is_read_with_its_probe_at_the_top() -> None:
    clip = read_clip(sample(DICOM / APICAL))
    assert clip.frames.shape == (30, 128, 128) and clip.fps == pytest.approx(30.0, abs=0.01)
    assert clip.provenance["times"] == "DICOM Frame Time"
    assert clip.pixel_spacing_cm is None and "rescaled" in clip.provenance["pixel_spacing_cm"]
    lit = clip.frames.max(axis=0) > 15
    assert 40 < np.nonzero(lit[:6].any(axis=0))[0].mean() < 90  # narrow and central at the top
    assert lit[:6].sum() < 0.5 * lit[60:66].sum()
    assert clip.frames[:, ~clip.sector].mean() < 1.0  # no text beside the sector


def test_a_real_first_frame_is_the_loops_first() -> None:
    path = sample(DICOM / APICAL)
    assert np.abs(read_frame(path).astype(int) - read_clip(path).frames[0]).mean() == 0


def test_a_palette_and_run_length_file_is_decoded() -> None:
    clip = read_clip(sample(DICOM / "OBXXXX1A_rle_2frame.dcm"))
    assert clip.frames.shape == (2, 128, 128)
    assert clip.pixel_spacing_cm == pytest.approx(0.0262 * 680 / 128, rel=0.05)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("IM00001.fragmented_no_bot_jpeg_baseline.50.dcm", "a colour picture"),
        ("MR_truncated.dcm", "modality MR"),
        ("SC_ybr_full_422_uncompressed.dcm", "modality OT"),
        ("US-YBR_FULL_422-EVRLE.dcm", "a rectangle, not a sector"),
        ("US1_J2KI.dcm", "a colour picture"),
    ],
)
def test_other_real_pictures_are_refused(name: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_frame(sample(DICOM / name))


@pytest.mark.parametrize(
    "name", ["apple/heartlens_sample_ecg_2_zh.csv", "wfdb/100.dat", "wfdb/100.hea", "dicom/waveform_ecg.dcm"]
)
def test_a_real_ecg_is_no_echo_picture(name: str) -> None:
    with pytest.raises(InputError):
        read_frame(sample(SAMPLES / "ecg" / name))
