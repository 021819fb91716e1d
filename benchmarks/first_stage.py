"""Do natural videos help a tokenizer to learn echo?

    python benchmarks/first_stage.py VIDEOS --work runs/out/first-stage

A tokenizer of 64 pixels learns from a folder of videos, of any size and rate, and then from simulated echo; beside it
one that begins with echo by chance. Printed: the held-out MSE on echo after so many steps on echo, and how many steps
each took to what the second one reached in the end. The last line is JSON.
"""

import argparse
import json
import platform
import sys
from dataclasses import asdict
from pathlib import Path

import torch

from echopulse.cli.shared import Progress
from echopulse.errors import InputError
from echopulse.train.first_stage import first_stage, to_table


def main() -> None:
    """Trains and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", type=Path)
    parser.add_argument("--work", type=Path, required=True, help="keep everything here; the same call goes on there")
    parser.add_argument("--first-steps", type=int, default=400, help="steps on the videos")
    parser.add_argument("--steps", type=int, default=400, help="steps on echo")
    parser.add_argument("--every", type=int, default=50, help="steps between two looks at held-out clips")
    parser.add_argument("--clips", type=int, default=256)
    parser.add_argument("--held-out", type=int, default=48)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    try:
        with Progress("videos first") as on_progress:
            courses = first_stage(
                options.work, options.videos, first_steps=options.first_steps, steps=options.steps,
                every=options.every, clips=options.clips, held_out=options.held_out, seed=options.seed,
                on_progress=on_progress,
            )  # fmt: skip
    except InputError as error:
        sys.exit(str(error))
    print(to_table(courses))
    about = {"machine": platform.processor() or platform.machine(), "torch": torch.__version__}
    print(json.dumps({"courses": [asdict(one) for one in courses], **about}))


if __name__ == "__main__":
    main()
