"""Whose generator is evaluated: a model of ours, anybody's Python function, or a folder of clips made elsewhere.

A candidate is anything callable as `candidate(ecg, *, seconds, fps, image, view, ef, seed, at_s)` that gives a Clip or
uint8 [t, h, w]. `ecg` is an ECG in mV with the names of its leads, None for no ECG at all; the clip begins `at_s`
seconds into it; `image` is the first picture uint8 [h, w] or None; `ef` a fraction or None.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from echopulse.ecg import ECG
from echopulse.echo import Clip
from echopulse.errors import InputError
from echopulse.evaluate.bench import Bench
from echopulse.evaluate.controls import HEARTS
from echopulse.evaluate.hearts import ALONE, CLIPS, ECG_RATE_HZ, FPS, SECONDS, SEED, held_out_hearts
from echopulse.evaluate.identity import hash_of_files, hash_of_pulse
from echopulse.model.adapter_files import AdapterSpec

if TYPE_CHECKING:
    from echopulse.pipeline import EchoPulse

FORMS = "give a model folder (config.json), a folder of clips (tasks.csv) or a function as package.module:function"
CALLED_WITH = ("seconds", "fps", "image", "view", "ef", "seed", "at_s")
SAME_RATE = 0.01  # rates this close are one rate


@dataclass(frozen=True)
class Called:
    """A Python function as a candidate."""

    function: Callable[..., Any]
    name: str

    @property
    def hash(self) -> str | None:
        """What the function says of itself as its attribute `hash`, of its weights for instance."""
        return getattr(self.function, "hash", None)

    def __call__(self, ecg: ECG | None, **conditions: Any) -> Clip | np.ndarray:
        return self.function(ecg, **conditions)


def load_candidate(
    spec: str | Path | Callable[..., Any] | None = None, *, adapters: Sequence[AdapterSpec] = ()
) -> Any:
    """The candidate that `spec` names; None is the bundled model. InputError where it names none.

    `adapters` are for models of ours, as in `EchoPulse.from_pretrained`.
    """
    from echopulse.pipeline import EchoPulse

    if spec is None:
        return EchoPulse.from_pretrained(adapters=adapters)
    if not callable(spec) and (Path(spec) / "config.json").exists() and not (Path(spec) / "tasks.csv").exists():
        return EchoPulse.from_pretrained(spec, adapters=adapters)
    if adapters:
        raise InputError(f"{spec}: adapters are for model folders (config.json) alone; leave --adapter out.")
    if callable(spec):
        return spec if hasattr(spec, "name") else Called(_checked(spec), getattr(spec, "__qualname__", repr(spec)))
    folder = Path(spec)
    if folder.is_dir():
        if (folder / "tasks.csv").exists():
            from echopulse.evaluate.tasks import FolderCandidate

            return FolderCandidate.load(folder)
        raise InputError(f"{folder}: holds neither config.json nor tasks.csv; {FORMS}.")
    module, colon, name = str(spec).partition(":")
    if not colon:
        raise InputError(f"{spec}: no such folder; {FORMS}.")
    try:
        found = _import_near(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise InputError(f"{spec}: cannot be imported ({error}); {FORMS}.") from error
    return Called(_checked(found, str(spec)), str(spec))


def _import_near(module: str) -> ModuleType:
    """A module that is installed or lies in the current folder, where an installed command does not look by itself."""
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        return importlib.import_module(module)
    finally:
        sys.path.remove(here)


def _checked(function: Any, name: str | None = None) -> Callable[..., Any]:
    """The same, if it can be called as a candidate is."""
    name = name or getattr(function, "__qualname__", repr(function))
    expected = f"candidate(ecg, *, {', '.join(CALLED_WITH)})"
    if not callable(function):
        raise InputError(f"{name}: a {type(function).__name__}; a function {expected} is expected.")
    try:
        inspect.signature(function).bind(None, **dict.fromkeys(CALLED_WITH))
    except TypeError as error:
        raise InputError(f"{name}: cannot be called as {expected} ({error}).") from error
    except ValueError:  # some compiled functions do not tell their arguments
        return function
    return function


def as_pulse(candidate: Any) -> EchoPulse | None:
    """The candidate if it is a model of ours, whose tokenizer and inner road are known."""
    from echopulse.pipeline import EchoPulse

    return candidate if isinstance(candidate, EchoPulse) else None


def describe(candidate: Any) -> dict[str, str]:
    """Name and hash: of the weights, of the clips, as a function says or else of its source, or "unknown"."""
    pulse = as_pulse(candidate)
    if pulse is not None:
        return {"name": pulse.name, "hash": hash_of_pulse(pulse), "kind": "model of this package"}
    name = str(getattr(candidate, "name", None) or getattr(candidate, "__qualname__", repr(candidate)))
    found = getattr(candidate, "hash", None)
    if found is None and isinstance(candidate, Called):
        try:
            source = inspect.getsourcefile(candidate.function)
        except TypeError:
            source = None
        found = hash_of_files([Path(source)]) if source and Path(source).exists() else None
    return {"name": name, "hash": str(found or "unknown"), "kind": type(candidate).__name__}


def bench_of(
    candidate: Any, measure: Callable[[Clip], Any], *, fps: float, size: int, rate_hz: float, workers: int = 1
) -> Bench:
    """A bench around any candidate; ours goes by its inner road, others are called with the ECG as a recording.

    Answers are brought to `fps` and `size`; see `fitted`. Others' functions are called one at a time.
    """
    pulse = as_pulse(candidate)
    if pulse is not None:
        return Bench.of(pulse, workers)
    name = describe(candidate)["name"]

    def generate(ecg, begin_s, frames, *, leads=None, first, view, ef, seed):
        recording = None
        if ecg is not None:
            names = tuple(leads or (f"lead {number + 1}" for number in range(len(ecg))))
            recording = ECG(ecg.numpy(), rate_hz, names, provenance={"path": "a held-out ECG"})
        conditions = {
            "seconds": frames / fps, "fps": fps, "image": None if first is None else first.numpy(), "view": view,
            "ef": ef, "seed": seed, "at_s": begin_s,
        }  # fmt: skip
        try:
            answer = candidate(recording, **conditions)
        except InputError:
            raise
        except Exception as error:  # whatever others' code may raise; no InputError, which would say that it refuses
            raise RuntimeError(
                f"{name}: failed with {type(error).__name__} ({error}) on the clip with seed {seed}; call it by itself "
                "with these arguments, or see where with --verbose."
            ) from error
        return fitted(answer, frames, fps, size, name)

    return Bench(generate, None, measure)


def fitted(answer: Any, frames: int, fps: float, size: int, name: str) -> np.ndarray:
    """A candidate's answer as uint8 [frames, size, size] at `fps`.

    A Clip of another rate is blended linearly between its frames; another size is padded below or to the right to a
    square and resized; frames too many are left out. Refused: anything else, and a clip that ends too early.
    """
    from echopulse.echo.sector import Square, take_square

    if not isinstance(answer, (np.ndarray, Clip)):
        answer = getattr(answer, "clip", answer)  # what our own models give holds its clip
    clip = answer if isinstance(answer, Clip) else None
    pictures = answer.frames if clip is not None else answer
    if not isinstance(pictures, np.ndarray) or pictures.ndim != 3 or pictures.dtype != np.uint8 or not pictures.size:
        is_array = isinstance(pictures, np.ndarray)
        found = f"{pictures.dtype} {list(pictures.shape)}" if is_array else f"a {type(answer).__name__}"
        raise InputError(f"{name}: gave {found}; a Clip or grey frames uint8 [t, h, w] are expected.")
    if clip is not None and len(pictures) > 1 and abs(clip.fps / fps - 1) > SAME_RATE:
        pictures = _at_times(clip, np.arange(frames) / fps, fps, name)
    if len(pictures) < frames:
        raise InputError(
            f"{name}: gave {len(pictures)} frames where {frames} are expected ({frames / fps:g} s at {fps:g} "
            "frames/s); make clips of the length asked for."
        )
    square = Square(0, 0, max(pictures.shape[1:]))
    return np.stack([take_square(picture, square, size) for picture in pictures[:frames]])


def _at_times(clip: Clip, times_s: np.ndarray, fps: float, name: str) -> np.ndarray:
    """Frames at times counted from the clip's first frame, blended linearly between neighbours."""
    own = clip.times_s - clip.times_s[0]
    if own[-1] + clip.frame_interval_s < times_s[-1] - 0.5 / fps:
        raise InputError(
            f"{name}: gave {clip.duration_s:.2f} s at {clip.fps:.3g} frames/s where {len(times_s) / fps:g} s are "
            "expected; make clips of the length asked for."
        )
    place = np.clip(np.interp(times_s, own, np.arange(len(own))), 0, len(own) - 1)
    low = np.minimum(place.astype(int), max(len(own) - 2, 0))
    part = (place - low)[:, None, None]
    high = np.minimum(low + 1, len(own) - 1)
    return np.round(clip.frames[low] * (1 - part) + clip.frames[high] * part).astype(np.uint8)


def export_tasks(
    folder: str | Path,
    *,
    clips: int = CLIPS,
    seed: int = SEED,
    seconds: float = SECONDS,
    control_hearts: int = HEARTS,
    on_step: Callable[[float], None] = lambda _: None,
) -> int:
    """ECGs and first pictures of the held-out hearts for clips to be made elsewhere; the number of tasks.

    An evaluation of that folder needs the same `clips`, `seed` and `seconds`. See `tasks` for the folder's layout.
    """
    from echopulse.evaluate.tasks import write_tasks

    hearts = held_out_hearts(clips, seed, seconds=seconds, on_step=lambda done: on_step(0.7 * done))
    return write_tasks(
        Path(folder), hearts, fps=FPS, rate_hz=ECG_RATE_HZ, alone=ALONE, controls=control_hearts,
        on_step=lambda done: on_step(0.7 + 0.3 * done),
    )  # fmt: skip
