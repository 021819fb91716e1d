"""The main road: an ECG becomes a clip.

read → clean → find beats → encode ECG → fill in video tokens → decode pixels → write (→ measure)
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from echopulse import aiming, filling, hearing
from echopulse.ecg import ECG, check_usable, clean_ecg, find_beats
from echopulse.ecg.stretch import around, clip_start
from echopulse.echo import Clip
from echopulse.errors import InputError
from echopulse.generation import Generation
from echopulse.measure import Measurement, Segmenter, measure_clip
from echopulse.measure.expected_ef import ExpectedEf
from echopulse.measure.segmenter import load_segmenter
from echopulse.measure.steering import Steering, SteeringConfig
from echopulse.model.adapter_files import AdapterSpec, attach, named_with
from echopulse.model.checkpoint import load_config, load_weights
from echopulse.model.config import config_from_dict
from echopulse.model.ecg_config import LICENCES
from echopulse.model.ecg_encoder import Memory
from echopulse.model.familiarity import Familiarity, FamiliarityConfig, summary_of
from echopulse.model.generator import Generator, Patient
from echopulse.model.lora import Adapters
from echopulse.model.networks import NETWORKS, device_of, load_network
from echopulse.model.sampling import USUAL, OnStepEnd, Sampling
from echopulse.model.tokenizer import Tokenizer
from echopulse.model.types import Tokens
from echopulse.model.windows import latent_times, picture_seconds
from echopulse.options import check_images, check_length, check_options, check_quantile, check_samples
from echopulse.pictures import Picture, check_view, first_picture, read_picture
from echopulse.prompt import with_prompt

if TYPE_CHECKING:
    from echopulse.live import Block

BUNDLED = Path(__file__).parent / "weights"
BESIDE = {"familiarity": (FamiliarityConfig, Familiarity), "steering": (SteeringConfig, Steering)}


class EchoPulse:
    """Tokenizer, generator and measurer, ready to use.

    >>> pulse = EchoPulse.from_pretrained()
    >>> clip = pulse(read_ecg("watch.csv"), seconds=3, seed=0)
    >>> clip.save("clip.mp4")
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        generator: Generator,
        segmenter: Segmenter,
        *,
        name: str = "unnamed",
        adapters: dict[str, Adapters] | None = None,
        familiarity: Familiarity | None = None,
        steering: Steering | None = None,
    ):
        self.tokenizer, self.generator, self.segmenter = tokenizer.eval(), generator.eval(), segmenter.eval()
        self.name, self.adapters, self.familiarity = name, adapters or {}, familiarity
        self.steering = steering.eval() if steering else None

    @classmethod
    def from_pretrained(
        cls, folder: str | Path | None = None, *, adapters: Sequence[AdapterSpec] = (), device: str = "cpu"
    ) -> "EchoPulse":
        """The bundled weights, or those in a folder that training has written; with adapters merged into them.

        An adapter is a folder, or (folder, weight) to have more or less of it. `adapters` of the result holds them by
        network: `with pulse.adapters["tokenizer"].off(): ...` works without them. Raises InputError when the folder
        lacks config.json or a network's weights, and for an adapter that was made for another model.
        """
        folder = Path(folder) if folder else BUNDLED
        config = load_config(folder)
        whole = ("tokenizer", "generator", "measurer")
        if missing := [part for part in whole if part not in config]:
            raise InputError(f"{folder}/config.json: no {', '.join(missing)}; a whole model has {', '.join(whole)}.")
        networks = {name: load_network(folder, name).to(device) for name in NETWORKS}
        read, given = networks["generator"].config, networks["tokenizer"].config
        if (2**read.bits, read.grid) != (given.codebook_size, given.grid):
            raise InputError(
                f"{folder}/config.json: the generator reads {2**read.bits} codes on a grid of {read.grid}², the "
                f"tokenizer gives {given.codebook_size} on {given.grid}²; give two that were trained together."
            )
        segmenter = load_segmenter(folder).to(device)
        attached = attach(networks, adapters)
        name = named_with(config.get("name", folder.name), adapters)
        beside: dict[str, Any] = {}  # models that were trained before there were these have none
        for part, (kind, network) in BESIDE.items():
            if part in config:
                made = network(config_from_dict(kind, config[part]))
                beside[part] = load_weights(made, folder / part).to(device)
        return cls(**networks, segmenter=segmenter, name=name, adapters=attached, **beside)

    @property
    def licences(self) -> dict[str, str]:
        """What the weights of others in this model ask of its users, by the part that they are; empty without any."""
        kind = self.generator.config.ecg.kind
        return {"ecg_encoder": LICENCES[kind]} if kind in LICENCES else {}

    def measure(self, clip: Clip) -> Measurement:
        """Outline, volumes, EF and rate of any apical clip."""
        return measure_clip(clip, self.segmenter)

    @property
    def fps(self) -> float:
        """Frames per second that the model works at by itself: the tokenizer's, or the nearest that it can make."""
        return self.generator.config.nearest_rate(self.tokenizer.config.fps)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return device_of(self.generator)

    def __call__(
        self,
        ecg: ECG,
        *,
        image: Picture | None = None,
        images: Sequence[tuple[Picture, float]] = (),
        view: str | None = None,
        ef: float | None = None,
        ef_quantile: float = 0.5,
        age: float | None = None,
        sex: str | None = None,
        prompt: str | None = None,
        seconds: float = 3.0,
        fps: float = 25.0,
        seed: int = 0,
        start: str = "phantom",
        at_s: float | None = None,
        allow_flat: bool = False,
        any_image: bool = False,
        sampling: Sampling = USUAL,
        on_step: Callable[[float], None] | None = None,
        callback_on_step_end: OnStepEnd = lambda *_: None,
    ) -> Generation:
        """A clip of `seconds` that beats as `ecg` says.

        image: the first picture, a file or uint8 [h, w]; without it the first picture is a simulated heart's in the
        phase that the ECG is in (start="phantom") or the generator's own (start="generated"). images: later ones of the
        same heart and view, each with its time in seconds from the first frame. view: a4c by default. ef: to aim at, a
        fraction; without it the one that pictures and ECG let expect, where weights know how, at `ef_quantile` of what
        is likely. age in years and sex ("f" or "m") of the patient. prompt: view, EF, age and sex in words, as "LVEF:
        42, ViewType: 4CH, Age: 63", in place of those. fps: frames per second; where the weights have not learned that
        rate, frames at the nearest one that they have are blended. at_s: where in the ECG the clip begins; by default
        as late as 1.6 s after the electrodes have settled, so that the model hears what came before. any_image: take
        pictures that seem to show another view. on_step is called with the share done, 0..1, callback_on_step_end after
        every pass (see `sampling.fill_in`). Raises InputError when an argument is out of range or the ECG cannot be
        used.
        """
        view, ef, age, sex = with_prompt(prompt, view=view, ef=ef, age=age, sex=sex).values()
        patient = Patient(age, sex)
        check_options(self.generator.config, view, ef, patient, seed, start, sampling)
        check_quantile(ef_quantile)
        frames = check_length(ecg, seconds, fps)
        sampling = filling.settled(sampling, self.generator.config)
        rate = self.generator.config.nearest_rate(fps)
        check_images(images, image, (frames - 1) / fps, rate, self.tokenizer.config)
        picture = None if image is None else self.read_picture(image, view, any_image)
        later = [(self.read_picture(one, view, any_image), at) for one, at in images]
        clock = Stopwatch()
        with clock("clean"):
            check_usable(ecg, allow_flat=allow_flat)
            begin = clip_start(ecg, seconds, at_s)
            cleaned = clean_ecg(around(ecg, begin, begin + seconds))
        with clock("beats"):
            beats = find_beats(cleaned, allow_flat=allow_flat)
        with clock("first_image"):
            size = self.tokenizer.config.size
            first, origin, spacing, aimed = first_picture(picture, start, beats, begin, view, ef, patient, seed, size)
        model_frames = frames if rate == fps else 1 + math.ceil((frames - 1) * rate / fps - 1e-9)
        heard, expected = self.prepare_ecg(cleaned), None
        if picture is not None and ef is None and len(beats.r_peaks_s):  # a heart that stands still has none
            with clock("expect"):
                expected = self.expect_ef([(picture, 0.0), *later], heard, begin - cleaned.start_s, view)
                aimed = aiming.aim_at(expected, ef_quantile)
        with clock("fill_in"):
            ids = self.generate_ids(
                heard, begin - cleaned.start_s, model_frames,
                first=first, later=later, view=view, ef=aimed, patient=patient, fps=rate, seed=seed,
                sampling=sampling, on_step=on_step, callback_on_step_end=callback_on_step_end,
            )  # fmt: skip
        with clock("decode"):
            pictures = self.decode(ids, grain_seed=seed if sampling.grain else None)[:model_frames]
            pictures = resample_frames(pictures, rate, fps, frames)
        clip = Clip(
            frames=pictures,
            times_s=begin + np.arange(frames) / fps,
            view=view,
            pixel_spacing_cm=spacing,
            sector=None,
            synthetic=True,
            provenance={
                "model": self.name,
                "first_image": origin,
                "rate": "native" if rate == fps else f"blended from {rate:g} frames/s",
            },
        )
        said = {"view": view, "ef": ef, "ef_quantile": ef_quantile, "age": age, "sex": sex}
        arguments = {**said, "seconds": seconds, "fps": fps, "start": start, **vars(sampling)}
        arguments["any_image"] = any_image
        arguments["image"] = str(image) if isinstance(image, (str, Path)) else None
        arguments["images"] = [[str(one) if isinstance(one, (str, Path)) else None, at] for one, at in images]
        decided = {**cleaned.provenance, **{f"beats: {about}": how for about, how in beats.provenance.items()}}
        decided |= hearing.leads_heard(cleaned, self.generator.config.ecg)
        latent_s = begin + latent_times(torch.arange(len(ids)), fps=rate).double()
        return Generation(
            clip=clip,
            tokens=Tokens(ids.cpu(), latent_s),
            ecg=ecg,
            beats=beats,
            start_s=begin,
            ef_aimed=aimed,
            ef_expected=None if expected is None else (float(expected.mean), float(expected.sd)),
            seed=seed,
            model={"name": self.name, "licences": self.licences},
            arguments={**arguments, "at_s": at_s, "allow_flat": allow_flat},
            decided=decided,
            strangeness=self.strangeness(heard, begin - cleaned.start_s, frames / fps),
            seconds=clock.seconds,
            segmenter=self.segmenter,
        )

    def several(self, ecg: ECG, count: int, *, seed: int = 0, **options: Any) -> list[Generation]:
        """Clips of seeds `seed`, `seed + 1`, ...: what ECG and pictures leave open differs in them.

        Their EFs are aimed evenly over what is likely where none is given.
        """
        check_samples(count, seed)
        return [
            self(ecg, seed=seed + number, ef_quantile=(number + 0.5) / count, **options) for number in range(count)
        ]

    def stream(self, pieces: Iterable[ECG], **options: Any) -> Iterator["Block"]:
        """Video block by block while the ECG arrives; see `live.stream`.

        >>> for block in pulse.stream(cut(read_ecg("watch.csv"), 0.5)):
        ...     show(block.frames)
        """
        from echopulse.live import stream

        return stream(self, pieces, **options)

    def prepare_ecg(self, ecg: ECG) -> Tensor:
        """A cleaned ECG as it is heard, float32 [l, n] mV at the encoder's rate; see `hearing.prepare_ecg`."""
        return hearing.prepare_ecg(ecg, self.generator.config.ecg)

    def hear(self, ecg: Tensor | None, at_s: float, fps: float | None = None) -> Memory:
        """What the generator hears of an ECG ([l, n] mV; None: nothing) in a window that begins `at_s` into it.

        The window's pictures are at `fps` frames/s, by default at the model's own rate.
        """
        return hearing.hear(self.generator, ecg, at_s, fps or self.fps)

    def generate_ids(
        self, ecg: Tensor | None, begin_s: float, frames: int, *, fps: float | None = None, **options: Any
    ) -> Tensor:
        """Tokens int64 [t', h', w'] of a clip that begins `begin_s` into `ecg` ([l, n] mV, None: no ECG at all).

        `fps` is the model's own rate by default; other options are those of `filling.generate_ids`.
        """
        return filling.generate_ids(
            self.tokenizer, self.generator, ecg, begin_s, frames, fps=fps or self.fps, steering=self.steering, **options
        )

    def expect_ef(
        self, pictures: Sequence[tuple[Tensor, float]], ecg: Tensor, begin_s: float, view: str
    ) -> ExpectedEf | None:
        """The EF that pictures and an ECG ([l, n] mV) let expect, see `aiming.expect_ef`; None without the weights."""
        if self.steering is None:
            return None
        return aiming.expect_ef(self.steering, self.segmenter, self.generator, pictures, ecg, begin_s, view)

    def encode_picture(self, picture: Tensor, *, still: bool = False) -> Tensor:
        """The tokens int64 [1, h', w'] of a first picture uint8 [h, w]; `still`: [2, h', w'] of one that stands on."""
        return filling.encode_picture(self.tokenizer, picture, still=still)

    def decode(self, ids: Tensor, grain_seed: int | None = None) -> np.ndarray:
        """Tokens int64 [t', h', w'] → frames uint8 [1 + 4(t' - 1), h, w]; with grain if there is a seed for it."""
        return filling.decode(self.tokenizer, ids, grain_seed)

    @torch.inference_mode()
    def strangeness(self, ecg: Tensor, begin_s: float, seconds: float) -> float | None:
        """How unlike all that the generator has heard the ECG [l, n] mV of a clip is, median over its windows.

        Above 1 it is stranger than 99 in 100 simulated ones. None where the weights do not say what they have heard.
        The windows are as long as at the model's own rate, whatever the clip's: what is usual was found with those.
        """
        if self.familiarity is None:
            return None
        step_s = picture_seconds(self.generator.config.window, fps=self.fps)
        starts = np.arange(0, max(seconds - step_s, 0) + 1e-6, step_s)
        memories = [self.hear(ecg, begin_s + at) for at in starts]
        return float(torch.cat([self.familiarity(summary_of(memory)) for memory in memories]).median())

    def read_picture(self, image: Picture, view: str, any_image: bool = False) -> Tensor:
        """A file's first picture, or the array itself, as uint8 [h, w]; of another view only if `any_image` will do."""
        picture = read_picture(image, self.tokenizer.config.size)
        if not any_image:
            name = "image" if isinstance(image, np.ndarray) else str(image)
            check_view(picture, view, name, self.segmenter, self.generator.config.views)
        return picture


class Stopwatch:
    """Seconds spent in each named stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.seconds[stage] = round(time.perf_counter() - started, 3)


def resample_frames(pictures: np.ndarray, rate: float, wanted: float, count: int) -> np.ndarray:
    """`count` frames at `wanted` per second from uint8 [t, h, w] at `rate`, blended linearly between neighbours."""
    if rate == wanted:
        return pictures[:count]
    place = np.clip(np.arange(count) * rate / wanted, 0, len(pictures) - 1)
    low = np.minimum(place.astype(int), len(pictures) - 2)
    part = (place - low)[:, None, None]
    return np.round(pictures[low] * (1 - part) + pictures[low + 1] * part).astype(np.uint8)
