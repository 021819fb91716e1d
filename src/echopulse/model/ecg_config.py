"""Published ECG networks that a generator may hear through: what each is made of, and under which licence it comes.

The sizes are those of the published weights. ST-MEM: github.com/bakqui/ST-MEM (Na et al. 2024). ECGFounder: the call
in finetune_model.py of github.com/PKUDigitalHealth/ECGFounder (Li et al. 2024), and a public listing of the names and
shapes in its checkpoint (src/model/checkpoint_inspect.txt of github.com/GhIrani33/ecgfounder-edge-cds).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from echopulse.errors import InputError


def check_sizes(kind: str, rate_hz: Any, sizes: Mapping[str, Any], lists: Mapping[str, Any]) -> None:
    """InputError for an ECG encoder whose rate is no positive number, or whose sizes are no positive whole numbers.

    `sizes` and `lists` (of one or more sizes) by the names under which `config.json` holds them.
    """
    if isinstance(rate_hz, bool) or not isinstance(rate_hz, (int, float)) or not 0 < rate_hz < math.inf:
        raise InputError(f"an ECG encoder ({kind}) with rate_hz {rate_hz!r}: a positive number of hertz is expected.")
    for name, value in sizes.items():
        if not is_size(value):
            raise InputError(f"an ECG encoder ({kind}) with {name} {value!r}: a whole number above 0 is expected.")
    for name, values in lists.items():
        if not isinstance(values, tuple) or not values or not all(is_size(value) for value in values):
            found = list(values) if isinstance(values, tuple) else values
            raise InputError(
                f"an ECG encoder ({kind}) with {name} {found!r}: a list of whole numbers above 0 is expected."
            )


def is_size(value: Any) -> bool:
    """Whether it is a whole number above 0."""
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


@dataclass(frozen=True)
class StMemConfig:
    """A transformer over the patches of twelve leads, as published, and `width` channels of a token made of it.

    `rate_hz` is that of the ECG that it is given, from which the network's own is made. `patch` are samples of the
    network's rate, `patches` the most that it takes of a lead, `features` its width.
    """

    kind: str = "st-mem"
    rate_hz: float = 200.0
    width: int = 192
    patch: int = 75
    patches: int = 30
    features: int = 768
    depth: int = 12
    heads: int = 12
    mlp: int = 3072

    def __post_init__(self) -> None:
        names = ("width", "patch", "patches", "features", "depth", "heads", "mlp")
        check_sizes(self.kind, self.rate_hz, {name: getattr(self, name) for name in names}, {})
        if self.features % self.heads:
            raise InputError(
                f"an ECG encoder ({self.kind}) with {self.heads} heads of {self.features} features: a number of heads "
                "that divides the features is expected."
            )

    @property
    def stride(self) -> int:
        """Samples of the ECG that it is given per token."""
        return 8


@dataclass(frozen=True)
class EcgFounderConfig:
    """A convolutional network in stages, each at half the rate of the one before; those in `heard` make the tokens.

    `rate_hz` and `width` as in `StMemConfig`. `channels` and `blocks` of all published stages; those after the last one
    heard are checked when weights are read and then left out.
    """

    kind: str = "ecgfounder"
    rate_hz: float = 200.0
    width: int = 192
    first: int = 64
    channels: tuple[int, ...] = (64, 160, 160, 400, 400, 1024, 1024)
    blocks: tuple[int, ...] = (2, 2, 2, 3, 3, 4, 4)
    kernel: int = 16
    group_width: int = 16
    heard: tuple[int, ...] = (2, 3, 4)

    def __post_init__(self) -> None:
        sizes = {name: getattr(self, name) for name in ("width", "first", "kernel", "group_width")}
        check_sizes(self.kind, self.rate_hz, sizes, {"channels": self.channels, "blocks": self.blocks})
        stages = len(self.channels)
        if len(self.blocks) != stages or any(one % self.group_width or one < 2 for one in self.channels):
            raise InputError(
                f"an ECG encoder ({self.kind}) with channels {list(self.channels)} in groups of {self.group_width} and "
                f"blocks {list(self.blocks)}: whole groups, and as many numbers of blocks as of channels are expected."
            )
        heard = self.heard if isinstance(self.heard, tuple) else ()
        whole = all(is_size(one) or (one == 0 and isinstance(one, int)) for one in heard)
        if not heard or not whole or len(set(heard)) != len(heard) or max(heard) >= stages:
            raise InputError(
                f"an ECG encoder ({self.kind}) with heard {self.heard!r}: different stages from 0 to {stages - 1} are "
                "expected."
            )

    @property
    def stride(self) -> int:
        """Samples of the ECG that it is given per token."""
        return 8


PUBLISHED_ECG: dict[str, StMemConfig | EcgFounderConfig] = {"st-mem": StMemConfig(), "ecgfounder": EcgFounderConfig()}
LICENCES = {
    "st-mem": "ST-MEM's weights are licensed CC BY-NC 4.0 (name the authors, no commercial use), and so is what "
    "contains them",
    "ecgfounder": "ECGFounder's weights are licensed MIT",
}
