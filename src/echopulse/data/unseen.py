"""Which files of a folder training never sees: their names decide, not how many others there are.

Every name has a place of its own between 0 and 1. A file whose place is below a tenth is held out, and stays so
whatever files come. In a small folder there may be none such, more likely than not below seven files; then the one that
comes nearest stands in, and only until there is one.
"""

import hashlib
from collections.abc import Iterable

HELD_OUT = 0.1  # share of the files


def unseen_first(names: Iterable[str]) -> tuple[list[str], int]:
    """The names, two or more, in an order of their own, and how many of the first to hold out: about a tenth.

    Those below `HELD_OUT` are held out for good. At least one is held out, for which the nearest stands in where there
    is none, and at least one is left to learn from, for which the furthest is given back where all are below.
    """
    order = sorted(names, key=place_of)
    return order, min(max(1, sum(place_of(name) < HELD_OUT for name in order)), len(order) - 1)


def place_of(name: str) -> float:
    """A number in 0..1 that is the name's own, whatever others there are."""
    return int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) / 2**32
