"""The masked transformer: hidden bits do not leak, the null branch hears nothing, every condition has an effect."""

import math
from dataclasses import replace

import pytest
import torch

from echopulse.model.config import PRESETS
from echopulse.model.ecg_encoder import Memory
from echopulse.model.generator import Conditions, Generator, Patient
from echopulse.model.types import join_ids, split_ids
from echopulse.model.windows import latent_times

CONFIG = PRESETS["tiny"]["generator"]
B = 2


@pytest.fixture(scope="module")
def network() -> Generator:
    """Random weights, the steering layers (nearly zero at the start) woken up so that conditions show."""
    torch.manual_seed(0)
    generator = Generator(CONFIG)
    for block in generator.blocks:
        torch.nn.init.normal_(block.steer[-1].weight, std=0.3)
    return generator.eval()


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def some_ids(seed: int = 0) -> torch.Tensor:
    return torch.randint(2**CONFIG.bits, (B, CONFIG.window, CONFIG.grid, CONFIG.grid), generator=rng(seed))


def some_hidden(share: float = 0.5, seed: int = 0) -> torch.Tensor:
    return torch.rand(B, CONFIG.window, CONFIG.grid, CONFIG.grid, CONFIG.groups, generator=rng(seed)) < share


def conditions(
    seed: int = 0, given: bool = True, ef: float = 0.5, view: int = 0, age: float = torch.nan, female: float = torch.nan
) -> Conditions:
    times = (torch.arange(80) * 0.04 - 1.6).expand(B, -1)
    memory = Memory(torch.randn(B, 80, CONFIG.ecg.width, generator=rng(seed)), times)
    scalars = (torch.full((B,), value) for value in (ef, view, age, female))
    return Conditions(memory, torch.full((B,), given), *scalars)


@torch.no_grad()
def logits(network, ids, hidden, given, shift_s: float = 0.0, far: bool = False) -> torch.Tensor:
    times = latent_times(torch.arange(CONFIG.window))[None].expand(B, -1) + shift_s
    return network(ids, hidden, times, torch.full((B,), far), given)


def test_there_is_a_distribution_for_every_group_of_every_token(network):
    out = logits(network, some_ids(), some_hidden(), conditions())
    assert out.shape == (B, CONFIG.window, CONFIG.grid, CONFIG.grid, CONFIG.groups, 2**CONFIG.group_bits)
    assert out.dtype == torch.float32 and bool(out.isfinite().all())


def test_hidden_bits_do_not_leak(network):
    hidden = some_hidden()
    true, other = (split_ids(some_ids(seed), CONFIG.groups, CONFIG.group_bits) for seed in (1, 2))
    changed = join_ids(torch.where(hidden, other, true), CONFIG.group_bits)
    ids = join_ids(true, CONFIG.group_bits)
    assert not torch.equal(ids, changed)
    assert torch.equal(logits(network, ids, hidden, conditions()), logits(network, changed, hidden, conditions()))


def test_shown_bits_are_seen_everywhere_in_the_clip(network):
    hidden, ids = torch.zeros_like(some_hidden()), some_ids()
    hidden[:, 1:] = True
    changed = ids.clone()
    changed[:, 0] ^= 0b1010101
    apart = (logits(network, ids, hidden, conditions()) - logits(network, changed, hidden, conditions())).abs()
    assert bool((apart.amax((0, 2, 3, 4, 5)) > 1e-6).all())


def test_without_an_ecg_what_the_memory_holds_does_not_matter(network):
    ids, hidden = some_ids(), some_hidden()
    deaf = [logits(network, ids, hidden, conditions(seed, given=False)) for seed in (1, 2)]
    heard = [logits(network, ids, hidden, conditions(seed)) for seed in (1, 2)]
    assert torch.equal(*deaf)
    assert not torch.allclose(*heard, atol=1e-4) and not torch.allclose(deaf[0], heard[0], atol=1e-4)


def test_clips_with_and_without_an_ecg_share_a_batch(network):
    ids, hidden = some_ids(), some_hidden()
    mixed = replace(conditions(), ecg_given=torch.tensor([True, False]))
    out = logits(network, ids, hidden, mixed)
    assert torch.allclose(out[0], logits(network, ids, hidden, conditions())[0], atol=1e-5)
    assert torch.allclose(out[1], logits(network, ids, hidden, conditions(given=False))[1], atol=1e-5)


def test_the_branch_that_guidance_moves_away_from_knows_neither_ecg_nor_ef_but_the_view(network):
    null = conditions(view=1).without_guidance_terms()
    assert not bool(null.ecg_given.any()) and bool(null.ef.isnan().all()) and null.view.tolist() == [1, 1]


def test_ejection_fraction_and_its_absence_have_an_effect(network):
    ids, hidden = some_ids(), some_hidden()
    low, high, none = (logits(network, ids, hidden, conditions(ef=ef)) for ef in (0.2, 0.6, float("nan")))
    assert not torch.allclose(low, high, atol=1e-4) and not torch.allclose(low, none, atol=1e-4)
    assert bool(none.isfinite().all())


def test_the_view_and_its_absence_have_an_effect(network):
    ids, hidden = some_ids(), some_hidden()
    a4c, a2c, none = (logits(network, ids, hidden, conditions(view=view)) for view in (0, 1, -1))
    assert not torch.allclose(a4c, a2c, atol=1e-4) and not torch.allclose(a4c, none, atol=1e-4)


def test_shifting_ecg_and_video_together_changes_nothing_and_apart_it_does(network):
    ids, hidden, here = some_ids(), some_hidden(), conditions()
    later = replace(here, memory=Memory(here.memory.tokens, here.memory.times_s + 2.0))
    out = logits(network, ids, hidden, here)
    assert torch.allclose(out, logits(network, ids, hidden, later, shift_s=2.0), atol=1e-3)
    assert not torch.allclose(out, logits(network, ids, hidden, here, shift_s=0.4), atol=1e-3)


def test_a_reference_far_back_reads_differently_from_one_just_before(network):
    ids, hidden = some_ids(), some_hidden()
    near, far = (logits(network, ids, hidden, conditions(), far=far) for far in (False, True))
    assert not torch.allclose(near, far, atol=1e-4)


@pytest.mark.parametrize(("one", "other"), [({"age": 30.0}, {"age": 80.0}), ({"female": 0.0}, {"female": 1.0}),
                                            ({}, {"age": 80.0}), ({}, {"female": 1.0})])  # fmt: skip
def test_age_and_sex_steer_once_they_are_learned_and_not_before(one, other):
    network = Generator(CONFIG).eval()
    before = [logits(network, some_ids(), some_hidden(), conditions(**known)) for known in (one, other)]
    assert torch.equal(*before)
    torch.nn.init.normal_(network.patient_in[-1].weight)
    torch.nn.init.normal_(network.blocks[0].steer[-1].weight)
    after = [logits(network, some_ids(), some_hidden(), conditions(**known)) for known in (one, other)]
    assert not torch.allclose(*after)


def test_a_patient_of_unknown_sex_is_neither():
    assert Patient(60.0, "f").female == 1 and Patient(60.0, "m").female == 0 and math.isnan(Patient(60.0).female)
