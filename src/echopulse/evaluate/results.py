"""What an evaluation found: figures, the values behind them, and everything that is needed to find them again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Scores = dict[str, float | str]


@dataclass(frozen=True, eq=False)
class Loop:
    """A sample clip for the page.

    Attributes:
        name: what it shows, in a few words.
        frames: uint8 [t, h, w] or [t, h, w, 3].
        fps: frames per second.
        ed_frame, es_frame: of one beat, None where it has none.
    """

    name: str
    frames: np.ndarray
    fps: float
    ed_frame: int | None = None
    es_frame: int | None = None


@dataclass(frozen=True, eq=False)
class Results:
    """Figures of one evaluation.

    Attributes:
        scores: flat dotted key -> number (NaN where there is none) or word.
        columns: key of a figure -> the values behind it, one per heart, clip or cycle, in the hearts' order.
        about: settings, seeds, numbers of clips, versions, hashes of model and data, device, seconds per part.
        loops: sample clips.
    """

    scores: Scores = field(default_factory=dict)
    columns: dict[str, list[float]] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)
    loops: tuple[Loop, ...] = ()

    @classmethod
    def of(cls, scores: Mapping[str, float | str], columns: Mapping[str, Sequence[float]] | None = None) -> Results:
        """Scores, and the values behind some of them."""
        values = {key: [float(value) for value in column] for key, column in (columns or {}).items()}
        return cls(dict(scores), values)

    def under(self, part: str) -> Results:
        """The same with every key below `part`."""
        scores = {f"{part}.{key}": value for key, value in self.scores.items()}
        columns = {f"{part}.{key}": column for key, column in self.columns.items()}
        return Results(scores, columns, self.about, self.loops)

    def __or__(self, other: Results) -> Results:
        """Both; where they share a key the other's counts."""
        return Results(
            self.scores | other.scores, self.columns | other.columns, self.about | other.about, self.loops + other.loops
        )
