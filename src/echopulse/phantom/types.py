"""The nouns of the simulated heart: its rhythm, its motion and the truth that comes with every clip."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Rhythm:
    """Electrical event times of b hearts, in seconds from the start of the clip.

    Every tensor is [b, n], beats in order, padded at the end with NaN (False in `ectopic`).
    """

    r_peak: Tensor  # float32 s
    p_onset: Tensor  # float32 s, NaN where the atria do not contract before the beat
    q_onset: Tensor  # float32 s
    qrs_end: Tensor  # float32 s
    t_peak: Tensor  # float32 s
    t_end: Tensor  # float32 s
    ectopic: Tensor  # bool, ventricular ectopic beat
    rr_before: Tensor  # float32 s, interval from the preceding R peak to this one

    @property
    def beats(self) -> Tensor:
        """bool [b, n]: which entries hold a beat."""
        return torch.isfinite(self.r_peak)

    def to(self, device: torch.device | str) -> Rhythm:
        return Rhythm(**{name: value.to(device) for name, value in vars(self).items()})


@dataclass(frozen=True)
class Motion:
    """What the chambers do at the t times asked for, and the beats that make them do it.

    Fractions run from 0 to 1. `ef` and `edv_ml` are the heart's nominal values: those of a regular beat at rest.
    """

    volume_ml: Tensor  # float32 [b, t], left ventricle
    mitral_opening: Tensor  # float32 [b, t], 0 closed, 1 wide open
    aortic_opening: Tensor  # float32 [b, t], 0 closed, 1 wide open
    la_volume: Tensor  # float32 [b, t], 1 at the left atrium's largest volume (end-systole)
    rv_fraction: Tensor  # float32 [b, t], 1 right-ventricular end-diastole, 0 end-systole
    edv_ml: Tensor  # float32 [b]
    ef: Tensor  # float32 [b]
    ejection_onset_s: Tensor  # float32 [b, n], NaN padded
    ejection_end_s: Tensor  # float32 [b, n]
    edv_beat_ml: Tensor  # float32 [b, n], volume at the beat's ejection onset
    esv_beat_ml: Tensor  # float32 [b, n], volume at the beat's ejection end

    def to(self, device: torch.device | str) -> Motion:
        return Motion(**{name: value.to(device) for name, value in vars(self).items()})

    def rows(self, which: slice | Tensor) -> Motion:
        """The motion of some of the hearts."""
        return Motion(**{name: value[which] for name, value in vars(self).items()})


@dataclass(frozen=True)
class Truth:
    """What is known exactly about every clip of a simulated batch; times in seconds from the clip's first frame.

    The beats run from before the ECG's start to after its end, whether or not they fall into the clip.
    """

    lv_mask: Tensor  # bool [b, t, h, w]
    volume_ml: Tensor  # float32 [b, t], left ventricle
    mitral_opening: Tensor  # float32 [b, t], 0 closed, 1 wide open
    ef_per_beat: Tensor  # float32 [b, n], NaN padded; entry k belongs to entry k of the times below
    ed_times_s: Tensor  # float32 [b, n], end-diastole = ejection onset
    es_times_s: Tensor  # float32 [b, n], end-systole = ejection end
    r_peaks_s: Tensor  # float32 [b, n]
    t_ends_s: Tensor  # float32 [b, n]
    times_s: Tensor  # float32 [t]
    sector: Tensor  # bool [b, h, w]
    pixel_spacing_cm: Tensor  # float32 [b]
    view: tuple[str, ...]  # b names: "a4c" or "a2c"
    ef: Tensor  # float32 [b], nominal; 0 where the heart stands still
    edv_ml: Tensor  # float32 [b], nominal
    rhythm: tuple[str, ...]  # b names: "sinus", "af", "pvc" or "asystole"
