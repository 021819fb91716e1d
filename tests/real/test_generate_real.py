"""Real recordings through the bundled weights, every file: a heart that beats as the ECG does."""

import json
from pathlib import Path

import numpy as np
import pytest

from echopulse import EchoPulse, find_beats, read_ecg
from echopulse.cli import main
from echopulse.evaluate.beats import beat_figures
from echopulse.pipeline import BUNDLED

SINUS = ("wfdb/100", "apple/heartlens_sample_ecg_2_zh.csv")
OTHERS = ("wfdb/A00004", "wfdb/JS20003")  # atrial fibrillation; ventricular ectopic beats

pytestmark = pytest.mark.skipif(not (BUNDLED / "config.json").exists(), reason="no bundled weights yet")


@pytest.fixture(scope="module")
def generated(samples: Path, tmp_path_factory) -> dict[str, Path]:
    """Each recording's clip as NPZ, seed 0."""
    folder = tmp_path_factory.mktemp("clips")
    clips = {}
    for name in SINUS + OTHERS:
        clips[name] = folder / f"{Path(name).stem}.npz"
        assert main(["generate", str(samples / "ecg" / name), "--seconds", "4", "--out", str(clips[name])]) == 0
    return clips


def report_of(clip: Path) -> dict:
    return json.loads(clip.with_suffix(".json").read_text())


@pytest.mark.parametrize("name", SINUS + OTHERS)
def test_every_recording_gives_a_hundred_frames_and_a_report(generated, name):
    report = report_of(generated[name])
    with np.load(generated[name]) as stored:
        frames, times = stored["frames"], stored["times"]
    assert frames.shape == (100, 128, 128) and frames.dtype == np.uint8 and times.shape == (100,)
    assert np.allclose(np.diff(times), 0.04)
    assert report["video"]["frames"] == 100 and len(report["ecg"]["r_peaks_s"]) >= 3
    assert all(times[0] <= peak <= times[-1] for peak in report["ecg"]["r_peaks_s"])


@pytest.mark.parametrize("name", SINUS + OTHERS)
def test_every_clip_is_a_dark_picture_that_moves_without_jumping(generated, name):
    with np.load(generated[name]) as stored:
        frames = stored["frames"].astype(float)
    steps = np.abs(np.diff(frames, axis=0)).mean((1, 2))
    assert 10 < frames.mean() < 110 and frames.std() > 15
    assert steps.min() > 0 and steps.max() < 6 * np.median(steps)


@pytest.mark.parametrize("name", SINUS)
def test_in_sinus_rhythm_the_heart_in_the_video_has_the_rate_of_the_ecg(samples, name):
    """Over eight seconds and the same stretch of time: in four, two frames at either end are 3/min."""
    model, ecg = EchoPulse.from_pretrained(), read_ecg(samples / "ecg" / name)
    made = model(ecg, seconds=8, seed=0)
    found = beat_figures(find_beats(ecg).r_peaks_s, made.clip.times_s, model.measure(made.clip).volumes)
    assert found["rate_difference_bpm"] <= 2


@pytest.mark.parametrize("name", SINUS + OTHERS)
def test_nearly_every_beat_of_the_ecg_empties_the_ventricle(generated, name):
    report = report_of(generated[name])
    beats = len(report["ecg"]["r_peaks_s"])
    assert beats - 2 <= len(report["video"]["ef"]) <= beats + 1
    assert all(0.05 < ef < 0.9 for ef in report["video"]["ef"])
