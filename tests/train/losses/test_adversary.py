"""The adversary: its losses by hand, critics without aliasing, gradients where they belong, a state that is kept."""

import pytest
import torch
import torch.nn.functional as F

from echopulse.train.losses.adversary import Adversary, hinge_loss, lecam_penalty
from echopulse.train.losses.critic import BlurPool, PatchCritic


def pictures(seed: int) -> torch.Tensor:
    return torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def adversary() -> Adversary:
    torch.manual_seed(0)
    return Adversary(lecam=0.1)


def test_the_hinge_is_what_is_missing_to_one_and_to_minus_one():
    real, fake = torch.tensor([2.0, 0.5, -1.0]), torch.tensor([-3.0, 0.0])
    assert float(hinge_loss(real, fake)) == pytest.approx((0 + 0.5 + 2) / 3 + (0 + 1) / 2)


def test_lecam_is_the_squared_distance_from_the_other_kinds_mean():
    real, fake = torch.tensor([1.0, 3.0]), torch.tensor([-1.0])
    assert float(lecam_penalty(real, fake, 2.0, -1.0)) == pytest.approx((4 + 16) / 2 + 9)


def test_blur_pooling_halves_keeps_even_grey_and_bears_a_shift():
    pool = BlurPool()
    assert torch.allclose(pool(torch.full((1, 3, 8, 6), 0.3)), torch.full((1, 3, 4, 3), 0.3))
    speckle = torch.randn(4, 1, 64, 64, generator=torch.Generator().manual_seed(1))
    moved = speckle.roll(1, -1)

    def change(halve) -> float:
        a, b = halve(speckle)[..., 2:-2], halve(moved)[..., 2:-2]
        return float((a - b).norm() / a.norm())

    assert change(pool) < 0.65 * change(lambda x: x[..., ::2, ::2])


def test_a_critic_judges_patches_and_no_picture_judges_another():
    torch.manual_seed(0)
    critic, both = PatchCritic(), pictures(0).flatten(0, 1)[:, None]
    said = critic(both)
    assert said.shape == (6, 1, 4, 4)
    assert torch.allclose(said[:1], critic(both[:1]), atol=1e-6)


def test_critics_learn_to_tell_noise_from_even_grey(adversary):
    true = pictures(1)
    missed = [adversary.learn(true.mean() + 0 * true, true)["adversary"] for _ in range(30)]
    assert missed[-1] < 0.5 * missed[0]
    assert float(adversary.doubt(true)) < float(adversary.doubt(true.mean() + 0 * true))


def test_the_critics_step_leaves_what_was_made_alone_and_their_doubt_leaves_the_critics_alone(adversary):
    made = pictures(0).requires_grad_()
    before = {name: value.clone() for name, value in adversary.critics.state_dict().items()}
    adversary.learn(made, pictures(1))
    assert made.grad is None
    assert all(not torch.equal(value, before[name]) for name, value in adversary.critics.state_dict().items())
    learned = [None if p.grad is None else p.grad.clone() for p in adversary.critics.parameters()]
    adversary.doubt(made).backward()
    assert float(made.grad.abs().sum()) > 0
    assert all(torch.equal(p.grad, kept) for p, kept in zip(adversary.critics.parameters(), learned, strict=True))


def test_changes_are_judged_too(adversary):
    still = pictures(0)[:, :1].expand(-1, 3, -1, -1)
    shuffled = still.clone()
    shuffled[:, 1] = still[:, 1].flip(0)  # the same pictures, but they jump from heart to heart
    a, b = (adversary.critics["changes"](x.diff(dim=1).flatten(0, 1)[:, None]) for x in (still, shuffled))
    assert not torch.allclose(a, b) and float(adversary.doubt(still)) != float(adversary.doubt(shuffled))


def test_lecam_holds_the_critics_back():
    found = []
    for lecam in (0.0, 10.0):
        torch.manual_seed(0)
        adversary, true = Adversary(lecam), pictures(1)
        for _ in range(20):
            adversary.learn(0 * true, true)
        found.append(float(F.relu(adversary.doubt(0 * true))))
    assert found[1] < 0.5 * found[0]


def test_an_adversary_goes_on_from_its_state_to_the_same_bits(adversary):
    for seed in range(3):
        adversary.learn(pictures(seed), pictures(10 + seed))
    kept = {name: value.clone() for name, value in adversary.state().items()}
    torch.manual_seed(5)
    resumed = Adversary(lecam=0.1)
    resumed.load(kept)
    said = [one.learn(pictures(4), pictures(14)) for one in (adversary, resumed)]
    assert said[0] == said[1]
    assert all(torch.equal(value, resumed.state()[name]) for name, value in adversary.state().items())
