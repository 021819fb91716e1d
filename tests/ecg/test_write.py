"""ECGs written and read again: the same leads, times and gaps, and samples within one step."""

import json
from dataclasses import replace

import numpy as np
import pytest

from echopulse.ecg import ECG, Note, read_ecg, write_ecg
from echopulse.errors import InputError


@pytest.fixture
def ecg(heart):
    """Twelve seconds at the rate of a watch, beginning late in a recording, with a gap and notes."""
    made = heart(np.arange(0.5, 12, 0.8), 12, 511.422, leads=("I", "MLII", "chest left"))
    samples = made.samples.copy()
    samples[1, 1000:1100] = np.nan
    notes = (Note(101.0, "N"), Note(102.5, "+ (AFIB"), Note(103.25, "Symptom: dizzy"))
    provenance = {"path": "heart", "format": "made", "recorded": "2024-02-29T23:59:58"}
    return replace(made, samples=samples, start_s=100.5, notes=notes, provenance=provenance)


def agree(found: ECG, written: ECG, step: float):
    assert found.leads == written.leads and found.rate_hz == written.rate_hz
    assert found.samples.shape == written.samples.shape and found.start_s == pytest.approx(written.start_s, abs=1e-9)
    assert np.allclose(found.times_s, written.times_s, rtol=0, atol=1e-6)
    assert np.array_equal(np.isnan(found.samples), np.isnan(written.samples))
    assert np.nanmax(np.abs(found.samples - written.samples)) <= step


@pytest.mark.parametrize(("ending", "step"), [(".hea", 1e-3), (".csv", 1e-5), (".npz", 0.0), (".dcm", 1e-3)])
def test_what_is_written_is_read_again(tmp_path, ecg, ending, step):
    path = write_ecg(ecg, tmp_path / f"out{ending}")
    found = read_ecg(path)
    agree(found, ecg, step)
    assert found.provenance["recorded"].replace(" ", "T") == ecg.provenance["recorded"]
    part = read_ecg(path, at_s=104, seconds=3)
    first = round((104 - ecg.start_s) * ecg.rate_hz)
    assert part.start_s == pytest.approx(104, abs=1e-3)
    assert np.array_equal(part.samples, found.samples[:, first : first + round(3 * ecg.rate_hz)], equal_nan=True)
    assert read_ecg(path, rate_hz=256, unit="uV").provenance["unit"] == "uV, as given"


def test_a_record_keeps_its_notes_and_other_software_reads_it(tmp_path, ecg):
    import wfdb

    found = read_ecg(write_ecg(ecg, tmp_path / "out.hea"))
    assert [note.text for note in found.notes] == ["N", "+ (AFIB", '" Symptom: dizzy']
    assert np.allclose([note.time_s for note in found.notes], [101, 102.5, 103.25], atol=2e-3)
    record = wfdb.rdrecord(str(tmp_path / "out"))
    assert record.fs == pytest.approx(511.422) and np.isnan(record.p_signal[1000:1100, 1]).all()
    assert record.base_datetime.isoformat().startswith("2024-03-01T00:01:38.5")


@pytest.mark.parametrize(("largest_mv", "code", "step"), [(30, 16, 1e-3), (300, 32, 1e-3), (5e6, 32, 1)])
def test_a_record_of_any_size_is_within_a_step(tmp_path, ecg, largest_mv, code, step):
    large = replace(ecg, samples=ecg.samples / np.nanmax(ecg.samples) * largest_mv)
    found = read_ecg(write_ecg(large, tmp_path / "out.hea"))
    assert f"out.dat {code} " in (tmp_path / "out.hea").read_text()
    agree(found, large, max(step, 2e-7 * largest_mv))


def test_arrays_hold_all_that_is_known(tmp_path, ecg):
    with np.load(write_ecg(ecg, tmp_path / "out.npz"), allow_pickle=False) as made:
        assert np.array_equal(made["samples"], ecg.samples, equal_nan=True) and made["samples"].dtype == np.float32
        assert float(made["rate_hz"]) == 511.422 and made["leads"].tolist() == ["I", "MLII", "chest left"]
        assert float(made["start_s"]) == 100.5 and json.loads(str(made["provenance"])) == ecg.provenance
        assert made["notes_s"].tolist() == [101, 102.5, 103.25] and made["notes"][1] == "+ (AFIB"


def test_a_dicom_waveform_holds_the_leads_the_times_and_no_names(tmp_path, ecg):
    import pydicom

    made = pydicom.dcmread(write_ecg(ecg, tmp_path / "out.dcm"))
    group = made.WaveformSequence[0]
    assert [channel.ChannelLabel for channel in group.ChannelDefinitionSequence] == ["I", "MLII", "chest left"]
    assert float(group.SamplingFrequency) == 511.422 and float(group.MultiplexGroupTimeOffset) == 100500
    assert made.AcquisitionDateTime == "20240229235958" and not made.PatientName and not made.PatientID
    assert bytes(group.WaveformPaddingValue)[:2] == b"\x00\x80"
    counts = np.frombuffer(group.WaveformData, "<i2").reshape(-1, 3).T
    assert np.array_equal(counts == -32768, np.isnan(ecg.samples))
    assert np.nanmax(np.abs(np.where(counts == -32768, np.nan, counts / 1000) - ecg.samples)) <= 5.1e-4


def test_nothing_is_replaced_unless_asked_and_nothing_half_is_left(tmp_path, ecg, monkeypatch):
    write_ecg(ecg, tmp_path / "out.hea")
    (tmp_path / "out.hea").unlink()
    before = (tmp_path / "out.dat").read_bytes()
    with pytest.raises(InputError, match=r"out\.(atr|dat): the file exists already"):
        write_ecg(replace(ecg, samples=-ecg.samples), tmp_path / "out.hea")
    assert (tmp_path / "out.dat").read_bytes() == before and not (tmp_path / "out.hea").exists()
    write_ecg(ecg, tmp_path / "out.hea", force=True)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("numpy.savetxt", full)
    with pytest.raises(InputError, match="cannot be written"):
        write_ecg(ecg, tmp_path / "out.csv")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["out.atr", "out.dat", "out.hea"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("out.xml", "the ending .xml"),
        ("out", "no ending"),
        ("my record.hea", "letters, digits"),
        ("no/out.csv", "folder"),
    ],
)
def test_what_cannot_be_written_is_refused(tmp_path, ecg, name, words):
    with pytest.raises(InputError, match=words):
        write_ecg(ecg, tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("recorded", "read"),
    [("2024-02-29 23:59:58.500", True), ("15:08:24", True), ("last Tuesday", False), ("2024\ntime_s", False)],
)
def test_a_table_says_when_it_was_recorded_if_that_is_a_time(tmp_path, ecg, recorded, read):
    path = write_ecg(replace(ecg, provenance={"recorded": recorded}), tmp_path / "out.csv")
    found = read_ecg(path)
    assert found.provenance.get("recorded") == (recorded if read else None) and found.rate_hz == ecg.rate_hz


def test_a_table_whose_first_rows_were_cut_off_begins_later(tmp_path, ecg):
    path = write_ecg(ecg, tmp_path / "out.csv")
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:5] + lines[105:]))
    found = read_ecg(path)
    assert found.start_s == pytest.approx(ecg.times_s[100], abs=1e-6) and found.samples.shape[1] == len(lines) - 105


def test_damaged_tables_of_ours_are_refused_in_one_sentence(tmp_path, ecg):
    path = write_ecg(ecg, tmp_path / "out.csv")
    text = path.read_text()
    for old, new, words in (
        ("511.422 Hz", "5e99 Hz", "which no ECG has"),
        ("511.422 Hz", "5-5 Hz", "no number"),
        ("\n100.501955,", "\n100.501955,7,", "not a whole table"),
        ("chest left [mV]", "chest left [mV],V1 [mV]", "4 columns under 5 names"),
    ):
        path.write_text(text.replace(old, new, 1))
        with pytest.raises(InputError, match=words) as caught:
            read_ecg(path)
        assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)
