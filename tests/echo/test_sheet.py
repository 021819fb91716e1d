"""Sheets: ED and ES of each beat over the ECG, and rows of frames over time."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from echopulse.echo import Clip, contact_sheet, read_frame, save_sheet, strip_sheet, write_clip
from echopulse.echo.sheet import _moments
from echopulse.errors import InputError


def test_the_frames_shown_are_those_of_the_measurement(clip: Clip, measurement: Any) -> None:
    rows, more = _moments(clip, measurement, None, None)
    assert [(name, frames) for name, frames, _ in rows] == [("ED", [0]), ("ES", [5])] and more <= 0


def test_frames_can_be_named(clip: Clip) -> None:
    rows, _ = _moments(clip, None, [1, 7], [4])
    assert [frames for _, frames, _ in rows] == [[1, 7], [4]]


def test_without_beats_the_frames_are_spread_evenly(clip: Clip, measurement: Any) -> None:
    measurement.ed_frames = measurement.es_frames = np.array([], int)
    rows, _ = _moments(clip, measurement, None, None)
    assert [index for _, frames, _ in rows for index in frames] == [0, 1, 3, 4, 5, 6, 8, 9]


def test_many_beats_are_counted_and_cut(clip: Clip) -> None:
    rows, more = _moments(clip, None, list(range(10)), list(range(10)))
    assert len(rows[0][1]) == 8 and more == 2


@pytest.mark.parametrize("given", [(), ("ecg",), ("measurement",), ("ecg", "beats", "measurement")])
def test_a_sheet_is_drawn_from_whatever_is_known(
    clip: Clip, given: tuple[str, ...], request: pytest.FixtureRequest
) -> None:
    sheet = contact_sheet(clip, **{name: request.getfixturevalue(name) for name in given})
    assert sheet.dtype == np.uint8 and sheet.ndim == 3 and sheet.std() > 5


def test_a_single_frame_and_a_bare_clip_make_a_sheet(clip: Clip) -> None:
    still = replace(clip, frames=clip.frames[:1], times_s=clip.times_s[:1], view=None, synthetic=False)
    assert contact_sheet(still).std() > 5


def test_a_sheet_is_no_echo_picture(clip: Clip, tmp_path: Path) -> None:
    path = write_clip(clip, tmp_path / "sheet.png")
    with pytest.raises(InputError, match="contact sheet"):
        read_frame(path)


def test_rows_of_frames_are_placed_by_time(clip: Clip) -> None:
    slow = replace(clip, frames=clip.frames[::2], times_s=clip.times_s[::2])
    sheet = strip_sheet([clip, slow], ["25 a second", "12.5 a second"], every_s=0.08, thumb=64)
    left = sheet.shape[1] - 8 - 5 * 67
    first, second = (sheet[top : top + 64, left : left + 64, 0] for top in (28, 28 + 67))
    assert np.array_equal(first, clip.frames[0]) and np.array_equal(second, clip.frames[0])
    third = sheet[28 : 28 + 64, left + 2 * 67 : left + 2 * 67 + 64, 0]
    assert np.array_equal(third, clip.frames[4])


def test_labels_must_match(clip: Clip) -> None:
    with pytest.raises(ValueError):
        strip_sheet([clip], [])


def test_a_sheet_is_saved_as_png_only(clip: Clip, tmp_path: Path) -> None:
    sheet = strip_sheet([clip], ["a"])
    assert save_sheet(sheet, tmp_path / "rows.png").exists()
    with pytest.raises(InputError, match=r"\.png"):
        save_sheet(sheet, tmp_path / "rows.jpg")
