"""Claims in a README that a machine can check: comments beside the figures say which key they are and how exact.

    <!-- evaluate: clips=48, seed=990000 -->
    | ED against truth | 32 ms <!-- claim: timing.first_image.ed_ms.median_abs = 32 ± 4 --> |
    | flat ECG: EF | 0.11 <!-- claim: controls.flat.ef <= 0.15 --> |

An `evaluate` comment holds for the claims after it, until the next. A claim on a line with visible text has to stand in
that text too, digit for digit, so that the page cannot say one thing and its claim another.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from echopulse.errors import InputError
from echopulse.evaluate.keys import figure_of, part_of
from echopulse.evaluate.report import number
from echopulse.evaluate.results import Results
from echopulse.files import read_text

FENCED = re.compile(r"^ {0,3}(```|~~~).*?(?:^ {0,3}\1|\Z)", re.DOTALL | re.MULTILINE)
COMMENT = re.compile(r"<!--(.*?)-->", re.DOTALL)
NUMBER = r"-?\d+(?:\.\d+)?(?:e-?\d+)?"
CLAIM = re.compile(rf"(?P<key>\S+)\s*(?P<sign>=|≤|≥|<=|>=)\s*(?P<value>{NUMBER})"
                   rf"(?:\s*(?:±|\+-)\s*(?P<within>{NUMBER})\s*(?P<percent>%)?)?")  # fmt: skip
SIGNS = {"<=": "≤", ">=": "≥"}
FORM = "`claim: KEY = VALUE ± TOLERANCE` (or ± 10 %), `claim: KEY ≤ VALUE` or `claim: KEY ≥ VALUE`"
PARTS = {"beats": "files"}  # figures that another part makes
SETTINGS = {"clips": int, "seconds": (int, float), "seed": int, "start": str, "ecg": str}

Evaluate = Callable[..., Results]


@dataclass(frozen=True)
class Claim:
    """One figure that a page claims, and within what it has to come out again.

    Attributes:
        key: of the figure.
        sign: "=" (within a tolerance), "≤" or "≥".
        value: as claimed.
        within: how far another value may lie from it; 0 for the other signs.
        line: of the page, from 1.
        settings: of the evaluation that it was claimed of.
    """

    key: str
    sign: str
    value: float
    within: float
    line: int
    settings: Mapping[str, Any] = field(default_factory=dict)

    def holds(self, found: Any) -> bool:
        """Whether a figure found bears the claim out; what is no number does not."""
        if not isinstance(found, int | float) or not math.isfinite(found):
            return False
        if self.sign == "=":
            return abs(found - self.value) <= self.within * (1 + 1e-9)
        return found <= self.value if self.sign == "≤" else found >= self.value

    def __str__(self) -> str:
        return f"{self.sign} {self.value:g}" + (f" ± {self.within:g}" if self.sign == "=" else "")


@dataclass(frozen=True)
class Check:
    """A claim and what came out."""

    claim: Claim
    found: Any

    @property
    def holds(self) -> bool:
        return self.claim.holds(self.found)


def reproduce(path: Path, evaluate: Evaluate) -> list[Check]:
    """Runs once more what a page claims, each setting once, and holds the figures against the claims.

    `evaluate(parts=..., **settings)` gives Results; `ecg` among the settings is a path beside the page.
    """
    runs: dict[tuple, list[Claim]] = {}
    for claim in read_claims(path):
        runs.setdefault(tuple(sorted(claim.settings.items())), []).append(claim)
    checks = []
    for settings, claims in runs.items():
        needed = (PARTS.get(part_of(claim.key), part_of(claim.key)) for claim in claims)
        scores = evaluate(parts=tuple(dict.fromkeys(needed)), **dict(settings)).scores
        checks += [Check(claim, scores.get(claim.key)) for claim in claims]
    return sorted(checks, key=lambda check: check.claim.line)


def read_claims(path: Path) -> list[Claim]:
    """The claims of a page in their order. Refuses a page without any, and what is no claim though it says so."""
    text = _without_code(read_text(path, "a page in Markdown"))
    claims, settings = [], {}
    for comment in COMMENT.finditer(text):
        kind, colon, said = comment[1].strip().partition(":")
        where = f"{path}:{text.count(chr(10), 0, comment.start()) + 1}"
        if colon and kind == "evaluate":
            settings = _settings(said, where)
        elif colon and kind == "claim":
            claims.append(_claim(said, where, settings, _visible(text, comment)))
    if not claims:
        raise InputError(f"{path}: no claims in it; a claim is a comment <!-- ... --> that holds {FORM}.")
    return claims


def to_markdown(checks: list[Check]) -> str:
    """A table of claims and what came out."""
    lines = ["| line | figure | claimed | found | |", "|---|---|---|---|---|"]
    for check in checks:
        found = number(float(check.found)) if isinstance(check.found, int | float) else str(check.found or "no figure")
        mark = "holds" if check.holds else "**differs**"
        lines.append(f"| {check.claim.line} | `{check.claim.key}` | {check.claim} | {found} | {mark} |")
    held = sum(check.holds for check in checks)
    return "\n".join([*lines, "", f"{held} of {len(checks)} claims hold."])


def _claim(said: str, where: str, settings: Mapping[str, Any], visible: str) -> Claim:
    found = CLAIM.fullmatch(said.strip())
    if not found:
        raise InputError(f"{where}: {said.strip()!r} is no claim; write {FORM}.")
    sign = SIGNS.get(found["sign"], found["sign"])
    if (found["within"] is None) == (sign == "="):
        raise InputError(f"{where}: {said.strip()!r} needs a tolerance after =, and none after ≤ or ≥; write {FORM}.")
    if figure_of(found["key"]) is None:
        raise InputError(f"{where}: {found['key']!r} is no figure of an evaluation; docs/evaluation.md names them all.")
    if sign == "=" and visible and not re.search(rf"(?<![\d.]){re.escape(found['value'])}(?!\.?\d)", visible):
        raise InputError(
            f"{where}: the claim says {found['value']} for {found['key']}, which does not stand in its line; make the "
            "text and the claim agree, digit for digit."
        )
    value, within = float(found["value"]), float(found["within"] or 0)
    if found["percent"]:
        within *= abs(value) / 100
    return Claim(found["key"], sign, value, within, int(where.rpartition(":")[2]), settings)


def _settings(said: str, where: str) -> dict[str, Any]:
    """`clips=48, seed=7, start=phantom` as a dictionary of what `SETTINGS` allows."""
    found: dict[str, Any] = {}
    for pair in filter(None, (pair.strip() for pair in said.split(","))):
        name, equals, value = (word.strip() for word in pair.partition("="))
        if not equals or name not in SETTINGS:
            raise InputError(f"{where}: {pair!r}; settings are {', '.join(f'{name}=...' for name in SETTINGS)}.")
        try:
            found[name] = value if SETTINGS[name] is str else ast.literal_eval(value)
        except (ValueError, SyntaxError):
            found[name] = None
        if not isinstance(found[name], SETTINGS[name]):
            raise InputError(f"{where}: {pair!r}: a number is expected.")
    return found


def _without_code(text: str) -> str:
    """The page with fenced code blanked, line for line: what stands there is shown to readers and claims nothing."""
    return FENCED.sub(lambda block: "\n" * block[0].count("\n"), text)


def _visible(text: str, comment: re.Match) -> str:
    """What a reader sees of the line on which a comment stands."""
    start, stop = text.rfind("\n", 0, comment.start()) + 1, text.find("\n", comment.end())
    return COMMENT.sub(" ", text[start : stop if stop >= 0 else len(text)]).strip()
