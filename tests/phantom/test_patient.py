"""Whose heart it is: function, rhythm, disease and shape go together about as loosely as in life."""

import pytest
import torch

from echopulse.errors import InputError
from echopulse.phantom.limits import LIMITS
from echopulse.phantom.patient import draw_patients
from echopulse.phantom.priors import PRIORS, index_of
from echopulse.phantom.types import CONDUCTIONS, PATHOLOGIES, RHYTHMS, TERRITORIES, Patients


def patients(n=2000, prior="clinical", seed=0, **pinned) -> Patients:
    return draw_patients(n, torch.Generator().manual_seed(seed), prior, **pinned)


def share(values, choices, name) -> float:
    return (values == choices.index(name)).float().mean().item()


@pytest.mark.parametrize("prior", PRIORS)
def test_every_value_is_finite_and_allowed(prior):
    drawn = patients(500, prior)
    for name, value in vars(drawn).items():
        assert value.shape == (500,) and torch.isfinite(value.float()).all()
        low, high = LIMITS.get(name, (-1e9, 1e9))
        assert value.min() >= low and value.max() <= high, name


def test_the_same_seed_gives_the_same_patients():
    first, second, other = patients(50), patients(50), patients(50, seed=1)
    assert all(torch.equal(value, getattr(second, name)) for name, value in vars(first).items())
    assert not torch.equal(first.ef, other.ef)


def test_easy_hearts_are_healthy():
    drawn = patients(300, "easy")
    assert (drawn.rhythm + drawn.conduction + drawn.pathology + drawn.territory == 0).all()
    assert drawn.ef.min() > 0.38


def test_uniform_spreads_function_evenly():
    ef = patients(6000, "uniform").ef
    counts = torch.histc(ef, 6, 0.15, 0.75) / len(ef)
    assert ef.min() >= 0.15 and ef.max() <= 0.75
    assert (counts - 1 / 6).abs().max() < 0.02


def test_independent_function_is_even_and_does_not_show_in_the_patient():
    drawn, uniform = patients(6000, "independent"), patients(6000, "uniform")
    assert (torch.histc(drawn.ef, 6, 0.15, 0.75) / len(drawn.ef) - 1 / 6).abs().max() < 0.02
    for name in ("edv_ml", "sphericity", "wall", "voltage", "heart_rate_bpm", "qrs_s"):
        own, usual = (
            abs(float(torch.corrcoef(torch.stack([p.ef, getattr(p, name).float()]))[0, 1])) for p in (drawn, uniform)
        )
        assert own < 0.05 and own < usual, name
    weak = drawn.rows(drawn.ef < 0.3)
    assert 0.1 < share(weak.pathology, PATHOLOGIES, "healthy") < 0.5
    assert torch.allclose(drawn.edv_ml.median(), uniform.edv_ml.median(), rtol=0.05)


def test_most_clinical_hearts_beat_in_sinus_rhythm_and_conduct_normally():
    drawn = patients(6000)
    assert share(drawn.rhythm, RHYTHMS, "sinus") == pytest.approx(0.55, abs=0.03)
    assert share(drawn.rhythm, RHYTHMS, "af") == pytest.approx(0.15, abs=0.03)
    assert share(drawn.conduction, CONDUCTIONS, "normal") == pytest.approx(0.85, abs=0.03)
    assert all(share(drawn.rhythm, RHYTHMS, name) > 0.003 for name in RHYTHMS)


def test_weak_hearts_are_large_round_thin_fast_and_blocked():
    drawn = patients(4000)
    weak, strong = drawn.rows(drawn.ef < 0.35), drawn.rows(drawn.ef > 0.55)
    assert weak.edv_ml.median() > 1.4 * strong.edv_ml.median()
    assert weak.sphericity.median() > 1.1 * strong.sphericity.median()
    assert weak.wall.median() < 0.9 * strong.wall.median()
    assert weak.heart_rate_bpm.median() > 1.05 * strong.heart_rate_bpm.median()
    assert weak.voltage.median() < 0.9 * strong.voltage.median()
    assert share(weak.conduction, CONDUCTIONS, "lbbb") > 4 * share(strong.conduction, CONDUCTIONS, "lbbb")
    assert weak.scar.mean() > 3 * strong.scar.mean()


def test_a_pinned_name_tells_about_function():
    mean = {name: patients(400, pathology=name).ef.mean().item() for name in PATHOLOGIES}
    assert mean["dilated"] < mean["ischaemic"] < mean["restrictive"] < mean["healthy"] < mean["hypertrophic"]
    assert patients(400, conduction="lbbb").ef.mean() < patients(400, conduction="normal").ef.mean() - 0.1
    scarred = patients(100, territory="lad")
    assert (scarred.pathology == PATHOLOGIES.index("ischaemic")).all()


def test_a_pinned_function_tells_about_disease():
    weak, strong = patients(300, ef=0.2), patients(300, ef=0.7)
    assert share(weak.pathology, PATHOLOGIES, "dilated") > 0.6
    assert share(strong.pathology, PATHOLOGIES, "dilated") == 0
    assert share(patients(10, "easy", ef=0.2).pathology, PATHOLOGIES, "healthy") == 1


def test_contradictory_pins_are_obeyed():
    drawn = patients(5, pathology="healthy", territory="rca", ef=0.05, rhythm="vt", heart_rate_bpm=60)
    assert (drawn.pathology == 0).all() and (drawn.territory == TERRITORIES.index("rca")).all()
    assert (drawn.ef == 0.05).all() and (drawn.heart_rate_bpm == 60).all()
    assert (drawn.territory_motion < 1).all()


def test_every_patient_may_have_a_name_of_its_own():
    drawn = patients(3, rhythm=["af", "vt", 0], conduction=torch.tensor([1, 2, 3]))
    assert drawn.rhythm.tolist() == [1, RHYTHMS.index("vt"), 0] and drawn.conduction.tolist() == [1, 2, 3]


def test_names_are_resolved_one_by_one_or_in_lists():
    assert index_of("rhythm", "af") == 1
    assert index_of("pathology", ("dilated", 0)).tolist() == [PATHOLOGIES.index("dilated"), 0]
    assert index_of("view", "psax") == index_of("view", "psax_papillary")


@pytest.mark.parametrize(
    ("pin", "hint"),
    [
        ({"rhythm": "salsa"}, "wenckebach"),
        ({"pathology": 9}, "restrictive"),
        ({"ef": 0.9}, "0.86"),
        ({"heart_rate_bpm": 500}, "220"),
        ({"edv_ml": "big"}, "number"),
        ({"kind": "af"}, "rhythm"),
        ({"rhythm": ["af", "vt"]}, "2 values"),
        ({"ef": [0.2, 0.4]}, "2 values of ef were given for 3 hearts; give one, or one for each"),
        ({"ef": "0.2,0.4"}, "ef is a number; got '0.2,0.4'; give one, or one for each heart"),
        ({"ef": None}, "ef is a number; got None"),
        ({"ef": [[0.2], [0.3], [0.4]]}, r"ef of shape \[3, 1\]"),
        ({"female": 0.5}, "female is 1 or 0, for yes or no; got 0.5"),
        ({"female": [0, 1, 0.2]}, "female is 1 or 0"),
    ],
)
def test_impossible_values_are_refused_with_what_is_allowed(pin, hint):
    with pytest.raises(InputError, match=hint):
        patients(3, **pin)


def test_a_number_for_each_patient_is_taken_in_its_place():
    drawn = patients(3, ef=[0.2, 0.4, 0.6], female=torch.tensor([1.0, 0.0, 1.0]), age_years=50)
    assert drawn.ef.tolist() == pytest.approx([0.2, 0.4, 0.6]) and drawn.female.tolist() == [1, 0, 1]
    assert drawn.age_years.tolist() == [50, 50, 50]
