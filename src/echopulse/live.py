"""Video while the ECG arrives: window by window, each as soon as all that it hears is there.

What a block shows does not depend on how the ECG was cut into pieces. Every window is cleaned by itself, with ten
seconds of the past, so nothing that comes later changes what has been shown, and memory stays level however long it
goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from echopulse.aiming import Aim, aim_at
from echopulse.ecg import ECG, check_usable, clean_ecg, find_beats
from echopulse.errors import InputError
from echopulse.filling import encode_picture, fill_window, settled
from echopulse.hearing import clearest_leads
from echopulse.measure.expected_ef import ExpectedEf
from echopulse.measure.steering import Steering
from echopulse.model.config import GeneratorConfig
from echopulse.model.generator import Generator, Patient
from echopulse.model.precision import mixed_precision
from echopulse.model.sampling import Sampling
from echopulse.model.tokenizer import Tokenizer
from echopulse.model.windows import BEFORE_S, OVERLAP, endless_windows, heard_seconds, latent_times
from echopulse.options import check_options
from echopulse.pictures import first_picture
from echopulse.prompt import with_prompt

WARM_S = 4.0  # of ECG, from which rhythm, polarity and leads are decided
CONTEXT_S = 10.0  # of the past that a window is cleaned with
SAME_CLOCK_S = 0.05  # pieces that begin so little off where the last one ended follow on it
LONGEST_GAP_S = 15.0  # that a stream survives
LIVE = Sampling(tries=1)  # whoever waits for a first block would wait for a second try of it too


class Pulse(Protocol):
    """What a stream asks of a model: an `EchoPulse`."""

    tokenizer: Tokenizer
    generator: Generator
    fps: float
    device: torch.device
    read_picture: Callable[..., Tensor]
    steering: Steering | None
    prepare_ecg: Callable[[ECG], Tensor]
    expect_ef: Callable[..., ExpectedEf | None]


@dataclass(frozen=True, eq=False)
class Block:
    """Some frames of a live clip: uint8 [n, h, w], with their times float64 [n] in seconds on the ECG's clock."""

    frames: np.ndarray
    times_s: np.ndarray


class Arriving:
    """The recent past of an ECG that comes in parts which follow each other to the sample."""

    def __init__(self, keep_s: float):
        self.keep_s, self.ecg, self.dropped, self.start_s = keep_s, None, 0, 0.0

    @property
    def end_s(self) -> float:
        """Up to where samples have come, in seconds of the ECG."""
        if self.ecg is None:
            return -np.inf
        return self.start_s + (self.dropped + self.ecg.samples.shape[1]) / self.ecg.rate_hz

    def add(self, part: ECG) -> None:
        """Takes the next part, and forgets what lies further back than is kept."""
        if self.ecg is None:
            self.ecg, self.start_s = part, part.start_s
            return
        samples = np.concatenate([self.ecg.samples, part.samples], 1)
        spare = max(0, samples.shape[1] - round(self.keep_s * self.ecg.rate_hz))
        self.dropped += spare
        self.ecg = replace(self.ecg, samples=samples[:, spare:])

    def cut(self, from_s: float, to_s: float) -> ECG:
        """The samples from `from_s` (or where the stream began) to before `to_s`, with their time."""
        rate = self.ecg.rate_hz
        first = max(0, int(np.ceil((from_s - self.start_s) * rate - 1e-6)))
        last = int(np.ceil((to_s - self.start_s) * rate - 1e-6))
        if first < self.dropped:
            raise ValueError(f"samples from {from_s:.3f} s on were asked for, which are kept no more")
        samples = self.ecg.samples[:, first - self.dropped : last - self.dropped]
        return replace(self.ecg, samples=samples, start_s=self.start_s + first / rate)


def cut(ecg: ECG, seconds: float) -> Iterator[ECG]:
    """A recording in pieces of so many seconds, as it would have arrived."""
    if not seconds > 0:
        raise InputError(f"pieces of {seconds:g} s: a length above 0 is expected.")
    step = max(1, round(seconds * ecg.rate_hz))
    for first in range(0, ecg.samples.shape[1], step):
        yield replace(ecg, samples=ecg.samples[:, first : first + step], start_s=ecg.start_s + first / ecg.rate_hz)


def in_order(pieces: Iterable[ECG]) -> Iterator[ECG]:
    """Pieces as parts of a second at most that follow each other to the sample; what is missing between them is NaN.

    Times are counted in samples from the first piece on: a device's clock that runs a little off, or is coarse, is not
    believed beyond that. InputError for a piece of other leads or another rate, one that begins before the last one
    ended, and one after a gap longer than `LONGEST_GAP_S`.
    """
    first, count, off_s = None, 0, 0.0  # samples so far, and how far the pieces' clock has run off
    for piece in pieces:
        if not np.isfinite(piece.start_s):
            raise InputError(f"a piece that begins at {piece.start_s} s; a time in seconds is expected.")
        first = first or piece
        if (piece.rate_hz, piece.leads) != (first.rate_hz, first.leads):
            raise InputError(
                f"a piece of {', '.join(piece.leads)} at {piece.rate_hz:g} Hz after one of {', '.join(first.leads)} at "
                f"{first.rate_hz:g} Hz; a stream keeps its leads and its rate."
            )
        end_s = first.start_s + count / first.rate_hz
        late = piece.start_s - end_s - off_s
        slack = max(SAME_CLOCK_S, 2 / first.rate_hz)
        if late < -slack:
            raise InputError(
                f"a piece that begins at {piece.start_s:.3f} s after one that ended at {end_s + off_s:.3f} s; pieces "
                "of a stream follow each other."
            )
        if late > LONGEST_GAP_S:
            raise InputError(f"{late:.0f} s of the ECG are missing at {end_s:.1f} s; begin a new stream.")
        if late > slack:
            missing = round(late * first.rate_hz)
            nothing = np.full((len(first.leads), missing), np.nan, np.float32)
            yield from cut(replace(first, samples=nothing, start_s=end_s), 1.0)
            count += missing
        else:
            off_s += late
        yield from cut(replace(piece, start_s=first.start_s + count / first.rate_hz), 1.0)
        count += piece.samples.shape[1]


def stream(
    pulse: Pulse,
    pieces: Iterable[ECG],
    *,
    image: str | Path | np.ndarray | None = None,
    view: str | None = None,
    ef: float | None = None,
    age: float | None = None,
    sex: str | None = None,
    prompt: str | None = None,
    seed: int = 0,
    start: str = "phantom",
    allow_flat: bool = False,
    any_image: bool = False,
    sampling: Sampling | None = None,
    fps: float | None = None,
) -> Iterator[Block]:
    """Blocks of video as the pieces of an ECG come in: the first 33 frames, then 20 at a time.

    The clip begins 1.6 s into the ECG, and its first block is there when 4 s have come; a later one when the ECG
    has come 0.4 s beyond its last frame. Arguments are those of a whole clip but for later pictures, length and
    where it begins; `sampling` makes the first window once by default; `fps` is the model's own rate by default,
    and has to be one that its weights have learned. The same pieces cut otherwise give the same frames. Raises
    InputError at once for impossible options, on the way for pieces that do not follow each other (see `in_order`)
    and for an ECG that cannot be used.
    """
    config, fps = pulse.generator.config, pulse.fps if fps is None else fps
    sampling = settled(sampling or LIVE, config)
    view, ef, age, sex = with_prompt(prompt, view=view, ef=ef, age=age, sex=sex).values()
    patient = Patient(age, sex)
    check_options(config, view, ef, patient, seed, start, sampling)
    check_rate(config, fps)
    picture = None if image is None else pulse.read_picture(image, view, any_image)

    def blocks() -> Iterator[Block]:
        arriving, filling = Arriving(CONTEXT_S + WARM_S + heard_s(pulse, fps)), None
        for part in in_order(pieces):
            arriving.add(part)
            if filling is None and arriving.end_s >= arriving.start_s + WARM_S:
                opening = _Opening.of(pulse, arriving, picture, view, ef, patient, seed, start, allow_flat)
                filling = _Filling(pulse, opening, view, patient, seed, sampling, fps)
            while filling is not None and arriving.end_s >= filling.needs_until_s:
                yield filling.next_block(arriving)

    return blocks()


def check_rate(config: GeneratorConfig, fps: float) -> None:
    """InputError for a frame rate that the weights have not learned: a stream does not blend frames."""
    if config.nearest_rate(fps) != fps:
        raise InputError(f"fps {fps:g}: a stream has the {config.known_rates} frames/s that this model has learned.")


def heard_s(pulse: Pulse, fps: float) -> float:
    """Seconds of ECG that one window hears."""
    return heard_seconds(pulse.generator.config.window, fps=fps)


class _Filling:
    """What a stream has shown so far, and its next window."""

    def __init__(
        self, pulse: Pulse, opening: _Opening, view: str, patient: Patient, seed: int, sampling: Sampling, fps: float
    ):
        self.pulse, self.opening, self.view, self.patient, self.sampling = pulse, opening, view, patient, sampling
        self.fps, self.aim = fps, Aim(opening.ef, pulse.steering)
        self.draw, self.plans = torch.Generator().manual_seed(seed), endless_windows(pulse.generator.config.window)
        self.plan = next(self.plans)
        self.reference = self.last = None  # tokens of the clip's first latent frame, and of those just made
        self.shown, self.waiting = 0, []
        self.decoded = pulse.tokenizer.decode_chunks(self._fed(), seed if sampling.grain else None)

    @property
    def needs_until_s(self) -> float:
        """Up to when the next window hears, in seconds of the ECG."""
        plan, begin_s = self.plan, self.opening.begin_s
        second = latent_times(torch.tensor(plan.latents[1]), fps=self.fps)
        origin = 0.0 if plan.first else float(second) - 1.5 / self.fps
        return begin_s + origin + heard_s(self.pulse, self.fps) - BEFORE_S

    def next_block(self, arriving: Arriving) -> Block:
        """Fills the next window in and draws what is new in it."""
        until_s = self.needs_until_s
        ecg = self.opening.clean(arriving.cut(until_s - heard_s(self.pulse, self.fps) - CONTEXT_S, until_s))
        self.waiting.append(self._fill(ecg)[None])
        with torch.inference_mode(), mixed_precision(self.pulse.device):
            pictures = next(self.decoded)[0].float() * 255
        frames = pictures.round().to(torch.uint8).cpu().numpy()
        times_s = self.opening.begin_s + (self.shown + np.arange(len(frames))) / self.fps
        self.shown += len(frames)
        return Block(frames, times_s)

    def _fill(self, ecg: ECG) -> Tensor:
        """The window's new tokens int64 [n, h', w'] from the ECG that it hears."""
        pulse, plan, opening, grid = self.pulse, self.plan, self.opening, self.pulse.generator.config.grid
        ids = torch.zeros(len(plan.latents), grid, grid, dtype=torch.long, device=pulse.device)
        known = torch.arange(len(plan.latents)) < plan.known
        if not plan.first:
            ids[: plan.known] = torch.cat([self.reference, self.last])
        elif opening.first is not None:
            ids[:1], known[0] = encode_picture(pulse.tokenizer, opening.first), True
        made = fill_window(
            pulse.generator, ids, known, plan, pulse.prepare_ecg(ecg), opening.begin_s - ecg.start_s, self.view,
            self.aim, self.patient, self.draw, self.sampling, fps=self.fps,
        )  # fmt: skip
        self.reference, self.last = made[:1] if plan.first else self.reference, made[-OVERLAP:]
        self.plan = next(self.plans)
        return made[plan.known :]

    def _fed(self) -> Iterator[Tensor]:
        while True:
            yield self.waiting.pop()


@dataclass(frozen=True, eq=False)
class _Opening:
    """What the first seconds decide for the whole stream."""

    begin_s: float
    first: Tensor | None
    ef: float | None
    leads: tuple[str, ...]
    turned: bool

    @classmethod
    def of(cls, pulse, arriving: Arriving, image, view, ef, patient, seed, start, allow_flat: bool) -> _Opening:
        heard = arriving.cut(arriving.start_s, arriving.start_s + WARM_S)
        check_usable(heard, allow_flat=allow_flat)
        cleaned = clean_ecg(heard)
        leads = clearest_leads(cleaned, pulse.generator.config.ecg).leads
        begin = arriving.start_s + BEFORE_S
        beats = find_beats(cleaned, allow_flat=allow_flat)
        size = pulse.tokenizer.config.size
        first, _, _, aimed = first_picture(image, start, beats, begin, view, ef, patient, seed, size)
        if image is not None and ef is None and len(beats.r_peaks_s):  # a heart that stands still has none
            ecg = pulse.prepare_ecg(cleaned)
            aimed = aim_at(pulse.expect_ef([(image, 0.0)], ecg, begin - cleaned.start_s, view))
        return cls(begin, first, aimed, leads, cleaned.provenance["polarity"].startswith("turned"))

    def clean(self, ecg: ECG) -> ECG:
        """A stretch with the leads and the polarity that were decided on."""
        rows = [ecg.leads.index(lead) for lead in self.leads]
        return clean_ecg(replace(ecg, samples=ecg.samples[rows], leads=self.leads), turned=self.turned)
