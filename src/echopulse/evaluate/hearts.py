"""Held-out hearts: simulated clips that no training has seen, with everything that is known exactly about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from echopulse.errors import InputError
from echopulse.evaluate.known import finite
from echopulse.evaluate.timing import cycles_between
from echopulse.evaluate.together import OnStep, together
from echopulse.model.config import VIEWS
from echopulse.phantom import simulate
from echopulse.phantom.mechanics import contract
from echopulse.phantom.rhythm.timing import beat_times
from echopulse.phantom.simulate import stream

if TYPE_CHECKING:
    from echopulse.phantom.simulate import PhantomClips

FRAMES = 65
ECG_BEFORE_S = 2.6  # a second more than the generator hears, so that the ECG can be moved
ECG_AFTER_S = 1.6  # so that it can be hurried by 1.4 as well
LEADS = 3  # two for the model, one to be given in their place
CLIPS, SEED, SECONDS = 200, 990_000, 2.0  # of an evaluation
ALONE = 24  # hearts for which a clip is made from the ECG alone
FPS, SIZE, ECG_RATE_HZ = 25.0, 128, 200.0  # what our models work at, and what others are asked for
AT_ONCE = 4  # clips simulated together; heart k is the same however many there are
WIDE_BEFORE_S, WIDE_AFTER_S, WIDE_HZ = 1.2, 1.6, 50.0  # how far and how finely the true curve is known about a clip


@dataclass(frozen=True, eq=False)
class Heart:
    """One held-out clip of t frames with its truth; times in seconds from the first frame.

    `ef` is the median over the beats that lie wholly in the clip (nominal if none does); 0 for a standing heart.
    """

    frames: Tensor  # uint8 [t, h, w]
    masks: np.ndarray  # bool [t, h, w]
    times_s: np.ndarray  # float64 [t]
    volume_ml: np.ndarray  # float64 [t]
    ef: float
    r_peaks_s: np.ndarray
    t_ends_s: np.ndarray
    ecg: Tensor  # float32 [l, n] mV
    ecg_start_s: float
    view: str
    spacing_cm: float | None
    seed: int  # of whatever is generated for this heart
    sector: np.ndarray | None = None  # bool [h, w]
    other_lead: Tensor | None = None  # float32 [1, n] mV, another lead of the same recording
    wide_times_s: np.ndarray | None = None  # float64 [m], from before the clip to after it
    wide_volume_ml: np.ndarray | None = None  # float64 [m]
    rhythm: str | None = None  # of `phantom.types.RHYTHMS`
    leads: tuple[str, ...] | None = None  # names of those in `ecg`, by which published ECG encoders know them
    other_lead_name: str | None = None

    @property
    def moving(self) -> bool:
        return len(self.r_peaks_s) > 0

    @property
    def cycles(self) -> list[tuple[float, float]]:
        """R-to-R intervals that lie wholly in the clip."""
        return cycles_between(self.r_peaks_s, self.times_s[0], self.times_s[-1])

    def true_volume(self, times_s: np.ndarray) -> np.ndarray:
        """The true volume at any times, ml; NaN where it is not known."""
        wide = self.wide_times_s is not None and self.wide_volume_ml is not None
        times, volume = (self.wide_times_s, self.wide_volume_ml) if wide else (self.times_s, self.volume_ml)
        return np.interp(times_s, times, volume, left=np.nan, right=np.nan)


def simulate_held_out(clips: int, seed: int, **options) -> PhantomClips:
    """Hearts of every EF from 0.15 to 0.75, in all rhythms of the simulator, in the views that the models know."""
    usual = {"view": VIEWS, "prior": "uniform", "frames": FRAMES, "leads": LEADS}
    return simulate(clips, seed=seed, **(usual | {"ecg_before_s": ECG_BEFORE_S, "ecg_after_s": ECG_AFTER_S} | options))


def held_out_hearts(
    clips: int = CLIPS,
    seed: int = SEED,
    *,
    seconds: float = SECONDS,
    fps: float = FPS,
    size: int = SIZE,
    ecg_rate_hz: float = ECG_RATE_HZ,
    workers: int = 1,
    on_step: OnStep = lambda _: None,
) -> list[Heart]:
    """The hearts of an evaluation, `seconds` each, made batch by batch: heart k is the same however many there are."""
    if clips < 1 or not (np.isfinite(seconds) and round(seconds * fps) >= 5):
        raise InputError(f"{clips} clips of {seconds:g} s were asked for; at least one of five frames is needed.")
    starts = list(range(0, clips, AT_ONCE))
    done = []

    def make(first: int) -> list[Heart]:
        made = simulate_held_out(
            AT_ONCE, seed + first // AT_ONCE, frames=round(seconds * fps), fps=fps, size=size, ecg_rate_hz=ecg_rate_hz
        )
        return hearts_of(made, first)[: clips - first]

    def told(_: list[Heart]) -> None:
        done.append(1)
        on_step(len(done) / len(starts))

    return [heart for batch in together(make, starts, workers, told) for heart in batch]


def hearts_of(clips: PhantomClips, first: int = 0) -> list[Heart]:
    """Every clip of a simulated batch with what is known about it; the hearts' seeds count from `first`."""
    truth = clips.truth
    times = truth.times_s.double().cpu().numpy()
    wide = np.arange(times[0] - WIDE_BEFORE_S, times[-1] + WIDE_AFTER_S, 1 / WIDE_HZ)
    volumes = wide_volumes(clips, wide)
    return [
        Heart(
            frames=clips.frames[i].cpu(),
            masks=truth.lv_mask[i].cpu().numpy(),
            times_s=times,
            volume_ml=truth.volume_ml[i].double().cpu().numpy(),
            ef=_true_ef(truth, i, times),
            r_peaks_s=finite(truth.r_peaks_s[i]),
            t_ends_s=finite(truth.t_ends_s[i]),
            ecg=clips.ecg[i, :2].cpu(),
            ecg_start_s=float(clips.ecg_times_s[0]),
            view=truth.view[i],
            spacing_cm=float(truth.pixel_spacing_cm[i]),
            seed=first + i,
            sector=truth.sector[i].cpu().numpy(),
            other_lead=clips.ecg[i, 2:3].cpu() if clips.ecg.shape[1] > 2 else None,
            wide_times_s=wide,
            wide_volume_ml=volumes[i],
            rhythm=truth.rhythm[i],
            leads=clips.lead_names[i][:2],
            other_lead_name=clips.lead_names[i][2] if clips.ecg.shape[1] > 2 else None,
        )
        for i in range(len(truth.view))
    ]


def wide_volumes(clips: PhantomClips, times_s: np.ndarray) -> np.ndarray:
    """The true volumes of a simulated batch at any times [m] that its ECG covers, float64 [b, m] ml.

    The same beats contract the same hearts again; nothing is drawn anew.
    """
    start, stop = float(clips.ecg_times_s[0]), float(clips.ecg_times_s[-1]) + 1 / clips.ecg_rate_hz
    beats = beat_times(clips.parameters.rhythm, start, stop, stream(clips.seed, 5))
    motion = contract(beats, clips.parameters.mechanics, torch.from_numpy(times_s).float())
    return motion.volume_ml.double().cpu().numpy()


def donors(hearts: list[Heart]) -> list[tuple[Heart, Heart]]:
    """Each heart with the next one, the last with the first; nothing to pair below two hearts."""
    return list(zip(hearts, [*hearts[1:], hearts[0]], strict=True)) if len(hearts) > 1 else []


def _true_ef(truth, i: int, times: np.ndarray) -> float:
    fractions = truth.ef_per_beat[i].double().cpu().numpy()
    onsets, ends = truth.ed_times_s[i].double().cpu().numpy(), truth.es_times_s[i].double().cpu().numpy()
    whole = np.isfinite(fractions) & (onsets >= times[0]) & (ends <= times[-1])
    return float(np.median(fractions[whole])) if whole.any() else float(truth.ef[i])
