import codecs

import numpy as np
import pytest

from echopulse.ecg.read import list_ecg_files, read_ecg
from echopulse.errors import InputError

RATE = 500
ENGLISH = """Name,Test Person
Date of Birth,"Jan 1, 1990"
Recorded Date,2026-01-02 08:00:00 +0000
Classification,Sinus Rhythm
Symptoms,
Software Version,2.0
Device,"Watch7,2"
Sample Rate,{rate}


Lead,Lead I
Unit,µV

"""


@pytest.fixture
def beat(heart):
    """Four seconds in mV, [n] at 500 Hz."""
    return heart(np.arange(0.5, 4, 0.8), 4, RATE).samples[0].astype(np.float64)


def column(values, pattern="%.3f"):
    return "\n".join(pattern % value for value in values) + "\n"


def watch(values, rate="500 hertz", **changes):
    return ENGLISH.format(rate=rate) + column(1000 * values, **changes)


def in_the_body(text, change):
    """The file with every line of its signal changed."""
    return "\n".join(change(line) if i > 12 else line for i, line in enumerate(text.split("\n")))


def write(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return path


def refused(path, *words, **arguments):
    """The one sentence with which a file is refused; it must name the file and the words."""
    with pytest.raises(InputError) as caught:
        read_ecg(path, **arguments)
    message = str(caught.value)
    assert str(path) in message and "\n" not in message
    for word in words:
        assert word in message, message
    return message


# Apple Watch


def test_a_watch_export_is_read(tmp_path, beat):
    ecg = read_ecg(write(tmp_path / "ecg.csv", watch(beat)))
    assert ecg.rate_hz == 500 and ecg.leads == ("I",) and ecg.samples.dtype == np.float32
    assert np.allclose(ecg.samples[0], beat, atol=1e-6 + 5e-7)
    assert set(ecg.provenance) >= {"path", "format", "rate", "unit", "leads"}


@pytest.mark.parametrize(
    ("rate", "hertz"),
    [("500 Hz", 500), ("499,5 Hertz", 499.5), ("512赫兹", 512), ("512ヘルツ", 512), ("511.422 hertz", 511.422)],
)
def test_the_rate_is_read_in_any_language(tmp_path, beat, rate, hertz):
    assert read_ecg(write(tmp_path / "e.csv", watch(beat, rate))).rate_hz == pytest.approx(hertz)


def test_keys_do_not_matter(tmp_path, beat):
    text = "姓名\n出生日期\n记录日期,2026-03-21 22:05:13 +0000\n分类,窦性心律\n症状,\n软件版本,1.90\n"
    text += '设备,"Watch7,2"\n采样率,512赫兹\n\n\n导联,导联I\n单位,µV\n\n' + column(1000 * beat)
    ecg = read_ecg(write(tmp_path / "e.csv", text))
    assert (ecg.rate_hz, ecg.leads) == (512, ("I",)) and len(ecg.samples[0]) == len(beat)
    assert np.allclose(ecg.samples[0], beat, atol=1e-6)


def test_a_rounded_rate_yields_to_the_count_of_samples(tmp_path, heart):
    values = heart(np.arange(0.5, 30, 0.8), 15390 / 512, 512).samples[0].astype(np.float64)
    ecg = read_ecg(write(tmp_path / "e.csv", watch(values, "512 hertz")))
    assert ecg.rate_hz == pytest.approx(513) and "15390 samples" in ecg.provenance["rate"]


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.encode("utf-8-sig"),
        lambda text: codecs.BOM_UTF16_LE + text.encode("utf-16-le"),
        lambda text: text.encode("utf-16-be"),
        lambda text: text.encode("latin-1"),
        lambda text: text.replace("\u00b5", "\u03bc").encode(),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.replace("\n", "\r").encode(),
        lambda text: text.replace("\n", "\n\n").encode(),
        lambda text: text.replace("Name,Test Person\n", "").encode(),
        lambda text: text.split("\n\n")[0].encode() + b"\n\nUnit,\xc2\xb5V\n\n" + text.split("V\n\n")[1].encode(),
        lambda text: in_the_body(text, lambda line: f'"{line}",,' if line else line).encode(),
        lambda text: in_the_body(text, lambda line: line.replace(".", ",")).encode(),
    ],
    ids=(
        "bom utf16le utf16be latin1 greek-mu crlf cr doubled-lines no-name no-lead spreadsheet decimal-comma".split()
    ),
)
def test_ways_to_mangle_a_watch_export(tmp_path, beat, change):
    path = tmp_path / "e.csv"
    path.write_bytes(change(watch(beat)))
    ecg = read_ecg(path)
    assert ecg.rate_hz == 500 and np.allclose(ecg.samples[0], beat, atol=1e-6)


def test_a_unit_that_cannot_be_true_is_corrected_and_named(tmp_path, beat):
    ecg = read_ecg(write(tmp_path / "e.csv", ENGLISH.format(rate="500 hertz") + column(beat, "%.5f")))
    assert np.allclose(ecg.samples[0], beat, atol=1e-5) and "only in mV" in ecg.provenance["unit"]


def test_blank_lines_and_words_in_the_signal_are_missing_samples(tmp_path, beat):
    lines = watch(beat).split("\n")
    lines[500:600] = ["nan", ""] * 50
    ecg = read_ecg(write(tmp_path / "e.csv", "\n".join(lines)))
    assert ecg.samples.shape[1] == len(beat)
    assert np.isnan(ecg.samples[0, 487:587]).all() and np.isfinite(ecg.samples).sum() == len(beat) - 100
    assert "5 %" in ecg.provenance["gaps"]


def test_a_cut_last_value_is_left_out(tmp_path, beat):
    ecg = read_ecg(write(tmp_path / "e.csv", watch(beat)[:-3]))
    assert ecg.samples.shape[1] == len(beat) - 1 and "end" in ecg.provenance


def test_no_final_line_end_loses_nothing(tmp_path, beat):
    assert read_ecg(write(tmp_path / "e.csv", watch(beat)[:-1])).samples.shape[1] == len(beat)


def test_a_header_without_samples_is_refused(tmp_path):
    refused(write(tmp_path / "e.csv", ENGLISH.format(rate="512 hertz")), "without any sample")


# Tables


def test_time_and_value_with_semicolons_and_decimal_commas(tmp_path, beat):
    rows = [f"{i / RATE:.5f};{value:.5f}".replace(".", ",") for i, value in enumerate(beat)]
    ecg = read_ecg(write(tmp_path / "e.csv", "Zeit [s];EKG [mV]\n" + "\n".join(rows) + "\n"))
    assert ecg.rate_hz == 500 and np.allclose(ecg.samples[0], beat, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "step"),
    [("time_s", 0.002), ("time [ms]", 2.0), ("t", 0.002), ("timestamp_ns", 2e6), ("", 2.0)],
)
def test_the_clock_column_gives_the_rate(tmp_path, beat, name, step):
    rows = [f"{100 * step + i * step:.7g},{value:.4f}" for i, value in enumerate(beat)]
    head = f"{name},II\n" if name else ""
    ecg = read_ecg(write(tmp_path / "e.csv", head + "\n".join(rows)))
    assert ecg.rate_hz == pytest.approx(500) and len(ecg.leads) == 1


def test_named_columns_become_leads_and_strangers_are_left_out(tmp_path, beat):
    rows = [f"{i},{i / RATE:.3f},{v:.4f},{-v:.4f},{60 + i % 7}" for i, v in enumerate(beat)]
    ecg = read_ecg(write(tmp_path / "e.csv", "index,time,lead I,AVR,ppg\n" + "\n".join(rows)))
    assert ecg.leads == ("I", "aVR") and ecg.rate_hz == 500
    assert read_ecg(tmp_path / "e.csv", lead="avr").leads == ("aVR",)
    refused(tmp_path / "e.csv", "no lead 'V9'", "I, aVR", lead="V9")


def test_a_comment_gives_the_rate(tmp_path, beat):
    text = "# Simple Text Format\n# Sampling Rate (Hz):= 500.00\n# Labels:= ECG\n" + column(2044 + np.round(500 * beat))
    ecg = read_ecg(write(tmp_path / "e.txt", text))
    assert ecg.rate_hz == 500 and "comment" in ecg.provenance["rate"] and "no unit" in ecg.provenance["unit"]


def test_a_bare_column_needs_a_rate(tmp_path, beat):
    path = write(tmp_path / "e.csv", column(beat))
    refused(path, "sampling rate", "--rate")
    ecg = read_ecg(path, rate_hz=500)
    assert ecg.duration_s == pytest.approx(4) and np.allclose(ecg.samples[0], beat, atol=1e-3)


def test_lone_commas_are_decimal_marks(tmp_path, beat):
    path = write(tmp_path / "e.csv", column(beat).replace(".", ","))
    assert np.allclose(read_ecg(path, rate_hz=500).samples[0], beat, atol=1e-3)


def test_twelve_bare_columns_are_the_twelve_leads(tmp_path, beat):
    rows = [" ".join(f"{value * k:.0f}" for k in range(300, 1500, 100)) for value in beat]
    ecg = read_ecg(write(tmp_path / "e.txt", "\n\nRhythm signal: 2000 X 12\n\n" + "\n".join(rows)), rate_hz=500)
    assert ecg.leads[1] == "II" and ecg.leads[11] == "V6" and ecg.samples.shape == (12, 2000)


def test_all_samples_on_one_line(tmp_path, beat):
    ecg = read_ecg(write(tmp_path / "e.txt", " ".join(f"{v:.4f}" for v in beat)), rate_hz=500)
    assert np.allclose(ecg.samples[0], beat, atol=1e-4)


def test_volts_are_recognised_by_their_size(tmp_path, beat):
    ecg = read_ecg(write(tmp_path / "e.csv", column(beat / 1000, "%.7f")), rate_hz=500)
    assert np.allclose(ecg.samples[0], beat, atol=1e-3) and "taken as V" in ecg.provenance["unit"]


# NumPy


@pytest.mark.parametrize("shape", [(-1,), (-1, 1), (1, -1)])
def test_arrays_of_any_orientation(tmp_path, beat, shape):
    np.save(tmp_path / "e.npy", beat.reshape(shape))
    refused(tmp_path / "e.npy", "sampling rate")
    assert np.allclose(read_ecg(tmp_path / "e.npy", rate_hz=500).samples[0], beat)


def test_twelve_rows_or_columns(tmp_path, heart):
    ecg = heart(np.arange(0.5, 4, 0.8), 4, leads=tuple("abcdefghijkl"))
    for array in (ecg.samples, ecg.samples.T):
        np.save(tmp_path / "e.npy", array)
        assert np.array_equal(read_ecg(tmp_path / "e.npy", rate_hz=250).samples, ecg.samples)


def test_dead_leads_are_left_out_and_named(tmp_path, beat):
    array = np.zeros((12, len(beat)), dtype=np.float32)
    array[0] = beat
    np.save(tmp_path / "e.npy", array)
    ecg = read_ecg(tmp_path / "e.npy", rate_hz=500)
    assert ecg.leads == ("I",) and "V6" in ecg.provenance["dead leads"]


def test_arrays_that_are_no_ecg_are_refused(tmp_path):
    for array in (np.zeros((4, 100, 100)), np.array(["a", "b"]), np.zeros(0)):
        np.save(tmp_path / "e.npy", array)
        refused(tmp_path / "e.npy", "array", rate_hz=500)
    np.save(tmp_path / "e.npy", np.zeros(5000))
    (tmp_path / "e.npy").write_bytes((tmp_path / "e.npy").read_bytes()[:1000])
    refused(tmp_path / "e.npy", "not a whole NumPy array", rate_hz=500)


# WFDB


def write_record(folder, name, millivolts, *, date="", count=None, present=True, units="mV", lead="II"):
    counts = np.round(1000 * millivolts).astype("<i2")
    count = len(counts) if count is None else count
    text = f"{name} 1 {RATE} {count} {date}\n{name}.dat 16 1000/{units} 16 0 {counts[0]} 0 0 {lead}\n# comment\n"
    (folder / f"{name}.hea").write_text(text)
    if present:
        (folder / f"{name}.dat").write_bytes(counts.tobytes())
    return folder / name


def test_a_record_is_read_by_any_of_its_names(tmp_path, beat):
    name = write_record(tmp_path, "r1", beat, lead="avf")
    (tmp_path / "r1.atr").write_bytes(b"\0\0")
    for path in (name, name.with_suffix(".hea"), name.with_suffix(".dat"), name.with_suffix(".atr")):
        ecg = read_ecg(path)
        assert ecg.leads == ("aVF",) and ecg.rate_hz == 500 and np.allclose(ecg.samples[0], beat, atol=6e-4)


def test_a_date_before_the_time_does_not_matter(tmp_path, beat):
    ecg = read_ecg(write_record(tmp_path, "A00001", beat, date="2014-05-08 05:05:15"))
    assert np.allclose(ecg.samples[0], beat, atol=6e-4) and "leniently" in ecg.provenance["header"]


def test_a_record_shorter_than_its_header_says(tmp_path, beat):
    ecg = read_ecg(write_record(tmp_path, "short", beat, count=5000))
    assert ecg.samples.shape[1] == len(beat) and "sample count" in ecg.provenance["header"]


def test_one_missing_signal_file_costs_only_its_leads(tmp_path, beat):
    write_record(tmp_path, "two", beat)
    text = (tmp_path / "two.hea").read_text().replace("two 1", "two 2") + "two.xyz 16 1000/mV 16 0 0 0 0 vx\n"
    (tmp_path / "two.hea").write_text(text)
    ecg = read_ecg(tmp_path / "two")
    assert ecg.leads == ("II",) and "two.xyz" in ecg.provenance["missing"]


def test_microvolts_in_a_header(tmp_path, beat):
    ecg = read_ecg(write_record(tmp_path, "r", beat, units="uV"))
    assert ecg.samples.max() == pytest.approx(beat.max() / 1000, rel=0.01)


def test_a_header_without_data_is_refused(tmp_path, beat):
    name = write_record(tmp_path, "lonely", beat, present=False)
    refused(name.with_suffix(".hea"), "lonely.dat", "whole record")


def test_a_record_without_voltages_is_refused(tmp_path, beat):
    name = write_record(tmp_path, "abp", beat, units="mmHg", lead="ABP")
    refused(name.with_suffix(".hea"), "no ECG lead", "ABP (mmHg)")


def test_a_header_of_nonsense_is_refused(tmp_path):
    refused(write(tmp_path / "x.hea", "this is no header\n"), "no WFDB header")


# What is no ECG


def test_missing_and_empty_files(tmp_path):
    refused(tmp_path / "nothing.csv", "no such file")
    refused(write(tmp_path / "empty.csv", ""), "empty")
    refused(tmp_path, "folder")


def test_text_that_is_no_ecg(tmp_path):
    refused(write(tmp_path / "letter.txt", "Dear doctor,\nmy heart beats.\n" * 20), "no ECG", "WFDB")
    refused(write(tmp_path / "rates.csv", "date,bpm\n2026-01-02,61\n2026-01-03,64\n"), "no ECG")
    refused(write(tmp_path / "lfs.csv", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n"), "git-LFS")


@pytest.mark.parametrize(
    ("head", "word"),
    [
        (b"GIF89a", "picture"),
        (b"\0\0\0\x18ftypmp42", "MP4"),
        (b'<?xml version="1.0"?><gpx>' + b" " * 400, "XML file of a kind unknown here (its root is <gpx>)"),
        (b'{"signal": [1, 2]}', "JSON"),
        (bytes(range(256)) * 20, "binary"),
    ],
)
def test_other_formats_are_named(tmp_path, head, word):
    path = tmp_path / "file.csv"
    path.write_bytes(head + b"\0" * 100)
    refused(path, word, "it reads WFDB records")


def test_too_short_and_nan_throughout_are_refused_when_read(tmp_path, beat):
    refused(write(tmp_path / "short.csv", watch(beat[:500])), "1.0 s of ECG", "at least 2 s")
    np.save(tmp_path / "nan.npy", np.full(5000, np.nan))
    refused(tmp_path / "nan.npy", "NaN throughout", rate_hz=500)


def test_rates_that_cannot_be_are_refused(tmp_path, beat):
    path = write(tmp_path / "e.csv", column(beat))
    for rate in (0, -5, 5, float("nan"), 1e6):
        with pytest.raises(InputError, match="sampling rate"):
            read_ecg(path, rate_hz=rate)


def test_the_given_rate_wins(tmp_path, beat):
    assert read_ecg(write(tmp_path / "e.csv", watch(beat)), rate_hz=250).duration_s == 8


# Folders


def test_a_folder_lists_each_recording_once(tmp_path, beat):
    (tmp_path / "deep").mkdir()
    write_record(tmp_path / "deep", "r1", beat)
    write(tmp_path / "watch.csv", watch(beat))
    write(tmp_path / "column.txt", column(beat))
    write(tmp_path / "README.txt", "Recordings of last week.\n")
    write(tmp_path / ".hidden.csv", column(beat))
    np.save(tmp_path / "a.npy", beat)
    names = [str(path.relative_to(tmp_path)) for path in list_ecg_files(tmp_path)]
    assert names == ["a.npy", "column.txt", "deep/r1.hea", "watch.csv"]
    assert list_ecg_files(tmp_path / "watch.csv") == [tmp_path / "watch.csv"]


def test_a_folder_without_ecgs_is_refused(tmp_path):
    write(tmp_path / "notes.txt", "nothing here\n")
    with pytest.raises(InputError, match="without any ECG"):
        list_ecg_files(tmp_path)


@pytest.mark.parametrize("rate_hz", [None, 250])
def test_times_beside_nothing_but_nan_are_not_taken_for_an_ecg(tmp_path, rate_hz):
    rows = "".join(f"{i / 250:.3f},nan,nan\n" for i in range(1000))
    with pytest.raises(InputError, match="gap.csv: no valid sample in it, NaN throughout"):
        read_ecg(write(tmp_path / "gap.csv", "time_s,I_mV,II_mV\n" + rows), rate_hz=rate_hz)


def test_what_a_library_says_in_several_lines_is_told_in_one(tmp_path):
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (5000,), }" + b" " * 20000 + b"\n"
    data = b"\x93NUMPY\x02\x00" + len(header).to_bytes(4, "little") + header + bytes(20000)
    (tmp_path / "long.npy").write_bytes(data)
    refused(tmp_path / "long.npy", "not a whole NumPy array", rate_hz=250.0)


def test_a_table_that_would_take_all_memory_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "day.csv"
    with path.open("wb") as file:
        file.write(b"I\n" + b"0.125\n" * 1000)
        file.truncate(200 << 20)  # a hole: no more is written to the disk
    refused(path, "MB of text", "convert it", rate_hz=250.0)
