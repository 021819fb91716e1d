"""What is pinned contradicts no definition, and what is rare stays possible."""

import math

import pytest
import torch

from echopulse.errors import InputError
from echopulse.phantom import draw_phantom
from echopulse.phantom.definitions import DEFINITIONS, reconciled
from echopulse.phantom.limits import LIMITS
from echopulse.phantom.priors import NAMES
from echopulse.phantom.types import RHYTHMS


def pins_against(rule):
    """The name, and a number within the limits that it cannot have."""
    if rule.number in NAMES:
        return {rule.kind: rule.name, rule.number: NAMES[rule.number][int(rule.high) + 1]}
    low, high = LIMITS[rule.number]
    return {rule.kind: rule.name, rule.number: high if rule.high < high else low}


@pytest.mark.parametrize("rule", DEFINITIONS, ids=lambda rule: f"{rule.name}-{rule.number}")
def test_a_contradiction_is_refused_in_words_that_say_what_would_be_accepted_and_that_is(rule):
    pins = pins_against(rule)
    with pytest.raises(InputError, match=f"{rule.kind}={rule.name} and {rule.number}=.* contradict each other: .*; "):
        draw_phantom(1, **pins)
    drawn = draw_phantom(1, **reconciled(pins))
    assert drawn.of(0)[f"patients.{rule.kind}"] == rule.name


@pytest.mark.parametrize(
    "pins",
    [
        {"rhythm": "bradycardia", "heart_rate_bpm": 60}, {"rhythm": "tachycardia", "heart_rate_bpm": 100},
        {"rhythm": "sinus", "heart_rate_bpm": 180}, {"rhythm": "af", "heart_rate_bpm": 35},
        {"conduction": "lbbb", "qrs_s": 0.12}, {"conduction": "normal", "qrs_s": 0.12},
        {"pathology": "healthy", "ef": 0.42}, {"pathology": "hypertrophic", "ef": 0.2},
        {"pathology": "dilated", "territory": "lad"}, {"rhythm": "asystole", "ef": 0.3},
    ],
)  # fmt: skip
def test_what_is_rare_or_on_the_border_is_no_contradiction(pins):
    assert draw_phantom(1, **pins).of(0) and reconciled(pins) == pins


def test_hearts_of_a_batch_are_judged_one_by_one():
    rates = torch.tensor([50.0, 120.0])
    assert draw_phantom(2, rhythm=["bradycardia", "tachycardia"], heart_rate_bpm=rates).of(1)
    with pytest.raises(InputError, match="rhythm=bradycardia and heart_rate_bpm=120"):
        draw_phantom(2, rhythm=["tachycardia", "bradycardia"], heart_rate_bpm=rates.flip(0).maximum(rates))


@pytest.mark.parametrize("rate", [30.0, 80.0, 170.0])
def test_a_pinned_rate_is_drawn_no_rhythm_that_cannot_have_it(rate):
    drawn = draw_phantom(400, heart_rate_bpm=rate, qrs_s=0.16).patients
    seen = {RHYTHMS[index] for index in drawn.rhythm.tolist()}
    possible = {"asystole": False, "bradycardia": rate <= 60, "tachycardia": rate >= 100}
    assert {name: name in seen for name in possible} == possible
    assert 0 not in drawn.conduction.tolist()


def test_definitions_name_what_there_is():
    for rule in DEFINITIONS:
        assert rule.name in NAMES[rule.kind] and (rule.number in LIMITS or rule.number in NAMES)
        assert rule.low <= rule.high or (rule.low, rule.high) == (math.inf, -math.inf)
