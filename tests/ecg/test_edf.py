"""EDF, EDF+ and BDF: which channels are taken, in which unit, where pauses are, and what is forgiven."""

import numpy as np
import pytest

from echopulse.ecg import read_ecg
from echopulse.ecg.readers.source import Source
from echopulse.errors import InputError

LONG_PAUSES = [f"+{i**9}\x14\x14".encode() for i in range(10)]
WIDTHS = (16, 80, 8, 8, 8, 8, 8, 80, 8, 32)


def made(channels, *, records=10, record_s="1", reserved="", kind="EDF", notes=None, claimed=None, size=None):
    """Bytes of a file. channels: (label, unit, samples a record, physical end, values of -1..1 or None)

    notes: bytes of annotations for each record; they become a last channel of 60 or 66 bytes
    """
    width = 2 if kind == "EDF" else 3
    full = 32767 if kind == "EDF" else 8388607
    rows = [
        (label, unit, count, str(-end), str(end), values if values is not None else beat(records * count, count))
        for label, unit, count, end, values in channels
    ]
    if notes is not None:
        rows.append((f"{kind} Annotations", "", 66 // width, "-1", "1", None))
    fields = [
        [label for label, *_ in rows], ["AgCl"] * len(rows), [row[1] for row in rows], [row[3] for row in rows],
        [row[4] for row in rows], [str(-full - 1)] * len(rows), [str(full)] * len(rows), ["HP:0.5Hz"] * len(rows),
        [str(row[2]) for row in rows], [""] * len(rows),
    ]  # fmt: skip
    first = [
        "0" if kind == "EDF" else "\xffBIOSEMI", "M JANE_DOE 01-FEB-1950", "Startdate 05-MAR-2021 X DR_WHO X",
        "05.03.21", "06.07.08", str(size or 256 * (1 + len(rows))), reserved,
        str(records if claimed is None else claimed), record_s, str(len(rows)),
    ]  # fmt: skip
    text = "".join(value.ljust(wide) for value, wide in zip(first, (8, 80, 80, 8, 8, 8, 44, 8, 8, 4), strict=True))
    text += "".join(value.ljust(wide) for values, wide in zip(fields, WIDTHS, strict=True) for value in values)
    body = b""
    for record in range(records):
        for _, _, count, _, _, values in rows:
            if values is None:
                body += notes[record].ljust(66, b"\0")
                continue
            part = np.rint(values[record * count : (record + 1) * count] * full).astype("<i4")
            body += part.view(np.uint8).reshape(-1, 4)[:, :width].tobytes()
    return text.encode("latin-1") + body


def beat(n, rate):
    """One Gaussian a second, at the half second, half of the range high."""
    return 0.5 * np.exp(-0.5 * (((np.arange(n) / rate) % 1 - 0.5) / 0.03) ** 2)


@pytest.mark.parametrize("kind", ["EDF", "BDF"])
@pytest.mark.parametrize(("unit", "end", "words"), [("mV", 3, "mV"), ("uV", 3000, "uV"), ("V", 0.003, "V, as")])
def test_leads_are_millivolts_whatever_their_unit(kind, unit, end, words):
    ecg = read_ecg(made([("ECG II", unit, 200, end, None), ("EKG V5", unit, 200, end, None)], kind=kind))
    assert ecg.leads == ("II", "V5") and ecg.rate_hz == 200 and ecg.samples.shape == (2, 2000)
    assert np.abs(ecg.samples - 3 * beat(2000, 200)).max() < 2e-4
    assert words in ecg.provenance["unit"] and ecg.provenance["format"] == kind


def test_each_lead_has_a_unit_of_its_own():
    ecg = read_ecg(made([("I", "mV", 200, 2, None), ("II", "uV", 200, 2000, None)]))
    assert np.abs(ecg.samples[0] - ecg.samples[1]).max() < 2e-4
    assert ecg.provenance["unit"] == "I: mV, as the file says; II: uV, as the file says"
    assert read_ecg(made([("I", "uV", 200, 2, None)]), unit="mV").samples.max() == pytest.approx(1, abs=1e-3)


def test_other_channels_are_left_out_and_told():
    file = made([("EEG C3-A2", "uV", 200, 90, None), ("ECG", "mV", 200, 2, None), ("SpO2", "%", 4, 99, None)])
    ecg = read_ecg(file)
    assert ecg.leads == ("ECG",)
    assert ecg.provenance["other channels"] == "EEG C3-A2 (uV), SpO2 (%): no ECG, left out"


def test_nameless_voltages_are_taken_with_a_word():
    ecg = read_ecg(made([("EXG1", "uV", 200, 900, None), ("A1", "uV", 200, 90, None), ("Status", "", 200, 9, None)]))
    assert ecg.leads == ("EXG1",) and "no channel is called an ECG" in ecg.provenance["leads"]


def test_leads_of_one_name_are_numbered():
    ecg = read_ecg(made([("ECG", "mV", 200, 2, None)] * 3))
    assert ecg.leads == ("ECG", "ECG 2", "ECG 3")


def test_uneven_rates_become_the_usual_one():
    channels = [("ECG I", "mV", 250, 2, None), ("ECG II", "mV", 250, 2, None), ("ECG V1", "mV", 125, 2, None)]
    ecg = read_ecg(made([*channels, ("ECG V2", "mV", 10, 2, None)]))
    assert ecg.leads == ("I", "II", "V1") and ecg.rate_hz == 250 and ecg.samples.shape == (3, 2500)
    assert np.abs(ecg.samples[2] - ecg.samples[0])[50:-50].max() < 0.01
    assert ecg.provenance["resampled"] == "ECG V1 (125 Hz) to 250 Hz"
    assert "ECG V2 (10 Hz): too slow" in ecg.provenance["other channels"]


def test_annotations_become_notes():
    notes = [f"+{i}\x14\x14".encode() for i in range(10)]
    notes[0] += b"\0+7.25\x152\x14AF\x14"
    notes[4] += "\0+0.5\x14Beginn größer\x14\0+3\x14a\x14b\x14".encode()
    ecg = read_ecg(made([("ECG", "mV", 200, 2, None)], reserved="EDF+C", notes=notes))
    assert [(note.time_s, note.text) for note in ecg.notes] == [
        (0.5, "Beginn größer"), (3.0, "a"), (3.0, "b"), (7.25, "AF (2 s)"),
    ]  # fmt: skip
    assert np.isfinite(ecg.samples).all() and ecg.provenance["format"] == "EDF+"


@pytest.mark.parametrize("kind", ["EDF", "BDF"])
def test_pauses_are_gaps(kind):
    notes = [f"+{i + 0.25 + 2.5 * (i > 3)}\x14\x14".encode() for i in range(10)]
    notes[5] += b"\0+9\x14late\x14"
    file = made([("ECG", "mV", 200, 2, None)], reserved=f"{kind}+D", notes=notes, kind=kind)
    ecg = read_ecg(file)
    gap = ~np.isfinite(ecg.samples[0])
    assert ecg.duration_s == 12.5 and gap.sum() == 500 and gap[800:1300].all()
    assert ecg.notes[0].time_s == 8.75  # the first record begins a quarter of a second after the start
    for at, seconds in ((2.5, 6), (6, 4)):  # from before the gap, and from within it
        part, first = read_ecg(file, at_s=at, seconds=seconds), round(200 * at)
        assert part.start_s == at
        assert np.array_equal(part.samples, ecg.samples[:, first : first + 200 * seconds], equal_nan=True)
    assert "pauses" in ecg.provenance and "discontinuous" in ecg.provenance["format"]


def test_a_part_is_the_same_as_in_the_whole():
    file = made([("ECG I", "mV", 250, 2, None), ("ECG II", "mV", 250, 2, None), ("ECG V1", "mV", 125, 2, None)])
    whole, part = read_ecg(file), read_ecg(file, at_s=2.3, seconds=5)
    assert part.start_s == 2.3 and part.samples.shape == (3, 1250)
    assert np.abs(part.samples - whole.samples[:, 575:1825])[:, 50:-50].max() < 1e-3
    with pytest.raises(InputError, match="the ECG runs from 0 s to 10.0 s"):
        read_ecg(file, at_s=7, seconds=5)


def test_a_part_of_a_long_recording_reads_no_more_than_that(tmp_path, monkeypatch):
    path, count = tmp_path / "holter.edf", 0
    path.write_bytes(made([("ECG", "mV", 1000, 2, None)], records=1, claimed=86400))
    with open(path, "r+b") as file:
        file.truncate(512 + 86400 * 2000)
        file.seek(512 + 80000 * 2000)
        file.write(made([("ECG", "mV", 1000, 2, None)])[512:])
    plain = Source.part

    def counted(self, first, size):
        nonlocal count
        count += size
        return plain(self, first, size)

    monkeypatch.setattr(Source, "part", counted)
    ecg = read_ecg(path, at_s=80000, seconds=10)
    assert ecg.samples.shape == (1, 10000) and ecg.start_s == 80000 and ecg.samples.max() > 0.9
    assert count < 50_000


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"size": 999}, "999"),
        ({"record_s": "1,0"}, None),
        ({"claimed": -1}, None),
        ({"claimed": 99}, "cut: 10 of 99"),
        ({"claimed": 4}, "10 are there"),
    ],
)
def test_mistakes_of_writers_are_forgiven(changes, words):
    ecg = read_ecg(made([("ECG", "mV", 200, 2, None)], **changes))
    assert ecg.samples.shape == (1, 2000)
    assert words is None or any(words in text for text in ecg.provenance.values())


def test_bytes_beyond_ascii_and_odd_numbers_are_forgiven():
    file = made([("ECG", "uV", 200, 2000, None), ("temp", "X", 4, 50, None)])
    swaps = [(b"uV      X       ", b"\xb5V      \xb0C      "), (b"2000    ", b"2000,0  "), (b"-50 ", b"abc ")]
    for old, new in swaps:
        assert file.count(old) == 1
        file = file.replace(old, new)
    ecg = read_ecg(file)
    assert ecg.samples.max() == pytest.approx(1, abs=1e-3) and "temp" in ecg.provenance["header"]


def test_a_cut_record_is_left_out():
    ecg = read_ecg(made([("ECG", "mV", 200, 2, None)])[:-100])
    assert ecg.samples.shape == (1, 1800) and "cut: 9 of 10" in ecg.provenance["end"]


def test_the_start_is_kept_and_the_people_are_not():
    ecg = read_ecg(made([("ECG", "mV", 200, 2, None)]))
    assert ecg.provenance["recorded"] == "2021-03-05 06:07:08" and ecg.provenance["filters"] == "ECG (HP:0.5Hz)"
    assert not any(word in str(ecg.provenance) for word in ("JANE", "1950", "WHO"))
    nameless = made([("ECG", "mV", 200, 2, None)]).replace(b"Startdate 05-MAR-2021", b"Startdate X          ")
    assert "recorded" not in read_ecg(nameless).provenance


def test_the_rate_given_wins():
    ecg = read_ecg(made([("ECG", "mV", 200, 2, None)]), rate_hz=400)
    assert ecg.rate_hz == 400 and ecg.duration_s == 5 and "as given" in ecg.provenance["rate"]


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (made([], notes=[b"+0\x14\x14"] * 10), "notes only"),
        (made([]), "without any channel"),
        (made([("EEG C3", "uV", 200, 90, None)]), "without an ECG channel, only EEG C3"),
        (made([("ECG", "mV", 200, 2, None)], record_s="0"), "sampling rate"),
        (made([("ECG", "mV", 200, 2, None)], record_s="100"), "2 Hz"),
        (made([("ECG", "mV", 200, 2, None)])[:300], "within its header"),
        (made([("ECG", "mV", 200, 2, None)])[:600], "before its first record"),
        (made([("ECG", "mV", 200, 2, None)]).replace(b"200     ", b"99999999"), "99999999"),
        (made([("ECG", "mV", 200, 2, None)], reserved="EDF+D", notes=LONG_PAUSES), "values are read at once"),
    ],
)
def test_what_is_no_ecg_is_refused_in_one_sentence(file, words):
    with pytest.raises(InputError, match=words) as caught:
        read_ecg(file, name="night.edf")
    assert str(caught.value).startswith("night.edf: ") and "\n" not in str(caught.value)


def test_a_table_that_begins_with_a_nought_is_no_edf():
    table = "\n".join(f"0       {value:.4f}" for value in beat(2000, 200))
    assert read_ecg(table.encode(), rate_hz=200).provenance["format"] == "table of numbers"
