"""ISHNE Holter files: leads by code, nanovolts, unknown dates, wrong sums, parts of long recordings."""

import binascii
import struct

import numpy as np
import pytest

from echopulse.ecg import read_ecg
from echopulse.ecg.readers.source import Source
from echopulse.errors import InputError


def made(counts, codes=(6, 15), *, rate=200, scale=2500, date=(5, 3, 2021), clock=(6, 7, 8), extra=b"", quality=1):
    """Bytes of a file of int16 [n, leads]."""
    leads = len(codes)

    def twelve(value):
        return struct.pack("<12h", *(value if isinstance(value, tuple) else (value,) * leads), *(-9,) * (12 - leads))

    header = struct.pack("<iiiih", len(extra), len(counts), 522, 522 + len(extra), 1)
    header += b"JANE".ljust(40, b"\0") + b"DOE".ljust(40, b"\0") + b"ID77".ljust(20, b"\0") + struct.pack("<hh", 2, 0)
    header += struct.pack("<3h", 1, 2, 1950) + struct.pack("<3h", *date) + struct.pack("<3h", 1, 1, 2022)
    header += struct.pack("<3h", *clock) + struct.pack("<h", leads) + twelve(codes) + twelve(quality) + twelve(scale)
    header += struct.pack("<h", 0) + bytes(40) + struct.pack("<h", rate) + bytes(80 + 80 + 88) + extra
    body = np.asarray(counts, "<i2").tobytes()
    return b"ISHNE1.0" + struct.pack("<H", binascii.crc_hqx(header, 0xFFFF)) + header + body


def counts(seconds=10, rate=200, leads=2):
    """400 counts (1 mV at 2500 nV) once a second in the first lead, less in the others."""
    time = np.arange(seconds * rate) / rate
    wave = 400 * np.exp(-0.5 * ((time % 1 - 0.5) / 0.03) ** 2)
    return np.rint(wave[:, None] / (1 + np.arange(leads))).astype(np.int16)


def test_leads_and_millivolts():
    ecg = read_ecg(made(counts()))
    assert ecg.leads == ("II", "V5") and ecg.rate_hz == 200 and ecg.samples.shape == (2, 2000)
    assert np.allclose(ecg.samples, counts().T * 0.0025, atol=1e-6)
    assert ecg.provenance["recorded"] == "2021-03-05 06:07:08" and "checksum" not in ecg.provenance
    assert not any(word in str(ecg.provenance) for word in ("JANE", "DOE", "ID77", "1950"))


def test_each_lead_has_a_scale_of_its_own():
    ecg = read_ecg(made(counts(), scale=(2500, 5000)))
    assert np.allclose(ecg.samples[0], ecg.samples[1], atol=0.003)
    assert ecg.provenance["unit"] == "2500, 5000 nV a count, from the header"


def test_a_wrong_checksum_is_told_only():
    file = bytearray(made(counts()))
    file[30] ^= 1
    ecg = read_ecg(bytes(file))
    assert "wrong" in ecg.provenance["checksum"] and ecg.samples.shape == (2, 2000)


def test_the_checksum_covers_the_free_block():
    ecg = read_ecg(made(counts(), extra=b"free words"))
    assert "checksum" not in ecg.provenance and ecg.samples[0].max() == pytest.approx(1, abs=1e-3)


def test_unknown_dates_and_clocks_are_left_out():
    assert "recorded" not in read_ecg(made(counts(), date=(-9, -9, -9))).provenance
    assert read_ecg(made(counts(), clock=(-9, -9, -9))).provenance["recorded"] == "2021-03-05"


def test_unknown_leads_are_numbered_and_poor_ones_told():
    ecg = read_ecg(made(counts(leads=3), codes=(0, 6, 6), quality=(1, 4, 1)))
    assert ecg.leads == ("ECG1", "II", "II 3") and ecg.provenance["quality"].startswith("II: contact lost")


def test_an_electrode_that_is_off_is_a_gap():
    values = counts()
    values[400:500, 0] = -32768
    assert np.isnan(read_ecg(made(values)).samples[0]).sum() == 100


def test_without_a_scale_the_size_decides():
    ecg = read_ecg(made(counts() * 5, scale=-9))
    assert "no resolution" in ecg.provenance["unit"] and ecg.samples.max() == pytest.approx(2, abs=0.01)


def test_what_the_user_says_wins():
    ecg = read_ecg(made(counts()), rate_hz=400, unit="uV")
    assert ecg.rate_hz == 400 and ecg.samples.max() == pytest.approx(0.4)
    assert "as given" in ecg.provenance["rate"] and "as given" in ecg.provenance["unit"]


def test_a_part_of_a_long_recording_reads_no_more_than_that(tmp_path, monkeypatch):
    path, sizes = tmp_path / "day.ecg", []
    path.write_bytes(made(counts()))
    with open(path, "r+b") as file:
        file.truncate(522 + 86400 * 200 * 4)
        file.seek(522 + 80000 * 200 * 4)
        file.write(counts().astype("<i2").tobytes())
    plain = Source.part
    monkeypatch.setattr(Source, "part", lambda *given: sizes.append(given[2]) or plain(*given))
    ecg = read_ecg(path, at_s=80001, seconds=8)
    assert ecg.start_s == 80001 and np.allclose(ecg.samples, counts()[200:1800].T * 0.0025, atol=1e-6)
    assert "17280000 of each lead are there" in ecg.provenance["end"] and sum(sizes) < 20_000
    with pytest.raises(InputError, match="ask for less"):
        read_ecg(path, at_s=86399, seconds=8)


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (made(counts())[:300], "within its header"),
        (made(counts())[:524], "before its first sample"),
        (made(counts(), rate=0), "sampling rate"),
        (made(counts())[:156] + b"\x7f\x7f" + made(counts())[158:], "32639 leads"),
    ],
)
def test_what_is_broken_is_refused_in_one_sentence(file, words):
    with pytest.raises(InputError, match=words) as caught:
        read_ecg(file, name="day.ecg")
    assert str(caught.value).startswith("day.ecg: ") and "\n" not in str(caught.value)
