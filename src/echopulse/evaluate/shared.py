"""What the parts of an evaluation share: the held-out hearts and the clips made for them, each made once."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from echopulse.evaluate.bench import Bench
from echopulse.evaluate.controls import chosen_hearts
from echopulse.evaluate.hearts import ALONE, Heart
from echopulse.evaluate.results import Loop
from echopulse.evaluate.store import Store
from echopulse.evaluate.together import OnStep

KEPT_TOGETHER = 16  # clips of one file; what is lost when a run is stopped


class Shared:
    """Hearts and clips, made when the first part asks for them; `seconds` says how long that took."""

    def __init__(
        self, bench: Bench, simulate: Callable[..., list[Heart]], store: Store, identity: dict[str, Any],
        progress: Callable[[str], OnStep], clips: int, control_hearts: int,
    ):  # fmt: skip
        self.bench, self.store, self.identity, self.progress = bench, store, identity, progress
        self.simulate, self.clips, self.control_hearts = simulate, clips, control_hearts
        self.seconds: dict[str, float] = {}

    @cached_property
    def hearts(self) -> list[Heart]:
        """All held-out hearts."""
        started = time.perf_counter()
        hearts = self.simulate(self.clips, on_step=self.progress("hearts"))
        self.seconds["hearts"] = time.perf_counter() - started
        return hearts

    @cached_property
    def imaged(self) -> dict[int, np.ndarray]:
        """A clip uint8 [t, h, w] of every heart from its first picture and its ECG, by the heart's seed."""
        return self._clips("imaged", self.hearts, image=True)

    @cached_property
    def alone(self) -> dict[int, np.ndarray]:
        """The same from the ECG alone, for the first hearts and those of the controls."""
        moving = [heart for heart in self.hearts if heart.moving][:ALONE]
        known = {heart.seed for heart in [*moving, *chosen_hearts(self.hearts, self.control_hearts)]}
        return self._clips("alone", [heart for heart in self.hearts if heart.seed in known], image=False)

    def pairs(self) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Simulated and generated clips of the same hearts."""
        return [heart.frames.numpy() for heart in self.hearts], [self.imaged[heart.seed] for heart in self.hearts]

    def loops(self, count: int) -> tuple[Loop, ...]:
        """Simulated and generated loops of the first hearts that beat, with ED and ES of a beat."""
        hearts = self.hearts if "hearts" in self.__dict__ else self.simulate(min(self.clips, KEPT_TOGETHER))
        made = "imaged" in self.__dict__  # not for all hearts if no part has asked for them
        clips = self.imaged if made else self._clips("imaged", hearts[:KEPT_TOGETHER], image=True)
        found = []
        for heart in [heart for heart in hearts[:KEPT_TOGETHER] if heart.moving][:count]:
            fps = 1 / float(np.median(np.diff(heart.times_s)))
            for what, frames in (("simulated", heart.frames.numpy()), ("generated", clips[heart.seed])):
                seen = self.bench.look(heart, frames, heart.spacing_cm)
                phases = (int(seen.ed_frames[0]), int(seen.es_frames[0])) if len(seen.ed_frames) else (None, None)
                found.append(Loop(f"heart {heart.seed}, {heart.view}, {what}", frames, fps, *phases))
        return tuple(found)

    def _clips(self, name: str, hearts: list[Heart], *, image: bool) -> dict[int, np.ndarray]:
        started, tell = time.perf_counter(), self.progress("clips")
        clips: dict[int, np.ndarray] = {}
        for first in range(0, len(hearts), KEPT_TOGETHER):
            some = hearts[first : first + KEPT_TOGETHER]
            identity = self.identity | {"clips": name, "of": [heart.seed for heart in some]}
            made = self.store.clips(
                f"{name}-{first:04d}", identity,
                lambda some=some: np.stack(self.bench.each(lambda h: self.bench.show(h, h.ecg, image=image), some)),
            )  # fmt: skip
            clips |= {heart.seed: frames for heart, frames in zip(some, made, strict=True)}
            tell((0.85 * len(clips) if image else 0.85 * len(hearts) + 0.15 * len(clips)) / len(hearts))
        self.seconds["clips"] = self.seconds.get("clips", 0.0) + time.perf_counter() - started
        return clips
