"""Published ECG networks that a generator may hear through: what each is made of, and under which licence it comes.

The sizes are those of the published weights. ST-MEM: github.com/bakqui/ST-MEM (Na et al. 2024). ECGFounder: the call
in finetune_model.py of github.com/PKUDigitalHealth/ECGFounder (Li et al. 2024), and a public listing of the names and
shapes in its checkpoint (src/model/checkpoint_inspect.txt of github.com/GhIrani33/ecgfounder-edge-cds).
"""

from dataclasses import dataclass


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
