"""A page in the shape of a watch's export, held against the samples that were drawn; and echo pictures, refused."""

import os
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from echopulse.ecg import find_beats, read_ecg
from echopulse.errors import InputError

SAMPLES = Path(os.environ.get("ECHOPULSE_SAMPLES", Path(__file__).resolve().parents[3] / "shared" / "samples"))
PAGE = SAMPLES / "ecg" / "apple" / "apple_health_like.pdf"
ECHO = SAMPLES / "echo" / "dicom" / "pydicom_examples_ybr_color.dcm"


@pytest.mark.skipif(not PAGE.exists(), reason=f"real recordings: {PAGE} is missing")
def test_the_page_gives_back_what_was_drawn():
    ecg = read_ecg(PAGE)
    seconds, drawn = np.loadtxt(PAGE.with_name("apple_health_like.truth.csv"), delimiter=",", skiprows=1).T
    missing = 185  # behind the calibration pulse
    assert ecg.rate_hz == 512 and ecg.leads == ("I",)
    assert ecg.start_s == pytest.approx(seconds[missing], abs=1e-5)
    np.testing.assert_allclose(ecg.samples[0], drawn[missing:], atol=2e-6)  # the page's decimals
    assert len(find_beats(ecg).r_peaks_s) == pytest.approx(33, abs=1)


@pytest.mark.skipif(not ECHO.exists(), reason=f"real recordings: {ECHO} is missing")
def test_an_echo_picture_is_no_ecg():
    import pydicom
    from PIL import Image

    out = BytesIO()
    Image.fromarray(pydicom.dcmread(ECHO).pixel_array[0]).save(out, "PNG")
    with pytest.raises(InputError, match="grid of ECG paper"):
        read_ecg(out.getvalue())
