"""View, ejection fraction, age and sex in words, as public sets of echo videos and models of them write them."""

from __future__ import annotations

import math
import re

from echopulse.errors import InputError
from echopulse.model.generator import EF_RANGE

DEFAULT_VIEW = "a4c"
VIEW_NAMES = {
    "4CH": "a4c", "A4C": "a4c", "AP4": "a4c", "2CH": "a2c", "A2C": "a2c", "AP2": "a2c", "3CH": "a3c", "A3C": "a3c",
    "AP3": "a3c", "PLAX": "plax",
}  # fmt: skip
SEX_NAMES = {"f": "f", "female": "f", "woman": "f", "m": "m", "male": "m", "man": "m"}
FIELDS = {"lvef": "ef", "ef": "ef", "viewtype": "view", "view": "view", "age": "age", "sex": "sex", "gender": "sex"}
EXPECTED = 'expected is "LVEF: 42, ViewType: 4CH, Age: 63, Sex: F", or some of the four'


def parse_prompt(text: str) -> dict[str, float | str]:
    """`ef` (a fraction), `view`, `age` (years) and `sex` ("f" or "m") of "LVEF: 42, ViewType: 4CH, Age: 63, Sex: F".

    Whichever is there, in any order and case. An EF above 1 is in percent, as is one with a sign. Raises InputError for
    a field that is none of these, given twice or not understood.
    """
    found: dict[str, float | str] = {}
    for field in filter(None, (part.strip() for part in re.split(r"[,;\n]", text))):
        name, colon, value = (part.strip() for part in field.partition(":"))
        key = FIELDS.get(name.lower().replace(" ", ""))
        if key is None or not colon:
            raise InputError(f"--prompt: {field!r} is no field that steers this model; {EXPECTED}.")
        if key in found:
            raise InputError(f"--prompt: {name} is given twice; {EXPECTED}.")
        found[key] = {"ef": _fraction, "view": _view, "age": _years, "sex": _sex}[key](value)
    if not found:
        raise InputError(f"--prompt {text!r}: nothing in it; {EXPECTED}.")
    return found


def with_prompt(prompt: str | None, **outside: float | str | None) -> dict[str, float | str | None]:
    """What a prompt says and what was said outside it, under the names of `outside`.

    The view is A4C where nobody names one. InputError where both say the same thing.
    """
    said = parse_prompt(prompt) if prompt is not None else {}
    for name, value in outside.items():
        if name in said and value is not None:
            raise InputError(f"--{name} {value}: the prompt says {said[name]}; leave one of them out.")
    both = outside | said
    if both.get("sex") is not None:
        both["sex"] = SEX_NAMES.get(str(both["sex"]).lower(), both["sex"])
    return both | {"view": both["view"] or DEFAULT_VIEW}


def _fraction(text: str) -> float:
    try:
        value = float(text.removesuffix("%"))
    except ValueError:
        value = math.nan
    fraction = value / 100 if value > 1 or text.endswith("%") else value
    if not EF_RANGE[0] <= fraction <= EF_RANGE[1]:
        low, high = EF_RANGE
        raise InputError(
            f"--prompt: an LVEF of {text!r}; between {low} and {high}, or {100 * low:.0f} and {100 * high:.0f} "
            "percent, is expected."
        )
    return fraction


def _view(text: str) -> str:
    name = VIEW_NAMES.get(text.upper())
    if name is None:
        raise InputError(f"--prompt: a ViewType of {text!r}; one of {', '.join(VIEW_NAMES)} is expected.")
    return name


def _years(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(f"--prompt: an Age of {text!r}; a number of years is expected.") from None


def _sex(text: str) -> str:
    name = SEX_NAMES.get(text.lower())
    if name is None:
        raise InputError(f"--prompt: a Sex of {text!r}; one of {', '.join(SEX_NAMES)} is expected.")
    return name
