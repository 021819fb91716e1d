"""Simulated examinations as files that other people's programs read: a video, an ECG as CSV, everything as NPZ."""

from collections.abc import Callable
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np

from echopulse.errors import InputError
from echopulse.phantom import PhantomClips, simulate

AT_ONCE = 4
ENDINGS = (".mp4", ".csv", ".npz")
SETTINGS = {name for name in signature(simulate).parameters if name not in ("view", "pinned")}


def parse_pins(pairs: list[str]) -> dict[str, Any]:
    """`["ef=0.3", "kind=af"]` → {"ef": 0.3, "kind": "af"}; raises InputError for what is no NAME=VALUE."""
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


def export_pairs(
    folder: Path,
    clips: int,
    *,
    seconds: float,
    seed: int,
    force: bool = False,
    on_step: Callable[[float], None] | None = None,
    **settings: Any,
) -> None:
    """`clips` simulated examinations as NNNNN.mp4, NNNNN.csv and NNNNN.npz in `folder`.

    Clip k comes from batch k // 4 of seed `seed`, so a longer export begins with the shorter one's clips.
    """
    if clips < 1:
        raise InputError(f"--clips {clips}: at least one is expected.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot make this folder ({error.strerror}); choose another --out.") from error
    if not force and (there := sorted(x for x in folder.glob("[0-9]*") if x.suffix in ENDINGS)):
        raise InputError(f"{there[0]} exists already; give --force to replace it or another --out.")
    for low in range(0, clips, AT_ONCE):
        made = simulate(AT_ONCE, seconds=seconds, seed=seed * 100_003 + low // AT_ONCE, **settings)
        for i in range(min(AT_ONCE, clips - low)):
            write_pair(made, i, folder / f"{low + i:05d}")
        if on_step:
            on_step(min(1.0, (low + AT_ONCE) / clips))


def write_pair(made: PhantomClips, i: int, stem: Path) -> None:
    """One examination as `stem`.mp4, .csv and .npz.

    The NPZ holds frames uint8 [t, h, w], times [t] s, ecg [leads, n] mV, ecg_times [n] s, lv_mask bool [t, h, w],
    sector bool [h, w], volume_ml [t], ef_per_beat, ed_times_s, es_times_s, r_peaks_s, t_ends_s [beats] (s from the
    first frame, NaN where absent), ef, edv_ml, rhythm, and `clip`: view and pixel spacing as JSON.
    """
    from echopulse.echo import write_clip

    truth = made.truth
    clip, ecg = made.clip(i), made.ecg_of(i)
    write_clip(clip, stem.with_suffix(".mp4"), plain=True, force=True)
    header = "time_s," + ",".join(f"{name.replace(' ', '_')}_mV" for name in ecg.leads)
    table = np.column_stack([ecg.times_s, ecg.samples.T])
    np.savetxt(stem.with_suffix(".csv"), table, delimiter=",", header=header, comments="", fmt="%.6g")
    per_clip = ("lv_mask", "volume_ml", "ef_per_beat", "ed_times_s", "es_times_s", "r_peaks_s", "t_ends_s",
                "ef", "edv_ml")  # fmt: skip
    arrays = {name: getattr(truth, name)[i].cpu().numpy() for name in per_clip}
    arrays |= {"ecg": ecg.samples, "ecg_times": ecg.times_s, "rhythm": np.array(truth.rhythm[i])}
    write_clip(clip, stem.with_suffix(".npz"), force=True, arrays=arrays)
