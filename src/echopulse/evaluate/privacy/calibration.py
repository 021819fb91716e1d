"""How near is too near, and whether nearness tells who was in the training set."""

from __future__ import annotations

import numpy as np

from echopulse.errors import InputError

LEVEL = 0.005  # share of unrelated clips that may be flagged, over all distances together
TAIL = 0.1  # of the distances, whose shape is followed below the smallest of them
LEAST = 20  # distances
LEAST_TAIL = 5
SURE = 0.95  # confidence that no more is flagged than asked
RESAMPLES = 1000


def threshold(distances: np.ndarray, level: float) -> float:
    """The distance that a share `level` of unrelated clips falls below, from some of their distances [n].

    The lower tail is taken for a power of the distance, P(D < d) ~ d^k, as nearest-neighbour distances have it; 1/k is
    Hill's (1975) mean of log(t / d_i) over the nearest tenth below t, and the quantile Weissman's (1978):
    t (level n / m)^(1/k). Both work below 1/n, where counting cannot. Under that law m times Hill's mean is gamma
    distributed around m/k, from which the upper 95 % limit of 1/k is taken: from few distances rather too low a
    threshold than too high a one. Simulated power laws then flag more than `level` in one sample of 20.
    """
    from scipy.stats import chi2

    known = np.sort(np.asarray(distances, np.float64))
    if len(known) < LEAST or not np.isfinite(known).all():
        raise InputError(f"{len(known)} distances of unrelated clips: at least {LEAST} are needed for a threshold.")
    if not 0 < level < TAIL:
        raise InputError(f"a share of {level:g} unrelated clips flagged: expected above 0 and below {TAIL:g}.")
    tail = max(round(TAIL * len(known)), LEAST_TAIL)
    edge = known[tail]
    if edge <= 0:
        return 0.0
    logs = np.log(edge / np.maximum(known[:tail], 1e-6 * edge)).sum()
    steepest = 2 * logs / chi2.ppf(1 - SURE, 2 * tail)
    return float(edge * (level * len(known) / tail) ** steepest)


def auc(members: np.ndarray, others: np.ndarray) -> float:
    """How often a member's distance is smaller than another's, ties half: 0.5 where distances tell nothing.

    The area under the curve of hits over false alarms (Mann and Whitney 1947).
    """
    from scipy.stats import rankdata

    members, others = np.asarray(members, np.float64), np.asarray(others, np.float64)
    ranks = rankdata(np.concatenate([members, others]))[: len(members)].sum()
    above = ranks - len(members) * (len(members) + 1) / 2
    return float(1 - above / (len(members) * len(others)))


def auc_interval(members: np.ndarray, others: np.ndarray, seed: int) -> tuple[float, float]:
    """95 % bootstrap interval of `auc`: both sides are drawn again, percentiles of 1000 draws."""
    draw = np.random.default_rng(seed)
    again = [auc(draw.choice(members, len(members)), draw.choice(others, len(others))) for _ in range(RESAMPLES)]
    low, high = np.percentile(again, [2.5, 97.5])
    return float(low), float(high)


def share_interval(hits: int, n: int) -> tuple[float, float]:
    """Exact 95 % interval of a share, `hits` of `n` (Clopper and Pearson 1934): 0 of 100 is still up to 3.6 %."""
    from scipy.stats import beta

    low = float(beta.ppf(0.025, hits, n - hits + 1)) if hits else 0.0
    return low, float(beta.ppf(0.975, hits + 1, n - hits)) if hits < n else 1.0
