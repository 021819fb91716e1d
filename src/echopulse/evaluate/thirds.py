"""Figures of clips by scanner look: those in the lowest, middle and highest third of a parameter."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np

Piece = TypeVar("Piece")
THIRDS = ("low", "middle", "high")


def by_thirds(pieces: Sequence[Piece], values: Sequence[float]) -> Iterator[tuple[str, list[Piece]]]:
    """Each third's name and its pieces, in their order, by one value per piece; of equal values all fall together."""
    edges = np.quantile(values, [1 / 3, 2 / 3]) if len(values) else np.zeros(2)
    place = np.searchsorted(edges, values)
    for third, word in enumerate(THIRDS):
        yield word, [piece for piece, at in zip(pieces, place, strict=True) if at == third]
