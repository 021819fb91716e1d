"""Two evaluations side by side: which figures differ by more than other hearts would have made them differ."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from echopulse.errors import InputError
from echopulse.evaluate.intervals import Span, difference_span
from echopulse.evaluate.keys import figure_of, is_count
from echopulse.evaluate.report import flattened, number
from echopulse.evaluate.results import Results

DATA = "data.hash"
MUST_AGREE = {
    "versions.echopulse": "version of echopulse", DATA: "held-out data (hash)", "measurer.hash": "measurer (hash)",
}  # fmt: skip
FEATURES, ON_FEATURES = "quality.echo.hash", re.compile(r"quality\.(\w+_echo|echo)(\..*)?")
PASSING = ("seconds.", "peak_memory", "resumed")  # of `about`: what may differ from run to run of one thing


@dataclass(frozen=True)
class Difference:
    """One figure in both evaluations.

    Attributes:
        a, b: its values.
        span: 95 % interval of b - a; None where the values behind it are not known.
        paired: whether the interval is over the same hearts in both.
        better: whether the difference goes to the good side of the figure's bar; None without a bar or a difference.
    """

    key: str
    a: float
    b: float
    span: Span | None
    paired: bool
    better: bool | None

    @property
    def beyond_chance(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.span is not None and (self.span.low > 0 or self.span.high < 0)


@dataclass(frozen=True)
class Comparison:
    """Every figure that both have, what only one has, and what differs in how they were made.

    `incomparable`: figures that both have but on features of different measurers.
    """

    differences: tuple[Difference, ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    incomparable: tuple[str, ...]
    settings: dict[str, tuple[Any, Any]]


def compare(a: Results, b: Results, *, anyway: bool = False, names: tuple[str, str] = ("A", "B")) -> Comparison:
    """The figures of `b` less those of `a`, paired by heart where both saw the same held-out hearts.

    Evaluations by other versions or measurers or on other held-out data are refused unless `anyway`. Distances of
    features are never compared across measurers; a figure that is no number in either is none.
    """
    unlike = [name for key, name in MUST_AGREE.items() if not _agree(a, b, key)]
    if unlike and not anyway:
        told = "; ".join(f"{name}: {_told(a, name)} and {_told(b, name)}" for name in unlike)
        raise InputError(
            f"{names[0]} and {names[1]} differ in what they were measured with ({told}), so a difference may come from "
            "there; evaluate both alike, or give --anyway."
        )
    shared = [key for key in a.scores if key in b.scores and not is_count(key) and _are_numbers(key, a, b)]
    other = a.scores.get(FEATURES) != b.scores.get(FEATURES)
    incomparable = tuple(key for key in shared if other and ON_FEATURES.fullmatch(key))
    paired = _agree(a, b, DATA)
    differences = tuple(_difference(key, a, b, paired=paired) for key in shared if key not in incomparable)
    return Comparison(differences, _only(a, b), _only(b, a), incomparable, _unlike_settings(a.about, b.about))


def headline(found: Comparison, names: tuple[str, str] = ("A", "B")) -> str:
    """How many figures differ beyond chance and to which side, in one line."""
    beyond = [one for one in found.differences if one.beyond_chance]
    known = [one for one in found.differences if one.span is not None]
    bare = len(found.differences) - len(known)
    sides = {
        "better": sum(one.better is True for one in beyond),
        "worse": sum(one.better is False for one in beyond),
        "higher without a bar": sum(one.better is None and one.b > one.a for one in beyond),
        "lower without a bar": sum(one.better is None and one.b < one.a for one in beyond),
    }
    told = ", ".join(f"{count} {side}" for side, count in sides.items() if count)
    return (
        f"{len(beyond)} of {len(known)} figures with an interval differ beyond chance"
        f"{f' ({names[1]} against {names[0]}: {told})' if told else ''}; with so many figures about "
        f"{0.05 * len(known):.0f} would though nothing had changed. Without an interval: {bare}."
    )


def to_markdown(found: Comparison, names: tuple[str, str] = ("A", "B")) -> str:
    """The headline, what differs beyond chance, then every other figure, then the settings."""
    lines = [
        headline(found, names),
        "",
        f"| figure | {_cell(names[0])} | {_cell(names[1])} | difference | 95 % interval | |",
        "|---|---|---|---|---|---|",
        *(_row(one) for one in sorted(found.differences, key=lambda one: not one.beyond_chance)),
    ]
    for name, keys in zip(names, (found.only_a, found.only_b), strict=True):
        if keys:
            lines += ["", f"Only in {name}: {', '.join(keys)}."]
    if found.incomparable:
        lines += ["", f"On features of different measurers, so not compared: {', '.join(found.incomparable)}."]
    lines += ["", "| setting that differs | " + " | ".join(map(_cell, names)) + " |", "|---|---|---|"]
    lines += [f"| {key} | {_cell(one)} | {_cell(other)} |" for key, (one, other) in found.settings.items()]
    return "\n".join(lines if found.settings else [*lines[:-3], "", "All settings agree."])


def as_dictionary(found: Comparison) -> dict[str, Any]:
    """The comparison as JSON types hold it."""
    figures = {
        one.key: {
            "a": one.a, "b": one.b, "difference": one.b - one.a, "low": one.span.low if one.span else None,
            "high": one.span.high if one.span else None, "paired": one.paired, "beyond_chance": one.beyond_chance,
            "better": one.better,
        }
        for one in found.differences
    }  # fmt: skip
    settings = {key: {"a": one, "b": other} for key, (one, other) in found.settings.items()}
    only = {"only_a": found.only_a, "only_b": found.only_b, "incomparable": found.incomparable}
    return {"figures": figures, **only, "settings": settings}


def _difference(key: str, a: Results, b: Results, *, paired: bool) -> Difference:
    span, together = difference_span(key, a, b, paired=paired) or (None, False)
    one, other = float(a.scores[key]), float(b.scores[key])
    figure = figure_of(key)
    better = None
    if figure and figure.bar and one != other and not math.isnan(one + other):
        better = (other < one) == (figure.bar.sign == "≤")
    return Difference(key, one, other, span, together, better)


def _row(one: Difference) -> str:
    span = f"{_signed(one.span.low)} to {_signed(one.span.high)}" if one.span else ""
    how = {True: " (paired)", False: ""}[one.paired]
    mark = ""
    if one.beyond_chance:
        mark = {None: "**differs**", True: "**better**", False: "**worse**"}[one.better]
    return f"| `{one.key}` | {number(one.a)} | {number(one.b)} | {_signed(one.b - one.a)} | {span}{how} | {mark} |"


def _signed(value: float) -> str:
    return f"+{number(value)}" if value > 0 else number(value)


def _are_numbers(key: str, a: Results, b: Results) -> bool:
    """Whether both are figures and one of them at least is known."""
    values = (a.scores[key], b.scores[key])
    return all(isinstance(value, int | float) for value in values) and not all(map(math.isnan, values))


def _only(a: Results, b: Results) -> tuple[str, ...]:
    return tuple(key for key in a.scores if key not in b.scores and not is_count(key))


def _agree(a: Results, b: Results, key: str) -> bool:
    """Whether both say the same; saying nothing is no agreement."""
    one, other = (flattened(results.about).get(key) for results in (a, b))
    return one is not None and one == other


def _told(results: Results, name: str) -> str:
    key = next(key for key, each in MUST_AGREE.items() if each == name)
    return str(flattened(results.about).get(key, "not told"))


def _unlike_settings(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    one, other = flattened(a), flattened(b)
    keys = [key for key in [*one, *(key for key in other if key not in one)] if not key.startswith(PASSING)]
    return {key: (one.get(key), other.get(key)) for key in keys if one.get(key) != other.get(key)}


def _cell(value: Any) -> str:
    return " ".join(("not told" if value is None else str(value)).replace("|", "/").split())
