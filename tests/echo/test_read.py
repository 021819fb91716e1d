"""Echo files are known by their content; whatever is no echo is refused in one sentence that names the file."""

import io
import json
from pathlib import Path

import numpy as np
import pytest

from echopulse.echo import Clip, read_clip, read_frame
from echopulse.errors import InputError


def save_image(path: Path, pixels: np.ndarray) -> Path:
    from PIL import Image

    Image.fromarray(pixels).save(path)
    return path


@pytest.mark.parametrize("ending", ["png", "jpg", "bmp", "tif", "gif"])
def test_a_still_is_read_whatever_its_format(clip: Clip, tmp_path: Path, ending: str) -> None:
    frame = read_frame(save_image(tmp_path / f"still.{ending}", clip.frames[0]), size=64)
    assert frame.shape == (64, 64) and frame.dtype == np.uint8
    assert np.abs(frame.astype(int) - clip.frames[0]).mean() < 6


def test_the_content_decides_not_the_ending(clip: Clip, tmp_path: Path) -> None:
    path = save_image(tmp_path / "still.png", clip.frames[0])
    assert np.array_equal(read_frame(path.rename(tmp_path / "still.csv"), size=64), clip.frames[0])


def test_a_still_on_a_screen_is_cropped_to_its_sector(clip: Clip, tmp_path: Path) -> None:
    screen = np.zeros((120, 200, 3), np.uint8)
    screen[20:84, 60:124] = clip.frames[0][..., None]
    screen[4:8, 5:60:2] = 220
    frame = read_frame(save_image(tmp_path / "screen.png", screen), size=128)
    assert frame.shape == (128, 128)
    lit = np.nonzero(frame[100] > 20)[0]
    assert abs(lit.mean() - 64) < 6  # the sector's middle is the picture's


def test_the_durations_of_a_gif_become_times(clip: Clip, tmp_path: Path) -> None:
    from PIL import Image

    pages = [Image.fromarray(frame) for frame in clip.frames[:4]]
    pages[0].save(tmp_path / "loop.gif", save_all=True, append_images=pages[1:], duration=[30, 50, 30, 50])
    loop = read_clip(tmp_path / "loop.gif", size=64)
    assert loop.times_s.tolist() == pytest.approx([0.0, 0.03, 0.08, 0.11])
    assert not loop.synthetic and loop.view is None and loop.sector is not None


def test_an_avi_from_elsewhere_is_read(clip: Clip, tmp_path: Path) -> None:
    import av

    with av.open(str(tmp_path / "loop.avi"), "w") as container:
        stream = container.add_stream("mjpeg", rate=20)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuvj420p"
        for frame in clip.frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="gray")))
        container.mux(stream.encode())
    loop = read_clip(tmp_path / "loop.avi", size=64)
    assert loop.frames.shape == clip.frames.shape and loop.fps == pytest.approx(20.0)
    assert np.abs(loop.frames.astype(int) - clip.frames).mean() < 10  # motion JPEG at its default


def written(tmp_path: Path, name: str, content: bytes) -> Path:
    (tmp_path / name).write_bytes(content)
    return tmp_path / name


def npz(**arrays: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.png", b"", "an empty file"),
        ("ecg.csv", b"time,mV\n0.0,0.1\n", "a text file, perhaps an ECG"),
        ("utf16.csv", "time,mV\n".encode("utf-16"), "a text file"),
        ("pointer.mp4", b"version https://git-lfs.github.com/spec/v1\n", "git-LFS pointer"),
        ("volume.nii.gz", b"\x1f\x8b\x08" + bytes(50), "NIfTI"),
        ("paper.pdf", b"%PDF-1.4 \x00\xff", "a PDF document"),
        ("array.npy", b"\x93NUMPY\x01\x00", "a bare NumPy array"),
        ("noise.dat", bytes(range(256)) * 4, "neither a picture nor a video"),
        ("torn.png", b"\x89PNG\r\n\x1a\n" + bytes(20), "cannot be decoded"),
        ("torn.mp4", b"\x00\x00\x00\x18ftypisom" + bytes(40), "cannot be opened"),
        ("torn.npz", b"PK\x03\x04" + bytes(40), "cannot be read"),
        ("torn.dcm", bytes(128) + b"DICM", "modality"),
        ("other.npz", npz(ecg=np.zeros(5)), "frames uint8"),
        ("floats.npz", npz(frames=np.zeros((2, 8, 8)), times=np.arange(2.0)), "float64"),
    ],
)
def test_what_is_no_echo_is_refused_by_name(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    path = written(tmp_path, name, content)
    with pytest.raises(InputError, match=words) as refusal:
        read_frame(path)
    assert str(refusal.value).startswith(str(path)) and str(refusal.value).endswith(".")
    assert "\n" not in str(refusal.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_frame(tmp_path / "nothing.png")
    with pytest.raises(InputError, match="a folder"):
        read_clip(tmp_path)


def photograph() -> np.ndarray:
    y, x = np.mgrid[0:96, 0:96]
    return np.stack([60 + y, 120 - y, 40 + x], axis=2).astype(np.uint8)


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (np.zeros((64, 64), np.uint8), "a blank picture"),
        (photograph(), "a colour picture"),
        (np.full((64, 64), 240, np.uint8), "a bright picture like a page"),
        (np.full((64, 64), 90, np.uint8), "a rectangle, not a sector"),
        (np.full((20, 20), 90, np.uint8), "20x20 pixels"),
    ],
)
def test_pictures_of_the_wrong_kind_are_refused(tmp_path: Path, pixels: np.ndarray, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_frame(save_image(tmp_path / "picture.png", pixels))


def test_a_still_is_no_clip(clip: Clip, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least 2 frames"):
        read_clip(save_image(tmp_path / "still.png", clip.frames[0]))


def test_a_damaged_video_is_refused(clip: Clip, tmp_path: Path) -> None:
    path = clip.save(tmp_path / "whole.mp4", plain=True)
    whole = path.read_bytes()
    with pytest.raises(InputError):
        read_clip(written(tmp_path, "half.mp4", whole[: len(whole) // 4]))


def test_an_npz_may_lack_everything_but_frames_and_times(clip: Clip, tmp_path: Path) -> None:
    path = written(tmp_path, "bare.npz", npz(frames=clip.frames, times=clip.times_s))
    bare = read_clip(path, size=64)
    assert np.array_equal(bare.frames, clip.frames) and bare.view is None and not bare.synthetic


def test_resizing_an_npz_scales_its_pixel_spacing(clip: Clip, tmp_path: Path) -> None:
    facts = np.array(json.dumps({"pixel_spacing_cm": 0.25}))
    path = written(tmp_path, "spaced.npz", npz(frames=clip.frames, times=clip.times_s, clip=facts))
    assert read_clip(path, size=128).pixel_spacing_cm == pytest.approx(0.125)
