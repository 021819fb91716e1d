"""The EF from volumes and how full the ECG says that the ventricle is: exact where they agree, humble where not."""

import pytest
import torch

from echopulse.measure.ef_by_ecg import ef_by_ecg
from echopulse.measure.expected_ef import ExpectedEf

FULLNESS = torch.tensor([[1.0, 0.9, 0.3, 0.0, 0.2, 0.7, 1.0]]).expand(4, -1)
EF = torch.tensor([0.2, 0.35, 0.6, 0.72])
VOLUME = (torch.tensor([90.0, 120.0, 70.0, 1e4])[:, None] * (1 - EF[:, None] * (1 - FULLNESS))).log()


def test_volumes_that_follow_the_ecg_give_their_ef_back_whatever_their_unit():
    found = ef_by_ecg(VOLUME, FULLNESS, 0.02)
    assert torch.allclose(found.mean, EF, atol=0.01) and bool((found.sd < 0.03).all())


def test_two_moments_that_are_neither_end_diastole_nor_end_systole_are_enough():
    found = ef_by_ecg(VOLUME[:, [1, 4]], FULLNESS[:, [1, 4]], 0.01)
    assert torch.allclose(found.mean, EF, atol=0.02)


def test_a_volume_that_was_not_found_does_not_count():
    holed = VOLUME.clone()
    holed[:, 2] = torch.nan
    assert torch.allclose(ef_by_ecg(holed, FULLNESS, 0.02).mean, EF, atol=0.015)


@pytest.mark.parametrize("fullness", [FULLNESS[:, :1], torch.ones(4, 7)])
def test_without_a_swing_in_the_ecg_what_was_expected_stays_expected(fullness):
    expected = ExpectedEf(torch.tensor([0.4]), torch.tensor([0.05]))
    found = ef_by_ecg(VOLUME[:, : fullness.shape[1]] * 0, fullness, 0.1, expected)
    assert torch.allclose(found.mean, torch.tensor(0.4), atol=2e-3)
    assert torch.allclose(found.sd, torch.tensor(0.05), atol=2e-3)
    assert float(ef_by_ecg(VOLUME[:1, : fullness.shape[1]] * 0, fullness[:1], 0.1).sd) > 0.2


def test_what_was_expected_counts_the_more_the_surer_it_is():
    def found(sd: float) -> torch.Tensor:
        return ef_by_ecg(VOLUME, FULLNESS, 0.3, ExpectedEf(torch.tensor([0.5]), torch.tensor([sd]))).mean

    vague, sure = (found(0.3) - EF).abs(), (found(0.02) - EF).abs()
    assert bool((vague < sure).all()) and torch.allclose(found(0.001), torch.tensor(0.5), atol=2e-3)
