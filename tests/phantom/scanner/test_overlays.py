"""The simulated monitor prints what monitors print, where it says it does."""

import numpy as np
import pytest
import torch

from echopulse.errors import InputError
from echopulse.phantom.scanner.lettering import letters
from echopulse.phantom.scanner.overlays import Look, draw_look, print_overlays
from echopulse.phantom.scanner.trace import lay_trace

TIMES = np.arange(4) / 10
ECG_TIMES = np.arange(-300, 200) / 100
ECG = np.exp(-(((ECG_TIMES + 3) % 0.8 - 0.4) ** 2) / 0.0004)  # an R peak every 0.8 s, first at -2.6 s


def look(seed: int = 0, **changes) -> Look:
    drawn = draw_look(torch.Generator().manual_seed(seed))
    return Look(**(vars(drawn) | changes))


def screen(size=(320, 240), ecg=(ECG, ECG_TIMES), **changes):
    frames = np.full((4, 32, 32), 100, np.uint8)
    sector = np.zeros((32, 32), bool)
    sector[2:30, 6:26] = True
    drawn = look(**changes)
    return print_overlays(frames * sector, sector, TIMES, pixel_spacing_cm=0.5, look=drawn, ecg=ecg, size=size)


@pytest.mark.parametrize("size", [(160, 128), (320, 240), (641, 479)])
def test_screens_have_the_size_asked_for_and_their_boxes_lie_on_them(size):
    for seed in range(4):
        shown = screen(size, **vars(look(seed)))
        assert shown.frames.shape == (4, size[1], size[0], 3) and shown.frames.dtype == np.uint8
        for box in (shown.picture, shown.strip):
            assert 0 <= box.left and box.left + box.width <= size[0]
            assert 0 <= box.top and box.top + box.height <= size[1]


def test_the_picture_is_where_its_box_is_and_as_large_as_its_scale_says():
    shown = screen(tint=(255, 255, 255))
    middle = shown.picture.of(shown.frames[0])[shown.picture.height // 2, shown.picture.width // 2]
    assert np.abs(middle.astype(int) - 100).max() <= 1
    assert shown.pixel_spacing_cm == pytest.approx(32 * 0.5 / shown.picture.width)


def test_without_an_ecg_there_is_no_strip():
    shown = screen(ecg=None)
    assert shown.strip is None and np.isnan(shown.seconds_per_pixel)


def test_a_tint_colours_the_picture():
    shown = screen(tint=(255, 224, 170))
    red, _, blue = shown.picture.of(shown.frames[0])[shown.picture.height // 2, shown.picture.width // 2]
    assert red > 1.3 * blue


@pytest.mark.parametrize("mode", ["sweep", "scroll", "cursor"])
def test_every_kind_of_trace_moves(mode):
    shown = screen(trace_mode=mode, strip_overlaps=False)
    first, last = (shown.strip.of(shown.frames[k]) for k in (0, 3))
    assert (first != last).any() and first.max() > 150


def test_an_r_peak_is_drawn_at_its_time():
    """The highest column of a strip with a cursor, in seconds, is where the ECG has an R peak."""
    trace = lay_trace((ECG, ECG_TIMES), 400, 60, 2.0, (0.0, 0.3), "cursor", (0, 255, 0), 1.0)
    ground = np.zeros((60, 400, 3), np.uint8)
    trace.draw(ground, 0.0)
    green = (ground[:12, :, 1] > 120) & (ground[:12, :, 0] < 60)
    peaks_s = trace.start_s + (np.nonzero(green.any(0))[0] + 0.5) * trace.seconds / 400
    assert len(peaks_s) and np.all(np.abs((peaks_s + 3) % 0.8 - 0.4) < 0.03)


def test_a_sweep_wipes_a_gap_before_it_writes():
    trace = lay_trace((ECG, ECG_TIMES), 400, 60, 1.0, (0.0, 1.9), "sweep", (0, 255, 0), 1.0)
    ground = np.zeros((60, 400, 3), np.uint8)
    trace.draw(ground, 0.4)
    head = int(((0.4 - trace.start_s) % 1.0) * 400)
    drawn = ground.max((0, 2)) > 100
    assert drawn[head - 20] and not drawn[head + 6 : head + 12].any() and drawn[head + 40]


def test_missing_samples_leave_gaps():
    holes = ECG.copy()
    holes[280:320] = np.nan
    trace = lay_trace((holes, ECG_TIMES), 400, 60, 2.0, (0.0, 0.3), "cursor", (0, 255, 0), 1.0)
    ground = np.zeros((60, 400, 3), np.uint8)
    trace.draw(ground, 0.3)
    gap = [int((t - trace.start_s) / trace.seconds * 400) for t in (-0.1, 0.1)]
    assert not ground[:, gap[0] : gap[1]].any()


def test_the_same_generator_gives_the_same_screen():
    assert look(3) == look(3) and any(look(3) != look(seed) for seed in range(4, 8))


def test_letters_are_seven_points_high():
    assert letters("Hz 5").shape == (7, 23) and letters("A", 3).shape == (21, 15)
    assert not letters("~").any() and letters("I").any()


def test_a_screen_too_small_to_print_on_is_refused():
    with pytest.raises(InputError, match="at least 128"):
        screen((100, 100))
