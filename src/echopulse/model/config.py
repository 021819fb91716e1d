"""What a model is made of: one frozen dataclass per network, written beside its weights as `config.json`."""

from dataclasses import dataclass, fields
from typing import Any

from echopulse.errors import InputError

VIEWS = ("a4c", "a2c")


@dataclass(frozen=True)
class TokenizerConfig:
    """A causal video tokenizer: 1 + 4k frames of `size`² pixels become k + 1 latent frames of `grid`² tokens.

    `widths` are the channels at 1/4, 1/8 and 1/16 of the picture's size; `depths` the residual blocks there. With
    `grain` the decoder also says how to draw the speckle that the tokens cannot hold (see `grain`).
    """

    size: int = 128
    frames_per_latent: int = 4
    bits: int = 14
    widths: tuple[int, ...] = (96, 160, 288)
    depths: tuple[int, ...] = (2, 2, 3)
    fps: float = 25.0
    grain: bool = False

    @property
    def grid(self) -> int:
        """Tokens along one side of a latent frame."""
        return self.size // 16

    def latent_frames(self, frames: int) -> int:
        """Latent frames that hold `frames` pictures (the first picture has a latent frame of its own)."""
        return 1 + -(-(frames - 1) // self.frames_per_latent)


@dataclass(frozen=True)
class EcgEncoderConfig:
    """A raw ECG at `rate_hz` becomes tokens at `rate_hz` / 8, each with its time in seconds."""

    rate_hz: float = 200.0
    width: int = 192
    depth: int = 3
    heads: int = 4
    stem: tuple[int, ...] = (48, 96)

    @property
    def stride(self) -> int:
        """Samples per token."""
        return 8


@dataclass(frozen=True)
class GeneratorConfig:
    """A masked transformer over `window` latent frames of `grid`² tokens of `groups` × `group_bits` bits."""

    window: int = 9
    grid: int = 8
    groups: int = 2
    group_bits: int = 7
    latent_seconds: float = 0.16
    width: int = 256
    depth: int = 6
    heads: int = 4
    ecg_heads: int = 8
    mlp_ratio: float = 4.0
    views: tuple[str, ...] = VIEWS
    ecg: EcgEncoderConfig = EcgEncoderConfig()

    @property
    def bits(self) -> int:
        """Bits of one token."""
        return self.groups * self.group_bits


# One dial: the widths follow from the name, the learning rate and the batch from the training recipe.
PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {
        "tokenizer": TokenizerConfig(size=32, widths=(8, 12, 16), depths=(1, 1, 1)),
        "generator": GeneratorConfig(
            grid=2,
            width=32,
            depth=2,
            heads=2,
            ecg_heads=4,
            ecg=EcgEncoderConfig(width=32, depth=1, heads=2, stem=(8, 16)),
        ),
    },
    "small": {"tokenizer": TokenizerConfig(), "generator": GeneratorConfig()},
    "base": {
        "tokenizer": TokenizerConfig(widths=(128, 256, 384), depths=(2, 3, 4)),
        "generator": GeneratorConfig(width=384, depth=8, heads=6, ecg=EcgEncoderConfig(width=256, depth=4)),
    },
}


def config_from_dict(kind: type, values: dict[str, Any]) -> Any:
    """The configuration of class `kind` from the JSON types of `dataclasses.asdict`.

    Raises InputError when a key is unknown: weights of a newer version would otherwise load half-understood.
    """
    known = {field.name: field for field in fields(kind)}
    if unknown := sorted(set(values) - set(known)):
        raise InputError(f"config.json: unknown keys {unknown} for {kind.__name__}; expected {sorted(known)}.")
    plain = {}
    for name, value in values.items():
        if isinstance(value, dict):
            value = config_from_dict(EcgEncoderConfig, value)
        plain[name] = tuple(value) if isinstance(value, list) else value
    return kind(**plain)
