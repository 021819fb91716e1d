"""Simulated examinations as files that other people's programs read; many at a time, and on where a run stopped."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from echopulse.data.bank import check_size, clips_there, fill_bank, shards_there
from echopulse.data.camus import CAMUS
from echopulse.data.dicom import DICOM
from echopulse.data.driven import follow
from echopulse.data.echonet import ECHONET
from echopulse.data.form import Form
from echopulse.data.pairs import PAIRS
from echopulse.data.plan import Plan, known_views
from echopulse.errors import InputError
from echopulse.files import write_json
from echopulse.jobs import run_jobs

FORMS = {form.name: form for form in (PAIRS, ECHONET, CAMUS, DICOM)}
# Training's own layout, which `fill_bank` writes; the tokenizer takes 1 + 4k frames.
SHARDS = Form("shards", fps=25.0, seconds=2.6, size=128, views=("a4c", "a2c"))
SHARD = 32  # clips
MANIFEST = "simulation.json"
UNFINISHED = ".partial-"
LOCK = ".lock"


@dataclass(frozen=True)
class Exported:
    """How many hearts (in shards: clips) a call made, and how many the folder holds now."""

    made: int
    there: int


def export(
    folder: Path,
    clips: int,
    *,
    form: str = "pairs",
    seed: int = 0,
    prior: str = "clinical",
    seconds: float | None = None,
    fps: float | None = None,
    size: int | None = None,
    views: Sequence[str] | None = None,
    leads: int | tuple[str, ...] | None = None,
    pins: dict[str, Any] | None = None,
    ecg: Path | None = None,
    at_s: float | None = None,
    rate_hz: float | None = None,
    allow_flat: bool = False,
    displacement: bool = False,
    device: str = "cpu",
    workers: int = 1,
    force: bool = False,
    on_step: Callable[[float], None] | None = None,
) -> Exported:
    """`clips` simulated hearts (patients, in layouts with several views of each) as files in `folder`.

    form: one of FORMS, which says what stands for None, or "shards" for training (see `fill_bank`). ecg: a recording
    that every heart follows, from `at_s` into it on; `rate_hz` and `allow_flat` as in `follow`. Hearts that the folder
    holds already are kept, so that a second run goes on where the first one stopped, and a longer export begins with
    the shorter one's hearts. The files are the same whatever the number of `workers` (processes; see `run_jobs`), and
    those of a heart appear whole or not at all. InputError: a folder that holds anything else, unless `force` replaces
    it, or that another run is writing to. `on_step` is told the share of hearts asked for that is there, after each.
    """
    if clips < 1:
        raise InputError(f"--clips {clips}: at least one is expected.")
    if workers < 1:
        raise InputError(f"--workers {workers}: at least one is expected.")
    layout = _choose(form)
    plan = _plan(layout, seed, prior, seconds, fps, size, views, leads, pins or {}, displacement, device)
    if ecg is not None:
        if taken := {"rhythm", "heart_rate_bpm"} & set(plan.pins):
            raise InputError(f"--set {sorted(taken)[0]} beside --ecg: the recording says how the heart beats.")
        drive = follow(ecg, plan.seconds, at_s=at_s, leads=leads, rate_hz=rate_hz, allow_flat=allow_flat)
        plan = replace(plan, drive=drive)
    elif given := [name for name, value in (("--at", at_s), ("--rate", rate_hz)) if value is not None]:
        raise InputError(f"{given[0]} needs --ecg FILE: it says something about that recording.")
    elif allow_flat:
        raise InputError("--allow-flat needs --ecg FILE; for a heart that stands still say --set rhythm=asystole.")
    plan.check()
    if layout is SHARDS:
        return _export_shards(folder, clips, plan, workers, force, on_step)
    _make_folder(folder)
    with _alone_in(folder):
        _open(folder, plan, layout, clips, force)
        missing = [k for k in range(clips) if not _holds(folder, layout, plan, k)]
        known = _recorded(folder).get("clips", clips)
        done = count(clips - len(missing) + 1)
        tell = (lambda _: on_step(next(done) / clips)) if on_step else None
        run_jobs(partial(make_heart, plan, folder), missing, workers=workers, on_done=tell)
        there = [k for k in range(known) if _holds(folder, layout, plan, k)]
        if layout.finish:
            layout.finish(folder, there)
    return Exported(len(missing), len(there))


def make_heart(plan: Plan, folder: Path, number: int) -> None:
    """One heart's files, written beside their place and moved there when all are complete."""
    layout = FORMS[plan.form]
    aside = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=folder))
    try:
        layout.write(plan.heart(number), aside, number)
        for name in layout.files(number, plan.views):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            os.replace(aside / name, folder / name)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _export_shards(
    folder: Path, clips: int, plan: Plan, workers: int, force: bool, on_step: Callable[[float], None] | None
) -> Exported:
    """Whole shards in `folder`."""
    if plan.drive is not None:
        raise InputError("--ecg is not for shards; use --format pairs.")
    frames = round(plan.seconds * plan.fps)
    if (frames - 1) % 4:
        below = 1 + (frames - 1) // 4 * 4
        lengths = " or ".join(f"--seconds {count / plan.fps:.10g}" for count in (below, below + 4) if count > 1)
        raise InputError(
            f"{plan.seconds:g} s at {plan.fps:g} frames/s are {frames} frames; the tokenizer takes 1 + 4k of them, "
            f"so ask for {lengths}."
        )
    check_size(plan.size)
    _make_folder(folder)
    total = -(-clips // SHARD)
    tell = (lambda _: on_step(shards_there(folder, plan.seed, total) / total)) if on_step else None
    made = SHARD * fill_bank(
        folder, clips, seed=plan.seed, prior=plan.prior, shard=SHARD, device=plan.device, workers=workers, force=force,
        on_shard=tell, frames=frames, fps=plan.fps, size=plan.size, view=plan.views, leads=plan.leads,
        **({"motion": True} if plan.displacement else {}), **plan.pins,
    )  # fmt: skip
    return Exported(made, clips_there(folder))


def _choose(name: str) -> Form:
    known = {**FORMS, SHARDS.name: SHARDS}
    if name not in known:
        raise InputError(f"--format {name}: expected one of {', '.join(known)}.")
    return known[name]


def _plan(
    layout: Form, seed: int, prior: str, seconds: float | None, fps: float | None, size: int | None,
    views: Sequence[str] | None, leads: int | tuple[str, ...] | None, pins: dict[str, Any], displacement: bool,
    device: str,
) -> Plan:  # fmt: skip
    seconds, fps = seconds if seconds is not None else layout.seconds, fps if fps is not None else layout.fps
    if not (0 < fps <= 1000 and 0 < seconds <= 3600):
        raise InputError(
            f"{seconds:g} s at {fps:g} frames/s were asked for; up to 3600 s and 1000 frames/s can be made."
        )
    if round(seconds * fps) < 2:
        raise InputError(f"{seconds:g} s at {fps:g} frames/s are a single picture; ask for at least two frames.")
    size = layout.size if size is None else size
    if not 16 <= size <= 1024:
        raise InputError(f"--size {size}: pictures of 16 to 1024 pixels on a side can be made.")
    chosen = known_views(tuple(views)) if views else layout.views
    if layout.possible and (strange := [view for view in chosen or () if view not in layout.possible]):
        known = ", ".join(layout.possible)
        raise InputError(f"--views {strange[0]}: the {layout.name} layout holds {known} only.")
    if displacement and layout not in (PAIRS, SHARDS):
        raise InputError(f"--displacement: the {layout.name} layout has no place for it; use --format pairs or shards.")
    return Plan(
        form=layout.name, seed=seed, prior=prior, seconds=float(seconds), fps=float(fps),
        size=size, views=chosen, leads=2 if leads is None else leads, pins=pins,
        study=layout.study, beating=layout.beating, displacement=displacement, device=device,
    )  # fmt: skip


def _open(folder: Path, plan: Plan, layout: Form, clips: int, force: bool) -> None:
    """Clears the folder of leftovers, and notes in it what it holds; refuses one that holds anything else."""
    asked = json.loads(json.dumps(plan.described()))
    found = _recorded(folder)
    same = {name: value for name, value in found.items() if name not in ("clips", "notice")} == asked
    if found and not same and not force:
        raise InputError(f"{folder}: holds clips made with {_difference(found, asked)}; give --force or another --out.")
    if not found and not force:
        names = [name for k in range(clips) for name in layout.files(k, plan.views)]
        if there := [name for name in (*names, *layout.tables) if (folder / name).exists()]:
            raise InputError(f"{folder / there[0]} exists already; give --force to replace it or another --out.")
    if found and force:
        _discard(folder, found)
    for leftover in folder.glob(f"{UNFINISHED}*"):  # of a run that was killed
        shutil.rmtree(leftover, ignore_errors=True)
    known = found.get("clips", 0) if same else 0
    notice = "SYNTHETIC hearts, not for diagnosis; the same command makes the same files again"
    write_json({"notice": notice, **asked, "clips": max(known, clips)}, folder / MANIFEST)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Keeps other runs out of the folder; InputError where one is at work there. A killed run holds nothing."""
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise InputError(f"{folder}: another run is writing here; wait for its end or choose another --out.") from error
    try:
        yield
    finally:
        if os.name == "posix":  # elsewhere a file that is open stays, and means nothing once it is unlocked
            (folder / LOCK).unlink(missing_ok=True)
        lock.release()


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot make this folder ({error.strerror}); choose another --out.") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"{folder}: this folder cannot be written to; choose another --out.")


def _recorded(folder: Path) -> dict[str, Any]:
    """What the folder says about itself; empty where nothing was simulated."""
    path = folder / MANIFEST
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error}); delete it or choose another --out.") from error
    if not isinstance(found, dict) or found.get("format") not in FORMS:
        raise InputError(f"{path}: was not written by this program; choose another --out.")
    return found


def _difference(found: dict[str, Any], asked: dict[str, Any]) -> str:
    """The first setting in which a folder differs from what is asked for, in words."""
    for name in (*asked, *found):
        if found.get(name) != asked.get(name) and name not in ("clips", "notice"):
            return f"{name} {_short(found.get(name))}, not {_short(asked.get(name))}"
    return "other settings"


def _short(value: Any) -> str:
    return "none" if value in (None, {}, []) else json.dumps(value, ensure_ascii=False).strip('"')


def _discard(folder: Path, found: dict[str, Any]) -> None:
    """Deletes what an earlier simulation wrote here, and nothing else."""
    layout, views = FORMS[found["format"]], found.get("views")
    names = [
        name for k in range(int(found.get("clips", 0))) for name in layout.files(k, tuple(views) if views else None)
    ]
    for name in (*names, *layout.tables):
        (folder / name).unlink(missing_ok=True)
    for name in names:  # folders that are empty now
        parent = (folder / name).parent
        while parent != folder and parent.is_dir() and not any(parent.iterdir()):
            parent.rmdir()
            parent = parent.parent


def _holds(folder: Path, layout: Form, plan: Plan, number: int) -> bool:
    return all((folder / name).exists() for name in layout.files(number, plan.views))
