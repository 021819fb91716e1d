"""Weights are shares of the gradient at the picture, whatever the losses' scales, and the means are kept."""

import pytest
import torch

from echopulse.train.losses.balance import Balancer
from echopulse.train.losses.running import RunningMean


def made(seed: int = 0) -> torch.Tensor:
    return torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(seed)).requires_grad_()


def pull(balancer: Balancer, weights: dict[str, float], scale: float = 1.0, seed: int = 0) -> torch.Tensor:
    """The balanced gradient of an absolute error above and a square below, the latter `scale` times what it is."""
    x = made(seed)
    terms = {"above": x[..., :4, :].abs().mean(), "below": scale * x[..., 4:, :].square().mean()}
    balancer.combine(terms, weights, x).backward()
    return x.grad


def sizes(gradient: torch.Tensor) -> list[float]:
    root = gradient.numel() ** 0.5
    return [root * float(gradient[..., :4, :].norm()), root * float(gradient[..., 4:, :].norm())]


def test_every_term_pulls_as_hard_as_its_weight():
    assert sizes(pull(Balancer(), {"above": 1.0, "below": 3.0})) == pytest.approx([1.0, 3.0], rel=1e-4)
    assert sizes(pull(Balancer(), {"above": 1.0, "below": 3.0}, scale=1000.0)) == pytest.approx([1.0, 3.0], rel=1e-4)


def test_a_mean_absolute_error_is_the_measure_of_it():
    x = made()
    plain = torch.autograd.grad(2 * x.abs().mean(), x)[0]
    balanced = torch.autograd.grad(Balancer().combine({"l1": x.abs().mean()}, {"l1": 2.0}, x), x)[0]
    assert torch.allclose(plain, balanced)


def test_the_value_is_the_weighted_sum_and_weight_zero_takes_no_part():
    x = made()
    terms = {"a": x.mean(), "b": x.square().sum(), "off": (x * float("nan")).sum()}
    balancer = Balancer()
    total = balancer.combine(terms, {"a": 2.0, "b": 0.5, "off": 0.0}, x)
    plain = 2 * terms["a"] + 0.5 * terms["b"]
    assert float(total.detach()) == pytest.approx(float(plain.detach())) and set(balancer.sizes) == {"a", "b"}
    total.backward()
    assert bool(x.grad.isfinite().all())


def test_a_term_without_a_gradient_does_no_harm():
    x = made()
    Balancer().combine({"a": x.mean(), "flat": (0 * x).sum()}, {"a": 1.0, "flat": 1.0}, x).backward()
    assert bool(x.grad.isfinite().all()) and float(x.grad.norm()) > 0


def test_sizes_run_on_over_the_batches_and_a_small_one_counts_less():
    balancer = Balancer(decay=0.5)
    weights = {"above": 1.0, "below": 1.0}
    pull(balancer, weights, scale=1.0)
    assert sizes(pull(balancer, weights, scale=0.1))[1] == pytest.approx(0.1 / (0.5 * 1 + 1 * 0.1) * 1.5, rel=1e-4)


def test_it_goes_on_from_its_state_to_the_same_bits():
    weights = {"above": 1.0, "below": 3.0}
    whole, resumed = Balancer(), Balancer()
    pull(whole, weights, seed=1)
    resumed.load(whole.state())
    assert torch.equal(pull(whole, weights, 5.0, seed=2), pull(resumed, weights, 5.0, seed=2))
    assert not torch.equal(pull(whole, weights, 5.0, seed=2), pull(Balancer(), weights, 5.0, seed=2))


def test_a_running_mean_begins_with_its_first_value_and_forgets_by_its_decay():
    mean = RunningMean(0.9)
    assert mean.update(4.0) == pytest.approx(4.0)
    assert mean.update(1.0) == pytest.approx((0.9 * 4 + 1) / 1.9)
    again = RunningMean(0.9)
    again.load(mean.state())
    assert again == mean
