"""The sampler, held against oracles: what is drawn, in which order, and what is never touched."""

import pytest
import torch

from echopulse.model.ecg_encoder import Memory
from echopulse.model.generator import Conditions
from echopulse.model.sampling import Sampling, draw, fill_in, guided, halton, reveal_counts, reveal_order
from echopulse.model.types import split_ids

GROUPS, GROUP_BITS = 2, 3
SHAPE = (1, 3, 2, 2)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def nothing() -> Conditions:
    return Conditions(
        Memory(torch.zeros(1, 1, 4), torch.zeros(1, 1)),
        ecg_given=torch.ones(1, dtype=torch.bool),
        ef=torch.full((1,), 0.5),
        view=torch.zeros(1, dtype=torch.long),
        age_years=torch.full((1,), torch.nan),
        female=torch.full((1,), torch.nan),
    )


def some_ids(seed: int = 0) -> torch.Tensor:
    return torch.randint(2 ** (GROUPS * GROUP_BITS), SHAPE, generator=generator(seed))


class Oracle:
    """A denoiser that always knows the answer, and counts how often it is asked."""

    def __init__(self, answer: torch.Tensor):
        self.answer, self.calls, self.hidden = answer, [], []

    def __call__(self, ids, hidden, conditions):
        self.calls.append((bool(conditions.ecg_given.all()), bool(conditions.ef.isnan().any())))
        self.hidden.append(hidden.clone())
        parts = split_ids(self.answer, GROUPS, GROUP_BITS)
        return 50.0 * torch.nn.functional.one_hot(parts, 2**GROUP_BITS).float()


def clueless(ids, hidden, conditions):
    return torch.zeros(*ids.shape, GROUPS, 2**GROUP_BITS)


def fill(denoise, ids, hidden, **options):
    options = {"guidance": 1.0, "generator": generator(), **options}
    return fill_in(denoise, ids, hidden, nothing(), groups=GROUPS, group_bits=GROUP_BITS, **options)


def everything() -> torch.Tensor:
    return torch.ones(*SHAPE, GROUPS, dtype=torch.bool)


@pytest.mark.parametrize("n_tokens", [1, 2, 7, 8, 64, 1152])
@pytest.mark.parametrize("steps", [1, 2, 8, 20, 100])
def test_every_step_reveals_something_and_together_they_reveal_all(n_tokens, steps):
    counts = reveal_counts(n_tokens, steps)
    assert sum(counts) == n_tokens and min(counts) > 0 and len(counts) == min(steps, n_tokens)


def test_early_steps_reveal_less_than_late_ones():
    counts = reveal_counts(1024, 8)
    assert counts == sorted(counts) and counts[0] < 1024 / 8 < counts[-1]


def test_halton_points_are_the_textbooks():
    assert halton(4, 2).tolist() == pytest.approx([1 / 2, 1 / 4, 3 / 4, 1 / 8])
    assert halton(4, 3).tolist() == pytest.approx([1 / 3, 2 / 3, 1 / 9, 4 / 9])


@pytest.mark.parametrize("sides", [(1, 2, 2, 2), (9, 2, 2, 2), (9, 8, 8, 2), (5, 3, 4, 1)])
def test_the_order_names_every_place_once(sides):
    order = reveal_order(*sides)
    assert sorted(order.tolist()) == list(range(sides[0] * sides[1] * sides[2] * sides[3]))


def test_every_prefix_of_the_order_is_spread_over_time_and_space():
    sides = (9, 8, 8, 2)
    order = reveal_order(*sides)
    for share in (0.1, 0.25, 0.5):
        prefix = order[: int(share * len(order))]
        places = torch.unravel_index(prefix, sides)
        for axis, side in zip(places, sides, strict=True):
            count = torch.bincount(axis, minlength=side).float()
            assert float(count.max()) < 1.6 * len(prefix) / side and float(count.min()) > 0.4 * len(prefix) / side


@pytest.mark.parametrize("steps", [1, 3, 8, 100])
def test_an_oracle_gets_its_own_tokens_back(steps):
    answer = some_ids(1)
    assert torch.equal(fill(Oracle(answer), some_ids(2), everything(), steps=steps), answer)


def test_known_tokens_never_change_whatever_the_denoiser_says():
    ids, hidden = some_ids(2), everything()
    hidden[:, :1] = False
    hidden[:, 1, 0, 0, 1] = False  # a single group of one token
    made = fill(Oracle(63 - ids), ids, hidden)
    before, after = split_ids(ids, GROUPS, GROUP_BITS), split_ids(made, GROUPS, GROUP_BITS)
    assert torch.equal(before[~hidden], after[~hidden])
    assert bool((before[hidden] != after[hidden]).all())


def test_the_arguments_are_left_as_they_were():
    ids, hidden = some_ids(2), everything()
    fill(Oracle(some_ids(1)), ids, hidden)
    assert torch.equal(ids, some_ids(2)) and bool(hidden.all())


def test_with_nothing_hidden_nothing_is_asked_to_be_drawn():
    ids = some_ids(2)
    assert torch.equal(fill(clueless, ids, ~everything(), steps=1), ids)


def test_same_seed_same_tokens_another_seed_other_tokens():
    first = fill(clueless, some_ids(), everything(), generator=generator(3))
    assert torch.equal(first, fill(clueless, some_ids(), everything(), generator=generator(3)))
    assert not torch.equal(first, fill(clueless, some_ids(), everything(), generator=generator(4)))


def test_fewer_and_fewer_groups_are_hidden_and_what_was_drawn_stays_shown():
    oracle = Oracle(some_ids(1))
    fill(oracle, some_ids(2), everything(), steps=4)
    counts = [int(hidden.sum()) for hidden in oracle.hidden]
    assert counts[0] == 24 and counts == sorted(counts, reverse=True)
    assert all(bool((later <= earlier).all()) for earlier, later in zip(oracle.hidden, oracle.hidden[1:], strict=False))


@pytest.mark.parametrize("order", ["halton", "confidence"])
def test_an_opening_is_drawn_before_all_else_and_without_guidance(order):
    oracle, passes = Oracle(some_ids(1)), []
    fill(
        oracle, some_ids(2), everything(), steps=3, opening=2, guidance=2.0, order=order,
        on_step_end=lambda step, ids, hidden: passes.append((step, hidden.clone())),
    )  # fmt: skip
    assert [step for step, _ in passes] == [0, 1, 2, 3, 4]
    assert bool(passes[0][1][:, 0].any()) and not passes[1][1][:, 0].any()
    assert bool(passes[1][1][:, 1:].all()) and not passes[-1][1].any()
    assert len(oracle.hidden) == 2 + 3 + 1  # the last of the three asks twice


def test_corrections_draw_again_of_what_was_hidden_and_of_nothing_else():
    hidden = everything()
    hidden[:, 0] = False
    oracle, passes = Oracle(some_ids(1)), []
    ids = some_ids(2)
    made = fill(
        oracle, ids, hidden, steps=2, corrections=3, guidance=1.0,
        on_step_end=lambda step, ids, left: passes.append((step, bool(left.any()))),
    )  # fmt: skip
    assert [step for step, _ in passes] == [0, 1, 2, 3, 4] and not any(left for _, left in passes[1:])
    assert torch.equal(made[:, 1:], some_ids(1)[:, 1:]) and torch.equal(made[:, :1], ids[:, :1])
    for again in oracle.hidden[2:]:
        assert not again[:, 0].any() and 0 < int(again.sum()) < int(hidden.sum())
    assert not torch.equal(oracle.hidden[2], oracle.hidden[3])


def test_a_correction_mends_what_came_too_early():
    answer = some_ids(1)

    def wrong_after(corrections: int) -> int:
        passes = []

        def learns(ids, hidden, conditions):  # knows nothing in the first pass, all later on
            passes.append(1)
            return (clueless if len(passes) == 1 else Oracle(answer))(ids, hidden, conditions)

        return int((fill(learns, some_ids(2), everything(), steps=1, corrections=corrections) != answer).sum())

    assert wrong_after(12) < wrong_after(0)


@pytest.mark.parametrize(
    ("steps", "corrections", "expected"),
    [(8, 3, (5, 3)), (4, 3, (2, 2)), (4, 1, (3, 1)), (1, 3, (1, 0)), (8, 0, (8, 0))],
)
def test_corrections_are_the_last_of_the_passes_and_at_most_half_of_them(steps, corrections, expected):
    passes = Sampling(steps=steps, corrections=corrections).passes
    assert (passes["steps"], passes["corrections"]) == expected


def test_a_first_frame_that_is_known_needs_no_opening():
    hidden = everything()
    hidden[:, 0] = False
    plain, opened = (fill(clueless, some_ids(), hidden, steps=3, opening=n, generator=generator(3)) for n in (0, 4))
    assert torch.equal(plain, opened)


def test_in_the_order_of_confidence_what_is_sure_comes_first_in_every_clip_of_the_batch():
    answer = torch.cat([some_ids(1)] * 2)
    sure = torch.zeros(2, *SHAPE[1:], GROUPS, dtype=torch.bool)
    sure[0, 0], sure[1, -1] = True, True  # other places in either clip
    parts = torch.nn.functional.one_hot(split_ids(answer, GROUPS, GROUP_BITS), 2**GROUP_BITS).float()
    seen = []
    made = fill(
        lambda *_: torch.where(sure, 500.0, 0.0)[..., None] * parts, torch.zeros_like(answer), torch.ones_like(sure),
        order="confidence", steps=sure[0].numel(), temperature=0,
        on_step_end=lambda step, ids, hidden: seen.append((step, ids.clone(), hidden.clone())),
    )  # fmt: skip
    assert [step for step, _, _ in seen] == list(range(sure[0].numel())) and torch.equal(seen[-1][1], made)
    first, last = (seen[int(sure[0].sum()) - shift][2] for shift in (1, 0))
    chance = float((~first & ~sure).float().sum() / sure.sum())  # early on it may put an unsure one first
    assert chance < 0.35 and bool(((~last) & sure).sum() > 0.65 * sure.sum())


def test_of_places_that_are_equally_sure_chance_decides_which_come_first():
    def first_kept(seed: int) -> torch.Tensor:
        kept = []
        fill(clueless, some_ids(), everything(), order="confidence", steps=4, generator=generator(seed),
             on_step_end=lambda _, __, hidden: kept.append(~hidden))  # fmt: skip
        return kept[0]

    assert torch.equal(first_kept(1), first_kept(1)) and not torch.equal(first_kept(1), first_kept(2))


def test_the_surest_is_mostly_kept_first():
    answer, hidden = some_ids(1), everything()
    sure = torch.arange(hidden.numel()).reshape(hidden.shape) % 2 == 0
    kept = []

    def denoise(ids, hidden, conditions):
        parts = torch.nn.functional.one_hot(split_ids(answer, GROUPS, GROUP_BITS), 2**GROUP_BITS).float()
        return 50 * parts * sure[..., None]  # of the others it knows nothing

    fill(denoise, some_ids(2), hidden, order="confidence", steps=2, on_step_end=lambda _, __, left: kept.append(~left))
    first = kept[0]
    assert int(first[sure].sum()) > 3 * int(first[~sure].sum())


def test_guidance_of_one_asks_the_denoiser_once_per_step():
    oracle = Oracle(some_ids(1))
    fill(oracle, some_ids(2), everything(), steps=6)
    assert len(oracle.calls) == 6 and all(given for given, _ in oracle.calls)


def test_guidance_asks_for_the_null_branch_in_the_second_half_only():
    oracle = Oracle(some_ids(1))
    fill(oracle, some_ids(2), everything(), steps=6, guidance=3.0)
    assert len(oracle.calls) == 6 + 3
    assert [given for given, _ in oracle.calls] == [True] * 3 + [True, False] * 3
    assert all(no_ef is not given for given, no_ef in oracle.calls)  # the null branch knows neither ECG nor EF


def test_guidance_moves_away_from_the_null_branch_in_proportion():
    def denoise(ids, hidden, conditions):
        return torch.full((1, 2), 2.0 if bool(conditions.ecg_given) else 0.5)

    made = guided(denoise, some_ids(), everything(), nothing(), 3.0)
    assert made.tolist() == [[pytest.approx(0.5 + 3 * 1.5)] * 2]


def test_drawing_without_temperature_takes_the_likeliest_and_with_it_follows_the_odds():
    logits = torch.log(torch.tensor([0.1, 0.2, 0.7])).expand(20_000, 3)
    assert bool((draw(logits, 0, generator()) == 2).all())
    share = torch.bincount(draw(logits, 1.0, generator()), minlength=3) / 20_000
    assert share.tolist() == pytest.approx([0.1, 0.2, 0.7], abs=0.02)
