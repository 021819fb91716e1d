"""Generated clips in the EchoNet-Dynamic shape, read back as programs for that data set read them."""

import csv
import json

import av
import numpy as np
import pytest
from PIL import Image, ImageDraw

from echopulse.data.echonet_generated import export_generated
from echopulse.echo.types import Clip
from echopulse.errors import InputError
from echopulse.measure import measure_masks

SPACING_CM = 0.1


@pytest.fixture
def made(make_heart):
    """Two clips of a heart made by hand with the outlines that the measurer would find, in ml and without a scale."""
    heart = make_heart(frames=60, size=128, view="a4c")
    masks, times = heart.truth.lv_mask[0].numpy(), np.arange(60) / 50
    clips = [Clip(heart.frames[0].numpy(), times, "a4c", spacing, synthetic=True) for spacing in (SPACING_CM, None)]
    return clips, [measure_masks(masks, times, pixel_spacing_cm=spacing) for spacing in (SPACING_CM, None)]


def rows_of(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_tables_hold_what_the_official_loader_and_trainer_read(made, tmp_path):
    clips, measured = made
    assert export_generated(tmp_path, clips, measured, ef_asked=[0.4, None], split=["TRAIN", "VAL"]) == 2
    assert (tmp_path / "FileList.csv").read_text().splitlines()[0] == (
        "FileName,EF,ESV,EDV,FrameHeight,FrameWidth,FPS,NumberOfFrames,Split"
    )
    assert (tmp_path / "VolumeTracings.csv").read_text().splitlines()[0] == "FileName,X1,Y1,X2,Y2,Frame"
    first, second = rows_of(tmp_path / "FileList.csv")
    assert "." not in first["FileName"] and (first["Split"], second["Split"]) == ("TRAIN", "VAL")
    assert float(first["EF"]) == pytest.approx(40) and float(second["EF"]) == pytest.approx(100 * measured[1].ef)
    assert float(first["ESV"]) == pytest.approx(measured[0].volumes[measured[0].es_frames[0]])
    assert (float(second["ESV"]), float(second["EDV"])) == (0, 0)
    assert (first["FrameHeight"], first["FrameWidth"], first["NumberOfFrames"]) == ("112", "112", "60")
    assert float(first["FPS"]) == pytest.approx(50)
    about = json.loads((tmp_path / "Generated.json").read_text())
    assert "SYNTHETIC" in about["notice"] and about["clips"][0]["ef_asked"] == 0.4
    assert about["clips"][0]["ef_measured"] == pytest.approx(measured[0].ef, abs=1e-6)


def test_tracings_come_systole_first_and_fit_the_resized_picture(made, tmp_path):
    clips, measured = made
    export_generated(tmp_path, clips, measured)
    for number, seen in enumerate(measured):
        name = f"GENERATED{number:06d}.avi"
        rows = [row for row in rows_of(tmp_path / "VolumeTracings.csv") if row["FileName"] == name]
        frames = list(dict.fromkeys(int(row["Frame"]) for row in rows))
        assert frames == [seen.es_frames[0], seen.ed_frames[0]] and len(rows) == 42
        for frame in frames:
            chords = np.array([[float(row[key]) for key in ("X1", "Y1", "X2", "Y2")] for row in rows
                               if int(row["Frame"]) == frame])  # fmt: skip
            x1, y1, x2, y2 = chords.T
            assert y1[0] < y2[0] and (np.diff(y1[1:]) > 0).all()  # from the apex to the base
            outline = np.stack([np.r_[x1[1:], x2[:0:-1]], np.r_[y1[1:], y2[:0:-1]]], 1)
            picture = Image.new("1", (112, 112))
            ImageDraw.Draw(picture).polygon([tuple(place) for place in np.rint(outline)], fill=1)
            true = np.asarray(Image.fromarray(seen.masks[frame]).resize((112, 112)))
            drawn = np.asarray(picture)
            assert 2 * (drawn & true).sum() / (drawn.sum() + true.sum()) > 0.93


def test_videos_are_square_motion_jpeg_also_of_wide_clips(made, tmp_path):
    clip, seen = made[0][0], made[1][0]
    wide = Clip(clip.frames[:, 32:], clip.times_s, "a4c", synthetic=True)
    export_generated(tmp_path, [wide], [measure_masks(seen.masks[:, 32:], clip.times_s)])
    with av.open(str(tmp_path / "Videos" / "GENERATED000000.avi")) as video:
        stream = video.streams.video[0]
        assert stream.codec_context.name == "mjpeg" and float(stream.average_rate) == 50
        frames = np.stack([frame.to_ndarray(format="rgb24") for frame in video.decode(stream)])
    assert frames.shape == (60, 112, 112, 3)
    assert frames[:, :13].mean() < 4 < frames[:, 20:92].mean()  # 16 of 128 rows above and below are padding
    chords = rows_of(tmp_path / "VolumeTracings.csv")
    down = [float(row["Y2"]) for row in chords]
    assert 14 < min(down) and max(down) < 98


def test_a_clip_without_a_ventricle_is_listed_with_the_ef_asked_for_but_not_traced(made, tmp_path):
    clip = made[0][0]
    blind = measure_masks(np.zeros(clip.frames.shape, bool), clip.times_s)
    assert export_generated(tmp_path, [clip], [blind], ef_asked=[0.5]) == 0
    assert len(rows_of(tmp_path / "FileList.csv")) == 1 and rows_of(tmp_path / "VolumeTracings.csv") == []
    with pytest.raises(InputError, match="clip 0: no EF was asked for and none measured"):
        export_generated(tmp_path / "other", [clip], [blind])


def test_what_cannot_be_exported_is_refused_before_anything_is_written(made, tmp_path):
    clips, measured = made
    for wrong, said in (
        (dict(ef_asked=[0.4]), "1 EFs for 2 clips"), (dict(split="train"), "split train: expected one of TRAIN"),
        (dict(ef_asked=[55, 0.4]), "EF 55 was asked for"), (dict(size=111), "an even number"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=said):
            export_generated(tmp_path / "out", clips, measured, **wrong)
    with pytest.raises(InputError, match="no clips to export"):
        export_generated(tmp_path / "out", [], [])
    assert not (tmp_path / "out").exists()
    export_generated(tmp_path, clips, measured)
    with pytest.raises(InputError, match="FileList.csv exists already"):
        export_generated(tmp_path, clips, measured)
    assert export_generated(tmp_path, clips, measured, force=True) == 2
