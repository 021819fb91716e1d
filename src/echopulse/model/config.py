"""What a model is made of: one frozen dataclass per network, written beside its weights as `config.json`."""

import math
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

from echopulse.errors import InputError
from echopulse.model.ecg_config import PUBLISHED_ECG, EcgFounderConfig, StMemConfig, check_sizes

VIEWS = ("a4c", "a2c")
QUANTIZERS = ("lfq", "fsq", "vq")
PATCHES = (16, 8)  # pixels along a token's side
DECODERS = ("plain", "motion")
MOST_BITS = 18  # of a token: more codes than a training run sees tokens
GUIDANCE = 3.0  # of weights that were trained without
SAME_RATE = 1e-4  # rates that differ by less are one: 33.333333 and 100/3
GROUP_BITS = (4, 9)  # the generator predicts each group of bits as one of 16 to 512 choices


@dataclass(frozen=True)
class TokenizerConfig:
    """A causal video tokenizer: 1 + 4k frames of `size`² pixels become k + 1 latent frames of `grid`² tokens.

    `widths` are the channels at 1/4, 1/8 and 1/`patch` of the picture's size; `depths` the residual blocks there. A
    token shows `patch`² pixels: with 8 in place of 16 there are four times as many. The "plain" `decoder` draws every
    latent frame from features of its own; "motion" bends the first one's along a displacement (see `motion`). With
    `grain` either also says how to draw the speckle that the tokens cannot hold (see `grain`).

    `quantizer` is "lfq" (2^`bits` codes; `entropy_group` bits are held jointly in its entropy), "fsq" (the product of
    `levels`) or "vq" (`codes` directions in `code_width` channels); the sizes of the others are ignored.
    """

    size: int = 128
    frames_per_latent: int = 4
    bits: int = 14
    widths: tuple[int, ...] = (96, 160, 288)
    depths: tuple[int, ...] = (2, 2, 3)
    fps: float = 25.0
    grain: bool = False
    quantizer: str = "lfq"
    entropy_group: int = 1
    levels: tuple[int, ...] = (8, 8, 8, 8, 4)
    codes: int = 16384
    code_width: int = 8
    patch: int = 16
    decoder: str = "plain"

    def __post_init__(self) -> None:
        if self.patch not in PATCHES:
            raise InputError(f"patch {self.patch}: a token shows 16 or 8 pixels along its side.")
        if self.decoder not in DECODERS:
            raise InputError(f"decoder {self.decoder!r}: expected one of {', '.join(DECODERS)}.")
        if self.quantizer not in QUANTIZERS:
            raise InputError(f"quantizer {self.quantizer!r}: expected one of {', '.join(QUANTIZERS)}.")
        if self.quantizer == "lfq" and (not 1 <= self.bits <= MOST_BITS or self.bits % self.entropy_group):
            raise InputError(
                f"lfq with {self.bits} bits, {self.entropy_group} of them jointly: at most {MOST_BITS} bits that "
                "divide into such groups are expected."
            )
        if self.quantizer == "fsq" and (not self.levels or min(self.levels) < 3 or self.codebook_size > 2**MOST_BITS):
            raise InputError(
                f"fsq with levels {','.join(map(str, self.levels))}: each at least 3 and a product of at most "
                f"{2**MOST_BITS} are expected, as in 8,8,8,8,4."
            )
        if self.quantizer == "vq" and not (2 <= self.codes <= 2**MOST_BITS and self.code_width >= 2):
            raise InputError(
                f"vq with {self.codes} codes in {self.code_width} channels: 2 to {2**MOST_BITS} codes in at least 2 "
                "channels are expected."
            )

    @property
    def codebook_size(self) -> int:
        """How many codes a token may be."""
        return {"lfq": 2**self.bits, "fsq": math.prod(self.levels), "vq": self.codes}[self.quantizer]

    @property
    def code_channels(self) -> int:
        """Channels between encoder and decoder."""
        return {"lfq": self.bits, "fsq": len(self.levels), "vq": self.code_width}[self.quantizer]

    @property
    def id_bits(self) -> int:
        """Binary digits of the largest id."""
        return (self.codebook_size - 1).bit_length()

    @property
    def grid(self) -> int:
        """Tokens along one side of a latent frame."""
        return self.size // self.patch

    @property
    def needs_motion(self) -> bool:
        """Whether it learns from clips that say how tissue moves."""
        return self.grain or self.decoder == "motion"

    def latent_frames(self, frames: int) -> int:
        """Latent frames that hold `frames` pictures (the first picture has a latent frame of its own)."""
        return 1 + -(-(frames - 1) // self.frames_per_latent)

    def latent_at(self, at_s: float, fps: float) -> int:
        """The latent frame that shows what is `at_s` seconds after the first picture, at `fps` frames per second."""
        return self.latent_frames(1 + round(at_s * fps)) - 1


@dataclass(frozen=True)
class EcgEncoderConfig:
    """A raw ECG at `rate_hz` becomes tokens at `rate_hz` / 8, each with its time in seconds."""

    rate_hz: float = 200.0
    width: int = 192
    depth: int = 3
    heads: int = 4
    stem: tuple[int, ...] = (48, 96)
    kind: ClassVar[str] = "own"

    def __post_init__(self) -> None:
        sizes = {"width": self.width, "depth": self.depth, "heads": self.heads}
        check_sizes(self.kind, self.rate_hz, sizes, {"stem": self.stem})
        if len(self.stem) != 2 or self.width % (2 * self.heads):
            raise InputError(
                f"an ECG encoder ({self.kind}) with stem {list(self.stem)} and {self.heads} heads of {self.width} "
                "channels: a stem of two widths, and heads of the same even width are expected."
            )

    @property
    def stride(self) -> int:
        """Samples per token."""
        return 8


@dataclass(frozen=True)
class GeneratorConfig:
    """A masked transformer over `window` latent frames of `grid`² tokens of `groups` × `group_bits` bits.

    `guidance` is the strength of the guidance that training built into the weights, so that one pass a step is enough;
    with 1 there is none in them, and sampling asks twice (`usual_guidance`). `patient`: whether age and sex steer it.
    `rates` are the lowest and the highest frame rate per second that the weights have learned; `latent_seconds` is how
    long a latent frame lasts at 25/s.
    """

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
    ecg: EcgEncoderConfig | StMemConfig | EcgFounderConfig = EcgEncoderConfig()
    guidance: float = 1.0
    patient: bool = False
    rates: tuple[float, float] = (25.0, 25.0)

    def __post_init__(self) -> None:
        if not isinstance(self.ecg, (EcgEncoderConfig, StMemConfig, EcgFounderConfig)):
            raise InputError(f"config.json: an ECG encoder of {self.ecg!r}; its sizes by name are expected.")
        if len(self.rates) != 2 or not 0 < self.rates[0] <= self.rates[1] < math.inf:
            raise InputError(
                f"rates {list(self.rates)}: the lowest and the highest frame rate per second that the generator has "
                "learned are expected, as in [16, 50]."
            )

    @property
    def known_rates(self) -> str:
        """The frame rates that the weights have learned, in words."""
        low, high = self.rates
        return f"{low:g}" if low == high else f"{low:g} to {high:g}"

    def nearest_rate(self, fps: float) -> float:
        """The frame rate at which the weights make a clip that is asked for at `fps`; `fps` where they know it."""
        nearest = min(max(fps, self.rates[0]), self.rates[1])
        return fps if math.isclose(nearest, fps, rel_tol=SAME_RATE) else nearest

    @property
    def usual_guidance(self) -> float:
        """What sampling adds where nothing else is asked for: nothing to weights that hold guidance already."""
        return GUIDANCE if self.guidance == 1.0 else 1.0

    @property
    def bits(self) -> int:
        """Bits of one token."""
        return self.groups * self.group_bits


def parse_quantizer(text: str, config: TokenizerConfig) -> TokenizerConfig:
    """The configuration with the quantizer that `text` names: lfq:14, fsq:8,8,8,8,4, vq:16384, or a name alone.

    Raises InputError where it is none, or of a size that cannot be.
    """
    name, _, size = text.partition(":")
    try:
        numbers = tuple(int(number) for number in size.split(",")) if size else ()
    except ValueError:
        numbers = (0, 0)
    if name not in QUANTIZERS or (name != "fsq" and len(numbers) > 1):
        raise InputError(f"--quantizer {text}: lfq:BITS, fsq:LEVEL,LEVEL,... or vq:CODES is expected, as in lfq:14.")
    if not numbers:
        return replace(config, quantizer=name)
    sizes = {"lfq": {"bits": numbers[0]}, "fsq": {"levels": numbers}, "vq": {"codes": numbers[0]}}
    return replace(config, quantizer=name, **sizes[name])


def fit_generator(config: GeneratorConfig, tokenizer: TokenizerConfig) -> GeneratorConfig:
    """The generator's configuration for the tokens of `tokenizer`: its grid, and groups that hold all bits of an id.

    The generator reads ids as equal groups of bits, so it takes codebooks of 2^n codes where n divides into groups of
    4 to 9 bits: as few groups as that allows. Raises InputError for every other codebook.
    """
    size, bits = tokenizer.codebook_size, tokenizer.id_bits
    few, most = GROUP_BITS
    groups = [count for count in range(config.groups, bits + 1) if bits % count == 0 and few <= bits // count <= most]
    if size != 2**bits or not groups:
        raise InputError(
            f"a tokenizer of {size} codes: the generator reads ids as equal groups of {few} to {most} bits, so "
            f"it needs 2^n codes with n = 8, 10, 12, 14, 15, 16 or 18 (fsq: levels that are powers of two)."
        )
    return replace(config, grid=tokenizer.grid, groups=groups[0], group_bits=bits // groups[0])


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
            patient=True,
        ),
    },
    "small": {"tokenizer": TokenizerConfig(), "generator": GeneratorConfig(patient=True)},
    "base": {
        "tokenizer": TokenizerConfig(widths=(128, 256, 384), depths=(2, 3, 4)),
        "generator": GeneratorConfig(
            width=384, depth=8, heads=6, ecg=EcgEncoderConfig(width=256, depth=4), patient=True
        ),
    },
}


def config_from_dict(kind: type, values: dict[str, Any]) -> Any:
    """The configuration of class `kind` from the JSON types of `dataclasses.asdict`.

    Raises InputError when a key or a kind of ECG encoder is unknown: weights of a newer version would otherwise load
    half-understood.
    """
    if not isinstance(values, dict):
        raise InputError(f"config.json: {values!r} for {kind.__name__}; its sizes by name are expected.")
    known = {field.name: field for field in fields(kind)}
    if unknown := sorted(set(values) - set(known)):
        raise InputError(f"config.json: unknown keys {unknown} for {kind.__name__}; expected {sorted(known)}.")
    plain = {}
    for name, value in values.items():
        if isinstance(value, dict):
            value = config_from_dict(_ecg_config_of(value), value)
        plain[name] = tuple(value) if isinstance(value, list) else value
    return kind(**plain)


def _ecg_config_of(values: dict[str, Any]) -> type:
    """Which class the ECG encoder's part of a generator's configuration belongs to; without a kind it is the own."""
    kinds = {"own": EcgEncoderConfig} | {kind: type(config) for kind, config in PUBLISHED_ECG.items()}
    kind = values.get("kind", "own")
    if not isinstance(kind, str) or kind not in kinds:
        raise InputError(f"config.json: an ECG encoder of kind {kind!r}; expected one of {', '.join(kinds)}.")
    return kinds[kind]
