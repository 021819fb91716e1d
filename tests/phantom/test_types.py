"""Batches are cut by heart and by time, whatever their sizes happen to be."""

import torch

from echopulse.phantom import draw_phantom
from echopulse.phantom.anatomy.planes import cut
from echopulse.phantom.anatomy.valves import prepare_valves
from echopulse.phantom.anatomy.wall import heart_shape
from echopulse.phantom.mechanics import contract
from echopulse.phantom.rhythm.timing import beats_at

FIRST = slice(0, 1)


def beating(beats: int, times: int):
    """Two hearts of so many beats at so many times: parameters and motion."""
    drawn = draw_phantom(2, seed=1, view="a4c", rhythm="sinus", conduction="normal", heart_rate_bpm=75)
    rhythm = beats_at(drawn.rhythm, 0.8 * torch.arange(beats).expand(2, -1))
    return drawn, contract(rhythm, drawn.mechanics, torch.linspace(0, 2, times))


def test_as_many_beats_as_times_are_not_cut_with_them():
    _, motion = beating(beats=5, times=5)
    assert motion.volume_ml.shape == motion.ejection_end_s.shape == (2, 5)
    first = motion.between(FIRST)
    assert first.volume_ml.shape == first.twist_rad.shape == (2, 1) and first.edv_ml.shape == (2,)
    for name in ("ejection_onset_s", "ejection_end_s", "edv_beat_ml", "esv_beat_ml"):
        assert torch.equal(getattr(first, name), getattr(motion, name)), name


def test_shapes_planes_and_valves_are_cut_by_time_alone():
    drawn, motion = beating(beats=3, times=4)
    shape, plane = heart_shape(drawn.anatomy, motion), cut(drawn.anatomy, drawn.probe, torch.linspace(0, 2, 4))
    valves = prepare_valves(drawn.anatomy, shape, motion, plane, [torch.Generator().manual_seed(i) for i in range(2)])
    assert shape.between(FIRST).length_cm.shape == (2, 1) and shape.between(FIRST).half_width_cm.shape == (2,)
    assert plane.between(FIRST).down.shape == (2, 1, 3)
    assert valves.box.shape == (2, 4)  # four edges, four times
    first = valves.between(FIRST)
    assert first.x_cm.shape[1] == 1 and torch.equal(first.box, valves.box) and torch.equal(first.phase, valves.phase)


def test_rows_are_cut_everywhere():
    _, motion = beating(beats=5, times=5)
    second = motion.rows(slice(1, 2))
    assert second.volume_ml.shape == second.esv_beat_ml.shape == (1, 5) and torch.equal(second.ef, motion.ef[1:])
