"""A filter that knows a training set and refuses clips that come too near to one of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from echopulse.errors import InputError
from echopulse.evaluate.privacy.calibration import LEAST, LEVEL, threshold
from echopulse.evaluate.privacy.pixels import Nearest, PixelSpace, Small, check_clips
from echopulse.evaluate.privacy.vectors import Features, Siamese, VectorSpace, learn_siamese
from echopulse.files import write_json

TENSORS, ABOUT = "copies.safetensors", "copies.json"
FORMAT = "echopulse copy filter 2"
OnStep = Callable[[float], None]


@dataclass(frozen=True, eq=False)
class Judgement:
    """What a filter says about n clips.

    Attributes:
        nearest: of each distance ("pixel", "siamese", "feature") how near the nearest training clip is, and which.
        reasons: of each clip one sentence per distance that is too small, with the training clip; none: it is kept.
    """

    nearest: dict[str, Nearest]
    reasons: tuple[tuple[str, ...], ...]

    @property
    def flagged(self) -> np.ndarray:
        """bool [n]."""
        return np.array([bool(said) for said in self.reasons])

    @property
    def kept(self) -> list[int]:
        """Numbers of the clips that may stay, in order."""
        return np.flatnonzero(~self.flagged).tolist()


@dataclass(frozen=True, eq=False)
class CopyFilter:
    """Training clips as small pictures and vectors, and a threshold for each distance to them.

    What is kept and saved shows the training clips, blurred and small: guard it as they are guarded.
    """

    pixels: PixelSpace
    small: Small
    siamese: Siamese | None
    siamese_space: VectorSpace | None
    feature_space: VectorSpace | None
    features: Features | None
    thresholds: dict[str, float]
    names: tuple[str, ...]  # of the training clips
    level: float
    sides: tuple[int, int]  # pixels, of every training clip

    @classmethod
    def fit(
        cls,
        training: Sequence[np.ndarray],
        fps: float,
        *,
        held_out: Sequence[np.ndarray] | None = None,
        features: Features | None = None,
        names: Sequence[str] | None = None,
        level: float = LEVEL,
        seed: int = 0,
        on_step: OnStep = lambda _: None,
    ) -> CopyFilter:
        """From training clips, uint8 [t, h, w] each, at `fps` frames per second.

        held_out: clips of hearts that are not among them, whose distances set the thresholds so that a share `level`
        of such clips is flagged, the distances sharing it evenly. Without them each training clip is held against the
        others, which is right only where no heart is among them twice, and there is no Siamese network: it has pushed
        the training clips apart, so that they cannot set its threshold. InputError below 20 clips of either kind, and
        for pictures of unlike sizes.
        """
        sides = check_clips(training, "training clips", LEAST)
        if held_out is not None:
            check_clips(held_out, "held-out clips", LEAST, sides)
        if names is not None and len(names) != len(training):
            raise InputError(f"{len(names)} names for {len(training)} training clips: one for each is expected.")
        small, others = Small.of(training, fps), held_out is None
        siamese = None if others else learn_siamese(small, seed=seed, on_step=lambda share: on_step(0.4 * share))
        known = None if features is None else VectorSpace.fit(features.clips(training, fps))
        names = tuple(names) if names is not None else tuple(f"training clip {k}" for k in range(len(training)))
        space = None if siamese is None else VectorSpace.fit(siamese.variants(small)[0])
        fitted = cls(PixelSpace.fit(small), small, siamese, space, known, features, {}, names, level, sides)
        nearest = fitted.nearest(training if others else held_out, fps, others=others,
                                 on_step=lambda share: on_step(0.4 + 0.6 * share))  # fmt: skip
        for name, found in nearest.items():
            fitted.thresholds[name] = threshold(found.distance, level / len(nearest))
        return fitted

    def nearest(
        self, clips: Sequence[np.ndarray], fps: float, *, others: bool = False, on_step: OnStep = lambda _: None
    ) -> dict[str, Nearest]:
        """The nearest training clip of each clip by each distance; with `others`, of the training clips themselves,
        each one's nearest other."""
        small = Small.of(clips, fps)
        found = {"pixel": self.pixels.nearest(small, self.small, others=others, on_step=on_step)}
        if self.siamese is not None:
            found["siamese"] = self.siamese_space.nearest(self.siamese.variants(small))
        if self.feature_space is not None:
            seen = self.features.clips(clips, fps)
            found["feature"] = self.feature_space.nearest(seen[None], others=others)
        return found

    def judge(self, clips: Sequence[np.ndarray], fps: float, *, on_step: OnStep = lambda _: None) -> Judgement:
        """Which clips are too near to a training clip, uint8 [t, h, w] each, as large as those."""
        check_clips(clips, "clips to judge", sides=self.sides)
        nearest = self.nearest(clips, fps, on_step=on_step)
        return Judgement(nearest, tuple(tuple(self._reasons(nearest, k)) for k in range(len(clips))))

    def rejected(self, clips: Sequence[np.ndarray], fps: float) -> dict[int, str]:
        """Number of each clip that is too near to a training clip, and why."""
        said = self.judge(clips, fps).reasons
        return {number: "; ".join(why) for number, why in enumerate(said) if why}

    def _reasons(self, nearest: dict[str, Nearest], k: int):
        for name, bound in self.thresholds.items():
            found, which = nearest[name].distance[k], nearest[name].which[k]
            if found <= bound:
                yield f"{name} distance {found:.3f} from {self.names[which]}, at most {bound:.3f}"

    def save(self, folder: Path, *, force: bool = False) -> None:
        """Everything but the features' network, as safetensors and JSON in `folder`."""
        from safetensors.torch import save_file

        if not force and (there := [name for name in (TENSORS, ABOUT) if (folder / name).exists()]):
            raise InputError(f"{folder / there[0]} exists already; choose another folder or allow replacing it.")
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {"pictures": torch.cat(self.small.pictures), "mean": self.pixels.mean}
        if self.siamese is not None:
            tensors |= {f"network.{name}": value for name, value in self.siamese.state_dict().items()}
        for part, space in (("siamese", self.siamese_space), ("feature", self.feature_space)):
            if space is not None:
                tensors |= {f"{part}.{name}": torch.from_numpy(value) for name, value in vars(space).items()}
        save_file({name: value.contiguous() for name, value in tensors.items()}, folder / TENSORS)
        about = {
            "format": FORMAT, "level": self.level, "names": self.names,
            "thresholds": {name: repr(bound) for name, bound in self.thresholds.items()},
            "lengths": [len(one) for one in self.small.pictures], "sides": self.sides,
            "features": None if self.features is None else self.features.hash,
            "notice": "holds small blurred pictures of the training clips; guard it as you guard those",
        }  # fmt: skip
        write_json(about, folder / ABOUT)

    @classmethod
    def load(cls, folder: Path, features: Features | None = None) -> CopyFilter:
        """What `save` wrote; `features` as it was fitted with, not used by a filter that was fitted without.

        InputError where anything is missing or the features are others.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            about = json.loads((folder / ABOUT).read_text("utf-8"))
            tensors = load_file(folder / TENSORS)
        except (OSError, json.JSONDecodeError, UnicodeDecodeError, SafetensorError) as error:
            raise InputError(f"{folder}: no copy filter ({error}); make one with CopyFilter.fit and save.") from error
        if not isinstance(about, dict) or about.get("format") != FORMAT:
            raise InputError(f"{folder / ABOUT}: no copy filter of this version; make it again with CopyFilter.fit.")
        if about["features"] is None:
            features = None
        here = None if features is None else features.hash
        if here != about["features"]:
            raise InputError(
                f"{folder}: fitted with features {about['features']}, given were {here or 'none'}; "
                "give the same or fit it again."
            )
        weights = {name.removeprefix("network."): v for name, v in tensors.items() if name.startswith("network.")}
        network = Siamese().eval() if weights else None
        if network is not None:
            network.load_state_dict(weights)
        spaces = {
            part: VectorSpace(*(tensors[f"{part}.{name}"].numpy() for name in ("mean", "spread", "references")))
            for part in ("siamese", "feature") if f"{part}.mean" in tensors
        }  # fmt: skip
        return cls(
            PixelSpace(tensors["mean"]), Small(tensors["pictures"].split(about["lengths"])), network,
            spaces.get("siamese"), spaces.get("feature"), features,
            {name: float(bound) for name, bound in about["thresholds"].items()}, tuple(about["names"]), about["level"],
            tuple(about["sides"]),
        )  # fmt: skip


def reject_copies(
    clips: Sequence[np.ndarray],
    training: Sequence[np.ndarray],
    fps: float,
    *,
    held_out: Sequence[np.ndarray] | None = None,
    threshold: float | None = None,
    features: Features | None = None,
    seed: int = 0,
) -> tuple[list[int], dict[int, tuple[str, ...]]]:
    """Numbers of the clips that are no copies of training clips, and of each other one why it is one.

    With a `threshold` the pixel distance alone decides (0 a copy, see `pixels`), and any number of training clips will
    do; without, a `CopyFilter` is fitted.
    """
    check_clips(clips, "clips to judge", sides=check_clips(training, "training clips"))
    if threshold is None:
        judged = CopyFilter.fit(training, fps, held_out=held_out, features=features, seed=seed).judge(clips, fps)
        return judged.kept, {k: why for k, why in enumerate(judged.reasons) if why}
    if not 0 <= threshold <= 2:
        raise InputError(f"a threshold of {threshold:g}: distances lie between 0 (a copy) and 2.")
    small = Small.of(training, fps)
    found = PixelSpace.fit(small).nearest(Small.of(clips, fps), small)
    reasons = {
        k: (f"pixel distance {distance:.3f} from training clip {which}, at most {threshold:.3f}",)
        for k, (distance, which) in enumerate(zip(found.distance, found.which, strict=True)) if distance <= threshold
    }  # fmt: skip
    return [k for k in range(len(clips)) if k not in reasons], reasons
