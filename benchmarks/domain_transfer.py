"""How well a tokenizer of one scanner learns another through an adapter of a few per cent of its weights.

    python benchmarks/domain_transfer.py                                # learns the first look first
    python benchmarks/domain_transfer.py --start src/echopulse/weights  # begins with a model folder's tokenizer

Both looks are the simulator's, set as two manufacturers set theirs. Printed beside the adapter: no adaptation, and all
weights fine-tuned on the same batches. The last line is JSON. Bar: an adapter of at most 5 % of the weights lowers the
MSE on held-out clips of the second look by at least 40 %.
"""

import argparse
import json
import platform
import tempfile
from dataclasses import asdict
from pathlib import Path

import torch

from echopulse.cli.shared import Progress
from echopulse.model.networks import load_network
from echopulse.train.transfer import domain_transfer, to_table


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--start", type=Path, metavar="MODEL", help="a model folder whose tokenizer is adapted")
    parser.add_argument("--first-steps", type=int, default=600, help="steps on the first look, without --start")
    parser.add_argument("--steps", type=int, default=200, help="steps on the second look")
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--layers", default="*", help="which layers the adapter changes, as in `adapt tokenizer`")
    parser.add_argument("--clips", type=int, default=256, help="clips of each look to learn from")
    parser.add_argument("--held-out", type=int, default=48, help="clips of each look to judge by")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, help="keep everything here; the same call goes on where it stopped")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, Progress("learning another look") as on_progress:
        rows = domain_transfer(
            options.work or Path(scratch), start=load_network(options.start, "tokenizer") if options.start else None,
            first_steps=options.first_steps, steps=options.steps, rank=options.rank, layers=options.layers,
            clips=options.clips, held_out=options.held_out, seed=options.seed, on_progress=on_progress,
        )  # fmt: skip
    print(to_table(rows))
    about = {
        "machine": platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "start": str(options.start) if options.start else f"look A, {options.first_steps} steps",
    }
    print(json.dumps({"rows": [asdict(row) for row in rows], **about}))


if __name__ == "__main__":
    main()
