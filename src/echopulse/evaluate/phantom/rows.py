"""Figures with their bars, and how they are printed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

import numpy as np

ABSENT = "not measured here"


@dataclass(frozen=True)
class Row:
    """One figure: where it belongs, what it is in words, its value and the bar it is held against.

    `low` and `high` are the bar, None where that side is open; without either the figure is for information.
    `value` None means that it could not be measured here; NaN that nothing came out, which misses any bar.
    `n` is how many hearts, beats or frames went in.
    """

    area: str
    name: str
    words: str
    value: float | None
    unit: str = ""
    low: float | None = None
    high: float | None = None
    n: int = 0

    @property
    def holds(self) -> bool | None:
        """Whether the bar is met; None without a bar, or where nothing was measured."""
        if self.value is None or (self.low is None and self.high is None):
            return None
        if not math.isfinite(self.value):
            return False
        return (self.low is None or self.value >= self.low) and (self.high is None or self.value <= self.high)

    @property
    def bar(self) -> str:
        """The bar as it is printed."""
        if self.low is not None and self.high is not None:
            return f"{self.low:.4g} to {self.high:.4g}"
        if self.low is not None:
            return f"at least {self.low:.4g}"
        return f"at most {self.high:.4g}" if self.high is not None else ""


class Sheet:
    """Rows of one area under construction: percentiles, medians and shares of whatever was measured."""

    def __init__(self, area: str) -> None:
        self.area = area
        self.rows: list[Row] = []

    def add(self, name: str, words: str, value: float | None, unit: str = "", *, low: float | None = None,
            high: float | None = None, n: int = 0) -> None:
        """A figure as it is."""
        value = None if value is None else float(value)
        self.rows.append(Row(self.area, name, words, value, unit, low, high, int(n)))

    def percentile(self, q: float, name: str, words: str, values: Any, unit: str = "", *, low: float | None = None,
                   high: float | None = None) -> None:
        """The q-th percentile of the finite values; the words say which it is."""
        known = finite(values)
        what = {0: "smallest", 1: "1st percentile", 50: "median", 100: "largest"}.get(q, f"{q:g}th percentile")
        value = float(np.percentile(known, q)) if len(known) else math.nan
        self.add(name, f"{what}: {words}", value, unit, low=low, high=high, n=len(known))

    def mean(self, name: str, words: str, values: Any, unit: str = "", *, low: float | None = None,
             high: float | None = None) -> None:
        """The mean of the finite values."""
        known = finite(values)
        self.add(name, f"mean: {words}", known.mean() if len(known) else math.nan, unit, low=low, high=high,
                 n=len(known))

    def share(self, name: str, words: str, held: Any, *, low: float | None = None) -> None:
        """The share of True, in percent."""
        held = np.asarray(held, bool).ravel()
        self.add(name, f"share: {words}", 100 * held.mean() if len(held) else math.nan, "%", low=low, n=len(held))


def finite(values: Any) -> np.ndarray:
    """The finite ones of the values, float64 [n]."""
    values = np.asarray(values, np.float64).ravel()
    return values[np.isfinite(values)]


def missed(rows: Sequence[Row]) -> list[Row]:
    """The rows whose bar is not met."""
    return [row for row in rows if row.holds is False]


def as_table(rows: Sequence[Row]) -> str:
    """All rows as a plain table, area by area, and a line that counts what holds."""
    lines = []
    width = max((len(row.name) for row in rows), default=0)
    for area, members in groupby(rows, key=lambda row: row.area):
        lines += ["", area]
        for row in members:
            value = ABSENT if row.value is None else f"{row.value:.4g} {row.unit}".strip()
            verdict = {True: "holds", False: "MISSED", None: ""}[row.holds]
            n = f" (n {row.n})" if row.n else ""
            lines.append(f"  {row.name:<{width}}  {value:>18}  {row.bar:>16}  {verdict:<6}  {row.words}{n}")
    held = [row for row in rows if row.holds is not None]
    lines += ["", f"{sum(bool(row.holds) for row in held)} of {len(held)} bars hold."]
    return "\n".join(lines[1:])


def as_json(rows: Sequence[Row], **facts: Any) -> dict[str, Any]:
    """All rows as plain data: `facts` (seed, clips, ...), `all_hold`, and the rows with their `holds`."""
    return {
        **facts,
        "all_hold": not missed(rows),
        "missed": [f"{row.area}.{row.name}" for row in missed(rows)],
        "rows": [{**asdict(row), "holds": row.holds} for row in rows],
    }
