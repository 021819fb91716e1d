"""A clip knows its frame rate and refuses frames that do not fit its times."""

from dataclasses import replace

import numpy as np
import pytest

from echopulse.echo import Clip


def test_rate_and_duration_come_from_the_times(clip: Clip) -> None:
    assert clip.fps == pytest.approx(25.0)
    assert clip.duration_s == pytest.approx(0.4)


def test_the_rate_of_uneven_times_is_that_of_the_median_interval() -> None:
    times = np.array([0.0, 0.033, 0.083, 0.116, 0.149])
    assert Clip(np.zeros((5, 4, 4), np.uint8), times).fps == pytest.approx(1 / 0.033)


def test_a_single_frame_has_no_rate() -> None:
    still = Clip(np.zeros((1, 4, 4), np.uint8), np.zeros(1))
    assert np.isnan(still.fps) and still.duration_s == 0.0


@pytest.mark.parametrize(
    "change",
    [
        {"times_s": np.zeros(10)},
        {"times_s": np.arange(9.0)},
        {"frames": np.zeros((10, 64, 64), np.float32)},
        {"frames": np.zeros((10, 64, 64, 3), np.uint8)},
        {"sector": np.zeros((8, 8), bool)},
    ],
)
def test_what_does_not_fit_is_refused(clip: Clip, change: dict) -> None:
    with pytest.raises(ValueError):
        replace(clip, **change)
