"""Which ejection fraction a clip is steered to where nobody says one, and how it is kept to it.

The generator hears an EF and comes near it; how near differs from heart to heart. So what has been filled in is read
back (`TokenVolumes`), and what the generator is told next is moved by what was missed, as a driver corrects the wheel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import NormalDist

import torch
from torch import Tensor

from echopulse.hearing import hear
from echopulse.measure import Segmenter
from echopulse.measure.ef_by_ecg import ef_by_ecg
from echopulse.measure.expected_ef import ExpectedEf, features_of, look_at_pictures
from echopulse.measure.steering import Steering
from echopulse.model.generator import EF_RANGE, Generator
from echopulse.model.networks import device_of
from echopulse.model.precision import mixed_precision
from echopulse.model.types import ids_to_bits
from echopulse.model.windows import latent_times

NEAR = 0.03  # of the EF aimed at: what is read so near it needs no second try
SURE = 0.08  # standard deviation of an EF that can be read at all: a line without beats tells none
STEP = 0.6  # of what was missed is corrected at first: what is read errs about as much as what is made
READS = 3  # what was learned from so many holds for the rest of the clip: a heart does not change from minute to minute


@torch.inference_mode()
def expect_ef(
    steering: Steering, segmenter: Segmenter, generator: Generator, pictures: Sequence[tuple[Tensor, float]],
    ecg: Tensor, begin_s: float, view: str,
) -> ExpectedEf:  # fmt: skip
    """The EF that pictures uint8 [h, w], each with its time in seconds from the first, and an ECG let expect, [1] each.

    The clip begins `begin_s` into `ecg`, [l, n] mV. Several pictures tell more: how much volumes differ between
    moments at which the ECG says how full the ventricle is. As much of the ECG is heard as at the rate that the
    steering has learned, whatever the clip's.
    """
    device = device_of(generator)
    place = torch.tensor([generator.config.views.index(view)], device=device)
    shown = torch.stack([picture for picture, _ in pictures]).to(device).float() / 255
    memories = [hear(generator, ecg, begin_s + at_s, steering.config.fps) for _, at_s in pictures]
    with mixed_precision(device):
        seen, log_volume = look_at_pictures(segmenter, shown)
        full = [generator.ecg_encoder.read_out(one, torch.zeros(1, 1, device=device))[..., 0] for one in memories]
    first = steering.expectation(features_of(seen[:1], log_volume[:1], memories[0], place))
    if len(pictures) < 2:
        return first
    return ef_by_ecg(log_volume[None], torch.cat(full, 1).float(), float(steering.picture_noise), first)


def aim_at(expected: ExpectedEf | None, quantile: float = 0.5) -> float | None:
    """The EF at this quantile of what is expected; None where nothing is, or a heart that stands still."""
    if expected is None:
        return None
    wanted = float(expected.mean) + NormalDist().inv_cdf(quantile) * float(expected.sd)
    return None if float(expected.mean) < EF_RANGE[0] else min(max(wanted, EF_RANGE[0]), EF_RANGE[1])


class Aim:
    """One clip's EF: what is aimed at and what the generator is told, which moves as the clip goes on.

    Without `steering` or a target the generator is told the target, or nothing, throughout.
    """

    def __init__(self, target: float | None, steering: Steering | None = None):
        self.target = self.told = target
        self.steering = steering if target is not None else None
        self.reads = 0

    def fill(
        self, make: Callable[[float | None], Tensor], read: Callable[[Tensor], float | None], tries: int
    ) -> Tensor:
        """One window: made once and again, at most `tries` times in all, until what is read of it is near the target.

        The nearest is kept; the next window is told what was learned. Where nothing can be read the first one is kept.
        """
        best, nearest = None, float("inf")
        for _ in range(max(1, tries)):
            made = make(self.told)
            seen = read(made) if self.steering is not None and self.reads < READS else None
            if seen is None:
                return made if best is None else best
            missed = self.target - seen
            if abs(missed) < nearest:
                best, nearest = made, abs(missed)
            self._correct(missed)
            if nearest <= NEAR:
                break
        return best

    def _correct(self, missed: float) -> None:
        self.reads += 1
        self.told = min(max(self.told + STEP / self.reads * missed, EF_RANGE[0]), EF_RANGE[1])


@torch.inference_mode()
def read_ef(
    steering: Steering, generator: Generator, ids: Tensor, latents: Sequence[int], ecg: Tensor, begin_s: float,
    fps: float,
) -> float | None:  # fmt: skip
    """The EF of tokens int64 [t, h, w] of latent frames that follow each other; None where it cannot be told.

    The clip begins `begin_s` into `ecg`, [l, n] mV.
    """
    device, per = device_of(generator), steering.config.frames
    index = torch.tensor(latents, device=device)
    times = latent_times(index, per, fps)[None]
    frames = (per * index[:, None] - per + 1 + torch.arange(per, device=device)).flatten()
    shown = frames >= 0
    origin = float(frames[shown][0]) / fps
    memory = hear(generator, ecg, begin_s + origin, fps)
    with mixed_precision(device):
        full = generator.ecg_encoder.read_out(memory, frames[shown][None] / fps - origin)[..., 0].float()
        volumes = steering.volumes(ids_to_bits(ids[None], steering.config.bits), times).flatten(1)[:, shown]
    found = ef_by_ecg(volumes, full, float(steering.token_noise))
    return float(found.mean) if float(found.sd) < SURE else None
