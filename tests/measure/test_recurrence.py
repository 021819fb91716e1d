"""The rate of clips of little more than one beat, from pictures that come again."""

import numpy as np
import pytest

from echopulse.measure.recurrence import recurrence_rate_bpm


def beating(rate: float, seconds: float, fps: float = 30.0, noise: float = 6.0):
    """A dark disc that shrinks and grows and never at an even pace, in noise: uint8 [t, 48, 48] and times."""
    times = np.arange(0, seconds, 1 / fps)
    phase = (times * rate / 60 + 0.3) % 1
    radius = 14 - 5 * np.sin(np.pi * phase**0.6) ** 2
    y, x = np.mgrid[:48, :48] - 24
    edge = np.hypot(x, y)[None] - radius[:, None, None]
    frames = 60 + 60 * np.tanh(edge) + noise * np.random.default_rng(0).standard_normal(edge.shape)
    return frames.clip(0, 255).astype(np.uint8), times


@pytest.mark.parametrize(("rate", "seconds"), [(66, 1.05), (75, 1.0), (100, 0.8), (50, 1.4), (90, 1.0)])
def test_a_little_more_than_one_beat_is_enough(rate, seconds):
    assert recurrence_rate_bpm(*beating(rate, seconds)) == pytest.approx(rate, abs=3)


def test_several_beats_are_not_taken_for_one():
    assert recurrence_rate_bpm(*beating(120, 2.4)) == pytest.approx(120, abs=4)


def test_a_heart_that_stands_still_or_a_clip_shorter_than_a_beat_has_no_rate():
    frames, times = beating(75, 2.0)
    noise = np.random.default_rng(1).integers(0, 30, frames.shape).astype(np.uint8)
    assert np.isnan(recurrence_rate_bpm(noise, times))
    assert np.isnan(recurrence_rate_bpm(*beating(60, 0.7)))
    assert np.isnan(recurrence_rate_bpm(frames[:3], times[:3]))
