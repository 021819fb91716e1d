"""Philips ECG documents, made here: what the cart compresses comes back; a bomb in it is seen before it goes off."""

import base64

import numpy as np
import pytest

from echopulse.ecg import read_ecg
from echopulse.ecg.readers.philips import unpacked_length
from echopulse.errors import InputError

NAMES = tuple("I II III aVR aVL aVF V1 V2 V3 V4 V5 V6".split())
STOP = 1023


def lead_counts(seed, n=1200):
    return (150 * np.sin(np.arange(n) / 30) ** 15 + np.random.default_rng(seed).integers(-5, 5, n)).astype(int)


def packed_codes(codes):
    bits = "".join(f"{code:010b}" for code in (*codes, STOP))
    return int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")


def chunk(values):
    """One lead in XLI: second differences, high bytes before low bytes, LZW of single bytes."""
    curve = [2 * values[i] - values[i - 1] - values[i + 1] for i in range(1, len(values) - 1)]
    stored = np.array([*values[:2], *(one + 64 for one in curve[1:]), 64]).astype(">i2").view(np.uint8)
    packed = packed_codes([*stored[::2].tolist(), *stored[1::2].tolist()])
    return len(packed).to_bytes(4, "little") + b"\1\0" + int(curve[0]).to_bytes(2, "little", signed=True) + packed


def twelve(pulse=0):
    """I, II and V1 to V6 as recorded; of the four others what differs from Einthoven and Goldberger: nothing."""
    rows = {name: lead_counts(i) for i, name in enumerate(NAMES) if name not in NAMES[2:6]}
    end = [200] * pulse + [0] * pulse
    rows = {name: np.array([*row, *end]) for name, row in rows.items()}
    follow = np.zeros(len(rows["I"]), int)
    if pulse:  # the carts write the pulse in the leads that follow too
        level = follow.copy()
        level[-2 * pulse : -pulse] = 200
        half = (rows["I"] + rows["II"]) // 2
        third = np.where(level > 0, level, rows["II"] - rows["I"])
        stored = {"III": rows["II"] - rows["I"] - third, "aVR": np.where(level > 0, -level - half, 0)}
        stored["aVL"] = np.where(level > 0, (rows["I"] - third) // 2 - level, 0)
        stored["aVF"] = np.where(level > 0, (rows["II"] + third) // 2 - level, 0)
    else:
        stored = dict.fromkeys(NAMES[2:6], follow)
    return [rows.get(name, stored.get(name)) for name in NAMES]


def document(payload, samples, kind="SierraECG", version="1.03", compression="XLI", unit="signalresolution", said=""):
    attributes = f'dataencoding="Base64" compressmethod="{compression}" durationperchannel="{samples * 2}"'
    return f"""<?xml version="1.0" encoding="utf-16"?>
<restingecgdata xmlns="http://www3.medical.philips.com"><documentinfo><documenttype>{kind}</documenttype>
<documentversion>{version}</documentversion></documentinfo><dataacquisition date="2011-12-01" time="07:27:34">
<signalcharacteristics><samplingrate>500</samplingrate><{unit}>5</{unit}><acquisitiontype>STD-12</acquisitiontype>
<numberchannelsallocated>12</numberchannelsallocated></signalcharacteristics></dataacquisition>
<patient><lastname>Nobody</lastname></patient>{said}<waveforms><parsedwaveforms {attributes}>
{base64.encodebytes(payload).decode()}</parsedwaveforms></waveforms></restingecgdata>"""


def compressed(rows):
    return b"".join(chunk(row) for row in rows)


@pytest.mark.parametrize(("version", "encoding", "unit"), [("1.03", "utf-8", "signalresolution"),
                                                           ("1.04.01", "utf-16", "resolution")])  # fmt: skip
def test_what_the_cart_compressed_comes_back(version, encoding, unit):
    rows = twelve()
    kind = "SierraECG" if version == "1.03" else "PhilipsECG"
    ecg = read_ecg(document(compressed(rows), 1200, kind, version, unit=unit).encode(encoding))
    assert ecg.leads == NAMES and ecg.rate_hz == 500 and ecg.samples.shape == (12, 1200)
    assert np.allclose(ecg.samples[1], rows[1] * 0.005, atol=1e-6)
    assert np.allclose(ecg.samples[2], (rows[1] - rows[0]) * 0.005, atol=1e-6)
    assert np.allclose(ecg.samples[3], -(rows[0] + rows[1]) * 0.0025, atol=0.0026)
    assert ecg.provenance["recorded"] == "2011-12-01 07:27:34" and version in ecg.provenance["format"]


def test_counts_that_are_not_compressed_are_as_they_stand():
    rows = np.stack([lead_counts(i) for i in range(12)])
    ecg = read_ecg(document(rows.astype("<i2").tobytes(), 1200, compression="Uncompressed").encode())
    assert ecg.leads == NAMES and np.allclose(ecg.samples, rows * 0.005, atol=1e-6)


def test_the_calibration_pulse_is_cut_off_and_told():
    ecg = read_ecg(document(compressed(twelve(pulse=50)), 1300).encode())
    assert ecg.samples.shape == (12, 1200) and "0.20 s" in ecg.provenance["calibration"]


def test_what_the_device_said_is_kept_and_the_patient_is_not():
    said = "<statement><leftstatement>Sinus rhythm</leftstatement></statement>"
    ecg = read_ecg(document(compressed(twelve()), 1200, said=said).encode(), rate_hz=250, unit="mV")
    assert [note.text for note in ecg.notes] == ["Sinus rhythm"] and ecg.rate_hz == 250
    assert np.allclose(ecg.samples[1], twelve()[1] * 5.0)
    assert "Nobody" not in str(ecg)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("SierraECG<", "LetterECG<"), "documenttype is 'LetterECG'"),
        (("1.03<", "1.02<"), "version '1.02'"),
        (("parsedwaveforms", "otherwaveforms"), "without its waveforms"),
        (('"XLI"', '"ZIP"'), "compressed by 'ZIP'"),
        (('channel="2400"', 'channel="2000"'), "do not unpack to the 12 leads of 1000 samples"),
        (('channel="2400"', 'channel="9999999999"'), "at most 300 s"),
        (("rate>500<", "rate>nan<"), "a rate of 'nan' Hz"),
        (("allocated>12<", "allocated>900000000<"), "900000000 leads"),
        (("allocated>12<", "allocated>2<"), "cannot be unpacked"),
    ],
)
def test_what_cannot_be_read_is_told_in_one_sentence(change, words):
    text = document(compressed(twelve()), 1200)
    assert change[0] in text
    with pytest.raises(InputError, match=r"^the ECG: .*" + words):
        read_ecg(text.replace(*change).encode())


def test_too_few_counts_that_are_not_compressed_are_refused():
    with pytest.raises(InputError, match="12 leads of 1200 samples are announced, 50 samples"):
        read_ecg(document(bytes(100), 1200, compression="Uncompressed").encode())


def test_a_bomb_is_measured_and_not_unpacked():
    codes = [0, *range(256, 1023), *[1022] * 100_000]  # every word is one byte longer than the one before
    packed = packed_codes(codes)
    assert unpacked_length(packed) == 1 + sum(range(2, 769)) + 100_000 * 768
    with pytest.raises(InputError, match="do not unpack"):
        read_ecg(document(len(packed).to_bytes(4, "little") + bytes(4) + packed, 1200).encode())


@pytest.mark.parametrize("seed", range(5))
def test_lengths_are_those_of_the_library(seed):
    from sierraecg.lzw import LzwDecoder

    packed = np.random.default_rng(seed).integers(0, 256, 60 + 700 * seed, np.uint8).tobytes()
    packed = packed_codes([5])[:1] + packed if seed else packed_codes([5, 256, 5, 300, 257])
    decoder, count = LzwDecoder(packed, 10), 0
    try:
        while decoder.read() != -1:
            count += 1
    except IndexError:  # a word before any other
        count = -1
    assert unpacked_length(packed) == count
