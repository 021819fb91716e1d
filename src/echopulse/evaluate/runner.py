"""The whole evaluation of one candidate: which parts, in which order, and what is kept on the way.

Clips of the main condition (first picture and ECG) are made once for every held-out heart and shared by timing,
controls, quality and privacy; those from the ECG alone for the first few. Every part that is finished, and every batch
of clips, is kept in the `work` folder; a second run with the same model, data, settings and code goes on from there.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from echopulse.errors import InputError
from echopulse.evaluate.candidates import as_pulse, bench_of, describe, load_candidate
from echopulse.evaluate.controls import HEARTS as CONTROL_HEARTS
from echopulse.evaluate.given import Supplied
from echopulse.evaluate.hearts import AT_ONCE, CLIPS, ECG_RATE_HZ, FPS, SECONDS, SEED, SIZE, held_out_hearts
from echopulse.evaluate.identity import (
    hash_of_files,
    hash_of_hearts,
    hash_of_listing,
    hash_of_package,
    hash_of_settings,
    machine,
    versions,
)
from echopulse.evaluate.parts import RUN, Job
from echopulse.evaluate.results import Results
from echopulse.evaluate.shared import Shared
from echopulse.evaluate.store import Store
from echopulse.evaluate.tasks import FolderCandidate
from echopulse.jobs import usable_cores, workers_peak_gb
from echopulse.memory import peak_memory_gb
from echopulse.options import STARTS
from echopulse.pipeline import EchoPulse

PARTS = (
    "speed", "tokenizer", "measurer", "timing", "controls", "quality", "privacy", "usefulness", "conditions", "ceiling",
    "long", "files",
)  # fmt: skip
OPTIONAL = ("usefulness", "conditions", "ceiling", "long")  # take minutes: run when they are asked for
OURS_ONLY = ("speed", "tokenizer", "files")  # need the inner road of a model of this package
OF_HEARTS = ("timing", "controls", "quality", "privacy", "usefulness")
OF_CLIPS = ("timing", "controls", "quality", "privacy")
MODULES = {"measurer": "measuring", "quality": "metrics.quality", "privacy": "privacy", "usefulness": "usefulness",
           "long": "long", "conditions": "conditions", "ceiling": "ceiling"}  # fmt: skip
# Shares of the progress bar: seconds for 200 clips on two cores.
COST = {"speed": 20, "tokenizer": 32, "measurer": 25, "timing": 110, "controls": 100, "quality": 90, "privacy": 90,
        "usefulness": 600, "conditions": 200, "ceiling": 150, "long": 150, "files": 60, "hearts": 40,
        "clips": 150}  # fmt: skip
INCLUDES = {
    "speed": "generating 4 s four times, and a fresh interpreter's imports",
    "hearts": "simulating the held-out hearts",
    "clips": "generating the clips that the parts share, without measuring them",
    "tokenizer": "simulating clips of its own, encoding and decoding them, measuring them before and after",
    "measurer": "simulating clips of its own and measuring them",
    "timing": "measuring shared clips, simulated frames and those after the tokenizer; generating with an EF",
    "controls": "generating the clips of every control and measuring them",
    "quality": "features and pixel measures of real and generated clips",
    "privacy": "training clips (simulated where none are given), features, distances, the re-identifying network",
    "usefulness": "simulating and generating what teaches, and every training of the regressor",
    "conditions": "simulating hearts of its own, generating from them under every condition and measuring",
    "ceiling": "simulating hearts of its own and those that teach, generating, measuring and the regression",
    "long": "simulating hearts of its own, generating a minute of each and measuring it",
    "files": "generating from every file and measuring",
}
# What of the settings only some parts look at.
ONLY_FOR = {
    "features": ("quality",), "as_published": ("quality",), "reject_copies": ("quality",), "train_data": ("privacy",),
    "start": ("speed", "files"), "measurer_clips": ("measurer",), "tokenizer_clips": ("tokenizer",),
}  # fmt: skip
MEASURER_CLIPS = 48  # beside other parts
MEASURER_CLIPS_ALONE = 500
TOKENIZER_CLIPS, TOKENIZER_CLIPS_ALONE = 32, 64
LEAST = {"quality": 8, "privacy": 40, "usefulness": 32}  # held-out clips; looked at before anything is made
SAMPLES = 3  # hearts whose loops stand on the page


def parts_for(candidate: Any, parts: Sequence[str] | None = None, *, files: bool = False) -> tuple[str, ...]:
    """The parts to run, in their order: all that suit the candidate, or those asked for. InputError names the others.

    Without an ECG file (`files`) there is no part of that name.
    """
    ours = as_pulse(candidate) is not None
    if parts is None and files and not ours:
        raise InputError("ECG files: only a model folder of ours is tried on them; leave them out.")
    if parts is None:
        parts = [part for part in PARTS if part not in OPTIONAL and (ours or part not in OURS_ONLY)]
    if (more := {*OPTIONAL} & set(parts)) and isinstance(candidate, FolderCandidate):
        raise InputError(
            f"--only {','.join(sorted(more))}: asks for clips of other hearts, which no folder of clips holds; give "
            "a model folder or a function."
        )
    if unknown := [part for part in parts if part not in PARTS]:
        raise InputError(f"--only {','.join(unknown)}: expected some of {', '.join(PARTS)}.")
    if not ours and (foreign := [part for part in parts if part in OURS_ONLY]):
        raise InputError(f"--only {','.join(foreign)}: needs a model folder of ours, not a function or clips.")
    chosen = tuple(part for part in PARTS if part in parts and (part != "files" or files))
    if not chosen:
        raise InputError("--only files: no ECG file is given; name some.")
    for part in chosen:
        if part in MODULES and find_spec(f"echopulse.evaluate.{MODULES[part]}") is None:
            raise InputError(f"--only {part}: this version has no such part; expected some of the others.")
    return chosen


def evaluate(
    candidate: Any,
    *,
    parts: Sequence[str] | None = None,
    clips: int = CLIPS,
    seconds: float = SECONDS,
    seed: int = SEED,
    ecg_files: Sequence[Path] = (),
    start: str = "phantom",
    control_hearts: int = CONTROL_HEARTS,
    measurer_clips: int | None = None,
    features: Mapping[str, Path] | None = None,
    as_published: bool = False,
    train_data: Path | None = None,
    reject_copies: Path | None = None,
    work: Path | None = None,
    workers: int | None = None,
    on_step: Callable[[float], None] | None = None,
) -> Results:
    """Every figure of the chosen parts, with the values behind them and what they were made of.

    candidate: see `candidates.load_candidate`; no `parts` means all that suit it but the optional. `clips` held-out
    hearts of `seconds` are simulated from `seed`. Of `ecg_files` some may be folders; `start` is how clips from files
    open. `features` names files of published networks (i3d, inception, ...). `train_data` is a folder of the model's
    training clips, `reject_copies` that of a filter whose copies are left out of the quality figures. The measurer is
    judged on `measurer_clips` clips of its own; by default on 500 where it is the only part, else on 48. `work` keeps
    what is finished. `workers` clips are made at a time (None: one per core). `on_step` gets the share done, 0..1.
    """
    candidate = load_candidate(candidate)
    paths = _ecg_paths(ecg_files)
    chosen = parts_for(candidate, parts, files=bool(paths))
    _check(chosen, clips, start)
    if measurer_clips is None:
        measurer_clips = MEASURER_CLIPS_ALONE if list(chosen) == ["measurer"] else MEASURER_CLIPS
    tokenizer_clips = TOKENIZER_CLIPS_ALONE if list(chosen) == ["tokenizer"] else TOKENIZER_CLIPS
    pulse = as_pulse(candidate)
    measurer = pulse or EchoPulse.from_pretrained()
    fps, size = (pulse.fps, pulse.tokenizer.config.size) if pulse else (FPS, SIZE)
    rate_hz = pulse.generator.config.ecg.rate_hz if pulse else ECG_RATE_HZ
    workers = (workers or usable_cores()) if measurer.device.type == "cpu" else 1
    simulate = functools.partial(
        held_out_hearts, seconds=seconds, fps=fps, size=size, ecg_rate_hz=rate_hz, workers=workers
    )
    settings = {
        "clips": clips, "seconds": seconds, "seed": seed, "fps": fps, "size": size, "ecg_rate_hz": rate_hz,
        "control_hearts": control_hearts, "measurer_clips": measurer_clips, "tokenizer_clips": tokenizer_clips,
        "start": start,
        "as_published": as_published, "train_data": train_data and str(train_data),
        "reject_copies": reject_copies and str(reject_copies),
    }  # fmt: skip
    first = hash_of_hearts(simulate(min(clips, AT_ONCE), seed=seed)) if set(chosen) & set(OF_HEARTS) else "none"
    identity = {
        "model": describe(candidate), "measurer": describe(measurer), "hearts": first, "code": hash_of_package(),
        "versions": versions(), **settings,
        "features": {name: hash_of_files([path]) for name, path in (features or {}).items()},
        "train_data": train_data and hash_of_listing(train_data),
        "reject_copies": reject_copies and hash_of_listing(reject_copies),
    }  # fmt: skip
    store = Store(work)
    done = {part: found for part in chosen if (found := store.results(part, _identity(part, identity, paths)))}
    left = [part for part in chosen if part not in done]
    supplied = Supplied.read(left, measurer.segmenter, features or {}, train_data, reject_copies)
    steps = Steps(on_step or (lambda _: None), left)
    bench = bench_of(candidate, measurer.measure, fps=fps, size=size, rate_hz=rate_hz, workers=workers)
    of_clips = {key: identity[key] for key in ("model", "hearts", "code", "versions", "seed", "seconds")}
    shared = Shared(bench, functools.partial(simulate, seed=seed), store, of_clips, steps.of, clips, control_hearts)
    job = Job(
        pulse=pulse, measurer=measurer, shared=shared, simulate=simulate, supplied=supplied, paths=paths, fps=fps,
        size=size, rate_hz=rate_hz, seed=seed, start=start, control_hearts=control_hearts,
        measurer_clips=measurer_clips, tokenizer_clips=tokenizer_clips, workers=workers, as_published=as_published,
    )  # fmt: skip
    for part in left:
        done[part] = _timed(part, job, steps)
        store.keep_results(part, _identity(part, identity, paths), done[part])
        steps.finish(part)
    about = _about(identity, settings | {"parts": list(chosen), "ecg_files": len(paths)})
    about["device"] = machine(measurer.device, bench.workers)
    return _gathered(done, chosen, shared, about)


def _ecg_paths(given: Sequence[Path]) -> list[Path]:
    """The ECG files given and those in folders given; refuses a path where nothing is."""
    from echopulse.ecg import list_ecg_files
    from echopulse.ecg.readers.wfdb import header_of

    paths = [found for path in given for found in list_ecg_files(path)]
    for path in paths:
        if not path.exists() and header_of(path) is None:
            raise InputError(f"{path}: there is no such file (and no WFDB record of this name); check the path.")
    return paths


def _check(chosen: Sequence[str], clips: int, start: str) -> None:
    """Refuses before anything is made what a part would refuse later."""
    if clips < 1:
        raise InputError(f"--clips {clips}: at least one held-out clip is needed.")
    if start not in STARTS:
        raise InputError(f"--start {start}: expected {' or '.join(STARTS)}.")
    for part in chosen:
        if clips < LEAST.get(part, 1):
            raise InputError(
                f"--clips {clips}: the part {part} needs {LEAST[part]} or more; ask for more, or name other parts with "
                "--only."
            )


def _about(identity: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """What the figures were made of, for whoever reads them."""
    hearts = {key: identity[key] for key in ("hearts", "clips", "seconds", "seed")}
    return {
        "settings": dict(settings), "model": identity["model"], "measurer": identity["measurer"],
        "features": identity["features"],
        "data": {"hash": hash_of_settings(hearts), "what": "simulated hearts",
                 **{key: identity[key] for key in ("clips", "seed", "seconds")}},
        "versions": identity["versions"], "code": identity["code"],
    }  # fmt: skip


def _gathered(done: Mapping[str, Results], chosen: Sequence[str], shared: Shared, about: dict[str, Any]) -> Results:
    """All parts in one, with what they took and sample loops."""
    results = Results()
    for part in chosen:
        results |= Results(done[part].scores, done[part].columns)
    loops = shared.loops(SAMPLES) if set(chosen) & set(OF_CLIPS) else ()
    took = shared.seconds | {part: done[part].about["seconds"] for part in chosen}
    about |= {
        "seconds": {name: round(value, 2) for name, value in took.items()},
        "includes": {name: INCLUDES[name] for name in took},
        "parts": {part: more for part in chosen if (more := done[part].about.get("more"))},
        "peak_memory_gb": _peak_memory(),
    }
    return Results(results.scores, results.columns, about, loops)


def _peak_memory() -> dict[str, float]:
    """GiB: of this process, of the worker processes that simulate and measure for it, and their sum."""
    own, workers = peak_memory_gb(), workers_peak_gb()
    found = {"together_at_most": own + workers, "this_process": own, "worker_processes": workers}
    return {name: round(value, 3) for name, value in found.items()}


def _timed(part: str, job: Job, steps: Steps) -> Results:
    """One part's figures, and how long it took beside what the parts share."""
    started, before = time.perf_counter(), sum(job.shared.seconds.values())
    found = RUN[part](job, steps.of(part))
    taken = time.perf_counter() - started - (sum(job.shared.seconds.values()) - before)
    return Results(found.scores, found.columns, {"seconds": taken, "more": found.about})


def _identity(part: str, identity: Mapping[str, Any], paths: Sequence[Path]) -> dict[str, Any]:
    """All that the figures of one part hang on, and nothing that only other parts look at."""
    identity = {key: value for key, value in identity.items() if part in ONLY_FOR.get(key, (part,))}
    # of a WFDB record its signals count as well as its header
    files = {file for path in paths for file in path.parent.glob(f"{path.stem}.*") if file.is_file()}
    return {**identity, "part": part, "ecg": hash_of_files(sorted(files)) if part == "files" else ""}


class Steps:
    """Shares of the whole for every part that is left, and for hearts and clips where a part asks for them."""

    def __init__(self, on_step: Callable[[float], None], parts: Sequence[str]):
        self.on_step, self.reached = on_step, 0.0
        shared = [name for name, by in (("hearts", OF_HEARTS), ("clips", OF_CLIPS)) if set(parts) & set(by)]
        self.cost = {name: COST[name] for name in (*parts, *shared)}
        self.done = dict.fromkeys(self.cost, 0.0)

    def of(self, name: str) -> Callable[[float], None]:
        """Takes the share of one part that is done, 0..1."""
        return lambda share: self._tell(name, share)

    def finish(self, part: str) -> None:
        """One part is through."""
        self._tell(part, 1.0)

    def _tell(self, name: str, share: float) -> None:
        if name not in self.cost:
            return
        self.done[name] = max(self.done[name], min(share, 1.0))
        total = sum(self.cost.values())
        self.reached = max(self.reached, sum(self.cost[one] * self.done[one] for one in self.cost) / total)
        self.on_step(self.reached)
