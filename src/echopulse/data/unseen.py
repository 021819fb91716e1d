"""Which files of a folder training never sees: their names decide, so that it stays so when others come."""

import hashlib
from collections.abc import Iterable

HELD_OUT = 0.1  # share of the files


def unseen_first(names: Iterable[str]) -> tuple[list[str], int]:
    """The names, two or more, in an order of their own, and how many of the first to hold out: about a tenth.

    At least one is held out, and one is left to learn from.
    """
    order = sorted(names, key=place_of)
    return order, min(max(1, sum(place_of(name) < HELD_OUT for name in order)), len(order) - 1)


def place_of(name: str) -> float:
    """A number in 0..1 that is the name's own, whatever others there are."""
    return int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) / 2**32
