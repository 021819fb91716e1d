"""Where a query looks depends on time differences in seconds and on nothing else about the clock."""

import pytest
import torch

from echopulse.model.attention import SelfAttention, TimedCrossAttention, attend, modulate, rotary


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_rotary_products_depend_on_time_differences_only():
    q, k = noise(1, 1, 1, 8), noise(1, 1, 1, 8, seed=1)

    def product(at: float, gap: float) -> float:
        return float((rotary(q, torch.tensor([[at]])) * rotary(k, torch.tensor([[at + gap]]))).sum())

    assert product(0.0, 0.3) == pytest.approx(product(7.5, 0.3), abs=1e-4)
    assert abs(product(0.0, 0.3) - product(0.0, 0.5)) > 1e-2


def test_rotary_turns_and_never_stretches_and_leaves_time_zero_alone():
    x = noise(2, 5, 3, 8)
    turned = rotary(x, torch.linspace(0, 2, 5).expand(2, -1))
    assert torch.allclose(turned.norm(dim=-1), x.norm(dim=-1), atol=1e-5)
    assert torch.allclose(turned[:, 0], x[:, 0]) and not torch.allclose(turned[:, 4], x[:, 4])


def test_attend_is_the_fused_attention_written_out():
    q, k, v = (noise(2, 6, 4, 8, seed=i) for i in range(3))
    fused = torch.nn.functional.scaled_dot_product_attention(*(x.transpose(1, 2) for x in (q, k, v)))
    assert torch.allclose(attend(q, k, v), fused.transpose(1, 2).flatten(-2), atol=1e-5)


def test_self_attention_is_the_same_at_any_hour():
    torch.manual_seed(0)
    attention = SelfAttention(16, 2)
    x, times = noise(2, 7, 16), torch.arange(7).expand(2, -1) * 0.16
    assert torch.allclose(attention(x, times), attention(x, times + 5.0), atol=1e-4)
    assert not torch.allclose(attention(x, times), attention(x, times * 2), atol=1e-4)


@pytest.fixture
def listener() -> TimedCrossAttention:
    """Queries and keys silent: only the lags decide where each head looks; values and output pass straight."""
    torch.manual_seed(0)
    cross = TimedCrossAttention(8, 8, 4)
    for layer in (cross.query, cross.key_value):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    cross.key_value.weight.data[8:] = torch.eye(8)
    return cross


def a_ramp(step_s: float = 0.02, tokens: int = 100) -> tuple[torch.Tensor, torch.Tensor]:
    """A memory whose every channel says the token's own time in seconds."""
    times = torch.arange(tokens)[None] * step_s
    return times[..., None].expand(-1, -1, 8).clone(), times


@pytest.mark.parametrize("step_s", [0.02, 0.04])
def test_every_head_reads_the_memory_at_its_lag_whatever_the_rates(listener, step_s):
    memory, times = a_ramp(step_s, int(2 / step_s))
    query_times = torch.tensor([[0.5, 1.03, 1.4]])
    read = listener(torch.zeros(1, 3, 8), query_times, memory, times).unflatten(-1, (4, 2))
    expected = query_times[..., None] + listener.lag_s
    assert torch.allclose(read[..., 0], expected, atol=0.01)


def test_absent_tokens_are_never_read(listener):
    memory, times = a_ramp()
    query_times = torch.tensor([[1.0]])
    absent = (times > 0.7) & (times < 0.8)
    poisoned = memory.masked_fill(absent[..., None], 1e4)
    read = listener(torch.zeros(1, 1, 8), query_times, poisoned, times.masked_fill(absent, torch.nan))
    assert float(read.detach().abs().max()) < 2.0


def test_far_from_every_token_the_reading_stays_finite(listener):
    memory, times = a_ramp()
    assert bool(listener(torch.zeros(1, 1, 8), torch.tensor([[500.0]]), memory, times).isfinite().all())


def test_a_common_shift_of_all_times_changes_nothing():
    torch.manual_seed(0)
    cross = TimedCrossAttention(8, 6, 4)
    x, memory = noise(2, 5, 8), noise(2, 30, 6, seed=1)
    times, memory_times = torch.arange(5).expand(2, -1) * 0.16, torch.arange(30).expand(2, -1) * 0.04
    here = cross(x, times, memory, memory_times)
    assert torch.allclose(here, cross(x, times + 3.0, memory, memory_times + 3.0), atol=1e-4)
    assert not torch.allclose(here, cross(x, times + 0.2, memory, memory_times), atol=1e-4)


def test_modulation_by_zero_is_the_layer_norm():
    x = noise(3, 5, 16)
    zero = torch.zeros_like(x)
    assert torch.allclose(modulate(x, zero, zero), torch.nn.functional.layer_norm(x, (16,)))
