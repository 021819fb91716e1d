"""ATC files of KardiaMobile: blocks in any order, wrong sums, one lead or six."""

import struct

import numpy as np
import pytest

from echopulse.ecg import read_ecg
from echopulse.errors import InputError

WAVE = np.rint(2000 * np.exp(-0.5 * ((np.arange(3000) / 300 % 1 - 0.5) / 0.03) ** 2)).astype("<i2")
INFO = b"2020-01-02T03:04:05.000+01:00".ljust(32, b"\0") + b"SECRET-ID".ljust(232, b"\0")


def block(key, body, wrong=0):
    raw = key + struct.pack("<I", len(body)) + body
    return raw + struct.pack("<I", sum(raw) + wrong)


def form(rate=300, nanovolts=500):
    return block(b"fmt ", struct.pack("<BHHBH", 1, rate, nanovolts, 0, 0))


def lead(key=b"ecg ", values=WAVE, wrong=0):
    return block(key, values.tobytes(), wrong)


def made(*blocks):
    return b"ALIVE\0\0\0" + struct.pack("<I", 4) + b"".join(blocks)


def test_one_lead_in_millivolts():
    ecg = read_ecg(made(block(b"info", INFO), form(), lead()))
    assert ecg.leads == ("I",) and ecg.rate_hz == 300 and np.allclose(ecg.samples[0], WAVE * 0.0005)
    assert ecg.provenance["recorded"] == "2020-01-02T03:04:05.000+01:00" and "SECRET" not in str(ecg.provenance)
    assert "checksum" not in ecg.provenance


def test_six_leads_whatever_the_order_of_the_blocks():
    keys = [b"ecg4", b"ecg2", b"ecg6", b"ecg ", b"ecg3", b"ecg5"]
    blocks = [lead(key, WAVE // (i + 1)) for i, key in enumerate(keys)]
    ecg = read_ecg(made(*blocks, lead(b"avg ", WAVE[:300]), block(b"info", bytes(264)), form(rate=600, nanovolts=1000)))
    assert ecg.leads == ("I", "II", "III", "aVR", "aVL", "aVF") and ecg.rate_hz == 600
    assert np.allclose(ecg.samples[3], WAVE * 0.001) and np.allclose(ecg.samples[0], WAVE // 4 * 0.001)
    assert "recorded" not in ecg.provenance


def test_wrong_checksums_are_told_only():
    ecg = read_ecg(made(form(), lead(wrong=7)))
    assert ecg.provenance["checksum"] == "wrong in ecg; read nevertheless" and np.allclose(ecg.samples, WAVE * 0.0005)


def test_leads_of_unequal_length_are_cut():
    ecg = read_ecg(made(form(), lead(), lead(b"ecg2", WAVE[:-1])))
    assert ecg.samples.shape == (2, 2999) and "2999" in ecg.provenance["end"]


def test_a_cut_file_is_read_as_far_as_it_goes():
    ecg = read_ecg(made(form(), lead())[:-1001])
    assert ecg.samples.shape == (1, 2501) and "cut within" in ecg.provenance["end"]


def test_without_a_format_the_usual_one_is_taken_and_told():
    ecg = read_ecg(made(lead()))
    assert ecg.rate_hz == 300 and "not in the file" in ecg.provenance["rate"] + ecg.provenance["unit"]
    assert np.allclose(ecg.samples, WAVE * 0.0005)


def test_what_the_user_says_wins():
    ecg = read_ecg(made(form(), lead()), rate_hz=250, unit="uV")
    assert ecg.rate_hz == 250 and np.allclose(ecg.samples, WAVE * 0.001)
    assert "as given" in ecg.provenance["rate"] and "as given" in ecg.provenance["unit"]


@pytest.mark.parametrize(
    "file", [made(), made(form()), made(form(), lead(values=WAVE[:0])), b"ALIVE", made(b"ecg \xff\xff\xff\xff")]
)
def test_a_file_without_samples_is_refused_in_one_sentence(file):
    with pytest.raises(InputError, match="^x.atc: a Kardia ATC file without samples") as caught:
        read_ecg(file, name="x.atc")
    assert "\n" not in str(caught.value)
