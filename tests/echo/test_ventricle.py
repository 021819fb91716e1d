"""Outlines, axes, discs and volumes of cavities whose measures are known by formula."""

import numpy as np
import pytest

from echopulse.echo.ventricle import (
    DISCS,
    area_length_volumes,
    biplane_volumes,
    find_chords,
    outline,
    simpson_discs,
)

CENTRE = (64.3, 60.4)
FIELDS = ("axis", "apex", "base", "length", "start", "height", "diameters")


def cavity(a: float, c: float, tau: float = 0.45, tilt: float = 0.0, centre=CENTRE, slant: float = 0.0):
    """Mask [128, 128] of an ellipse of half width a and half length c px, apex up, cut tau c below its centre.

    The cut may be slanted. Returns the mask, the volume of the solid of revolution and the length of its axis.
    """
    y, x = np.mgrid[:128, :128].astype(float)
    dx, dy = x - centre[0], y - centre[1]
    along, across = dx * np.sin(tilt) + dy * np.cos(tilt), dx * np.cos(tilt) - dy * np.sin(tilt)
    below = (along - tau * c) * np.cos(slant) + across * np.sin(slant)
    cut = tau * c * np.cos(slant) / np.hypot(a * np.sin(slant), c * np.cos(slant))  # of the sphere it is made from
    mask = (below <= 0) & ((along / c) ** 2 + (across / a) ** 2 <= 1)
    return mask, np.pi * a * a * c * (2 / 3 + cut - cut**3 / 3), c * (1 + tau)


def random_cavities(count: int, slanted: bool):
    """Masks, volumes and lengths of cavities of random size, tilt and place between pixels."""
    draw = np.random.default_rng(5).uniform
    made = []
    for _ in range(count):
        c = draw(34, 48)
        made.append(cavity(draw(0.32, 0.6) * c, c, draw(0.3, 0.6), draw(-0.4, 0.4), (64 + draw(), 60 + draw()),
                           slant=draw(-0.14, 0.14) if slanted else 0.0))  # fmt: skip
    return (np.array(column) for column in zip(*made, strict=True))


def test_volumes_and_lengths_are_unbiased_over_sizes_tilts_and_places():
    masks, volumes, lengths = random_cavities(150, slanted=False)
    chords = find_chords(masks)
    errors = chords.volumes / volumes - 1
    assert abs(errors.mean()) < 0.002 and errors.std() < 0.006 and np.abs(errors).max() < 0.025
    errors = chords.length / lengths - 1
    assert abs(errors.mean()) < 0.003 and errors.std() < 0.01


def test_an_oblique_base_costs_less_than_a_percent():
    masks, volumes, _ = random_cavities(150, slanted=True)
    errors = find_chords(masks).volumes / volumes - 1
    assert abs(errors.mean()) < 0.008 and errors.std() < 0.008


@pytest.mark.parametrize(("a", "c", "tilt"), [(14, 30, 0.0), (22, 40, 0.4), (18, 36, -0.3)])
def test_a_whole_ellipsoid_has_the_volume_worked_out_by_hand(a, c, tilt):
    mask = cavity(a, c, 1.0, tilt)[0]
    by_hand = 4 / 3 * np.pi * a * a * c
    chords = find_chords(mask[None])
    assert chords.volumes[0] == pytest.approx(by_hand, rel=0.015)
    assert area_length_volumes(mask.sum(), chords.length[0]) == pytest.approx(by_hand, rel=0.03)
    assert chords.diameters[0].max() == pytest.approx(2 * a, abs=1) and chords.length[0] == pytest.approx(2 * c, abs=1)


def test_a_rectangle_is_a_cylinder():
    mask = np.zeros((64, 64), bool)
    mask[10:50, 20:38] = True
    chords = find_chords(mask[None])
    assert chords.volumes[0] == pytest.approx(np.pi / 4 * 18**2 * 40, rel=0.02)
    assert chords.length[0] == pytest.approx(40, abs=0.5)


def test_a_ragged_base_costs_nothing():
    mask = np.zeros((64, 64), bool)
    mask[10:50, 20:40] = True
    mask[48:50, 20:40:2] = False  # teeth of two pixels
    volume = find_chords(mask[None]).volumes[0]
    assert volume == pytest.approx(np.pi / 4 * 20**2 * 39, rel=0.015)


@pytest.mark.parametrize("row", [60, 75])
def test_a_stray_speck_beside_the_cavity_adds_little(row):
    mask, volume, _ = cavity(18, 36)
    mask[row : row + 2, 110:112] = True
    assert find_chords(mask[None]).volumes[0] == pytest.approx(volume, rel=0.08)


def test_apex_and_base_are_found():
    tilt = 0.3
    mask, _, length = cavity(16, 40, 0.5, tilt)
    chords = find_chords(mask[None])
    down = np.array([np.sin(tilt), np.cos(tilt)])
    assert np.linalg.norm(chords.apex[0] - (CENTRE - 40 * down)) < 1.5
    assert np.linalg.norm(chords.base[0] - (CENTRE + 20 * down)) < 1.5
    assert chords.axis[0] == pytest.approx(down, abs=0.03) and chords.length[0] == pytest.approx(length, rel=0.02)
    assert np.linalg.norm(chords.start[0] - chords.apex[0]) < 1


@pytest.mark.parametrize("tilt", [np.pi / 2, -np.pi / 2, 1.3])
def test_a_cavity_that_lies_flat_keeps_its_volume(tilt):
    mask, volume, length = cavity(17, 40, 0.5, tilt, (64, 64))
    chords = find_chords(mask[None])
    assert chords.volumes[0] == pytest.approx(volume, rel=0.02)
    assert chords.length[0] == pytest.approx(length, rel=0.03)


def test_frames_without_a_cavity_have_nothing_and_do_not_disturb_the_others():
    mask = cavity(18, 38)[0]
    nothing, pixel, speck = np.zeros((3, *mask.shape), bool)
    pixel[5, 7] = True
    speck[4:8, 4:8] = True
    chords, alone = find_chords(np.stack([nothing, mask, pixel, speck])), find_chords(mask[None])
    for name in FIELDS:
        assert np.isnan(getattr(chords, name)[[0, 2, 3]]).all()
        assert getattr(chords, name)[1] == pytest.approx(getattr(alone, name)[0])
    assert all(simpson_discs(each) is None and np.isnan(outline(each)).all() for each in (nothing, pixel, speck))


def test_two_frames_one_of_them_empty():
    mask, volume, _ = cavity(18, 38)
    volumes = find_chords(np.stack([mask, np.zeros_like(mask)])).volumes
    assert volumes[0] == pytest.approx(volume, rel=0.02) and np.isnan(volumes[1])
    biplane = biplane_volumes(np.stack([mask, mask]), np.stack([mask, np.zeros_like(mask)]), 1.0, 1.0)
    assert biplane[0] == pytest.approx(volume, rel=0.02) and np.isnan(biplane[1])


def test_a_stack_without_frames_is_empty():
    assert find_chords(np.zeros((0, 32, 32), bool)).volumes.shape == (0,)


def test_what_one_frame_measures_does_not_depend_on_its_neighbours():
    masks, _, _ = random_cavities(20, slanted=True)
    together = find_chords(masks).volumes
    apart = [find_chords(mask[None]).volumes[0] for mask in masks]
    assert together == pytest.approx(apart, rel=1e-9)


@pytest.mark.parametrize(("a", "centre", "visible"), [(30, (110, 95), 0.5), (14, (64, 20), 0.79), (30, (12, 60), 0.5)])
def test_a_cavity_cut_by_the_border_of_the_picture_is_measured(a, centre, visible):
    mask, volume, _ = cavity(a, 40, 0.5, centre=centre)
    chords, discs = find_chords(mask[None]), simpson_discs(mask)
    assert visible * volume < chords.volumes[0] < 1.02 * volume
    assert discs.volume_ml(1.0) == pytest.approx(chords.volumes[0])
    line = outline(mask)
    assert line.min() > -1 and line.max() < 128


def test_a_full_picture_is_a_cylinder():
    chords = find_chords(np.ones((1, 40, 24), bool))
    assert chords.volumes[0] == pytest.approx(np.pi / 4 * 24**2 * 40, rel=0.02)


@pytest.mark.parametrize("shape", [(1, 30), (30, 1), (5, 5)])
def test_slivers_and_specks_of_enough_pixels_have_a_small_volume(shape):
    mask = np.zeros((48, 48), bool)
    mask[8 : 8 + shape[0], 8 : 8 + shape[1]] = True
    chords = find_chords(mask[None])
    assert 0 < chords.volumes[0] < 2 * mask.sum() * min(shape)
    discs = simpson_discs(mask)
    assert np.isfinite(discs.left).all() and np.isfinite(discs.right).all()


def test_scattered_pixels_enclose_nothing():
    mask = np.zeros((64, 64), bool)
    mask[::9, ::9] = True
    assert not find_chords(mask[None]).volumes[0] > 64
    assert np.isnan(outline(mask)).all()


@pytest.mark.parametrize(("a", "b", "c"), [(22, 22, 42), (24, 20, 40), (17, 21, 38)])
def test_two_planes_give_the_volume_of_an_oval_ventricle(a, b, c):
    volume = biplane_volumes(cavity(a, c)[0][None], cavity(b, c)[0][None], 0.1, 0.1)
    assert volume[0] == pytest.approx(cavity(a, c)[1] * b / a / 1000, rel=0.015)


def test_each_picture_has_its_own_pixels():
    four, volume, _ = cavity(24, 42)
    two = cavity(12, 21)[0]
    assert biplane_volumes(four[None], two[None], 0.1, 0.2)[0] == pytest.approx(volume / 1000, rel=0.02)


@pytest.mark.parametrize(("a", "c", "tilt"), [(18, 36, 0.0), (22, 33, 0.25), (14, 30, -0.3)])
def test_discs_have_the_volume_and_length_of_a_truncated_ellipsoid(a, c, tilt):
    mask, volume, length = cavity(a, c, tilt=tilt)
    discs = simpson_discs(mask)
    assert discs.volume_ml(1.0) == pytest.approx(volume, rel=0.02)
    assert discs.volume_ml(0.1) == pytest.approx(find_chords(mask[None]).volumes[0] / 1000)
    assert np.linalg.norm(discs.base - discs.apex) == pytest.approx(length, rel=0.02)


@pytest.mark.parametrize("tilt", [-0.4, 0.0, 0.2, np.pi / 2])
def test_chords_run_from_left_to_right_and_from_apex_to_base(tilt):
    discs = simpson_discs(cavity(18, 36, tilt=tilt)[0])
    assert discs.left.shape == discs.right.shape == (DISCS, 2)
    if tilt < 1:
        assert (discs.left[:, 0] < discs.right[:, 0]).all() and discs.apex[1] < discs.base[1]
    axis = discs.base - discs.apex
    for side in (discs.left, discs.right):
        assert np.allclose((side - discs.apex) @ axis / (axis @ axis), (np.arange(DISCS) + 0.5) / DISCS, atol=1e-6)
    widths = np.linalg.norm(discs.right - discs.left, axis=1)
    assert np.pi / 4 * widths[2:-1] ** 2 == pytest.approx(discs.sections[2:-1], rel=0.08)


def test_the_outline_encloses_the_mask_and_begins_above_its_middle():
    mask = cavity(18, 36)[0]
    line = outline(mask)
    x, y = line.T.astype(float)
    enclosed = 0.5 * (np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))  # clockwise with rows downwards: positive
    assert enclosed == pytest.approx(mask.sum(), rel=0.01)
    assert line.shape == (64, 2) and line.dtype == np.float32 and outline(mask, 10).shape == (10, 2)
    assert line[0] == pytest.approx([CENTRE[0], CENTRE[1] - 36], abs=1.5)
    steps = np.linalg.norm(np.diff(line, axis=0, append=line[:1]), axis=1)
    assert steps.std() < 0.1 * steps.mean()


def test_of_several_parts_the_outline_is_that_of_the_largest():
    mask = cavity(18, 36)[0]
    both = mask.copy()
    both[120:126, 4:12] = True
    assert np.array_equal(outline(both), outline(mask))
