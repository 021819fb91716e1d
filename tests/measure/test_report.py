"""What a measurement says on the screen and in its file."""

import json

import numpy as np
import pytest

from echopulse.echo.types import Clip
from echopulse.files import write_json
from echopulse.measure import Biplane, Measurement, Walls
from echopulse.measure.report import SHORT_BEATS, as_dictionary, biplane_as_dictionary, describe, describe_biplane

TIMES = np.arange(50) / 25


def measurement(**changes) -> Measurement:
    volumes = 80 + 40 * np.cos(2 * np.pi * TIMES)
    values = {
        "times_s": TIMES, "masks": np.zeros((50, 4, 4), bool), "areas_cm2": volumes / 4, "volumes": volumes,
        "volumes_area_length": volumes, "volume_unit": "ml", "ed_frames": np.array([0, 25]),
        "es_frames": np.array([12, 37]), "ef_per_beat": np.array([0.66, 0.68]), "confidence": np.full(50, 0.93),
    }  # fmt: skip
    return Measurement(**{**values, **changes})


def clip(**changes) -> Clip:
    return Clip(np.zeros((50, 4, 4), np.uint8), TIMES, view="a4c", **changes)


def test_every_beat_is_told():
    text = describe(measurement(), clip(pixel_spacing_cm=0.1, synthetic=True))
    assert "EF 67 % (beats: 66 %, 68 %)" in text and "heart rate 60/min" in text
    assert "0.48" in text and "120" in text and "single-plane Simpson" in text
    assert "SYNTHETIC" in text and "Not for diagnosis" in text
    assert "trust" not in text


def test_doubtful_outlines_and_lost_frames_are_told():
    volumes = measurement().volumes.copy()
    volumes[:5] = np.nan
    text = describe(measurement(confidence=np.full(50, 0.5), volumes=volumes, volume_unit="relative"), clip())
    assert "before you trust this" in text and "no ventricle in 5 of 50 frames" in text and "relative" in text


def test_a_standing_heart_and_an_empty_picture_have_their_own_words():
    none = np.zeros(0, int)
    still = measurement(volumes=np.full(50, 90.0), ed_frames=none, es_frames=none, ef_per_beat=np.zeros(0))
    assert "No whole heartbeat" in describe(still, clip()) and "0 %" in describe(still, clip())
    empty = measurement(volumes=np.full(50, np.nan), ed_frames=none, es_frames=none, ef_per_beat=np.zeros(0))
    assert "No left ventricle was found" in describe(empty, clip())


def test_the_file_holds_every_number_and_null_where_there_is_none(tmp_path):
    volumes = measurement().volumes.copy()
    volumes[3] = np.nan
    write_json(as_dictionary(measurement(volumes=volumes), clip(pixel_spacing_cm=0.1)), tmp_path / "m.json")
    kept = json.loads((tmp_path / "m.json").read_text())
    assert kept["ef"] == pytest.approx(0.67) and kept["ef_per_beat"] == [0.66, 0.68]
    assert kept["ed_frames"] == [0, 25] and kept["volumes"][3] is None and len(kept["times_s"]) == 50
    assert kept["volume_unit"] == "ml" and kept["heart_rate_bpm"] == pytest.approx(60) and kept["synthetic"] is False
    assert [path.name for path in tmp_path.iterdir()] == ["m.json"]


def test_a_guessed_view_and_a_calibrated_ef_are_told_as_such():
    text = describe(measurement(view="a2c", view_confidence=0.8, ef_per_beat_calibrated=np.array([0.6, 0.62])), clip())
    assert "view a2c, guessed (80 % sure)" in text and "EF 61 % with volumes calibrated on simulated hearts" in text


def test_a_long_axis_has_diameters_and_a_short_axis_an_area_change():
    nan, area = np.full(50, np.nan), np.array([0.4, 0.42])
    walls = Walls(np.full(50, 1.0), np.full(50, 4.8), np.full(50, 1.1))
    text = describe(measurement(view="plax", volumes=nan, walls=walls, area_change_per_beat=area), clip())
    assert "no volume or EF" in text and "septum 1.0, cavity 4.8, posterior wall 1.1 cm" in text
    text = describe(measurement(view="psax_mitral", volumes=nan, area_change_per_beat=area), clip())
    assert "area change 41 %" in text and "septum" not in text


def test_two_views_together_are_told_with_a_warning_where_one_is_foreshortened():
    two = Biplane(np.array([120.0, 118.0]), np.array([60.0, 59.0]), np.array([0.5, 0.5]), "ml", 0.25)
    text = describe_biplane(two)
    assert "biplane: EF 50 %, EDV 119, ESV 60 ml, 2 pairs" in text and "foreshortened" in text
    assert biplane_as_dictionary(two)["ef_per_beat"] == [0.5, 0.5]


def test_a_rate_from_pictures_that_come_again_is_called_rough():
    one = {"ed_frames": np.array([0]), "es_frames": np.array([12]), "ef_per_beat": np.array([0.66])}
    assert "heart rate 67/min, roughly" in describe(measurement(**one, recurrence_bpm=66.9), clip())
    assert "roughly" not in describe(measurement(), clip())
    assert as_dictionary(measurement(**one, recurrence_bpm=66.9), clip())["heart_rate_is_rough"] is True


IRREGULAR = {
    "ed_frames": np.array([0, 15, 38]), "es_frames": np.array([8, 23, 45]), "ef_per_beat": np.array([0.5, 0.5, 0.6]),
}  # fmt: skip


def test_of_irregular_beats_it_is_told_that_short_ones_may_be_merged():
    found = measurement(**IRREGULAR)
    assert describe(found, clip()).count("very short ones may be merged") == 1
    assert as_dictionary(found, clip())["caveats"] == [SHORT_BEATS]
    area = np.array([0.4, 0.4, 0.4])
    across = measurement(**IRREGULAR, view="psax_mitral", volumes=np.full(50, np.nan), area_change_per_beat=area)
    assert SHORT_BEATS in describe(across, clip())


def test_of_regular_beats_and_of_a_single_one_there_is_no_caveat():
    one = {"ed_frames": np.array([0]), "es_frames": np.array([12]), "ef_per_beat": np.array([0.66])}
    for found in (measurement(), measurement(**one)):
        assert "merged" not in describe(found, clip()) and as_dictionary(found, clip())["caveats"] == []
