"""Prompts as public sets write them, and what is refused."""

import pytest

from echopulse.errors import InputError
from echopulse.prompt import parse_prompt, with_prompt


@pytest.mark.parametrize(
    ("text", "ef", "view"),
    [
        ("LVEF: 42, ViewType: 4CH", 0.42, "a4c"),
        ("viewtype: A2C; lvef: 0.55", 0.55, "a2c"),
        ("View Type: 2ch\nEF: 5 %", 0.05, "a2c"),
        ("LVEF: 42.5%", 0.425, None),
        ("ViewType: PLAX", None, "plax"),
    ],
)
def test_fields_are_read_in_any_order_case_and_unit(text, ef, view):
    found = parse_prompt(text)
    assert found.get("ef") == (None if ef is None else pytest.approx(ef)) and found.get("view") == view


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "nothing in it"),
        ("a beating heart", "'a beating heart' is no field"),
        ("LVEF 42", "'LVEF 42' is no field"),
        ("Height: 170", "'Height: 170' is no field"),
        ("Age: old", "an Age of 'old'"),
        ("Sex: x", "a Sex of 'x'; one of f, female"),
        ("LVEF: high", "an LVEF of 'high'"),
        ("LVEF: nan", "an LVEF of 'nan'"),
        ("LVEF: 130", "an LVEF of '130'"),
        ("LVEF: 1", "an LVEF of '1'; between 0.05 and 0.85, or 5 and 85 percent"),
        ("LVEF: 90", "an LVEF of '90'"),
        ("LVEF: 0.5%", "an LVEF of '0.5%'"),
        ("ViewType: 5CH", "a ViewType of '5CH'"),
        ("LVEF: 42, EF: 42", "EF is given twice"),
    ],
)
def test_what_is_not_understood_is_named(text, words):
    with pytest.raises(InputError, match=words):
        parse_prompt(text)


@pytest.mark.parametrize(("text", "age", "sex"), [("Age: 63, Sex: F", 63, "f"), ("gender: Male", None, "m")])
def test_age_and_sex_are_read(text, age, sex):
    found = parse_prompt(text)
    assert found.get("age") == age and found.get("sex") == sex


NOTHING = {"view": None, "ef": None, "age": None, "sex": None}


def test_prompt_and_options_add_up_but_do_not_contradict():
    assert with_prompt(None, **NOTHING) == NOTHING | {"view": "a4c"}
    assert with_prompt(None, **NOTHING | {"view": "a2c", "ef": 0.3}) == NOTHING | {"view": "a2c", "ef": 0.3}
    assert with_prompt("LVEF: 42, Sex: M", **NOTHING | {"age": 50}) == {
        "view": "a4c", "ef": pytest.approx(0.42), "age": 50, "sex": "m"
    }  # fmt: skip
    for options in ({"view": "a4c"}, {"ef": 0.3}):
        with pytest.raises(InputError, match="the prompt says"):
            with_prompt("LVEF: 42, ViewType: 4CH", **NOTHING | options)
