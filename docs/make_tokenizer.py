"""Makes docs/tokenizer.gif: simulated clips of four views, each beside what became of it, in motion.

    python docs/make_tokenizer.py                       # half a minute
    python docs/make_tokenizer.py --model MODEL --out DIR
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from echopulse.model.networks import load_network
from echopulse.model.precision import mixed_precision
from echopulse.phantom import simulate
from echopulse.pipeline import BUNDLED

DOCS = Path(__file__).parent
VIEWS = ("a4c", "a2c", "plax", "psax_mitral")
SEED, FRAMES, FPS, GREYS = 985_000, 25, 25.0, 32
EDGE = 4  # pixels between pictures


def main(arguments: list[str] | None = None) -> int:
    """Writes the loop: a column for every view; original, decoded, with grain."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=BUNDLED, help="a model folder instead of the bundled weights")
    parser.add_argument("--out", type=Path, default=DOCS, help="folder for tokenizer.gif")
    options = parser.parse_args(arguments)
    tokenizer = load_network(options.model, "tokenizer")
    columns = [there_and_back(tokenizer, view, SEED + number) for number, view in enumerate(VIEWS)]
    pictures = np.concatenate(columns, axis=2)
    levels = np.rint(pictures / 255 * (GREYS - 1)) * (255 / (GREYS - 1))  # fewer greys, smaller file
    images = [Image.fromarray(frame) for frame in levels.astype(np.uint8)]
    path = options.out / "tokenizer.gif"
    images[0].save(path, save_all=True, append_images=images[1:], duration=round(1000 / FPS), loop=0, optimize=True)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
    return 0


def there_and_back(tokenizer, view: str, seed: int) -> np.ndarray:
    """A clip above itself decoded and decoded with grain, uint8 [t, 3 h, w]."""
    pins = {"prior": "clinical", "rhythm": "sinus", "gain_db": 5.0}
    made = simulate(1, seed=seed, view=view, frames=FRAMES, fps=FPS, leads=1, ecg_before_s=0.4, **pins)
    frames = made.frames[0].float()[None] / 255
    with torch.inference_mode(), mixed_precision(torch.device("cpu")):
        ids = tokenizer.encode(frames)
        shown = [frames, tokenizer.decode(ids), tokenizer.decode(ids, seed)]
    parts = [np.pad((one[0].float() * 255).round().byte().numpy(), ((0, 0), (0, EDGE), (0, EDGE))) for one in shown]
    return np.concatenate(parts, axis=1)


if __name__ == "__main__":
    sys.exit(main())
