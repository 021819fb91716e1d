"""WFDB records of every storage format, in pieces, in parts, with annotations; and headers that lie."""

import time

import numpy as np
import pytest
import wfdb

from echopulse.ecg import list_ecg_files, read_ecg
from echopulse.errors import InputError

RATE = 250
STEPS = {"80": 50, "212": 500, "16": 1000, "24": 1e5, "32": 1e6, "508": 50, "516": 1000, "524": 1e5}


@pytest.fixture
def beats(heart):
    """Eight seconds of two leads in mV, [2, n] at 250 Hz."""
    return heart(np.arange(0.5, 8, 0.8), 8, RATE, leads=("I", "II")).samples.astype(np.float64)


def write(folder, name, samples, code="16", gain=1000, names=("I", "II"), **arguments):
    leads = len(samples)
    wfdb.wrsamp(
        name, RATE, ["mV"] * leads, list(names)[:leads], p_signal=samples.T, fmt=[code] * leads,
        adc_gain=[gain] * leads, baseline=[0] * leads, write_dir=str(folder), **arguments,
    )  # fmt: skip
    return folder / name


@pytest.mark.parametrize(("code", "gain"), STEPS.items())
def test_every_storage_format_is_read_whole_and_in_parts(tmp_path, beats, code, gain):
    beats[1, 700:720] = np.nan
    path = write(tmp_path, "r", beats, code, gain)
    ecg = read_ecg(path)
    assert ecg.leads == ("I", "II") and ecg.rate_hz == RATE and ecg.samples.shape == beats.shape
    assert np.array_equal(np.isnan(ecg.samples), np.isnan(beats))
    assert np.nanmax(np.abs(ecg.samples - beats)) <= 0.5 / gain + 1e-6
    for at in (0.0, 0.5, 2.204, 5.0):  # also from an odd sample on, amid a group of packed ones
        part = read_ecg(path, at_s=at, seconds=3)
        first = round(at * RATE)
        assert part.start_s == pytest.approx(at) and part.samples.shape == (2, 750)
        assert np.array_equal(part.samples, ecg.samples[:, first : first + 750], equal_nan=True)


@pytest.mark.parametrize("code", ["61", "160", "310", "311"])
def test_formats_that_only_old_records_have(tmp_path, beats, code):
    counts = np.rint(beats.T * 100).astype(int).ravel()
    if code == "61":
        data = counts.astype(">i2").tobytes()
    elif code == "160":
        data = (counts + 32768).astype("<u2").tobytes()
    else:
        counts = np.append(counts, np.zeros(-len(counts) % 3, int)) & 1023
        one, two, three = counts.reshape(-1, 3).astype(np.uint32).T
        high = (three >> 5 & 31) << 27 | two << 17 | (three & 31) << 11 | one << 1
        data = (high if code == "310" else one | two << 10 | three << 20).astype("<u4").tobytes()
    (tmp_path / "r.dat").write_bytes(data)
    lines = [f"r.dat {code} 100 16 0 0 0 0 {name}" for name in ("I", "II")]
    (tmp_path / "r.hea").write_text("\n".join([f"r 2 {RATE} {beats.shape[1]}", *lines]))
    assert np.abs(read_ecg(tmp_path / "r").samples - beats).max() <= 0.005 + 1e-6
    part = read_ecg(tmp_path / "r", at_s=1.1, seconds=2.5)
    assert np.abs(part.samples - beats[:, 275:900]).max() <= 0.005 + 1e-6


def test_differences_add_up_from_the_beginning_also_for_a_part(tmp_path, beats, monkeypatch):
    monkeypatch.setattr("echopulse.ecg.readers.wfdb_signals.AT_ONCE", 300)
    counts = np.rint(beats[:1, :] * 100).astype(int)
    differences = np.clip(np.diff(counts[0], prepend=counts[0, 0]), -128, 127).astype("i1")
    (tmp_path / "r.dat").write_bytes(differences.tobytes())
    (tmp_path / "r.hea").write_text(f"r 1 {RATE} 2000\nr.dat 8 100 12 0 {counts[0, 0]} 0 0 II\n")
    truth = (counts[0, 0] + np.cumsum(differences.astype(int))) / 100
    assert np.allclose(read_ecg(tmp_path / "r").samples[0], truth)
    assert np.allclose(read_ecg(tmp_path / "r", at_s=3, seconds=4).samples[0], truth[750:1750])


def test_signals_of_several_rates_are_put_on_the_highest(tmp_path, beats):
    fine, coarse = beats[0], beats[1, ::2]
    frames = np.column_stack([fine[::2], fine[1::2], coarse])
    (tmp_path / "r.dat").write_bytes(np.rint(1000 * frames).astype("<i2").tobytes())
    lines = "r.dat 16x2 1000 16 0 0 0 0 I\nr.dat 16 1000 16 0 0 0 0 II\n"
    (tmp_path / "r.hea").write_text(f"r 2 {RATE / 2} 1000\n{lines}")
    ecg = read_ecg(tmp_path / "r")
    assert ecg.rate_hz == RATE and "2 samples in each of 125 frames" in ecg.provenance["rate"]
    assert np.allclose(ecg.samples[0], fine, atol=6e-4) and np.allclose(ecg.samples[1, ::2], coarse, atol=6e-4)
    part = read_ecg(tmp_path / "r", at_s=1.004, seconds=2)
    assert np.allclose(part.samples[0], fine[251:751], atol=6e-4)


# In pieces


def test_segments_of_one_layout_follow_each_other(tmp_path, beats):
    write(tmp_path, "a", beats[:, :700]), write(tmp_path, "b", beats[:, 700:])
    (tmp_path / "all.hea").write_text(f"all/2 2 {RATE} 2000\na 700\nb 1300\n")
    ecg = read_ecg(tmp_path / "all")
    assert np.allclose(ecg.samples, beats, atol=6e-4) and "2 segments" in ecg.provenance["format"]
    assert np.allclose(read_ecg(tmp_path / "all", at_s=2, seconds=3).samples, beats[:, 500:1250], atol=6e-4)
    assert [file.name for file in list_ecg_files(tmp_path)] == ["all.hea"]


def test_segments_of_other_leads_gains_and_order_and_a_gap(tmp_path, beats):
    write(tmp_path, "a", beats[:, :700])
    write(tmp_path, "b", beats[::-1, 800:1500], gain=500, names=("II", "I"))
    write(tmp_path, "c", beats[1:, 1500:], names=("II",))
    (tmp_path / "lay.hea").write_text(f"lay 2 {RATE} 0\n~ 0 200 0 0 0 0 0 I\n~ 0 200 0 0 0 0 0 II\n")
    (tmp_path / "all.hea").write_text(f"all/5 2 {RATE} 2000 10:20:30 05/04/2001\nlay 0\na 700\n~ 100\nb 700\nc 500\n")
    ecg = read_ecg(tmp_path / "all")
    truth = beats.copy()
    truth[:, 700:800] = np.nan
    truth[0, 1500:] = np.nan
    assert ecg.leads == ("I", "II") and np.array_equal(np.isnan(ecg.samples), np.isnan(truth))
    assert np.nanmax(np.abs(ecg.samples - truth)) < 1.1e-3
    part = read_ecg(tmp_path / "all", at_s=2.5, seconds=3)
    assert np.nanmax(np.abs(part.samples - truth[:, 625:1375])) < 1.1e-3 and "gaps" in part.provenance
    assert ecg.provenance["recorded"] == "2001-04-05T10:20:30"


def test_a_segment_that_ends_early_leaves_a_gap_and_a_word(tmp_path, beats):
    write(tmp_path, "a", beats[:, :700]), write(tmp_path, "b", beats[:, 800:])
    (tmp_path / "all.hea").write_text(f"all/2 2 {RATE} 2000\na 800\nb 1200\n")
    ecg = read_ecg(tmp_path / "all")
    assert np.isnan(ecg.samples[0]).nonzero()[0].tolist() == list(range(700, 800))
    assert "1 segments end before" in ecg.provenance["header"]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("../b 700\n", "outside its own folder"),
        ("sub/b 700\n", "outside its own folder"),
        ("all 700\n", "lists no signals of its own"),  # a record that is a segment of itself
        ("nothing 700\n", "nothing.hea does not lie beside it"),
        ("~ 700\n", "nothing but gaps"),
        ("a 700\n~ 1000000\n", "is a gap"),
        ("a 700\n~ 999999999999\n", "days"),
        ("a seven\n", "no segment line"),
        ("evil 700\n", "outside its own folder"),
    ],
)
def test_segments_that_cannot_be_are_refused(tmp_path, beats, lines, words):
    folder = tmp_path / "set"
    folder.mkdir()
    write(folder, "a", beats), write(tmp_path, "b", beats)
    (folder / "evil.hea").write_text(f"evil 1 {RATE} 700\n../b.dat 16 1000 16 0 0 0 0 I\n")
    (folder / "all.hea").write_text(f"all/{lines.count(chr(10))} 2 {RATE}\n{lines}")
    with pytest.raises(InputError, match=words):
        read_ecg(folder / "all.hea")


# What headers claim


@pytest.mark.parametrize(
    ("record", "signal", "words"),
    [
        ("r 1 250 1000000000", "r.dat 16 1000", "claims 1000000000 samples, but its files hold 2000"),
        ("r 1 250 30000", "r.dat 16 1000", "claims 30000 samples"),
        ("r 9999999 250 2000", "r.dat 16 1000", "claims 9999999 signals"),
        ("r 1 250 2000", "r.dat 16x999999 1000", "999999 samples a frame"),
        ("r 1 250 2000", "r.dat 16:999999999 1000", "samples late"),
        ("r 1 250 2000", "r.dat 16+999999999 1000", "files hold 0"),
        ("r 1 250 2000", "r.dat 17 1000", "storage format 17"),
        ("r 1 250 2000", "r.dat 516 1000", "not a FLAC file"),
        ("r 1 250 2000", "r.dat 16 1e999", "no amplifier"),
        ("r 1 0 2000", "r.dat 16 1000", "as its rate"),
    ],
)
def test_claims_beyond_the_file_or_all_measure_are_refused_at_once(tmp_path, beats, record, signal, words):
    write(tmp_path, "r", beats[:1])
    (tmp_path / "r.hea").write_text(f"{record}\n{signal} 16 0 0 0 0 II\n")
    started = time.perf_counter()
    with pytest.raises(InputError, match=words) as caught:
        read_ecg(tmp_path / "r")
    assert str(caught.value).startswith(str(tmp_path / "r")) and time.perf_counter() - started < 1


def test_a_part_beyond_the_end_is_refused_by_how_long_the_record_is(tmp_path, beats):
    path = write(tmp_path, "r", beats)
    for at, seconds in ((6, 3), (100, 2), (9, None)):
        with pytest.raises(InputError, match="from 0 s to 8.0 s"):
            read_ecg(path, at_s=at, seconds=seconds)


def test_what_the_user_says_wins(tmp_path, beats):
    write(tmp_path, "r", beats)
    path = tmp_path / "r.hea"
    path.write_text(path.read_text().replace("/mV", "/NU"))
    with pytest.raises(InputError, match="no ECG lead"):
        read_ecg(path)
    ecg = read_ecg(path, unit="uV", rate_hz=500, at_s=1, seconds=2)
    assert ecg.rate_hz == 500 and ecg.provenance["rate"] == "500 Hz, as given"
    assert ecg.provenance["unit"] == "uV, as given"
    assert np.allclose(ecg.samples, beats[:, 500:1500] / 1000, atol=1e-6)


def test_lead_names_with_blanks_and_no_rate(tmp_path, beats):
    write(tmp_path, "r", beats)
    (tmp_path / "r.hea").write_text("r 2\nr.dat 16 1000 16 0 0 0 0 lead I\nr.dat 16 1000 16 0 0 0 0 chest left\n")
    ecg = read_ecg(tmp_path / "r")
    assert ecg.leads == ("I", "chest left") and ecg.rate_hz == 250 and "says none" in ecg.provenance["rate"]


def test_files_whose_names_wfdb_itself_does_not_take(tmp_path, beats):
    write(tmp_path, "r", beats)
    (tmp_path / "r.dat").rename(tmp_path / "r.v1.2.dat")
    (tmp_path / "r.hea").write_text((tmp_path / "r.hea").read_text().replace("r.dat", "r.v1.2.dat"))
    assert np.allclose(read_ecg(tmp_path / "r").samples, beats, atol=6e-4)


# Annotations and dates


def test_annotations_become_notes(tmp_path, beats):
    path = write(tmp_path, "r", beats)
    at = np.array([0, 125, 325, 1600, 1700])
    aux = ["(AFIB", "", "", "", "moved"]
    wfdb.wrann("r", "atr", at, symbol=["+", "N", "V", "N", '"'], aux_note=aux, write_dir=str(tmp_path))
    wfdb.wrann("r", "qrs", np.array([130]), symbol=["N"], fs=RATE, write_dir=str(tmp_path))
    ecg = read_ecg(path)
    assert [note.time_s for note in ecg.notes] == [0, 0.5, 0.52, 1.3, 6.4, 6.8]
    assert [note.text for note in ecg.notes] == ["+ (AFIB", "N", "N", "V", "N", '" moved']
    assert ecg.provenance["notes"] == "5 from r.atr, 1 from r.qrs"
    assert [note.time_s for note in read_ecg(path, at_s=1, seconds=2).notes] == [1.3]


def test_annotations_that_make_no_sense_cost_nothing_but_themselves(tmp_path, beats):
    path = write(tmp_path, "r", beats)
    rng = np.random.default_rng(0)
    for length in (1, 2, 3, 7, 1000):
        (tmp_path / "r.atr").write_bytes(rng.integers(0, 256, length, np.uint8).tobytes())
        assert read_ecg(path).samples.shape == beats.shape


@pytest.mark.parametrize(
    ("words", "recorded"),
    [
        ("05:05:15 08/05/2014", "2014-05-08T05:05:15"),
        ("2014-05-08 05:05:15", "2014-05-08T05:05:15"),
        ("15:08:24", "15:08:24"),
        ("5:30.25", "00:05:30.25"),
        ("99:99:99 99/99/9999", None),
        ("", None),
    ],
)
def test_when_it_was_recorded(tmp_path, beats, words, recorded):
    write(tmp_path, "r", beats)
    text = (tmp_path / "r.hea").read_text()
    (tmp_path / "r.hea").write_text(text.replace(" 2000", f" 2000 {words}", 1))
    assert read_ecg(tmp_path / "r").provenance.get("recorded") == recorded


def test_a_part_of_a_day_costs_no_more_than_the_part(tmp_path, beats):
    import tracemalloc

    frames = 24 * 3600 * RATE
    with open(tmp_path / "day.dat", "wb") as file:
        file.truncate(frames * 6)  # zeros that take no room on disk
        file.seek((frames - 4000) * 6)
        file.write(np.rint(1000 * np.vstack([beats, beats[:1]]).T).astype("<i2").tobytes())
    lines = [f"day.dat 16 1000 16 0 0 0 0 {name}" for name in ("I", "II", "V1")]
    (tmp_path / "day.hea").write_text("\n".join([f"day 3 {RATE} {frames}", *lines]))
    read_ecg(tmp_path / "day", at_s=24 * 3600 - 16, seconds=8)  # the imports
    started = time.perf_counter()
    tracemalloc.start()
    ecg = read_ecg(tmp_path / "day", at_s=24 * 3600 - 16, seconds=8)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.allclose(ecg.samples[:2], beats, atol=6e-4) and ecg.start_s == 24 * 3600 - 16
    assert most < 20e6 and time.perf_counter() - started < 1
