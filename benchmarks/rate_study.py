"""What more tokens, more bits and a decoder that moves the first picture buy, each tokenizer trained alike.

    python benchmarks/rate_study.py --work runs/out/rates                                   # preset small, 128 pixels
    python benchmarks/rate_study.py --work runs/out/rates-64 --size 64 --widths 48 80 144 --steps 800   # on a CPU
    python benchmarks/rate_study.py --work /tmp/rates --preset tiny --size 32 --steps 2 --clips 2 --held-out 2   # looks

Eight tokenizers: tokens of 16 or 8 pixels a side, of 14 or 18 bits, with the plain decoder or that of key and motion.
They learn from the same simulated clips in the same order, and are judged on held-out ones: the picture inside the
sector, its texture (contrast, widths of the autocorrelation, correlation with the next frame), the area that the
bundled measurer outlines against the true one, and how far the mitral valve opens, as a share of what it does in the
clip. The first row is the clips themselves.

A study that was stopped goes on with the same call, on whatever device. The last line is JSON. Nearly all of its time
is training; a step of six stretches took about so many processor seconds on one thread:

    tokens of       16 px, plain   16 px, motion   8 px, plain   8 px, motion
    first call           2              3               4             5
    second call         0.2            0.3             0.3           0.4

which is half a day for the first call and half an hour for the second on a free core. It has no bar to reach: it says
what each choice buys and costs.
"""

import argparse
import json
import platform
from dataclasses import asdict, replace
from pathlib import Path

import torch

from echopulse.cli.shared import Progress
from echopulse.model.config import DECODERS, PATCHES, PRESETS
from echopulse.pipeline import EchoPulse
from echopulse.train.rate_study import rate_study, to_table


def main() -> None:
    """Trains, measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="keep everything here; the same call goes on there")
    parser.add_argument("--data", type=Path, help="a bank made with `simulate --bank --displacement`; else one is made")
    parser.add_argument("--clips", type=int, default=512, help="clips to simulate without --data")
    parser.add_argument("--held-out", type=int, default=48, help="clips to judge by, of other hearts")
    parser.add_argument("--preset", choices=sorted(PRESETS), default="small")
    parser.add_argument("--size", type=int, help="pixels along a side, in place of the preset's")
    parser.add_argument("--widths", type=int, nargs=3, help="channels of the three stages, in place of the preset's")
    parser.add_argument("--patches", type=int, nargs="+", default=list(PATCHES), help="pixels along a token's side")
    parser.add_argument("--bits", type=int, nargs="+", default=[14, 18])
    parser.add_argument("--decoders", nargs="+", choices=DECODERS, default=list(DECODERS))
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--batch", type=int, default=6)
    parser.add_argument("--device", default="cpu", help="where they learn; decoding is timed on one thread of the CPU")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    config = PRESETS[options.preset]["tokenizer"]
    config = replace(config, size=options.size or config.size, widths=tuple(options.widths or config.widths))
    with Progress("comparing tokenizers") as on_progress:
        rows = rate_study(
            options.work, EchoPulse.from_pretrained(device=options.device).segmenter, config=config,
            patches=options.patches, bits=options.bits, decoders=options.decoders, data=options.data,
            clips=options.clips, held_out=options.held_out, steps=options.steps, batch=options.batch,
            seed=options.seed, device=options.device, on_progress=on_progress,
        )  # fmt: skip
    print(to_table(rows))
    about = {
        "machine": platform.processor() or platform.machine(),
        "torch": torch.__version__,
        "size": config.size,
        "widths": config.widths,
        "steps": options.steps,
    }
    print(json.dumps({"rows": [asdict(row) for row in rows], **about}))


if __name__ == "__main__":
    main()
