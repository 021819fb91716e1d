"""The three things that are put to the test, behind one face whoever made them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from echopulse.aiming import aim_at
from echopulse.ecg.quality import FLAT_MV
from echopulse.echo import Clip
from echopulse.evaluate.hearts import Heart
from echopulse.evaluate.together import Done, Piece, together
from echopulse.measure import Measurement
from echopulse.model.ecg_input import as_heard
from echopulse.model.precision import mixed_precision

if TYPE_CHECKING:
    from echopulse.pipeline import EchoPulse


@dataclass(frozen=True)
class Bench:
    """Generator, tokenizer and measurer; an oracle may stand in for each.

    generate(ecg [l, n] or None, begin_s, frames, leads=, first=, view=, ef=, seed=) → uint8 [t, h, w], where `leads`
    are the names of the ECG's, None where they have none; reconstruct(frames) → the same after encoding and decoding,
    None where there is no tokenizer; measure(clip) → Measurement. `workers` is how many clips may be in the making at
    the same time.
    """

    generate: Callable[..., np.ndarray]
    reconstruct: Callable[[Tensor], np.ndarray] | None
    measure: Callable[[Clip], Measurement]
    workers: int = 1

    @classmethod
    def of(cls, pulse: EchoPulse, workers: int = 1) -> Bench:
        """A model of ours, by its inner road: the ECG as it is, no opening picture but the one that is given."""

        def generate(ecg, begin_s, frames, *, leads=None, seed=0, grain=False, first=None, ef=None, **conditions):
            heard = None if ecg is None else as_heard(ecg, leads, pulse.generator.config.ecg.kind)
            if ef is None and first is not None and ecg is not None and _beats(ecg):  # as a whole clip does
                pictures = [(first, 0.0), *conditions.get("later", ())]
                ef = aim_at(pulse.expect_ef(pictures, heard, begin_s, conditions["view"]))
            ids = pulse.generate_ids(heard, begin_s, frames, seed=seed, first=first, ef=ef, **conditions)
            return pulse.decode(ids, grain_seed=seed if grain else None)[:frames]

        @torch.inference_mode()
        def reconstruct(frames):
            missing = -(len(frames) - 1) % pulse.tokenizer.config.frames_per_latent  # the last one is held
            whole = torch.cat([frames, frames[-1:].expand(missing, -1, -1)])
            with mixed_precision(pulse.device):
                ids = pulse.tokenizer.encode(whole[None].to(pulse.device).float() / 255)
            return pulse.decode(ids[0])[: len(frames)]

        return cls(generate, reconstruct, pulse.measure, workers if pulse.device.type == "cpu" else 1)

    def show(
        self, heart: Heart, ecg: Tensor | None, *, leads: Sequence[str] | None = None, shift_s=0.0, image: bool = True,
        ef=None,
    ) -> np.ndarray:  # fmt: skip
        """A clip of this heart's length that follows `ecg` (moved `shift_s` later), uint8 [t, h, w].

        `leads` are the names of the ECG's, by default those of the heart's own. With `image` it opens with the heart's
        own first picture.
        """
        return self.generate(
            ecg, -heart.ecg_start_s - shift_s, len(heart.times_s), leads=leads or heart.leads,
            first=heart.frames[0] if image else None, view=heart.view, ef=ef, seed=heart.seed,
        )  # fmt: skip

    def beat(self, heart: Heart, ecg: Tensor | None, *, image: bool = True, **options) -> Measurement:
        """What `show` gives, measured; in ml where the first picture sets the scale."""
        return self.look(heart, self.show(heart, ecg, image=image, **options), heart.spacing_cm if image else None)

    def look(self, heart: Heart, frames: np.ndarray, spacing_cm: float | None) -> Measurement:
        """What the measurer sees in `frames` at the heart's times."""
        return self.measure(Clip(frames, heart.times_s, heart.view, spacing_cm, synthetic=True))

    def each(self, work: Callable[[Piece], Done], pieces: Sequence[Piece], on_done=lambda _: None) -> list[Done]:
        """`work` of every piece, in their order, as many at the same time as this bench has workers."""
        return together(work, pieces, self.workers, on_done)


def _beats(ecg: Tensor) -> bool:
    """Whether an ECG [l, n] mV is more than a flat line, as far as can be told without looking for beats."""
    known = ecg[ecg.isfinite()]
    return len(known) > 0 and float(known.max() - known.min()) >= FLAT_MV
