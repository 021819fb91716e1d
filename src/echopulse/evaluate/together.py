"""Several clips at a time, in threads that compute with one core each; and how much of the work is done."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import torch

Piece = TypeVar("Piece")
Done = TypeVar("Done")
OnStep = Callable[[float], None]


def together(
    work: Callable[[Piece], Done],
    pieces: Iterable[Piece],
    workers: int,
    on_done: Callable[[Any], None] = lambda _: None,
) -> list[Done]:
    """`work` of every piece, in their order, in `workers` threads that compute with one core each.

    Small networks gain more from two clips at a time than from two cores on one clip, and with one core to a clip its
    sums come out the same however many there are. `on_done` is called with each result, in the pieces' order.
    """
    if workers < 2:
        return [_told(work(piece), on_done) for piece in pieces]
    threads = torch.get_num_threads()
    with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        try:
            return [_told(result, on_done) for result in pool.map(work, pieces)]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
        finally:
            torch.set_num_threads(threads)


def _told(result: Done, on_done: Callable[[Any], None]) -> Done:
    on_done(result)
    return result


class Counted:
    """Passes every finished piece of work through and says what share of all is done, 0..1."""

    def __init__(self, on_step: OnStep, total: int):
        self.on_step, self.total, self.done = on_step, max(total, 1), 0

    def __call__(self, piece: Done = None, steps: int = 1) -> Done:
        self.done += steps
        self.on_step(min(self.done / self.total, 1.0))
        return piece
