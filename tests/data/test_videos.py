"""Anybody's videos, made here: right in time and place, the same for the same seed, and nothing left out in silence."""

import io
import shutil
import tarfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from echopulse.data.videos import Cut, Videos, list_videos, load_videos, read_stretch
from echopulse.errors import InputError

CODECS = {".mp4": "libx264", ".mov": "mpeg4", ".avi": "mjpeg", ".webm": "libvpx", ".gif": "gif"}
PIXELS = {"mjpeg": "yuvj420p", "gif": "rgb8"}


def brightness(time_s: np.ndarray | float) -> np.ndarray | float:
    """Grey level of the left half at a time; the right half is darker by 40."""
    return 60 + 60 * np.asarray(time_s)


def write_video(path: Path, *, seconds: float = 2.0, fps: int = 20, width: int = 48, height: int = 32) -> Path:
    """A picture whose left half brightens by 60 grey levels a second."""
    import av

    codec = CODECS[path.suffix]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(fps))
        stream.width, stream.height, stream.pix_fmt = width, height, PIXELS.get(codec, "yuv420p")
        for index in range(round(seconds * fps)):
            picture = np.full((height, width, 3), round(float(brightness(index / fps))), np.uint8)
            picture[:, width // 2 :] -= 40
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def films(tmp_path_factory) -> Path:
    """A folder of videos of all kinds, one in a folder of its own."""
    folder = tmp_path_factory.mktemp("films")
    (folder / "more").mkdir()
    for number, ending in enumerate(CODECS):
        write_video(folder / f"film{number}{ending}", width=48 + 16 * number)
    write_video(folder / "more" / "small.mp4", width=16, height=24, fps=10)
    (folder / "notes.txt").write_text("no video")
    return folder


def load(folder: Path, **options) -> tuple[Videos, Videos]:
    return load_videos(folder, size=16, fps=25.0, **options)


@pytest.mark.parametrize("ending", CODECS)
def test_pictures_are_those_nearest_in_time_at_the_models_rate(films, ending):
    path = next(films.glob(f"*{ending}"))
    taken = read_stretch(str(path), Cut(left=0.0), 20, size=16, fps=25.0)
    assert taken.shape == (20, 16, 16) and taken.dtype == np.uint8
    nearest = np.floor(np.arange(20) * 20 / 25 + 0.5 - 1e-6) / 20  # frames of 20/s
    slack = 40 if ending == ".gif" else 5  # eight-colour palettes and chroma
    assert np.abs(taken[:, :, 2].mean(1) - brightness(nearest)).max() < slack


def test_a_stretch_begins_where_it_is_told_and_strides_over_the_videos_own_frames(films):
    late = read_stretch(str(films / "film0.mp4"), Cut(begin=1.0, left=0.0), 11, size=16, fps=25.0)
    assert abs(late[-1, :, 2].mean() - brightness(1.95)) < 3  # its last frame
    wide = read_stretch(str(films / "film0.mp4"), Cut(stride=3, left=0.0), 5, size=16, fps=25.0)
    assert np.abs(np.diff(wide[:, :, 2].mean(1)) - 9).max() < 2  # 0.15 s


def test_the_crop_is_a_square_from_where_it_is_told(films):
    left, right = (
        read_stretch(str(films / "film0.mp4"), Cut(side=0.0, left=place), 2, size=16, fps=25.0) for place in (0.0, 1.0)
    )
    assert abs(left[0].mean() - 60) < 5 and abs(right[0].mean() - 20) < 5
    whole = read_stretch(str(films / "more" / "small.mp4"), Cut(), 2, size=32, fps=25.0)  # smaller than the model
    assert whole.shape == (2, 32, 32)


def test_a_short_video_plays_back_and_forth(tmp_path):
    path = write_video(tmp_path / "short.mp4", seconds=0.15)
    taken = read_stretch(str(path), Cut(begin=1.0, stride=1, left=0.0), 7, size=16, fps=25.0)[:, :, 2].mean(1)
    assert np.allclose(taken, taken[[0, 1, 2, 1, 0, 1, 2]]) and taken[2] > taken[1] > taken[0]


def test_the_same_seed_draws_the_same_batch_whatever_was_read_before(films):
    first, again = load(films)[0], load(films)[0]
    again.draw(2, 3, rng(1))
    assert torch.equal(first.draw(4, 5, rng()), again.draw(4, 5, rng()))
    assert not torch.equal(first.draw(4, 5, rng()), first.draw(4, 5, rng(1)))
    parallel = load(films, workers=2)[0]
    assert torch.equal(first.draw(4, 5, rng()), parallel.draw(4, 5, rng()))


def test_held_out_files_are_never_trained_on_and_stay_the_same_when_others_come(films, tmp_path):
    training, held_out = load(films)
    names = [{file.name for file in part.files} for part in (training, held_out)]
    assert not names[0] & names[1] and len(names[0] | names[1]) == 6 and names[1]
    (clip, counts), *_ = held_out.first(3)
    assert clip.shape == (33, 16, 16) and counts.all() and torch.equal(clip, next(iter(held_out.first(1)))[0])
    copy = tmp_path / "films"
    shutil.copytree(films, copy)
    for number in range(20):
        shutil.copy(films / "film0.mp4", copy / f"new{number}.mp4")
    by_share = {file.name for file in load(copy)[1].files}
    assert {name for name in names[0] if name in by_share} == set()


def test_shards_are_read_in_place(films, tmp_path):
    with tarfile.open(tmp_path / "shard-000.tar", "w") as shard:
        for number, path in enumerate(sorted(films.glob("film*"))):
            shard.add(path, f"{number:06d}{path.suffix}")
            note = tarfile.TarInfo(f"{number:06d}.json")
            note.size = 2
            shard.addfile(note, io.BytesIO(b"{}"))
    files, skipped = list_videos(tmp_path)
    assert len(files) == 5 and files[0].name == "shard-000.tar/000000.mp4" and not skipped
    with files[0].open() as source:
        packed = read_stretch(source, Cut(begin=0.5), 6, size=16, fps=25.0)
    assert np.array_equal(packed, read_stretch(str(films / "film0.mp4"), Cut(begin=0.5), 6, size=16, fps=25.0))
    assert load(tmp_path)[0].draw(6, 5, rng()).shape == (6, 5, 16, 16)


def test_what_cannot_be_read_is_told_once_by_name_and_the_rest_goes_on(films, tmp_path):
    for number in range(3):
        shutil.copy(films / "film0.mp4", tmp_path / f"good{number}.mp4")
    whole = (films / "film0.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.avi").write_bytes(b"")
    (tmp_path / "text.webm").write_text("not a video at all")
    write_video(tmp_path / "still.gif", seconds=0.05)
    (tmp_path / "packed.tar.gz").write_bytes(b"\x1f\x8b")
    (tmp_path / "broken.tar").write_bytes(b"not a tar" * 100)
    told = []
    training, held_out = load(tmp_path, on_skip=lambda name, reason: told.append(name))
    for seed in range(8):
        assert training.draw(4, 5, rng(seed)).shape == (4, 5, 16, 16)
    assert torch.equal(training.draw(4, 5, rng(0)), load(tmp_path)[0].draw(4, 5, rng(0)))
    wrong = {"cut.mp4", "empty.avi", "text.webm", "still.gif", "packed.tar.gz", "broken.tar"}
    unread = wrong & {file.name for file in held_out.files}
    assert len(told) == len(set(told)) and set(told) == wrong - unread == set(training.skipped)
    assert "1 picture, not a video" in training.skipped["still.gif"]
    assert "unpack" in training.skipped["packed.tar.gz"]


def test_something_that_can_be_read_is_always_held_out(films, tmp_path):
    for number in range(8):
        (tmp_path / f"film{number}.mp4").write_text("no video")
    for name in ("whole.mp4", "sound.mp4"):
        shutil.copy(films / "film0.mp4", tmp_path / name)
    training, held_out = load(tmp_path)
    assert len(list(held_out.first(5))) == 1 and len(training.files) + len(held_out.files) == 10
    assert training.draw(2, 3, rng()).shape == (2, 3, 16, 16)


def test_a_folder_without_videos_with_one_or_with_broken_ones_only_is_refused_in_a_sentence(films, tmp_path):
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(InputError, match="no shard-.*no videos here; give at least two"):
            load(folder)
    shutil.copy(films / "film0.mp4", tmp_path / "only.mp4")
    with pytest.raises(InputError, match=r"one video \(only.mp4\) here"):
        load(tmp_path)
    for number in range(3):
        (tmp_path / f"bad{number}.mp4").write_text("bad")
    (tmp_path / "only.mp4").write_text("bad too")
    with pytest.raises(InputError, match="none of 3 videos can be read; .*cannot be decoded"):
        load(tmp_path)
