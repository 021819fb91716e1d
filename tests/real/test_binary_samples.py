"""EDF, ISHNE and MATLAB recordings as people have them: read, or refused for the right reason."""

import os
from pathlib import Path

import numpy as np
import pytest

from echopulse.ecg import find_beats, read_ecg
from echopulse.errors import InputError

SAMPLES = Path(os.environ.get("ECHOPULSE_SAMPLES", Path(__file__).resolve().parents[3] / "shared" / "samples"))
ECGS = SAMPLES / "ecg"
pytestmark = pytest.mark.skipif(not ECGS.is_dir(), reason=f"real recordings: {ECGS} is missing")


def needs(name):
    """The path of a sample; a test whose file was not copied is skipped by the file's name."""
    path = ECGS / name
    if not path.exists():
        pytest.skip(f"real recording {path} is missing")
    return path


@pytest.mark.parametrize(
    ("name", "shape", "rate_hz", "leads", "bpm"),
    [
        ("edf/test_generator_2.edf", (1, 120000), 200, ("ECG",), 60),
        ("ishne/ECG_P28.01.ecg", (12, 95573), 1000, ("I", "II", "III"), 58),
        ("mat/ecgfm_code15_2657522.mat", (12, 2934), 400, ("I", "II", "III"), 45),
    ],
)
def test_recordings_are_read_in_millivolts(name, shape, rate_hz, leads, bpm):
    ecg = read_ecg(needs(name))
    assert ecg.samples.shape == shape and ecg.rate_hz == rate_hz and ecg.leads[: len(leads)] == leads
    assert 0.05 < np.median(np.ptp(ecg.samples, axis=1)) < 12  # the generator gives 0.08 mV
    assert {"path", "format", "rate", "unit", "leads"} <= set(ecg.provenance)
    assert find_beats(ecg.crop(0, min(ecg.duration_s, 20))).heart_rate_bpm == pytest.approx(bpm, abs=1.5)


@pytest.mark.parametrize("name", ["edf/test_generator_2.edf", "ishne/ECG_P28.01.ecg"])
def test_a_part_is_the_same_as_in_the_whole(name):
    whole, part = read_ecg(needs(name)), read_ecg(needs(name), at_s=40.5, seconds=10)
    assert part.start_s == 40.5 and np.array_equal(part.samples, whole.crop(40.5, 10).samples)


def test_a_generator_gives_its_ecg_and_its_notes():
    ecg = read_ecg(needs("edf/test_generator_2.edf"))
    assert [(note.time_s, note.text) for note in ecg.notes] == [(0, "RECORD START"), (600, "REC STOP")]
    assert "squarewave (uV)" in ecg.provenance["other channels"]
    assert ecg.provenance["recorded"] == "2009-12-10 12:44:02"


def test_uneven_rates_leave_one_channel_and_the_unit_is_doubted():
    ecg = read_ecg(needs("edf/mne_test_uneven_samp.edf"))
    assert ecg.samples.shape == (1, 11000) and ecg.rate_hz == 100
    assert "12.8 Hz" in ecg.provenance["other channels"] and "no channel is called an ECG" in ecg.provenance["leads"]
    assert ecg.provenance["unit"].startswith("the file says V, but")


def test_annotations_alone_are_no_ecg():
    with pytest.raises(InputError, match="notes only"):
        read_ecg(needs("edf/test_edfann.edf"))


def test_a_holter_checks_out():
    ecg = read_ecg(needs("ishne/ECG_P28.01.ecg"))
    assert "checksum" not in ecg.provenance and ecg.provenance["recorded"] == "2000-01-01 07:00:00"
    one, two, three = (ecg.samples[ecg.leads.index(name)] for name in ("I", "II", "III"))
    assert np.abs(two - one - three).max() < 0.02


def test_a_mat_file_of_the_challenge_is_read_without_its_header(tmp_path):
    alone = tmp_path / "A00004.mat"
    alone.write_bytes(needs("wfdb/A00004.mat").read_bytes())
    ecg, record = read_ecg(alone, rate_hz=300), read_ecg(needs("wfdb/A00004.hea"))
    assert np.allclose(ecg.samples, record.samples, atol=1e-6)
