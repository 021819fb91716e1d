"""The CAMUS shape, read back with nibabel."""

import json

import numpy as np
import pytest

from echopulse.data.camus import image_quality, to_camus
from echopulse.data.export import export
from echopulse.errors import InputError
from echopulse.phantom.types import LABELS


@pytest.fixture
def folder(tmp_path, by_hand):
    export(tmp_path, 1, form="camus", seconds=1.2, size=96)
    return tmp_path


def info(path):
    return dict(line.split(": ") for line in path.read_text().splitlines())


def test_both_views_are_of_one_heart(folder, by_hand):
    assert [call["view"] for call in by_hand[-2:]] == ["a4c", "a2c"]
    assert by_hand[-1]["seed"] == by_hand[-2]["seed"]


@pytest.mark.parametrize("chamber", ["4CH", "2CH"])
def test_a_half_sequence_runs_from_diastole_to_systole_with_a_mask_for_every_frame(folder, chamber):
    import nibabel

    place = folder / "database_nifti" / "patient0001"
    about = info(place / f"Info_{chamber}.cfg")
    assert list(about) == "ED ES NbFrame Sex Age ImageQuality EF FrameRate".split()
    assert (about["ED"], about["ES"], about["Sex"], about["Age"]) == ("1", about["NbFrame"], "F", "61")
    assert about["FrameRate"] == "50.0" and 50 < int(about["EF"]) < 60

    def load(part):
        image = nibabel.load(place / f"patient0001_{chamber}_{part}.nii.gz")
        assert image.header.get_zooms()[:2] == pytest.approx((10 * 15 / 96,) * 2)
        return np.asarray(image.dataobj)

    pictures, masks = load("half_sequence"), load("half_sequence_gt")
    assert pictures.shape == masks.shape == (96, 96, int(about["NbFrame"])) and masks.dtype == np.uint8
    assert set(np.unique(masks)) == {0, 1, 2, 3}
    sizes = (masks == 1).sum(axis=(0, 1))
    assert sizes.argmax() <= 1 and sizes.argmin() == len(sizes) - 1
    assert np.array_equal(load("ED"), pictures[..., 0]) and np.array_equal(load("ES_gt"), masks[..., -1])
    # the first axis runs across: the atrium lies at large values of the second
    assert np.nonzero(masks == 3)[1].mean() > np.nonzero(masks == 1)[1].mean()


def test_labels_are_numbered_as_in_the_data_set():
    values = to_camus(np.arange(len(LABELS), dtype=np.uint8))
    assert dict(zip(LABELS, values.tolist(), strict=True)) == {
        "outside": 0, "lv": 1, "myocardium": 2, "la": 3, "rv": 0, "ra": 0, "aorta": 0,
    }  # fmt: skip


def test_quality_is_how_much_the_wall_stands_out():
    mask = np.repeat([[1, 2]], 2, axis=0)
    words = [image_quality(np.array([[20, 20 + step]] * 2), mask) for step in (60, 20, 5, -10)]
    assert words == ["Good", "Medium", "Poor", "Poor"]


def test_the_ecg_and_when_the_sequence_begins_stand_beside_it(folder):
    import wfdb

    place = folder / "database_nifti" / "patient0001"
    assert wfdb.rdrecord(str(place / "patient0001_ecg")).sig_name == ["I", "II"]
    begin, end = json.loads((place / "patient0001.json").read_text())[0]["sequence_s"]
    assert (begin, end) == pytest.approx((0.14, 0.46), abs=0.021)


def test_the_split_names_every_patient_once(tmp_path, by_hand):
    export(tmp_path, 11, form="camus", seconds=1.2, size=64)
    split = {path.stem: path.read_text().split() for path in (tmp_path / "database_split").iterdir()}
    assert [len(split[f"subgroup_{name}"]) for name in ("training", "validation", "testing")] == [9, 1, 1]
    assert sorted(sum(split.values(), [])) == [f"patient{k:04d}" for k in range(1, 12)]


def test_views_that_the_data_set_lacks_are_refused(tmp_path):
    with pytest.raises(InputError, match="--views plax: the camus layout holds a4c, a2c only"):
        export(tmp_path / "x", 1, form="camus", views=["a4c", "plax"])
    assert not (tmp_path / "x").exists()
