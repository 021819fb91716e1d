"""An adapter's promises, on networks of a few numbers: nothing changes at the start, merged is unmerged, off is off."""

import copy
import warnings
from dataclasses import replace

import pytest
import torch
from torch import nn

from echopulse.errors import InputError
from echopulse.model.config import PRESETS
from echopulse.model.generator import Generator
from echopulse.model.lora import Adapters, Lora, find_layers
from echopulse.model.tokenizer import Tokenizer


class Small(nn.Module):
    """Every kind of layer that an adapter may meet: strided, dilated and grouped convolutions, a norm, a linear one."""

    def __init__(self):
        super().__init__()
        self.wide = nn.Conv2d(2, 6, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.holes = nn.Conv2d(6, 6, 3, dilation=2, padding=2, bias=False)
        self.apart = nn.Conv2d(6, 6, 3, padding=1, groups=3)
        self.point = nn.Conv2d(6, 4, 1)
        self.last = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.point(self.apart(self.holes(self.norm(self.wide(x)).relu()).relu()))
        return self.last(x.mean((2, 3)))


def small(seed: int = 0) -> Small:
    torch.manual_seed(seed)
    return Small().eval()


def pictures(seed: int = 0) -> torch.Tensor:
    return torch.randn(3, 2, 8, 8, generator=torch.Generator().manual_seed(seed))


def fresh(network: nn.Module, seed: int = 0, **options) -> Lora:
    return Lora.fresh(network, generator=torch.Generator().manual_seed(seed), **options)


def learned(network: nn.Module, seed: int = 0, **options) -> Lora:
    """An adapter that does something, as after training."""
    lora = fresh(network, seed, **{"rank": 2, "alpha": 3.0} | options)
    draw = torch.Generator().manual_seed(seed + 100)
    for part in lora.parts:
        nn.init.normal_(part.up, std=0.3, generator=draw)
    return lora


@torch.no_grad()
def out(network: nn.Module, x: torch.Tensor | None = None) -> torch.Tensor:
    return network(pictures() if x is None else x)


def test_at_the_start_the_output_is_the_networks_to_the_last_bit():
    network = small()
    before = out(network)
    Adapters(network).add(fresh(network))
    assert torch.equal(out(network), before)


def test_a_learned_adapter_changes_the_output_and_switched_off_it_does_not():
    network = small()
    before = out(network)
    adapters = Adapters(network)
    adapters.add(learned(network))
    changed = out(network)
    assert not torch.allclose(changed, before, atol=1e-3)
    with adapters.off() as bare:
        assert bare is network and torch.equal(out(network), before)
    assert torch.equal(out(network), changed)


def test_the_output_is_that_of_the_weights_plus_alpha_over_rank_times_b_times_a():
    network = small()
    lora = learned(network, rank=2, alpha=3.0, layers="holes,last")
    by_hand = copy.deepcopy(network)
    for name in ("holes", "last"):
        part, layer = lora.by_layer()[name], by_hand.get_submodule(name)
        b, a = part.up.detach().flatten(1), part.down.detach().flatten(1)
        layer.weight.data += 3.0 / 2 * (b @ a).reshape(layer.weight.shape)
    Adapters(network).add(lora)
    assert torch.allclose(out(network), out(by_hand), atol=1e-6)


def test_merged_and_unmerged_outputs_agree_and_the_base_comes_back_to_the_last_bit():
    network = small()
    state = {name: value.clone() for name, value in network.state_dict().items()}
    adapters = Adapters(network)
    adapters.add(learned(network))
    beside = out(network)
    assert adapters.merge() is network and adapters.merged
    assert not torch.equal(network.last.weight, state["last.weight"])
    assert torch.allclose(out(network), beside, rtol=0, atol=1e-5)
    adapters.merge()  # again changes nothing
    assert torch.allclose(out(network), beside, rtol=0, atol=1e-5)
    with adapters.off():
        assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())
    assert adapters.merged and torch.allclose(out(network), beside, rtol=0, atol=1e-5)
    adapters.unmerge()
    assert not adapters.merged and torch.equal(out(network), beside)
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())


def test_a_whole_tokenizer_gives_the_same_features_merged_and_unmerged():
    torch.manual_seed(0)
    tokenizer = Tokenizer(PRESETS["tiny"]["tokenizer"]).eval()
    clip = torch.rand(1, 5, 32, 32, generator=torch.Generator().manual_seed(0))
    adapters = Adapters(tokenizer)
    adapters.add(learned(tokenizer, rank=4, alpha=4.0))
    with torch.no_grad():
        beside = tokenizer.features(clip)
        adapters.merge()
        assert torch.allclose(tokenizer.features(clip), beside, rtol=0, atol=1e-5)


def test_several_adapters_add_up_each_by_its_weight():
    network = small()
    one, two = learned(network, 1, layers="last"), learned(network, 2, layers="last", rank=3)
    before = out(network)
    effects = []
    for lora in (one, two):
        adapters = Adapters(network)
        adapters.add(lora)
        effects.append(out(network) - before)
        adapters.remove()
    assert torch.equal(out(network), before)
    adapters = Adapters(network)
    adapters.add(one)
    adapters.add(two, 0.5)
    assert torch.allclose(out(network), before + effects[0] + 0.5 * effects[1], atol=1e-5)
    adapters.merge()
    adapters.set_weight(one, -1.0)
    assert adapters.merged and torch.allclose(out(network), before - effects[0] + 0.5 * effects[1], atol=1e-5)
    adapters.set_weight(one, 0.0)
    adapters.set_weight(two, 0.0)
    assert torch.allclose(out(network), before, atol=1e-6)


def test_only_the_adapter_learns_and_the_statistics_of_norms_hold_still():
    network = small()
    state = {name: value.clone() for name, value in network.state_dict().items()}
    lora = fresh(network)
    Adapters(network).add(lora)
    network.train()  # whoever calls this does not move the statistics
    optimizer = torch.optim.AdamW([p for p in [*network.parameters(), *lora.parameters()] if p.requires_grad], lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        network(pictures()).square().mean().backward()
        optimizer.step()
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())
    assert all(p.grad is None for p in network.parameters()) and all(p.grad is not None for p in lora.parameters())
    assert all(float(part.up.detach().abs().sum()) > 0 for part in lora.parts)


def test_a_codebook_that_learns_by_counting_holds_still_too():
    torch.manual_seed(0)
    tokenizer = Tokenizer(replace(PRESETS["tiny"]["tokenizer"], quantizer="vq", codes=16, code_width=4))
    Adapters(tokenizer).add(fresh(tokenizer))
    tokenizer.train()
    before = tokenizer.quantizer.sums.clone()
    tokenizer.quantize(torch.rand(1, 5, 32, 32, generator=torch.Generator().manual_seed(0)))
    assert torch.equal(tokenizer.quantizer.sums, before)


def test_the_adapters_numbers_are_its_own():
    network = small()
    names = set(network.state_dict())
    lora = fresh(network, rank=2)
    Adapters(network).add(lora)
    assert set(network.state_dict()) == names
    wide, holes, point, last = 2 * (2 * 9 + 6), 2 * (6 * 9 + 6), 2 * (6 + 4), 2 * (4 + 3)
    assert sum(p.numel() for p in lora.parameters()) == wide + holes + point + last
    total = sum(p.numel() for p in network.parameters())
    assert lora.share_of(network) == pytest.approx((wide + holes + point + last) / total)


def test_the_same_generator_gives_the_same_adapter():
    first, again, other = (fresh(small(), seed) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert not torch.equal(first.parts[0].down, other.parts[0].down)


@pytest.mark.parametrize(
    ("pattern", "names"),
    [("*", ["wide", "holes", "point", "last"]), ("last, wid?", ["wide", "last"]), ("*o*", ["holes", "point"])],
)
def test_layers_are_found_by_pattern_in_the_networks_order_and_grouped_ones_left_out(pattern, names):
    assert list(find_layers(small(), pattern)) == names


def test_every_tokenizers_and_generators_layer_can_be_named():
    tokenizer, generator = Tokenizer(PRESETS["tiny"]["tokenizer"]), Generator(PRESETS["tiny"]["generator"])
    assert all(name.startswith("decoder") for name in find_layers(tokenizer, "decoder*"))
    found = find_layers(generator, "blocks.*.qkv,blocks.*.mlp.0")
    assert set(found) == {f"blocks.{i}.{name}" for i in (0, 1) for name in ("time.qkv", "space.qkv", "mlp.0")}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rank": 0}, "rank 0: an adapter needs a rank of at least 1"),
        ({"rank": -3}, "rank -3"),
        ({"rank": True}, "rank True"),
        ({"alpha": 0.0}, "alpha 0.0: a positive number"),
        ({"alpha": float("nan")}, "alpha nan"),
        ({"layers": "encoder*"}, "layers 'encoder\\*': no linear layer or 2-D convolution of that name; .* wide"),
        ({"layers": "last,norm"}, "layers 'norm'"),
        ({"layers": "apart"}, "layers 'apart'"),
    ],
)
def test_adapters_that_could_not_work_are_refused(options, words):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InputError, match=words):
            fresh(small(), **options)


def test_an_adapter_of_other_weights_is_refused():
    network, other = small(0), small(1)
    with pytest.raises(InputError, match="made for weights with the hash [0-9a-f]{16}, these have [0-9a-f]{16}"):
        Adapters(other).add(learned(network))


def test_an_adapter_of_another_network_is_refused():
    lora = learned(small())
    with pytest.raises(InputError, match="changes wide, which this network has not"):
        Adapters(nn.Sequential(nn.Linear(4, 3))).add(lora)
    wider = small()
    wider.last = nn.Linear(4, 5)
    with pytest.raises(InputError, match="matrices for last are 2×4 and 3×2, expected 2×4 and 5×2"):
        Adapters(wider).add(learned(small(), layers="last"))


def test_an_adapter_of_what_is_no_number_is_refused():
    network = small()
    lora = learned(network)
    lora.parts[1].up.data[0] = torch.nan
    with pytest.raises(InputError, match="holds values for holes that are no numbers"):
        Adapters(network).add(lora)
    with pytest.raises(InputError, match="weight is nan"):
        Adapters(network).add(learned(network), float("nan"))


def test_nothing_is_added_to_a_network_that_others_are_merged_into():
    network = small()
    adapters = Adapters(network)
    adapters.add(learned(network))
    adapters.merge()
    with pytest.raises(InputError, match="unmerge"):
        adapters.add(learned(small()))


def test_a_copy_of_the_network_carries_its_adapter_along():
    network = small()
    adapters = Adapters(network)
    adapters.add(learned(network))
    again, expected = copy.deepcopy(network), out(network)
    adapters.remove()
    assert torch.equal(out(again), expected) and not torch.equal(out(network), expected)
