"""Real WFDB records: parts of them, their annotations, and what is written of them."""

import os
from pathlib import Path

import numpy as np
import pytest

from echopulse.ecg import read_ecg, write_ecg

SAMPLES = Path(os.environ.get("ECHOPULSE_SAMPLES", Path(__file__).resolve().parents[3] / "shared" / "samples"))
RECORDS = SAMPLES / "ecg" / "wfdb"
pytestmark = pytest.mark.skipif(not RECORDS.is_dir(), reason=f"real recordings: {RECORDS} is missing")
NAMES = ("00001_lr", "100_3chan", "A00001", "A00004", "JS20000", "JS20003", "s0010_re")


@pytest.mark.parametrize("name", NAMES)
def test_samples_are_those_that_wfdb_reads(name):
    import wfdb

    ecg = read_ecg(RECORDS / name)
    try:
        truth = wfdb.rdrecord(str(RECORDS / name)).p_signal.T
    except ValueError:  # wfdb does not take these headers' dates
        truth = np.frombuffer((RECORDS / f"{name}.mat").read_bytes()[24:], "<i2")[None] / 1000
    assert np.allclose(ecg.samples, truth[: len(ecg.leads)], atol=1e-6, equal_nan=True)


def test_record_100_comes_with_its_annotations():
    ecg = read_ecg(RECORDS / "100")
    symbols = [note.text.split()[0] for note in ecg.notes]
    assert {symbol: symbols.count(symbol) for symbol in set(symbols)} == {"N": 2239, "A": 33, "V": 1, "+": 1}
    part = read_ecg(RECORDS / "100", at_s=1500, seconds=30)
    assert [note.time_s for note in part.notes if note.text == "V"] == pytest.approx([1518.867], abs=2e-3)
    assert np.array_equal(part.samples, ecg.samples[:, 540000:550800])


def test_when_a_record_was_made_is_told():
    assert read_ecg(RECORDS / "A00001").provenance["recorded"] == "2014-05-08T05:05:15"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("ending", [".hea", ".csv"])
def test_what_is_written_of_them_is_read_again(tmp_path, name, ending):
    ecg = read_ecg(RECORDS / name, seconds=3) if name != "100_3chan" else read_ecg(RECORDS / name)
    again = read_ecg(write_ecg(ecg, tmp_path / f"again{ending}"))
    assert again.leads == ecg.leads and again.rate_hz == ecg.rate_hz and again.start_s == ecg.start_s
    assert np.nanmax(np.abs(again.samples - ecg.samples)) <= 1e-3
    assert np.array_equal(np.isnan(again.samples), np.isnan(ecg.samples))
