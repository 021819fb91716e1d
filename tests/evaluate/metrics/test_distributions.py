"""Distances between sets of features against closed forms, brute force and values worked out by hand."""

import numpy as np
import pytest
import scipy.linalg

from echopulse.errors import InputError
from echopulse.evaluate.metrics.distributions import (
    FewSamples,
    coverage,
    frechet_distance,
    frechet_of_moments,
    kernel_distance,
    squared_mmd,
)


def samples_with(mean: np.ndarray, cov: np.ndarray, n: int, seed: int) -> np.ndarray:
    """n samples whose mean and covariance are exactly these."""
    x = np.random.default_rng(seed).normal(size=(n, len(mean)))
    x = x - x.mean(0)
    x = x @ np.linalg.inv(np.linalg.cholesky(np.cov(x, rowvar=False))).T
    return x @ np.linalg.cholesky(cov).T + mean


def test_frechet_distance_of_gaussians_is_the_closed_form():
    mean, sd_a, sd_b = np.array([1.0, -2, 0.5]), np.array([1.0, 2, 3]), np.array([2.0, 0.5, 3])
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]  # commuting covariances: one set of axes
    a = samples_with(np.zeros(3), turn @ np.diag(sd_a**2) @ turn.T, 50, seed=1)
    b = samples_with(mean, turn @ np.diag(sd_b**2) @ turn.T, 70, seed=2)
    assert frechet_distance(a, b) == pytest.approx((mean**2).sum() + ((sd_a - sd_b) ** 2).sum(), abs=1e-9)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)


def test_frechet_distance_of_one_feature_is_worked_out_by_hand():
    # means 1 and 4, variances 1 and 4: 9 + (1 - 2)^2
    assert frechet_distance(np.array([[0.0], [1], [2]]), np.array([[2.0], [4], [6]])) == pytest.approx(10)


def test_frechet_distance_is_the_one_with_the_root_of_the_product():
    x = np.random.default_rng(3).normal(size=(2, 40, 6)) @ np.random.default_rng(4).normal(size=(2, 6, 6))
    (a, b), (mu_a, mu_b) = (np.cov(part, rowvar=False) for part in x), x.mean(1)
    expected = ((mu_a - mu_b) ** 2).sum() + np.trace(a + b - 2 * scipy.linalg.sqrtm(a @ b).real)
    assert frechet_of_moments(mu_a, a, mu_b, b) == pytest.approx(expected, rel=1e-9)


def test_fewer_samples_than_features_bring_a_warning_that_says_how_many():
    x = np.random.default_rng(0).normal(size=(8, 8))
    with pytest.warns(FewSamples, match="8 samples of 8 features.* more than 8"):
        frechet_distance(x, x)


@pytest.mark.filterwarnings("ignore::echopulse.evaluate.metrics.distributions.FewSamples")
def test_few_samples_of_many_features_give_the_same_distance_as_their_moments():
    x, y = np.random.default_rng(7).normal(size=(5, 30)), 1 + 2 * np.random.default_rng(8).normal(size=(9, 30))
    moments = x.mean(0), np.cov(x, rowvar=False), y.mean(0), np.cov(y, rowvar=False)
    assert frechet_distance(x, y) == pytest.approx(frechet_of_moments(*moments), rel=1e-6)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-9)


def test_kernel_distance_of_tiny_sets_is_worked_out_by_hand():
    a, b = np.array([[0.0], [1.0]]), np.array([[1.0], [2.0]])
    # (xy + 1)^3: k(0,1) = 1; k(1,2) = 27; between: 1, 1, 8, 27
    assert squared_mmd(a, b) == pytest.approx(1 + 27 - 2 * 37 / 4)
    found = kernel_distance(a, b)
    assert (found.mean, found.sd, found.subsets, found.size) == (pytest.approx(9.5), 0, 1, 2)


def test_kernel_distance_is_unbiased_and_grows_with_a_shift():
    draw = np.random.default_rng(5)
    same = [squared_mmd(draw.normal(size=(20, 4)), draw.normal(size=(20, 4))) for _ in range(300)]
    assert abs(np.mean(same)) < 3 * np.std(same) / np.sqrt(300)
    a, b = draw.normal(size=(60, 4)), draw.normal(size=(50, 4)) + 1
    found = kernel_distance(a, b, subsets=20, size=30, seed=1)
    assert found.mean > 1 and found.sd > 0 and found.size == 30
    assert kernel_distance(a, b, subsets=20, size=30, seed=1) == found


def test_coverage_of_points_on_a_line_is_counted_by_hand():
    real, generated = np.array([[0.0], [1], [3]]), np.array([[1.5], [2.0], [10.0]])
    # k = 1, reach of the real: 1, 1, 2; of the generated: 0.5, 0.5, 8
    # 1.5 lies in the balls of 1 and 3, 2 in those of 1 and 3, 10 in none
    found = coverage(real, generated, k=1)
    assert found.precision == pytest.approx(2 / 3)
    assert found.density == pytest.approx(4 / 3)
    assert found.coverage == pytest.approx(2 / 3)  # the ball of 0 is empty
    # 1 lies 0.5 from 1.5; 3 lies 7 from 10; 0 lies in none
    assert found.recall == pytest.approx(2 / 3)


def test_equal_distributions_are_covered_and_a_collapsed_one_is_not():
    draw = np.random.default_rng(6)
    real, again = draw.normal(size=(300, 5)), draw.normal(size=(300, 5))
    fair = coverage(real, again)
    assert fair.density == pytest.approx(1, abs=0.15) and fair.coverage > 0.9
    collapsed = coverage(real, real[:1] + 0.01 * draw.normal(size=(300, 5)))
    assert collapsed.precision > 0.99 and collapsed.recall < 0.05 and collapsed.coverage < 0.1


@pytest.mark.parametrize("metric", [frechet_distance, kernel_distance, coverage])
def test_what_cannot_be_compared_is_refused_with_what_is_needed(metric):
    x = np.random.default_rng(0).normal(size=(20, 3))
    with pytest.raises(InputError, match=r"1 generated samples: at least [26] are needed"):
        metric(x, x[:1])
    with pytest.raises(InputError, match="one network"):
        metric(x, x[:, :2])
    with pytest.raises(InputError, match="no numbers"):
        metric(x, np.where(x > 1, np.nan, x))
