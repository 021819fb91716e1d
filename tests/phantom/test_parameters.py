"""A name that no parameter has brings the few that may have been meant, and every parameter says what it is."""

import pytest

from echopulse.phantom.limits import LIMITS
from echopulse.phantom.parameters import list_parameters, nearest_names
from echopulse.phantom.priors import NAMES


@pytest.mark.parametrize(
    ("written", "meant"),
    [("rate", "heart_rate_bpm"), ("heartrate", "heart_rate_bpm"), ("hr", "heart_rate_bpm"), ("EF", "ef"),
     ("edv", "edv_ml"), ("patology", "pathology"), ("qrs", "qrs_s"), ("gain", "gain_db")],
)  # fmt: skip
def test_what_was_meant_is_among_three_guesses(written, meant):
    guesses = nearest_names(written, [*LIMITS, *NAMES])
    assert meant in guesses and len(guesses) <= 3


def test_what_resembles_nothing_brings_no_guess():
    assert nearest_names("xylophone", LIMITS) == []


def test_every_parameter_has_a_meaning_a_range_and_where_its_name_says_so_a_unit():
    listed = {one.name: one for one in list_parameters()}
    assert set(listed) == set(LIMITS) | set(NAMES) - {"origin"}
    assert all(one.meaning and one.values for one in listed.values())
    units = {name: listed[name].unit for name in ("heart_rate_bpm", "edv_ml", "qrs_s", "t_mv", "tilt_rad", "ef")}
    assert units == {"heart_rate_bpm": "1/min", "edv_ml": "ml", "qrs_s": "s", "t_mv": "mV", "tilt_rad": "rad", "ef": ""}
    assert listed["female"].values == "0 or 1" and listed["ef"].values == "0.03 to 0.86"
    assert listed["territory"].meaning.endswith(": none, lad, lcx, rca")
