"""Bits stay in use, and the closed-form entropy is the enumerated one."""

import itertools
import math

import pytest
import torch

from echopulse.model.quantizer import LookupFreeQuantizer, live_bits


def features(seed: int = 0, shift: float = 0.0, bits: int = 6) -> torch.Tensor:
    return torch.randn(4, 2, 3, 3, bits, generator=torch.Generator().manual_seed(seed)) + shift


def test_bits_stay_balanced_where_plain_signs_collapse():
    drifted = features(shift=5.0)
    assert live_bits(drifted) == 0
    bits = LookupFreeQuantizer(6)(drifted).bits
    assert live_bits(bits.detach()) == 6
    assert (bits > 0).float().mean((0, 1, 2, 3)).sub(0.5).abs().max() < 0.15


def test_bits_are_signs_and_their_gradient_passes_through():
    x = features().requires_grad_()
    quantized = LookupFreeQuantizer(6)(x)
    assert torch.allclose(quantized.bits.detach().abs(), torch.ones(()), atol=1e-5)
    (quantized.bits * torch.randn(x.shape, generator=torch.Generator().manual_seed(1))).sum().backward()
    assert float(x.grad.abs().sum()) > 0


def test_in_use_the_statistics_stand_still():
    quantizer = LookupFreeQuantizer(6)
    for seed in range(80):
        quantizer.normalise(features(seed, shift=2.0))
    quantizer.eval()
    alone = quantizer.normalise(features(1, shift=2.0)[:1])
    together = quantizer.normalise(features(1, shift=2.0))[:1]
    assert torch.equal(alone, together)


def test_the_entropy_in_closed_form_is_that_of_all_codes_enumerated():
    bits = 3
    quantizer = LookupFreeQuantizer(bits)
    x = features(bits=bits)
    p = torch.sigmoid(2 * quantizer.normalise(x).reshape(-1, bits)).double()
    codes = torch.tensor(list(itertools.product((0, 1), repeat=bits))).double()
    of_code = torch.prod(codes * p[:, None] + (1 - codes) * (1 - p[:, None]), -1)  # [tokens, codes]
    per_token = -(of_code * of_code.log()).sum(-1).mean()
    marginal = p.mean(0)
    of_mean = torch.prod(codes * marginal + (1 - codes) * (1 - marginal), -1)  # bits taken as independent
    overall = -(of_mean * of_mean.log()).sum()
    entropy = LookupFreeQuantizer(bits)(x).entropy
    assert float(entropy) == pytest.approx(float(per_token - overall) / bits, abs=1e-5)


def test_the_entropy_is_least_for_sure_bits_that_are_used_both_ways():
    sure = torch.tensor([1.0, -1.0]).repeat(50)[:, None].expand(-1, 4)
    unsure = torch.randn(100, 4, generator=torch.Generator().manual_seed(0))
    least = LookupFreeQuantizer(4)(sure * 9).entropy
    assert -math.log(2) <= float(least) < float(LookupFreeQuantizer(4)(unsure).entropy) < 0


def test_live_bits_counts_those_that_take_their_rarer_value_often_enough():
    bits = -torch.ones(100, 3)
    bits[:50, 0] = 1
    bits[:5, 1] = 1  # five per cent exactly: not more than the threshold
    assert live_bits(bits) == 1
    assert live_bits(bits, threshold=0.04) == 2
