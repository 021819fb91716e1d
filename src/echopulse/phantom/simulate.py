"""Whole simulated examinations: electrocardiogram, echo clip and exact truth from the same beats."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import torch
from torch import Generator, Tensor

from echopulse.errors import InputError
from echopulse.phantom.anatomy.heart import AnatomyParameters, draw_anatomy
from echopulse.phantom.mechanics.pump import MechanicsParameters, contract, draw_mechanics
from echopulse.phantom.priors import check_prior
from echopulse.phantom.rhythm.electrocardiogram import (
    ElectrocardiogramParameters,
    draw_electrocardiogram,
    synthesize_ecg,
)
from echopulse.phantom.rhythm.timing import ASYSTOLE, RhythmParameters, beat_times, draw_rhythm
from echopulse.phantom.scanner.scan import ScannerParameters, draw_scanner, scan
from echopulse.phantom.types import Motion, Rhythm, Truth

if TYPE_CHECKING:
    from echopulse.ecg.types import ECG
    from echopulse.echo.types import Clip

CLIPS_AT_ONCE_CPU = 4
CLIPS_AT_ONCE_GPU = 16
_FROM_MECHANICS = {"edv_ml", "ef"}  # the anatomy takes these two from the pump


@dataclass(frozen=True)
class PhantomParameters:
    """Everything that was drawn for b examinations, on the CPU."""

    rhythm: RhythmParameters
    electrocardiogram: ElectrocardiogramParameters
    mechanics: MechanicsParameters
    anatomy: AnatomyParameters
    scanner: ScannerParameters


@dataclass(frozen=True)
class PhantomClips:
    """b simulated examinations; times in seconds from the first frame."""

    frames: Tensor  # uint8 [b, t, h, w]
    times_s: Tensor  # float32 [t]
    ecg: Tensor  # float32 [b, l, n] mV, as recorded
    ecg_times_s: Tensor  # float32 [n], starting before the first frame
    truth: Truth
    parameters: PhantomParameters
    seed: int
    fps: float
    ecg_rate_hz: float

    def clip(self, i: int) -> Clip:
        """Echo clip number i."""
        from echopulse.echo.types import Clip

        return Clip(
            frames=self.frames[i].cpu().numpy(),
            times_s=torch.arange(len(self.times_s), dtype=torch.float64).numpy() / self.fps,
            view=self.truth.view[i],
            pixel_spacing_cm=float(self.truth.pixel_spacing_cm[i]),
            sector=self.truth.sector[i].cpu().numpy(),
            synthetic=True,
            provenance={"source": "simulated heart and scanner", "seed": str(self.seed), "index": str(i)},
        )

    def ecg_of(self, i: int) -> ECG:
        """The recording that belongs to clip number i, on the clip's clock."""
        from echopulse.ecg.types import ECG

        return ECG(
            samples=self.ecg[i].cpu().numpy(),
            rate_hz=self.ecg_rate_hz,
            leads=tuple(f"simulated {lead + 1}" for lead in range(self.ecg.shape[1])),
            start_s=float(self.ecg_times_s[0]),
            provenance={"source": "simulated heart", "seed": str(self.seed), "index": str(i)},
        )


def draw_phantom(
    n: int, seed: int = 0, prior: str = "clinical", *, view: Any = None, leads: int = 2, **pinned: Any
) -> PhantomParameters:
    """Parameters of n examinations; any parameter of any stage may be given by name.

    Each stage draws from a stream of its own, so that more leads or another view leave the beats as they are.
    """
    check_prior(prior)
    if view is not None:
        pinned = {**pinned, "view": view}
    pins = _sort_pins(pinned)
    rhythm = draw_rhythm(n, stream(seed, 0), prior, **pins["rhythm"])
    electrocardiogram = draw_electrocardiogram(
        n, stream(seed, 1), prior, leads=leads, kind=rhythm.kind, **pins["electrocardiogram"]
    )
    mechanics = draw_mechanics(n, stream(seed, 2), prior, **pins["mechanics"])
    anatomy = draw_anatomy(n, stream(seed, 3), mechanics.edv_ml, mechanics.ef, prior, **pins["anatomy"])
    scanner = draw_scanner(n, stream(seed, 4), prior, **pins["scanner"])
    return PhantomParameters(rhythm, electrocardiogram, mechanics, anatomy, scanner)


def simulate(
    n: int,
    *,
    frames: int = 65,
    seconds: float | None = None,
    fps: float = 25.0,
    seed: int = 0,
    prior: str = "clinical",
    view: str | None = None,
    size: int = 128,
    leads: int = 2,
    ecg_rate_hz: float = 200.0,
    ecg_before_s: float = 1.6,
    ecg_after_s: float = 0.4,
    device: torch.device | str = "cpu",
    **pinned: Any,
) -> PhantomClips:
    """n simulated examinations of `frames` frames each (or of `seconds`), on `device`.

    The ECG begins `ecg_before_s` before the first frame and ends `ecg_after_s` after the last. `view` None mixes
    views. Any parameter of any stage may be pinned by name: `simulate(4, kind="af", ef=0.3)`.
    """
    if not (0 < fps <= 1000 and (seconds is None or 0 < seconds <= 3600)):
        raise InputError(f"{seconds} s at {fps:g} frames/s were asked for; up to 3600 s and 1000 frames/s can be made.")
    if seconds is not None:
        frames = max(round(seconds * fps), 1)
    if n < 1 or frames < 1:
        raise InputError(f"{n} clips of {frames} frames were asked for; ask for at least one of each.")
    parameters = draw_phantom(n, seed, prior, view=view, leads=leads, **pinned)
    times_s = torch.arange(frames) / fps
    stop_s = frames / fps + ecg_after_s
    samples = round((ecg_before_s + stop_s) * ecg_rate_hz)
    ecg_times_s = torch.arange(samples) / ecg_rate_hz - ecg_before_s

    rhythm = beat_times(parameters.rhythm, -ecg_before_s, stop_s, stream(seed, 5)).to(device)
    ecg = synthesize_ecg(rhythm, parameters.electrocardiogram.to(device), ecg_times_s, stream(seed, 6))
    motion = contract(rhythm, parameters.mechanics.to(device), times_s)
    pictures, masks, sectors, spacings = _scan_all(parameters, motion, size, stream(seed, 7), device)
    truth = _truth(parameters, rhythm, motion, times_s.to(device), masks, sectors, spacings)
    return PhantomClips(
        frames=pictures,
        times_s=times_s.to(device),
        ecg=ecg,
        ecg_times_s=ecg_times_s.to(device),
        truth=truth,
        parameters=parameters,
        seed=seed,
        fps=fps,
        ecg_rate_hz=ecg_rate_hz,
    )


def _scan_all(
    parameters: PhantomParameters, motion: Motion, size: int, generator: Generator, device: torch.device | str
) -> tuple[Tensor, ...]:
    """Frames, masks, sectors and pixel spacings of all clips, a few clips at a time to keep memory small."""
    at_once = CLIPS_AT_ONCE_GPU if torch.device(device).type == "cuda" else CLIPS_AT_ONCE_CPU
    scans = []
    for first in range(0, len(motion.ef), at_once):
        some = slice(first, first + at_once)
        anatomy = parameters.anatomy.rows(some).to(device)
        scanner = parameters.scanner.rows(some).to(device)
        scans.append(scan(anatomy, scanner, motion.rows(some), size=size, generator=generator))
    names = ("frames", "lv_mask", "sector", "pixel_spacing_cm")
    return tuple(torch.cat([getattr(part, name) for part in scans]) for name in names)


def _truth(
    parameters: PhantomParameters,
    rhythm: Rhythm,
    motion: Motion,
    times_s: Tensor,
    masks: Tensor,
    sectors: Tensor,
    spacings: Tensor,
) -> Truth:
    standing = (parameters.rhythm.kind == ASYSTOLE).to(motion.ef.device)
    return Truth(
        lv_mask=masks,
        volume_ml=motion.volume_ml,
        mitral_opening=motion.mitral_opening,
        ef_per_beat=1 - motion.esv_beat_ml / motion.edv_beat_ml,
        ed_times_s=motion.ejection_onset_s,
        es_times_s=motion.ejection_end_s,
        r_peaks_s=rhythm.r_peak,
        t_ends_s=rhythm.t_end,
        times_s=times_s,
        sector=sectors,
        pixel_spacing_cm=spacings,
        view=parameters.anatomy.view_names,
        ef=torch.where(standing, 0.0, motion.ef),
        edv_ml=motion.edv_ml,
        rhythm=parameters.rhythm.kind_names,
    )


def stream(seed: int, stage: int) -> Generator:
    """The random stream of one stage of one seed."""
    return torch.Generator().manual_seed((seed * 1_000_003 + stage * 7_919_777_777) % (2**62))


def _sort_pins(pinned: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Each pinned value under the stage that has a parameter of its name."""
    stages = {
        "rhythm": RhythmParameters,
        "electrocardiogram": ElectrocardiogramParameters,
        "mechanics": MechanicsParameters,
        "anatomy": AnatomyParameters,
        "scanner": ScannerParameters,
    }
    names = {stage: {field.name for field in fields(kind)} for stage, kind in stages.items()}
    names["anatomy"] -= _FROM_MECHANICS
    sorted_pins: dict[str, dict[str, Any]] = {stage: {} for stage in stages}
    for name, value in pinned.items():
        homes = [stage for stage in stages if name in names[stage]]
        if not homes:
            known = ", ".join(sorted(set().union(*names.values())))
            raise InputError(f"the phantom has no parameter {name!r}; its parameters are {known}.")
        sorted_pins[homes[0]][name] = value
    return sorted_pins
