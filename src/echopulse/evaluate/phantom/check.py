"""The whole check: what is drawn, spread over processes, measured and held against the bars."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from echopulse.errors import InputError
from echopulse.evaluate.phantom import extremes, figures, hearts, muscle, pictures, recordings, system
from echopulse.evaluate.phantom.hearts import Arrays
from echopulse.evaluate.phantom.information import FOLDS
from echopulse.evaluate.phantom.rows import Row, Sheet
from echopulse.jobs import run_jobs, usable_cores
from echopulse.phantom.types import RHYTHMS

AT_ONCE = 10  # clips of one job: a multiple of it gives the same clips whatever the number of workers
EXAMINATIONS_PER_CLIP = 5
HEALTHY = {"pathology": "healthy", "conduction": "normal"}
SPEED_WORKERS = 2
INFORMATION = "information"
SYSTEM = {"sameness": 1, "speed": 1, "GPU": 1}  # parts of one step each

Sample = Callable[..., Arrays]
Job = tuple[Callable[..., Any], tuple[Any, ...]]


def check_phantom(
    clips: int = 500,
    *,
    seed: int = 0,
    on_step: Callable[[float, str | None], None] | None = None,
    workers: int | None = None,
) -> list[Row]:
    """Every acceptance figure of the phantom over `clips` drawn hearts, with its bar.

    `on_step` is called with the share done, 0..1, and with the name of a part when that is complete, else None. The
    figures depend on `clips` and `seed`, not on `workers` (as many
    as there are cores by default); only speed does on the machine.
    """
    if clips < AT_ONCE:
        raise InputError(f"--clips {clips}: at least {AT_ONCE} are needed for a check; 500 make it worth its name.")
    workers = usable_cores() if workers is None else workers
    plan = _plan(clips, seed)
    parts = {name: len(sample) for name, sample in plan.items()} | {INFORMATION: 3 * FOLDS} | SYSTEM
    steps = _Steps(on_step or (lambda share, complete: None), parts)
    part_of = {job: name for name, sample in plan.items() for job in sample}
    results = iter(run_jobs(_call, list(part_of), workers=workers, on_done=lambda job: steps.one(part_of[job])))
    found = {name: _join([next(results) for _ in sample]) for name, sample in plan.items()}
    told = _tell(found["examinations"], seed, workers, lambda _: steps.one(INFORMATION))
    rows = figures.volume_rows(found["study"], found["round"])
    rows += figures.event_rows(found["events"], found["steady"], found["ejection"])
    rows += figures.filling_rows(found["kick"], found["waves"], found["memory"])
    rows += figures.muscle_rows(found["healthy"], found["muscle"])
    rows += figures.picture_rows(found["pictures"], found["envelope"])
    rows += figures.recording_rows(found["leads"], found["detection"], found["rhythms"])
    rows += figures.information_rows(told, found["even"])
    return rows + system_rows(found["extremes"]["finite"], found["pictures"]["finite"], seed, steps.one)


def _plan(clips: int, seed: int) -> dict[str, list[Job]]:
    """Which jobs make which sample; each has seeds of its own. Long ones come first."""
    return {
        "pictures": _split(pictures.sample_pictures, clips, seed, 1),
        "study": _split(pictures.sample_study, clips, seed, 2),
        "round": _split(pictures.sample_round, clips, seed, 3),
        "examinations": _split(recordings.sample_examinations, clips * EXAMINATIONS_PER_CLIP, seed, 4, 3 * AT_ONCE),
        "muscle": _split(muscle.sample_muscle, clips, seed, 5, 5 * AT_ONCE),
        "healthy": _split(_healthy_muscle, clips, seed, 6, 5 * AT_ONCE),
        "detection": _split(recordings.sample_detection, clips, seed, 7, 5 * AT_ONCE),
        "leads": _split(recordings.sample_leads, clips, seed, 8, 5 * AT_ONCE),
        "events": _split(hearts.sample_events, clips, seed, 9, 10 * AT_ONCE),
        "steady": _split(hearts.sample_steady, clips, seed, 10, 10 * AT_ONCE),
        "ejection": [(hearts.sample_ejection, (max(clips // 5, 30), _seed(seed, 11, 0)))],
        "kick": _split(hearts.sample_kick, clips, seed, 12, 10 * AT_ONCE),
        "waves": _split(hearts.sample_waves, clips, seed, 13, 10 * AT_ONCE),
        "memory": _split(hearts.sample_memory, clips, seed, 14, 10 * AT_ONCE),
        "envelope": [(pictures.sample_envelope, (64, _seed(seed, 15, 0)))],
        "even": [(hearts.sample_even, (max(8 * clips, 2000), _seed(seed, 16, 0)))],
        "extremes": [(extremes.sample_extremes, (name, _seed(seed, 17, k))) for k, name in enumerate(RHYTHMS)],
        "rhythms": _split(recordings.sample_rhythms, max(clips, 28), seed, 18, 7 * AT_ONCE),
    }


def _healthy_muscle(n: int, seed: int) -> Arrays:
    """Healthy hearts whose EF is spread evenly over 0.55 to 0.65."""
    ef = torch.linspace(0.55, 0.65, n)
    return muscle.sample_muscle(n, seed, ef=ef, **HEALTHY)


def _call(job: Job) -> Any:
    function, arguments = job
    return function(*arguments)


def _seed(seed: int, sample: int, job: int) -> int:
    return 1_000_000 * (1 + seed) + 50_000 * sample + job


def _split(sample: Sample, total: int, seed: int, number: int, at_once: int = AT_ONCE) -> list[Job]:
    """Jobs of `at_once` hearts each; the last one takes what is left."""
    return [
        (sample, (min(at_once, total - first), _seed(seed, number, k)))
        for k, first in enumerate(range(0, total, at_once))
    ]


def _join(parts: list[Arrays]) -> Arrays:
    """The samples of several jobs in one; grey values are counted together."""
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0] if name != "counts"}
    if "counts" in parts[0]:
        joined["counts"] = np.sum([part["counts"] for part in parts], axis=0)
    return joined


def _tell(examinations: Arrays, seed: int, workers: int, on_done: Callable[[Any], None]) -> dict[str, Arrays]:
    """Held-out guesses of EF from the picture, the ECG and both, every fold learned in a job of its own."""
    ways = {"both": (True, True), "picture": (False, True), "ecg": (True, False)}
    jobs: list[Job] = [
        (recordings.told, (examinations, *way, fold, seed + fold)) for way in ways.values() for fold in range(FOLDS)
    ]
    results = iter(run_jobs(_call, jobs, workers=workers, on_done=on_done))
    return {name: _join([next(results) for _ in range(FOLDS)]) for name in ways}


def system_rows(
    extreme: np.ndarray, usual: np.ndarray, seed: int, on_done: Callable[[str], None] = lambda part: None
) -> list[Row]:
    """Soundness, sameness and speed; figures that need a GPU are "not measured here" without one.

    `extreme` and `usual` bool [n]: which clips of the ends of the range and of the prior have numbers alone.
    """
    sheet = Sheet("system")
    words = "grey values before rounding, ECG and truth are numbers; EF, rate and volume at both ends, every rhythm"
    sheet.share("finite", words, extreme, low=100)
    sheet.share("finite.usual", "ECG and truth are numbers; drawn apical clips", usual, low=100)
    here = [system.fingerprint_of(seed), system.fingerprint_of(seed)]
    there = [one for n in (2, 3) for one in run_jobs(system.fingerprint_of, [seed] * n, workers=n)]
    on_done("sameness")
    sheet.add("same.again", "same seed, same bytes, twice in one process (1 yes, 0 no)", len(set(here)) == 1, low=1)
    sheet.add("same.workers", "same bytes in two and in three worker processes", len(set(there)) == 1, low=1)
    sheet.add("same.threads", f"same bytes with {torch.get_num_threads()} threads and with one",
              len({*here, *there}) == 1)  # fmt: skip
    words = f"frames of 128 x 128 a second, ECG and truth included, {SPEED_WORKERS} single-thread processes"
    sheet.add("speed.cpu", words, system.speed_of_processes(SPEED_WORKERS, seed), "1/s", low=250)
    on_done("speed")
    speed, differ = (None, None)
    if torch.cuda.is_available():
        speed, differ = gpu_speed(seed), system.devices_differ(seed)
    sheet.add("speed.gpu", "the same on one GPU, 256 clips at a time", speed, "1/s", low=20_000)
    sheet.add("gpu.difference", "largest difference of a pixel between CPU and GPU, of 255", differ, high=2)
    on_done("GPU")
    return sheet.rows


def gpu_speed(seed: int, clips: int = 256, rounds: int = 4) -> float:
    """Frames a second on one GPU, end to end."""
    return system.frames_per_second([system.timed(seed, "cuda", clips, rounds)])


class _Steps:
    """Counts what is done of each part and tells the share of all, and which part is complete with that."""

    def __init__(self, tell: Callable[[float, str | None], Any], parts: dict[str, int]) -> None:
        self.tell, self.left, self.total = tell, dict(parts), sum(parts.values())

    def one(self, part: str) -> None:
        self.left[part] -= 1
        self.tell(1 - sum(self.left.values()) / self.total, None if self.left[part] else part)
