"""What a file layout is: which files a heart becomes, and what it is recorded with unless somebody says otherwise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from echopulse.phantom import PhantomClips


@dataclass(frozen=True)
class Form:
    """A layout in a folder. Numbers count hearts from 0; clips come one per `PhantomClips`, a study's in view order.

    Attributes:
        files: names below the folder of heart `number`'s files from these views; the last one appears last.
        write: writes those of one heart below a folder.
        views: seen by default; None for any.
        finish: writes the tables over all hearts that the folder holds; their names are `tables`.
        study: every heart is seen from each view, instead of from one of them.
        beating: another heart is drawn where one stands still, since nobody collects those.
        possible: views that the layout can hold; None for all.
    """

    name: str
    fps: float
    seconds: float
    size: int
    files: Callable[[int, tuple[str, ...] | None], tuple[str, ...]] | None = None
    write: Callable[[Sequence[PhantomClips], Path, int], None] | None = None
    views: tuple[str, ...] | None = None
    possible: tuple[str, ...] | None = None
    study: bool = False
    beating: bool = False
    finish: Callable[[Path, Sequence[int]], None] | None = None
    tables: tuple[str, ...] = ()
