"""Makes docs/gallery.md and its loops: one simulated heart for every rhythm, conduction, view and pathology.

    python docs/make_gallery.py            # all of them, about a minute
    python docs/make_gallery.py lbbb plax  # some; the page is left as it is

Every loop is a GIF of at most 187 kB: first its frames are made rarer and its greys fewer, then it is made smaller.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from echopulse.echo import Clip
from echopulse.echo.canvas import TRACE
from echopulse.echo.description import describe
from echopulse.echo.gif import write_gif
from echopulse.echo.strip import GRID_MV, draw_strip, ecg_curve, ecg_scale
from echopulse.files import write_text
from echopulse.phantom import simulate

DOCS = Path(__file__).parent
LARGEST = 187_000  # bytes of a loop: 31 of them stay below 6 MB
FPS = 25.0
# Picture size in pixels, every how many frames one is kept, greys: from the best to the smallest file.
QUALITIES = ((144, 2, 24), (144, 2, 16), (128, 2, 16), (128, 2, 12), (128, 3, 12), (112, 3, 10), (96, 3, 8), (80, 4, 8))
STRIP = 0.32  # height of the ECG relative to the picture
COMMON = {"prior": "clinical", "leads": ("II",), "gain_db": 5.0}


@dataclass(frozen=True)
class Loop:
    """One picture of the gallery: what is pinned, and what there is to see."""

    name: str
    title: str
    words: str
    pins: dict[str, Any] = field(default_factory=dict)
    view: str = "a4c"
    seconds: float = 4.0
    seed: int = 1


def rhythm(name: str, title: str, words: str, seconds: float = 4.0, **pins: Any) -> Loop:
    """A heart of usual function that beats so."""
    usual = {"conduction": "normal", "pathology": "healthy"}
    return Loop(name, title, words, {"rhythm": name, **usual, **pins}, seconds=seconds)


def conduction(name: str, title: str, words: str) -> Loop:
    """A sinus rhythm that reaches the ventricles so."""
    return Loop(name, title, words, {"rhythm": "sinus", "conduction": name, "heart_rate_bpm": 72}, seconds=2.6)


def view(name: str, title: str, words: str) -> Loop:
    """The same healthy heart through this plane."""
    pins = {"rhythm": "sinus", "conduction": "normal", "pathology": "healthy", "heart_rate_bpm": 66, "ef": 0.62}
    pins |= {"speckle_weight": 0.4}  # a quiet picture, so that the anatomy shows
    return Loop(name, title, words, pins, name, 2.0)


def pathology(name: str, title: str, words: str, **pins: Any) -> Loop:
    """A heart with this disease in sinus rhythm."""
    return Loop(name, title, words, {"rhythm": "sinus", "pathology": name, "heart_rate_bpm": 70, **pins}, seconds=2.0)


GALLERY = {
    "Views": [
        view("a4c", "Apical four-chamber", "Both ventricles above both atria; the left ventricle is on the right."),
        view("a2c", "Apical two-chamber", "Left ventricle and atrium alone; anterior wall on the right."),
        view("a3c", "Apical three-chamber", "Inflow and outflow: mitral valve, aortic valve and root."),
        view("plax", "Parasternal long axis", "The apex lies to the left; aorta above the left atrium on the right."),
        view("psax_mitral", "Short axis, mitral valve", "Both leaflets open like a fish's mouth."),
        view("psax_papillary", "Short axis, papillary muscles", "A round ventricle with two muscles in it."),
        view("psax_apical", "Short axis, apex", "A small round cavity that nearly closes."),
    ],
    "Rhythms": [
        rhythm("sinus", "Sinus rhythm", "A P wave before every beat, and a last push of blood after it."),
        rhythm("tachycardia", "Sinus tachycardia", "Early filling and atrial kick run together.", 3.0),
        rhythm("bradycardia", "Sinus bradycardia", "A long rest between filling and atrial kick."),
        rhythm("af", "Atrial fibrillation", "No P waves, no atrial kick; strokes as large as the pauses allow."),
        rhythm("flutter", "Atrial flutter", "Saw teeth; every second to fourth of them is conducted."),
        rhythm("pac", "Premature atrial beats", "Early beats of the usual shape."),
        rhythm("pvc", "Premature ventricular beats", "Wide, early, weak; the beat after the pause is strong."),
        rhythm("bigeminy", "Bigeminy", "Every other beat is a premature one."),
        rhythm("av_block_1", "AV block I", "A long way from P to QRS."),
        rhythm("wenckebach", "AV block II, Wenckebach", "The way grows longer until a beat is dropped."),
        rhythm("mobitz_2", "AV block II, Mobitz", "Beats are dropped without a warning."),
        rhythm("av_block_3", "AV block III", "Atria and ventricles each at their own rate."),
        rhythm("vt", "Ventricular tachycardia", "Fast, wide, and hardly any filling.", 3.0),
        rhythm("pause", "A pause", "The sinus node rests; the heart waits, full."),
        rhythm("asystole", "Asystole", "A standing heart.", 2.0),
    ],
    "Conduction": [
        conduction("lbbb", "Left bundle branch block", "The septum moves first, the lateral wall late."),
        conduction("rbbb", "Right bundle branch block", "A wide QRS, a left ventricle that hardly minds."),
        conduction("paced", "Ventricular pacing", "A spike before a wide QRS; the septum moves first."),
    ],
    "Pathologies": [
        pathology("healthy", "Healthy", "Thin valves, even walls, an ejection fraction around 60 %."),
        pathology("hypertensive", "Hypertensive", "A thick wall around a cavity of usual size."),
        pathology("ischaemic", "Ischaemic", "The anterior and apical walls stand still.", territory="lad"),
        pathology("dilated", "Dilated", "Large, round, thin-walled and weak.", ef=0.22),
        pathology("hypertrophic", "Hypertrophic", "A very thick wall around a small cavity."),
        pathology("restrictive", "Restrictive", "Thick walls, large atria, low voltage."),
    ],
}
HEAD = """# Gallery

Simulated hearts through a simulated scanner, each with its own ECG (lead II, a grid of 0.2 s and 0.5 mV). Nobody's
heart: not for diagnosis. `python docs/make_gallery.py` makes this page again.
"""


def main(arguments: list[str] | None = None) -> int:
    """Makes the loops asked for, and the page when all were."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="of the loops to make; all by default")
    parser.add_argument("--out", type=Path, default=DOCS, help="folder for gallery.md and gallery/*.gif")
    options = parser.parse_args(arguments)
    loops = {loop.name: loop for part in GALLERY.values() for loop in part}
    for number, name in enumerate(loops):
        if loops[name] not in GALLERY["Views"]:  # those show one heart, the others one each
            loops[name] = replace(loops[name], seed=number)
    if unknown := sorted(set(options.names) - set(loops)):
        parser.error(f"{unknown[0]}: no such loop; there are {', '.join(loops)}")
    folder = options.out / "gallery"
    folder.mkdir(parents=True, exist_ok=True)
    for name in tqdm(options.names or list(loops), desc="gallery", disable=None):
        make_loop(loops[name], folder / f"{name}.gif")
    if not options.names:
        write_text(page(folder), options.out / "gallery.md")
    total = sum(path.stat().st_size for path in folder.glob("*.gif"))
    print(f"{folder}: {len(list(folder.glob('*.gif')))} loops, {total / 1e6:.1f} MB")
    return 0


def make_loop(loop: Loop, path: Path, qualities: tuple[tuple[int, int, int], ...] = QUALITIES) -> None:
    """Simulates a heart and writes its loop, in the best quality that fits."""
    made, made_size = None, 0
    for size, every, greys in qualities:
        if size != made_size:
            options = {**COMMON, **loop.pins, "seed": loop.seed, "view": loop.view, "seconds": loop.seconds}
            made, made_size = simulate(1, size=size, fps=FPS, **options), size
        clip = made.clip(0)
        clip = replace(clip, frames=clip.frames[::every], times_s=clip.times_s[::every])
        write_gif(clip, pictures(clip, made.ecg_of(0), greys), path, describe(clip, "loop", (0, 0, size, size)))
        if path.stat().st_size <= LARGEST:
            return
    raise SystemExit(f"{path}: {path.stat().st_size} bytes even in the lowest quality; {LARGEST} are allowed.")


def pictures(clip: Clip, ecg: Any, greys: int) -> Iterator[np.ndarray]:
    """Frames uint8 [h, w, 3]: the picture in a few greys, which compress better, and the ECG under it."""
    times_s, values, _ = ecg_curve(ecg)
    width = clip.frames.shape[2]
    span = (float(clip.times_s[0]), float(clip.times_s[-1]) + clip.frame_interval_s)
    scale = ecg_scale(times_s, values, span, width, round(STRIP * width / 2) * 2, span)
    strip = draw_strip(times_s, values, scale, TRACE, grid_value=GRID_MV, thickness=1.2)
    for frame, time_s in zip(clip.frames, clip.times_s, strict=True):
        levels = np.rint(frame * ((greys - 1) / 255)) * (255 / (greys - 1))
        picture = np.repeat(np.rint(levels).astype(np.uint8)[..., None], 3, axis=2)
        yield np.concatenate([picture, strip.at(float(time_s))])


def page(folder: Path, columns: int = 4) -> str:
    """The page in Markdown: a table of loops under every heading."""
    text = HEAD
    for heading, loops in GALLERY.items():
        text += f"\n## {heading}\n\n" + "| " * columns + "|\n" + "|---" * columns + "|\n"
        for first in range(0, len(loops), columns):
            cells = [
                f"![{loop.title}]({folder.name}/{loop.name}.gif)<br>**{loop.title}.** {loop.words}"
                for loop in loops[first : first + columns]
            ]
            text += "| " + " | ".join(cells + [""] * (columns - len(cells))) + " |\n"
    return text


if __name__ == "__main__":
    sys.exit(main())
