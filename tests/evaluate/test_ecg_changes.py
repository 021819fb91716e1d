"""Changes of an ECG do what they say and nothing else."""

import numpy as np
import pytest
import torch

from echopulse.evaluate import ecg_changes as change

RATE_HZ = 200.0
ROW = torch.sin(torch.arange(800) / RATE_HZ * 2 * torch.pi)[None]  # 1 Hz


def test_moved_later_and_earlier():
    later = change.moved_later(ROW, RATE_HZ, 0.1)
    assert torch.equal(later[:, 20:], ROW[:, :-20]) and (later[:, :20] == ROW[:, 0]).all()
    assert torch.equal(change.moved_later(ROW, RATE_HZ, -0.1)[:, :-20], ROW[:, 20:])
    assert torch.equal(change.moved_later(ROW, RATE_HZ, 0.0), ROW)


@pytest.mark.parametrize("factor", [0.7, 1.4])
def test_at_another_rate_the_beats_come_so_much_faster_about_a_moment_that_stays(factor):
    made = change.at_rate(ROW, RATE_HZ, factor, still_s=1.25)
    times = np.arange(800) / RATE_HZ
    inside = np.abs(times - 1.25) < 1.2 / 1.4
    expected = np.sin(2 * np.pi * (1.25 + factor * (times - 1.25)))
    assert made[0].numpy()[inside] == pytest.approx(expected[inside], abs=1e-3)
    assert made[0, 250] == pytest.approx(float(ROW[0, 250]), abs=1e-6)
    assert made.shape == ROW.shape


def test_noise_has_the_power_asked_for_in_every_lead():
    ecg = torch.cat([ROW, 0.1 * ROW + 3])  # the level does not count
    for asked in (24.0, 0.0):
        noisy = change.with_noise(ecg, asked, torch.Generator().manual_seed(1))
        power = (ecg - ecg.median(-1, keepdim=True).values).square().mean(-1)
        assert 10 * torch.log10(power / (noisy - ecg).square().mean(-1)) == pytest.approx([asked, asked], abs=0.5)


def test_flat_zero_and_flipped():
    line = change.flat(ROW, torch.Generator().manual_seed(0))
    assert 0.004 < float(line.std()) < 0.006
    assert not change.zero(ROW).any() and torch.equal(change.flipped(ROW), -ROW)
