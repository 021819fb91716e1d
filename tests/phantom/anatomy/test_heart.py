"""Hearts are drawn as their patients are: big round ventricles, thick walls, wide atria, within what can be."""

import pytest
import torch

from echopulse.errors import InputError
from echopulse.phantom.anatomy.heart import draw_anatomy
from echopulse.phantom.anatomy.shapes import half_width_cm


def test_pinned_parameters_are_obeyed_and_unknown_or_impossible_ones_refused(hearts):
    anatomy, *_ = hearts(wall_cm=1.3, bullet=0.2)
    assert torch.all(anatomy.wall_cm == 1.3) and torch.all(anatomy.bullet == 0.2)
    with pytest.raises(InputError, match="wall_cm"):
        hearts(walls=1.0)
    with pytest.raises(InputError, match="between 0.3 and 3"):
        hearts(wall_cm=9)


def test_the_same_seed_draws_the_same_heart_and_pinning_one_value_leaves_the_others(hearts):
    (first, *_), (again, *_), (pinned, *_) = hearts(seed=4), hearts(seed=4), hearts(seed=4, wall_cm=1.0)
    assert all(torch.equal(value, vars(again)[name]) for name, value in vars(first).items())
    assert all(torch.equal(value, vars(pinned)[name]) for name, value in vars(first).items() if name != "wall_cm")


def test_a_healthy_ventricle_of_120_ml_has_a_textbook_length_and_width(hearts):
    anatomy, *_ = hearts(n=40, prior="easy", ef=0.62, edv_ml=120.0, sphericity=1.0, wall=1.0)
    width = 2 * half_width_cm(anatomy)
    assert 8.2 < anatomy.length_cm.mean() < 9.2 and 4.4 < width.mean() < 5.4
    assert 0.5 < (width / anatomy.length_cm).mean() < 0.62


@pytest.mark.parametrize(
    ("pathology", "name", "larger"),
    [("hypertrophic", "septal_ratio", True), ("restrictive", "la_width_cm", True), ("hypertrophic", "wall_cm", True)],
)
def test_disease_shows_in_the_shape(hearts, pathology, name, larger):
    size = {"ef": 0.6, "edv_ml": 110.0}
    ill, *_ = hearts(n=60, pathology=pathology, **size)
    well, *_ = hearts(n=60, pathology="healthy", **size)
    assert (getattr(ill, name).mean() > getattr(well, name).mean()) == larger


def test_the_patient_decides_volume_function_and_territory(hearts):
    _, _, patients = hearts(territory="lad")
    anatomy = draw_anatomy(patients, torch.Generator().manual_seed(9))
    for name in ("ef", "edv_ml", "territory", "territory_motion", "scar"):
        assert torch.equal(getattr(anatomy, name), getattr(patients, name))
