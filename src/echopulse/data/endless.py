"""Simulated examinations without end, made on the training device as they are asked for."""

from collections.abc import Iterator
from itertools import count, islice
from typing import Any

from torch.utils.data import IterableDataset, get_worker_info

from echopulse.errors import InputError
from echopulse.phantom import PhantomClips, simulate


class SimulatedClips(IterableDataset):
    """Batches of `batch` examinations, one after the other, for ever (or `batches` of them).

    Batch k of seed s is the same whoever makes it. Inside a `DataLoader(dataset, batch_size=None, num_workers=w)`
    the workers take turns, so that the order too is that of a single process. `options` go to `simulate`:
    `SimulatedClips(8, seed=1, device="cuda", prior="uniform", view=["a4c", "a2c"])`.
    """

    def __init__(self, batch: int, *, seed: int = 0, batches: int | None = None, **options: Any) -> None:
        if batch < 1:
            raise InputError(f"batches of {batch} clips were asked for; ask for at least one clip a batch.")
        self.batch, self.seed, self.batches, self.options = batch, seed, batches, options

    def __iter__(self) -> Iterator[PhantomClips]:
        worker = get_worker_info()
        first, step = (0, 1) if worker is None else (worker.id, worker.num_workers)
        for number in islice(count() if self.batches is None else range(self.batches), first, None, step):
            yield simulate(self.batch, seed=self.seed * 100_003 + number, **self.options)
