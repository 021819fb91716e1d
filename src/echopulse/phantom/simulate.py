"""Whole simulated examinations: electrocardiogram, echo clip and exact truth from the same beats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Generator, Tensor

from echopulse.errors import InputError
from echopulse.phantom.anatomy.heart import draw_anatomy
from echopulse.phantom.anatomy.planes import draw_probe
from echopulse.phantom.asked import (
    frame_count,
    recorded_span,
    study_views,
    usable_device,
    wanted_leads,
    whole_number,
)
from echopulse.phantom.definitions import refuse_contradictions
from echopulse.phantom.given import following, given_beats
from echopulse.phantom.mechanics import contract, draw_mechanics
from echopulse.phantom.parameters import PhantomParameters, sort_pins
from echopulse.phantom.patient import draw_patients
from echopulse.phantom.priors import check_prior, choice, index_of
from echopulse.phantom.rhythm.electrocardiogram import draw_electrocardiogram, synthesize_ecg
from echopulse.phantom.rhythm.timing import beat_times, draw_rhythm
from echopulse.phantom.scan import Scan, scan
from echopulse.phantom.scanner.settings import draw_scanner
from echopulse.phantom.truth import exact_truth
from echopulse.phantom.types import VIEWS, Motion, Rhythm, Truth

if TYPE_CHECKING:
    from echopulse.ecg.types import ECG
    from echopulse.echo.types import Clip

CLIPS_AT_ONCE_CPU = 4
CLIPS_AT_ONCE_GPU = 64
View = str | Sequence[str] | None


@dataclass(frozen=True)
class EcgSource:
    """The recording of somebody else's heart that simulated hearts follow, and whose ECG stands beside their clips."""

    file: str  # its name, without folders
    at_s: float  # where in it the first frame lies, in seconds from its start

    def __str__(self) -> str:
        return f"{self.file}, from {self.at_s:.3f} s on"


@dataclass(frozen=True)
class PhantomClips:
    """b simulated examinations; times in seconds from the first frame."""

    frames: Tensor  # uint8 [b, t, h, w]
    times_s: Tensor  # float32 [t]
    ecg: Tensor  # float32 [b, l, n] mV, as recorded
    ecg_times_s: Tensor  # float32 [n], starting before the first frame
    lead_names: tuple[tuple[str, ...], ...]  # b times l names
    truth: Truth
    parameters: PhantomParameters
    seed: int
    fps: float
    ecg_rate_hz: float
    ecg_source: EcgSource | None = None  # None: the ECG is simulated, as the pictures are

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
            provenance={"source": "simulated heart and scanner", **self._place(i)},
        )

    def ecg_of(self, i: int) -> ECG:
        """The recording that belongs to clip number i, on the clip's clock."""
        from echopulse.ecg.types import ECG

        return ECG(
            samples=self.ecg[i].cpu().numpy(),
            rate_hz=self.ecg_rate_hz,
            leads=self.lead_names[i],
            start_s=float(self.ecg_times_s[0]),
            provenance=self._ecg_provenance(i),
        )

    def _place(self, i: int) -> dict[str, str]:
        place = {"seed": str(self.seed), "index": str(i)}
        return place if self.ecg_source is None else place | {"beats": f"those of the recording {self.ecg_source}"}

    def _ecg_provenance(self, i: int) -> dict[str, str]:
        if self.ecg_source is None:
            return {"source": "simulated heart", **self._place(i)}
        return {"source": f"the recording {self.ecg_source}", "path": self.ecg_source.file}


@dataclass(frozen=True)
class _Recording:
    """The beats of b hearts at the times asked for, before anybody looks at them."""

    rhythm: Rhythm
    motion: Motion
    ecg: Tensor  # [b, l, n]
    ecg_times_s: Tensor  # [n]
    times_s: Tensor  # [t]


def draw_phantom(
    n: int,
    seed: int = 0,
    prior: str = "clinical",
    *,
    view: View = None,
    leads: int | Sequence[str] = 2,
    **pinned: Any,
) -> PhantomParameters:
    """Parameters of n examinations; any parameter of any stage may be given by name.

    Each stage draws from a stream of its own, so that more leads or another view leave the beats as they are.
    """
    check_prior(prior)
    n, seed, leads = whole_number("n", n), whole_number("seed", seed), wanted_leads(leads)
    if n < 1:
        raise InputError(f"{n} hearts were asked for; ask for at least one.")
    views = index_of("view", VIEWS if view is None else [view] if isinstance(view, str) else view)
    if not len(views):
        raise InputError(f"no view was asked for; choose some of {', '.join(VIEWS)}.")
    drawn = views[choice(n, [1.0] * len(views), stream(seed, 10))]
    pins = sort_pins({"view": drawn} | pinned)
    patients = draw_patients(n, stream(seed, 8), prior, **pins["patients"])
    anatomy = draw_anatomy(patients, stream(seed, 3), prior, **pins["anatomy"])
    parameters = PhantomParameters(
        patients=patients,
        rhythm=draw_rhythm(patients, stream(seed, 0), prior, **pins["rhythm"]),
        electrocardiogram=draw_electrocardiogram(
            patients, stream(seed, 1), prior, leads=leads, **pins["electrocardiogram"]
        ),
        mechanics=draw_mechanics(patients, stream(seed, 2), prior, **pins["mechanics"]),
        anatomy=anatomy,
        probe=draw_probe(anatomy, patients, stream(seed, 9), prior, **pins["probe"]),
        scanner=draw_scanner(n, stream(seed, 4), prior, **pins["scanner"]),
    )
    refuse_contradictions(
        {name: getattr(getattr(parameters, stage), name) for stage, own in pins.items() for name in own}
    )
    return parameters


def simulate(
    n: int,
    *,
    frames: int = 65,
    seconds: float | None = None,
    fps: float = 25.0,
    seed: int = 0,
    prior: str = "clinical",
    view: View = None,
    size: int = 128,
    leads: int | Sequence[str] = 2,
    ecg_rate_hz: float = 200.0,
    ecg_before_s: float = 1.6,
    ecg_after_s: float = 0.4,
    r_peaks_s: Tensor | None = None,
    p_onsets_s: Tensor | None = None,
    origins: Sequence[Any] | Tensor | None = None,
    displacement: bool = False,
    device: torch.device | str = "cpu",
    **pinned: Any,
) -> PhantomClips:
    """n simulated examinations of `frames` frames each (or of `seconds`), on `device`.

    The ECG begins `ecg_before_s` before the first frame and ends `ecg_after_s` after the last. `view` is a name, a
    list of names to draw from, or None for all of them; `leads` a number of leads drawn by chance, or their names.
    `r_peaks_s` and `p_onsets_s` ([k] or [n, k] seconds from the first frame, NaN where a beat has no P wave) make the
    hearts beat when a given recording says so, and `origins` ([k] or [n, k] names out of ORIGINS or their indices)
    from where; see `given_beats`. All n are drawn together: heart i of a batch of six is not heart i of a
    batch of three, but the same call gives the same bytes. `displacement` adds, for every pixel, how far its tissue
    lies from where it was in the first frame. Any parameter of any stage may be pinned by name:
    `simulate(4, rhythm="af", ef=0.3)`.
    """
    frames, seed = frame_count(n, frames, seconds, fps, size), whole_number("seed", seed)
    given, pinned = following(r_peaks_s, p_onsets_s, origins, pinned)
    parameters = draw_phantom(n, seed, prior, view=view, leads=leads, **pinned)
    times_s = torch.arange(frames) / fps
    span = recorded_span(frames / fps, ecg_before_s, ecg_after_s, ecg_rate_hz)
    device = usable_device(device)
    recording = _record(parameters, times_s, span, ecg_rate_hz, seed, given, device)
    return _examine(parameters, recording, size, displacement, seed, fps, ecg_rate_hz, device)


def simulate_study(
    n: int = 1,
    *,
    views: str | Sequence[str] = ("a4c", "a2c", "a3c", "plax", "psax_mitral", "psax_papillary", "psax_apical"),
    frames: int = 65,
    seconds: float | None = None,
    fps: float = 25.0,
    seed: int = 0,
    prior: str = "clinical",
    size: int = 128,
    leads: int | Sequence[str] = 2,
    ecg_rate_hz: float = 200.0,
    ecg_before_s: float = 1.6,
    ecg_after_s: float = 0.4,
    r_peaks_s: Tensor | None = None,
    p_onsets_s: Tensor | None = None,
    origins: Sequence[Any] | Tensor | None = None,
    displacement: bool = False,
    device: torch.device | str = "cpu",
    **pinned: Any,
) -> dict[str, PhantomClips]:
    """The same n hearts through several planes, each view with the same beats at the same times, by view name.

    Everything else is as in `simulate`.
    """
    frames, seed = frame_count(n, frames, seconds, fps, size), whole_number("seed", seed)
    views = study_views(views, pinned)
    given, pinned = following(r_peaks_s, p_onsets_s, origins, pinned)
    parameters = draw_phantom(n, seed, prior, view=views[0], leads=leads, **pinned)
    times_s = torch.arange(frames) / fps
    span = recorded_span(frames / fps, ecg_before_s, ecg_after_s, ecg_rate_hz)
    device = usable_device(device)
    recording = _record(parameters, times_s, span, ecg_rate_hz, seed, given, device)
    pins = sort_pins(pinned)["probe"]
    study = {}
    for view in views:
        probe = draw_probe(
            parameters.anatomy, parameters.patients, stream(seed, 9), prior, **pins | {"view": view}
        )
        seen = replace(parameters, probe=probe)
        study[view] = _examine(seen, recording, size, displacement, seed, fps, ecg_rate_hz, device)
    return study


def stream(seed: int, stage: int) -> Generator:
    """The random stream of one stage of one seed."""
    return torch.Generator().manual_seed((seed * 1_000_003 + stage * 7_919_777_777) % (2**62))


def _record(
    parameters: PhantomParameters,
    times_s: Tensor,
    span: tuple[float, float],
    ecg_rate_hz: float,
    seed: int,
    given: tuple[Any, ...] | None,
    device: torch.device | str,
) -> _Recording:
    start_s, stop_s = span
    ecg_times_s = torch.arange(round((stop_s - start_s) * ecg_rate_hz)) / ecg_rate_hz + start_s
    if given is None:
        rhythm = beat_times(parameters.rhythm, start_s, stop_s, stream(seed, 5))
    else:
        rhythm = given_beats(parameters, *given, start_s=start_s, stop_s=stop_s)
    rhythm = rhythm.to(device)
    ecg = synthesize_ecg(rhythm, parameters.electrocardiogram.to(device), ecg_times_s, stream(seed, 6))
    motion = contract(rhythm, parameters.mechanics.to(device), times_s)
    return _Recording(rhythm, motion, ecg, ecg_times_s.to(device), times_s.to(device))


def _examine(
    parameters: PhantomParameters,
    recording: _Recording,
    size: int,
    displacement: bool,
    seed: int,
    fps: float,
    ecg_rate_hz: float,
    device: torch.device | str,
) -> PhantomClips:
    at_once = CLIPS_AT_ONCE_GPU if torch.device(device).type == "cuda" else CLIPS_AT_ONCE_CPU
    generator = stream(seed, 7)
    scans = []
    for first in range(0, len(parameters.patients.ef), at_once):
        some = slice(first, first + at_once)
        scans.append(
            scan(
                parameters.rows(some).to(device),
                recording.motion.rows(some),
                recording.times_s,
                size=size,
                displacement=displacement,
                generator=generator,
            )
        )
    seen = Scan.join(scans)
    return PhantomClips(
        frames=seen.frames,
        times_s=recording.times_s,
        ecg=recording.ecg,
        ecg_times_s=recording.ecg_times_s,
        lead_names=parameters.electrocardiogram.lead_names,
        truth=exact_truth(parameters, recording.rhythm, recording.motion, recording.times_s, seen),
        parameters=parameters,
        seed=seed,
        fps=fps,
        ecg_rate_hz=ecg_rate_hz,
    )
