"""Simulated examinations for other people's programs: three files each, and a longer export begins with the shorter."""

import json

import numpy as np
import pytest

from echopulse.data.export import export_pairs, parse_pins
from echopulse.ecg import read_ecg
from echopulse.echo import read_clip
from echopulse.errors import InputError


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    export_pairs(folder, 1, seconds=0.4, seed=0, size=64)
    return folder


def test_pins_are_numbers_or_words():
    assert parse_pins(["ef=0.3", "kind=af"]) == {"ef": 0.3, "kind": "af"} and parse_pins([]) == {}


@pytest.mark.parametrize("pair", ["ef", "ef=", "=0.3"])
def test_a_pin_without_name_or_value_is_refused(pair):
    with pytest.raises(InputError, match="expected NAME=VALUE"):
        parse_pins([pair])


def test_every_clip_has_a_video_an_ecg_and_its_truth(exported):
    assert sorted(path.name for path in exported.iterdir()) == ["00000.csv", "00000.mp4", "00000.npz"]
    with np.load(exported / "00000.npz") as stored:
        assert stored["frames"].shape == (10, 64, 64) and stored["lv_mask"].shape == (10, 64, 64)
        assert stored["times"].shape == stored["volume_ml"].shape == (10,)
        assert 0 <= float(stored["ef"]) < 1 and json.loads(str(stored["clip"]))["view"] in ("a4c", "a2c")


def test_our_own_readers_read_what_was_exported(exported):
    ecg = read_ecg(exported / "00000.csv")
    with np.load(exported / "00000.npz") as stored:
        assert ecg.rate_hz == pytest.approx(200, abs=0.1) and len(ecg.leads) == 2
        assert np.abs(ecg.samples - stored["ecg"]).max() < 1e-3
    assert len(read_clip(exported / "00000.mp4").frames) == 10


def test_an_export_that_exists_is_not_overwritten_without_force(exported, tmp_path):
    with pytest.raises(InputError, match="00000.* exists already; give --force"):
        export_pairs(exported, 1, seconds=0.4, seed=0)
    (tmp_path / "00000.mp4").write_text("precious")
    with pytest.raises(InputError, match="00000.mp4 exists already; give --force"):
        export_pairs(tmp_path, 1, seconds=0.4, seed=0)


def test_a_setting_of_the_recording_is_no_pin():
    with pytest.raises(InputError, match="--set seed=3: seed is a setting of the recording"):
        parse_pins(["seed=3"])
    assert parse_pins(["view=a2c"]) == {"view": "a2c"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"clips": 0}, "--clips 0: at least one"),
        ({"seconds": float("nan")}, "nan s at 25 frames/s"),
        ({"fps": 0.0}, "0.4 s at 0 frames/s"),
        ({"ef": 7.0}, "ef lies between 0.03 and 0.86; got 7.0"),
        ({"ef": "low"}, "ef is a number; got 'low'"),
        ({"heart_rate_bpm": 0.0}, "heart_rate_bpm lies between"),
        ({"gain_db": float("inf")}, "gain_db is a number; got inf"),
    ],
)
def test_what_no_heart_or_scanner_can_do_is_refused(tmp_path, options, words):
    with pytest.raises(InputError, match=words):
        export_pairs(tmp_path, **{"clips": 1, "seconds": 0.4, "seed": 0, **options})
    assert not list(tmp_path.iterdir())


def test_an_unknown_parameter_of_the_phantom_is_refused_by_name(tmp_path):
    with pytest.raises(InputError, match="no parameter 'colour'"):
        export_pairs(tmp_path / "new", 1, seconds=0.4, seed=0, colour=1.0)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot make this folder"):
        export_pairs(tmp_path / "file" / "pairs", 1, seconds=0.4, seed=0)
