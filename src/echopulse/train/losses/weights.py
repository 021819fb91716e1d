"""The names of the losses and how much each counts: one line each, and 0 switches it off."""

import math
from collections.abc import Mapping, Sequence

from echopulse.errors import InputError
from echopulse.model.config import TokenizerConfig
from echopulse.train.grain import WEIGHTS as GRAIN
from echopulse.train.motion import WEIGHTS as MOTION

# Of the picture. `moving` is no term: it is how much more l1 and mse count where the picture moves (see `moving`).
PICTURE = {"l1": 1.0, "mse": 2.0, "moving": 2.0}
QUANTIZER = {"lfq": {"commitment": 0.01, "entropy": 0.01}, "fsq": {}, "vq": {"commitment": 0.25}}
# Off unless asked for. `lecam` counts in the critics' own loss, so it does nothing without `adversarial`.
ON_DEMAND = {
    "gradient": 0.0, "wavelet": 0.0, "speckle": 0.0, "measurer": 0.0, "lpips": 0.0, "video": 0.0, "adversarial": 0.0,
    "lecam": 0.001,
}  # fmt: skip


def loss_weights(config: TokenizerConfig, changes: Mapping[str, float] | None = None) -> dict[str, float]:
    """The weight of every loss that a tokenizer of this configuration knows, by the name under which it is logged.

    `changes` take the place of the defaults. InputError for an unknown name and for a weight that is negative or no
    number.
    """
    known = PICTURE | ON_DEMAND | QUANTIZER[config.quantizer] | (GRAIN if config.grain else {})
    known |= MOTION if config.decoder == "motion" else {}
    for name, weight in (changes or {}).items():
        if name not in known:
            raise InputError(f"loss {name}: this tokenizer knows {', '.join(known)}.")
        if not (math.isfinite(weight) and weight >= 0):
            raise InputError(f"loss {name} with weight {weight}: a number is expected that is not below 0.")
    return known | dict(changes or {})


def parse_weights(texts: Sequence[str]) -> dict[str, float]:
    """`["speckle=0.1", "mse=0"]` as names and weights; InputError for what is not written so or given twice."""
    weights: dict[str, float] = {}
    for text in texts:
        name, _, number = text.partition("=")
        try:
            weight = float(number)
        except ValueError:
            raise InputError(f"--loss {text}: NAME=WEIGHT is expected, as in speckle=0.1.") from None
        if name in weights:
            raise InputError(f"--loss {name} is given twice; leave one of them out.")
        weights[name] = weight
    return weights
