"""The loop to watch: the picture is left alone, the cursor moves with it, the numbers are where they belong."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from echopulse.echo import Clip
from echopulse.echo.canvas import TEXT, WARNING, Scale, enlarge
from echopulse.echo.render import Rendering, heart_rate, render_loop
from echopulse.echo.strip import draw_strip, ecg_curve, ecg_scale


def cursor_column(canvas: np.ndarray, rendering: Rendering) -> int:
    """The column of the ECG strip that is brightest from top to bottom."""
    top, height = rendering.layout.ecg
    margin = rendering.layout.margin
    strip = canvas[top : top + height, margin : canvas.shape[1] - margin].astype(int).sum(axis=2)
    return int(np.sort(strip, axis=0)[height // 10].argmax())


def test_nothing_is_drawn_into_the_picture(clip: Clip, ecg: Any, beats: Any, measurement: Any) -> None:
    rendering = render_loop(clip, ecg=ecg, beats=beats, measurement=measurement, picture_px=128)
    left, top, wide, high = rendering.layout.picture
    for frame, canvas in zip(clip.frames, rendering.frames, strict=True):
        picture = canvas[top : top + high, left : left + wide]
        assert np.array_equal(picture, enlarge(frame, 128, 128)[..., None].repeat(3, axis=2))


def test_the_cursor_moves_with_the_picture(clip: Clip, ecg: Any) -> None:
    rendering = render_loop(clip, ecg=ecg, picture_px=256)
    width = rendering.layout.width - 2 * rendering.layout.margin
    columns = [cursor_column(canvas, rendering) for canvas in rendering.frames]
    assert columns == pytest.approx([width * k / 10 for k in range(10)], abs=1.01)


def test_a_long_clip_turns_the_page(ecg: Any) -> None:
    clip = Clip(np.zeros((8, 32, 32), np.uint8), np.arange(8.0))
    rendering = render_loop(clip, ecg=ecg, picture_px=128)
    columns = [cursor_column(canvas, rendering) for canvas in rendering.frames]
    assert columns[4] == columns[0] and columns[3] > columns[2] > columns[1] > columns[0]


def test_every_side_is_even(clip: Clip, ecg: Any, measurement: Any) -> None:
    for picture_px in (128, 135, 384, 512):
        for extra in ({}, {"ecg": ecg}, {"measurement": measurement}, {"ecg": ecg, "measurement": measurement}):
            layout = render_loop(clip, picture_px=picture_px, **extra).layout
            assert layout.width % 2 == 0 and layout.height % 2 == 0 and layout.foot < layout.height


def test_synthetic_stands_on_synthetic_clips_only(clip: Clip) -> None:
    def has_warning(clip: Clip) -> bool:
        canvas = next(render_loop(clip, picture_px=256).frames)
        return bool((np.abs(canvas.astype(int) - WARNING).sum(axis=2) < 12).any())

    assert has_warning(clip) and not has_warning(replace(clip, synthetic=False))


def test_frames_of_one_moment_differ_only_where_time_shows(clip: Clip, ecg: Any) -> None:
    first, second = list(render_loop(clip, ecg=ecg, picture_px=256).frames)[:2]
    assert np.array_equal(first[:20], second[:20]) and not np.array_equal(first, second)


def test_the_heart_rate_is_the_ecgs_or_else_the_pictures(beats: Any, measurement: Any) -> None:
    measurement.heart_rate_bpm = 80.0
    assert heart_rate(beats, measurement) == 150.0
    assert heart_rate(None, measurement) == 80.0
    assert np.isnan(heart_rate(None, None))


def test_a_square_of_paper_is_square_when_the_ecg_fits() -> None:
    times = np.arange(800) / 200.0
    scale = ecg_scale(times, np.sin(6 * times), (0, 4), 800, 200, (0, 4))
    assert float(scale.x(0.2) - scale.x(0.0)) == pytest.approx(float(scale.y(0.0) - scale.y(0.5)))


@pytest.mark.parametrize("height_mv", [0.0, 0.05, 1.0, 8.0])
def test_an_ecg_of_any_height_fits_its_strip(height_mv: float) -> None:
    times = np.arange(800) / 200.0
    values = height_mv * np.sin(6 * times)
    scale = ecg_scale(times, values, (0, 4), 584, 124, (0, 4))
    assert 0 < float(scale.y(values.max())) and float(scale.y(values.min())) < 124


def test_gaps_and_a_flat_line_are_drawn_without_complaint(ecg: Any) -> None:
    ecg.samples = np.full_like(ecg.samples, np.nan)
    times, values, lead = ecg_curve(ecg)
    strip = draw_strip(times, values, ecg_scale(times, values, (0, 2), 200, 60, (0, 2)), TEXT)
    assert lead == "II" and strip.at(1.0).shape == (60, 200, 3)


def test_the_trace_is_dim_ahead_of_the_cursor_and_bright_behind() -> None:
    times = np.linspace(0, 1, 101)
    strip = draw_strip(times, np.zeros(101), Scale(200, 40, 0.0, 1.0, -1.0, 1.0), (255, 255, 255))
    middle = strip.at(0.5)[20].max(axis=1)
    assert middle[20:80].min() > 200 and middle[120:180].max() < 140
