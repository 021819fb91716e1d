"""SCP-ECG files of carts: leads that obey Einthoven's law were decoded without a wrong bit."""

import os
from pathlib import Path

import numpy as np
import pytest

from echopulse.ecg import find_beats, read_ecg
from echopulse.errors import InputError

SAMPLES = Path(os.environ.get("ECHOPULSE_SAMPLES", Path(__file__).resolve().parents[3] / "shared" / "samples"))
FILES = SAMPLES / "ecg" / "scp"
pytestmark = pytest.mark.skipif(not FILES.is_dir(), reason=f"real recordings: {FILES} is missing")


def test_twelve_leads_obey_einthoven():
    ecg = read_ecg(FILES / "example.scp")
    assert ecg.samples.shape == (12, 5000) and ecg.rate_hz == 500
    assert ecg.provenance["recorded"] == "2002-11-22 09:10:00" and "checksum" not in ecg.provenance
    lead = dict(zip(ecg.leads, ecg.samples, strict=True))
    step = 0.0025  # mV: four leads were rounded to it
    np.testing.assert_allclose(lead["III"], lead["II"] - lead["I"], atol=1e-6)
    np.testing.assert_allclose(lead["aVR"], -(lead["I"] + lead["II"]) / 2, atol=step)
    np.testing.assert_allclose(lead["aVF"], (lead["II"] + lead["III"]) / 2, atol=step)
    assert all(0.5 < np.ptp(row) < 3 for row in ecg.samples)
    beats = find_beats(ecg)
    assert beats.heart_rate_bpm == pytest.approx(71, abs=1) and beats.quality > 0.9


def test_a_changed_byte_is_told():
    data = bytearray((FILES / "example.scp").read_bytes())
    data[354] ^= 128  # in section 3, the number of the first lead
    assert "section 3" in read_ecg(bytes(data)).provenance["checksum"]


def test_heal_force_is_refused_by_name():
    with pytest.raises(InputError, match="Heal Force"):
        read_ecg(FILES / "healforce_62.SCP")
