"""NPZ archives: our own come back as they were, others are searched, pickles are never read."""

import io
import json
import zipfile
from io import BytesIO

import numpy as np
import pytest

from echopulse.ecg import read_ecg
from echopulse.ecg.types import Note
from echopulse.errors import InputError

WAVE = np.exp(-0.5 * ((np.arange(2000) / 200 % 1 - 0.5) / 0.03) ** 2).astype(np.float32)


def made(save=np.savez, **values):
    out = BytesIO()
    save(out, **values)
    return out.getvalue()


def ours(**changes):
    known = {"format": "WFDB record", "recorded": "2020-01-02 03:04:05", "path": "/home/jane/a.hea", "unit": "uV"}
    values = {
        "samples": np.stack([WAVE, WAVE / 2]), "rate_hz": 200.0, "leads": np.array(["II", "V5"]), "start_s": 30.0,
        "provenance": json.dumps(known), "notes_s": np.array([30.5, 31.5]), "notes": np.array(["N", "V, late"]),
    }  # fmt: skip
    return made(**{**values, **changes})


def test_our_own_come_back_as_they_were():
    ecg = read_ecg(ours(), name="a.npz")
    assert ecg.leads == ("II", "V5") and ecg.rate_hz == 200 and ecg.start_s == 30
    assert np.array_equal(ecg.samples, np.stack([WAVE, WAVE / 2]))
    assert ecg.notes == (Note(30.5, "N"), Note(31.5, "V, late"))
    assert ecg.provenance["recorded"] == "2020-01-02 03:04:05" and ecg.provenance["path"] == "a.npz"
    assert ecg.provenance["format"] == "EchoPulse's own NPZ, once WFDB record" and "mV" in ecg.provenance["unit"]


def test_gaps_small_size_and_a_short_stretch_of_many_leads_are_kept():
    samples = np.full((12, 500), 1e-4, dtype=np.float32) * WAVE[:500]
    samples[3, 7] = np.nan
    ecg = read_ecg(ours(samples=samples, leads=np.array([f"V{i}R" for i in range(12)]), notes_s=[], notes=[]))
    assert np.array_equal(ecg.samples, samples, equal_nan=True) and ecg.notes == ()


def test_a_part_of_our_own_is_on_the_clock_of_the_recording():
    part = read_ecg(ours(), at_s=32, seconds=4)
    assert part.start_s == 32 and np.array_equal(part.samples[0], WAVE[400:1200])


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_others_are_searched(save):
    ecg = read_ecg(made(save, ecg=np.stack([WAVE, -WAVE], axis=1) * 1000, fs=200, lead_names=["I", "II"], unit="uV"))
    assert ecg.leads == ("I", "II") and ecg.rate_hz == 200 and np.allclose(ecg.samples[1], -WAVE)


def test_the_rate_and_the_unit_given_win():
    ecg = read_ecg(made(ecg=WAVE, fs=200), rate_hz=400, unit="mV")
    assert ecg.rate_hz == 400 and "as given" in ecg.provenance["rate"] and "as given" in ecg.provenance["unit"]


def test_without_a_rate_one_is_asked_for():
    with pytest.raises(InputError, match="sampling rate"):
        read_ecg(made(ecg=WAVE))


class Trap:
    def __reduce__(self):
        return pytest.fail, ("a pickle was read",)


def test_pickles_are_never_read():
    trap = np.array([Trap()], dtype=object)
    ecg = read_ecg(made(ecg=WAVE, fs=200, about=trap))
    assert ecg.provenance["left out"] == "about: pickled, never read"
    with pytest.raises(InputError, match="ecg: pickled, never read"):
        read_ecg(made(ecg=trap, fs=200))


def with_header(text, body=b""):
    """An archive with one array whose header says `text`."""
    out, raw = io.BytesIO(), text.encode() + b"\n"
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("ecg.npy", b"\x93NUMPY\x01\x00" + len(raw).to_bytes(2, "little") + raw + body)
    return out.getvalue()


def bomb():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ecg.npy", bytes(40 << 20))
    return out.getvalue()


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (bomb(), "that is more than is read"),
        (with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,), }"), "claims"),
        (with_header("{'descr': '<f4', 'fortran_order': False, 'shape': (-5,), }"), "not a whole NumPy archive"),
        (with_header("__import__('os').getcwd()"), "not a whole NumPy archive"),
        (ours()[:-200], "not a whole NumPy archive"),
        (ours(provenance="{"), "provenance is no JSON"),
        (ours(provenance="[" * 100_000), "provenance is no JSON"),
        (made(label=np.arange(3), fs=200), "no array of samples"),
    ],
)
def test_what_is_broken_or_a_trap_is_refused_in_one_sentence(file, words):
    with pytest.raises(InputError, match=words) as caught:
        read_ecg(file, name="x.npz")
    assert str(caught.value).startswith("x.npz: ") and "\n" not in str(caught.value)
