"""What is added to ECGs: as much as it says, in as many as it says, and nothing where there is nothing."""

import math

import pytest
import torch

from echopulse.train.augment import (
    FEW_LEADS,
    NOISY,
    ONE_LEAD,
    SNR_DB,
    TURNED,
    add_noise,
    change_gain,
    forget_past,
    leave_leads_out,
    turn_over,
)

RATE = 200.0


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def ecg() -> torch.Tensor:
    """300 ECGs of two leads, spikes every 0.8 s of 1 and 2 mV over 5 mV; the second lead of the first is absent."""
    time = torch.arange(656) / RATE
    spike = torch.exp(-((((time % 0.8) - 0.4) / 0.02) ** 2))
    ecg = 5 + torch.stack([spike, 2 * spike]).expand(300, -1, -1).clone()
    ecg[0, 1] = torch.nan
    return ecg


def test_noise_lies_between_5_and_25_db_below_each_leads_own_power_in_half_of_the_ecgs(ecg):
    noise = add_noise(ecg, RATE, rng()) - ecg
    assert torch.equal(noise.isnan(), ecg.isnan())
    noise, power = noise[1:], (ecg - ecg.mean(-1, keepdim=True))[1:].square().mean(-1)
    loud = noise.abs().amax((1, 2)) > 1e-5
    assert 0.4 < float(loud.float().mean()) < 0.6 and NOISY == 0.5
    snr_db = 10 * torch.log10(power[loud] / noise[loud].square().mean(-1))
    low, high = SNR_DB
    assert low - 0.1 < float(snr_db.min()) < low + 2 and high - 2 < float(snr_db.max()) < high + 0.1
    assert torch.allclose(snr_db[:, 0], snr_db[:, 1], atol=0.1)  # in both leads alike, whatever their size


def test_noise_is_muscle_mains_or_wander_by_where_its_power_lies(ecg):
    noise = (add_noise(ecg, RATE, rng()) - ecg)[1:, 0]
    noise = noise[noise.abs().amax(1) > 1e-5]
    power = torch.fft.rfft(noise).abs().square()
    hertz = torch.fft.rfftfreq(656, 1 / RATE)

    def share(low, high):
        return power[:, (hertz >= low) & (hertz < high)].sum(1) / power.sum(1)

    wander, mains = share(0, 2) > 0.8, (share(48, 52) > 0.8) | (share(58, 62) > 0.8)
    muscle = (share(15, 101) > 0.8) & ~mains
    kinds = torch.stack([wander, mains, muscle])
    assert kinds.sum(0).tolist() == [1] * len(noise)
    assert all(0.2 < float(kind.float().mean()) < 0.5 for kind in kinds)


def test_a_flat_line_stays_flat_and_a_missing_one_missing():
    flat = torch.full((20, 1, 400), 0.7)
    assert torch.allclose(add_noise(flat, RATE, rng()), flat, atol=1e-5)
    assert bool(add_noise(torch.full((20, 1, 400), math.nan), RATE, rng()).isnan().all())


def test_some_ecgs_are_turned_over_whole_and_all_of_them_change_in_gain(ecg):
    turned = turn_over(ecg, rng())[1:] / ecg[1:]
    signs = turned.amax((1, 2))
    assert torch.equal(turned.amin((1, 2)), signs) and set(signs.tolist()) == {1.0, -1.0}
    assert TURNED / 2 < float((signs < 0).float().mean()) < 2 * TURNED
    gain = (change_gain(ecg, rng()) / ecg)[1:].flatten(1)
    assert (
        torch.allclose(gain.amin(1), gain.amax(1)) and 0.7 <= float(gain.min()) < 0.75 < 1.4 < float(gain.max()) < 1.51
    )


def test_some_ecgs_lose_their_past_up_to_the_time_given(ecg):
    lost = forget_past(ecg, RATE, 1.6, rng()).isnan()[1:].all(1).sum(1)
    assert 0.15 < float((lost > 0).float().mean()) < 0.45 and 200 < int(lost.max()) <= 320
    kept = forget_past(ecg, RATE, 1.6, rng())
    assert torch.equal(kept[kept.isfinite()], ecg[kept.isfinite()])


def test_the_same_seed_changes_ecgs_in_the_same_way(ecg):
    for change in (turn_over, change_gain, lambda x, draw: add_noise(x, RATE, draw)):
        first, again = change(ecg, rng(3)), change(ecg, rng(3))
        assert torch.equal(first.nan_to_num(), again.nan_to_num())


@pytest.mark.parametrize("leads", [3, 12])
def test_any_few_leads_are_left_and_often_a_single_one(leads):
    kept = leave_leads_out(torch.zeros(4000, leads, 2), rng()).isfinite()
    assert torch.equal(kept[..., 0], kept[..., 1])
    count = kept[..., 0].sum(1)
    share = torch.bincount(count, minlength=leads + 1) / len(kept)
    assert float(share[0]) == 0 and float(share[leads]) == pytest.approx(1 - FEW_LEADS, abs=0.03)
    assert float(share[1]) == pytest.approx(FEW_LEADS * ONE_LEAD, abs=0.03)
    several = FEW_LEADS * (1 - ONE_LEAD) / (leads - 2)
    assert share[2:leads].tolist() == pytest.approx([several] * (leads - 2), abs=0.03)
    each = kept[count < leads, :, 0].float().mean(0)
    assert float(each.max() - each.min()) < 0.08  # none is preferred
    if leads == 12:
        pairs = {tuple(row.nonzero().flatten().tolist()) for row in kept[count == 2, :, 0]}
        assert len(pairs) > 30  # not always the same ones together


def test_of_two_leads_one_is_left_and_a_single_one_stays():
    kept = leave_leads_out(torch.zeros(2000, 2, 1), rng()).isfinite()[..., 0]
    assert float((kept.sum(1) == 1).float().mean()) == pytest.approx(FEW_LEADS, abs=0.03) and bool(kept.any(1).all())
    assert float(kept[kept.sum(1) == 1, 0].float().mean()) == pytest.approx(0.5, abs=0.04)
    assert bool((leave_leads_out(torch.zeros(99, 1, 4), rng()) == 0).all())
