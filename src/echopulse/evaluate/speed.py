"""How long a clip takes and how much memory, on the machine at hand."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import torch

from echopulse.memory import peak_memory_gb
from echopulse.model.precision import cpu_has_bfloat16, float32_only
from echopulse.phantom import simulate

if TYPE_CHECKING:
    from echopulse.pipeline import EchoPulse

SECONDS = 4.0
REPEATS = 3


def speed_scores(pulse: EchoPulse, *, start: str = "phantom", on_step=lambda _: None) -> dict[str, float]:
    """Seconds per second of video (median of three after one to warm up), peak memory so far, import time.

    Also with half the passes, in float32 as on machines without bfloat16, and how long the first block of a live clip
    takes to compute.

    Generating alone: reading the file, measuring and writing the clip are not in it. It starts no processes; the memory
    is the most that this one has held until now, so this part has to run before the others.
    """
    from echopulse.model.sampling import FAST

    around = {"ecg_before_s": SECONDS + 4, "ecg_after_s": 1.0}
    ecg = simulate(1, frames=1, seed=0, prior="easy", **around).ecg_of(0)
    taken, fast_taken, plain_taken, first_block = [], [], [], []
    for turn in range(REPEATS + 1):
        taken.append(_seconds(lambda turn=turn: pulse(ecg, seconds=SECONDS, start=start, seed=turn)) / SECONDS)
        on_step((turn + 1) / (2 * REPEATS + 2))
    for turn in range(REPEATS):
        quick = partial(pulse, ecg, seconds=SECONDS, start=start, seed=turn, sampling=FAST)
        fast_taken.append(_seconds(quick) / SECONDS)
        with float32_only():
            plain = partial(pulse, ecg, seconds=SECONDS, start=start, seed=turn)
            plain_taken.append(_seconds(plain) / SECONDS)
        first_block.append(_seconds(lambda turn=turn: next(pulse.stream([ecg], start=start, seed=turn))))
        on_step((REPEATS + 2 + turn) / (2 * REPEATS + 2))
    fast = cpu_has_bfloat16() if pulse.device.type == "cpu" else torch.cuda.is_bf16_supported()
    scores = {
        "generate_s_per_s": median(taken[1:]),
        "first_s_per_s": taken[0],
        "fast_s_per_s": median(fast_taken),
        "float32_s_per_s": median(plain_taken),
        "first_block_s": median(first_block),
        "peak_memory_gb": peak_memory_gb(),
        "import_s": import_seconds(),
        "threads": torch.get_num_threads(),
        "bfloat16": float(fast),
    }
    on_step(1.0)
    return scores


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def import_seconds() -> float:
    """Seconds that a fresh interpreter takes to import the whole generating road after torch and numpy."""
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parents[2])!r})\n"
        "import time, numpy, torch, safetensors.torch\n"
        "started = time.perf_counter()\n"
        "import echopulse; echopulse.EchoPulse; echopulse.read_ecg\n"
        "sys.stdout.write(str(time.perf_counter() - started))"
    )
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
