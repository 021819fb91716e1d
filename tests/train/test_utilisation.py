"""Operations are counted as by hand, and their share of the machine's best lies between none and about all."""

import torch

from echopulse.train import Run, Settings
from echopulse.train.utilisation import best_rate, count_operations


class Product:
    """Learns a matrix of 64 x 32 from batches of 16."""

    name = "product"

    def __init__(self):
        self.model = torch.nn.Linear(64, 32, bias=False)

    def loss(self, seed):
        return self.model(torch.ones(16, 64)).square().mean(), {}

    def evaluate(self, model):
        return {}

    def pictures(self, model):
        return None

    def on_progress(self, progress, step):
        """Nothing changes."""


def test_a_steps_operations_are_those_of_its_products(tmp_path):
    run = Run(Product(), Settings(steps=2, warmup=1), tmp_path)
    assert run.utilisation() == {}
    run.train()
    assert run.operations == 2 * (2 * 16 * 64 * 32)  # forward, and the weight's gradient; the input needs none
    found = run.utilisation()
    assert 0 < found["tflop_s"] and 0 < found["utilisation"] < 1.5


def test_a_product_of_matrices_counts_twice_its_sides():
    a, b = torch.ones(3, 5), torch.ones(5, 7)
    assert count_operations(lambda: a @ b) == 2 * 3 * 5 * 7
    assert best_rate(torch.device("cpu")) > 1e8
