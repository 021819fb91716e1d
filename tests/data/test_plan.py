"""What is asked for is understood or refused, and a plan says what it will do."""

import json

import pytest

from echopulse.data.plan import Plan, known_views, parse_leads, parse_names, parse_pins
from echopulse.errors import InputError

ONE = {"form": "pairs", "seed": 3, "prior": "easy", "seconds": 0.4, "fps": 25.0, "size": 32, "leads": 2}


def test_pins_are_numbers_or_names():
    assert parse_pins(["ef=0.3", "rhythm=af"]) == {"ef": 0.3, "rhythm": "af"} and parse_pins([]) == {}


@pytest.mark.parametrize("pair", ["ef", "ef=", "=0.3"])
def test_a_pin_without_name_or_value_is_refused(pair):
    with pytest.raises(InputError, match="expected NAME=VALUE"):
        parse_pins([pair])


@pytest.mark.parametrize("name", ["seed", "fps", "view", "views", "size", "leads", "prior", "r_peaks_s"])
def test_a_setting_of_the_recording_is_no_pin(name):
    with pytest.raises(InputError, match=f"--set {name}=3: {name} is a setting of the recording"):
        parse_pins([f"{name}=3"])


def test_leads_are_a_number_or_names_and_views_have_full_names():
    assert parse_leads("2") == 2 and parse_leads("II, V5") == ("II", "V5") and parse_names("a4c,a2c,") == ("a4c", "a2c")
    assert known_views(("psax", "a4c", "a4c")) == ("psax_papillary", "a4c")
    with pytest.raises(InputError, match="view 'apical' is unknown; choose one of a4c"):
        known_views(("apical",))


def test_heart_k_is_the_same_in_every_plan_that_says_the_same(by_hand):
    plan = Plan(**ONE, views=("a4c", "plax"), pins={"ef": 0.3})
    (made,) = plan.heart(7)
    assert by_hand[0]["seed"] == 3 * 100_003 + 7 and by_hand[0]["ef"] == 0.3 and by_hand[0]["view"] == ["a4c", "plax"]
    assert (made.frames == plan.heart(7)[0].frames).all()


def test_a_study_takes_every_view_of_one_seed(by_hand):
    plan = Plan(**ONE, views=("a4c", "plax"), pins={}, study=True)
    assert [made.truth.view for made in plan.heart(0)] == [("a4c",), ("plax",)]
    assert by_hand[0] | {"view": None} == by_hand[1] | {"view": None}


def test_a_plan_is_described_in_json(by_hand):
    told = json.loads(json.dumps(Plan(**ONE, views=None, pins={"rhythm": "af"}).described()))
    assert told["format"] == "pairs" and told["pins"] == {"rhythm": "af"} and told["made_by"].startswith("EchoPulse ")
