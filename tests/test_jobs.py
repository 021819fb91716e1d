"""Work is shared without anybody noticing: the same results, the first error, nothing left running."""

import os
from functools import partial
from pathlib import Path

import pytest
import torch

from echopulse.errors import InputError
from echopulse.jobs import run_jobs, usable_cores, workers_peak_gb


def note(folder: Path, number: int) -> None:
    """Leaves a file with the sum that a torch thread makes."""
    torch_sum = torch.arange(100_000, dtype=torch.float32).mul(0.1).sin().sum()
    (folder / f"{number}").write_text(f"{float(torch_sum)} {torch.get_num_threads()}")


def leave(number: int) -> None:
    os._exit(3)


def refuse(number: int) -> None:
    raise InputError(f"number {number} is impossible.")


def test_two_workers_leave_what_one_leaves(tmp_path):
    told: list[int] = []
    for workers in (1, 2):
        (tmp_path / str(workers)).mkdir()
        run_jobs(partial(note, tmp_path / str(workers)), range(5), workers=workers, on_done=told.append)
    one, two = ({path.name: path.read_text() for path in (tmp_path / name).iterdir()} for name in "12")
    assert one == two and len(one) == 5 and all(text.endswith(" 1") for text in one.values())
    assert told[:5] == [0, 1, 2, 3, 4] and sorted(told[5:]) == [0, 1, 2, 3, 4]


def square(number: int) -> int:
    return number * number


@pytest.mark.parametrize("workers", [1, 3])
def test_results_come_in_the_order_of_the_pieces(workers):
    assert run_jobs(square, [3, 1, 2, 0], workers=workers) == [9, 1, 4, 0]


def test_the_number_of_threads_is_given_back():
    before = torch.get_num_threads()
    run_jobs(lambda number: None, [0])
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_in_a_worker_is_told_as_it_is(workers):
    with pytest.raises(InputError, match="number [01] is impossible"):
        run_jobs(refuse, [0, 1], workers=workers)


def test_a_worker_that_dies_is_one_sentence():
    with pytest.raises(InputError, match="ended without a word.*fewer --workers"):
        run_jobs(leave, [0, 1], workers=2)


def hold(mebibytes: int) -> None:
    torch.ones(mebibytes << 18)  # of four bytes


def test_what_workers_have_held_is_told_and_the_size_of_this_process_is_not_in_it():
    here = torch.ones(600 << 18)
    run_jobs(hold, [1, 1], workers=2)
    small = workers_peak_gb()
    assert 0 < small < 1.2  # two interpreters with torch
    run_jobs(hold, [500, 500], workers=2)
    assert workers_peak_gb() > small + 0.4
    del here


def test_no_workers_are_refused():
    with pytest.raises(InputError, match="--workers 0: at least one"):
        run_jobs(refuse, [0], workers=0)
    assert usable_cores() >= 1
