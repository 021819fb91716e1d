"""Exports of watches, straps and FHIR servers as people have them."""

import os
from pathlib import Path

import numpy as np
import pytest

from echopulse.ecg import find_beats, read_ecg

SAMPLES = Path(os.environ.get("ECHOPULSE_SAMPLES", Path(__file__).resolve().parents[3] / "shared" / "samples"))
ECGS = SAMPLES / "ecg"
FITBIT = "wearables/fitbit_takeout_afib_ecg_reading_1759907706000.csv"


@pytest.mark.parametrize(
    ("name", "shape", "rate_hz", "lead", "rhythm", "bpm", "unit"),
    [
        (FITBIT, (1, 7500), 250, "I", "irregular", 72, "assumed"),
        ("wearables/withings_heart_v2_get.json", (1, 9000), 300, "I", "sinus", 72, "Withings"),
        ("wearables/polar_sensor_logger_H10_ECG.txt", (1, 3900), 130, "ECG", "sinus", 72, "as the file says"),
        ("apple/healthkit_voltage_pairs_volts.json", (1, 2563), 512.617, "I", "sinus", 72, "HealthKit"),
        ("fhir/obs-sampled-data.json", (1, 15386), 15386 / 30, "ECG", "ectopic", 76, "as the file says"),
    ],
)
def test_exports_are_read_with_rate_unit_and_beats(name, shape, rate_hz, lead, rhythm, bpm, unit):
    path = ECGS / name
    if not path.exists():
        pytest.skip(f"real recording {path} is missing")
    ecg = read_ecg(path)
    assert ecg.samples.shape == shape and ecg.leads == (lead,) and ecg.rate_hz == pytest.approx(rate_hz, rel=1e-4)
    assert unit in ecg.provenance["unit"] and 0.5 < np.ptp(ecg.samples) < 5
    beats = find_beats(ecg)
    assert beats.rhythm == rhythm and beats.heart_rate_bpm == pytest.approx(bpm, abs=2)
    assert read_ecg(path, rate_hz=260, unit="mV").provenance["rate"] == "260 Hz, as given"


def test_a_watch_file_whose_rate_does_not_fit_its_length_says_so():
    path = ECGS / "broken/wrong_rate_512_is_256.csv"
    if not path.exists():
        pytest.skip(f"real recording {path} is missing")
    assert "2560 samples are 5.0 s at 512 Hz" in read_ecg(path).provenance["length"]
    ecg = read_ecg(path, rate_hz=256)
    assert "length" not in ecg.provenance and find_beats(ecg).heart_rate_bpm == pytest.approx(61, abs=2)
