"""Tokens of a clip, filled in window by window, and the way from pictures to tokens and back."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from echopulse.aiming import Aim, read_ef
from echopulse.hearing import hear
from echopulse.measure.steering import Steering
from echopulse.model.config import GeneratorConfig
from echopulse.model.generator import NOBODY, Conditions, Generator, Patient
from echopulse.model.networks import device_of
from echopulse.model.precision import mixed_precision
from echopulse.model.sampling import USUAL, OnStepEnd, Sampling, denoiser, fill_in
from echopulse.model.tokenizer import Tokenizer
from echopulse.model.windows import Window, latent_times, plan_windows, reference_at_most


def settled(sampling: Sampling, config: GeneratorConfig) -> Sampling:
    """With the guidance that suits the weights where none is asked for."""
    return sampling if sampling.guidance is not None else replace(sampling, guidance=config.usual_guidance)


@torch.inference_mode()
def encode_picture(tokenizer: Tokenizer, picture: Tensor, *, still: bool = False) -> Tensor:
    """The tokens int64 [1, h', w'] of a first picture uint8 [h, w]; `still`: [2, h', w'] of one that stands on."""
    count = 1 + tokenizer.config.frames_per_latent * still
    with mixed_precision(device_of(tokenizer)):
        frames = picture.to(device_of(tokenizer)).float()[None, None].expand(-1, count, -1, -1) / 255
        return tokenizer.encode(frames)[0]


@torch.inference_mode()
def decode(tokenizer: Tokenizer, ids: Tensor, grain_seed: int | None = None) -> np.ndarray:
    """Tokens int64 [t', h', w'] → frames uint8 [1 + 4(t' - 1), h, w]; with grain if there is a seed for it."""
    with mixed_precision(device_of(tokenizer)):
        pictures = tokenizer.decode(ids[None], grain_seed)[0]
    return (pictures.float() * 255).round().to(torch.uint8).cpu().numpy()


@torch.inference_mode()
def generate_ids(
    tokenizer: Tokenizer,
    generator: Generator,
    ecg: Tensor | None,
    begin_s: float,
    frames: int,
    *,
    fps: float,
    first: Tensor | None = None,
    later: Sequence[tuple[Tensor, float]] = (),
    view: str = "a4c",
    ef: float | None = None,
    patient: Patient = NOBODY,
    seed: int = 0,
    sampling: Sampling = USUAL,
    steering: Steering | None = None,
    on_step: Callable[[float], None] | None = None,
    callback_on_step_end: OnStepEnd = lambda *_: None,
) -> Tensor:
    """Tokens int64 [t', h', w'] of a clip that begins `begin_s` into `ecg` ([l, n] mV, None: no ECG at all).

    Works window by window: the first latent frame stays in sight as the reference, the last few of the window before
    are known, the rest is filled in. `first` uint8 [h, w] is the first picture; `later` are others, each with its time
    in seconds from the first, around which the heart stands still for a latent frame. `fps` is one of the rates that
    the generator has learned. With `steering` what is filled in is read and kept to the `ef`.
    """
    config, draw = generator.config, torch.Generator().manual_seed(seed)
    sampling = settled(sampling, config)
    latents = tokenizer.config.latent_frames(frames)
    ids = torch.zeros(latents, config.grid, config.grid, dtype=torch.long, device=device_of(generator))
    given = torch.zeros(latents, dtype=torch.bool)
    if first is not None:
        ids[:1], given[0] = encode_picture(tokenizer, first), True
    for picture, at_s in later:
        place = tokenizer.config.latent_at(at_s, fps)
        if given[place]:
            raise ValueError(f"two pictures for one latent frame, at {at_s:g} s")
        ids[place], given[place] = encode_picture(tokenizer, picture, still=True)[-1], True
    plans, aim = list(plan_windows(latents, config.window)), Aim(ef, steering if ecg is not None else None)
    for number, plan in enumerate(plans):
        slots = list(plan.latents)
        known = given[slots] | (torch.arange(len(slots)) < plan.known)
        ids[slots] = fill_window(generator, ids[slots], known, plan, ecg, begin_s, view, aim, patient, draw, sampling,
                                 callback_on_step_end, fps=fps)  # fmt: skip
        if on_step:
            on_step((number + 1) / len(plans))
    return ids


@torch.inference_mode()
def fill_window(
    generator: Generator, ids: Tensor, known: Tensor, plan: Window, ecg: Tensor | None, begin_s: float, view: str,
    aim: Aim, patient: Patient, draw: torch.Generator, sampling: Sampling,
    on_step_end: OnStepEnd = lambda *_: None, *, fps: float,
) -> Tensor:  # fmt: skip
    """Tokens int64 [slots, h', w'] of one window, of which those `known`, bool [slots], are given in `ids`.

    The clip begins `begin_s` into `ecg` ([l, n] mV, None: no ECG at all), which holds what the window hears. `sampling`
    says its guidance (see `settled`). `aim` holds the clip to its EF: the first window may be made again.
    """
    config, device = generator.config, device_of(generator)
    times = latent_times(torch.tensor(plan.latents, device=device), fps=fps)[None]
    origin = 0.0 if plan.first else float(times[0, 1]) - 1.5 / fps
    times = (times - origin).clamp(min=-reference_at_most(fps))
    conditions = conditions_of(generator, ecg, begin_s + origin, view, patient, fps)
    hidden = ~known.to(device)[None, :, None, None, None].expand(1, *ids.shape, config.groups)
    far = torch.tensor([not plan.first], device=device)
    denoise, own = denoiser(generator, times, far), slice(not plan.first, None)  # of other windows not the reference

    def make(told: float | None) -> Tensor:
        steered = replace(conditions, ef=torch.tensor([torch.nan if told is None else told], device=device))
        with mixed_precision(device):
            return fill_in(
                denoise, ids[None], hidden, steered,
                groups=config.groups, group_bits=config.group_bits, guidance=sampling.guidance, **sampling.passes,
                temperature=sampling.temperature, min_p=sampling.min_p, order=sampling.order, generator=draw,
                on_step_end=on_step_end,
            )[0]  # fmt: skip

    def read(made: Tensor) -> float | None:
        return read_ef(aim.steering, generator, made[own], plan.latents[own], ecg, begin_s, fps)

    return aim.fill(make, read, sampling.tries if plan.first else 1)


def conditions_of(
    generator: Generator, ecg: Tensor | None, at_s: float, view: str, patient: Patient, fps: float
) -> Conditions:
    """What steers a window that begins `at_s` into `ecg`, as a batch of one; without an EF."""
    device = device_of(generator)
    return Conditions(
        hear(generator, ecg, at_s, fps),
        ecg_given=torch.tensor([ecg is not None], device=device),
        ef=torch.tensor([torch.nan], device=device),
        view=torch.tensor([generator.config.views.index(view)], device=device),
        age_years=torch.tensor([torch.nan if patient.age_years is None else patient.age_years], device=device),
        female=torch.tensor([patient.female], device=device),
    )
