"""What a folder of simulated hearts holds: everything but how many there are."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from inspect import signature
from itertools import count
from typing import Any

from echopulse import __version__
from echopulse.data.driven import Drive
from echopulse.errors import InputError
from echopulse.phantom import PhantomClips, simulate
from echopulse.phantom.priors import index_of
from echopulse.phantom.types import VIEWS

REDRAWN = 1_000_000_007  # from a seed to the next where a heart is drawn again
SETTINGS = {name for name in signature(simulate).parameters if name != "pinned"} | {"views"}


@dataclass(frozen=True)
class Plan:
    """Heart k of a plan is the same whoever makes it, in whatever order.

    views: names of the views to draw from, or to take all of (`study`); None draws from all there are.
    beating: a heart that stands still is drawn again.
    """

    form: str
    seed: int
    prior: str
    seconds: float
    fps: float
    size: int
    views: tuple[str, ...] | None
    leads: int | tuple[str, ...]
    pins: dict[str, Any]
    study: bool = False
    beating: bool = False
    displacement: bool = False
    device: str = "cpu"
    drive: Drive | None = None

    def heart(self, number: int, **other: int) -> list[PhantomClips]:
        """Heart number k: one clip of it, or for a study one from each view; every `PhantomClips` holds one clip.

        `other` replaces settings (frames, size).
        """
        options: dict[str, Any] = {
            "seconds": self.seconds, "fps": self.fps, "size": self.size, "prior": self.prior, "leads": self.leads,
            "displacement": self.displacement, "device": self.device, **self.pins,
        }  # fmt: skip
        if self.drive is not None:
            options = self.drive.options() | options  # a pinned conduction holds
        if "frames" in other:
            del options["seconds"]
        options |= other
        # A study's views share their seed, and with it everything but the plane.
        wanted = list(self.views or ()) if self.study else [self.views and list(self.views)]
        for attempt in count():
            seed = self.seed * 100_003 + number + attempt * REDRAWN
            made = [simulate(1, seed=seed, view=view, **options) for view in wanted]
            if not self.beating or "rhythm" in options or made[0].truth.rhythm[0] != "asystole":
                break
        return made if self.drive is None else [self.drive.put_into(clip) for clip in made]

    def check(self) -> None:
        """Raises InputError, before any work, for parameters that no heart or scanner can have."""
        driven = None if self.drive is None else self.drive.rhythm
        if self.beating and self.pins.get("rhythm", driven) == "asystole":
            raise InputError("rhythm=asystole: this format is for hearts that beat; use --format pairs or dicom.")
        self.heart(0, frames=1, size=16)

    def described(self) -> dict[str, Any]:
        """The plan as JSON keeps it: two plans that say the same give the same files."""
        settings = {name: value for name, value in vars(self).items() if name not in ("drive", "form")}
        if self.drive is not None:
            ecg = self.drive.ecg
            settings["ecg"] = hashlib.sha256(ecg.samples.tobytes()).hexdigest()[:16]
            settings["ecg_file"] = self.drive.source.file
            settings["ecg_start_s"] = round(ecg.start_s, 6)
            settings["ecg_rate_hz"] = ecg.rate_hz
        return {"made_by": f"EchoPulse {__version__}", "format": self.form, **settings}


def parse_pins(pairs: list[str]) -> dict[str, Any]:
    """`["ef=0.3", "rhythm=af"]` → {"ef": 0.3, "rhythm": "af"}; raises InputError for what is no NAME=VALUE."""
    pins: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name or not value:
            raise InputError(f"--set {pair}: expected NAME=VALUE, as in --set ef=0.3.")
        if name in SETTINGS:
            raise InputError(f"--set {pair}: {name} is a setting of the recording, no parameter of the heart.")
        try:
            pins[name] = float(value)
        except ValueError:
            pins[name] = value
    return pins


def parse_leads(text: str) -> int | tuple[str, ...]:
    """`"2"` → 2 leads drawn by chance; `"II,V5"` → those."""
    return int(text) if text.strip().isdigit() else parse_names(text)


def parse_names(text: str) -> tuple[str, ...]:
    """`"a4c,a2c"` → ("a4c", "a2c")."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def known_views(views: tuple[str, ...]) -> tuple[str, ...]:
    """The views by their full names, each once; an unknown one is an InputError."""
    return tuple(dict.fromkeys(VIEWS[int(index_of("view", name))] for name in views))
