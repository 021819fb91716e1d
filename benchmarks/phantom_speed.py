"""How many frames a second the phantom makes, end to end: ECG, pictures of 128 x 128 pixels and all truth.

    python benchmarks/phantom_speed.py --workers 2                    # single-thread processes side by side
    python benchmarks/phantom_speed.py --device cuda --clips 256      # one GPU

The last line is JSON. Bars: 250 frames/s with two processes on two cores, 20,000 on a datacentre GPU.
"""

import argparse
import json
import platform

import torch

from echopulse.evaluate.phantom.system import CLIPS, FRAMES, devices_differ, frames_per_second, timed_processes


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", help="cpu (default) or cuda")
    parser.add_argument("--workers", type=int, default=2, help="processes; on a GPU one does")
    parser.add_argument("--clips", type=int, help="clips made at once: 4 on the CPU, 256 on a GPU")
    parser.add_argument("--rounds", type=int, default=5, help="batches that are timed, after one that is not")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.device != "cpu" and not torch.cuda.is_available():
        parser.error("no GPU is available here; use --device cpu.")
    workers = 1 if options.device != "cpu" else options.workers
    clips = options.clips or (CLIPS if options.device == "cpu" else 256)

    runs = timed_processes(workers, options.seed, options.device, clips, options.rounds)
    for number, (started, stopped, frames) in enumerate(runs):
        print(f"process {number}: {frames} frames in {stopped - started:.2f} s, {frames / (stopped - started):.0f}/s")
    result = {
        "frames_per_second": round(frames_per_second(runs), 1),
        "device": options.device if options.device == "cpu" else torch.cuda.get_device_name(),
        "workers": workers,
        "clips_at_once": clips,
        "frames_per_clip": FRAMES,
        "machine": platform.processor() or platform.machine(),
        "torch": torch.__version__,
    }
    if options.device != "cpu":
        result["largest_difference_from_cpu"] = devices_differ(options.seed, options.device)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
