"""The nouns of the simulated heart: whose it is, its rhythm, its motion and the truth that comes with every clip."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

# Indices are stored in banks and models: names may be added at the end, never moved.
RHYTHMS = (
    "sinus", "af", "pvc", "asystole", "tachycardia", "bradycardia", "flutter", "pac", "bigeminy",
    "av_block_1", "wenckebach", "mobitz_2", "av_block_3", "vt", "pause",
)  # fmt: skip
CONDUCTIONS = ("normal", "lbbb", "rbbb", "paced")
PATHOLOGIES = ("healthy", "hypertensive", "ischaemic", "dilated", "hypertrophic", "restrictive")
TERRITORIES = ("none", "lad", "lcx", "rca")
ORIGINS = ("sinus", "atrial", "ventricular", "escape", "paced")  # where a beat begins
VIEWS = ("a4c", "a2c", "a3c", "plax", "psax_mitral", "psax_papillary", "psax_apical")
APICAL_VIEWS = VIEWS[:3]  # those that show the whole long axis, apex above
LABELS = ("outside", "lv", "myocardium", "la", "rv", "ra", "aorta")

Rows = TypeVar("Rows", bound="Batch")
TIMED, MEANING = "over time", "meaning"


def over_time() -> Any:
    """A field of a `Batch` that has a value for every time, [b, t, ...]."""
    return field(metadata={TIMED: True})


def about(meaning: str) -> Any:
    """A field that is a parameter of the phantom, and what it means in words that stand by themselves."""
    return field(metadata={MEANING: meaning})


class Batch:
    """A dataclass of tensors whose first axis is the batch."""

    def to(self: Rows, device: torch.device | str) -> Rows:
        """The same on another device."""
        return self._each(lambda value: value.to(device))

    def rows(self: Rows, which: slice | Tensor) -> Rows:
        """Some of the hearts."""
        return self._each(lambda value: value[which])

    def between(self: Rows, when: slice) -> Rows:
        """The same at some of the times: what is marked as being `over_time` is cut, all else kept."""
        cut = {own.name: getattr(self, own.name)[:, when] for own in fields(self) if own.metadata.get(TIMED)}
        return replace(self, **cut)

    def _each(self: Rows, change: Any) -> Rows:
        return type(self)(**{own.name: change(getattr(self, own.name)) for own in fields(self)})


@dataclass(frozen=True)
class Patients(Batch):
    """Whose hearts they are: what rhythm, ECG, pump and anatomy share; every tensor is [b], float32 unless said."""

    age_years: Tensor = about("age")
    female: Tensor = about("1 a woman, 0 a man")
    pathology: Tensor = about("disease, which goes with EF, size, walls and voltage")  # int64, index into PATHOLOGIES
    ef: Tensor = about("ejection fraction of a regular beat")
    edv_ml: Tensor = about("volume of the left ventricle, fully filled")
    wall: Tensor = about("thickness of the left ventricle's wall, relative to a healthy one of that size")
    sphericity: Tensor = about("width of the left ventricle over its length, relative to what is usual")
    territory: Tensor = about("coronary artery whose part of the wall moves badly")  # int64, index into TERRITORIES
    territory_motion: Tensor = about("motion of the territory over that of the rest: 0 akinetic, below 0 dyskinetic")
    scar: Tensor = about("how much of the territory is scar: thin, bright, electrically silent")
    rhythm: Tensor = about("what makes the heart beat")  # int64, index into RHYTHMS
    conduction: Tensor = about("how the beat reaches the ventricles")  # int64, index into CONDUCTIONS
    heart_rate_bpm: Tensor = about("mean ventricular rate outside pauses; in ventricular tachycardia that of its runs")
    qrs_s: Tensor = about("duration of a conducted QRS")
    voltage: Tensor = about("amplitude of the QRS, relative to the usual one")
    breath_hz: Tensor = about("breaths per second")
    breath_phase: Tensor = about("where in a breath the first frame lies, in radians")  # see `breath.inhaled`


@dataclass(frozen=True)
class Rhythm(Batch):
    """Electrical event times of b hearts, in seconds from the start of the clip.

    Every tensor is [b, n] unless said, beats in order, padded at the end with NaN (0 in `origin`).
    """

    r_peak: Tensor  # float32 s
    p_onset: Tensor  # float32 s, of the P wave that this beat was conducted from; NaN where there is none
    q_onset: Tensor  # float32 s
    qrs_end: Tensor  # float32 s
    t_peak: Tensor  # float32 s
    t_end: Tensor  # float32 s
    rr_before: Tensor  # float32 s, interval from the preceding R peak to this one
    origin: Tensor  # int64, index into ORIGINS
    atria_s: Tensor  # float32 [b, m] s, onset of *every* coordinated atrial depolarisation, conducted or not

    @property
    def beats(self) -> Tensor:
        """bool [b, n]: which entries hold a beat."""
        return torch.isfinite(self.r_peak)

    @property
    def ectopic(self) -> Tensor:
        """bool [b, n]: beats that begin in a ventricle of their own accord."""
        return (self.origin == ORIGINS.index("ventricular")) & self.beats


@dataclass(frozen=True)
class Motion(Batch):
    """What the chambers do at the t times asked for, and the beats that make them do it.

    Fractions run from 0 to 1. `ef` and `edv_ml` are the heart's nominal values: those of a regular beat at rest.
    """

    volume_ml: Tensor = over_time()  # float32 [b, t], left ventricle
    mitral_opening: Tensor = over_time()  # float32 [b, t], 0 closed, 1 wide open
    aortic_opening: Tensor = over_time()  # float32 [b, t], 0 closed, 1 wide open
    tricuspid_opening: Tensor = over_time()  # float32 [b, t], 0 closed, 1 wide open
    la_volume: Tensor = over_time()  # float32 [b, t], 1 at the left atrium's largest volume (end-systole)
    ra_volume: Tensor = over_time()  # float32 [b, t], likewise
    rv_fraction: Tensor = over_time()  # float32 [b, t], 1 right-ventricular end-diastole, 0 end-systole
    twist_rad: Tensor = over_time()  # float32 [b, t], apex against base, counterclockwise seen from the apex; 0 at ED
    dyssynchrony: Tensor = over_time()  # float32 [b, t], septum ahead of the lateral wall, as a share of the stroke
    edv_ml: Tensor  # float32 [b]
    ef: Tensor  # float32 [b]
    ejection_onset_s: Tensor  # float32 [b, n], NaN padded
    ejection_end_s: Tensor  # float32 [b, n]
    edv_beat_ml: Tensor  # float32 [b, n], volume at the beat's ejection onset
    esv_beat_ml: Tensor  # float32 [b, n], volume at the beat's ejection end


@dataclass(frozen=True)
class Truth:
    """What is known exactly about every clip of a simulated batch; times in seconds from the clip's first frame.

    The beats run from before the ECG's start to after its end, whether or not they fall into the clip.
    """

    labels: Tensor  # uint8 [b, t, h, w], index into LABELS: what every pixel shows
    volume_ml: Tensor  # float32 [b, t], left ventricle in three dimensions
    mitral_opening: Tensor  # float32 [b, t], 0 closed, 1 wide open
    aortic_opening: Tensor  # float32 [b, t]
    tricuspid_opening: Tensor  # float32 [b, t]
    lv_length_cm: Tensor  # float32 [b, t], endocardial apex to annulus plane
    ef_per_beat: Tensor  # float32 [b, n], NaN padded; entry k belongs to entry k of the times below
    gls_per_beat: Tensor  # float32 [b, n], longitudinal strain of the endocardium in this view, negative; NaN in PSAX
    mapse_cm_per_beat: Tensor  # float32 [b, n], descent of the mitral annulus plane
    ed_times_s: Tensor  # float32 [b, n], end-diastole = mitral closure; the volume stays level until ejection starts
    es_times_s: Tensor  # float32 [b, n], end-systole = ejection end
    r_peaks_s: Tensor  # float32 [b, n]
    p_onsets_s: Tensor  # float32 [b, n]
    q_onsets_s: Tensor  # float32 [b, n]
    t_ends_s: Tensor  # float32 [b, n]
    atria_s: Tensor  # float32 [b, m], every atrial depolarisation
    origin: Tensor  # int64 [b, n], index into ORIGINS
    times_s: Tensor  # float32 [t]
    sector: Tensor  # bool [b, h, w]
    pixel_spacing_cm: Tensor  # float32 [b], pixels are square
    view: tuple[str, ...]  # b names out of VIEWS
    ef: Tensor  # float32 [b], nominal; 0 where the heart stands still
    edv_ml: Tensor  # float32 [b], nominal
    rhythm: tuple[str, ...]  # b names out of RHYTHMS
    conduction: tuple[str, ...]  # b names out of CONDUCTIONS
    pathology: tuple[str, ...]  # b names out of PATHOLOGIES
    displacement_cm: Tensor | None  # float32 [b, t, h, w, 2], see `simulate(displacement=True)`

    @property
    def lv_mask(self) -> Tensor:
        """bool [b, t, h, w]: the left-ventricular cavity from apex to annulus plane."""
        return self.labels == LABELS.index("lv")

    def contours(self, clips: slice = slice(None), points: int = 64) -> Tensor:
        """Outlines of `lv_mask` in some of the clips, float32 [b, t, points, 2] as (column, row) of the picture.

        Evenly spaced, clockwise from above the middle; a pixel's centre has whole coordinates. NaN where no cavity is
        seen. Worked out anew by every call, in milliseconds per frame.
        """
        from echopulse.echo.ventricle import outline

        masks = self._lv_masks(clips)
        lines = np.array([[outline(mask, points) for mask in clip] for clip in masks], np.float32)
        return torch.from_numpy(lines.reshape(*masks.shape[:2], points, 2))

    def simpson_ml(self, clips: slice = slice(None)) -> Tensor:
        """What Simpson's rule makes of `lv_mask` in one plane, ml, float32 [b, t]; NaN but in apical views.

        It errs against `volume_ml` as a reader of the picture would. Worked out anew by every call.
        """
        from echopulse.echo.ventricle import find_chords

        masks, views = self._lv_masks(clips), self.view[clips]
        volumes = np.full(masks.shape[:2], np.nan, np.float32)
        for i, spacing_cm in enumerate(self.pixel_spacing_cm[clips].tolist()):
            if views[i] in APICAL_VIEWS:
                volumes[i] = find_chords(masks[i]).volumes * spacing_cm**3
        return torch.from_numpy(volumes)

    def _lv_masks(self, clips: slice) -> np.ndarray:
        return (self.labels[clips] == LABELS.index("lv")).cpu().numpy()
