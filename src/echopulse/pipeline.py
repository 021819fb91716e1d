"""The main road: an ECG becomes a clip.

read → clean → find beats → encode ECG → fill in video tokens → decode pixels → write (→ measure)
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from echopulse.ecg import ECG, Beats, check_usable, clean_ecg, find_beats
from echopulse.ecg.stretch import clip_start
from echopulse.echo import Clip
from echopulse.errors import InputError
from echopulse.generation import Generation
from echopulse.measure import Measurement, Segmenter, measure_clip
from echopulse.measure.segmenter import load_segmenter
from echopulse.model.adapter_files import AdapterSpec, attach, named_with
from echopulse.model.checkpoint import load_config, load_weights
from echopulse.model.config import config_from_dict
from echopulse.model.ecg_config import LICENCES
from echopulse.model.ecg_encoder import Memory
from echopulse.model.ecg_input import in_places
from echopulse.model.familiarity import Familiarity, FamiliarityConfig, summary_of
from echopulse.model.generator import AGE_RANGE, EF_RANGE, NOBODY, Conditions, Generator, Patient
from echopulse.model.lora import Adapters
from echopulse.model.networks import NETWORKS, load_network
from echopulse.model.precision import mixed_precision
from echopulse.model.sampling import ORDERS, USUAL, OnStepEnd, Sampling, denoiser, fill_in
from echopulse.model.tokenizer import Tokenizer
from echopulse.model.types import Tokens
from echopulse.model.windows import (
    BEFORE_S,
    Window,
    heard_seconds,
    latent_times,
    picture_seconds,
    plan_windows,
    reference_at_most,
)
from echopulse.phantom import opening_frame
from echopulse.phantom.rhythm.leads import NOT_HEARD, lead_places
from echopulse.pictures import Picture, check_view, read_picture
from echopulse.prompt import with_prompt

if TYPE_CHECKING:
    from echopulse.live import Block

BUNDLED = Path(__file__).parent / "weights"
SHORTEST_S = 2.0
MOST_SAMPLES = 1000
CONTEXT_S = 10.0  # of ECG on either side of a clip: enough to judge rhythm and noise, little enough to be quick
STARTS = ("phantom", "generated")


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
    ):
        self.tokenizer, self.generator, self.segmenter = tokenizer.eval(), generator.eval(), segmenter.eval()
        self.name, self.adapters, self.familiarity = name, adapters or {}, familiarity

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
        familiarity = None
        if "familiarity" in config:  # models that were trained before there was one have none
            known = Familiarity(config_from_dict(FamiliarityConfig, config["familiarity"]))
            familiarity = load_weights(known, folder / "familiarity").to(device)
        return cls(**networks, segmenter=segmenter, name=name, adapters=attached, familiarity=familiarity)

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
        return next(self.generator.parameters()).device

    def __call__(
        self,
        ecg: ECG,
        *,
        image: Picture | None = None,
        images: Sequence[tuple[Picture, float]] = (),
        view: str | None = None,
        ef: float | None = None,
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
        same heart and view, each with its time in seconds from the first frame. view: a4c by default. age in years and
        sex ("f" or "m") of the patient. prompt: view, EF, age and sex in words, as "LVEF: 42, ViewType: 4CH, Age: 63",
        in place of those. fps: frames per second; where the weights have not learned that rate, frames at the nearest
        one that they have are blended. at_s: where in the ECG the clip begins; by default as late as 1.6 s after the
        electrodes have settled, so that the model hears what came before. any_image: take pictures that seem to show
        another view. on_step is called with the share done, 0..1, callback_on_step_end after every pass (see
        `sampling.fill_in`). Raises InputError when an argument is out of range or the ECG cannot be used.
        """
        view, ef, age, sex = with_prompt(prompt, view=view, ef=ef, age=age, sex=sex).values()
        patient = Patient(age, sex)
        self.check_options(view, ef, patient, seed, start, sampling)
        frames = self._check_length(ecg, seconds, fps)
        sampling = self.settled(sampling)
        rate = self.generator.config.nearest_rate(fps)
        self._check_images(images, image, (frames - 1) / fps, rate)
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
            first, origin, spacing, aimed = self.first_picture(picture, start, beats, begin, view, ef, patient, seed)
        model_frames = 1 + math.ceil((frames - 1) * rate / fps)
        heard = self.prepare_ecg(cleaned)
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
        said = {"view": view, "ef": ef, "age": age, "sex": sex}
        arguments = {**said, "seconds": seconds, "fps": fps, "start": start, **vars(sampling)}
        arguments["image"] = str(image) if isinstance(image, (str, Path)) else None
        arguments["images"] = [[str(one) if isinstance(one, (str, Path)) else None, at] for one, at in images]
        decided = {**cleaned.provenance, **{f"beats: {about}": how for about, how in beats.provenance.items()}}
        latent_s = begin + latent_times(torch.arange(len(ids)), fps=rate).double()
        return Generation(
            clip=clip,
            tokens=Tokens(ids.cpu(), latent_s),
            ecg=ecg,
            beats=beats,
            start_s=begin,
            ef_aimed=aimed,
            seed=seed,
            model={"name": self.name, **self.licences},
            arguments={**arguments, "at_s": at_s, "allow_flat": allow_flat},
            decided=decided,
            strangeness=self.strangeness(heard, begin - cleaned.start_s, frames / fps),
            seconds=clock.seconds,
            segmenter=self.segmenter,
        )

    def several(self, ecg: ECG, count: int, *, seed: int = 0, **options: Any) -> list[Generation]:
        """Clips of seeds `seed`, `seed + 1`, ...: what ECG and pictures leave open differs in them."""
        check_samples(count, seed)
        return [self(ecg, seed=seed + number, **options) for number in range(count)]

    def stream(self, pieces: Iterable[ECG], **options: Any) -> Iterator["Block"]:
        """Video block by block while the ECG arrives; see `live.stream`.

        >>> for block in pulse.stream(cut(read_ecg("watch.csv"), 0.5)):
        ...     show(block.frames)
        """
        from echopulse.live import stream

        return stream(self, pieces, **options)

    def clearest_leads(self, ecg: ECG) -> ECG:
        """What is heard of a cleaned ECG: its two clearest leads, or all that a published encoder knows by name."""
        from echopulse.ecg import signal_quality

        if self.generator.config.ecg.kind != "own":
            known = [i for i, place in enumerate(lead_places(ecg.leads)) if place != NOT_HEARD]
            return replace(ecg, samples=ecg.samples[known], leads=tuple(ecg.leads[i] for i in known))
        if len(ecg.leads) <= 2:
            return ecg
        best = np.sort(np.argsort(signal_quality(ecg))[-2:])
        return replace(ecg, samples=ecg.samples[best], leads=tuple(ecg.leads[i] for i in best))

    def prepare_ecg(self, ecg: ECG) -> Tensor:
        """A cleaned ECG at the encoder's rate, float32 [l, n] mV: its two clearest leads.

        For a published encoder they are the twelve standard ones in their places, NaN where absent.
        """
        config, ecg = self.generator.config.ecg, self.clearest_leads(ecg)
        samples = torch.from_numpy(np.ascontiguousarray(ecg.resampled(config.rate_hz).samples))
        return samples if config.kind == "own" else in_places(samples[None], lead_places(ecg.leads))[0]

    @torch.inference_mode()
    def generate_ids(
        self,
        ecg: Tensor | None,
        begin_s: float,
        frames: int,
        *,
        first: Tensor | None = None,
        later: Sequence[tuple[Tensor, float]] = (),
        view: str = "a4c",
        ef: float | None = None,
        patient: Patient = NOBODY,
        fps: float | None = None,
        seed: int = 0,
        sampling: Sampling = USUAL,
        on_step: Callable[[float], None] | None = None,
        callback_on_step_end: OnStepEnd = lambda *_: None,
    ) -> Tensor:
        """Tokens int64 [t', h', w'] of a clip that begins `begin_s` into `ecg` ([l, n] mV, None: no ECG at all).

        Works window by window: the first latent frame stays in sight as the reference, the last few of the window
        before are known, the rest is filled in. `first` uint8 [h, w] is the first picture; `later` are others, each
        with its time in seconds from the first, around which the heart stands still for a latent frame. `fps` is the
        model's own rate by default.
        """
        fps = fps or self.fps
        config, draw = self.generator.config, torch.Generator().manual_seed(seed)
        sampling = self.settled(sampling)
        latents = self.tokenizer.config.latent_frames(frames)
        ids = torch.zeros(latents, config.grid, config.grid, dtype=torch.long, device=self.device)
        given = torch.zeros(latents, dtype=torch.bool)
        if first is not None:
            ids[:1], given[0] = self.encode_picture(first), True
        for picture, at_s in later:
            place = self._place_of(at_s, fps)
            if given[place]:
                raise ValueError(f"two pictures for one latent frame, at {at_s:g} s")
            ids[place], given[place] = self.encode_picture(picture, still=True)[-1], True
        plans = list(plan_windows(latents, config.window))
        for number, plan in enumerate(plans):
            slots = list(plan.latents)
            known = given[slots] | (torch.arange(len(slots)) < plan.known)
            ids[slots] = self.fill_window(ids[slots], known, plan, ecg, begin_s, view, ef, patient, draw, sampling,
                                          callback_on_step_end, fps)  # fmt: skip
            if on_step:
                on_step((number + 1) / len(plans))
        return ids

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

    @torch.inference_mode()
    def encode_picture(self, picture: Tensor, *, still: bool = False) -> Tensor:
        """The tokens int64 [1, h', w'] of a first picture uint8 [h, w]; `still`: [2, h', w'] of one that stands on."""
        count = 1 + self.tokenizer.config.frames_per_latent * still
        with mixed_precision(self.device):
            frames = picture.to(self.device).float()[None, None].expand(-1, count, -1, -1) / 255
            return self.tokenizer.encode(frames)[0]

    def _place_of(self, at_s: float, fps: float) -> int:
        """The latent frame that shows what is `at_s` seconds after the first picture, at `fps` frames per second."""
        return self.tokenizer.config.latent_frames(1 + round(at_s * fps)) - 1

    @torch.inference_mode()
    def fill_window(
        self, ids: Tensor, known: Tensor, plan: Window, ecg: Tensor | None, begin_s: float, view: str, ef: float | None,
        patient: Patient, draw: torch.Generator, sampling: Sampling, on_step_end: OnStepEnd = lambda *_: None,
        fps: float | None = None,
    ) -> Tensor:  # fmt: skip
        """Tokens int64 [slots, h', w'] of one window, of which those `known`, bool [slots], are given in `ids`.

        The clip begins `begin_s` into `ecg` ([l, n] mV, None: no ECG at all), which holds what the window hears. `fps`
        is the model's own rate by default.
        """
        config, fps = self.generator.config, fps or self.fps
        times = latent_times(torch.tensor(plan.latents, device=self.device), fps=fps)[None]
        origin = 0.0 if plan.first else float(times[0, 1]) - 1.5 / fps
        times = (times - origin).clamp(min=-reference_at_most(fps))
        conditions = self._conditions(ecg, begin_s + origin, view, ef, patient, fps)
        hidden = ~known.to(self.device)[None, :, None, None, None].expand(1, *ids.shape, config.groups)
        far = torch.tensor([not plan.first], device=self.device)
        with mixed_precision(self.device):
            return fill_in(
                denoiser(self.generator, times, far), ids[None], hidden, conditions,
                groups=config.groups, group_bits=config.group_bits, guidance=sampling.guidance, **sampling.passes,
                temperature=sampling.temperature, min_p=sampling.min_p, order=sampling.order, generator=draw,
                on_step_end=on_step_end,
            )[0]  # fmt: skip

    @torch.inference_mode()
    def decode(self, ids: Tensor, grain_seed: int | None = None) -> np.ndarray:
        """Tokens int64 [t', h', w'] → frames uint8 [1 + 4(t' - 1), h, w]; with grain if there is a seed for it."""
        with mixed_precision(self.device):
            pictures = self.tokenizer.decode(ids[None], grain_seed)[0]
        return (pictures.float() * 255).round().to(torch.uint8).cpu().numpy()

    def settled(self, sampling: Sampling) -> Sampling:
        """With the guidance that suits the weights where none is asked for."""
        if sampling.guidance is not None:
            return sampling
        return replace(sampling, guidance=self.generator.config.usual_guidance)

    def _conditions(
        self, ecg: Tensor | None, at_s: float, view: str, ef: float | None, patient: Patient = NOBODY,
        fps: float | None = None,
    ) -> Conditions:  # fmt: skip
        config = self.generator.config
        return Conditions(
            self.hear(ecg, at_s, fps),
            ecg_given=torch.tensor([ecg is not None], device=self.device),
            ef=torch.tensor([torch.nan if ef is None else ef], device=self.device),
            view=torch.tensor([config.views.index(view)], device=self.device),
            age_years=torch.tensor([torch.nan if patient.age_years is None else patient.age_years], device=self.device),
            female=torch.tensor([patient.female], device=self.device),
        )

    @torch.inference_mode()
    def hear(self, ecg: Tensor | None, at_s: float, fps: float | None = None) -> Memory:
        """What the generator hears of an ECG ([l, n] mV; None: nothing) in a window that begins `at_s` into it.

        The window's pictures are at `fps` frames/s, by default at the model's own rate.
        """
        config, fps = self.generator.config, fps or self.fps
        rate = config.ecg.rate_hz
        span = heard_seconds(config.window, fps=fps)
        length = int(round(span * rate)) // 8 * 8
        window = torch.full((1, 1 if ecg is None else len(ecg), length), torch.nan)
        first = int(round((at_s - BEFORE_S) * rate))
        if ecg is not None:
            low, high = max(first, 0), min(first + length, ecg.shape[1])
            if high > low:
                window[0, :, low - first : high - first] = ecg[:, low:high]
        start = torch.tensor([first / rate - at_s], device=self.device)
        with mixed_precision(self.device):
            return self.generator.encode_ecg(window.to(self.device), start)

    def check_options(
        self, view: str, ef: float | None, patient: Patient, seed: int, start: str, sampling: Sampling
    ) -> None:
        """InputError for what this model cannot do, whatever the ECG."""
        views = self.generator.config.views
        if view not in views:
            raise InputError(f"--view {view}: this model knows {', '.join(views)}.")
        if ef is not None and not EF_RANGE[0] <= ef <= EF_RANGE[1]:
            raise InputError(f"--ef {ef:g}: an ejection fraction between {EF_RANGE[0]} and {EF_RANGE[1]} is expected.")
        if patient != NOBODY and not self.generator.config.patient:
            raise InputError("--age, --sex: this model has learned from neither; leave them out.")
        if patient.age_years is not None and not AGE_RANGE[0] <= patient.age_years <= AGE_RANGE[1]:
            low, high = AGE_RANGE
            raise InputError(f"--age {patient.age_years:g}: between {low:g} and {high:g} years are expected.")
        if patient.sex not in (None, "f", "m"):
            raise InputError(f"--sex {patient.sex}: f or m is expected.")
        if start not in STARTS:
            raise InputError(f"--start {start}: expected {' or '.join(STARTS)}.")
        check_seed(seed)
        if sampling.steps < 1:
            raise InputError(f"--steps {sampling.steps}: at least one pass per window is needed.")
        if sampling.corrections < 0 or sampling.opening < 0:
            raise InputError(f"{min(sampling.corrections, sampling.opening)} passes: none or more are expected.")
        if sampling.order not in ORDERS:
            raise InputError(f"--order {sampling.order}: expected {' or '.join(ORDERS)}.")
        if sampling.guidance is not None and not math.isfinite(sampling.guidance):
            raise InputError(f"--guidance {sampling.guidance:g}: a number is expected, 1 for none.")

    def _check_images(
        self, images: Sequence[tuple[Picture, float]], image: Picture | None, seconds: float, fps: float
    ) -> None:
        """InputError for a later picture that lies at no latent frame of its own within the clip."""
        if images and image is None:
            raise InputError("--image FILE@SECONDS: later pictures need a first one of the same heart, without a time.")
        taken = {0}
        for _, at in images:
            place = self._place_of(at, fps) if 0 < at <= seconds else 0
            if place in taken:
                apart = self.tokenizer.config.frames_per_latent / fps
                raise InputError(
                    f"--image at {at:g} s: times after 0 and up to {seconds:g} s that are {apart:g} s or more "
                    "apart are expected."
                )
            taken.add(place)

    def _check_length(self, ecg: ECG, seconds: float, fps: float) -> int:
        """How many frames a clip has; InputError for lengths and rates that cannot be."""
        if not 5 <= fps <= 100:
            raise InputError(f"--fps {fps:g}: between 5 and 100 frames per second are expected.")
        frames = round(seconds * fps) if math.isfinite(seconds) else 0
        if frames < 2:
            raise InputError(f"--seconds {seconds:g}: at least two frames are needed; ask for longer.")
        if ecg.duration_s < SHORTEST_S:
            raise InputError(
                f"{ecg.provenance.get('path', 'ECG')}: {ecg.duration_s:.1f} s of ECG at {ecg.rate_hz:g} Hz; at least "
                f"{SHORTEST_S:g} s are needed to find a rhythm. Export the whole recording."
            )
        return frames

    def read_picture(self, image: Picture, view: str, any_image: bool = False) -> Tensor:
        """A file's first picture, or the array itself, as uint8 [h, w]; of another view only if `any_image` will do."""
        picture = read_picture(image, self.tokenizer.config.size)
        if not any_image:
            check_view(picture, view, "image" if isinstance(image, np.ndarray) else str(image), self.segmenter)
        return picture

    def first_picture(
        self, image: Tensor | None, start: str, beats: Beats, begin_s: float, view: str,
        ef: float | None, patient: Patient, seed: int,
    ) -> tuple[Tensor | None, str, float | None, float | None]:  # fmt: skip
        """The first picture uint8 [h, w] or None, where it came from, its pixel spacing in cm or None, and the EF."""
        if image is not None:
            return image, "image", None, ef
        if start == "generated":
            return None, "generated", None, ef
        peaks = beats.r_peaks_s - begin_s
        size = self.tokenizer.config.size
        known = {} if patient.age_years is None else {"age_years": patient.age_years}
        known |= {} if patient.sex is None else {"female": patient.female}
        opening = opening_frame(
            peaks, view=view, ef=ef, seed=seed, size=size, fibrillating=beats.rhythm == "irregular", **known
        )
        aimed = opening.ef if len(peaks) else ef  # no label fits a heart that stands still
        return opening.frame, "phantom", opening.pixel_spacing_cm, aimed


def check_samples(count: int, seed: int) -> None:
    """InputError for a number of clips, or for the last one's seed, that cannot be."""
    if not 1 <= count <= MOST_SAMPLES:
        raise InputError(f"--samples {count}: from 1 to {MOST_SAMPLES} clips of an ECG are made at once.")
    check_seed(seed)
    check_seed(seed + count - 1)


def check_seed(seed: int) -> None:
    """InputError for a seed that no generator of random numbers takes."""
    if abs(seed) >= 2**63:
        raise InputError(f"--seed {seed}: a whole number of at most 18 digits is expected.")


def around(ecg: ECG, start_s: float, stop_s: float, context_s: float = CONTEXT_S) -> ECG:
    """The stretch of a recording that matters for a clip: `context_s` before and after it, as far as there is any."""
    skipped = math.floor(max(0.0, start_s - context_s - ecg.start_s) * ecg.rate_hz)  # whole samples: rounding adds none
    first = ecg.start_s + skipped / ecg.rate_hz
    last = min(ecg.start_s + ecg.duration_s, stop_s + context_s)
    return ecg.crop(first, last - first)


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
