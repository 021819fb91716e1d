"""MATLAB files without a header: which array, which rate, no unit where there is none, and nothing that is a trap."""

import struct
import sys
import types
import zlib
from io import BytesIO

import numpy as np
import pytest
from scipy.io import savemat

from echopulse.ecg import read_ecg
from echopulse.errors import InputError

TIME = np.arange(2000) / 200
WAVE = np.exp(-0.5 * ((TIME % 1 - 0.5) / 0.03) ** 2)


def made(**values):
    """Bytes of a file; `format="4"` and `do_compression=True` are for savemat."""
    options = {key: values.pop(key) for key in ("format", "do_compression") if key in values}
    out = BytesIO()
    savemat(out, values, **options)
    return out.getvalue()


@pytest.mark.parametrize("options", [{}, {"format": "4"}, {"do_compression": True}])
def test_the_array_and_the_rate_inside(options):
    rows = WAVE[None] * np.arange(1, 13)[:, None] / 10
    ecg = read_ecg(made(feats=rows.astype(np.float32), org_sample_rate=500.0, curr_sample_rate=200.0, **options))
    assert ecg.rate_hz == 200 and ecg.leads[0] == "I" and ecg.leads[11] == "V6"
    assert np.allclose(ecg.samples, rows, atol=1e-6)
    assert ecg.provenance["array"] == "feats" and "curr_sample_rate" in ecg.provenance["rate"]


@pytest.mark.parametrize("options", [{}, {"format": "4"}])
def test_counts_without_a_rate_need_one(options):
    file = made(val=np.rint(1000 * WAVE[None]).astype(np.int16), **options)
    with pytest.raises(InputError, match="sampling rate"):
        read_ecg(file)
    ecg = read_ecg(file, rate_hz=300)
    assert ecg.rate_hz == 300 and ecg.samples.max() == pytest.approx(1, abs=0.01) and "size" in ecg.provenance["unit"]


def test_rows_or_columns_names_and_units():
    leads = np.array(["II", "v5"], dtype=object)
    ecg = read_ecg(made(data=np.stack([WAVE, WAVE / 2], axis=1) * 1000, Fs=200, leads=leads, units="uV", time=TIME))
    assert ecg.leads == ("II", "V5") and np.allclose(ecg.samples[1], WAVE / 2) and "as the file says" in str(
        ecg.provenance["unit"]
    )


def test_a_struct_is_looked_into():
    ecg = read_ecg(made(ECG={"sex": "F", "age": 70, "data": np.stack([WAVE] * 12)}, fs=200.0))
    assert ecg.samples.shape == (12, 2000) and ecg.provenance["array"] == "data"
    assert "70" not in str(ecg.provenance)


def test_an_array_for_each_lead():
    ecg = read_ecg(made(I=WAVE, II=WAVE / 2, time=TIME, fs=200.0))
    assert sorted(ecg.leads) == ["I", "II"] and np.allclose(ecg.samples[ecg.leads.index("II")], WAVE / 2)


def test_standardised_samples_have_no_unit_and_it_is_told():
    rows = np.stack([(WAVE - WAVE.mean()) / WAVE.std()] * 12)
    assert read_ecg(made(feats=rows, fs=200.0)).provenance["unit"].startswith("none: the samples look standardised")
    assert read_ecg(made(feats=rows, fs=200.0), unit="mV").provenance["unit"] == "mV, as given"


def test_a_cut_file_gives_what_was_whole():
    file = made(fs=200.0, val=WAVE, other=WAVE)
    ecg = read_ecg(file[:-500])
    assert np.allclose(ecg.samples[0], WAVE) and "cut" in ecg.provenance["end"]


def element(kind, body, order="<"):
    return struct.pack(order + "II", kind, len(body)) + body + bytes(-len(body) % 8)


def matrix(kind, dims, *parts):
    flags = element(6, struct.pack("<II", kind, 0))
    return element(14, flags + element(5, struct.pack(f"<{len(dims)}i", *dims)) + element(1, b"x") + b"".join(parts))


HEADER = b"MATLAB 5.0".ljust(124) + b"\x00\x01IM"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (element(15, zlib.compress(bytes(5 << 20))), "unpacks to more than"),
        (matrix(6, (1, 10**9), element(9, bytes(64))), "cut or damaged"),
        (matrix(1, (1, 10**9), matrix(6, (1, 1), element(9, bytes(8)))), "cut or damaged"),
        (matrix(6, (-1, 5), element(9, bytes(64))), "cut or damaged"),
        (struct.pack("<II", 14, 0xFFFFFFF0) + bytes(64), "cut or damaged"),
    ],
)
def test_sizes_that_are_lies_are_refused_before_memory_is_taken(body, words):
    with pytest.raises(InputError, match=words) as caught:
        read_ecg(HEADER + body, rate_hz=200, name="x.mat")
    assert str(caught.value).startswith("x.mat: ") and "\n" not in str(caught.value)


def test_cells_within_cells_are_not_followed():
    nest = matrix(6, (1, 1), element(9, bytes(8)))
    for _ in range(3000):
        nest = matrix(1, (1, 1), nest)
    with pytest.raises(InputError, match="no array of samples"):
        read_ecg(HEADER + nest, rate_hz=200)


def test_a_file_without_samples_says_what_is_in_it():
    with pytest.raises(InputError, match=r"no array of samples in it, only age"):
        read_ecg(made(age=np.float64(70), fs=200.0))


@pytest.mark.parametrize("head", [b"\x89HDF\r\n\x1a\n", b"MATLAB 7.3 MAT-file".ljust(512) + b"\x89HDF\r\n\x1a\n"])
def test_version_7_3_is_named_and_refused_without_h5py(head, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match="MATLAB 7.3 or HDF5 file, which is read where h5py is installed"):
        read_ecg(head + bytes(600))


def stand_in_for_h5py(tree):
    """A module with as much of h5py as is used: groups are dicts, data sets have numbers and say where they lie."""

    class HardLink:
        pass

    class Group(dict):
        def get(self, key, getlink=False):
            return HardLink() if getlink and not isinstance(self[key], str) else self[key]

    class File(Group):
        def __init__(self, *_):
            super().__init__(tree(Group))

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

    module = types.ModuleType("h5py")
    module.HardLink, module.Group, module.File = HardLink, Group, File
    return module


class DataSet:
    is_virtual = False

    def __init__(self, values, external=None):
        self.values, self.external = np.asarray(values), external
        self.dtype, self.ndim, self.size = self.values.dtype, self.values.ndim, self.values.size

    def __getitem__(self, _):
        return self.values


def test_version_7_3_is_read_with_h5py_and_never_out_of_the_file(monkeypatch):
    def tree(group):
        elsewhere = {"ecg": DataSet(WAVE * 9, external=[("/etc/passwd", 0, 9)]), "val": "a link to another file"}
        return {**elsewhere, "record": group({"data": DataSet(np.stack([WAVE, -WAVE]).T), "fs": DataSet([[200.0]])})}

    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    monkeypatch.setitem(sys.modules, "h5py", stand_in_for_h5py(tree))
    ecg = read_ecg(b"\x89HDF\r\n\x1a\n" + bytes(600))
    assert ecg.rate_hz == 200 and np.allclose(ecg.samples[0], WAVE) and ecg.provenance["array"] == "data"
