"""The sector is found among text and bars, and only grey sectors pass as echo pictures."""

import numpy as np

from echopulse.echo import Clip
from echopulse.echo.sector import Square, coloured_share, find_sector, sector_square, take_square, to_grey


def on_a_screen(clip: Clip) -> np.ndarray:
    """The clip's first frame at column 60, row 20 of a 120 x 200 screen with a text line and a bar."""
    screen = np.zeros((120, 200), np.uint8)
    screen[20:84, 60:124] = clip.frames[0]
    screen[4:8, 5:60:2] = 220  # text
    screen[112:116, 10:190] = 200  # a status bar
    return screen


def test_the_sector_is_found_beside_text_and_bars(clip: Clip) -> None:
    found = find_sector(on_a_screen(clip)[None])
    truth = np.zeros((120, 200), bool)
    truth[20:84, 60:124] = clip.sector
    assert (found & truth).sum() / (found | truth).sum() > 0.9  # intersection over union
    assert not found[:12].any() and not found[100:].any()


def test_the_square_stands_around_the_sector(clip: Clip) -> None:
    square = sector_square(find_sector(on_a_screen(clip)[None]))
    assert abs(square.top - 20) <= 3 and abs(square.left + square.side / 2 - 92) <= 2 and 58 <= square.side <= 66


def test_a_square_picture_that_its_sector_fills_is_taken_whole(clip: Clip) -> None:
    assert sector_square(find_sector(clip.frames)) == Square(0, 0, 64)


def test_a_blank_picture_has_no_sector() -> None:
    assert find_sector(np.zeros((2, 64, 64), np.uint8)) is None
    assert find_sector(np.eye(64, dtype=np.uint8)[None] * 200) is None


def test_shrinking_keeps_the_mean_and_black_fills_what_lies_outside() -> None:
    picture = np.random.default_rng(0).integers(0, 255, (64, 64)).astype(np.uint8)
    assert abs(float(take_square(picture, Square(0, 0, 64), 16).mean()) - float(picture.mean())) < 1.0
    assert take_square(picture, Square(-64, 0, 64), 16).max() == 0


def test_doppler_is_colour_and_a_tinted_scan_is_not() -> None:
    inside = np.ones((64, 64), bool)
    grey = np.random.default_rng(0).integers(0, 200, (64, 64, 1)).astype(np.float32)
    sepia = (grey * [1.2, 1.0, 0.7]).astype(np.uint8)
    doppler = grey.repeat(3, axis=2).astype(np.uint8)
    doppler[20:40, 20:40] = [220, 40, 20]
    assert coloured_share(sepia, inside) < 0.01
    assert coloured_share(doppler, inside) > 0.08


def test_grey_weighs_the_channels_as_luma_does() -> None:
    assert to_grey(np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)).tolist() == [[76, 150, 29]]
