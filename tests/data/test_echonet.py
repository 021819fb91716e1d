"""The EchoNet-Dynamic shape, read back as the official loader reads the data set itself."""

import collections
import csv

import av
import numpy as np
import pytest
from PIL import Image, ImageDraw

from echopulse.data.export import export


@pytest.fixture
def folder(tmp_path, by_hand):
    export(tmp_path, 9, form="echonet", seconds=1.2)
    return tmp_path


def rows_of(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def official_tracings(folder):
    """Chords per video and frame, the frames in their order in the file: the loop of echonet/datasets/echo.py."""
    frames, trace = collections.defaultdict(list), collections.defaultdict(lambda: collections.defaultdict(list))
    with (folder / "VolumeTracings.csv").open() as file:
        assert file.readline().strip().split(",") == ["FileName", "X1", "Y1", "X2", "Y2", "Frame"]
        for line in file:
            filename, x1, y1, x2, y2, frame = line.strip().split(",")
            if int(frame) not in trace[filename]:
                frames[filename].append(int(frame))
            trace[filename][int(frame)].append([float(value) for value in (x1, y1, x2, y2)])
    return frames, trace


def test_the_list_has_the_columns_and_values_of_the_data_set(folder):
    rows = rows_of(folder / "FileList.csv")
    assert list(rows[0]) == "FileName EF ESV EDV FrameHeight FrameWidth FPS NumberOfFrames Split".split()
    assert len(rows) == 9 and [row["Split"] for row in rows[:8]].count("TRAIN") == 6
    for row in rows:
        esv, edv = float(row["ESV"]), float(row["EDV"])
        assert float(row["EF"]) == pytest.approx(100 * (1 - esv / edv), abs=1e-3) and 50 < float(row["EF"]) < 60
        assert (row["FrameHeight"], row["FrameWidth"], row["NumberOfFrames"]) == ("112", "112", "60")


def test_videos_are_motion_jpeg_of_three_like_channels_and_keep_the_picture(folder, by_hand, make_heart):
    row = rows_of(folder / "FileList.csv")[0]
    with av.open(str(folder / "Videos" / f"{row['FileName']}.avi")) as video:
        stream = video.streams.video[0]
        assert stream.codec_context.name == "mjpeg" and float(stream.average_rate) == float(row["FPS"]) == 50
        frames = np.stack([frame.to_ndarray(format="rgb24") for frame in video.decode(stream)])
    assert frames.shape == (60, 112, 112, 3) and (np.ptp(frames.astype(int), axis=3) <= 2).all()
    true = make_heart(seconds=1.2, size=112, view="a4c").frames[0].numpy()
    assert np.abs(frames[..., 0].astype(int) - true).mean() < 3


def test_tracings_come_systole_first_and_their_polygon_is_the_cavity(folder, make_heart):
    frames, trace = official_tracings(folder)
    assert len(frames) == 9
    truth = make_heart(seconds=1.2, size=112, view="a4c").truth
    for name, (small, large) in frames.items():
        assert truth.volume_ml[0, small] < truth.volume_ml[0, large]
        for frame in (small, large):
            chords = np.array(trace[name][frame])
            assert chords.shape == (21, 4)
            x1, y1, x2, y2 = chords.T
            x, y = np.concatenate((x1[1:], np.flip(x2[1:]))), np.concatenate((y1[1:], np.flip(y2[1:])))
            picture = Image.new("1", (112, 112))
            ImageDraw.Draw(picture).polygon(list(zip(np.rint(x), np.rint(y), strict=True)), fill=1)
            drawn, true = np.asarray(picture), truth.lv_mask[0, frame].numpy()
            assert 2 * (drawn & true).sum() / (drawn.sum() + true.sum()) > 0.93


def test_every_video_has_its_ecg(folder):
    import wfdb

    for row in rows_of(folder / "FileList.csv"):
        assert wfdb.rdrecord(str(folder / "ECGs" / row["FileName"])).fs == 200


def test_a_longer_export_lists_all(folder, by_hand):
    before = (folder / "FileList.csv").read_text()
    assert export(folder, 10, form="echonet", seconds=1.2).made == 1
    after = (folder / "FileList.csv").read_text()
    assert after.startswith(before) and len(after.splitlines()) == 11


def test_a_heart_that_stands_still_is_drawn_again(tmp_path, monkeypatch, make_heart):
    drawn = []

    def simulate(n, **options):
        drawn.append(options["seed"])
        return make_heart(n, **options, rhythm="asystole" if len(drawn) < 4 else "sinus")

    monkeypatch.setattr("echopulse.data.plan.simulate", simulate)
    export(tmp_path, 1, form="echonet", seconds=1.2)
    assert len(set(drawn)) == 4 and 50 < float(rows_of(tmp_path / "FileList.csv")[0]["EF"]) < 60
