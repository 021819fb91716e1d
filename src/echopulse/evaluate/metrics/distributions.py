"""How far two sets of clips lie apart as distributions of features, and which part of one the other covers.

Features are float arrays [n, d] and [m, d] of one network, real ones first. The figures bear the name of the network
(FID-echo), never the bare one, unless it is the network of the original papers.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from echopulse.errors import InputError

KERNEL_DEGREE = 3
KERNEL_SUBSETS, KERNEL_SUBSET = 100, 1000
NEAREST = 5


class FewSamples(UserWarning):
    """A distribution was estimated from fewer samples than it has dimensions."""


def frechet_distance(real: np.ndarray, generated: np.ndarray) -> float:
    """Fréchet distance between Gaussians fitted to two sets of features (Heusel et al. 2017), in features squared.

    Covariances with n - 1. Warns (`FewSamples`) where a set is not larger than its dimension: covariances are then
    singular and the distance is too large, so compare it only with one from as many samples.
    """
    real, generated = _pools(real, generated, 2)
    smaller, d = min(len(real), len(generated)), real.shape[1]
    if smaller <= d:
        warnings.warn(
            f"{smaller} samples of {d} features: the Fréchet distance is too large; more than {d} are needed, or "
            "compare it only with one from as many samples",
            FewSamples,
            stacklevel=2,
        )
        return _frechet_of_few(real, generated)
    return frechet_of_moments(real.mean(0), _covariance(real), generated.mean(0), _covariance(generated))


def _frechet_of_few(a: np.ndarray, b: np.ndarray) -> float:
    """The same distance without matrices of d x d: tr (A^½ B A^½)^½ is the sum of the singular values of X Yᵀ.

    X and Y are the samples about their means, divided by the roots of n - 1, so that A = XᵀX and B = YᵀY.
    """
    x, y = ((pool - pool.mean(0)) / (len(pool) - 1) ** 0.5 for pool in (a, b))
    between = np.linalg.svd(x @ y.T, compute_uv=False).sum()
    distance = ((a.mean(0) - b.mean(0)) ** 2).sum() + (x**2).sum() + (y**2).sum() - 2 * between
    return float(max(distance, 0.0))


def frechet_of_moments(mean_a: np.ndarray, cov_a: np.ndarray, mean_b: np.ndarray, cov_b: np.ndarray) -> float:
    """|μa - μb|² + tr(A + B - 2 (A^½ B A^½)^½) of Gaussians with means [d] and covariances [d, d] (Dowson 1982).

    The symmetric form needs eigenvalues of symmetric matrices only, so nothing complex has to be cut off.
    """
    values, vectors = np.linalg.eigh(cov_a)
    root = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
    between = np.sqrt(np.linalg.eigvalsh(root @ cov_b @ root).clip(min=0)).sum()
    distance = ((mean_a - mean_b) ** 2).sum() + np.trace(cov_a) + np.trace(cov_b) - 2 * between
    return float(max(distance, 0.0))  # rounding alone can make it negative


@dataclass(frozen=True)
class KernelDistance:
    """Mean and standard deviation over `subsets` random subsets of `size` samples from either set."""

    mean: float
    sd: float
    subsets: int
    size: int


def kernel_distance(
    real: np.ndarray,
    generated: np.ndarray,
    *,
    seed: int = 0,
    subsets: int = KERNEL_SUBSETS,
    size: int = KERNEL_SUBSET,
) -> KernelDistance:
    """Kernel distance: unbiased squared MMD with the kernel (x·y / d + 1)³ (Bińkowski et al. 2018).

    Unbiased from few samples too; can be below 0. Where a set is smaller than `size`, subsets are as large as it.
    """
    real, generated = _pools(real, generated, 2)
    size = min(size, len(real), len(generated))
    if size == len(real) == len(generated):
        subsets = 1  # every subset is the whole
    draw = np.random.default_rng(seed)
    values = [
        squared_mmd(real[draw.choice(len(real), size, False)], generated[draw.choice(len(generated), size, False)])
        for _ in range(subsets)
    ]
    return KernelDistance(float(np.mean(values)), float(np.std(values)), subsets, size)


def squared_mmd(a: np.ndarray, b: np.ndarray) -> float:
    """Unbiased squared maximum mean discrepancy of a [n, d] and b [m, d] (Gretton et al. 2012, lemma 6)."""
    n, m = len(a), len(b)
    among_a, among_b, between = _kernel(a, a), _kernel(b, b), _kernel(a, b)
    own_a = (among_a.sum() - np.trace(among_a)) / (n * (n - 1))
    own_b = (among_b.sum() - np.trace(among_b)) / (m * (m - 1))
    return float(own_a + own_b - 2 * between.mean())


@dataclass(frozen=True)
class Coverage:
    """Shares of one set that the other knows.

    Attributes:
        precision: generated samples within the k-nearest-neighbour ball of some real one, 0..1.
        recall: real samples within the ball of some generated one, 0..1.
        density: in how many real balls a generated sample lies, over k; about 1 for equal distributions.
        coverage: real samples whose ball holds a generated one, 0..1; 1 - 0.5^k and more for equal distributions.
        k: neighbours that make a ball.
    """

    precision: float
    recall: float
    density: float
    coverage: float
    k: int


def coverage(real: np.ndarray, generated: np.ndarray, k: int = NEAREST) -> Coverage:
    """Precision and recall (Kynkäänniemi et al. 2019), density and coverage (Naeem et al. 2020).

    A ball reaches from a sample to its k-th nearest neighbour in its own set, itself not counted. Recall is generous
    to outliers among the generated, which coverage is not.
    """
    real, generated = _pools(real, generated, k + 1)
    real_reach, generated_reach = (_kth_distance(pool, k) for pool in (real, generated))
    distances = _distances(real, generated)  # [n, m]
    in_real_ball = distances <= real_reach[:, None]
    in_generated_ball = distances <= generated_reach[None, :]
    return Coverage(
        precision=float(in_real_ball.any(0).mean()),
        recall=float(in_generated_ball.any(1).mean()),
        density=float(in_real_ball.sum(0).mean() / k),
        coverage=float(in_real_ball.any(1).mean()),
        k=k,
    )


def _pools(real: np.ndarray, generated: np.ndarray, least: int) -> tuple[np.ndarray, np.ndarray]:
    """Both as float64 [n, d], or InputError."""
    pools = [np.asarray(pool, np.float64) for pool in (real, generated)]
    for name, pool in zip(("real", "generated"), pools, strict=True):
        if pool.ndim != 2 or pool.shape[1] != pools[0].shape[-1]:
            raise InputError(
                f"{name} features {pool.shape}: [n, d] of the same d are expected, the real ones are {pools[0].shape}; "
                "compute both with one network."
            )
        if len(pool) < least:
            raise InputError(f"{len(pool)} {name} samples: at least {least} are needed; give more clips.")
        if not np.isfinite(pool).all():
            raise InputError(f"{name} features hold values that are no numbers; check the clips and the network.")
    return pools[0], pools[1]


def _covariance(pool: np.ndarray) -> np.ndarray:
    return np.atleast_2d(np.cov(pool, rowvar=False))


def _kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a @ b.T / a.shape[1] + 1) ** KERNEL_DEGREE


def _distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Euclidean distances [n, m]."""
    from scipy.spatial.distance import cdist

    return cdist(a, b)


def _kth_distance(pool: np.ndarray, k: int) -> np.ndarray:
    """Distance of each sample to its k-th nearest other, [n]; its own 0 comes first."""
    return np.partition(_distances(pool, pool), k, axis=1)[:, k]
