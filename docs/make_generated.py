"""Makes docs/generated.md and its pictures: what the bundled model makes of ECGs and first pictures.

    python docs/make_generated.py                       # about four minutes on two cores
    python docs/make_generated.py --model MODEL --out DIR

For every rhythm a simulated heart, and beside it what is generated from its first picture and ECG, and from its ECG
alone: end-diastole, end-systole, and one line of the picture over time, as in M-mode; the same as loops. Then 32 seeds
of one ECG.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image
from tqdm import tqdm

from echopulse import EchoPulse, read_ecg
from echopulse.echo import Clip
from echopulse.evaluate.hearts import Heart, hearts_of
from echopulse.files import write_text
from echopulse.phantom import simulate

DOCS = Path(__file__).parent
EXAMPLE = DOCS.parent / "examples" / "sinus_72.csv"
RHYTHMS = {"sinus": "Sinus rhythm", "af": "Atrial fibrillation", "pvc": "Premature beats", "bradycardia": "Bradycardia"}
VIEWS = {"a4c": "four-chamber", "a2c": "two-chamber"}
SECONDS, FPS, SEEDS = 3.0, 25.0, 32
LINE = 0.42  # of the picture's height: through the ventricle, below its apex
PINS = {"conduction": "normal", "pathology": "healthy", "prior": "clinical", "gain_db": 5.0, "leads": ("II",)}
TRACE = "#2f855a"
EVERY, SIDE, GREYS, EDGE = 2, 104, 24, 4  # of the loops: frames, pixels, grey values, pixels between pictures
HEAD = """# Generated

Simulated hearts that no training saw, and what the bundled model makes of their first picture and ECG, or of the ECG
alone. From left to right: end-diastole, end-systole, and one line of the picture over three seconds, as in M-mode, with
the ECG.
`python docs/make_generated.py` makes this page again; no seed was chosen.
"""

LOOPS = """![Loops](generated/{view}.gif)

The same as loops, a column for every rhythm: simulated, from picture and ECG, from the ECG alone.
"""


def main(arguments: list[str] | None = None) -> int:
    """Makes the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="a model folder instead of the bundled weights")
    parser.add_argument("--out", type=Path, default=DOCS, help="folder for generated.md and generated/*.jpg")
    options = parser.parse_args(arguments)
    pulse, folder = EchoPulse.from_pretrained(options.model), options.out / "generated"
    folder.mkdir(parents=True, exist_ok=True)
    text = HEAD
    for view, words in VIEWS.items():
        rows = draw_view(pulse, view, folder / f"{view}.jpg")
        write_loops(rows, folder / f"{view}.gif")
        text += f"\n## In the {words} view\n\n![Four rhythms](generated/{view}.jpg)\n\n{LOOPS.format(view=view)}"
    draw_seeds(pulse, folder / "seeds.jpg")
    text += "\n## Thirty-two seeds\n\nOne ECG, end-diastole and end-systole of each.\n\n![Seeds](generated/seeds.jpg)\n"
    write_text(text, options.out / "generated.md")
    return 0


def a_heart(rhythm: str, view: str) -> Heart:
    """A held-out heart in this rhythm."""
    made = simulate(
        1, seed=985_000 + list(RHYTHMS).index(rhythm), view=view, frames=round(SECONDS * FPS), fps=FPS, rhythm=rhythm,
        ecg_before_s=2.6, ecg_after_s=1.6, **PINS,
    )  # fmt: skip
    return hearts_of(made)[0]


def draw_view(pulse: EchoPulse, view: str, path: Path) -> list[list[np.ndarray]]:
    """A row of three clips for every rhythm; the clips uint8 [t, h, w]."""
    rows = []
    figure = Figure(figsize=(15, 3.2 * len(RHYTHMS)), layout="constrained")
    parts = figure.subfigures(len(RHYTHMS), 1)
    for part, (rhythm, title) in zip(parts, tqdm(RHYTHMS.items(), desc=view, disable=None), strict=True):
        heart = a_heart(rhythm, view)
        frames, begin = len(heart.times_s), -heart.ecg_start_s
        clips = {"simulated": heart.frames.numpy()}
        for words, first in (("from picture and ECG", heart.frames[0]), ("from the ECG alone", None)):
            ids = pulse.generate_ids(heart.ecg, begin, frames, first=first, view=view, seed=0)
            clips[words] = pulse.decode(ids, grain_seed=0)[:frames]
        rows.append(list(clips.values()))
        part.suptitle(title)
        axes = part.subplots(1, 9, width_ratios=[1, 1, 1.7] * 3)
        for place, (words, shown) in enumerate(clips.items()):
            seen = pulse.measure(Clip(shown, heart.times_s, view, heart.spacing_cm, synthetic=True))
            pair = (seen.ed_frames[0], seen.es_frames[0]) if len(seen.ed_frames) else (0, 0)
            for axis, frame, phase in zip(axes[3 * place :], pair, ("ED", "ES"), strict=False):
                axis.imshow(shown[frame], cmap="gray", vmin=0, vmax=255)
                axis.set_title(phase, fontsize=8)
                axis.axis("off")
            draw_line(axes[3 * place + 2], shown, heart)
            axes[3 * place + 2].set_title(words, fontsize=8)
    figure.savefig(path, dpi=80, pil_kwargs={"quality": 80})
    return rows


def write_loops(rows: list[list[np.ndarray]], path: Path) -> None:
    """A column of three loops for every rhythm."""
    columns = [np.concatenate([_small(clip) for clip in row], axis=1) for row in rows]
    pictures = np.concatenate(columns, axis=2)
    levels = np.rint(pictures / 255 * (GREYS - 1)) * (255 / (GREYS - 1))
    images = [Image.fromarray(frame) for frame in levels.astype(np.uint8)]
    step_ms = round(1000 * EVERY / FPS)
    images[0].save(path, save_all=True, append_images=images[1:], duration=step_ms, loop=0, optimize=True)


def _small(clip: np.ndarray) -> np.ndarray:
    """Every few frames of a clip uint8 [t, h, w], smaller and with an edge."""
    frames = [np.asarray(Image.fromarray(frame).resize((SIDE, SIDE), Image.Resampling.BOX)) for frame in clip[::EVERY]]
    return np.pad(np.stack(frames), ((0, 0), (0, EDGE), (0, EDGE)))


def draw_line(axis, frames: np.ndarray, heart: Heart) -> None:
    """One row of the picture over time, left to right, and the ECG below it."""
    line = frames[:, round(LINE * frames.shape[1])].T  # [w, t]
    axis.imshow(line, cmap="gray", vmin=0, vmax=255, aspect="auto", extent=(0, SECONDS, line.shape[0], 0))
    times = heart.ecg_start_s + np.arange(heart.ecg.shape[1]) / 200
    inside = (times >= 0) & (times < SECONDS)
    lead, width = heart.ecg[0].numpy()[inside], line.shape[0]
    axis.plot(times[inside], width * (1.3 - 0.2 * lead / np.abs(lead).max()), TRACE, linewidth=0.8)
    axis.set_ylim(1.55 * width, 0)
    axis.axis("off")


def draw_seeds(pulse: EchoPulse, path: Path) -> None:
    """End-diastole above end-systole of one ECG's clips."""
    figure = Figure(figsize=(16, 16), layout="constrained")
    axes = figure.subplots(8, 8).reshape(4, 2, 8)
    ecg = read_ecg(EXAMPLE)
    for seed in tqdm(range(SEEDS), desc="seeds", disable=None):
        made = pulse(ecg, seconds=1.5, seed=seed)
        seen = made.measure()
        pair = (seen.ed_frames[0], seen.es_frames[0]) if len(seen.ed_frames) else (0, 0)
        for row, frame in enumerate(pair):
            axes[seed // 8, row, seed % 8].imshow(made.clip.frames[frame], cmap="gray", vmin=0, vmax=255)
    for axis in axes.flat:
        axis.axis("off")
    figure.savefig(path, dpi=70, pil_kwargs={"quality": 80})


if __name__ == "__main__":
    sys.exit(main())
