"""A valve that opens, one that stays shut and one that opens halfway, hung on an annulus that moves."""

import numpy as np
import pytest

from echopulse.evaluate.valve import LA, LV, find_annulus, openings, stretches, valve_patches
from echopulse.phantom import simulate

T, SIZE = 24, 64
OPENING = np.where((np.arange(T) // 6) % 2 == 1, 1.0, 0.0)  # shut, open, shut, open


def hearts(line: float = 0.8) -> tuple[np.ndarray, np.ndarray]:
    """Pictures [t, h, w] and labels: a bright line between two dark chambers wherever the valve is shut.

    The annulus goes up and down by four pixels, which is no valve's doing.
    """
    frames, labels = np.full((T, SIZE, SIZE), 0.3), np.zeros((T, SIZE, SIZE), np.uint8)
    for k in range(T):
        row = 36 + int(round(4 * np.sin(2 * np.pi * k / T)))
        labels[k, 12:row, 20:44], labels[k, row:56, 20:44] = LV, LA
        frames[k, 12:56, 20:44] = 0.05
        if not OPENING[k]:
            frames[k, row - 2 : row + 1, 20:44] = line
    return frames, labels


def test_the_annulus_is_the_line_between_the_chambers_and_points_into_the_ventricle():
    _, labels = hearts()
    annulus = find_annulus(labels)
    assert annulus.half_width == pytest.approx(11.5)
    assert annulus.middle[0] == pytest.approx([35.5, 31.5])
    assert annulus.inwards[0] == pytest.approx([-1, 0]) and abs(annulus.across[0, 1]) == pytest.approx(1)


def test_a_valve_opens_as_far_as_it_does_in_the_original():
    frames, labels = hearts()
    half, _ = hearts(0.05 + 0.75 / 2)
    assert openings(frames, frames, labels, OPENING) == pytest.approx([1, 1])
    assert openings(frames, half, labels, OPENING) == pytest.approx([0.5, 0.5], abs=0.01)


def test_a_valve_that_stays_shut_or_stands_open_does_not_open():
    frames, labels = hearts()
    shut = frames.copy()
    for k in np.flatnonzero(OPENING):
        row = np.flatnonzero(labels[k, :, 30] == LA)[0]
        shut[k, row - 2 : row + 1, 20:44] = 0.8
    gone, _ = hearts(0.05)
    for other in (shut, gone):
        assert openings(frames, other, labels, OPENING) == pytest.approx([0, 0], abs=0.02)


def test_what_cannot_be_seen_is_not_counted():
    frames, labels = hearts()
    faint, _ = hearts(0.07)
    assert openings(faint, frames, labels, OPENING) == []
    assert openings(frames, frames, labels, np.ones(T)) == []  # never shut: nothing to compare with
    assert openings(frames, frames, np.zeros_like(labels), OPENING) == []  # a view without a left atrium
    labels[:6] = 0
    assert np.isnan(valve_patches(frames, find_annulus(labels))[:6]).all()
    assert len(openings(frames, frames, labels, OPENING)) == 2


def test_a_simulated_valve_opens_once_or_twice_a_beat_and_another_hearts_picture_does_not_pass_for_it():
    made = simulate(2, seed=4, view="a4c", frames=40, rhythm="sinus", heart_rate_bpm=70.0, prior="easy")
    frames, labels = made.frames.numpy() / 255, made.truth.labels.numpy()
    opening = made.truth.mitral_opening[0].numpy()
    still = np.repeat(frames[0][:1], 40, 0)
    assert 1 <= len(openings(frames[0], frames[0], labels[0], opening)) <= 4
    assert max(np.abs(openings(frames[0], still, labels[0], opening))) < 0.5


def test_stretches_are_runs_of_neighbours():
    assert [list(run) for run in stretches(np.array([0, 1, 1, 0, 1], bool))] == [[1, 2], [4]]
    assert list(stretches(np.zeros(3, bool))) == []
