"""The page: true to scale, every lead in its place."""

import numpy as np
import pytest

from echopulse.ecg import find_beats
from echopulse.ecg.paper import STANDARD, _page, lay_out, plot_ecg


def test_twelve_leads_stand_in_three_rows_of_four_over_a_strip_of_ii(heart):
    ecg = heart(np.arange(0.5, 12, 0.8), 12, leads=tuple(STANDARD))
    strips, shown = lay_out(ecg)
    assert shown == 10 and [ecg.leads[strip.lead] for strip in strips] == [*STANDARD, "II"]
    assert [strip.row for strip in strips] == [0] * 4 + [1] * 4 + [2] * 4 + [3]
    assert all(strip.start_s == strip.at_s for strip in strips) and strips[-1].seconds == 10


@pytest.mark.parametrize(
    ("leads", "seconds", "rows", "shown"), [(1, 25, 3, 25), (2, 25, 6, 25), (1, 600, 12, 120), (15, 12, 12, 10)]
)
def test_others_stand_in_rows_of_ten_seconds(heart, leads, seconds, rows, shown):
    strips, found = lay_out(heart(np.arange(0.5, 5, 0.8), seconds, leads=tuple(f"x{i}" for i in range(leads))))
    assert len({strip.row for strip in strips}) == len(strips) == rows and found == shown
    assert sum(strip.seconds for strip in strips if strip.lead == 0) == pytest.approx(shown)


def test_a_second_is_25_and_a_millivolt_10_millimetres_on_the_page(heart):
    ecg = heart(np.arange(0.5, 8, 0.8), 8, noise_mv=0)
    figure = _page(ecg, find_beats(ecg))
    axes = figure.axes[0]
    width_mm, height_mm = 25.4 * figure.get_size_inches()
    assert axes.get_xlim() == (0, pytest.approx(width_mm)) and axes.get_ylim() == (0, pytest.approx(height_mm))
    pulse, trace, marks = axes.lines[:3]
    assert np.ptp(pulse.get_ydata()) == 10 and np.ptp(trace.get_ydata()) == pytest.approx(10 * np.ptp(ecg.samples))
    peaks = trace.get_xdata()[np.abs(trace.get_xdata()[:, None] - marks.get_xdata()).argmin(axis=0)]
    assert np.diff(peaks) == pytest.approx(25 * 0.8, abs=0.15) and len(peaks) == 10


def test_the_same_ecg_is_the_same_drawing(heart, tmp_path):
    ecg = heart(np.arange(0.5, 8, 0.8), 8)
    beats = find_beats(ecg)
    for ending in ("svg", "pdf", "png"):
        one, two = (plot_ecg(ecg, beats, tmp_path / f"{name}.{ending}").read_bytes() for name in "ab")
        assert one == two
