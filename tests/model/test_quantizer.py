"""Bits stay in use, codes come back from their ids, losses are those of their definitions, here and in the library."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F

from echopulse.errors import InputError
from echopulse.model.config import PRESETS, GeneratorConfig, TokenizerConfig, fit_generator, parse_quantizer
from echopulse.model.quantizer import (
    CosineQuantizer,
    FiniteScalarQuantizer,
    LookupFreeQuantizer,
    codebook_use,
    live_bits,
    make_quantizer,
)
from echopulse.model.types import bits_to_ids, ids_to_bits

CHOICES = {
    "lfq": TokenizerConfig(bits=6),
    "lfq in groups": TokenizerConfig(bits=6, entropy_group=3),
    "fsq": TokenizerConfig(quantizer="fsq", levels=(8, 5, 4)),
    "vq": TokenizerConfig(quantizer="vq", codes=40, code_width=3),
}


def features(seed: int = 0, shift: float = 0.0, bits: int = 6) -> torch.Tensor:
    return torch.randn(4, 2, 3, 3, bits, generator=torch.Generator().manual_seed(seed)) + shift


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(params=CHOICES)
def chosen(request):
    """A quantizer of every kind, and features for it."""
    torch.manual_seed(0)
    config = CHOICES[request.param]
    return make_quantizer(config), features(bits=config.code_channels)


# --- what all kinds promise ---


def test_ids_name_the_codes_that_the_decoder_reads(chosen):
    quantizer, x = chosen
    quantized = quantizer.eval()(x)
    assert quantized.ids.dtype == torch.int64 and quantized.ids.shape == x.shape[:-1]
    assert 0 <= int(quantized.ids.min()) and int(quantized.ids.max()) < quantizer.size
    assert torch.allclose(quantizer.to_codes(quantized.ids), quantized.codes, atol=1e-6)
    assert torch.equal(quantizer.to_ids(x), quantized.ids)


def test_every_id_has_a_code_of_its_own(chosen):
    quantizer, _ = chosen
    codes = quantizer.eval().to_codes(torch.arange(quantizer.size))
    assert codes.shape == (quantizer.size, quantizer.width) and len(codes.unique(dim=0)) == quantizer.size
    if not isinstance(quantizer, FiniteScalarQuantizer):  # its codes and its features are on different scales
        assert torch.equal(quantizer.to_ids(codes), torch.arange(quantizer.size))


def test_gradients_pass_through_the_rounding(chosen):
    quantizer, x = chosen
    x.requires_grad_()
    (quantizer(x).codes * torch.randn(x.shape, generator=rng(1))).sum().backward()
    assert float(x.grad.abs().sum()) > 0


def test_losses_are_finite_and_train_the_features(chosen):
    quantizer, x = chosen
    x.requires_grad_()
    losses = quantizer(x).losses
    assert set(losses) == ({"commitment", "entropy"} if isinstance(quantizer, LookupFreeQuantizer) else
                           {"commitment"} if isinstance(quantizer, CosineQuantizer) else set())  # fmt: skip
    if losses:
        sum(losses.values()).backward()
        assert bool(torch.isfinite(x.grad).all()) and float(x.grad.abs().sum()) > 0


def test_in_use_a_clip_alone_gives_the_tokens_that_it_gives_among_others(chosen):
    quantizer, x = chosen
    for _ in range(3):
        quantizer(x)
    quantizer.eval()
    state = {name: value.clone() for name, value in quantizer.state_dict().items()}
    assert torch.equal(quantizer(x[:1]).ids, quantizer(x).ids[:1])
    assert all(torch.equal(value, state[name]) for name, value in quantizer.state_dict().items())


def test_the_use_of_a_codebook_is_counted_and_weighed():
    even, one = torch.arange(8).repeat(3), torch.zeros(24, dtype=torch.long)
    assert codebook_use(even, 16).used == 8 and codebook_use(even, 16).perplexity == pytest.approx(8)
    assert codebook_use(one, 16).used == 1 and codebook_use(one, 16).perplexity == pytest.approx(1)


# --- lookup-free ---


def test_bits_stay_balanced_where_plain_signs_collapse():
    drifted = features(shift=5.0)
    assert live_bits(drifted) == 0
    bits = ids_to_bits(LookupFreeQuantizer(6)(drifted).ids, 6)
    assert live_bits(bits) == 6
    assert (bits > 0).float().mean((0, 1, 2, 3)).sub(0.5).abs().max() < 0.15


def joint_entropy(normal: torch.Tensor) -> float:
    """Of float [n, bits], over all 2^bits codes: mean entropy of a token less entropy of the mean token."""
    bits = normal.shape[-1]
    p = torch.sigmoid(2 * normal).double()
    codes = torch.tensor(list(itertools.product((0, 1), repeat=bits))).double()
    of_code = torch.prod(codes * p[:, None] + (1 - codes) * (1 - p[:, None]), -1)  # [tokens, codes]
    mean = of_code.mean(0)
    return float(-(of_code * of_code.log()).sum(-1).mean() + (mean * mean.log()).sum())


@pytest.mark.parametrize("group", [1, 2, 3, 6])
def test_the_entropy_is_that_of_all_codes_of_each_group_enumerated(group):
    quantizer, x = LookupFreeQuantizer(6, group), features()
    groups = quantizer.normalise(x).reshape(-1, 6).split(group, -1)
    expected = sum(joint_entropy(part) for part in groups) / 6
    assert float(quantizer(x).losses["entropy"]) == pytest.approx(expected, abs=1e-4)


def test_only_bits_held_jointly_are_kept_from_copying_each_other():
    copied = features(bits=1).expand(-1, -1, -1, -1, 2)
    alone, together = (float(LookupFreeQuantizer(2, group)(copied).losses["entropy"]) for group in (1, 2))
    assert together > alone + 0.02


def test_the_entropy_is_least_for_sure_bits_that_are_used_both_ways():
    sure = torch.tensor([1.0, -1.0]).repeat(50)[:, None].expand(-1, 4)
    unsure = torch.randn(100, 4, generator=rng())
    least = LookupFreeQuantizer(4)(sure * 9).losses["entropy"]
    assert -math.log(2) <= float(least) < float(LookupFreeQuantizer(4)(unsure).losses["entropy"]) < 0


def test_live_bits_counts_those_that_take_their_rarer_value_often_enough():
    bits = -torch.ones(100, 3)
    bits[:50, 0] = 1
    bits[:5, 1] = 1  # five per cent exactly: not more than the threshold
    assert live_bits(bits) == 1
    assert live_bits(bits, threshold=0.04) == 2


# --- finite scalars ---


def test_every_level_is_reached_and_rounded_to_the_nearest():
    quantizer = FiniteScalarQuantizer((5, 4))
    line = torch.linspace(-4, 4, 801)
    codes = quantizer(torch.stack([line, line], -1)).codes
    assert codes[:, 0].unique().tolist() == pytest.approx([-1, -0.5, 0, 0.5, 1], abs=1e-6)
    assert codes[:, 1].unique().tolist() == pytest.approx([-1, -0.5, 0, 0.5], abs=1e-6)
    assert (codes.diff(dim=0) >= -1e-6).all()


# --- cosine ---


def test_the_nearest_direction_is_found_by_brute_force():
    quantizer, x = CosineQuantizer(40, 3).eval(), features(bits=3)
    flat = x.reshape(-1, 3)
    similar = F.cosine_similarity(flat[:, None], quantizer.to_codes(torch.arange(40))[None], dim=-1)
    assert torch.equal(quantizer.to_ids(x).flatten(), similar.argmax(-1))


def test_directions_go_to_the_tokens_that_chose_them_and_dead_ones_start_again():
    torch.manual_seed(0)
    centres = F.normalize(torch.randn(6, 4, generator=rng(3)), dim=-1)
    x = (centres[torch.arange(600) % 6] + 0.05 * torch.randn(600, 4, generator=rng(4)))[None]
    quantizer = CosineQuantizer(12, 4, decay=0.8)
    first = float(quantizer(x).losses["commitment"])
    for _ in range(30):
        quantized = quantizer(x)
    assert float(quantized.losses["commitment"]) < 0.1 * first and codebook_use(quantized.ids, 12).used > 8
    found = quantizer.to_codes(torch.arange(12))
    assert (found @ centres.T).amax(0).min() > 0.99  # every cluster has a code


def test_more_dead_codes_than_tokens_are_no_trouble():
    quantizer = CosineQuantizer(1000, 4)
    for seed in range(20):
        quantizer(features(seed, bits=4))
    assert int((quantizer.uses > 0).sum()) == 1000  # 72 tokens a batch


# --- which one ---


def test_the_configuration_chooses_and_refuses_in_a_sentence():
    kinds = [type(make_quantizer(config)) for config in CHOICES.values()]
    assert kinds == [LookupFreeQuantizer, LookupFreeQuantizer, FiniteScalarQuantizer, CosineQuantizer]
    for config in CHOICES.values():
        assert make_quantizer(config).size == config.codebook_size and 2**config.id_bits >= config.codebook_size
    for wrong in ({"quantizer": "pq"}, {"bits": 0}, {"bits": 30}, {"entropy_group": 4},
                  {"quantizer": "fsq", "levels": ()}, {"quantizer": "fsq", "levels": (2, 8)},
                  {"quantizer": "vq", "codes": 1}):  # fmt: skip
        with pytest.raises(InputError, match="expected"):
            TokenizerConfig(**wrong)


def test_the_command_lines_words_for_it():
    plain = TokenizerConfig()
    assert parse_quantizer("lfq:16", plain).bits == 16 and parse_quantizer("vq:8192", plain).codes == 8192
    assert parse_quantizer("fsq:8,8,4", plain).levels == (8, 8, 4)
    assert parse_quantizer("fsq", plain).codebook_size == 2**14
    for wrong in ("pq:3", "lfq:8,8", "vq:many", "fsq:8;8"):
        with pytest.raises(InputError, match="expected"):
            parse_quantizer(wrong, plain)


@pytest.mark.parametrize(("bits", "groups"), [(8, 2), (12, 2), (14, 2), (15, 3), (16, 2), (18, 2)])
def test_the_generator_takes_codebooks_of_powers_of_two_in_few_equal_groups(bits, groups):
    fitted = fit_generator(GeneratorConfig(), TokenizerConfig(quantizer="vq", codes=2**bits))
    assert (fitted.groups, fitted.groups * fitted.group_bits) == (groups, bits)


def test_the_presets_fit_each_other_and_other_codebooks_are_refused():
    for preset in PRESETS.values():
        assert fit_generator(preset["generator"], preset["tokenizer"]) == preset["generator"]
    for other in (TokenizerConfig(quantizer="fsq", levels=(8, 8, 8, 6, 5)), TokenizerConfig(bits=13),
                  TokenizerConfig(quantizer="vq", codes=10000)):  # fmt: skip
        with pytest.raises(InputError, match=r"equal groups of 4 to 9 bits, so it needs 2\^n codes"):
            fit_generator(GeneratorConfig(), other)


# --- against vector-quantize-pytorch, where it is installed ---


@pytest.fixture
def library():
    return pytest.importorskip("vector_quantize_pytorch", reason="vector-quantize-pytorch is not installed")


def test_lfq_gives_the_codes_and_the_entropy_of_the_library(library):
    ours, x = LookupFreeQuantizer(6, entropy_group=6), features()
    normal = ours.normalise(x).reshape(1, -1, 6)
    theirs = library.LFQ(dim=6, entropy_loss_weight=1.0, commitment_loss_weight=0.0).train()
    codes, ids, loss = theirs(normal, inv_temperature=0.5)
    quantized = ours(x)
    assert torch.equal(codes.detach().round(), quantized.codes.reshape(1, -1, 6).round())
    assert torch.equal(quantized.ids.flatten(), bits_to_ids(ids_to_bits(ids.flatten(), 6).flip(-1)))
    assert float(quantized.losses["entropy"]) * 6 == pytest.approx(float(loss), abs=1e-4)


@pytest.mark.parametrize("levels", [(8, 5, 5, 5), (8, 8, 8, 8, 4), (7, 3, 4)])
def test_fsq_gives_the_levels_and_the_ids_of_the_library(library, levels):
    ours, theirs = FiniteScalarQuantizer(levels), library.FSQ(list(levels))
    x = 3 * features(bits=len(levels)).reshape(1, -1, len(levels))
    codes, ids = theirs(x)
    quantized = ours(x)
    assert torch.equal(quantized.ids, ids.long()) and torch.allclose(quantized.codes, codes, atol=1e-6)
    every = torch.arange(ours.size)[None]
    assert torch.allclose(ours.to_codes(every), theirs.indices_to_codes(every), atol=1e-6)


def test_cosine_vq_finds_the_nearest_codes_of_the_library(library):
    ours = CosineQuantizer(40, 3).eval()
    theirs = library.VectorQuantize(dim=3, codebook_size=40, use_cosine_sim=True).eval()
    codebook = ours.to_codes(torch.arange(40))
    theirs._codebook.embed.data.copy_(codebook[None])
    x = features(bits=3).reshape(1, -1, 3)
    codes, ids, _ = theirs(x)
    assert torch.equal(ours.to_ids(x), ids) and torch.allclose(ours(x).codes, codes, atol=1e-6)
