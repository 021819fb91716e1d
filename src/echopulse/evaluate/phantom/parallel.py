"""Work spread over single-thread processes, with the same results however many there are."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from typing import Any

import torch

Job = tuple[Callable[..., Any], tuple[Any, ...]]


def usual_workers() -> int:
    """As many as this process has cores."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def one_thread() -> None:
    """What every worker does first: threads of one operation only hinder each other."""
    torch.set_num_threads(1)


def pool_of(workers: int) -> ProcessPoolExecutor:
    """Fresh processes, each with one thread."""
    return ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=one_thread)


def run_jobs(jobs: Sequence[Job], workers: int, on_done: Callable[[], None] = lambda: None) -> list[Any]:
    """What the jobs (function, arguments) return, in their order; `on_done` is called after each.

    With one worker they run right here, likewise with one thread. Every job has to bring its own seeds.
    """
    if workers <= 1:
        threads = torch.get_num_threads()
        one_thread()
        try:
            results = []
            for function, arguments in jobs:
                results.append(function(*arguments))
                on_done()
            return results
        finally:
            torch.set_num_threads(threads)
    with pool_of(workers) as pool:
        futures: list[Future[Any]] = [pool.submit(function, *arguments) for function, arguments in jobs]
        try:
            for future in as_completed(futures):
                future.result()
                on_done()
        except BaseException:  # what went wrong is told at once, not after all the others are done
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        return [future.result() for future in futures]
