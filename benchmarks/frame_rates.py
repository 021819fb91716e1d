"""What a tokenizer that learned one frame rate loses at others: the same simulated hearts, filmed at each.

    python benchmarks/frame_rates.py                      # the bundled tokenizer
    python benchmarks/frame_rates.py --model runs/out/model --clips 128

A latent frame holds four pictures at every rate, so at 50/s less moves within it than at 25/s, and at 16/s more. The
last line is JSON. There is no bar.
"""

import argparse
import json
import platform
from pathlib import Path

import torch

from echopulse.cli.shared import Progress
from echopulse.evaluate.frame_rates import SEED, errors_at_rates
from echopulse.model.networks import load_network
from echopulse.pipeline import BUNDLED


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=BUNDLED, help="a model folder instead of the bundled weights")
    parser.add_argument("--rates", type=float, nargs="+", default=[16.0, 20.0, 25.0, 100 / 3, 50.0])
    parser.add_argument("--clips", type=int, default=64, help="of clinical A4C and A2C hearts")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of each")
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args()
    tokenizer = load_network(options.model, "tokenizer")
    with Progress("filming hearts at every rate") as on_step:
        rows = errors_at_rates(
            tokenizer, options.rates, clips=options.clips, seconds=options.seconds, seed=options.seed, on_step=on_step
        )
    print("frames/s        MSE  PSNR in the sector, dB  SSIM in the sector")
    for row in rows:
        print(f"{row['fps']:8.4g}  {row['mse']:.3e}  {row['psnr_sector']:22.2f}  {row['ssim_sector']:18.3f}")
    about = {"clips": options.clips, "seconds": options.seconds, "seed": options.seed}
    print(json.dumps({"rows": rows, **about, "machine": platform.machine(), "torch": torch.__version__}))


if __name__ == "__main__":
    main()
