"""What users hand over is read as they would expect, or refused with what is needed."""

import numpy as np
import pytest

from echopulse.echo import Clip
from echopulse.errors import InputError
from echopulse.evaluate.given import Supplied, clip_at_rate, feature_files, training_files
from echopulse.measure import Segmenter, SegmenterConfig

FRAMES = np.random.default_rng(0).integers(0, 256, (11, 128, 128), np.uint8)


def save(path, fps: float) -> None:
    Clip(FRAMES, np.arange(len(FRAMES)) / fps).save(path)


def test_training_clips_come_in_order_at_one_rate_and_size(tmp_path):
    (tmp_path / "b").mkdir()
    save(tmp_path / "b" / "two.npz", 25)
    save(tmp_path / "a.npz", 50)
    (tmp_path / "notes.txt").write_text("not a clip")
    slow, same = [clip_at_rate(path, 25, 128) for path in training_files(tmp_path)]
    assert len(slow) == 6 and len(same) == 11 and slow.shape[1:] == same.shape[1:] == (128, 128)
    assert slow.dtype == same.dtype == np.uint8
    assert np.abs(slow.astype(int) - same[::2].astype(int)).max() <= 1


def test_a_folder_without_clips_and_no_folder_are_refused(tmp_path):
    with pytest.raises(InputError, match="no clip below it; files ending in .mp4"):
        training_files(tmp_path)
    with pytest.raises(InputError, match="no folder"):
        training_files(tmp_path / "none")


def test_a_single_picture_is_no_clip(tmp_path):
    Clip(FRAMES[:1], np.zeros(1)).save(tmp_path / "one.npz")
    with pytest.raises(InputError, match="one.npz"):
        clip_at_rate(tmp_path / "one.npz")


def test_what_is_handed_over_is_opened_only_where_a_part_needs_it(tmp_path):
    nothing = {"networks": {"i3d": tmp_path / "no.pt"}, "train_data": tmp_path / "no", "reject_copies": tmp_path / "no"}
    assert Supplied.read(("timing",), None, **nothing) == Supplied()
    measurer = Segmenter(SegmenterConfig(size=32, channels=(16, 24)))
    for part, name, says in (
        ("quality", "networks", "no such file; give I3D"), ("quality", "reject_copies", "no copy filter"),
        ("privacy", "train_data", "no folder"),
    ):  # fmt: skip
        handed = {"networks": {}, "train_data": None, "reject_copies": None} | {name: nothing[name]}
        with pytest.raises(InputError, match=says):
            Supplied.read((part,), measurer, **handed)


def test_feature_files_are_named_and_must_be_there(tmp_path):
    (tmp_path / "x.pt").touch()
    assert feature_files(f"i3d={tmp_path}/x.pt, inception={tmp_path}/x.pt") == dict.fromkeys(
        ("i3d", "inception"), tmp_path / "x.pt"
    )
    assert feature_files(None) == {}
    with pytest.raises(InputError, match="NAME=FILE is expected"):
        feature_files("i3d")
    with pytest.raises(InputError, match="there is no such file"):
        feature_files(f"i3d={tmp_path}/y.pt")
