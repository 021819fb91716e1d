"""The same results in the same order however many processes work."""

import math

import pytest
import torch

from echopulse.evaluate.phantom.parallel import run_jobs


def test_order_and_results_do_not_depend_on_the_workers():
    jobs = [(math.comb, (6, k)) for k in range(7)]
    done = []
    alone = run_jobs(jobs, 1, lambda: done.append(1))
    assert alone == [1, 6, 15, 20, 15, 6, 1] and len(done) == 7
    assert run_jobs(jobs, 2) == alone
    with pytest.raises(ValueError):
        run_jobs([(math.sqrt, (-1,))], 2)


def test_threads_are_given_back():
    before = torch.get_num_threads()
    assert run_jobs([(torch.get_num_threads, ())], 1) == [1]
    assert torch.get_num_threads() == before
