"""What users hand over is read as they would expect, or refused with what is needed."""

import numpy as np
import pytest

from echopulse.data import fill_bank
from echopulse.echo import Clip
from echopulse.errors import InputError
from echopulse.evaluate.given import Supplied, clips_at_rate, training_files
from echopulse.evaluate.metrics.networks import feature_files
from echopulse.measure import Segmenter, SegmenterConfig

FRAMES = np.random.default_rng(0).integers(0, 256, (11, 128, 128), np.uint8)


def save(path, fps: float) -> None:
    Clip(FRAMES, np.arange(len(FRAMES)) / fps).save(path)


def read(folder, fps: float, size: int) -> list[np.ndarray]:
    return [clip for path in training_files(folder) for clip in clips_at_rate(path, fps, size)]


def test_training_clips_come_in_order_at_one_rate_and_size(tmp_path):
    (tmp_path / "b").mkdir()
    save(tmp_path / "b" / "two.npz", 25)
    save(tmp_path / "a.npz", 50)
    (tmp_path / "notes.txt").write_text("not a clip")
    slow, same = read(tmp_path, 25, 128)
    assert len(slow) == 6 and len(same) == 11 and slow.shape[1:] == same.shape[1:] == (128, 128)
    assert slow.dtype == same.dtype == np.uint8
    assert np.abs(slow.astype(int) - same[::2].astype(int)).max() <= 1


def test_every_clip_of_every_shard_is_read_at_the_rate_and_size_asked_for(tmp_path):
    (tmp_path / "bank").mkdir()
    fill_bank(tmp_path / "bank", 4, seed=3, shard=2, frames=9, size=32)
    save(tmp_path / "a.npz", 25)
    assert [clip.shape for clip in read(tmp_path, 12.5, 64)] == [(6, 64, 64)] + 4 * [(5, 64, 64)]
    as_they_are = read(tmp_path / "bank", 25, 32)
    assert len({clip.tobytes() for clip in as_they_are}) == 4 and as_they_are[0].shape == (9, 32, 32)
    with pytest.raises(InputError, match="5 training clips below it; at least 20 are needed"):
        training_files(tmp_path, 20)


def test_a_clip_that_lies_there_in_several_forms_is_one_clip(tmp_path):
    for name in ("a.npz", "a.mp4", "b.mp4"):
        save(tmp_path / name, 25)
    assert [path.name for path in training_files(tmp_path)] == ["a.npz", "b.mp4"]


def test_a_shard_that_is_none_is_refused(tmp_path):
    (tmp_path / "shard-000001-00000.safetensors").write_bytes(b"no shard")
    for read_it in (clips_at_rate, lambda path: training_files(path.parent)):
        with pytest.raises(InputError, match="00000.safetensors: cannot be read .*; delete it and make it again"):
            read_it(tmp_path / "shard-000001-00000.safetensors")


def test_a_folder_without_clips_and_no_folder_are_refused(tmp_path):
    with pytest.raises(InputError, match="no clip below it; shard-.* or files ending in .npz"):
        training_files(tmp_path)
    with pytest.raises(InputError, match="no folder"):
        training_files(tmp_path / "none")


def test_a_single_picture_is_no_clip(tmp_path):
    Clip(FRAMES[:1], np.zeros(1)).save(tmp_path / "one.npz")
    with pytest.raises(InputError, match="one.npz"):
        clips_at_rate(tmp_path / "one.npz")


def test_what_is_handed_over_is_opened_only_where_a_part_needs_it(tmp_path):
    nothing = {"networks": {"i3d": tmp_path / "no.pt"}, "train_data": tmp_path / "no", "reject_copies": tmp_path / "no"}
    assert Supplied.read(("timing",), None, **nothing) == Supplied()
    measurer = Segmenter(SegmenterConfig(size=32, channels=(16, 24)))
    for part, name, says in (
        ("quality", "networks", "no such file; give I3D"), ("quality", "reject_copies", "no copy filter"),
        ("privacy", "train_data", "no folder"), ("privacy", "train_data", "1 training clips below it; at least 20"),
    ):  # fmt: skip
        handed = {"networks": {}, "train_data": None, "reject_copies": None} | {name: nothing[name]}
        if says.startswith("1"):
            (tmp_path / "no").mkdir()
            (tmp_path / "no" / "one.npz").touch()
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
