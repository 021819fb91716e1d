"""SCP-ECG: files written here by the standard's own rules come back sample by sample."""

import struct
from binascii import crc_hqx

import numpy as np
import pytest

from echopulse.ecg.readers import Source, Wanted
from echopulse.ecg.readers.scp import SCP
from echopulse.errors import InputError

RNG = np.random.default_rng(5)
WAVE = np.round(300 * np.sin(np.arange(1200) / 40) + RNG.normal(0, 4, 1200)).astype(int)


def code(value):
    """A value by the standard's default table, as "0" and "1"."""
    if value == 0:
        return "0"
    if abs(value) <= 8:
        return "1" * abs(value) + ("00" if value > 0 else "01")
    size, prefix = (8, "1111111110") if -128 <= value <= 127 else (16, "1111111111")
    return prefix + format(value & ((1 << size) - 1), f"0{size}b")


def packed(bits):
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def differences(values, order):
    values = np.asarray(values)
    if order == 0:
        return values
    return np.concatenate((values[:order], np.diff(values, order)))


def huffman(values, order=2):
    return packed("".join(code(int(value)) for value in differences(values, order)))


def section(number, content):
    content = bytes(content) + b"\0" * (len(content) % 2)
    rest = struct.pack("<HIBB6x", number, 16 + len(content), 20, 20) + content
    return struct.pack("<H", crc_hqx(rest, 0xFFFF)) + rest


def scp(sections, mark=b"SCPECG"):
    """A file of the sections {number: content}."""
    parts = {number: section(number, content) for number, content in sorted(sections.items())}
    length = 16 + 12 * 10
    entries, at = struct.pack("<HII", 0, length, 7), 6 + length
    for number in range(1, 12):
        part = parts.get(number, b"")
        entries += struct.pack("<HII", number, len(part), at + 1 if part else 0)
        at += len(part)
    first = struct.pack("<HIBB", 0, length, 20, 20) + mark + entries
    first = struct.pack("<H", crc_hqx(first, 0xFFFF)) + first
    rest = struct.pack("<I", 6 + len(first) + sum(map(len, parts.values()))) + first + b"".join(parts.values())
    return struct.pack("<H", crc_hqx(rest, 0xFFFF)) + rest


def leads(*lines, flags=4):
    return bytes([len(lines), flags]) + b"".join(struct.pack("<IIB", *line) for line in lines)


def block(stored, nanovolts=5000, microseconds=2000, difference=2, bimodal=0):
    head = struct.pack("<HHBB", nanovolts, microseconds, difference, bimodal)
    return head + struct.pack(f"<{len(stored)}H", *map(len, stored)) + b"".join(stored)


def read(data, **wanted):
    source = Source("a.scp", given=data)
    assert SCP.recognises(source)
    return SCP.read(source, Wanted(**wanted))


DEFAULT = struct.pack("<H", 19999)
ONE_LEAD = leads((1, 1200, 2))


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("coded", [True, False])
def test_every_order_of_differences_comes_back_exactly(order, coded):
    plain = differences(WAVE, order).astype("<i2").tobytes()
    sections = {3: ONE_LEAD, 6: block([huffman(WAVE, order) if coded else plain], difference=order)}
    ecg = read(scp({**sections, **({2: DEFAULT} if coded else {})}))
    assert ecg.leads == ("II",) and ecg.rate_hz == 500
    np.testing.assert_allclose(ecg.samples[0], WAVE * 0.005, atol=1e-6)
    assert "checksum" not in ecg.provenance


def test_tables_of_a_file_and_the_switch_between_them():
    def table(*lines):
        return struct.pack("<H", len(lines)) + b"".join(struct.pack("<BBBhI", *line) for line in lines)

    # the lowest bit of a code comes first: 1 = "1", 2 = "01", 0 = "00"
    first = table((1, 1, 1, 7, 1), (2, 2, 0, 2, 2), (2, 10, 1, 0, 0))
    second = table((1, 1, 1, -7, 0), (1, 1, 0, 1, 1))
    bits = "1" + "00" + "11111011" + "01" + "0" + "0" + "1" + "1"
    ecg = read(
        scp({2: struct.pack("<H", 2) + first + second, 3: leads((1, 5, 1)), 6: block([packed(bits)], difference=0)})
    )
    np.testing.assert_allclose(ecg.samples[0] / 0.005, [7, -5, -7, -7, 7], rtol=1e-6)


@pytest.mark.parametrize("bimodal", [0, 1])
def test_the_reference_beat_is_added_back(bimodal):
    beat = np.round(400 * np.exp(-(((np.arange(200) - 80) / 15) ** 2))).astype(int)
    drift = np.round(20 * np.sin(np.arange(1200) / 200)).astype(int)
    whole = drift.copy()
    positions = []
    for fiducial in (200, 600, 1000):  # from 0; the beat's own fiducial sample is 80
        whole[fiducial - 80 : fiducial + 120] += beat
        positions.append((0, fiducial - 80 + 1, fiducial + 1, fiducial + 120))
    kept = drift
    zones = [(fiducial - 40, fiducial + 40) for fiducial in (200, 600, 1000)]
    if bimodal:
        pieces, at = [], 0
        for first, end in [*zones, (1200, 1200)]:
            pieces += [drift[at:first].reshape(-1, 4).mean(1).round().astype(int), drift[first:end]]
            at = end
        kept = np.concatenate(pieces)
    qrs = struct.pack("<HHH", 400, 81, 3) + b"".join(struct.pack("<HIII", *line) for line in positions)
    qrs += b"".join(struct.pack("<II", first + 1, end) for first, end in zones)
    sections = {2: DEFAULT, 3: leads((1, 1200, 1), flags=5), 4: qrs, 5: block([huffman(beat)])}
    rhythm = block([huffman(kept)], microseconds=8000 if bimodal else 2000, bimodal=bimodal)
    ecg = read(scp({**sections, 6: rhythm}))
    assert ecg.rate_hz == 500 and ecg.provenance["reference beat"] == "added back at 3 QRS complexes"
    assert [round(note.time_s, 3) for note in ecg.notes] == [0.4, 1.2, 2.0]
    assert np.abs(ecg.samples[0] / 0.005 - whole).max() < (1.01 if bimodal else 1e-3)
    assert ("compression" in ecg.provenance) == bool(bimodal)


def test_leads_that_were_recorded_in_turn_keep_their_times():
    sections = {2: DEFAULT, 3: leads((1, 600, 1), (601, 1200, 3)), 6: block([huffman(WAVE[:600]), huffman(WAVE[600:])])}
    ecg = read(scp(sections))
    assert ecg.samples.shape == (2, 1200) and ecg.leads == ("I", "V1")
    assert np.isnan(ecg.samples[0, 600:]).all() and np.isnan(ecg.samples[1, :600]).all()
    np.testing.assert_allclose(ecg.samples[1, 600:], WAVE[600:] * 0.005, atol=1e-6)


def test_a_step_of_zero_is_guessed_and_told_unless_the_unit_is_given():
    data = scp({2: DEFAULT, 3: ONE_LEAD, 6: block([huffman(WAVE)], nanovolts=0)})
    ecg = read(data)
    assert "0 nV" in ecg.provenance["unit"] and "uV" in ecg.provenance["unit"]
    np.testing.assert_allclose(ecg.samples[0], WAVE * 0.001, atol=1e-6)
    given = read(data, unit="mv", rate_hz=250)
    assert given.rate_hz == 250 and "as given" in given.provenance["unit"]
    np.testing.assert_allclose(given.samples[0], WAVE, rtol=1e-6)


def test_the_date_is_kept_and_the_name_is_not():
    tags = b"\0" + struct.pack("<H", 6) + b"Miller" + struct.pack("<BHHBB", 25, 4, 2002, 11, 22)
    tags += struct.pack("<BH3B", 26, 3, 9, 10, 0) + b"\xff\0\0"
    ecg = read(scp({1: tags, 2: DEFAULT, 3: ONE_LEAD, 6: block([huffman(WAVE)])}))
    assert ecg.provenance["recorded"] == "2002-11-22 09:10:00" and "Miller" not in str(ecg.provenance)


def test_a_wrong_checksum_is_told():
    data = bytearray(scp({2: DEFAULT, 3: ONE_LEAD, 6: block([huffman(WAVE)], nanovolts=5000)}))
    at = data.rfind(struct.pack("<HH", 5000, 2000))
    data[at] ^= 1
    assert "section 6" in read(bytes(data)).provenance["checksum"]


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({2: DEFAULT, 3: ONE_LEAD}, "without section 6"),
        ({2: DEFAULT, 3: ONE_LEAD, 6: block([huffman(WAVE[:50])])}, "of its 1200 samples"),
        ({2: DEFAULT, 3: leads((1, 2_000_000_000, 1)), 6: block([b"1234"])}, "samples"),
        ({2: DEFAULT, 3: leads((1, 9_000_000, 1)), 6: block([b"1234"])}, "does not hold so many"),
        ({2: DEFAULT, 3: leads((5, 2, 1)), 6: block([b"1234"])}, "damaged"),
        ({2: DEFAULT, 3: ONE_LEAD, 6: block([b"1234"], difference=9)}, "differences of order 9"),
        ({2: DEFAULT, 3: ONE_LEAD, 6: block([huffman(WAVE)], bimodal=1)}, "lacks the reference beat"),
        ({2: DEFAULT, 3: ONE_LEAD, 6: block([huffman(WAVE)], microseconds=1)}, "1e.06 Hz"),
        ({2: struct.pack("<HH", 1, 40), 3: ONE_LEAD, 6: block([b"1234"])}, "cut or damaged"),
    ],
)
def test_what_is_wrong_is_named(sections, words):
    with pytest.raises(InputError, match=words) as caught:
        read(scp(sections))
    assert str(caught.value).startswith("a.scp: ")


def test_a_heal_force_file_is_refused_by_name():
    data = bytearray(scp({3: ONE_LEAD}, mark=b"\0" * 6))
    data[28:32] = struct.pack("<I", 6)  # its pointers count from 0
    with pytest.raises(InputError, match="Heal Force"):
        read(bytes(data))


def test_older_files_lack_the_mark():
    data = scp({2: DEFAULT, 3: ONE_LEAD, 6: block([huffman(WAVE)])}, mark=b"\0" * 6)
    np.testing.assert_allclose(read(data).samples[0], WAVE * 0.005, atol=1e-6)
