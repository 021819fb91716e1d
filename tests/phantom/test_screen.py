"""Simulated clips on a scanner's monitor."""

from dataclasses import replace

import numpy as np
import pytest

from echopulse.errors import InputError
from echopulse.phantom import print_screen, simulate
from echopulse.phantom.screen import heart_rate


@pytest.fixture(scope="module")
def clips():
    return simulate(2, seed=4, prior="easy", view="a4c", frames=3, fps=10.0, size=32, heart_rate_bpm=[60, 90])


def test_a_clip_is_shown_with_its_depth_its_ecg_and_its_rate(clips):
    shown = print_screen(clips, 0, size=(320, 240))
    assert shown.frames.shape == (3, 240, 320, 3) and shown.frames.dtype == np.uint8
    assert shown.strip.of(shown.frames[0]).max() > 150 and np.isfinite(shown.seconds_per_pixel)
    depth_cm = 32 * float(clips.truth.pixel_spacing_cm[0])
    assert shown.pixel_spacing_cm * shown.picture.height == pytest.approx(depth_cm)


def test_the_same_clips_give_the_same_screen_and_every_clip_its_own_picture(clips):
    first, again, other = (print_screen(clips, i, size=(160, 128)) for i in (0, 0, 1))
    assert np.array_equal(first.frames, again.frames) and (first.frames != other.frames).any()


def test_the_seed_decides_the_looks(clips):
    screens = [print_screen(replace(clips, seed=seed), 0, size=(160, 128)).frames for seed in range(4)]
    assert any((screens[0] != other).any() for other in screens[1:])


def test_the_rate_on_it_is_that_of_the_beats(clips):
    assert heart_rate(clips, 0) == pytest.approx(60, rel=0.1) and heart_rate(clips, 1) == pytest.approx(90, rel=0.1)


def test_a_screen_too_small_is_refused(clips):
    with pytest.raises(InputError, match="at least 128"):
        print_screen(clips, 0, size=(100, 90))
