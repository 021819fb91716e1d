"""All that a decoded picture is held to, by name: each loss is computed only while its weight is above 0."""

from dataclasses import dataclass, field

import torch
from torch import Generator, Tensor

from echopulse.errors import InputError
from echopulse.train.losses.adversary import Adversary
from echopulse.train.losses.features import lpips_loss, measurer_loss, video_loss
from echopulse.train.losses.gradients import gradient_loss
from echopulse.train.losses.judges import Judges
from echopulse.train.losses.moving import moving_weight
from echopulse.train.losses.speckle import speckle_loss
from echopulse.train.losses.wavelets import wavelet_loss

ADVERSARY_FROM = 0.4  # share of the run after which there is an adversary: before, anything tells fog from a picture
LOOKED_AT = 4  # pictures of every clip that networks look at
STRETCH = 5  # neighbouring pictures of every clip that critics look at


@dataclass
class PictureLosses:
    """The losses of pictures of one tokenizer, with those of their parts that learn.

    `weights` has a weight for every name in `weights.PICTURE` and `weights.ON_DEMAND`; `fps` are pictures a second.
    """

    weights: dict[str, float]
    judges: Judges
    fps: float
    adversary: Adversary | None = None
    adversary_from: float = ADVERSARY_FROM
    scalars: dict[str, float] = field(default_factory=dict)  # what the adversary says of itself, of the last batch

    def __call__(
        self, made: Tensor, true: Tensor, draw: Generator, *, progress: float, learn: bool
    ) -> dict[str, Tensor]:
        """Scalars by name, of pictures [b, t, h, w] and what they should be in 0..1; l1 and mse always.

        `draw` chooses the pictures that networks look at. With `learn` the adversary takes a step first, once the run
        has come as far as `adversary_from`.
        """
        error, counts = made - true, moving_weight(true, self.weights["moving"])
        terms = {"l1": (error.abs() * counts).mean(), "mse": (error.square() * counts).mean()}
        with torch.autocast(made.device.type, enabled=False):  # small differences of sums
            for name, loss in (("gradient", gradient_loss), ("wavelet", wavelet_loss), ("speckle", speckle_loss)):
                if self.weights[name]:
                    terms[name] = loss(made, true)
        return terms | self._through_networks(made, true, draw) | self._adversarial(made, true, draw, progress, learn)

    def _through_networks(self, made: Tensor, true: Tensor, draw: Generator) -> dict[str, Tensor]:
        judges, weights, terms = self.judges, self.weights, {}
        if weights["measurer"] or weights["lpips"]:
            some = torch.randperm(made.shape[1], generator=draw)[:LOOKED_AT].sort().values
            here = some.to(made.device)
        if weights["measurer"]:
            terms["measurer"] = measurer_loss(judges.measurer, made, true, some, self.fps)
        if weights["lpips"]:
            terms["lpips"] = lpips_loss(judges.lpips, made[:, here], true[:, here])
        if weights["video"]:
            terms["video"] = video_loss(judges.video, made, true)
        return terms

    def _adversarial(
        self, made: Tensor, true: Tensor, draw: Generator, progress: float, learn: bool
    ) -> dict[str, Tensor]:
        self.scalars = {}
        if self.adversary is None or progress < self.adversary_from:
            return {}
        start = int(torch.randint(max(1, made.shape[1] - STRETCH + 1), (1,), generator=draw))
        made, true = (clips[:, start : start + STRETCH] for clips in (made, true))
        if learn:
            self.scalars = self.adversary.learn(made, true)
        return {"adversarial": self.adversary.doubt(made)}


def picture_losses(
    weights: dict[str, float], judges: Judges, *, fps: float, size: int, frames: int, adversary_from: float,
    device: torch.device | str,
) -> PictureLosses:  # fmt: skip
    """Losses of these weights for stretches of `frames` pictures of `size`; an adversary only where one is asked for.

    InputError where a loss lacks its network, or an adversary would have no two pictures to compare.
    """
    judges.check(weights, size)
    adversary = None
    if weights["adversarial"]:
        if frames < 2:
            raise InputError("loss adversarial: its critics look at changes, so stretches need two frames or more.")
        adversary = Adversary(weights["lecam"], device)
    return PictureLosses(weights, judges, fps, adversary, adversary_from)
