"""A written clip can be watched, says that it is synthetic, comes back as it was, and never half-written."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from echopulse.echo import Clip, check_output, read_clip, write_clip
from echopulse.errors import InputError

pytestmark = pytest.mark.usefixtures("small_pictures")
FILMS = ["mp4", "webm", "gif"]


def file_text(path: Path) -> str:
    """Title and comment as any other program would find them."""
    if path.suffix in (".mp4", ".webm"):
        import av

        with av.open(str(path)) as container:
            return " ".join(container.metadata.values())
    from PIL import Image

    with Image.open(path) as image:
        return " ".join(v.decode() if isinstance(v, bytes) else str(v) for v in image.info.values())


@pytest.mark.parametrize("ending", FILMS)
def test_a_decorated_film_comes_back_as_the_clip_it_was(
    clip: Clip, ecg: Any, beats: Any, measurement: Any, tmp_path: Path, ending: str
) -> None:
    clip = replace(clip, times_s=clip.times_s + 0.5)
    path = write_clip(clip, tmp_path / f"film.{ending}", ecg=ecg, beats=beats, measurement=measurement)
    back = read_clip(path, size=64)
    assert np.abs(back.frames.astype(int) - clip.frames).mean() < 8
    assert back.times_s == pytest.approx(clip.times_s, abs=0.002)
    assert back.synthetic and back.view == "a4c"
    assert back.pixel_spacing_cm == pytest.approx(clip.pixel_spacing_cm)


@pytest.mark.parametrize("ending", FILMS)
def test_a_plain_film_holds_the_frames_alone_in_their_size(clip: Clip, ecg: Any, tmp_path: Path, ending: str) -> None:
    path = write_clip(clip, tmp_path / f"film.{ending}", ecg=ecg, plain=True)
    if ending == "gif":
        from PIL import Image

        with Image.open(path) as image:
            assert image.size == (64, 64)
    else:
        import av

        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            assert (stream.width, stream.height) == (64, 64) and stream.codec_context.pix_fmt == "yuv420p"
    assert np.abs(read_clip(path, size=64).frames.astype(int) - clip.frames).mean() < 6


@pytest.mark.parametrize("ending", [*FILMS, "png"])
def test_the_file_itself_says_synthetic(clip: Clip, tmp_path: Path, ending: str) -> None:
    text = file_text(write_clip(clip, tmp_path / f"film.{ending}"))
    assert "SYNTHETIC" in text and "not for diagnosis" in text
    real = file_text(write_clip(replace(clip, synthetic=False), tmp_path / f"real.{ending}"))
    assert "SYNTHETIC" not in real and "not for diagnosis" in real


def test_the_numbers_are_kept_exactly_and_the_report_with_them(clip: Clip, tmp_path: Path) -> None:
    path = write_clip(clip, tmp_path / "clip.npz", report={"seed": 7})
    with np.load(path, allow_pickle=False) as stored:
        assert stored["frames"].dtype == np.uint8 and np.array_equal(stored["frames"], clip.frames)
        assert stored["times"].dtype == np.float64 and np.array_equal(stored["times"], clip.times_s)
        assert json.loads(str(stored["report"])) == {"seed": 7}
    back = read_clip(path, size=64)
    assert np.array_equal(back.sector, clip.sector) and back.synthetic and back.provenance["made"] == "in a test"


@pytest.mark.parametrize("ending", FILMS)
def test_odd_sizes_are_written(clip: Clip, tmp_path: Path, ending: str) -> None:
    odd = replace(clip, frames=clip.frames[:, :63, :61], sector=None)
    for plain in (True, False):
        back = read_clip(write_clip(odd, tmp_path / f"{plain}.{ending}", plain=plain), size=63)
        assert back.frames.shape == (10, 63, 63)


def test_uneven_times_survive_in_an_mp4(clip: Clip, tmp_path: Path) -> None:
    uneven = replace(clip, times_s=np.cumsum([0, 33, 50, 33, 50, 50, 50, 33, 43, 33]) / 1000.0)
    back = read_clip(write_clip(uneven, tmp_path / "film.mp4"), size=64)
    assert back.times_s == pytest.approx(uneven.times_s, abs=0.0011)


def test_a_gif_keeps_its_length_at_30_frames_a_second_and_loops(clip: Clip, tmp_path: Path) -> None:
    from PIL import Image, ImageSequence

    path = write_clip(replace(clip, times_s=np.arange(10) / 30.0), tmp_path / "film.gif")
    with Image.open(path) as image:
        assert image.info["loop"] == 0
        assert sum(page.info["duration"] for page in ImageSequence.Iterator(image)) == pytest.approx(333, abs=6)


def test_a_gif_skips_frames_that_browsers_would_slow_down(clip: Clip, tmp_path: Path) -> None:
    back = read_clip(write_clip(replace(clip, times_s=np.arange(10) / 100.0), tmp_path / "film.gif"))
    assert len(back.frames) == 5 and back.duration_s == pytest.approx(0.1)


def test_an_mp4_can_start_before_it_has_been_loaded(clip: Clip, tmp_path: Path) -> None:
    content = write_clip(clip, tmp_path / "film.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


@pytest.mark.parametrize("ending", [*FILMS, "png", "npz"])
def test_the_same_clip_gives_the_same_file(clip: Clip, ecg: Any, tmp_path: Path, ending: str) -> None:
    first = read_or_bytes(write_clip(clip, tmp_path / f"1.{ending}", ecg=ecg))
    assert first == read_or_bytes(write_clip(clip, tmp_path / f"2.{ending}", ecg=ecg))


def read_or_bytes(path: Path) -> bytes:
    """WebM files carry a random id: there the frames are compared."""
    return read_clip(path).frames.tobytes() if path.suffix == ".webm" else path.read_bytes()


def test_an_existing_file_stays_unless_forced(clip: Clip, tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    path.write_text("precious")
    with pytest.raises(InputError, match="exists already.*--force"):
        write_clip(clip, path)
    assert path.read_text() == "precious"
    assert write_clip(clip, path, force=True).read_bytes() != b"precious"


@pytest.mark.parametrize("name", ["clip.mkv", "clip"])
def test_an_unknown_ending_is_refused_with_those_that_are_known(clip: Clip, tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"\.mp4, \.webm, \.gif, \.npz, \.png"):
        write_clip(clip, tmp_path / name)


def test_a_folder_that_is_missing_or_locked_is_refused(
    clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="does not exist"):
        check_output(tmp_path / "nowhere" / "clip.mp4")
    with pytest.raises(InputError, match="a folder of this name"):
        (tmp_path / "dir.mp4").mkdir()
        check_output(tmp_path / "dir.mp4")
    monkeypatch.setattr("os.access", lambda *_: False)  # the super-user may write anywhere
    with pytest.raises(InputError, match="cannot be written to"):
        write_clip(clip, tmp_path / "clip.mp4")


@pytest.mark.parametrize("ending", [*FILMS, "png"])
def test_a_failure_on_the_way_leaves_nothing_behind(clip: Clip, tmp_path: Path, ending: str) -> None:
    broken = SimpleNamespace(samples=None, leads=())
    with pytest.raises(TypeError):
        write_clip(clip, tmp_path / f"film.{ending}", ecg=broken)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_a_plain_sentence(clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("numpy.savez_compressed", full)
    with pytest.raises(InputError, match="No space left on device"):
        write_clip(clip, tmp_path / "clip.npz")
    assert list(tmp_path.iterdir()) == []
