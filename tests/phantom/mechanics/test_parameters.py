"""How a heart pumps goes with age, disease and function."""

import pytest
import torch

from echopulse.errors import InputError
from echopulse.phantom.mechanics import draw_mechanics
from echopulse.phantom.patient import draw_patients


def pump(n=400, prior="clinical", pinned=None, **pins):
    patients = draw_patients(n, torch.Generator().manual_seed(1), prior, **pins)
    return draw_mechanics(patients, torch.Generator().manual_seed(2), prior, **(pinned or {}))


def test_function_and_size_are_the_patients():
    patients = draw_patients(20, torch.Generator().manual_seed(0))
    drawn = draw_mechanics(patients, torch.Generator().manual_seed(0))
    assert torch.equal(drawn.ef, patients.ef) and torch.equal(drawn.edv_ml, patients.edv_ml)


def test_age_moves_filling_to_the_atria():
    young, old = pump(pathology="healthy", age_years=20), pump(pathology="healthy", age_years=80)
    assert young.atrial_share.mean() == pytest.approx(0.13, abs=0.03)
    assert old.atrial_share.mean() == pytest.approx(0.45, abs=0.03)
    assert old.ivrt_s.mean() > 1.2 * young.ivrt_s.mean()


def test_stiff_hearts_relax_early_and_fill_briefly():
    stiff, healthy = pump(pathology="restrictive"), pump(pathology="healthy")
    assert stiff.ivrt_s.mean() < 0.065 < healthy.ivrt_s.mean()
    assert stiff.early_filling_s.mean() < 0.85 * healthy.early_filling_s.mean()
    assert stiff.atrial_share.max() < 0.2
    assert stiff.la_emptying.mean() < 0.85 * healthy.la_emptying.mean()


def test_thick_hearts_relax_late():
    assert pump(pathology="hypertrophic").ivrt_s.mean() > pump(pathology="healthy").ivrt_s.mean() + 0.012


def test_healthy_hearts_twist_eight_to_fifteen_degrees_and_weak_ones_less():
    healthy = pump(pathology="healthy").peak_twist_rad.rad2deg()
    assert 7 < healthy.quantile(0.05) and healthy.quantile(0.95) < 16
    assert pump(ef=0.25).peak_twist_rad.mean() < 0.45 * healthy.deg2rad().mean()


def test_only_slowly_activated_hearts_flash():
    assert pump(conduction="normal").septal_flash_cm.abs().max() <= 0.05
    for conduction in ("lbbb", "paced"):
        flash = pump(conduction=conduction).septal_flash_cm
        assert 0.25 <= flash.min() and flash.max() <= 0.6
    assert (pump(prior="easy").septal_flash_cm == 0).all()


def test_weak_hearts_are_potentiated_more():
    assert pump(ef=0.25).force_gain.mean() > pump(ef=0.6).force_gain.mean() + 0.05


def test_a_pinned_value_leaves_the_others_as_they_were():
    free, pinned = pump(), pump(pinned={"ivrt_s": 0.1})
    assert (pinned.ivrt_s == 0.1).all() and torch.equal(free.atrial_share, pinned.atrial_share)
    with pytest.raises(InputError, match="ivrt_s"):
        pump(pinned={"ivrt_s": 3.0})
    with pytest.raises(InputError, match="early_filling_s"):
        pump(pinned={"valves": 4})
