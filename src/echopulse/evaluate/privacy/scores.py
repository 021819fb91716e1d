"""What an evaluation says about privacy: how near generated clips come to training clips, and what that gives away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from echopulse.evaluate.keys import Bar, Figure
from echopulse.evaluate.privacy.calibration import LEAST, LEVEL, auc, auc_interval, share_interval
from echopulse.evaluate.privacy.filter import CopyFilter, Judgement
from echopulse.evaluate.privacy.pixels import PixelSpace, Small, check_clips
from echopulse.evaluate.privacy.plants import BEYOND, PLANTS
from echopulse.evaluate.privacy.vectors import Features, Remembered, VectorSpace
from echopulse.evaluate.results import Results

PLANTED = 24  # training clips at most that are planted, once of each kind
SPACES = ("pixel", "siamese", "feature")
SHARES = {"fit": 0.2, "unrelated": 0.1, "planted": 0.4, "generated": 0.1, "members": 0.1, "others": 0.1}
ALL_FOUND, NONE_FLAGGED = Bar("≥", 1), Bar("≤", 0.01)


def privacy_scores(
    generated: Sequence[np.ndarray],
    training: Sequence[np.ndarray],
    held_out: Sequence[np.ndarray],
    features: Features | None,
    fps: float,
    *,
    seed: int = 0,
    level: float = LEVEL,
    on_step: Callable[[float], None] | None = None,
) -> Results:
    """Copies among generated clips, uint8 [t, h, w] each, and whether they give away who was in the training set.

    Half of the held-out clips, of hearts that are not in the training set, sets the thresholds; the other half says how
    many unrelated clips are flagged. Copies are planted to show that the filter finds them. Whether a clip was in the
    training set is guessed from its distance to the nearest generated clip, by pixels and features; not by the Siamese
    network, which has seen the training clips itself. Shares have exact 95 % intervals (`X.low`, `X.high`). InputError:
    under 20 generated or training clips or under 40 held-out ones, or pictures of unlike sizes.
    """
    sides = check_clips(training, "training clips", LEAST)
    check_clips(generated, "generated clips", LEAST, sides)
    check_clips(held_out, "held-out clips", 2 * LEAST, sides)
    steps = _Steps(on_step or (lambda _: None))
    features = None if features is None else Remembered(features)
    calibration, unrelated = held_out[::2], held_out[1::2]
    copies = CopyFilter.fit(
        training, fps, held_out=calibration, features=features, level=level, seed=seed, on_step=steps.of("fit")
    )
    strangers = copies.judge(unrelated, fps, on_step=steps.of("unrelated"))
    found = copies.judge(generated, fps, on_step=steps.of("generated"))
    scores: dict[str, float] = {"calibrated_on": len(calibration), "level": level}
    scores |= _planted(copies, training, fps, seed, steps.of("planted"))
    columns: dict[str, list[float]] = {}
    for who, judged in (("unrelated", strangers), ("generated", found)):
        flagged = judged.flagged.astype(float)
        scores |= _share(f"{who}.flagged", judged.flagged)
        columns[f"{who}.flagged"] = flagged.tolist()
    for name, bound in copies.thresholds.items():
        near, usual = found.nearest[name].distance, strangers.nearest[name].distance
        scores |= {
            f"threshold.{name}": bound, f"generated.{name}_distance": float(np.median(near)),
            f"unrelated.{name}_distance": float(np.median(usual)),
            f"generated.{name}_flagged": float((near <= bound).mean()),
        }  # fmt: skip
        columns |= {f"generated.{name}_distance": near.tolist(), f"unrelated.{name}_distance": usual.tolist()}
    scores |= _reidentified(copies, unrelated, fps, seed)
    return Results.of(scores | _membership(generated, training, held_out, features, fps, seed, steps), columns)


def _planted(copies: CopyFilter, training: Sequence[np.ndarray], fps: float, seed: int, on_step) -> dict[str, float]:
    """Share of the copies of each kind that are flagged for the very clip they were made from."""
    draw = np.random.default_rng(seed)
    chosen = np.sort(draw.permutation(len(training))[:PLANTED])
    if copies.features is not None:  # each copy is looked at once, and need not be remembered
        copies = replace(copies, features=copies.features.features)
    kinds, scores = PLANTS | BEYOND, {}
    for number, (kind, make) in enumerate(kinds.items()):
        judged = copies.judge([make(training[k], fps, draw) for k in chosen], fps)
        scores |= _share(f"planted.{kind}.found", _traced(copies, judged, chosen))
        on_step((number + 1) / len(kinds))
    return scores


def _share(key: str, hits: np.ndarray) -> dict[str, float]:
    """The share of `hits`, bool [n], with its exact interval and n."""
    low, high = share_interval(int(hits.sum()), len(hits))
    return {key: float(hits.mean()), f"{key}.low": low, f"{key}.high": high, f"{key}.n": len(hits)}


def _traced(copies: CopyFilter, judged: Judgement, origins: np.ndarray) -> np.ndarray:
    """bool [n]: flagged by a distance whose nearest training clip is the origin."""
    hits = [(judged.nearest[name].distance <= bound) & (judged.nearest[name].which == origins)
            for name, bound in copies.thresholds.items()]  # fmt: skip
    return np.any(hits, axis=0)


def _reidentified(copies: CopyFilter, clips: Sequence[np.ndarray], fps: float, seed: int) -> dict[str, float]:
    """How well the Siamese network tells halves of one unseen clip from halves of two."""
    ways = [copies.siamese.variants(Small.of(part, fps))[0] for part in (
        [frames[: len(frames) // 2] for frames in clips], [frames[len(frames) // 2 :] for frames in clips]
    )]  # fmt: skip
    distance = 1 - ways[0] @ ways[1].T
    same = np.eye(len(clips), dtype=bool)
    return {"reidentification.auc": auc(distance[same], distance[~same]), "reidentification.auc.n": len(clips)}


def _membership(
    generated: Sequence[np.ndarray], training: Sequence[np.ndarray], held_out: Sequence[np.ndarray],
    features: Features | None, fps: float, seed: int, steps: _Steps,
) -> dict[str, float]:  # fmt: skip
    """AUC of guessing from a clip's nearness to the generated ones that it was in the training set."""
    made = Small.of(generated, fps)
    space = PixelSpace.fit(made)  # the mean of the training clips would favour them
    pools = {"members": training, "others": held_out}
    near = {"pixel": [space.nearest(Small.of(pool, fps), made, on_step=steps.of(who)).distance
                      for who, pool in pools.items()]}  # fmt: skip
    if features is not None:
        vectors = VectorSpace.fit(features.clips(generated, fps))
        near["feature"] = [vectors.nearest(features.clips(pool, fps)[None]).distance for pool in pools.values()]
    scores = {}
    for name, (members, others) in near.items():
        low, high = auc_interval(members, others, seed)
        key = f"membership.{name}.auc"
        scores |= {key: auc(members, others), f"{key}.low": low, f"{key}.high": high, f"{key}.n": len(members)}
    return scores


class _Steps:
    """Shares of the whole for every piece of work, in the order of SHARES or any other."""

    def __init__(self, on_step: Callable[[float], None]):
        self.on_step, self.done = on_step, dict.fromkeys(SHARES, 0.0)

    def of(self, name: str) -> Callable[[float], None]:
        """Tells the share of the whole when told the share of one piece."""

        def tell(share: float) -> None:
            self.done[name] = share
            self.on_step(min(sum(SHARES[key] * part for key, part in self.done.items()), 1.0))

        return tell


KINDS = {
    "exact": "copies of training clips", "flipped": "copies with left and right exchanged",
    "late": "copies that begin a third of the clip later", "reencoded": "copies through MP4 at strong compression",
    "dimmed": "copies at 0.6 of the gain", "noisy": "copies with noise of 16 grey levels",
    "brightened": "copies with other contrast, gain, offset and some noise",
    "disguised": "copies flipped, later and brightened at once",
}
UNBARRED = {
    "rotated": "copies turned by 10 degrees", "zoomed": "copies enlarged by 1.2",
    "slowed": "copies at 0.8 of the speed",
}  # fmt: skip
MEANT = {
    "pixel": "blurred pictures, best over mirroring, shifts and lags", "siamese": "re-identification network",
    "feature": "frozen features of the measurer",
}  # fmt: skip

FIGURES: dict[str, Figure] = {
    **{
        f"privacy.planted.{kind}.found": Figure("", f"share of planted {what} flagged, for the right clip", ALL_FOUND)
        for kind, what in KINDS.items()
    },
    **{
        f"privacy.planted.{kind}.found": Figure("", f"the same of {what}, which the filter is not made for")
        for kind, what in UNBARRED.items()
    },
    "privacy.unrelated.flagged": Figure("", "share of other held-out clips flagged as copies", NONE_FLAGGED),
    "privacy.generated.flagged": Figure("", "share of generated clips flagged as copies", NONE_FLAGGED),
    "privacy.level": Figure("", "share of unrelated clips that the thresholds were set to flag"),
    "privacy.calibrated_on": Figure("", "held-out clips that set the thresholds"),
    **{
        key: figure
        for name, what in MEANT.items()
        for key, figure in {
            f"privacy.threshold.{name}": Figure("", f"distance up to which a clip is flagged ({what})"),
            f"privacy.generated.{name}_distance": Figure("", f"to the nearest training clip, median ({what})"),
            f"privacy.unrelated.{name}_distance": Figure("", f"the same of unrelated held-out clips ({what})"),
            f"privacy.generated.{name}_flagged": Figure("", f"share of generated clips at most that far ({what})"),
        }.items()
    },
    "privacy.reidentification.auc": Figure(
        "", "network's area under the curve, two halves of one unseen clip against those of two; 0.5 is chance"
    ),
    **{
        f"privacy.membership.{name}.auc": Figure(
            "", f"telling training from held-out clips by the nearest generated clip; 0.5 is chance ({MEANT[name]})",
            Bar("≤", 0.6),
        )
        for name in ("pixel", "feature")
    },
}  # fmt: skip
