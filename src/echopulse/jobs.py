"""Pieces of work shared among single-thread processes, with the same results however many there are."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from typing import Any, TypeVar

import torch

from echopulse.errors import InputError
from echopulse.memory import peak_memory_gb

Piece = TypeVar("Piece")
Result = TypeVar("Result")
_work: Callable[[Any], Any] | None = None  # what a worker process was started for
_workers_peak_gb = 0.0  # see `workers_peak_gb`


def usable_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def workers_peak_gb() -> float:
    """The most that the worker processes of one `run_jobs` of this process have held, GiB; 0 where none was started.

    Each worker's own peak, added up: they need not have come at the same moment, and what workers share counts in each.
    """
    return _workers_peak_gb


def run_jobs(
    work: Callable[[Piece], Result],
    pieces: Sequence[Piece],
    *,
    workers: int = 1,
    on_done: Callable[[Piece], None] | None = None,
) -> list[Result]:
    """What `work(piece)` returns for every piece, in their order, from `workers` processes.

    `on_done(piece)` is called here after each. The processes are started afresh (spawned), so `work` has to be
    picklable, and each computes with one torch thread, as one worker alone does: sums depend on how many threads
    share them. Pieces have to bring their own seeds. The first error ends the run.
    """
    if workers < 1:
        raise InputError(f"--workers {workers}: at least one is expected.")
    if workers == 1 or len(pieces) < 2:
        with _one_thread():
            results = []
            for piece in pieces:
                results.append(work(piece))
                if on_done:
                    on_done(piece)
            return results
    peaks: dict[int, float] = {}  # by process
    pool = ProcessPoolExecutor(min(workers, len(pieces)), get_context("spawn"), _begin_worker, (work,))
    try:
        futures = {pool.submit(_do, piece): piece for piece in pieces}
        for future in as_completed(futures):
            _, process, peak = future.result()
            peaks[process] = max(peak, peaks.get(process, 0.0))
            if on_done:
                on_done(futures[future])
        return [future.result()[0] for future in futures]
    except BrokenProcessPool as error:
        raise InputError(
            "a worker process ended without a word, perhaps for want of memory; "
            "give the same command with fewer --workers, it goes on where it stopped."
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        _note_peak(sum(peaks.values()))


def _note_peak(together_gb: float) -> None:
    global _workers_peak_gb
    _workers_peak_gb = max(_workers_peak_gb, together_gb)


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _begin_worker(work: Callable[[Any], Any]) -> None:
    global _work
    _work = work
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started the workers stops them, after their piece of work
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for work for ever."""
    parent_process().join()
    os._exit(1)


def _do(piece: Any) -> tuple[Any, int, float]:
    """The result, and which worker made it and the most memory that it has held, GiB."""
    return _work(piece), os.getpid(), peak_memory_gb()
